//! Evictions, restorations, protects and splits on several queues: whatever overtakes what, the
//! reservations are exact, and what is left is what the plan says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod model;
mod ops;

use std::sync::{Arc, LazyLock};

use gpuvm::{Backing, Op, Point, Queue, Submission, Timeline, Vm, plan};
use iopgtable::{Config, Iova, LAST_LEVEL, Options, Prot, Segment, Visit};
use machine::Faulty;
use model::{Kind, Memory, Model, Raw};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map, map_backing, range, unmap};
use proptest::prelude::*;

type TestVm = Vm<S1, machine::Memory, Faulty>;

static MEMORIES: LazyLock<Vec<Memory>> = LazyLock::new(model::memories);

fn vm() -> TestVm {
    Vm::new(CONFIG, machine::memory(), Faulty::default()).unwrap()
}

/// Whether `second`, on another queue, overtakes `first`, which waits.
fn is_overtaken(before: Vec<Op>, first: Op, second: Op) -> bool {
    let vm = vm();
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.bind(before).unwrap();
    vm.submit([first], [gate.point(1)], []).unwrap();
    let second = queue.submit([second], [], []).unwrap();
    vm.run_ready();
    let is_overtaken = second.state().is_some();
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(second.state(), Some(Ok(())));
    assert_eq!(vm.figures().tables_returned, 0);
    is_overtaken
}

#[test]
fn evictions_and_restorations_keep_their_order_with_all_mappings_of_their_backing() {
    let one = backing(GIB, 2 * MIB);
    let evict = || Op::Evict { backing: Arc::clone(&one) };
    let restore = || Op::Restore { backing: Arc::clone(&one), with: Arc::clone(&one) };
    let mapped = || vec![map_backing(0, 2 * MIB, &one), map_backing(8 * GIB, 2 * MIB, &one)];
    assert!(!is_overtaken(vec![], map_backing(0, 2 * MIB, &one), evict()));
    assert!(!is_overtaken(mapped(), evict(), unmap(8 * GIB, PAGE)));
    assert!(!is_overtaken(mapped(), evict(), evict()), "which finds nothing to do");
    assert!(!is_overtaken(mapped(), evict(), restore()));
    let evicted = || [mapped(), vec![evict()]].concat();
    assert!(!is_overtaken(evicted(), restore(), map(PAGE, PAGE, 0)));
    assert!(!is_overtaken(evicted(), map_backing(4 * GIB, 2 * MIB, &one), restore()));
    // What lies between two mappings is nobody's.
    assert!(is_overtaken(mapped(), evict(), map(4 * GIB, PAGE, 0)));
    assert!(is_overtaken(evicted(), restore(), map(4 * GIB, PAGE, 0)));
}

#[test]
fn protects_and_splits_keep_their_order_with_the_leaves_that_they_cut() {
    let block = || vec![map(0, 4 * MIB, 0)];
    let protect = || Op::Protect { range: range(PAGE, PAGE), prot: Prot::READ };
    let split = || Op::Split { range: range(PAGE, PAGE) };
    for op in [protect, split] {
        assert!(!is_overtaken(block(), op(), unmap(MIB, PAGE)), "in the same block");
        assert!(is_overtaken(block(), op(), unmap(3 * MIB, PAGE)));
        assert!(!is_overtaken(vec![], map(0, MIB, 0), op()));
    }
    assert!(!is_overtaken(vec![], protect(), map(PAGE, PAGE, 0)), "which it does not find");
}

/// Whether the tables lead into `backing`.
fn reaches(vm: &TestVm, backing: &Backing) -> bool {
    let mut reaches = false;
    vm.with_table(|table| {
        table.visit(vm.geometry().whole(), |what| {
            if let Visit::Leaf { span, phys, .. } = what {
                let last = phys.0 + (span.bytes() - 1);
                let meets = |one: Segment| one.phys.0 <= last && phys.0 < one.phys.0 + one.bytes;
                reaches |= backing.segments().any(meets);
            }
        });
    });
    reaches
}

#[test]
fn an_eviction_waits_for_what_unmaps_its_backing_in_another_queue() {
    let over = || vec![map(0, 4 * MIB, 0)];
    let nested = || vec![unmap(0, PAGE), map(PAGE, 4 * MIB, 0)];
    for takes in [|| vec![unmap(0, 2 * MIB)], over, nested] {
        for is_list in [false, true] {
            let vm = vm();
            let (queue, gate) = (vm.queue(), Timeline::new());
            let gone = backing(GIB, 2 * MIB);
            vm.bind([map_backing(0, 2 * MIB, &gone)]).unwrap();
            let takes = Submission::new(takes()).on(queue.id()).after([gate.point(1)]);
            let evict = Submission::new([Op::Evict { backing: Arc::clone(&gone) }]);
            let evicted = if is_list {
                vm.submit_list([takes, evict]).unwrap().pop().unwrap()
            } else {
                vm.submit_list([takes]).unwrap();
                vm.submit_list([evict]).unwrap().pop().unwrap()
            };
            vm.run_ready();
            assert_eq!(evicted.state(), None, "the memory is still mapped");
            assert!(reaches(&vm, &gone));
            gate.signal(1);
            vm.run_ready();
            assert_eq!(evicted.state(), Some(Ok(())));
            assert!(!reaches(&vm, &gone));
        }
    }
}

/// What one job of a history does with one of three backings in one of six places.
#[derive(Clone, Debug)]
struct Move {
    kind: u8,
    which: usize,
    place: u64,
    queue: usize,
    wait: Option<usize>,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (0..8u8, 0..3usize, 0..6u64, 0..3usize, prop::option::weighted(0.5, 0..EVENTS));
    let one =
        one.prop_map(|(kind, which, place, queue, wait)| Move { kind, which, place, queue, wait });
    prop::collection::vec(one, 12..40)
}

proptest! {
    #[test]
    fn memory_is_free_when_its_eviction_has_run_whatever_overtakes_what(
        moves in moves(),
        order in Just((0..EVENTS).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let vm = vm();
        let queues: Vec<Queue<_, _, _>> = (0..3).map(|_| vm.queue()).collect();
        let events: Vec<Timeline> = (0..EVENTS).map(|_| Timeline::new()).collect();
        let backings: Vec<_> = (1..4).map(|n| backing(n * GIB, 4 * MIB)).collect();
        let mut evicted: Vec<Option<Point>> = vec![None; 3];
        let look = |evicted: &[Option<Point>]| {
            vm.run_ready();
            for (point, backing) in evicted.iter().zip(&backings) {
                let is_evicted = point.as_ref().is_some_and(|point| point.state().is_some());
                assert!(!is_evicted || !reaches(&vm, backing), "{backing:?}");
            }
        };
        for Move { kind, which, place, queue, wait } in moves {
            let one = &backings[which];
            let at = place * 2 * MIB;
            let op = match kind {
                0..3 => map_backing(at, 4 * MIB, one),
                3..5 => unmap(at, 2 * MIB),
                5 => Op::Protect { range: range(at, MIB), prot: Prot::READ },
                6 => Op::Evict { backing: Arc::clone(one) },
                _ if evicted[which].is_some() => {
                    Op::Restore { backing: Arc::clone(one), with: Arc::clone(one) }
                }
                _ => continue,
            };
            let done = queues[queue].submit([op], wait.map(|event| events[event].point(1)), []);
            match kind {
                6 => evicted[which] = Some(done.unwrap()),
                7 => evicted[which] = None,
                _ => drop(done.unwrap()),
            }
            look(&evicted);
        }
        for event in order {
            events[event].signal(1);
            look(&evicted);
        }
        assert!(evicted.iter().flatten().all(|point| point.state() == Some(Ok(()))));
    }
}

fn check(vm: &TestVm, model: &Model) {
    let geometry = *vm.geometry();
    vm.with_plan(|space| model.check_plan(&MEMORIES, space));
    let tables = model.tables(&MEMORIES, &geometry);
    let planned = vm.with_plan(|space| plan::tables(&geometry, space));
    let built = vm.with_table(iopgtable::PageTable::count_tables);
    assert_eq!((planned, vm.state().tables), (built, built));
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        let count = tables.get(&level).map_or(0, |tables| tables.len() as u64);
        assert_eq!(built.at(level), count, "tables at level {level}");
    }
    let mut seen = Vec::new();
    vm.with_table(|table| {
        table.visit(geometry.whole(), |what| {
            if let Visit::Leaf { span, phys, .. } = what {
                seen.push(model::Leaf { first: span.first().0, phys: phys.0, bytes: span.bytes() });
            }
        });
    });
    let leaves = model.leaves(&MEMORIES, &geometry);
    assert_eq!(seen, leaves.iter().map(|(leaf, _)| *leaf).collect::<Vec<_>>(), "leaves");
    for (leaf, prot) in leaves.iter().step_by(leaves.len() / 100 + 1) {
        let found = vm.translate(Iova(leaf.first)).unwrap();
        assert_eq!((found.phys.0, found.prot), (leaf.phys, *prot));
    }
    let figures = vm.figures();
    assert_eq!((figures.tables_installed, figures.tables_returned), (figures.tables_reserved, 0));
    assert!(vm.ban().is_none());
}

const EVENTS: usize = 8;

/// Where a job goes: its queue, and the event that it waits for, if any.
type Place = (usize, Option<usize>);

fn history(config: Config, jobs: &[(Vec<Raw>, bool)], places: &[Place], order: &[usize]) {
    let memory = machine::memory();
    let vm = Vm::<S1, _, _>::new(config, Arc::clone(&memory), Faulty::default()).unwrap();
    let queues: Vec<Queue<_, _, _>> = (0..4).map(|_| vm.queue()).collect();
    let events: Vec<Timeline> = (0..EVENTS).map(|_| Timeline::new()).collect();
    let (early, late) = order.split_at(EVENTS / 3);
    let mut early = early.iter();
    let mut model = Model::default();
    let mut points: Vec<Point> = Vec::new();
    for (index, ((raws, _), (queue, wait))) in jobs.iter().zip(places).enumerate() {
        let mut list = Vec::new();
        for raw in raws {
            let restores =
                if let Kind::Restore { memory, .. } = raw.kind { Some(memory) } else { None };
            if restores.is_none_or(|memory| model.evicted.contains(&memory)) {
                model.apply(&MEMORIES, vm.geometry(), raw);
                list.push(raw.op(&MEMORIES));
            }
        }
        let waits = wait.map(|event| events[event].point(1));
        points.push(queues[*queue].submit(list, waits, []).unwrap());
        if index % 6 == 5 {
            early.next().inspect(|event| events[**event].signal(1));
            vm.run_ready();
        }
    }
    for event in early.chain(late) {
        events[*event].signal(1);
        vm.run_ready();
    }
    assert_eq!(vm.run_ready(), 0);
    assert!(points.iter().all(|point| point.state() == Some(Ok(()))));
    check(&vm, &model);
    drop((vm, queues));
    assert_eq!(memory.in_use(), 0);
}

fn places() -> impl Strategy<Value = (Vec<Place>, Vec<usize>)> {
    let place = (0..4usize, prop::option::weighted(0.6, 0..EVENTS));
    let order = Just((0..EVENTS).collect::<Vec<_>>()).prop_shuffle();
    (prop::collection::vec(place, 24), order)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_overtakes_what_evictions_and_restorations_are_exact(
        jobs in model::jobs(&MEMORIES),
        (places, order) in places(),
    ) {
        history(CONFIG, &jobs, &places, &order);
    }

    #[test]
    fn whatever_overtakes_what_groups_are_cut_as_the_plan_says(
        jobs in model::jobs(&MEMORIES),
        (places, order) in places(),
    ) {
        history(CONFIG.with(Options::CONTIGUOUS), &jobs, &places, &order);
    }
}
