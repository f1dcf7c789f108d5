//! Threads never hold the same page.

use iopgtable::TableCount;
use iopgtable::memory::{Donated, Failing, Pool, TableAllocator, TableLayout, TablePage};

use crate::allocators::{BYTES, WATERMARKS, region};
use crate::model::CONTEXT;
use crate::monitor::Monitor;

#[test]
fn many_threads_at_once_never_hold_the_same_page() {
    const ROUNDS: usize = if cfg!(miri) { 4 } else { 2000 };
    fn check<A: TableAllocator + Sync>(allocator: &A) {
        std::thread::scope(|scope| {
            for thread in 1..=4u64 {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let count = 1 + round % 3;
                        let Ok(pages) = allocator.alloc_bulk(
                            TableLayout::PAGE_4K,
                            &TableCount::of(3, count as u64),
                            CONTEXT,
                        ) else {
                            continue;
                        };
                        let mine: Vec<TablePage> = pages.collect();
                        for page in &mine {
                            // SAFETY: the page is ours.
                            unsafe { page.cpu().write(thread) };
                        }
                        std::thread::yield_now();
                        for page in mine {
                            // SAFETY: the page is ours and has been written.
                            assert_eq!(unsafe { page.cpu().read() }, thread);
                            // SAFETY: the same page, not zeroed any more; it came from the
                            // allocator, and there is no walker.
                            unsafe {
                                allocator.free(TablePage::from_raw_parts(
                                    page.cpu(),
                                    page.phys(),
                                    page.layout(),
                                    false,
                                ));
                            }
                        }
                    }
                });
            }
        });
    }
    let region = region();
    check(&region);
    assert_eq!(region.in_use(), 0);
    let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
    check(&pool);
    let figures = pool.figures();
    assert!(figures.free <= WATERMARKS.high);
    assert_eq!(
        figures.refilled + figures.taken_back,
        figures.hits + figures.misses + figures.returned + figures.free as u64
    );
    let failing = Failing::new(&pool);
    check(&failing);
    assert_eq!(failing.live(), 0);
    let monitor = Monitor::sleeping(BYTES);
    let donated = Donated::new(&monitor, &monitor);
    check(&donated);
    drop(donated);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
}
