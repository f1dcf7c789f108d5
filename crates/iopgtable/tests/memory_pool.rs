//! A pool answers from what is free, refills by the batch, and gives back beyond its watermark.

#![cfg(feature = "alloc")]

use core::ptr::NonNull;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};

use iopgtable::memory::{
    Account, Accounted, AllocContext, AllocError, Failing, Heap, PageList, Pool, Publish, Region,
    TableAllocator, TableLayout, TableMemory, TablePage, Watermarks,
};
use iopgtable::{Iova, PhysAddr, TableCount};

const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));
const PAGE: TableLayout = TableLayout::PAGE_4K;

fn pool(low: usize, batch: usize, high: usize) -> Pool<Failing<Heap>> {
    Pool::new(Failing::new(Heap::new()), PAGE, Watermarks { low, batch, high })
}

fn give_back(allocator: &impl TableAllocator, pages: PageList) {
    // SAFETY: the tests give back what they got from there; there is no walker.
    unsafe { allocator.free_bulk(pages) };
}

#[test]
fn a_refill_serves_the_requests_that_follow() {
    let pool = pool(0, 4, 8);
    let mut pages = PageList::new();
    for _ in 0..4 {
        pages.push(pool.alloc(PAGE, CONTEXT).unwrap());
    }
    let figures = pool.figures();
    assert_eq!((figures.hits, figures.misses), (3, 1));
    assert_eq!((figures.refills, figures.refilled, figures.free), (1, 4, 0));
    give_back(&pool, pages);
    assert_eq!((pool.figures().taken_back, pool.figures().free), (4, 4));
}

#[test]
fn a_bulk_request_takes_what_is_free_and_asks_for_what_is_missing() {
    let pool = pool(0, 2, 100);
    pool.fill(40).unwrap();
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 70), CONTEXT).unwrap();
    let figures = pool.figures();
    assert_eq!((figures.hits, figures.misses, figures.free), (40, 30, 0));
    assert_eq!(pool.upstream().live(), 70);
    give_back(&pool, pages);
}

#[test]
fn every_page_comes_out_zeroed() {
    let pool = pool(0, 4, 8);
    for _ in 0..3 {
        let page = pool.alloc(PAGE, CONTEXT).unwrap();
        assert!(page.is_zeroed());
        // SAFETY: the page is ours.
        unsafe {
            let words = core::slice::from_raw_parts_mut(page.cpu().as_ptr(), 512);
            assert!(words.iter().all(|&word| word == 0));
            words.fill(!0);
        }
        // SAFETY: the same page, not zeroed any more; it came from there, and there is no walker.
        unsafe {
            pool.free(TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false));
        }
    }
    assert_eq!(pool.figures().refills, 1);
}

/// A walker that has to be told.
struct Told;

// SAFETY: nothing walks.
unsafe impl Publish for Told {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
}

/// Whether the CPU finds nothing but zeroes in a page, which the allocator has to have written.
fn is_clear(page: &TablePage) -> bool {
    // SAFETY: the page is ours; it was zeroed, or a test filled it.
    let words =
        unsafe { core::slice::from_raw_parts(page.cpu().as_ptr(), page.layout().bytes() / 8) };
    words.iter().all(|&word| word == 0)
}

#[test]
fn what_upstream_does_not_zero_the_pool_does() {
    let upstream = Region::with_capacity_and_publisher(PhysAddr(0), 1 << 20, Told).unwrap();
    let pool = Pool::new(upstream, PAGE, Watermarks { low: 2, batch: 4, high: 8 });
    pool.fill(3).unwrap();
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 20), CONTEXT).unwrap();
    let mut written = PageList::new();
    for page in pages {
        assert!(is_clear(&page));
        // SAFETY: the page is ours, and the same, of which we say what is true.
        written.push(unsafe {
            page.cpu().cast::<u8>().write_bytes(0x5a, page.layout().bytes());
            TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false)
        });
    }
    give_back(&pool, written);
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 8), CONTEXT.non_blocking()).unwrap();
    assert_eq!(pool.figures().free, 0);
    let mut back = PageList::new();
    for page in pages {
        assert!(is_clear(&page));
        back.push(page);
    }
    give_back(&pool, back);
}

/// What walkers see: what was published, and what the CPU's caches have let go of by themselves.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<u64, u64>>);

impl Seen {
    fn see(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        // SAFETY: the tests' pages, which are in lists or ours.
        let words = unsafe { core::slice::from_raw_parts(cpu.cast::<u64>().as_ptr(), bytes / 8) };
        self.0
            .lock()
            .expect("not poisoned")
            .extend((phys.0..).step_by(8).zip(words.iter().copied()));
    }
}

// SAFETY: a publication takes effect at once.
unsafe impl Publish for &Seen {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        self.see(cpu, phys, bytes);
    }
}

#[test]
fn what_free_pages_hold_is_gone_for_walkers_too_when_they_are_handed_out() {
    for bytes in [64, 128, 4096] {
        let layout = TableLayout::new(bytes).unwrap();
        let seen = Seen::default();
        let upstream = Region::with_capacity_and_publisher(PhysAddr(0), 1 << 22, &seen).unwrap();
        let pool = Pool::new(upstream, layout, Watermarks { low: 0, batch: 0, high: 1000 });
        let (mut out, mut known) = (Vec::<TablePage>::new(), BTreeSet::new());
        let mut zeroed = 0;
        for step in [600_isize, -590, 300, -1, 1, -2, 2, -310, 600, -600] {
            if step > 0 {
                let count = TableCount::of(3, step.unsigned_abs() as u64);
                out.extend(pool.alloc_bulk(layout, &count, CONTEXT).unwrap());
            }
            for page in out.drain(..step.min(0).unsigned_abs()) {
                // SAFETY: the page came from there, and nobody has written to it.
                unsafe { pool.free(page) };
            }
            for page in &out {
                // SAFETY: the page is ours and zeroed, hence initialized.
                let words = unsafe { core::slice::from_raw_parts(page.cpu().as_ptr(), bytes / 8) };
                assert!(words.iter().all(|&word| word == 0));
                if page.is_zeroed() {
                    let seen = seen.0.lock().unwrap();
                    let (first, last) = (page.phys().0, page.phys().0 + bytes as u64 - 1);
                    assert!(seen.range(first..=last).all(|(_, &word)| word == 0), "{page:?}");
                    zeroed += 1;
                }
            }
            // The caches write back what free pages hold.
            let held: BTreeSet<u64> = out.iter().map(|page| page.phys().0).collect();
            known.extend(&held);
            for &phys in known.difference(&held) {
                seen.see(pool.cpu_address(PhysAddr(phys)).cast(), PhysAddr(phys), bytes);
            }
        }
        assert_ne!(zeroed, 0);
        let figures = pool.figures();
        assert_eq!(
            figures.refilled + figures.taken_back,
            figures.hits + figures.misses + figures.returned + figures.free as u64
        );
    }
}

/// Has nothing, and takes its time to say so: until a page has come back to the pool.
struct Slow {
    heap: Heap,
    asked: Barrier,
    answer: Barrier,
    fails: AtomicBool,
}

// SAFETY: all is the heap's.
unsafe impl TableMemory for Slow {
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        self.heap.cpu_address(table)
    }
    fn last_phys(&self) -> PhysAddr {
        self.heap.last_phys()
    }
}

// SAFETY: all is the heap's.
unsafe impl TableAllocator for Slow {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        if self.fails.load(Ordering::Relaxed) {
            self.asked.wait();
            self.answer.wait();
            return Err(AllocError::OutOfMemory { pages: 1 });
        }
        self.heap.alloc(layout, context)
    }
    unsafe fn free(&self, page: TablePage) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.heap.free(page) };
    }
}

#[test]
fn a_page_that_comes_back_while_upstream_fails_serves_the_request_or_stays_free() {
    for (wanted, served) in [(1, true), (2, false)] {
        let pool = Pool::new(
            Slow {
                heap: Heap::new(),
                asked: Barrier::new(2),
                answer: Barrier::new(2),
                fails: AtomicBool::new(false),
            },
            PAGE,
            Watermarks { low: 0, batch: 0, high: 8 },
        );
        let page = pool.alloc(PAGE, CONTEXT).unwrap();
        pool.upstream().fails.store(true, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let request =
                scope.spawn(|| match pool.alloc_bulk(PAGE, &TableCount::of(3, wanted), CONTEXT) {
                    Ok(pages) => {
                        give_back(&pool, pages);
                        true
                    }
                    Err(_) => false,
                });
            pool.upstream().asked.wait();
            // SAFETY: the page came from there; there is no walker.
            unsafe { pool.free(page) };
            pool.upstream().answer.wait();
            assert_eq!(request.join().unwrap(), served);
        });
        assert_eq!(pool.figures().free, 1);
    }
}

#[test]
fn pages_beyond_the_high_watermark_go_back() {
    let pool = pool(0, 2, 6);
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 10), CONTEXT).unwrap();
    give_back(&pool, pages);
    let figures = pool.figures();
    assert_eq!((figures.taken_back, figures.returned, figures.free), (10, 4, 6));
    let page = pool.alloc(PAGE, CONTEXT).unwrap();
    pool.fill(6).unwrap();
    // SAFETY: the page came from there; there is no walker.
    unsafe { pool.free(page) };
    assert_eq!((pool.figures().returned, pool.figures().free), (5, 6));
    assert_eq!(pool.upstream().live(), 6);
}

#[test]
fn a_request_that_may_block_leaves_pages_for_those_that_must_not() {
    let pool = pool(3, 4, 8);
    let page = pool.alloc(PAGE, CONTEXT).unwrap();
    assert_eq!(pool.figures().free, 3);
    let more = pool.alloc_bulk(PAGE, &TableCount::of(3, 2), CONTEXT).unwrap();
    assert_eq!(pool.figures().free, 5, "a batch in advance");
    let rest = pool.alloc_bulk(PAGE, &TableCount::of(3, 5), CONTEXT.non_blocking()).unwrap();
    assert_eq!((pool.figures().free, pool.figures().refills), (0, 2));
    let mut pages = PageList::new();
    pages.push(page);
    pages.append(more);
    pages.append(rest);
    give_back(&pool, pages);
}

#[test]
fn a_request_that_must_not_block_gets_no_more_than_it_needs_from_upstream() {
    let pool = pool(3, 4, 8);
    let page = pool.alloc(PAGE, CONTEXT.non_blocking()).unwrap();
    assert_eq!((pool.figures().refilled, pool.figures().free), (1, 0));
    // SAFETY: the page came from there; there is no walker.
    unsafe { pool.free(page) };
}

#[test]
fn where_a_batch_is_not_to_be_had_a_page_may_be() {
    let account = Account::new("vm", 3 * 4096);
    let upstream = Accounted::new(Heap::new(), &account);
    let pool = Pool::new(upstream, PAGE, Watermarks { low: 2, batch: 8, high: 16 });
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 3), CONTEXT).unwrap();
    assert_eq!(account.charged(), 3 * 4096);
    assert!(matches!(pool.alloc(PAGE, CONTEXT), Err(AllocError::Limit(_))));
    give_back(&pool, pages);
    assert_eq!(pool.figures().free, 3);
}

#[test]
fn a_failure_to_refill_in_advance_is_not_the_requests() {
    let pool = pool(4, 4, 8);
    pool.fill(2).unwrap();
    pool.upstream().fail_from(0);
    let page = pool.alloc(PAGE, CONTEXT).unwrap();
    assert_eq!(pool.upstream().failures(), 1);
    pool.upstream().fail_none();
    let second = pool.alloc(PAGE, CONTEXT).unwrap();
    assert_eq!(pool.figures().free, 4, "the next request tries again");
    let mut pages = PageList::new();
    pages.push(page);
    pages.push(second);
    give_back(&pool, pages);
}

#[test]
fn a_request_that_fails_leaves_the_free_pages_free() {
    let pool = pool(0, 4, 8);
    pool.fill(5).unwrap();
    pool.upstream().fail_from(0);
    let before = pool.figures();
    assert!(pool.alloc_bulk(PAGE, &TableCount::of(3, 6), CONTEXT).is_err());
    assert_eq!(pool.figures(), before);
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 5), CONTEXT).unwrap();
    give_back(&pool, pages);
}

#[test]
fn shrinking_gives_back_all_but_what_is_to_be_kept() {
    let pool = pool(0, 1, 200);
    pool.fill(150).unwrap();
    assert_eq!(pool.shrink(200), 0);
    assert_eq!(pool.shrink(10), 140);
    assert_eq!((pool.figures().free, pool.figures().returned), (10, 140));
    assert_eq!(pool.upstream().live(), 10);
}

#[test]
fn filling_stops_at_the_target_and_is_all_or_nothing() {
    let pool = pool(0, 1, 8);
    pool.fill(5).unwrap();
    pool.fill(3).unwrap();
    assert_eq!(pool.figures().free, 5);
    pool.upstream().fail_nth(2);
    assert!(pool.fill(8).is_err());
    assert_eq!((pool.figures().free, pool.upstream().live()), (5, 5));
}

#[test]
fn tables_of_other_layouts_pass_through() {
    let pool = pool(0, 4, 8);
    let root = TableLayout::new(64 << 10).unwrap();
    let mut pages = PageList::new();
    pages.push(pool.alloc(root, AllocContext::root(1)).unwrap());
    pages.append(pool.alloc_bulk(root, &TableCount::of(3, 2), AllocContext::root(1)).unwrap());
    assert_eq!(pool.figures(), Pool::new(Heap::new(), PAGE, Watermarks::default()).figures());
    pages.push(pool.alloc(PAGE, CONTEXT).unwrap());
    give_back(&pool, pages);
    assert_eq!((pool.upstream().live(), pool.figures().taken_back), (4, 1));
}

#[test]
fn a_pool_without_watermarks_is_its_upstream() {
    let pool = pool(0, 0, 0);
    let pages = pool.alloc_bulk(PAGE, &TableCount::of(3, 3), CONTEXT).unwrap();
    give_back(&pool, pages);
    assert_eq!((pool.figures().free, pool.upstream().live()), (0, 0));
}

#[test]
fn a_pool_that_is_dropped_keeps_nothing() {
    let upstream = Failing::new(Heap::new());
    let pool = Pool::new(&upstream, PAGE, Watermarks::default());
    pool.fill(100).unwrap();
    assert_eq!(upstream.live(), 100);
    drop(pool);
    assert_eq!(upstream.live(), 0);
}

/// Caches fetch ahead across pages in that direction only.
#[test]
fn pages_that_were_free_together_come_out_the_lowest_first() {
    let region = Region::with_capacity(PhysAddr(1 << 30), 256 << 12).unwrap();
    let pool = Pool::new(region, PAGE, Watermarks { low: 0, batch: 1, high: 256 });
    pool.fill(200).unwrap();
    for _ in 0..4 {
        let count = TableCount::of(3, 150);
        let pages = pool.alloc_bulk(PAGE, &count, CONTEXT).unwrap();
        let pages: Vec<_> = pages.collect();
        let follows = |pair: &&[TablePage]| pair[1].phys().0 == pair[0].phys().0 + (4 << 10);
        let follow = pages.windows(2).filter(follows).count();
        assert!(follow >= 120, "{follow} of 150 pages lie behind the one before");
        let mut back = PageList::new();
        for page in pages {
            back.push(page);
        }
        give_back(&pool, back);
    }
}
