//! Bulk allocations are all or nothing, and clones take back what the others handed out.

use std::array;
use std::sync::Arc;

use iopgtable::TableCount;
use iopgtable::memory::{
    Account, Accounted, Donated, Failing, Heap, Pool, TableAllocator, TableLayout,
};

use crate::allocators::{BYTES, WATERMARKS, hooks, region};
use crate::model::CONTEXT;
use crate::monitor::Monitor;

#[test]
fn a_bulk_allocation_that_fails_leaves_nothing_behind() {
    fn check<A: TableAllocator>(allocator: &A, in_use: &dyn Fn() -> usize) {
        let before = in_use();
        assert!(
            allocator.alloc_bulk(TableLayout::PAGE_4K, &TableCount::of(3, 1000), CONTEXT).is_err()
        );
        assert_eq!(in_use(), before);
        // All is there for somebody else.
        let pages =
            allocator.alloc_bulk(TableLayout::PAGE_4K, &TableCount::of(3, 16), CONTEXT).unwrap();
        assert_eq!(pages.len(), 16);
        // SAFETY: the pages came from the allocator; there is no walker.
        unsafe { allocator.free_bulk(pages) };
    }
    let region = region();
    check(&region, &|| region.in_use());
    let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
    pool.fill(7).unwrap();
    check(&pool, &|| region.in_use());
    let account = Account::new("test", u64::MAX);
    check(&Accounted::new(&region, &account), &|| usize::try_from(account.charged()).unwrap());
    let failing = Failing::new(&region);
    check(&failing, &|| failing.live());
    let monitor = Monitor::new(BYTES);
    check(&Donated::new(&monitor, &monitor), &|| monitor.in_use());
}

#[test]
fn clones_of_an_allocator_take_back_what_the_others_handed_out() {
    fn check<A: TableAllocator + Clone>(allocator: &A) {
        let clones: [A; 3] = array::from_fn(|_| allocator.clone());
        let pages = clones.each_ref().map(|clone| clone.alloc(TableLayout::PAGE_4K, CONTEXT));
        for (page, clone) in pages.into_iter().zip(clones.iter().cycle().skip(1)) {
            // SAFETY: a clone handed the page out (MEM-CLONE); there is no walker.
            unsafe { clone.free(page.unwrap()) };
        }
    }
    let (region, account) = (Arc::new(region()), Account::new("test", 1 << 20));
    check(&Heap::new());
    check(&hooks());
    check(&region);
    check(&Accounted::new(&region, &account));
    assert_eq!((region.in_use(), account.charged()), (0, 0));
}
