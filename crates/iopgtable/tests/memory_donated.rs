//! Donated pages are shared before they are handed out and private before they go back; what the
//! party keeps is never used again.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod monitor;
mod ops;

use std::iter;

use iopgtable::memory::{
    Account, Accounted, AllocContext, AllocError, BulkError, Donated, Failing, PageList, Party,
    PartyError, Pool, Region, TableAllocator, TableLayout, TableMemory, TablePage, Watermarks,
};
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, Iova, PageTable,
    PhysAddr, Prot, Segment, TableCount,
};
use machine::{Walked, finish, range};
use model::Model;
use monitor::{Fail, Monitor};
use ops::Raw;
use proptest::prelude::*;
use walkers::{Access, FaultKind};

const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));
const PAGE: TableLayout = TableLayout::PAGE_4K;
const BYTES: usize = 64 * 4096;
const REFUSED: PartyError = PartyError::Refused { code: -22 };
const UNKNOWN: PartyError = PartyError::Unknown { code: -110 };

type Pages<'m> = Donated<&'m Monitor, &'m Monitor>;

fn donated(monitor: &Monitor) -> Pages<'_> {
    Donated::new(monitor, monitor)
}

fn bulk(allocator: &impl TableAllocator, count: u64) -> Result<PageList, AllocError> {
    allocator.alloc_bulk(PAGE, &TableCount::of(3, count), CONTEXT)
}

fn give_back(allocator: &impl TableAllocator, pages: PageList) {
    // SAFETY: the tests give back what they got from there; there is no walker.
    unsafe { allocator.free_bulk(pages) };
}

fn free(allocator: &impl TableAllocator, page: TablePage) {
    // SAFETY: as above.
    unsafe { allocator.free(page) };
}

/// The page, written to.
#[expect(clippy::needless_pass_by_value, reason = "one page becomes another")]
fn scribble(page: TablePage) -> TablePage {
    // SAFETY: the page is ours.
    unsafe { page.cpu().cast::<u8>().write_bytes(0x5a, page.layout().bytes()) };
    // SAFETY: the same page, which is not zeroed any more.
    unsafe { TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false) }
}

/// That the figures agree with the monitor.
fn check(donated: &Pages<'_>) {
    let (figures, monitor) = (donated.figures(), donated.party());
    assert_eq!((figures.shared, figures.quarantined), (monitor.shared(), monitor.lost()));
    assert!(figures.pending <= figures.shared);
    let now = (figures.shared + figures.quarantined) as u64;
    assert_eq!(figures.shares, figures.reclaims + now, "{figures:?}");
}

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

trait Extend {
    fn extend_with(&mut self, pages: impl Iterator<Item = TablePage>);
}

impl Extend for PageList {
    fn extend_with(&mut self, pages: impl Iterator<Item = TablePage>) {
        pages.for_each(|page| self.push(page));
    }
}

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
fn with_a_pool_on_top_reservations_do_not_sleep() {
    let monitor = Monitor::sleeping(BYTES);
    let watermarks = Watermarks { low: 4, batch: 8, high: 32 };
    let pool = Pool::new(donated(&monitor), PAGE, watermarks);
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &pool).unwrap();
    pool.fill(16).unwrap();
    assert_eq!(monitor.shared(), pool.figures().free + 1);

    monitor.rules().atomic = true;
    let asked = monitor.rules().asked;
    let all = range(0x1000, 0x2000);
    let page = Segment::new(PhysAddr(0x1000), 0x2000);
    let count = table.exact_tables(all, [page], Prot::RW).unwrap();
    let mut pages = table.reserver().reserve(&count, all.first(), false).unwrap();
    let mut reserved = table.reserved(&mut pages).unwrap();
    let gather = reserved.map(all, [page], Prot::RW).unwrap();
    finish(&table, gather);
    assert_eq!(walk(&monitor, &table, 0x1000), Some(0x1000));
    let gather = table.unmap(all, table.geometry().whole()).unwrap();
    assert_eq!(finish(&table, gather), 3);
    assert_eq!(monitor.rules().asked, asked, "all came from the pool, and went there");

    monitor.rules().atomic = false;
    drop((pages, table));
    drop(pool);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
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

/// A party that has no bulk forms, and answers by address.
struct Single;

fn answer(page: Segment) -> Result<(), PartyError> {
    match page.phys.0 {
        0x3000 => Err(REFUSED),
        0x5000 => Err(UNKNOWN),
        _ => Ok(()),
    }
}

// SAFETY: nobody walks.
unsafe impl Party for Single {
    fn share(&self, page: Segment, _: bool) -> Result<(), PartyError> {
        answer(page)
    }
    fn reclaim(&self, page: Segment, _: bool) -> Result<(), PartyError> {
        answer(page)
    }
}

#[test]
fn a_party_without_bulk_forms_is_asked_page_by_page_up_to_its_first_error() {
    let pages = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000];
    let pages = pages.map(|phys| Segment::new(PhysAddr(phys), 4096));
    let refused = Err(BulkError { done: 2, unknown: 0, error: REFUSED });
    let unknown = Err(BulkError { done: 1, unknown: 1, error: UNKNOWN });
    for party in [&Single as &dyn Party, &&Single] {
        assert_eq!(party.share_bulk(&pages, true), refused);
        assert_eq!(party.share_bulk(&pages[3..], true), unknown);
        assert_eq!(party.reclaim_bulk(&pages, true), refused);
        assert_eq!(party.reclaim_bulk(&pages[3..], true), unknown);
        assert_eq!(party.reclaim_bulk(&pages[..2], true), Ok(()));
        assert_eq!(party.granule(), PAGE);
    }
}

/// A party that says nonsense.
struct Confused;

// SAFETY: nobody walks.
unsafe impl Party for Confused {
    fn share(&self, _: Segment, _: bool) -> Result<(), PartyError> {
        Ok(())
    }
    fn reclaim(&self, _: Segment, _: bool) -> Result<(), PartyError> {
        Ok(())
    }
    fn reclaim_bulk(&self, _: &[Segment], _: bool) -> Result<(), BulkError> {
        let (done, unknown) = (usize::MAX, usize::MAX);
        Err(BulkError { done, unknown, error: UNKNOWN })
    }
}

#[test]
fn numbers_out_of_range_do_no_harm() {
    let region = Region::with_capacity(PhysAddr(0), BYTES).unwrap();
    let donated = Donated::new(&region, Confused);
    give_back(&donated, bulk(&donated, 20).unwrap());
    assert_eq!((region.in_use(), donated.figures().shared), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Alloc { count: u64, bulk: bool, may_block: bool, layout: usize },
    Free { first: usize, count: usize, bulk: bool },
    Reclaim,
    Sleeps(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u64..24, any::<bool>(), any::<bool>(), 0usize..4)
            .prop_map(|(count, bulk, may_block, layout)| Step::Alloc { count, bulk, may_block, layout }),
        6 => (any::<usize>(), 1usize..40, any::<bool>())
            .prop_map(|(first, count, bulk)| Step::Free { first, count, bulk }),
        1 => Just(Step::Reclaim),
        1 => any::<bool>().prop_map(Step::Sleeps),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 8 } else { 60 })
}

fn failures() -> impl Strategy<Value = Fail> {
    let error = prop_oneof![Just(REFUSED), Just(UNKNOWN), Just(PartyError::WouldBlock)];
    prop_oneof![
        1 => Just(Fail::Never),
        3 => (2u64..60, error).prop_map(|(every, error)| Fail::Every(every, error)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 192 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_fails_no_page_is_used_that_the_party_reaches(
        steps in steps(),
        (share, reclaim) in (failures(), failures()),
        takes_lists in any::<bool>(),
    ) {
        let monitor = Monitor::new(BYTES);
        {
            let mut rules = monitor.rules();
            (rules.fail_share, rules.fail_reclaim) = (share, reclaim);
            rules.takes_lists = takes_lists;
        }
        let donated = donated(&monitor);
        let mut out: Vec<TablePage> = Vec::new();
        let mut peak = 0;
        for step in steps {
            match step {
                Step::Alloc { count, bulk, may_block, layout } => {
                    let layout = TableLayout::new([64, 4096, 4096, 8192][layout]).unwrap();
                    let context = if may_block { CONTEXT } else { CONTEXT.non_blocking() };
                    monitor.rules().atomic = !may_block;
                    let before = donated.figures();
                    let pages = if bulk {
                        donated.alloc_bulk(layout, &TableCount::of(3, count), context)
                    } else {
                        donated.alloc(layout, context).map(|page| {
                            let mut pages = PageList::new();
                            pages.push(page);
                            pages
                        })
                    };
                    if let Ok(pages) = pages {
                        prop_assert_eq!(pages.len() as u64, if bulk { count } else { 1 });
                        out.extend(pages.map(scribble));
                    } else {
                        let after = donated.figures();
                        prop_assert_eq!(after.shared - after.pending, before.shared - before.pending);
                    }
                }
                Step::Free { first, count, bulk } => {
                    monitor.rules().atomic = true;
                    let first = first % (out.len() + 1);
                    let freed = out.drain(first..(first + count).min(out.len()));
                    if bulk {
                        let mut pages = PageList::new();
                        pages.extend_with(freed);
                        give_back(&donated, pages);
                    } else {
                        freed.for_each(|page| free(&donated, page));
                    }
                }
                Step::Reclaim => {
                    monitor.rules().atomic = false;
                    donated.reclaim_pending();
                }
                Step::Sleeps(sleeps) => monitor.rules().sleeps = sleeps,
            }
            peak = peak.max(out.len());
            check(&donated);
            let figures = donated.figures();
            prop_assert_eq!(figures.shared, out.len() + figures.pending);
        }
        for page in out {
 free(&donated, page);
 }
        {
            let mut rules = monitor.rules();
            rules.atomic = false;
            (rules.fail_share, rules.fail_reclaim) = (Fail::Never, Fail::Never);
        }
        donated.reclaim_pending();
        prop_assert_eq!(monitor.shared(), 0);
        check(&donated);
    }
}

/// Where `address` leads for the party's device, which may only read what is shared.
fn walk<F: Walked, A: TableAllocator>(
    monitor: &Monitor,
    table: &PageTable<F, A>,
    address: u64,
) -> Option<u64> {
    // SAFETY: the walk ends before this function does, and the table stays.
    let registers = unsafe { table.registers() };
    let read = |phys| monitor.read(phys);
    match iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ) {
        Ok(found) => Some(found.address),
        Err(fault) => {
            assert_eq!(fault.kind, FaultKind::Translation, "garbage at {address:#x}: {fault}");
            None
        }
    }
}

fn history<F: Walked, A: TableAllocator + Clone>(
    config: Config,
    monitor: &Monitor,
    allocator: A,
    raw: &[(Raw, bool)],
    mut between: impl FnMut(),
) {
    let mut table = PageTable::<F, A>::new(config, allocator).expect("a good configuration");
    let mut model = Model::new(*table.geometry());
    for (raw, reserve) in raw {
        let Some((gather, range)) = raw.operate(&mut table, &mut model, *reserve) else {
            continue;
        };
        let look = |table: &PageTable<F, A>| {
            for address in model.addresses(range, 12) {
                let expected = model.get(address).map(|(phys, _)| phys);
                assert_eq!(walk(monitor, table, address), expected, "at {address:#x}");
            }
        };
        look(&table);
        finish(&table, gather);
        look(&table);
        between();
        look(&table);
    }
}

fn histories<F: Walked>(config: Config, raw: &[(Raw, bool)], sleeps: bool) {
    let monitor = Monitor::new(8 << 20);
    monitor.rules().sleeps = sleeps;
    let donated = donated(&monitor);
    let mut count = 0;
    history::<F, _>(config, &monitor, &donated, raw, || {
        count += 1;
        if count % 3 == 0 {
            donated.reclaim_pending();
        }
    });
    check(&donated);
    donated.reclaim_pending();
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));

    let layout = TableLayout::of::<F>();
    let pool = Pool::new(donated, layout, Watermarks { low: 2, batch: 5, high: 9 });
    history::<F, _>(config, &monitor, &pool, raw, || {
        pool.shrink(3);
    });
    drop(pool);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    raw in prop::collection::vec((ops::all(), any::<bool>()), 1..12),
                    sleeps in any::<bool>(),
                ) {
                    histories::<$format>(Config::new($input, $output), &raw, sleeps);
                }
            )*
        }
    };
}
histories! {
    every_table_that_is_walked_is_shared_s1_4k: Arm64S1<Granule4K>, 48, 48;
    every_table_that_is_walked_is_shared_s1_16k: Arm64S1<Granule16K>, 47, 48;
    every_table_that_is_walked_is_shared_s2_4k: Arm64S2<Granule4K>, 40, 40;
    every_table_that_is_walked_is_shared_s2_64k: Arm64S2<Granule64K>, 42, 42;
    every_table_that_is_walked_is_shared_mali: ArmMali, 33, 40;
}
