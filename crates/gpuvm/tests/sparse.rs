//! The same memory again and again: bounded to plan, exact to reserve.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvm::{Backing, Op, SubmitReason, plan};
use iopgtable::{Iova, PhysAddr, Prot, Segment, TableCount};
use ops::{CONFIG, GIB, MIB, PAGE, S1, range, unmap};
use proptest::prelude::*;
use walkers::Access;

const TIB: u64 = 1 << 40;

fn repeating(phys: u64, bytes: u64) -> Arc<Backing> {
    Backing::repeating([Segment::new(PhysAddr(phys), bytes)]).unwrap()
}

fn sparse(first: u64, bytes: u64, backing: &Arc<Backing>, offset: u64) -> Op {
    let backing = Arc::clone(backing);
    Op::Map { range: range(first, bytes), backing, offset, prot: Prot::READ }
}

/// Much more than it takes, and much less than going through pages one by one would.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn a_tib_of_a_2_mib_block_takes_tables_of_blocks_alone() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let zeros = repeating(2 * GIB, 2 * MIB);
    let whole = sparse(TIB, TIB, &zeros, 0);
    let start = Instant::now();
    let forecast = vm.dry_run([whole.clone()]).unwrap();
    assert_eq!(forecast.leaves, [(2 * MIB, TIB / (2 * MIB))]);
    vm.bind([whole]).unwrap();
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    // 1024 of blocks, and two that lead to them.
    let tables = TableCount::of(1, 2) + TableCount::of(2, 1024);
    assert_eq!(forecast.missing, tables);
    assert_eq!(vm.with_table(iopgtable::PageTable::count_tables), tables);
    assert_eq!(vm.with_plan(|space| plan::tables(vm.geometry(), space)), tables);
    let figures = vm.figures();
    assert_eq!((figures.tables_reserved, figures.tables_returned), (1026, 0));
    for address in [TIB, TIB + 3 * MIB + 5, 2 * TIB - 1] {
        let found = machine::walk(&vm, address, Access::UNPRIVILEGED_READ).unwrap();
        assert_eq!((found.address, found.leaf_size), (2 * GIB + address % (2 * MIB), 2 * MIB));
    }

    // A page in the middle of it gets memory: one table of pages, and the rest stays.
    let page = ops::map(TIB + 7 * GIB + 5 * PAGE, PAGE, 0);
    assert_eq!(vm.dry_run([page.clone()]).unwrap().missing, TableCount::of(3, 1));
    vm.bind([page]).unwrap();
    let beside = machine::walk(&vm, TIB + 7 * GIB + 6 * PAGE, Access::UNPRIVILEGED_READ).unwrap();
    assert_eq!((beside.address, beside.leaf_size), (2 * GIB + 6 * PAGE, PAGE));
    vm.bind([unmap(TIB, TIB)]).unwrap();
    assert_eq!(vm.figures().tables_live(), 0);
}

#[test]
fn a_gib_of_64_kib_takes_tables_of_pages_and_no_more() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let zeros = repeating(2 * GIB, 64 << 10);
    vm.bind([sparse(TIB, GIB, &zeros, 0)]).unwrap();
    let figures = vm.figures();
    assert_eq!((figures.tables_reserved, figures.tables_returned), (512 + 2, 0));
    let found = machine::walk(&vm, TIB + GIB - 1, Access::UNPRIVILEGED_READ).unwrap();
    assert_eq!(found.address, 2 * GIB + (64 << 10) - 1);
}

/// The plan of a block that no address is aligned to goes through its repetitions, not its pages.
#[test]
fn a_block_out_of_step_is_planned_in_bounded_time() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let zeros = repeating(2 * GIB + PAGE, 2 * MIB);
    let start = Instant::now();
    let forecast = vm.dry_run([sparse(TIB, TIB, &zeros, 0)]).unwrap();
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert_eq!(forecast.leaves, [(PAGE, TIB / PAGE)]);
    let tables =
        TableCount::of(1, 2) + TableCount::of(2, 1024) + TableCount::of(3, TIB / (2 * MIB));
    assert_eq!(forecast.missing, tables);
}

#[test]
fn offsets_count_modulo_the_period() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let zeros = repeating(2 * GIB, 4 * PAGE);
    assert_eq!((zeros.period(), zeros.bytes()), (Some(4 * PAGE), 4 * PAGE));
    for offset in [3 * PAGE, 7 * PAGE, u64::MAX - (PAGE - 1)] {
        vm.bind([sparse(GIB, 6 * PAGE, &zeros, offset)]).unwrap();
        for page in 0..6 {
            let phys = vm.translate(Iova(GIB + page * PAGE)).unwrap().phys;
            assert_eq!(phys, PhysAddr(2 * GIB + (3 + page) % 4 * PAGE));
        }
    }
    let same = vm.with_plan(|space| space.get(Iova(GIB)).unwrap().offset);
    assert_eq!(same, 3 * PAGE);
    let refused = vm.submit([sparse(GIB, PAGE, &zeros, 8)], [], []).unwrap_err();
    let reason = SubmitReason::BackingAlignment { offset: 8, granule: PAGE };
    assert_eq!(refused.reason, reason);
}

#[test]
fn repetitions_that_follow_physically_are_runs_of_their_own() {
    // The second segment ends where the first one begins.
    let wrapped =
        [Segment::new(PhysAddr(2 * GIB), MIB), Segment::new(PhysAddr(2 * GIB - MIB), MIB)];
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let backing = Backing::repeating(wrapped).unwrap();
    vm.bind([sparse(GIB + MIB, 4 * MIB, &backing, 0)]).unwrap();
    assert_eq!(vm.translate(Iova(GIB + 2 * MIB)).unwrap().leaf_bytes, PAGE);
    assert_eq!(vm.figures().tables_returned, 0);
}

proptest! {
    #[test]
    fn runs_go_round(
        lengths in prop::collection::vec(1u64..5, 1..5),
        offset in 0u64..40,
        bytes in 0u64..60,
    ) {
        let segment = |(n, length): (usize, &u64)| {
            Segment::new(PhysAddr((n as u64 + 1) * 0x100), *length)
        };
        let segments: Vec<Segment> = lengths.iter().enumerate().map(segment).collect();
        let units: Vec<u64> = segments
            .iter()
            .flat_map(|segment| (0..segment.bytes).map(|n| segment.phys.0 + n))
            .collect();
        let backing = Backing::repeating(segments).unwrap();
        let found: Vec<u64> = backing
            .runs(offset, bytes)
            .flat_map(|run| (0..run.bytes).map(move |n| run.phys.0 + n))
            .collect();
        let start = usize::try_from(offset).unwrap() % units.len();
        let expected = units.iter().cycle().skip(start).take(usize::try_from(bytes).unwrap());
        prop_assert_eq!(found, expected.copied().collect::<Vec<_>>());
    }
}
