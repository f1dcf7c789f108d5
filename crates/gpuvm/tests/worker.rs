//! A few threads run the jobs of many VMs, whatever those wait for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod ops;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::{self, ThreadId};

use deadline::bounded;
use gpuvm::{Device, FenceError, Op, Point, Timeline, Vm, Worker};
use iopgtable::memory::Heap;
use iopgtable::{Invalidate, Invalidation, Iova, IovaRange, Unwalked};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};
use proptest::prelude::*;

type Plain = Vm<S1, Heap, Unwalked>;

fn plain() -> Plain {
    Vm::new(CONFIG, Heap::new(), Unwalked).unwrap()
}

#[test]
fn a_ring_of_vms_that_wait_for_each_other_comes_to_its_end() {
    const VMS: u64 = 8;
    const ROUNDS: u64 = 50;
    bounded(|| {
        let worker = Worker::new(2).unwrap();
        let vms: Vec<Plain> = (0..VMS).map(|_| plain()).collect();
        let lines: Vec<Timeline> = (0..VMS).map(|_| Timeline::new()).collect();
        let mut last = None;
        // Submitted against the order in which they can run: the first VM's jobs come last.
        for (index, vm) in vms.iter().enumerate().rev() {
            worker.attach(vm);
            for round in 1..=ROUNDS {
                let wait = match index {
                    0 => lines[lines.len() - 1].point(round - 1),
                    _ => lines[index - 1].point(round),
                };
                let op = if round % 3 == 0 {
                    unmap(0, GIB)
                } else {
                    map(round * MIB, 3 * PAGE, round * PAGE)
                };
                let done = vm.submit([op], [wait], [lines[index].point(round)]).unwrap();
                last.get_or_insert(done);
            }
        }
        assert!(vms.iter().all(|vm| vm.timeline().value() <= ROUNDS));
        lines[lines.len() - 1].point(ROUNDS).wait().unwrap();
        for vm in &vms {
            vm.timeline().point(ROUNDS).wait().unwrap();
            let found = vm.translate(Iova(ROUNDS * MIB)).map(|found| found.phys.0);
            assert_eq!(found, Some(ROUNDS * PAGE));
        }
        assert_eq!(last.unwrap().state(), Some(Ok(())));
    });
}

/// A job of the VM `vm` that waits for earlier jobs, however far back.
#[derive(Clone, Debug)]
struct RawJob {
    vm: usize,
    waits: Vec<prop::sample::Index>,
    page: u64,
    unmap: bool,
}

fn raw_job() -> impl Strategy<Value = RawJob> {
    let waits = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (0..4usize, waits, 0..64u64, prop::bool::weighted(0.3))
        .prop_map(|(vm, waits, page, unmap)| RawJob { vm, waits, page, unmap })
}

/// Submits each VM's jobs from a thread of its own, so that waits come before what they wait for.
fn run_graph(jobs: &[RawJob]) {
    let lines: Vec<Timeline> = (0..4).map(|_| Timeline::new()).collect();
    let mut counts = [0; 4];
    let mut points: Vec<Point> = Vec::new();
    let mut lists: [Vec<(Op, Vec<Point>, Point)>; 4] = [const { Vec::new() }; 4];
    for job in jobs {
        counts[job.vm] += 1;
        let out = lines[job.vm].point(counts[job.vm]);
        let earlier = |wait: &prop::sample::Index| points[wait.index(points.len())].clone();
        let waits = match points[..] {
            [] => Vec::new(),
            _ => job.waits.iter().map(earlier).collect(),
        };
        let first = job.page * 700 * PAGE;
        let op = if job.unmap {
            unmap(first & !(MIB - 1), 4 * MIB)
        } else {
            map(first, 600 * PAGE, first)
        };
        lists[job.vm].push((op, waits, out.clone()));
        points.push(out);
    }
    bounded(move || {
        let worker = Worker::new(2).unwrap();
        let threads: Vec<_> = lists
            .into_iter()
            .map(|list| {
                let vm = plain();
                worker.attach(&vm);
                thread::spawn(move || {
                    for (op, waits, out) in list {
                        vm.submit([op], waits, [out]).unwrap();
                    }
                    vm
                })
            })
            .collect();
        let vms: Vec<Plain> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for (vm, count) in vms.iter().zip(counts) {
            vm.timeline().point(count).wait().unwrap();
            let leaves = vm.with_plan(|space| {
                space.iter().map(|one| (one.range, one.runs().next())).collect::<Vec<_>>()
            });
            for (range, run) in leaves {
                let found = vm.translate(range.first()).map(|found| found.phys);
                assert_eq!(found, run.map(|run| run.phys));
            }
        }
        assert!(points.iter().all(|point| point.state() == Some(Ok(()))));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_of_jobs_without_a_cycle_comes_to_its_end(
        jobs in prop::collection::vec(raw_job(), 1..200),
    ) {
        run_graph(&jobs);
    }
}

/// The gate opens at about the time at which the worker finds it shut and goes to sleep.
#[test]
fn a_point_that_is_reached_while_the_worker_looks_is_not_overlooked() {
    const JOBS: u64 = 20_000;
    bounded(|| {
        let worker = Worker::new(1).unwrap();
        let (vm, gate) = (plain(), Timeline::new());
        worker.attach(&vm);
        for job in 1..=JOBS {
            vm.submit([], [gate.point(job)], []).unwrap();
        }
        for job in 1..=JOBS {
            while vm.timeline().value() < job - 1 {
                thread::yield_now();
            }
            for _ in 0..job % 256 {
                std::hint::spin_loop();
            }
            gate.signal(job);
        }
        vm.timeline().point(JOBS).wait().unwrap();
    });
}

#[test]
fn what_a_dropped_worker_leaves_another_runner_completes() {
    bounded(|| {
        let vm = plain();
        let gate = Timeline::new();
        let first = Worker::new(2).unwrap();
        first.attach(&vm);
        vm.submit([map(0, PAGE, 0)], [], []).unwrap().wait().unwrap();
        let queued: Vec<Point> = (1..=10)
            .map(|n| vm.submit([map(n * MIB, PAGE, 0)], [gate.point(n)], []).unwrap())
            .collect();
        gate.signal(3);
        queued[2].wait().unwrap();
        drop(first);
        gate.signal(5);
        assert_eq!(queued[3].state(), None, "nobody runs it");

        let second = Worker::new(1).unwrap();
        second.attach(&vm);
        queued[4].wait().unwrap();
        gate.signal(8);
        queued[7].wait().unwrap();
        drop(second);

        gate.signal(10);
        assert_eq!(vm.run_ready(), 0);
        assert_eq!(queued[9].state(), Some(Ok(())));
    });
}

/// Tells which threads run jobs.
struct Witness(Arc<Mutex<HashSet<ThreadId>>>);

// SAFETY: nothing walks the tables.
unsafe impl Invalidate for Witness {
    type Error = std::convert::Infallible;
    fn invalidate(&mut self, _: &Invalidation) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Device for Witness {
    fn begin(&mut self, _: u64, _: IovaRange) -> Result<(), Self::Error> {
        self.0.lock().unwrap().insert(thread::current().id());
        Ok(())
    }
}

#[test]
fn a_thousand_vms_share_the_threads_of_their_worker() {
    bounded(|| {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let worker = Worker::new(2).unwrap();
        let vms: Vec<Vm<S1, Heap, Witness>> = (0..1000)
            .map(|_| Vm::new(CONFIG, Heap::new(), Witness(Arc::clone(&seen))).unwrap())
            .collect();
        for vm in &vms {
            worker.attach(vm);
        }
        // One in seven has something to do; they all have in the end.
        let some: Vec<Point> =
            vms.iter().step_by(7).map(|vm| vm.submit([map(0, PAGE, 0)], [], []).unwrap()).collect();
        assert!(some.iter().all(|point| point.wait().is_ok()));
        let all: Vec<Point> =
            vms.iter().map(|vm| vm.submit([map(0, PAGE, PAGE)], [], []).unwrap()).collect();
        assert!(all.iter().all(|point| point.wait().is_ok()));
        let threads = seen.lock().unwrap();
        assert!(threads.len() <= 2, "{} threads", threads.len());
        assert!(!threads.contains(&thread::current().id()));
    });
}

#[test]
fn a_worker_does_not_keep_its_vms_alive() {
    bounded(|| {
        let worker = Worker::new(1).unwrap();
        let gate = Timeline::new();
        let vm = plain();
        worker.attach(&vm);
        let queued = vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
        drop(vm);
        assert_eq!(queued.wait(), Err(FenceError::Cancelled));
        gate.signal(1);
        let next = plain();
        worker.attach(&next);
        next.submit([], [], []).unwrap().wait().unwrap();
    });
}

#[test]
fn jobs_from_before_the_vm_was_attached_run_too() {
    bounded(|| {
        let vm = plain();
        let early = vm.submit([map(0, PAGE, 0)], [], []).unwrap();
        let worker = Worker::new(1).unwrap();
        worker.attach(&vm);
        early.wait().unwrap();
        assert_eq!(vm.poll(std::task::Waker::noop()), Poll::Ready(()));
    });
}

#[test]
fn binds_and_a_worker_run_the_same_queue() {
    bounded(|| {
        let worker = Worker::new(2).unwrap();
        let vm = plain();
        worker.attach(&vm);
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let vm = vm.clone();
                thread::spawn(move || {
                    for n in 1..200 {
                        let first = thread * GIB;
                        vm.bind([map(first, PAGE, n * PAGE)]).unwrap();
                        let found = vm.translate(Iova(first)).map(|found| found.phys.0);
                        assert_eq!(found, Some(n * PAGE));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
