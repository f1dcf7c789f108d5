//! A page is shared as long as it is out; what fails leaves nothing behind, and what is not reclaimed
//! is never used again.

use std::iter;

use iopgtable::TableCount;
use iopgtable::memory::{
    Account, Accounted, AllocError, Donated, Failing, PageList, TableAllocator, TableLayout,
    TableMemory,
};

use crate::monitor::{Fail, Monitor};
use crate::pages::{
    BYTES, CONTEXT, Extend, PAGE, REFUSED, UNKNOWN, bulk, check, donated, free, give_back, scribble,
};

#[test]
fn a_page_is_shared_as_long_as_it_is_out() {
    let monitor = Monitor::new(BYTES);
    let donated = donated(&monitor);
    let page = donated.alloc(PAGE, CONTEXT).unwrap();
    assert!(page.is_zeroed());
    assert_eq!((monitor.shared(), donated.figures().shared), (1, 1));
    assert_eq!(donated.cpu_address(page.phys()), page.cpu());
    free(&donated, scribble(page));
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
    // What was written to it is not what the party gets to see: the monitor looks.
    let pages = bulk(&donated, 20).unwrap();
    assert_eq!(monitor.shared(), 20);
    give_back(&donated, pages);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
    check(&donated);
}

#[test]
fn a_share_that_fails_leaves_nothing_behind() {
    for (takes_lists, error) in
        [(false, REFUSED), (true, REFUSED), (false, UNKNOWN), (true, UNKNOWN)]
    {
        for nth in 0.. {
            let monitor = Monitor::new(BYTES);
            let donated = donated(&monitor);
            monitor.rules().takes_lists = takes_lists;
            monitor.rules().fail_share = Fail::Nth(nth, error);
            let pages = bulk(&donated, 40);
            check(&donated);
            assert_eq!(donated.figures().share_failures, u64::from(pages.is_err()));
            let Ok(pages) = pages else {
                let code = if error == REFUSED { -22 } else { -110 };
                assert_eq!(pages.err(), Some(AllocError::NotShared { code }));
                assert_eq!(monitor.shared(), 0);
                let lost = monitor.lost();
                assert_eq!(lost > 0, error == UNKNOWN);
                assert!(lost <= if takes_lists { 16 } else { 1 });
                assert_eq!(monitor.in_use(), lost * 4096);
                // There is no need to avoid the allocator after that.
                give_back(&donated, bulk(&donated, 40).unwrap());
                continue;
            };
            assert_eq!(nth, 40);
            give_back(&donated, pages);
            break;
        }
    }
}

#[test]
fn what_is_not_reclaimed_after_a_failed_share_is_quarantined() {
    let monitor = Monitor::new(BYTES);
    let donated = donated(&monitor);
    monitor.rules().fail_share = Fail::Nth(30, REFUSED);
    monitor.rules().fail_reclaim = Fail::Nth(3, REFUSED);
    assert_eq!(bulk(&donated, 40).err(), Some(AllocError::NotShared { code: -22 }));
    let figures = donated.figures();
    assert_eq!((figures.shared, figures.quarantined, figures.reclaim_failures), (0, 1, 1));
    assert_eq!(monitor.in_use(), 4096);
    check(&donated);
}

#[test]
fn a_page_that_is_not_reclaimed_is_never_used_again() {
    for (takes_lists, error) in
        [(false, REFUSED), (true, REFUSED), (false, UNKNOWN), (true, UNKNOWN)]
    {
        for nth in 0..40 {
            let monitor = Monitor::new(BYTES);
            let donated = donated(&monitor);
            monitor.rules().takes_lists = takes_lists;
            monitor.rules().fail_reclaim = Fail::Nth(nth, error);
            give_back(&donated, bulk(&donated, 40).unwrap());
            let lost = monitor.lost();
            let most = if takes_lists && error == UNKNOWN { 16 } else { 1 };
            assert!((1..=most).contains(&lost), "{lost}");
            check(&donated);
            // All that there is; the monitor panics where a lost page is handed out.
            let mut rest = PageList::new();
            rest.extend_with(iter::from_fn(|| donated.alloc(PAGE, CONTEXT).ok()));
            assert_eq!(rest.len(), BYTES / 4096 - lost);
            give_back(&donated, rest);
            drop(donated);
            assert_eq!((monitor.shared(), monitor.in_use()), (0, lost * 4096));
        }
    }
}

#[test]
fn tables_smaller_than_what_can_be_shared_take_as_much() {
    let monitor = Monitor::sleeping(BYTES);
    let donated = donated(&monitor);
    let small = TableLayout::new(64).unwrap();
    let page = donated.alloc(small, CONTEXT).unwrap();
    let mut pages = donated.alloc_bulk(small, &TableCount::of(3, 3), CONTEXT).unwrap();
    pages.push(page);
    assert_eq!((monitor.shared(), monitor.in_use()), (4, 4 * 4096));
    let mut back = PageList::new();
    for page in pages {
        assert_eq!(page.layout(), small);
        assert!(page.is_zeroed());
        back.push(page);
    }
    give_back(&donated, back);
    // Of a whole page that was written to, 64 bytes that are zeroed again say nothing.
    for page in
        iter::from_fn(|| donated.alloc(PAGE, CONTEXT.non_blocking()).ok()).collect::<Vec<_>>()
    {
        free(&donated, scribble(page));
    }
    let mut page = donated.alloc(small, CONTEXT.non_blocking()).unwrap();
    page.make_zeroed(&donated);
    free(&donated, page);
    let page = donated.alloc(PAGE, CONTEXT.non_blocking()).unwrap();
    assert!(!page.is_zeroed());
    free(&donated, page);
    assert_eq!(donated.reclaim_pending(), 4);
    check(&donated);
}

#[test]
fn an_account_below_pays_for_quarantined_pages_and_one_above_does_not() {
    let monitor = Monitor::new(BYTES);
    let (host, guest) = (Account::new("host", u64::MAX), Account::new("guest", u64::MAX));
    let donated = Donated::new(Accounted::new(&monitor, &host), &monitor);
    let allocator = Accounted::new(&donated, &guest);
    monitor.rules().fail_reclaim = Fail::Nth(1, REFUSED);
    give_back(&allocator, bulk(&allocator, 3).unwrap());
    assert_eq!((host.charged(), guest.charged()), (4096, 0));
}

#[test]
fn what_upstream_refuses_is_not_shared() {
    let monitor = Monitor::new(BYTES);
    let failing = Failing::new(&monitor);
    let donated = Donated::new(&failing, &monitor);
    failing.fail_nth(5);
    assert_eq!(bulk(&donated, 10).err(), Some(AllocError::OutOfMemory { pages: 10 }));
    assert_eq!((monitor.rules().calls, failing.live()), (0, 0));
}

#[test]
fn many_threads_share_and_reclaim_at_once() {
    const ROUNDS: u64 = if cfg!(miri) { 4 } else { 500 };
    for sleeps in [false, true] {
        let monitor = Monitor::new(BYTES);
        monitor.rules().sleeps = sleeps;
        monitor.rules().fail_share = Fail::Every(37, REFUSED);
        let donated = donated(&monitor);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        if let Ok(pages) = bulk(&donated, 1 + round % 5) {
                            pages.for_each(|page| free(&donated, scribble(page)));
                        }
                        if round % 16 == 0 {
                            donated.reclaim_pending();
                        }
                    }
                });
            }
        });
        check(&donated);
        donated.reclaim_pending();
        assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
    }
}
