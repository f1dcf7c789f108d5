//! What mappings and queued jobs take, in bytes of the heap.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gpuvm::{Op, Timeline, Vm};
use iopgtable::Unwalked;
use machine::{Memory, memory};
use ops::{CONFIG, PAGE, S1, backing, map_backing, unmap};

thread_local! {
    /// What this thread has asked for, less what it gave back.
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

fn bytes(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

fn count(bytes: i64) {
    let _ = BYTES.try_with(|sum| sum.set(sum.get() + bytes));
}

/// The system's allocator, with a sum of what it is asked for.
struct Counting;

// SAFETY: every call goes to the system's allocator, whose contract is its own; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(bytes(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-bytes(layout));
        // SAFETY: the caller's promise is passed on; the block came from there.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type TestVm = Vm<S1, Memory, Unwalked>;

fn vm() -> TestVm {
    Vm::new(CONFIG, memory(), Unwalked).unwrap()
}

/// The bytes that `work` leaves, for each of `count`.
fn each(count: u64, work: impl FnOnce()) -> i64 {
    let before = BYTES.get();
    work();
    (BYTES.get() - before) / i64::try_from(count).unwrap()
}

const MANY: u64 = 10_000;

/// Another order.
fn places() -> impl Iterator<Item = u64> {
    (0..MANY).map(|n| n * 7919 % MANY * 2 * PAGE)
}

#[test]
fn a_mapping_takes_at_most_160_bytes_and_its_list_is_shared() {
    let list = backing(0, MANY * PAGE);
    let in_order = (0..MANY).map(|n| n * 2 * PAGE);
    for (name, at) in [("in order", in_order.collect::<Vec<_>>()), ("not", places().collect())] {
        let vm = vm();
        vm.bind([map_backing(1 << 40, PAGE, &list)]).unwrap();
        let bytes = each(MANY, || {
            for at in at {
                vm.submit([map_backing(at, PAGE, &list)], [], []).unwrap();
                vm.run_ready();
            }
        });
        println!("{name}: {bytes} bytes a mapping");
        assert!((72..=160).contains(&bytes), "{name}: {bytes}");
    }
}

/// What each of many jobs of one operation takes while it waits behind a gate: what is free again
/// when they have run.
fn queued(vm: &TestVm, ops: impl Iterator<Item = Op>, to: impl Fn(Op)) -> i64 {
    let gate = Timeline::new();
    vm.submit([], [gate.point(1)], []).unwrap();
    ops.for_each(to);
    -each(MANY, || {
        gate.signal(1);
        assert_eq!(vm.run_ready(), 0);
    })
}

#[test]
fn a_queued_job_takes_at_most_256_bytes() {
    let list = backing(0, MANY * PAGE);
    let vm = vm();
    let submit = |op| drop(vm.submit([op], [], []).unwrap());
    // The room for jobs in the queue is there from the first time on; it counts with the others.
    let room = 16;
    let maps = || places().map(|at| map_backing(at, PAGE, &list));
    let map = queued(&vm, maps(), submit) + room;
    let unmap = queued(&vm, places().map(|at| unmap(at, PAGE)), submit) + room;
    println!("{map} bytes a queued map, {unmap} an unmap");
    assert!((100..=256).contains(&map) && (100..=256).contains(&unmap), "{map}, {unmap}");
}

#[test]
fn a_job_of_one_of_several_queues_takes_little_more() {
    let list = backing(0, MANY * PAGE);
    let vm = vm();
    let queues = [vm.queue(), vm.queue()];
    let number = Cell::new(0);
    let submit = |op| {
        number.set(number.get() + 1);
        drop(queues[number.get() % 2].submit([op], [], []).unwrap());
    };
    let gate = Timeline::new();
    let first = map_backing(1 << 40, PAGE, &list);
    queues[0].submit([first.clone()], [gate.point(1)], []).unwrap();
    queues[1].submit([first], [gate.point(1)], []).unwrap();
    let before = BYTES.get();
    places().for_each(|at| submit(map_backing(at, PAGE, &list)));
    let queued = (BYTES.get() - before) / i64::try_from(MANY).unwrap();
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    println!("{queued} bytes a job and its mapping");
    assert!(queued <= 160 + 256 + 64, "{queued}");
}
