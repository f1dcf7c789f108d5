//! Maps, unmaps, protects, splits, evictions and restorations in any order: the plan is what a
//! plain model says, the tables are exactly those that it needs, an independent MMU finds its
//! leaves, and the device is told to forget all that is gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod model;
mod ops;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use gpuvm::{Op, SubmitReason, Timeline, Vm, plan};
use iopgtable::memory::Failing;
use iopgtable::{
    AllocError, Config, Invalidation, Iova, IovaRange, LAST_LEVEL, Options, PhysAddr, Prot,
    TableCount, Visit,
};
use machine::{Ask, Faulty};
use model::{Kind, Memory, Model, Raw};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map_backing, range, unmap};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

type TestVm = Vm<S1, machine::Memory, Faulty>;

static MEMORIES: LazyLock<Vec<Memory>> = LazyLock::new(model::memories);

/// What a device may have cached of leaves: their span, where they lead, and what they allow.
fn cached(vm: &TestVm) -> BTreeSet<(u64, u64, u64, bool)> {
    let mut leaves = BTreeSet::new();
    vm.with_table(|table| {
        table.visit(range(0, 1 << 48), |seen| {
            if let Visit::Leaf { span, phys, prot, .. } = seen {
                let write = prot.contains(Prot::WRITE);
                leaves.insert((span.first().0, span.last().0, phys.0, write));
            }
        });
    });
    leaves
}

/// What the device was told to forget, all within what it was told to hold.
fn forgotten(asked: &[Ask]) -> Vec<Invalidation> {
    let mut held: Option<IovaRange> = None;
    let mut forgotten = Vec::new();
    for ask in asked {
        match ask {
            Ask::Begin(_, footprint) => held = Some(*footprint),
            Ask::Forget(stale) => {
                let hull = stale.hull().unwrap();
                assert!(held.unwrap().covers(hull), "{held:?} does not cover {hull}");
                forgotten.push(*stale);
            }
            Ask::End(_) => held = None,
        }
    }
    forgotten
}

fn check(vm: &TestVm, model: &Model, touched: impl IntoIterator<Item = IovaRange>) {
    let geometry = *vm.geometry();
    vm.with_plan(|space| model.check_plan(&MEMORIES, space));
    let tables = model.tables(&MEMORIES, &geometry);
    let planned = vm.with_plan(|space| plan::tables(&geometry, space));
    let mut built = model::Tables::new();
    let mut seen = Vec::new();
    vm.with_table(|table| {
        table.visit(geometry.whole(), |what| match what {
            Visit::Table { span, level, .. } => {
                built
                    .entry(level)
                    .or_default()
                    .insert(span.first().0 >> geometry.table_shift(level));
            }
            Visit::Leaf { span, phys, .. } => {
                seen.push(model::Leaf { first: span.first().0, phys: phys.0, bytes: span.bytes() });
            }
            _ => {}
        });
    });
    assert_eq!(built, tables, "tables as built");
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        let count = tables.get(&level).map_or(0, |tables| tables.len() as u64);
        assert_eq!(planned.at(level), count, "planned tables at level {level}");
    }
    let leaves = model.leaves(&MEMORIES, &geometry);
    assert_eq!(seen, leaves.iter().map(|(leaf, _)| *leaf).collect::<Vec<_>>(), "leaves");
    let figures = vm.figures();
    assert_eq!((figures.tables_installed, figures.tables_returned), (figures.tables_reserved, 0));
    assert_eq!(figures.tables_live(), tables.values().map(|tables| tables.len() as u64).sum());
    for address in model::addresses(model, &leaves, touched) {
        let found = machine::walk(vm, address, Access::UNPRIVILEGED_READ);
        let write = machine::walk(vm, address, Access::UNPRIVILEGED_WRITE);
        match model.translate(&MEMORIES, address) {
            Some((phys, prot)) => {
                assert_eq!(found.map(|found| found.address), Ok(phys), "{address:#x}");
                assert_eq!(write.is_ok(), prot.contains(Prot::WRITE), "writing {address:#x}");
            }
            None => assert_eq!(found.map_err(|fault| fault.kind), Err(FaultKind::Translation)),
        }
    }
}

/// What the model expects of a restoration; every other operation is accepted.
fn refusal(model: &Model, op: &Raw) -> Option<SubmitReason> {
    let Kind::Restore { memory, .. } = op.kind else { return None };
    (!model.evicted.contains(&memory)).then_some(SubmitReason::NotEvicted)
}

/// Jobs of a few operations; those with `wait` are queued behind the one before, and run with it.
fn history(config: Config, jobs: &[(Vec<Raw>, bool)]) {
    let memory = machine::memory();
    let vm = Vm::<S1, _, _>::new(config, Arc::clone(&memory), Faulty::default()).unwrap();
    let mut model = Model::default();
    let mut touched = Vec::new();
    let mut before = cached(&vm);
    for (ops, wait) in jobs {
        let mut list = Vec::new();
        for raw in ops {
            if let Some(reason) = refusal(&model, raw) {
                // The list up to here, and what is refused: nothing of it is done.
                let refused = list.iter().cloned().chain([raw.op(&MEMORIES)]).collect::<Vec<Op>>();
                let error = vm.submit(refused.clone(), [], []).unwrap_err();
                assert_eq!((error.op, error.reason), (Some(list.len()), reason));
                assert_eq!(vm.dry_run(refused), Err(error));
                continue;
            }
            model.apply(&MEMORIES, vm.geometry(), raw);
            list.push(raw.op(&MEMORIES));
            touched.push(raw.touched());
        }
        vm.submit(list, [], []).unwrap();
        if *wait {
            continue;
        }
        assert_eq!(vm.run_ready(), 0);
        check(&vm, &model, touched.drain(..));
        let asked = vm.with_device(|device| std::mem::take(&mut device.asked));
        let forgotten = forgotten(&asked);
        let after = cached(&vm);
        for gone in before.difference(&after) {
            let span = IovaRange::inclusive(Iova(gone.0), Iova(gone.1)).unwrap();
            let told = |stale: &Invalidation| stale.leaves.is_some_and(|all| all.covers(span));
            assert!(forgotten.iter().any(told), "{span} in {forgotten:x?}");
        }
        before = after;
    }
    assert_eq!(vm.run_ready(), 0);
    check(&vm, &model, touched);
    vm.bind([Op::Unmap { range: range(0, 1 << 48) }]).unwrap();
    assert_eq!(vm.figures().tables_live(), 0);
    drop(vm);
    assert_eq!(memory.in_use(), 0, "every page is back");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_evicted_and_restored_the_tables_are_exact(jobs in model::jobs(&MEMORIES)) {
        history(CONFIG, &jobs);
    }

    #[test]
    fn whatever_is_evicted_and_restored_groups_are_cut_as_the_plan_says(jobs in model::jobs(&MEMORIES)) {
        history(CONFIG.with(Options::CONTIGUOUS), &jobs);
    }
}

/// The tables that there are, after all jobs have run.
fn built(vm: &TestVm) -> TableCount {
    assert_eq!(vm.run_ready(), 0);
    vm.with_table(iopgtable::PageTable::count_tables)
}

fn vm() -> TestVm {
    Vm::new(CONFIG, machine::memory(), Faulty::default()).unwrap()
}

#[test]
fn an_eviction_keeps_the_tables_and_a_restoration_needs_none() {
    let vm = vm();
    let pages = backing(GIB, 4 * MIB);
    vm.bind([map_backing(GIB + PAGE, 4 * MIB, &pages)]).unwrap();
    let tables = built(&vm);
    let gone = vm.evict(&pages, [], []).unwrap();
    assert_eq!(built(&vm), tables);
    assert_eq!((gone.state(), vm.translate(Iova(GIB + PAGE))), (Some(Ok(())), None));
    assert!(vm.with_plan(|plan| plan.placed().all(gpuvm::space::Placed::is_evicted)));
    let reserved = vm.figures().tables_reserved;
    vm.restore(&pages, &pages, [], []).unwrap();
    assert_eq!(built(&vm), tables);
    assert_eq!(vm.translate(Iova(GIB + PAGE)).unwrap().phys, PhysAddr(GIB));
    assert_eq!(vm.figures().tables_reserved, reserved);
}

#[test]
fn a_restoration_with_other_leaf_sizes_takes_and_frees_tables_exactly() {
    let vm = vm();
    let (block, pages) = (backing(GIB, 2 * MIB), backing(3 * GIB + PAGE, 2 * MIB));
    vm.bind([map_backing(GIB, 2 * MIB, &block)]).unwrap();
    for (old, new, leaf, levels) in [(&block, &pages, PAGE, 3), (&pages, &block, 2 * MIB, 2)] {
        vm.evict(old, [], []).unwrap();
        vm.restore(old, new, [], []).unwrap();
        assert_eq!(built(&vm).total(), levels);
        assert_eq!(vm.translate(Iova(GIB)).unwrap().leaf_bytes, leaf);
    }
    let figures = vm.figures();
    assert_eq!((figures.tables_reserved, figures.tables_returned), (3, 0));
}

#[test]
fn cutting_an_evicted_block_takes_no_table_until_what_is_left_is_restored() {
    let vm = vm();
    let block = backing(GIB, 2 * MIB);
    vm.bind([map_backing(GIB, 2 * MIB, &block)]).unwrap();
    vm.evict(&block, [], []).unwrap();
    let protect = Op::Protect { range: range(GIB + MIB, MIB), prot: Prot::READ };
    let split = Op::Split { range: range(GIB + MIB / 2, MIB) };
    let ops = [unmap(GIB + 5 * PAGE, PAGE), protect, split];
    assert_eq!(vm.dry_run(ops.clone()).unwrap().missing.total(), 0);
    vm.bind(ops).unwrap();
    assert_eq!((built(&vm).total(), vm.with_plan(gpuvm::Space::len)), (2, 5));
    vm.restore(&block, &block, [], []).unwrap();
    assert_eq!(built(&vm).at(LAST_LEVEL), 1);
    assert_eq!(vm.translate(Iova(GIB + 5 * PAGE)), None);
    assert_eq!(vm.translate(Iova(GIB + MIB + PAGE)).unwrap().prot, Prot::READ);
}

/// The evicted block is the last or the first one of its GiB, and needs the table of blocks, but
/// none of pages. The pages that took half of its place have one, which reaches as far as the
/// table of blocks.
#[test]
fn a_table_beside_an_evicted_block_comes_loose_without_the_one_above_it() {
    let halves = [(2 * GIB - 2 * MIB, 2 * GIB - MIB, GIB), (GIB, GIB, GIB + MIB)];
    for (first, kept, unmapped) in halves {
        let vm = vm();
        let block = backing(GIB, 2 * MIB);
        vm.bind([map_backing(first, 2 * MIB, &block)]).unwrap();
        vm.evict(&block, [], []).unwrap();
        let others = GIB - MIB;
        vm.bind([ops::map(unmapped, others, 8 * GIB + PAGE)]).unwrap();
        let left: Vec<IovaRange> = vm.with_plan(|plan| {
            plan.placed().filter(|one| one.is_evicted()).map(|one| one.mapping.range).collect()
        });
        assert_eq!(left, [range(kept, MIB)]);
        assert_eq!(built(&vm).at(LAST_LEVEL), 512);
        vm.bind([unmap(unmapped, others)]).unwrap();
        assert_eq!(built(&vm), TableCount::of(1, 1) + TableCount::of(2, 1));
        vm.restore(&block, &block, [], []).unwrap();
        assert_eq!(built(&vm).total(), 3);
        let phys = GIB + (kept - first);
        assert_eq!(vm.translate(Iova(kept)).unwrap().phys, PhysAddr(phys));
        assert_eq!(vm.figures().tables_returned, 0);
    }
}

#[test]
fn what_is_mapped_of_an_evicted_backing_waits_for_its_memory() {
    let vm = vm();
    let (old, new) = (backing(GIB, MIB), backing(2 * GIB, MIB));
    vm.evict(&old, [], []).unwrap();
    vm.bind([map_backing(GIB, MIB, &old)]).unwrap();
    assert_eq!((built(&vm).total(), vm.translate(Iova(GIB))), (0, None));
    vm.restore(&old, &new, [], []).unwrap();
    assert_eq!(built(&vm).total(), 3);
    assert_eq!(vm.translate(Iova(GIB)).unwrap().phys, PhysAddr(2 * GIB));
    // The old memory may be gone: mapped again, it waits again.
    vm.bind([map_backing(4 * GIB, MIB, &old)]).unwrap();
    assert_eq!(vm.translate(Iova(4 * GIB)), None);
    vm.restore(&old, &old, [], []).unwrap();
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(vm.translate(Iova(4 * GIB)).unwrap().phys, PhysAddr(GIB));
    let error = vm.restore(&old, &old, [], []).unwrap_err();
    assert_eq!(error.reason, SubmitReason::NotEvicted);
}

#[test]
fn evictions_and_restorations_are_jobs_in_their_order() {
    let vm = vm();
    let memory = backing(GIB, PAGE);
    let (gate, out) = (Timeline::new(), Timeline::new());
    let mapped = vm.submit([map_backing(GIB, PAGE, &memory)], [gate.point(1)], []).unwrap();
    let gone = vm.evict(&memory, [], [out.point(1)]).unwrap();
    let back = vm.restore(&memory, &memory, [gate.point(2)], [out.point(2)]).unwrap();
    assert_eq!((vm.run_ready(), out.value()), (3, 0));
    gate.signal(1);
    assert_eq!((vm.run_ready(), out.value()), (1, 1));
    assert_eq!((mapped.state(), gone.state(), back.state()), (Some(Ok(())), Some(Ok(())), None));
    assert_eq!(vm.translate(Iova(GIB)), None);
    gate.signal(2);
    assert_eq!((vm.run_ready(), out.value()), (0, 2));
    assert_eq!(vm.translate(Iova(GIB)).unwrap().phys, PhysAddr(GIB));
}

#[test]
fn a_refused_restoration_leaves_everything_evicted() {
    let memory = machine::memory();
    let failing = Arc::new(Failing::new(Arc::clone(&memory)));
    let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&failing), Faulty::default()).unwrap();
    let (block, pages) = (backing(GIB, 4 * MIB), backing(2 * GIB + PAGE, 4 * MIB));
    vm.bind([map_backing(GIB, 4 * MIB, &block), ops::map(GIB + 2 * MIB, PAGE, 0)]).unwrap();
    vm.evict(&block, [], []).unwrap();
    vm.run_ready();
    let plan = || vm.with_plan(|plan| format!("{plan:?}"));
    let (before, live) = (plan(), failing.live());
    let mut refusals = 0;
    failing.fail_nth(0);
    while let Err(error) = vm.restore(&block, &pages, [], []) {
        assert!(matches!(error.reason, SubmitReason::Memory(AllocError::OutOfMemory { .. })));
        assert_eq!((plan(), failing.live()), (before.clone(), live));
        refusals += 1;
        failing.fail_nth(refusals);
    }
    assert_eq!(refusals, 1, "the second block's table of pages is there already");
    failing.fail_none();
    for (with, bytes) in [(backing(0, 2 * MIB), 2 * MIB), (backing(0, 8 * MIB), 8 * MIB)] {
        let error = vm.restore(&block, &with, [], []).unwrap_err();
        assert_eq!(error.reason, SubmitReason::RestoreLength { old: 4 * MIB, new: bytes });
    }
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(vm.translate(Iova(GIB)).unwrap().phys, PhysAddr(2 * GIB + PAGE));
    assert_eq!(vm.figures().tables_returned, 0);
}
