//! A page list keeps what is put into it, and keeps zeroed pages zeroed.

#![cfg(feature = "alloc")]

use std::collections::BTreeMap;
use std::slice;

use iopgtable::memory::{
    AllocContext, Failing, Heap, PageList, TableAllocator, TableLayout, TablePage,
};
use iopgtable::{Iova, PhysAddr};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A page of `64 << shift` bytes into the first or the second list.
    Push {
        second: bool,
        shift: u32,
        zeroed: bool,
    },
    Pop {
        second: bool,
    },
    /// One list into the other.
    Append {
        into_second: bool,
    },
    /// Some pages of one list into the other.
    Take {
        from_second: bool,
        count: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 0u32..8, any::<bool>())
            .prop_map(|(second, shift, zeroed)| Step::Push { second, shift, zeroed }),
        2 => any::<bool>().prop_map(|second| Step::Pop { second }),
        1 => any::<bool>().prop_map(|into_second| Step::Append { into_second }),
        2 => (any::<bool>(), 0usize..12)
            .prop_map(|(from_second, count)| Step::Take { from_second, count }),
    ]
}

/// What is known of pages, by their addresses: their layout, and whether they are zeroed.
type Known = BTreeMap<PhysAddr, (TableLayout, bool)>;

const FILL: u8 = 0x5a;

fn page(heap: &impl TableAllocator, shift: u32, zeroed: bool) -> TablePage {
    let layout = TableLayout::new(64 << shift).expect("a power of two");
    let page = heap.alloc(layout, AllocContext::table(3, Iova(0))).expect("memory");
    if zeroed {
        return page;
    }
    // SAFETY: the page is ours; the new handle replaces the old one and says what is true.
    unsafe {
        page.cpu().cast::<u8>().write_bytes(FILL, layout.bytes());
        TablePage::from_raw_parts(page.cpu(), page.phys(), layout, false)
    }
}

/// Checks a page that came out of a list of `known` ones.
fn check_and_free(heap: &impl TableAllocator, page: Option<TablePage>, known: &mut Known) {
    let Some(page) = page else {
        assert!(known.is_empty(), "a page does not come out");
        return;
    };
    let (layout, was_zeroed) = known.remove(&page.phys()).expect("a page that went in");
    assert_eq!(page.layout(), layout);
    // SAFETY: the page is ours, and all of it has been written or was allocated zeroed.
    let bytes =
        unsafe { slice::from_raw_parts(page.cpu().as_ptr().cast::<u8>(), page.layout().bytes()) };
    if was_zeroed {
        // Also where it is no longer known to be so for walkers.
        assert!(bytes.iter().all(|&byte| byte == 0), "{page:?} holds something");
    } else {
        assert!(!page.is_zeroed(), "{page:?} is not");
    }
    // SAFETY: the page came from there; there is no walker.
    unsafe { heap.free(page) };
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn lists_do_what_queues_of_handles_would(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 20 } else { 120 }),
    ) {
        let heap = Failing::new(Heap::new());
        let mut lists = [PageList::new(), PageList::new()];
        let mut models: [Known; 2] = Default::default();
        for step in steps {
            match step {
                Step::Push { second, shift, zeroed } => {
                    let page = page(&heap, shift, zeroed);
                    models[usize::from(second)].insert(page.phys(), (page.layout(), zeroed));
                    lists[usize::from(second)].push(page);
                }
                Step::Pop { second } => {
                    let second = usize::from(second);
                    check_and_free(&heap, lists[second].pop(), &mut models[second]);
                }
                Step::Append { into_second } => {
                    let [from, into] = [usize::from(!into_second), usize::from(into_second)];
                    let list = core::mem::take(&mut lists[from]);
                    lists[into].append(list);
                    let mut model = core::mem::take(&mut models[from]);
                    models[into].append(&mut model);
                }
                Step::Take { from_second, count } => {
                    let [from, into] = [usize::from(from_second), usize::from(!from_second)];
                    let mut taken = lists[from].take_first(count);
                    prop_assert_eq!(taken.len(), count.min(models[from].len()));
                    while let Some(page) = taken.pop() {
                        let known = models[from].remove(&page.phys()).expect("it was in there");
                        models[into].insert(page.phys(), known);
                        lists[into].push(page);
                    }
                }
            }
            for (list, model) in lists.iter().zip(&models) {
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
        }
        for (mut list, mut model) in lists.into_iter().zip(models) {
            while !list.is_empty() {
                check_and_free(&heap, list.pop(), &mut model);
            }
            check_and_free(&heap, list.pop(), &mut model);
        }
        prop_assert_eq!(heap.live(), 0);
    }
}

#[test]
fn iterating_over_a_list_gives_its_pages_out() {
    let heap = Failing::new(Heap::new());
    let mut list = PageList::new();
    for _ in 0..3 {
        list.push(page(&heap, 6, true));
    }
    assert_eq!(list.size_hint(), (3, Some(3)));
    for page in list {
        // SAFETY: the page came from there; there is no walker.
        unsafe { heap.free(page) };
    }
    assert_eq!(heap.live(), 0);
}
