//! The device is told to forget all that a job makes stale: every leaf that is changed, cut or
//! gone, and every walk through a table that came loose. Nothing else is named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod histories;
mod machine;
mod ops;

use std::collections::BTreeSet;
use std::sync::Arc;

use gpuvm::{Op, Vm};
use iopgtable::{Invalidation, IovaRange, Options, PhysAddr, Prot, Visit};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, range, unmap};
use proptest::prelude::*;

type RecordingVm = Vm<S1, Memory, Faulty>;

/// What a device can have cached.
#[derive(Debug, Default)]
struct Cached {
    leaves: Vec<(IovaRange, PhysAddr, Prot)>,
    tables: Vec<(IovaRange, i8, PhysAddr)>,
}

fn cached(vm: &RecordingVm) -> Cached {
    let mut cached = Cached::default();
    vm.with_table(|table| {
        table.visit(range(0, 1 << 48), |seen| match seen {
            Visit::Leaf { span, phys, prot, .. } => cached.leaves.push((span, phys, prot)),
            Visit::Table { span, level, phys } => cached.tables.push((span, level, phys)),
            _ => unreachable!("nothing else is there to see"),
        });
    });
    cached
}

fn vm(memory: &Memory) -> RecordingVm {
    Vm::new(CONFIG, Arc::clone(memory), Faulty::default()).unwrap()
}

/// Runs a job and says what the device was told to forget, between its begin and its end.
fn run(vm: &RecordingVm, ops: Vec<Op>) -> Vec<Invalidation> {
    vm.with_device(|device| device.asked.clear());
    vm.bind(ops).unwrap();
    let asked = vm.with_device(|device| std::mem::take(&mut device.asked));
    let Some((first, rest)) = asked.split_first() else {
        return Vec::new();
    };
    let (last, forgotten) = rest.split_last().unwrap();
    let number = vm.timeline().value();
    let Ask::Begin(job, footprint) = *first else { panic!("{first:?} begins a job") };
    assert_eq!((job, *last), (number, Ask::End(number)));
    for ask in forgotten {
        if let Ask::Forget(stale) = ask {
            let hull = stale.hull().unwrap();
            assert!(footprint.covers(hull), "{footprint} does not cover {hull}");
        }
    }
    forgotten
        .iter()
        .map(|ask| match ask {
            Ask::Forget(stale) => *stale,
            other => panic!("{other:?} in the middle of a job"),
        })
        .collect()
}

fn is_covered(span: IovaRange, by: impl IntoIterator<Item = Option<IovaRange>>) -> bool {
    by.into_iter().flatten().any(|range| range.covers(span))
}

/// The leaves and tables of `before` that are not what they were.
fn gone(before: &Cached, after: &Cached) -> (Vec<IovaRange>, Vec<IovaRange>) {
    let key = |&(span, phys, prot): &(IovaRange, PhysAddr, Prot)| {
        (span.first(), span.last(), phys, prot.contains(Prot::WRITE))
    };
    let now: BTreeSet<_> = after.leaves.iter().map(key).collect();
    let leaves = before.leaves.iter().filter(|leaf| !now.contains(&key(leaf)));
    let key = |&(span, level, phys): &(IovaRange, i8, PhysAddr)| (span.first(), level, phys);
    let now: BTreeSet<_> = after.tables.iter().map(key).collect();
    let tables = before.tables.iter().filter(|table| !now.contains(&key(table)));
    (leaves.map(|leaf| leaf.0).collect(), tables.map(|table| table.0).collect())
}

fn hull(ranges: impl IntoIterator<Item = IovaRange>) -> Option<IovaRange> {
    ranges.into_iter().reduce(IovaRange::hull)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A leaf counts as changed where its size does: a device that has cached a block that was
    /// cut must not go on using it beside the pages that took its place.
    #[test]
    fn everything_that_a_job_makes_stale_is_forgotten(jobs in histories::jobs(24)) {
        let memory = memory();
        let vm = vm(&memory);
        for ops in jobs {
            let before = cached(&vm);
            let forgotten = run(&vm, ops);
            let (leaves, tables) = gone(&before, &cached(&vm));
            for leaf in leaves {
                prop_assert!(
                    is_covered(leaf, forgotten.iter().map(|stale| stale.leaves)),
                    "leaf {} in {:?}", leaf, forgotten
                );
            }
            for table in tables {
                prop_assert!(
                    is_covered(table, forgotten.iter().map(|stale| stale.walks)),
                    "table {} in {:?}", table, forgotten
                );
            }
        }
    }

    /// Of one operation: at most its range and the leaves that it cuts; exactly the tables that
    /// came loose; nothing where nothing was mapped.
    #[test]
    fn nothing_is_forgotten_in_vain(ops in prop::collection::vec(histories::op(), 1..24)) {
        let memory = memory();
        let vm = vm(&memory);
        for op in ops {
            let is_map = matches!(op, Op::Map { .. } | Op::Unmap { .. });
            let (Op::Map { range, .. }
            | Op::Unmap { range }
            | Op::Protect { range, .. }
            | Op::Split { range }) = op
            else {
                unreachable!("histories change something");
            };
            let is_fresh = vm.with_plan(|space| space.overlapping(range).next().is_none());
            let before = cached(&vm);
            let forgotten = run(&vm, vec![op]);
            let (leaves, tables) = gone(&before, &cached(&vm));
            if is_fresh || (!is_map && leaves.is_empty()) {
                prop_assert_eq!(forgotten, []);
                continue;
            }
            if !is_map {
                // Several parts may change apart from each other; nothing comes loose.
                for stale in forgotten {
                    let reach = hull(leaves.iter().copied()).unwrap();
                    prop_assert_eq!(stale.walks, None);
                    prop_assert!(stale.leaves.is_some_and(|leaves| reach.covers(leaves)));
                }
                continue;
            }
            let [stale] = forgotten[..] else {
                panic!("one invalidation for one operation: {forgotten:?}");
            };
            prop_assert_eq!(stale.walks, hull(tables));
            let reach = hull(leaves.into_iter().chain([range])).unwrap();
            prop_assert!(stale.leaves.is_some_and(|leaves| reach.covers(leaves)));
        }
    }
}

#[test]
fn a_fresh_map_invalidates_nothing() {
    let vm = vm(&memory());
    let ops = vec![map(0, PAGE, 0), map(PAGE, 4 * MIB, PAGE), map(GIB, 3 * GIB, GIB)];
    assert_eq!(run(&vm, ops), []);
    assert_eq!(run(&vm, vec![unmap(8 * GIB, GIB), Op::SyncOnly]), []);
}

#[test]
fn a_cut_group_is_stale_as_a_whole() {
    let memory = memory();
    let config = CONFIG.with(Options::CONTIGUOUS);
    let vm = Vm::<S1, _, _>::new(config, Arc::clone(&memory), Faulty::default()).unwrap();
    let blocks = 32 * MIB;
    vm.submit([map(GIB, blocks, blocks), map(2 * GIB, 16 * PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    for (first, bytes) in [(GIB, blocks), (2 * GIB, 16 * PAGE)] {
        vm.with_device(|device| device.asked.clear());
        vm.submit([unmap(first + PAGE, PAGE)], [], []).unwrap();
        vm.run_ready();
        let group = range(first, bytes);
        let asked = vm.with_device(|device| device.asked.clone());
        let covers = |ask: &Ask| match ask {
            Ask::Begin(_, footprint) => footprint.covers(group),
            Ask::Forget(stale) => stale.leaves.is_some_and(|leaves| leaves.covers(group)),
            Ask::End(_) => true,
        };
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().all(covers), "{asked:x?} does not cover {group}");
    }
}

#[test]
fn a_cut_block_is_stale_as_a_whole() {
    let vm = vm(&memory());
    let _ = run(&vm, vec![map(GIB, 4 * MIB, 0)]);
    let cut = range(GIB + 2 * MIB, 2 * MIB);
    for op in [unmap(GIB + 3 * MIB, PAGE), map(GIB + MIB, PAGE, 0)] {
        let forgotten = run(&vm, vec![op.clone()]);
        let [stale] = forgotten[..] else {
            panic!("{forgotten:?}");
        };
        let expected = if matches!(op, Op::Unmap { .. }) { cut } else { range(GIB, 2 * MIB) };
        assert_eq!((stale.leaves, stale.walks), (Some(expected), None));
    }
}

#[test]
fn the_walks_of_tables_in_the_hole_are_stale() {
    let vm = vm(&memory());
    let _ = run(&vm, vec![map(GIB, PAGE, 0), map(GIB + 8 * MIB, PAGE, 0)]);
    // The other mapping keeps all tables but the last one.
    let forgotten = run(&vm, vec![unmap(GIB, PAGE)]);
    assert_eq!(forgotten.len(), 1);
    assert_eq!(forgotten[0].leaves, Some(range(GIB, PAGE)));
    assert_eq!(forgotten[0].walks, Some(range(GIB, 2 * MIB)));
    let forgotten = run(&vm, vec![unmap(GIB + 8 * MIB, PAGE)]);
    assert_eq!(forgotten[0].walks, Some(range(0, 512 * GIB)), "and all that lead to it");
}
