//! Jobs of different queues overtake each other where they do not meet, and nowhere else; and
//! whoever overtakes whom, the reservations are exact.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod histories;
mod machine;
mod naive;
mod ops;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use deadline::bounded;
use gpuvm::{
    FenceError, Op, Point, Queue, Space, Submission, SubmitReason, Timeline, Vm, Worker, plan,
};
use iopgtable::{Config, Iova, IovaRange, LAST_LEVEL, Options, Unwalked};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};
use proptest::prelude::*;
use walkers::Access;

type RecordingVm = Vm<S1, Memory, Faulty>;

fn vm(memory: &Memory) -> RecordingVm {
    configured(CONFIG, memory)
}

fn configured(config: Config, memory: &Memory) -> RecordingVm {
    Vm::new(config, Arc::clone(memory), Faulty::default()).unwrap()
}

fn is_mapped(vm: &RecordingVm, address: u64) -> bool {
    vm.translate(Iova(address)).is_some()
}

#[test]
fn jobs_that_do_not_meet_overtake_each_other() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    let waiting = vm.submit([map(GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    let behind = vm.submit([map(8 * GIB, PAGE, 0)], [], []).unwrap();
    // In the same table of pages, which the first one has reserved.
    let overtaking = queue.submit([map(GIB + PAGE, PAGE, PAGE)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 2);
    assert_eq!((waiting.state(), behind.state()), (None, None), "in order within a queue");
    assert_eq!(overtaking.state(), Some(Ok(())));
    assert!(is_mapped(&vm, GIB + PAGE) && !is_mapped(&vm, GIB));
    let figures = vm.figures();
    assert_eq!((figures.tables_installed, figures.tables_reserved), (3, 5));
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    let figures = vm.figures();
    assert_eq!((figures.tables_installed, figures.tables_returned), (5, 0));
}

/// What a job of another queue may not overtake: `first` waits, `second` comes after it.
fn is_overtaken(before: Vec<Op>, first: Op, second: Op) -> bool {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit(before, [], []).unwrap();
    vm.submit([first], [gate.point(1)], []).unwrap();
    vm.run_ready();
    let second = queue.submit([second], [], []).unwrap();
    vm.run_ready();
    let overtaken = second.state().is_some();
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(second.state(), Some(Ok(())));
    assert_eq!(vm.figures().tables_returned, 0);
    overtaken
}

#[test]
fn ranges_that_overlap_keep_their_order() {
    assert!(is_overtaken(vec![], map(0, PAGE, 0), map(PAGE, PAGE, 0)));
    assert!(!is_overtaken(vec![], map(0, 2 * PAGE, 0), map(PAGE, PAGE, 0)));
    assert!(!is_overtaken(vec![], map(0, 2 * PAGE, 0), unmap(PAGE, PAGE)));
}

#[test]
fn an_unmap_of_what_an_earlier_job_unmaps_waits_for_it() {
    let mapped = vec![map(0, PAGE, 0)];
    assert!(!is_overtaken(mapped.clone(), unmap(0, PAGE), unmap(0, PAGE)));
    assert!(!is_overtaken(mapped, unmap(0, PAGE), unmap(0, GIB)));
    assert!(is_overtaken(vec![], map(0, PAGE, 0), Op::SyncOnly));
}

#[test]
fn what_lies_in_a_table_that_comes_loose_keeps_its_order() {
    let mapped = vec![map(0, PAGE, 0)];
    assert!(!is_overtaken(mapped.clone(), unmap(0, PAGE), map(8 * PAGE, PAGE, 0)));
    // Where another mapping keeps the table, nothing is in the way.
    let kept = vec![map(0, PAGE, 0), map(16 * PAGE, PAGE, 0)];
    assert!(is_overtaken(kept, unmap(0, PAGE), map(8 * PAGE, PAGE, 0)));
    // The table stands or falls with the map that comes first.
    assert!(!is_overtaken(mapped, map(8 * PAGE, PAGE, 0), unmap(0, 9 * PAGE)));
}

#[test]
fn what_lies_in_a_block_that_is_cut_keeps_its_order() {
    let block = vec![map(0, 4 * MIB, 0)];
    assert!(!is_overtaken(block.clone(), unmap(PAGE, PAGE), unmap(MIB, PAGE)));
    assert!(is_overtaken(block, unmap(PAGE, PAGE), unmap(3 * MIB, PAGE)));
}

/// An unmap whose hole reaches over a table that a later job has made meanwhile.
#[test]
fn an_unmap_lets_no_table_go_that_a_job_has_made_that_overtook_it() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit([map(0, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    let waiting = vm.submit([unmap(0, 3 * MIB)], [gate.point(1)], []).unwrap();
    let keeps = queue.submit([map(600 * GIB, PAGE, 0)], [], []).unwrap();
    let overtaking = queue.submit([map(GIB + 3 * MIB, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    assert_eq!(keeps.state(), Some(Ok(())));
    // It meets the tables that the unmap lets go, here.
    assert_eq!(overtaking.state(), None);
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!((waiting.state(), overtaking.state()), (Some(Ok(())), Some(Ok(()))));

    // Here another mapping keeps those above, and the unmap reaches into a span without a table.
    vm.submit([unmap(0, 1 << 48), map(64 * MIB, PAGE, 0), map(0, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    let waiting = vm.submit([unmap(0, 3 * MIB)], [gate.point(2)], []).unwrap();
    let overtaking = queue.submit([map(3 * MIB, PAGE, 0)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 1);
    assert_eq!((waiting.state(), overtaking.state()), (None, Some(Ok(()))));
    gate.signal(2);
    assert_eq!(vm.run_ready(), 0);
    assert!(is_mapped(&vm, 3 * MIB) && !is_mapped(&vm, 0));
}

#[test]
fn the_point_of_a_job_is_its_number_on_the_timeline_of_its_queue() {
    let vm = vm(&memory());
    let queue = vm.queue();
    let gate = Timeline::new();
    let first = vm.submit([], [gate.point(1)], []).unwrap();
    let points: Vec<Point> = (0..3).map(|_| queue.submit([], [], []).unwrap()).collect();
    vm.run_ready();
    assert_eq!(points.iter().map(Point::value).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(points.iter().all(|point| point.timeline().is_same(queue.timeline())));
    assert_eq!((vm.timeline().value(), queue.timeline().value()), (0, 3));
    assert!(first.timeline().is_same(vm.timeline()));
}

#[test]
fn jobs_of_a_queue_whose_handle_is_gone_run_nevertheless() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    let id = queue.id();
    let done = queue.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
    assert_eq!(vm.state().queues.len(), 2);
    drop(queue);
    let refused = vm.submit_list([Submission::new([]).on(id)]).unwrap_err();
    assert_eq!((refused.job, refused.op), (Some(0), None));
    assert_eq!(refused.reason, SubmitReason::UnknownQueue);
    assert_eq!(vm.run_ready(), 1);
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(done.state(), Some(Ok(())));
    assert_eq!(vm.state().queues.len(), 1, "then it is gone");
}

#[test]
fn a_dropped_vm_cancels_the_jobs_of_all_queues_and_gives_every_page_back() {
    let memory = memory();
    let vm = vm(&memory);
    let (queue, gate) = (vm.queue(), Timeline::new());
    let mine = vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
    let theirs = queue.submit([map(GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    queue.submit([map(GIB + PAGE, PAGE, 0)], [], []).unwrap();
    drop(vm);
    assert_eq!(mine.state(), None, "a queue keeps its VM alive");
    drop(queue);
    for point in [mine, theirs] {
        assert_eq!(point.state(), Some(Err(FenceError::Cancelled)));
    }
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn a_ban_ends_the_jobs_of_all_queues() {
    let memory = memory();
    let vm = vm(&memory);
    let (queue, gate) = (vm.queue(), Timeline::new());
    let other = queue.submit([map(GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    vm.with_device(|device| device.broken = Some(|ask| matches!(ask, Ask::Begin(..))));
    let failing = vm.submit([map(0, PAGE, 0)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 0);
    for point in [failing, other] {
        assert_eq!(point.state(), Some(Err(FenceError::VmBanned)));
    }
    let refused = queue.submit([], [], []).unwrap_err();
    assert_eq!(refused.reason, SubmitReason::Banned);
    assert_eq!(memory.in_use(), 4096, "the root");
}

#[test]
fn a_bind_on_a_queue_overtakes_and_is_done_when_it_returns() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
    queue.bind([map(PAGE, PAGE, 0)]).unwrap();
    assert!(is_mapped(&vm, PAGE) && !is_mapped(&vm, 0));
}

/// A thread in a bind looks at an in-point last, and leaves; the worker must still hear of it.
#[test]
fn no_in_point_is_forgotten_when_the_thread_that_looked_last_is_gone() {
    bounded(|| {
        for round in 0..200 {
            let worker = Worker::new(1).unwrap();
            let vm = vm(&memory());
            worker.attach(&vm);
            let (queue, gate) = (vm.queue(), Timeline::new());
            let waiting = vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
            let binder = thread::spawn(move || {
                queue.bind([map(GIB + round * PAGE, PAGE, 0)]).unwrap();
                queue.bind([unmap(GIB, GIB)]).unwrap();
            });
            if round % 2 == 0 {
                binder.join().unwrap();
                gate.signal(1);
            } else {
                gate.signal(1);
                binder.join().unwrap();
            }
            waiting.wait().unwrap();
        }
    });
}

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
    let leaves = naive::leaves(&geometry, &space);
    let tables = naive::tables(&geometry, &leaves);
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
            let found = machine::walk(vm, address, Access::UNPRIVILEGED_READ).unwrap();
            assert_eq!(found.address, run.phys.0, "where {address:#x} leads");
        }
        for outside in [leaf.first.checked_sub(1), leaf.first.checked_add(leaf.bytes)] {
            let Some(outside) = outside.filter(|_| space.len() < 100) else { continue };
            let found = machine::walk(vm, outside, Access::UNPRIVILEGED_READ);
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
        (jobs, order) in raw_jobs(histories::op()),
    ) {
        run_history(CONFIG, &jobs, &order);
    }

    #[test]
    fn random_jobs_of_many_queues_are_exact_with_the_contiguous_hint(
        (jobs, order) in raw_jobs(histories::op()),
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
