//! Parties that sleep: whom they refuse, and the pages that wait for them.

use iopgtable::TableCount;
use iopgtable::memory::{
    Account, Accounted, AllocError, Donated, PartyError, TableAllocator, TableLayout,
};

use crate::monitor::{Fail, Monitor};
use crate::pages::{BYTES, CONTEXT, PAGE, bulk, check, donated, free, give_back, scribble};

#[test]
fn a_party_that_sleeps_refuses_who_must_not() {
    let monitor = Monitor::sleeping(BYTES);
    let donated = donated(&monitor);
    let refused = donated.alloc(PAGE, CONTEXT.non_blocking());
    assert_eq!(refused.err(), Some(AllocError::WouldBlock));
    let refused = donated.alloc_bulk(PAGE, &TableCount::of(3, 20), CONTEXT.non_blocking());
    assert_eq!(refused.err(), Some(AllocError::WouldBlock));
    assert_eq!((monitor.in_use(), donated.figures().share_failures), (0, 0));
    give_back(&donated, bulk(&donated, 20).unwrap());
}

#[test]
fn freeing_never_sleeps() {
    let monitor = Monitor::sleeping(BYTES);
    let donated = donated(&monitor);
    let (page, pages) = (donated.alloc(PAGE, CONTEXT).unwrap(), bulk(&donated, 40).unwrap());
    monitor.rules().atomic = true;
    free(&donated, page);
    let calls = monitor.rules().calls;
    give_back(&donated, pages);
    assert_eq!(monitor.rules().calls, calls + 1, "once told, it does not ask for each");
    let figures = donated.figures();
    assert_eq!((figures.pending, figures.shared, figures.reclaim_failures), (41, 41, 0));
    monitor.rules().atomic = false;
    assert_eq!(donated.reclaim_pending(), 41);
    assert_eq!(donated.reclaim_pending(), 0);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
    check(&donated);
}

#[test]
fn waiting_pages_are_handed_out_again_without_asking_the_party() {
    let monitor = Monitor::sleeping(BYTES);
    let donated = donated(&monitor);
    give_back(&donated, bulk(&donated, 10).unwrap());
    let asked = monitor.rules().asked;
    let context = CONTEXT.non_blocking();
    let pages = donated.alloc_bulk(PAGE, &TableCount::of(3, 9), context).unwrap();
    let page = donated.alloc(PAGE, context).unwrap();
    assert_eq!(monitor.rules().asked, asked);
    assert_eq!(donated.figures().reused, 10);
    // More than waits is all or nothing.
    give_back(&donated, pages);
    let refused = donated.alloc_bulk(PAGE, &TableCount::of(3, 10), context);
    assert_eq!(refused.err(), Some(AllocError::WouldBlock));
    assert_eq!((donated.figures().pending, donated.figures().reused), (9, 10));
    let pages = bulk(&donated, 11).unwrap();
    assert_eq!((donated.figures().shared, donated.figures().reused), (12, 19));
    give_back(&donated, pages);
    free(&donated, page);
    check(&donated);
}

#[test]
fn a_waiting_page_does_not_count_as_zeroed_unless_it_is() {
    let monitor = Monitor::sleeping(BYTES);
    let donated = donated(&monitor);
    let page = donated.alloc(PAGE, CONTEXT).unwrap();
    free(&donated, page);
    let page = donated.alloc(PAGE, CONTEXT).unwrap();
    assert!(page.is_zeroed());
    free(&donated, scribble(page));
    let page = donated.alloc(PAGE, CONTEXT).unwrap();
    assert!(!page.is_zeroed());
    free(&donated, page);
}

#[test]
fn a_request_that_may_block_has_waiting_pages_reclaimed_before_it_fails() {
    let monitor = Monitor::sleeping(16 * 4096);
    let account = Account::new("vm", 16 * 4096);
    let donated = Donated::new(Accounted::new(&monitor, &account), &monitor);
    let large = TableLayout::new(8192).unwrap();
    give_back(&donated, bulk(&donated, 16).unwrap());
    assert!(donated.alloc(large, CONTEXT.non_blocking()).is_err());
    assert_eq!(donated.figures().pending, 16);
    // They are of the wrong size for this one, and the account is full until they are back. The
    // region never joins pages, so there is none anyway.
    let refused = donated.alloc(large, CONTEXT);
    assert_eq!(refused.err(), Some(AllocError::OutOfMemory { pages: 1 }));
    assert_eq!((donated.figures().pending, account.charged()), (0, 0));
    give_back(&donated, bulk(&donated, 16).unwrap());
    let small = TableLayout::new(2048).unwrap();
    // Of these, the page fits all.
    let page = donated.alloc(small, CONTEXT.non_blocking()).unwrap();
    assert_eq!(donated.figures().pending, 15);
    free(&donated, page);
}

#[test]
fn a_party_that_is_busy_is_asked_again_later() {
    let monitor = Monitor::new(BYTES);
    let donated = donated(&monitor);
    let pages = bulk(&donated, 40).unwrap();
    monitor.rules().fail_reclaim = Fail::Nth(17, PartyError::WouldBlock);
    give_back(&donated, pages);
    assert_eq!((donated.figures().pending, donated.figures().quarantined), (23, 0));
    monitor.rules().fail_reclaim = Fail::Nth(5, PartyError::WouldBlock);
    assert_eq!(donated.reclaim_pending(), 5);
    assert_eq!(donated.figures().pending, 18);
    check(&donated);
    assert_eq!(donated.reclaim_pending(), 18);
    assert_eq!(monitor.in_use(), 0);
}

#[test]
fn dropping_reclaims_what_waits_and_loses_what_cannot_be_had() {
    let monitor = Monitor::sleeping(BYTES);
    let first = donated(&monitor);
    give_back(&first, bulk(&first, 20).unwrap());
    assert_eq!(monitor.shared(), 20);
    drop(first);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));

    let second = donated(&monitor);
    give_back(&second, bulk(&second, 20).unwrap());
    monitor.rules().fail_reclaim = Fail::Nth(4, PartyError::WouldBlock);
    drop(second);
    assert_eq!((monitor.shared(), monitor.in_use()), (16, 16 * 4096), "nobody has them");
}
