//! Whoever overtakes whom, the reservations are exact.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use gpuvm::{Op, Point, Queue, Space, Timeline, Vm, Worker, plan};
use iopgtable::{Config, Iova, IovaRange, LAST_LEVEL, Options, Unwalked};
use proptest::prelude::*;
use walkers::Access;

use crate::deadline::bounded;
use crate::machine::{Ask, memory};
use crate::ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};
use crate::vms::{RecordingVm, configured};

/// The ranges of a job's operations.
fn ranges(ops: &[Op]) -> Vec<IovaRange> {
    let range = |op: &Op| match op {
        Op::Map { range, .. }
        | Op::Unmap { range }
        | Op::Protect { range, .. }
        | Op::Split { range } => Some(*range),
        _ => None,
    };
    ops.iter().filter_map(range).collect()
}

/// What is built is what the plan says: tables exactly those that the mappings need, and an
/// independent MMU finds what is mapped.
fn check(vm: &RecordingVm) {
    let geometry = *vm.geometry();
    let space: Space = vm.with_plan(Clone::clone);
    let leaves = crate::naive::leaves(&geometry, &space);
    let tables = crate::naive::tables(&geometry, &leaves);
    let built = vm.with_table(iopgtable::PageTable::count_tables);
    assert_eq!(plan::tables(&geometry, &space), built);
    assert_eq!(vm.state().tables, built);
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        let needed = tables.get(&level).map_or(0, |tables| tables.len() as u64);
        assert_eq!(built.at(level), needed, "tables at level {level}");
    }
    for leaf in leaves.iter().take(300) {
        for address in [leaf.first, leaf.first + leaf.bytes - 1] {
            let mapping = space.get(Iova(address)).unwrap();
            let into = mapping.offset + (address - mapping.range.first().0);
            let run = mapping.backing.runs(into, 1).next().unwrap();
            let found = crate::machine::walk(vm, address, Access::UNPRIVILEGED_READ).unwrap();
            assert_eq!(found.address, run.phys.0, "where {address:#x} leads");
        }
        for outside in [leaf.first.checked_sub(1), leaf.first.checked_add(leaf.bytes)] {
            let Some(outside) = outside.filter(|_| space.len() < 100) else { continue };
            let found = crate::machine::walk(vm, outside, Access::UNPRIVILEGED_READ);
            assert_eq!(found.is_ok(), space.get(Iova(outside)).is_some(), "{outside:#x}");
        }
    }
}

/// A job: its queue, its operations, and the event that it waits for, if any.
type RawJob = (usize, Vec<Op>, Option<usize>);

const EVENTS: usize = 12;

/// Ranges of parts of blocks, many of which share tables but not addresses.
fn dense_op() -> impl Strategy<Value = Op> {
    (0..48u64, 1..8u64, 0..2u64, prop::bool::weighted(0.5)).prop_map(|(start, length, at, maps)| {
        let first = at * (GIB - 12 * MIB) + start * MIB / 2;
        if maps { map(first, length * MIB / 4, first) } else { unmap(first, length * MIB / 2) }
    })
}

fn raw_jobs<O: Strategy<Value = Op>>(op: O) -> impl Strategy<Value = (Vec<RawJob>, Vec<usize>)> {
    let job = (0..4usize, prop::collection::vec(op, 0..3), prop::option::weighted(0.7, 0..EVENTS));
    let order = Just((0..EVENTS).collect::<Vec<_>>()).prop_shuffle();
    (prop::collection::vec(job, 1..40), order)
}

fn run_history(config: Config, jobs: &[RawJob], order: &[usize]) {
    let memory = memory();
    let vm = configured(config, &memory);
    let queues: Vec<Queue<_, _, _>> = (0..3).map(|_| vm.queue()).collect();
    let events: Vec<Timeline> = (0..EVENTS).map(|_| Timeline::new()).collect();
    let mut points: Vec<(usize, Vec<IovaRange>, Point)> = Vec::new();
    let mut finished: Vec<usize> = Vec::new();
    // At first, half of the events are still to come; some happen between submissions.
    let (early, late) = order.split_at(EVENTS / 3);
    let mut early = early.iter();
    let look = |points: &[(usize, Vec<IovaRange>, Point)], finished: &mut Vec<usize>| {
        for (job, (_, _, point)) in points.iter().enumerate() {
            match point.state() {
                Some(outcome) if !finished.contains(&job) => {
                    assert_eq!(outcome, Ok(()));
                    finished.push(job);
                }
                _ => {}
            }
        }
    };
    for (index, (queue, ops, wait)) in jobs.iter().enumerate() {
        let waits = wait.map(|event| events[event].point(1));
        let touched = ranges(ops);
        let done = match queue.checked_sub(1) {
            None => vm.submit(ops.clone(), waits, []),
            Some(queue) => queues[queue].submit(ops.clone(), waits, []),
        };
        points.push((*queue, touched, done.unwrap()));
        if index % 8 == 7 {
            early.next().inspect(|event| events[**event].signal(1));
            vm.run_ready();
            look(&points, &mut finished);
        }
    }
    for event in early.chain(late) {
        events[*event].signal(1);
        vm.run_ready();
        look(&points, &mut finished);
    }
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(finished.len(), jobs.len());

    // The order in which the device saw them: no job before an earlier one that it meets, or
    // one of its queue. (Those that changed nothing it did not see.)
    let begun: Vec<(usize, IovaRange)> = vm.with_device(|device| {
        let job = |ask: &Ask| match ask {
            Ask::Begin(job, footprint) => Some((usize::try_from(*job).unwrap() - 1, *footprint)),
            _ => None,
        };
        device.asked.iter().filter_map(job).collect()
    });
    for (at, (job, _)) in begun.iter().enumerate() {
        for (later, _) in &begun[..at] {
            let (queue, ranges, _) = &points[*job];
            let (other_queue, other_ranges, _) = &points[*later];
            if later > job {
                assert_ne!(queue, other_queue, "job {later} before job {job} of its queue");
                let meets = |one: &IovaRange| {
                    other_ranges.iter().any(|other| one.intersection(*other).is_some())
                };
                assert!(!ranges.iter().any(meets), "job {later} before job {job}");
            }
        }
    }
    check(&vm);
    let figures = vm.figures();
    assert_eq!(figures.tables_reserved, figures.tables_installed);
    assert_eq!((figures.tables_returned, figures.bytes_reserved), (0, 0));
    assert!(vm.ban().is_none());
    let linked = vm.with_table(iopgtable::PageTable::count_tables).total() + 1;
    assert_eq!(memory.in_use() as u64, linked * PAGE);
    drop((vm, queues));
    assert_eq!(memory.in_use(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_jobs_of_many_queues_leave_exactly_what_the_plan_says(
        (jobs, order) in raw_jobs(crate::histories::op()),
    ) {
        run_history(CONFIG, &jobs, &order);
    }

    #[test]
    fn random_jobs_of_many_queues_are_exact_with_the_contiguous_hint(
        (jobs, order) in raw_jobs(crate::histories::op()),
    ) {
        run_history(CONFIG.with(Options::CONTIGUOUS), &jobs, &order);
    }

    #[test]
    fn random_jobs_that_share_tables_but_no_addresses_are_exact(
        (jobs, order) in raw_jobs(dense_op()),
    ) {
        run_history(CONFIG, &jobs, &order);
    }
}

/// Threads that submit to queues of their own, and a worker: all jobs run, and agree.
#[test]
fn many_threads_on_many_queues_come_to_their_end() {
    const JOBS: u64 = 300;
    bounded(|| {
        let memory = memory();
        let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&memory), Unwalked).unwrap();
        let worker = Worker::new(2).unwrap();
        worker.attach(&vm);
        let shared = Timeline::new();
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let (vm, shared) = (vm.clone(), shared.clone());
                thread::spawn(move || {
                    let queue = vm.queue();
                    for n in 1..=JOBS {
                        // Neighbours in the same tables, and a range that all fight for.
                        let own = (n * 4 + thread) * PAGE;
                        let common = GIB + n % 7 * MIB;
                        let ops = if n % 3 == 0 {
                            vec![unmap(own & !(MIB - 1), PAGE), unmap(common, MIB)]
                        } else {
                            vec![map(own, PAGE, n * PAGE), map(common, MIB, thread * GIB)]
                        };
                        let wait = shared.point(n / 2);
                        queue.submit(ops, (thread > 0).then_some(wait), []).unwrap();
                        if thread == 0 {
                            shared.signal(n);
                        }
                    }
                    queue.timeline().point(JOBS).wait().unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(vm.run_ready(), 0);
        let built = vm.with_table(iopgtable::PageTable::count_tables);
        let space: Space = vm.with_plan(Clone::clone);
        assert_eq!(plan::tables(vm.geometry(), &space), built);
        let mapped: BTreeMap<u64, u64> = space
            .iter()
            .map(|one| (one.range.first().0, one.runs().next().unwrap().phys.0))
            .collect();
        for (first, phys) in mapped {
            assert_eq!(vm.translate(Iova(first)).unwrap().phys.0, phys);
        }
        assert_eq!(vm.figures().tables_returned, 0);
    });
}
