//! Every allocator keeps the contract: one suite, listed once for each.

#![cfg(feature = "alloc")]

mod monitor;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::{array, iter, slice};

use core::ffi::c_void;
use core::ptr::NonNull;

use iopgtable::memory::{
    Account, Accounted, AllocContext, AllocError, Copies, CopyEngine, CopyQueue, Donated, Failing,
    Heap, HookTable, Hooks, PageList, PartyError, Pool, Publish, Region, TableAllocator,
    TableLayout, TablePage, Watermarks,
};
use iopgtable::{Iova, PhysAddr, TableCount};
use monitor::{Fail, Monitor};
use proptest::prelude::*;

const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));

/// What a walker that cannot see the CPU's memory sees: a copy, brought up to date by publishing.
struct Mirror {
    base: PhysAddr,
    bytes: Mutex<Vec<u8>>,
}

impl Mirror {
    /// Full of garbage.
    fn new(base: PhysAddr, bytes: usize) -> Self {
        Self { base, bytes: Mutex::new(vec![0xa5; bytes]) }
    }

    fn read(&self, phys: PhysAddr, bytes: usize) -> Vec<u8> {
        let start = usize::try_from(phys.0 - self.base.0).expect("below the mirror");
        self.bytes.lock().expect("poisoned")[start..start + bytes].to_vec()
    }
}

// SAFETY: a copy takes effect when it is made.
unsafe impl Publish for Mirror {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        let start = usize::try_from(phys.0 - self.base.0).expect("below the mirror");
        // SAFETY: whoever publishes has written those bytes and holds them.
        let written = unsafe { slice::from_raw_parts(cpu.as_ptr(), bytes) };
        self.bytes.lock().expect("poisoned")[start..start + bytes].copy_from_slice(written);
    }
}

// SAFETY: as above.
unsafe impl CopyEngine for Mirror {
    fn submit(&self, copies: Copies<'_>) {
        for copy in copies {
            self.publish(NonNull::from(copy.words).cast(), copy.phys, 8 * copy.words.len());
        }
    }
}

/// What the walker sees of so many bytes, if not what the CPU sees.
type Walker<'a> = &'a dyn Fn(PhysAddr, usize) -> Option<Vec<u8>>;

/// The pages that are out, by physical address, with the byte that fills each.
struct Model<'a, A> {
    allocator: &'a A,
    walker: Walker<'a>,
    out: BTreeMap<u64, (TablePage, u8)>,
    next_fill: u8,
}

impl<A: TableAllocator> Model<'_, A> {
    fn take_in(&mut self, page: TablePage, layout: TableLayout) {
        let (bytes, phys) = (layout.bytes(), page.phys().0);
        assert_eq!(page.layout(), layout);
        assert_eq!(page.cpu().addr().get() % bytes, 0, "CPU address of {page:?}");
        assert_eq!(phys % bytes as u64, 0, "physical address of {page:?}");
        assert!(phys + (bytes as u64 - 1) <= self.allocator.last_phys().0, "MEM-LIMIT: {page:?}");
        assert_eq!(self.allocator.cpu_address(page.phys()), page.cpu(), "MEM-REACH: {page:?}");
        let below = self.out.range(..=phys).next_back();
        let above = self.out.range(phys..).next();
        assert!(
            below.is_none_or(|(&start, (page, _))| start + page.layout().bytes() as u64 <= phys)
                && above.is_none_or(|(&start, _)| phys + bytes as u64 <= start),
            "MEM-OWN: {page:?} is part of a page that is out"
        );
        if page.is_zeroed() {
            // SAFETY: the page is ours and zeroed, hence initialized.
            let seen = unsafe { slice::from_raw_parts(page.cpu().as_ptr().cast::<u8>(), bytes) };
            assert!(seen.iter().all(|&byte| byte == 0), "{page:?} is not, for the CPU");
            if let Some(seen) = (self.walker)(page.phys(), bytes) {
                assert!(seen.iter().all(|&byte| byte == 0), "{page:?} is not, for walkers");
            }
        }
        self.next_fill = self.next_fill.checked_add(1).unwrap_or(1);
        // SAFETY: the page is ours.
        unsafe { page.cpu().cast::<u8>().write_bytes(self.next_fill, bytes) };
        self.allocator.publish(page.cpu().cast(), page.phys(), bytes);
        self.out.insert(phys, (page, self.next_fill));
    }

    /// Takes the `index`-th page that is out, modulo their number, and what its holder wrote.
    fn take_out(&mut self, index: usize) -> Option<TablePage> {
        let &phys = self.out.keys().nth(index.checked_rem(self.out.len())?)?;
        let (page, fill) = self.out.remove(&phys)?;
        // SAFETY: the page is ours, and we have written all of it.
        let seen = unsafe {
            slice::from_raw_parts(page.cpu().as_ptr().cast::<u8>(), page.layout().bytes())
        };
        assert!(seen.iter().all(|&byte| byte == fill), "MEM-OWN: {page:?} was written to");
        // SAFETY: the same page, which is not zeroed any more.
        Some(unsafe { TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false) })
    }

    fn free(&mut self, index: usize) {
        if let Some(page) = self.take_out(index) {
            // SAFETY: the page came from the allocator; there is no walker.
            unsafe { self.allocator.free(page) };
        }
    }

    fn free_bulk(&mut self, count: usize) {
        let mut pages = PageList::new();
        for page in iter::repeat_with(|| self.take_out(0)).take(count).flatten() {
            pages.push(page);
        }
        // SAFETY: the pages came from the allocator; there is no walker.
        unsafe { self.allocator.free_bulk(pages) };
    }

    fn alloc(&mut self, layout: TableLayout) {
        match self.allocator.alloc(layout, CONTEXT) {
            Ok(page) => self.take_in(page, layout),
            Err(error) => assert!(expected(error), "{error:?}"),
        }
    }

    fn alloc_bulk(&mut self, layout: TableLayout, count: usize) {
        match self.allocator.alloc_bulk(layout, &TableCount::of(3, count as u64), CONTEXT) {
            Ok(pages) => {
                assert_eq!(pages.len(), count);
                for page in pages {
                    self.take_in(page, layout);
                }
            }
            Err(error) => assert!(expected(error), "{error:?}"),
        }
    }
}

fn expected(error: AllocError) -> bool {
    matches!(
        error,
        AllocError::OutOfMemory { .. } | AllocError::Limit(_) | AllocError::NotShared { .. }
    )
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(usize),
    AllocBulk(usize, usize),
    Free(usize),
    FreeBulk(usize),
}

const LAYOUTS: [TableLayout; 3] = [
    TableLayout::PAGE_4K,
    TableLayout::new(16 << 10).expect("a power of two"),
    TableLayout::new(64).expect("the smallest"),
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let layout = prop_oneof![4 => Just(0usize), 1 => Just(1), 1 => Just(2)];
    let step = prop_oneof![
        4 => layout.clone().prop_map(Step::Alloc),
        2 => (layout, 0usize..12).prop_map(|(layout, count)| Step::AllocBulk(layout, count)),
        4 => any::<usize>().prop_map(Step::Free),
        1 => (0usize..16).prop_map(Step::FreeBulk),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 12 } else { 80 })
}

/// Runs `steps` against `allocator` with a model of who owns what; at the end all is back.
fn conforms<A: TableAllocator>(allocator: &A, steps: &[Step], walker: Walker<'_>) {
    let mut model = Model { allocator, walker, out: BTreeMap::new(), next_fill: 0 };
    for step in steps {
        match *step {
            Step::Alloc(layout) => model.alloc(LAYOUTS[layout]),
            Step::AllocBulk(layout, count) => model.alloc_bulk(LAYOUTS[layout], count),
            Step::Free(index) => model.free(index),
            Step::FreeBulk(count) => model.free_bulk(count),
        }
        allocator.commit();
    }
    model.free_bulk(model.out.len());
    assert!(model.out.is_empty());
}

/// For walkers that see what the CPU sees.
fn snoops(_: PhysAddr, _: usize) -> Option<Vec<u8>> {
    None
}

const BASE: PhysAddr = PhysAddr(0x4_0000_0000 + 4096);
const BYTES: usize = 128 << 10;

fn region() -> Region {
    Region::with_capacity(BASE, BYTES).expect("a good region")
}

unsafe extern "C" fn heap_alloc(
    _: *mut c_void,
    bytes: usize,
    _: i8,
    _: bool,
    _: u64,
    _: bool,
) -> *mut u8 {
    let Some(layout) = TableLayout::new(bytes) else {
        return core::ptr::null_mut();
    };
    Heap.alloc(layout, CONTEXT).map_or(core::ptr::null_mut(), |page| page.cpu().as_ptr().cast())
}

unsafe extern "C" fn heap_free(_: *mut c_void, page: *mut u8, bytes: usize) {
    let (cpu, layout) = (NonNull::new(page.cast()), TableLayout::new(bytes));
    let (Some(cpu), Some(layout)) = (cpu, layout) else {
        return;
    };
    let phys = PhysAddr(cpu.addr().get() as u64);
    // SAFETY: the caller says that the page is one of ours, and gives it up.
    unsafe { Heap.free(TablePage::from_raw_parts(cpu, phys, layout, false)) };
}

unsafe extern "C" fn heap_phys(_: *mut c_void, page: *const u8) -> u64 {
    page.expose_provenance() as u64
}

unsafe extern "C" fn heap_virt(_: *mut c_void, phys: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(phys).unwrap_or(0))
}

fn hooks() -> Hooks {
    let table = HookTable {
        alloc: heap_alloc,
        free: heap_free,
        virt_to_phys: heap_phys,
        phys_to_virt: heap_virt,
        publish: None,
        commit: None,
        zeroed: true,
    };
    // SAFETY: the callbacks pass on to the heap, and need no cookie.
    unsafe { Hooks::new(core::ptr::null_mut(), table, PhysAddr(u64::MAX), true) }
}

const WATERMARKS: Watermarks = Watermarks { low: 2, batch: 5, high: 9 };

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 128 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_heap_keeps_the_contract(steps in steps()) {
        conforms(&Heap::new(), &steps, &snoops);
    }

    #[test]
    fn pointers_to_allocators_keep_the_contract(steps in steps()) {
        conforms(&&Heap::new(), &steps, &snoops);
        conforms(&Arc::new(Heap::new()), &steps, &snoops);
        conforms(&Box::new(Heap::new()), &steps, &snoops);
    }

    #[test]
    fn hooks_keep_the_contract(steps in steps()) {
        conforms(&hooks(), &steps, &snoops);
    }

    #[test]
    fn a_region_keeps_the_contract(steps in steps()) {
        let region = region();
        conforms(&region, &steps, &snoops);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_region_whose_walker_sees_only_what_is_published_keeps_the_contract(steps in steps()) {
        let mirror = Mirror::new(BASE, BYTES);
        let region = Region::with_capacity_and_publisher(BASE, BYTES, &mirror)
            .expect("a good region");
        conforms(&region, &steps, &|phys, bytes| Some(mirror.read(phys, bytes)));
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_region_behind_a_copy_engine_keeps_the_contract(steps in steps(), words in 3usize..2000) {
        let (mirror, mut buffer) = (Mirror::new(BASE, BYTES), vec![0; words]);
        let queue = CopyQueue::new(&mut buffer, &mirror).expect("room for a word");
        let region = Region::with_capacity_and_publisher(BASE, BYTES, queue)
            .expect("a good region");
        let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
        conforms(&pool, &steps, &|phys, bytes| {
            // A link would be published behind what is queued.
            region.publisher().commit();
            Some(mirror.read(phys, bytes))
        });
        drop(pool);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_pool_keeps_the_contract(steps in steps()) {
        let region = region();
        let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
        conforms(&pool, &steps, &snoops);
        prop_assert_eq!(region.in_use(), pool.figures().free * 4096);
        drop(pool);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_pool_whose_walker_sees_only_what_is_published_keeps_the_contract(steps in steps()) {
        let mirror = Mirror::new(BASE, BYTES);
        let region = Region::with_capacity_and_publisher(BASE, BYTES, &mirror)
            .expect("a good region");
        let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
        conforms(&pool, &steps, &|phys, bytes| Some(mirror.read(phys, bytes)));
        drop(pool);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn an_accounted_allocator_keeps_the_contract(steps in steps()) {
        let account = Account::new("test", 20 * 4096);
        let pool = Pool::new(Heap::new(), TableLayout::PAGE_4K, WATERMARKS);
        conforms(&Accounted::new(&pool, &account), &steps, &snoops);
        prop_assert_eq!(account.charged(), 0);
        prop_assert!(account.peak() <= account.limit());
    }

    #[test]
    fn a_failing_allocator_keeps_the_contract(steps in steps(), nth in 0u64..40) {
        let failing = Failing::new(Heap::new());
        failing.fail_nth(nth);
        conforms(&failing, &steps, &snoops);
        prop_assert_eq!(failing.live(), 0);
        prop_assert!(failing.failures() <= 1);
    }

    #[test]
    fn donated_pages_keep_the_contract(steps in steps(), sleeps in any::<bool>(), nth in 0u64..60) {
        let monitor = Monitor::new(BYTES);
        monitor.rules().sleeps = sleeps;
        monitor.rules().fail_share = Fail::Nth(nth, PartyError::Refused { code: 1 });
        monitor.rules().fail_reclaim = Fail::Nth(nth, PartyError::Unknown { code: 1 });
        let donated = Donated::new(&monitor, &monitor);
        conforms(&donated, &steps, &|phys, bytes| Some(monitor.read_bytes(phys, bytes)));
        donated.reclaim_pending();
        prop_assert_eq!(donated.figures().quarantined, monitor.lost());
        prop_assert_eq!((monitor.shared(), monitor.in_use()), (0, monitor.lost_bytes()));
    }

    #[test]
    fn a_pool_of_donated_pages_keeps_the_contract(steps in steps(), sleeps in any::<bool>()) {
        let monitor = Monitor::new(BYTES);
        monitor.rules().sleeps = sleeps;
        let donated = Donated::new(&monitor, &monitor);
        let pool = Pool::new(donated, TableLayout::PAGE_4K, WATERMARKS);
        let account = Account::new("test", 20 * 4096);
        let walker = |phys, bytes| Some(monitor.read_bytes(phys, bytes));
        conforms(&Accounted::new(&pool, &account), &steps, &walker);
        drop(pool);
        prop_assert_eq!((monitor.shared(), monitor.in_use(), account.charged()), (0, 0, 0));
    }

    #[test]
    fn all_of_them_on_top_of_each_other_keep_the_contract(steps in steps(), nth in 0u64..40) {
        let (device, region) = (Account::new("device", 24 * 4096), Failing::new(region()));
        let vm = Account::with_parent("vm", 20 * 4096, &device);
        region.fail_nth(nth);
        let pool = Pool::new(Accounted::new(&region, &device), TableLayout::PAGE_4K, WATERMARKS);
        conforms(&Accounted::new(&pool, &vm), &steps, &snoops);
        prop_assert_eq!(region.live(), pool.figures().free);
        prop_assert_eq!(device.charged(), pool.figures().free as u64 * 4096);
        drop(pool);
        prop_assert_eq!((vm.charged(), device.charged(), region.live()), (0, 0, 0));
    }
}

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
