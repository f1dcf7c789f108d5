//! A page list keeps what is put into it, in order, and keeps zeroed pages zeroed.

#![cfg(feature = "alloc")]

use std::collections::VecDeque;
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
    /// The first pages of one list to the front of the other.
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
        2 => (any::<bool>(), 0usize..6)
            .prop_map(|(from_second, count)| Step::Take { from_second, count }),
    ]
}

/// What is known of a page: its address, its layout, whether it is zeroed.
type Known = (PhysAddr, TableLayout, bool);

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

fn check_and_free(heap: &impl TableAllocator, page: Option<TablePage>, known: Option<Known>) {
    let seen = page.as_ref().map(|page| (page.phys(), page.layout(), page.is_zeroed()));
    assert_eq!(seen, known);
    let Some(page) = page else { return };
    // SAFETY: the page is ours, and all of it has been written or was allocated zeroed.
    let bytes =
        unsafe { slice::from_raw_parts(page.cpu().as_ptr().cast::<u8>(), page.layout().bytes()) };
    let (link, rest) = bytes.split_at(PageList::LINK_BYTES);
    if page.is_zeroed() {
        assert!(link.iter().all(|&byte| byte == 0), "the link is still in {page:?}");
    }
    let fill = if page.is_zeroed() { 0 } else { FILL };
    assert!(rest.iter().all(|&byte| byte == fill), "more than the link of {page:?} was written");
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
        let mut models: [VecDeque<Known>; 2] = Default::default();
        for step in steps {
            match step {
                Step::Push { second, shift, zeroed } => {
                    let page = page(&heap, shift, zeroed);
                    models[usize::from(second)].push_front((page.phys(), page.layout(), zeroed));
                    lists[usize::from(second)].push(page);
                }
                Step::Pop { second } => {
                    let known = models[usize::from(second)].pop_front();
                    check_and_free(&heap, lists[usize::from(second)].pop(), known);
                }
                Step::Append { into_second } => {
                    let [from, into] = [usize::from(!into_second), usize::from(into_second)];
                    let list = core::mem::take(&mut lists[from]);
                    lists[into].append(list);
                    let mut model = core::mem::take(&mut models[from]);
                    model.append(&mut models[into]);
                    models[into] = model;
                }
                Step::Take { from_second, count } => {
                    let [from, into] = [usize::from(from_second), usize::from(!from_second)];
                    let taken = lists[from].take_first(count);
                    let rest = models[from].split_off(count.min(models[from].len()));
                    let mut model = core::mem::replace(&mut models[from], rest);
                    prop_assert_eq!(taken.len(), model.len());
                    lists[into].append(taken);
                    model.append(&mut models[into]);
                    models[into] = model;
                }
            }
            for (list, model) in lists.iter().zip(&models) {
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
        }
        for (mut list, model) in lists.into_iter().zip(models) {
            for known in model {
                check_and_free(&heap, list.pop(), Some(known));
            }
            prop_assert!(list.pop().is_none());
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
