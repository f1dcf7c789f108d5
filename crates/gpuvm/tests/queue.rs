//! Jobs run in the order of their submission, when their in-points are reached, and not otherwise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod machine;
mod ops;
mod wakes;

use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use deadline::bounded;
use gpuvm::{BindError, Device, FenceError, Op, Point, Timeline, Vm};
use iopgtable::{Invalidate, Invalidation, Iova, IovaRange, PhysAddr, Unwalked};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};
use wakes::Wakes;

fn faulty(memory: &Memory) -> Vm<S1, Memory, Faulty> {
    Vm::new(CONFIG, Arc::clone(memory), Faulty::default()).unwrap()
}

/// The jobs that the device saw begin.
fn begun(vm: &Vm<S1, Memory, Faulty>) -> Vec<u64> {
    vm.with_device(|device| {
        let job = |ask: &Ask| match ask {
            Ask::Begin(job, _) => Some(*job),
            _ => None,
        };
        device.asked.iter().filter_map(job).collect()
    })
}

fn leads_to<A, D>(vm: &Vm<S1, A, D>, address: u64) -> Option<u64>
where
    A: iopgtable::TableAllocator,
    D: Device,
{
    vm.translate(Iova(address)).map(|found| found.phys.0)
}

#[test]
fn jobs_run_in_submission_order_even_where_later_ones_are_ready_first() {
    let vm = faulty(&memory());
    let gate = Timeline::new();
    let done: Vec<Point> = (1..=4)
        .map(|job| {
            // The first waits for the last point, and so on.
            vm.submit([map(GIB, PAGE, job * PAGE)], [gate.point(5 - job)], []).unwrap()
        })
        .collect();
    for ready in 1..=3 {
        gate.signal(ready);
        assert_eq!(vm.run_ready(), 4, "the first job is not ready");
        assert_eq!(leads_to(&vm, GIB), None);
    }
    gate.signal(4);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(begun(&vm), [1, 2, 3, 4]);
    assert_eq!(leads_to(&vm, GIB), Some(4 * PAGE), "the last map stands");
    assert!(done.iter().all(|point| point.state() == Some(Ok(()))));
}

#[test]
fn a_job_waits_for_all_its_in_points_and_run_ready_counts_what_is_left() {
    let vm = faulty(&memory());
    assert_eq!(vm.run_ready(), 0);
    let (left, right) = (Timeline::new(), Timeline::new());
    let blocked = vm.submit([map(0, PAGE, 0)], [left.point(2), right.point(1)], []).unwrap();
    let after = vm.submit([map(PAGE, PAGE, 0)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 2);
    right.signal(1);
    assert_eq!(vm.run_ready(), 2);
    left.signal(1);
    assert_eq!(vm.run_ready(), 2, "an earlier point of the line is not enough");
    assert_eq!((blocked.state(), after.state()), (None, None));
    left.signal(7);
    assert_eq!(vm.run_ready(), 0, "a later point is");
    assert_eq!((blocked.state(), after.state()), (Some(Ok(())), Some(Ok(()))));
}

#[test]
fn the_point_of_a_job_is_its_number_on_the_timeline() {
    let vm = faulty(&memory());
    let points: Vec<Point> = (0..3).map(|_| vm.submit([], [], []).unwrap()).collect();
    let numbers: Vec<u64> = points.iter().map(Point::value).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(points.iter().all(|point| point.timeline().is_same(vm.timeline())));
    assert_eq!(vm.timeline().value(), 0);
    vm.run_ready();
    assert_eq!(vm.timeline().value(), 3);
}

#[test]
fn a_wait_that_is_reached_in_error_counts_as_reached() {
    let vm = faulty(&memory());
    let line = Timeline::new();
    let done = vm.submit([map(0, PAGE, PAGE)], [line.point(3)], []).unwrap();
    line.fail(2, FenceError::Failed(-1));
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(done.state(), Some(Ok(())));
    assert_eq!(leads_to(&vm, 0), Some(PAGE));
}

/// Sees at which of its calls a job's out-point is reached.
struct Watching {
    out: Timeline,
    seen: Vec<(&'static str, u64)>,
}

// SAFETY: nothing walks the tables.
unsafe impl Invalidate for Watching {
    type Error = &'static str;
    fn invalidate(&mut self, _: &Invalidation) -> Result<(), &'static str> {
        self.seen.push(("forget", self.out.value()));
        Ok(())
    }
}

impl Device for Watching {
    fn begin(&mut self, _: u64, _: IovaRange) -> Result<(), &'static str> {
        self.seen.push(("begin", self.out.value()));
        Ok(())
    }
    fn end(&mut self, _: u64) -> Result<(), &'static str> {
        self.seen.push(("end", self.out.value()));
        Ok(())
    }
}

#[test]
fn out_points_signal_after_the_device_has_forgotten_and_ended() {
    let out = Timeline::new();
    let device = Watching { out: out.clone(), seen: Vec::new() };
    let vm = Vm::<S1, _, _>::new(CONFIG, memory(), device).unwrap();
    for job in 1..=2 {
        vm.submit([map(0, PAGE, job * PAGE)], [], [out.point(job)]).unwrap();
    }
    vm.run_ready();
    let seen = vm.with_device(|device| device.seen.clone());
    let expected = [("begin", 0), ("end", 0), ("begin", 1), ("forget", 1), ("end", 1)];
    assert_eq!(seen, expected);
    assert_eq!(out.value(), 2);
}

#[test]
fn the_waker_given_to_poll_wakes_when_a_job_comes_and_when_its_point_is_reached() {
    let vm = faulty(&memory());
    let line = Timeline::new();
    let (wakes, waker) = Wakes::new();
    assert_eq!(vm.poll(&waker), Poll::Ready(()));
    vm.submit([map(0, PAGE, 0)], [line.point(1), line.point(2)], []).unwrap();
    assert_eq!(wakes.count(), 1, "a job came");
    assert_eq!(vm.poll(&waker), Poll::Pending);
    vm.submit([unmap(0, PAGE)], [], []).unwrap();
    assert_eq!(wakes.count(), 2, "another one");
    line.signal(1);
    assert_eq!(wakes.count(), 3, "the point that the first one waits for");
    assert_eq!(vm.poll(&waker), Poll::Pending);
    line.fail(2, FenceError::Cancelled);
    assert_eq!(wakes.count(), 4, "its other point, in error");
    assert_eq!(vm.poll(&waker), Poll::Ready(()));
    assert_eq!(begun(&vm), [1, 2]);

    let (others, other) = Wakes::new();
    assert_eq!(vm.poll(&other), Poll::Ready(()));
    vm.submit([], [], []).unwrap();
    assert_eq!((wakes.count(), others.count()), (4, 1), "there is one runner");
}

#[test]
fn a_dropped_vm_cancels_its_jobs_and_gives_every_page_back() {
    let memory = memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let (gate, out) = (Timeline::new(), Timeline::new());
    vm.bind([map(0, 4 * MIB, PAGE)]).unwrap();
    let mut points = Vec::new();
    for job in 1..=8 {
        let ops = [map(job * GIB, MIB, 0), unmap(0, job * PAGE)];
        let waits = (job == 3).then(|| gate.point(1));
        points.push(vm.submit(ops, waits, [out.point(job)]).unwrap());
    }
    assert_eq!(vm.run_ready(), 6);
    assert!(memory.in_use() > 0);
    let clone = vm.clone();
    drop(vm);
    assert_eq!(points[2].state(), None, "a clone is the same VM");
    drop(clone);
    assert_eq!(memory.in_use(), 0);
    for (job, point) in (1..).zip(&points) {
        let expected = if job < 3 { Ok(()) } else { Err(FenceError::Cancelled) };
        assert_eq!((point.state(), out.point(job).state()), (Some(expected), Some(expected)));
    }
}

#[test]
fn a_bind_is_done_when_it_returns() {
    let vm = faulty(&memory());
    vm.bind([map(0, PAGE, PAGE), map(GIB, 2 * MIB, 2 * MIB)]).unwrap();
    assert_eq!((leads_to(&vm, 0), leads_to(&vm, GIB)), (Some(PAGE), Some(2 * MIB)));
    vm.bind([]).unwrap();
    assert_eq!(vm.timeline().value(), 2);
}

#[test]
fn a_bind_behind_a_blocked_job_waits_until_another_thread_unblocks_it() {
    bounded(|| {
        let vm = faulty(&memory());
        let gate = Timeline::new();
        let blocked = vm.submit([map(0, PAGE, PAGE)], [gate.point(1), gate.point(2)], []).unwrap();
        let signaller = thread::spawn({
            let gate = gate.clone();
            move || {
                for value in 1..=2 {
                    thread::sleep(Duration::from_millis(20));
                    gate.signal(value);
                }
            }
        });
        vm.bind([map(0, PAGE, 2 * PAGE)]).unwrap();
        assert_eq!(gate.value(), 2, "not before the first job could run");
        assert_eq!(blocked.state(), Some(Ok(())));
        assert_eq!(leads_to(&vm, 0), Some(2 * PAGE));
        signaller.join().unwrap();
    });
}

#[test]
fn binds_of_many_threads_all_return() {
    bounded(|| {
        let memory = memory();
        let vm = machine::vm::<S1>(CONFIG, &memory);
        let gate = Timeline::new();
        vm.submit([], [gate.point(1)], []).unwrap();
        let threads: Vec<_> = (0..8u64)
            .map(|thread| {
                let vm = vm.clone();
                thread::spawn(move || {
                    for n in 0..50 {
                        let first = thread * GIB + n * 3 * PAGE;
                        vm.bind([map(first, 2 * PAGE, n * PAGE)]).unwrap();
                        assert_eq!(leads_to(&vm, first), Some(n * PAGE));
                        vm.bind([unmap(first, PAGE)]).unwrap();
                        assert_eq!(leads_to(&vm, first), None);
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(10));
        gate.signal(1);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(vm.run_ready(), 0);
        assert_eq!(vm.figures().jobs_run, 801);
        drop(vm);
        assert_eq!(memory.in_use(), 0);
    });
}

#[test]
fn a_bind_of_a_job_that_cannot_run_says_so() {
    let vm = faulty(&memory());
    vm.with_device(|device| device.broken = Some(|ask| matches!(ask, Ask::Begin(..))));
    let failed = vm.bind([map(0, PAGE, 0)]).unwrap_err();
    assert_eq!(failed, BindError::Failed(FenceError::VmBanned));
    assert!(matches!(vm.bind([Op::SyncOnly]), Err(BindError::Refused(_))));
}

#[test]
fn what_a_job_maps_is_there_when_its_point_is_reached() {
    bounded(|| {
        let vm = Vm::<S1, _, _>::new(CONFIG, memory(), Unwalked).unwrap();
        let out = Timeline::new();
        let reader = thread::spawn({
            let (vm, out) = (vm.clone(), out.clone());
            move || {
                for job in 1..=500 {
                    out.point(job).wait().unwrap();
                    let found = vm.translate(Iova(job * MIB)).unwrap();
                    assert_eq!(found.phys, PhysAddr(job * PAGE));
                }
            }
        });
        for job in 1..=500 {
            let ops = [map(job * MIB, PAGE, job * PAGE)];
            vm.submit(ops, [], [out.point(job)]).unwrap();
            vm.run_ready();
        }
        reader.join().unwrap();
    });
}
