//! A failing allocator fails where it was told to, whatever the shape of the requests.

#![cfg(feature = "alloc")]

use iopgtable::memory::{AllocContext, AllocError, Failing, Heap, TableAllocator, TableLayout};
use iopgtable::{Iova, TableCount};
use proptest::prelude::*;

const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));
const PAGE: TableLayout = TableLayout::PAGE_4K;

/// Requests pages in portions of so many, frees them, and says which portions failed.
fn run<A: TableAllocator>(allocator: &Failing<A>, portions: &[usize]) -> Vec<bool> {
    let portion = |&count: &usize| match allocator.alloc_bulk(
        PAGE,
        &TableCount::of(3, count as u64),
        CONTEXT,
    ) {
        Ok(pages) => {
            // SAFETY: the pages came from there; there is no walker.
            unsafe { allocator.free_bulk(pages) };
            false
        }
        Err(error) => {
            assert_eq!(error, AllocError::OutOfMemory { pages: count });
            true
        }
    };
    portions.iter().map(portion).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_nth_page_fails_and_no_other(
        portions in prop::collection::vec(0usize..6, 1..8),
        before in 0usize..5,
        nth in 0usize..30,
    ) {
        let failing = Failing::new(Heap::new());
        run(&failing, &[before]);
        failing.fail_nth(nth as u64);
        let mut start = 0;
        let expected: Vec<bool> = portions
            .iter()
            .map(|count| {
                let fails = (start..start + count).contains(&nth);
                start += count;
                fails
            })
            .collect();
        prop_assert_eq!(failing.allocations(), before as u64);
        // A portion that fails ends at the failure; those after it do not fail, however counted.
        prop_assert_eq!(run(&failing, &portions), expected.clone());
        prop_assert_eq!(failing.failures(), u64::from(expected.contains(&true)));
        prop_assert_eq!(failing.live(), 0);
    }

    #[test]
    fn all_pages_from_the_nth_on_fail(
        portions in prop::collection::vec(1usize..6, 1..8),
        nth in 0usize..30,
    ) {
        let failing = Failing::new(Heap::new());
        failing.fail_from(nth as u64);
        let mut end = 0;
        let expected: Vec<bool> = portions
            .iter()
            .map(|count| {
                end += count;
                end > nth
            })
            .collect();
        prop_assert_eq!(run(&failing, &portions), expected);
        failing.fail_none();
        prop_assert!(!run(&failing, &portions).contains(&true));
        prop_assert_eq!(failing.live(), 0);
    }
}

#[test]
fn a_request_for_no_pages_does_not_fail() {
    let failing = Failing::new(Heap::new());
    failing.fail_from(0);
    assert_eq!(run(&failing, &[0]), [false]);
}

#[test]
fn failing_allocators_count_what_is_out() {
    let failing = Failing::new(Heap::new());
    let page = failing.alloc(PAGE, CONTEXT).unwrap();
    let pages = failing.alloc_bulk(PAGE, &TableCount::of(3, 3), CONTEXT).unwrap();
    assert_eq!((failing.live(), failing.allocations()), (4, 4));
    // SAFETY: the pages came from there; there is no walker.
    unsafe {
        failing.free(page);
        failing.free_bulk(pages);
    }
    assert_eq!((failing.live(), failing.allocations(), failing.failures()), (0, 4, 0));
}

#[test]
fn a_bulk_request_that_fails_counts_up_to_its_failure() {
    let failing = Failing::new(Heap::new());
    failing.fail_nth(2);
    assert_eq!(run(&failing, &[5]), [true]);
    assert_eq!(failing.allocations(), 3, "as a loop over its pages would");
}
