//! Running jobs allocates nothing: not by type alone, but counted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod ops;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use gpuvm::{Backing, Device, InFlight, Op, Timeline, Vm, VmOptions};
use iopgtable::memory::{Account, Accounted, Pool, Region, TableLayout, Watermarks};
use iopgtable::{Invalidate, Invalidation, IovaRange, PhysAddr, Prot, Segment};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

thread_local! {
    /// The allocations of this thread. Needs no memory itself: it is const and has no drop.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no count any more, and nobody who asks.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

/// The system's allocator, with a count of what it is asked for.
struct Counting;

// SAFETY: every call goes to the system's allocator, whose contract is its own; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on; the block came from there.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on; the block came from there.
        unsafe { System.realloc(block, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Forgets at once; allocates where it must not, if told to.
#[derive(Default)]
struct Careless {
    allocates: bool,
    invalidations: u64,
}

// SAFETY: nothing walks the tables.
unsafe impl Invalidate for Careless {
    type Error = &'static str;
    fn invalidate(&mut self, _: &Invalidation) -> Result<(), &'static str> {
        self.invalidations += 1;
        Ok(())
    }
}

impl Device for Careless {
    fn begin(&mut self, job: u64, _: IovaRange) -> Result<(), &'static str> {
        if self.allocates {
            std::hint::black_box(Box::new(job));
        }
        Ok(())
    }
}

type PooledVm<'p> = Vm<S1, &'p Pool<Region>, Careless>;

fn pool(high: usize) -> Pool<Region> {
    let region = Region::with_capacity(PhysAddr(1 << 40), 512 << 20).unwrap();
    let watermarks = Watermarks { high, ..Watermarks::default() };
    Pool::new(region, TableLayout::PAGE_4K, watermarks)
}

fn vm(pool: &Pool<Region>) -> PooledVm<'_> {
    Vm::new(CONFIG, pool, Careless::default()).unwrap()
}

#[test]
fn each_kind_of_job_runs_without_an_allocation() {
    let pool = pool(1024);
    let vm = vm(&pool);
    let out = Timeline::new();
    let block = ops::backing(4 * GIB, 2 * MIB);
    let pages = ops::backing(5 * GIB + PAGE, 2 * MIB);
    let zeros = Backing::repeating([Segment::new(PhysAddr(6 * GIB), 64 << 10)]).unwrap();
    let of = Arc::<Backing>::clone;
    let part = ops::range(8 * GIB + MIB, 8 * MIB);
    let kinds: [(&str, Vec<Op>); 17] = [
        ("pages", vec![map(0, 3 * MIB, PAGE)]),
        ("blocks", vec![map(GIB, GIB, GIB), map(2 * GIB, 64 * MIB, 2 * MIB)]),
        ("replaced by pages", vec![map(0, MIB, 3 * PAGE)]),
        ("a block that is cut by a map", vec![map(GIB + 5 * PAGE, PAGE, 0)]),
        ("a block that is cut by an unmap", vec![unmap(2 * GIB + MIB, 20 * MIB + PAGE)]),
        ("tables in the place of a block", vec![map(GIB, GIB, GIB)]),
        ("tables that come loose", vec![unmap(0, 4 * GIB)]),
        ("synchronisation", vec![Op::SyncOnly, unmap(0, PAGE)]),
        ("a sparse map", vec![ops::map_backing(7 * GIB, 64 * MIB, &zeros)]),
        ("blocks", vec![map(8 * GIB, GIB, GIB), ops::map_backing(12 * GIB, 2 * MIB, &block)]),
        ("a block that is cut by a protect", vec![Op::Protect { range: part, prot: Prot::READ }]),
        ("splits", vec![Op::Split { range: ops::range(8 * GIB + 31 * MIB, 32 * MIB) }]),
        ("an eviction", vec![Op::Evict { backing: of(&block) }, unmap(12 * GIB + PAGE, PAGE)]),
        ("a restoration", vec![Op::Restore { backing: of(&block), with: of(&pages) }]),
        ("evicted again", vec![Op::Evict { backing: of(&pages) }, unmap(12 * GIB, MIB)]),
        ("all that is left", vec![unmap(0, 1 << 40)]),
        ("all of them", vec![map(0, GIB, 0), unmap(PAGE, PAGE), map(0, MIB, MIB), unmap(0, GIB)]),
    ];
    for (number, (name, ops)) in (1..).zip(kinds) {
        let done = vm.submit(ops, [], [out.point(number)]).unwrap();
        let made = allocations(|| {
            vm.run_ready();
        });
        assert_eq!(made, 0, "{name}");
        assert_eq!((done.state(), out.value()), (Some(Ok(())), number), "{name}");
    }
    let figures = vm.figures();
    assert_eq!(figures.tables_live(), 0);
    assert!(figures.tables_freed > 10, "{figures:?}");
}

#[test]
fn an_allocation_on_the_way_is_noticed() {
    let pool = pool(1024);
    let vm = vm(&pool);
    vm.with_device(|device| device.allocates = true);
    for _ in 0..3 {
        vm.submit([map(0, PAGE, 0)], [], []).unwrap();
    }
    let made = allocations(|| {
        vm.run_ready();
    });
    assert_eq!(made, 3, "one at the beginning of each job");
}

/// Jobs of four queues wait for one line, which is reached point by point; they overtake, and
/// what they wait for is looked at many times. An account, a limit, spare pages and a record are
/// there, too.
#[test]
fn jobs_of_many_queues_run_without_an_allocation_whatever_overtakes_what() {
    const JOBS: u64 = 2000;
    let pool = pool(64);
    let account = Account::new("vm", Account::UNLIMITED);
    let options = VmOptions::new().in_flight(InFlight::new(u64::MAX)).spare_pages(true).record(16);
    let allocator = Accounted::new(&pool, &account);
    let vm = Vm::<S1, _, _>::with_options(CONFIG, allocator, Careless::default(), options).unwrap();
    let queues: Vec<_> = (0..4).map(|_| vm.queue()).collect();
    let (gate, out) = (Timeline::new(), Timeline::new());
    let mut runner = TestRunner::deterministic();
    let strategy = (job(), 0..4usize, 1..=JOBS);
    let mut last = Vec::new();
    for _ in 0..JOBS {
        let (ops, queue, point) = strategy.new_tree(&mut runner).unwrap().current();
        last.push(queues[queue].submit(ops, [gate.point(point)], [out.point(1)]).unwrap());
    }
    let mut ran = Vec::with_capacity(JOBS as usize + 1);
    let made = allocations(|| {
        for point in 0..=JOBS {
            gate.signal(point);
            ran.push(vm.run_ready());
        }
    });
    assert_eq!((made, ran.last()), (0, Some(&0)));
    assert!(last.iter().all(|point| point.state() == Some(Ok(()))));
    assert_eq!(vm.figures().tables_returned, 0);
    drop((vm, queues));
    assert_eq!(account.charged(), 0);
}

fn job() -> impl Strategy<Value = Vec<Op>> {
    let units = select(vec![PAGE, PAGE, 2 * MIB, 2 * MIB, GIB]);
    let op = (units, 0..6u64, 0..3u64, 1..6u64, select(vec![0, 0, PAGE, 2 * MIB]), 0..6u32)
        .prop_map(|(unit, start, off, length, shift, kind)| {
            let (first, bytes) = (start * unit + off * PAGE, length * unit);
            // Gigabytes in pages would take all the memory.
            let shift = if unit == GIB { shift & !PAGE } else { shift };
            match kind {
                0 | 1 => map(first, bytes, first + shift),
                2 => unmap(first, bytes),
                3 => Op::Protect { range: ops::range(first, bytes), prot: Prot::READ },
                4 => Op::Split { range: ops::range(first, bytes) },
                _ => unmap(first + PAGE, PAGE),
            }
        });
    prop::collection::vec(op, 0..4)
}

/// Thousands of jobs are queued first and run in one go. The stash is smaller than what they take
/// and give back, so the pool calls its upstream, too.
#[test]
fn thousands_of_random_jobs_run_without_an_allocation() {
    const JOBS: u64 = 10_000;
    let pool = pool(64);
    let vm = vm(&pool);
    let (gate, out) = (Timeline::new(), Timeline::new());
    let mut runner = TestRunner::deterministic();
    let strategy = job();
    for number in 1..=JOBS {
        let ops = strategy.new_tree(&mut runner).unwrap().current();
        vm.submit(ops, [gate.point(1)], [out.point(number)]).unwrap();
    }
    gate.signal(1);
    let mut left = usize::MAX;
    let made = allocations(|| left = vm.run_ready());
    assert_eq!((made, left, out.value()), (0, 0, JOBS));
    let figures = vm.figures();
    assert_eq!(figures.jobs_run, JOBS);
    assert_eq!(figures.tables_returned, 0);
    assert!(figures.tables_freed > 1000, "{figures:?}");
    let invalidations = vm.with_device(|device| device.invalidations);
    assert!(invalidations > 1000, "{invalidations}");
    drop(vm);
    pool.shrink(0);
    assert_eq!(pool.upstream().in_use(), 0);
}
