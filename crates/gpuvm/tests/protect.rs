//! Protects and splits: parts become mappings of their own, with the leaves that mapping them
//! afresh would give, and nothing else changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::Arc;

use gpuvm::{Op, SubmitReason, Vm};
use iopgtable::{Iova, Prot, ProtError, Splits, TableCount, TableError};
use machine::{Ask, Faulty};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, range};

type TestVm = Vm<S1, machine::Memory, Faulty>;

fn vm(ops: Vec<Op>) -> TestVm {
    let vm = Vm::<S1, _, _>::new(CONFIG, machine::memory(), Faulty::default()).unwrap();
    vm.bind(ops).unwrap();
    vm.with_device(|device| device.asked.clear());
    vm
}

fn protect(first: u64, bytes: u64, prot: Prot) -> Op {
    Op::Protect { range: range(first, bytes), prot }
}

/// First address, length, and what is allowed.
fn plan(vm: &TestVm) -> Vec<(u64, u64, Prot)> {
    vm.with_plan(|plan| {
        plan.iter().map(|one| (one.range.first().0, one.range.bytes(), one.prot)).collect()
    })
}

fn leaf(vm: &TestVm, address: u64) -> Option<(Prot, u64)> {
    vm.translate(Iova(address)).map(|found| (found.prot, found.leaf_bytes))
}

#[test]
fn a_protect_splits_mappings_and_leaves_at_its_ends() {
    let vm = vm(vec![map(GIB, GIB, GIB)]);
    let cut = protect(GIB + 512 * MIB, 3 * MIB, Prot::READ);
    // A table of blocks, and one of pages for the block that is cut.
    let missing = TableCount::of(2, 1) + TableCount::of(3, 1);
    assert_eq!(vm.dry_run([cut.clone()]).unwrap().missing, missing);
    vm.bind([cut]).unwrap();
    let middle = GIB + 512 * MIB;
    assert_eq!(
        plan(&vm),
        [
            (GIB, 512 * MIB, Prot::RW),
            (middle, 3 * MIB, Prot::READ),
            (middle + 3 * MIB, 509 * MIB, Prot::RW),
        ]
    );
    let expected = [
        (GIB, Prot::RW, 2 * MIB),
        (middle, Prot::READ, 2 * MIB),
        (middle + 2 * MIB, Prot::READ, PAGE),
        (middle + 3 * MIB, Prot::RW, PAGE),
        (middle + 4 * MIB, Prot::RW, 2 * MIB),
    ];
    for (address, prot, bytes) in expected {
        assert_eq!(leaf(&vm, address), Some((prot, bytes)), "{address:#x}");
    }
    let figures = vm.figures();
    assert_eq!((figures.tables_live(), figures.tables_returned), (3, 0));
}

#[test]
fn holes_in_the_range_of_a_protect_are_no_error() {
    let vm = vm(vec![map(GIB, PAGE, 0), map(GIB + 4 * PAGE, 2 * PAGE, 0)]);
    vm.bind([protect(GIB - MIB, 4 * MIB, Prot::READ), protect(8 * GIB, MIB, Prot::READ)]).unwrap();
    assert_eq!(plan(&vm), [(GIB, PAGE, Prot::READ), (GIB + 4 * PAGE, 2 * PAGE, Prot::READ)]);
    assert_eq!(leaf(&vm, GIB + PAGE), None);
    assert_eq!(vm.figures().tables_reserved, 3);
}

#[test]
fn a_protect_that_changes_nothing_needs_nothing() {
    let vm = vm(vec![map(GIB, 4 * MIB, 0), map(GIB + 4 * MIB, PAGE, 0)]);
    let before = (plan(&vm), vm.figures().tables_reserved);
    let same = protect(GIB + MIB, 4 * MIB, Prot::RW);
    let forecast = vm.dry_run([same.clone()]).unwrap();
    assert_eq!((forecast.split, forecast.footprint), (0, None));
    vm.bind([same]).unwrap();
    assert_eq!((plan(&vm), vm.figures().tables_reserved), before);
    assert_eq!(vm.with_device(|device| device.asked.len()), 0, "the device is left alone");
}

/// The block on the right allows that already: it is not cut, and not in the way.
#[test]
fn a_protect_leaves_mappings_alone_that_allow_it_already() {
    let read = Op::Protect { range: range(GIB + 2 * MIB, 2 * MIB), prot: Prot::READ };
    let vm = vm(vec![map(GIB, 2 * MIB, 0), map(GIB + 2 * MIB, 2 * MIB, 2 * MIB), read]);
    vm.bind([protect(GIB, 3 * MIB, Prot::READ)]).unwrap();
    assert_eq!(plan(&vm), [(GIB, 2 * MIB, Prot::READ), (GIB + 2 * MIB, 2 * MIB, Prot::READ)]);
    let touched = vm.with_device(|device| device.asked.clone());
    let only = range(GIB, 2 * MIB);
    assert!(matches!(touched[..], [Ask::Begin(_, held), Ask::Forget(stale), Ask::End(_)]
        if held == only && stale.leaves == Some(only)));
    assert_eq!(vm.figures().tables_live(), 2);
}

#[test]
fn a_split_cuts_what_reaches_over_its_ends_and_changes_nothing() {
    let vm = vm(vec![map(GIB, 8 * MIB, 0), map(GIB + 8 * MIB, 8 * MIB, 8 * MIB)]);
    let split = Op::Split { range: range(GIB + 2 * MIB, 9 * MIB) };
    assert_eq!(vm.dry_run([split.clone()]).unwrap().missing, TableCount::of(3, 1));
    let translations =
        || (0..16).map(|n| vm.translate(Iova(GIB + n * MIB)).unwrap().phys).collect::<Vec<_>>();
    let before = translations();
    vm.bind([split.clone()]).unwrap();
    assert_eq!(translations(), before);
    let ends: Vec<(u64, u64)> =
        plan(&vm).iter().map(|one| ((one.0 - GIB) / MIB, one.1 / MIB)).collect();
    assert_eq!(ends, [(0, 2), (2, 6), (8, 3), (11, 5)]);
    let pages: Vec<u64> =
        (0..16).filter(|n| leaf(&vm, GIB + n * MIB) == Some((Prot::RW, PAGE))).collect();
    assert_eq!(pages, [10, 11], "one block is cut");
    // The same again finds nothing to do, and a protect of the range cuts nothing any more.
    vm.with_device(|device| device.asked.clear());
    vm.bind([split]).unwrap();
    assert_eq!(vm.with_device(|device| device.asked.len()), 0);
    let later = vm.dry_run([protect(GIB + 2 * MIB, 9 * MIB, Prot::READ)]).unwrap();
    assert_eq!((later.split, later.missing), (0, TableCount::ZERO));
}

#[test]
fn cuts_are_refused_where_splits_are_forbidden() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG.splits(Splits::Forbidden), &memory);
    vm.bind([map(GIB, 2 * MIB, 0)]).unwrap();
    let half = range(GIB, MIB);
    let block = range(GIB, 2 * MIB);
    for op in [Op::Protect { range: half, prot: Prot::READ }, Op::Split { range: half }] {
        let error = vm.submit([op], [], []).unwrap_err();
        assert_eq!(error.reason, SubmitReason::Argument(TableError::Split { block }));
        assert_eq!(vm.with_plan(gpuvm::Space::len), 1);
    }
    vm.bind([Op::Protect { range: block, prot: Prot::READ }, Op::Split { range: block }]).unwrap();
}

#[test]
fn bad_arguments_are_refused() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG, &Arc::clone(&memory));
    let unaligned = range(GIB + 1, PAGE);
    let reason = TableError::UnalignedRange { range: unaligned, granule: PAGE };
    for op in [Op::Protect { range: unaligned, prot: Prot::RW }, Op::Split { range: unaligned }] {
        assert_eq!(vm.submit([op], [], []).unwrap_err().reason, SubmitReason::Argument(reason));
    }
    let (prot, reason) = (Prot::WRITE, ProtError::ReadImplied);
    let error = vm.submit([protect(GIB, PAGE, prot)], [], []).unwrap_err();
    assert_eq!(error.reason, SubmitReason::Argument(TableError::Prot { prot, reason }));
}
