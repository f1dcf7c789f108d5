//! A submission is accepted whole, or leaves everything as it was and says why.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod machine;
mod ops;
mod refused;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use deadline::bounded;
use gpuvm::{BindError, Device, Figures, Op, SubmitError, SubmitReason, Timeline, Vm};
use iopgtable::memory::{Account, Accounted, Failing, LimitExceeded, Region, TableAllocator};
use iopgtable::{
    AllocError, ArmV7s, Config, Iova, IovaRange, Options, PhysAddr, Prot, Splits, TableCount,
    TableError, Translation, Unextended, Unwalked,
};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map, map_backing, unmap};

/// Everything that a refused submission must leave as it was.
#[derive(Debug, PartialEq)]
struct Snapshot {
    plan: Vec<(IovaRange, usize, u64, Prot)>,
    figures: Figures,
    in_use: usize,
    queued: usize,
    reached: u64,
    tables: TableCount,
    translations: Vec<Option<Translation>>,
}

fn snapshot<A: TableAllocator, D: Device>(vm: &Vm<S1, A, D>, memory: &Memory) -> Snapshot {
    let plan = vm.with_plan(|space| {
        space
            .iter()
            .map(|one| (one.range, Arc::as_ptr(&one.backing).addr(), one.offset, one.prot))
            .collect()
    });
    Snapshot {
        plan,
        figures: vm.figures(),
        in_use: memory.in_use(),
        queued: vm.run_ready(),
        reached: vm.timeline().value(),
        tables: vm.with_table(iopgtable::PageTable::count_tables),
        translations: (0..8).map(|n| vm.translate(Iova(GIB + n * MIB))).collect(),
    }
}

/// Operations that cut blocks, replace, and take the place of tables: undoing them is work.
fn good() -> Vec<Op> {
    vec![
        unmap(GIB + 4 * MIB + 5 * PAGE, PAGE),
        map(GIB + 2 * MIB + PAGE, 3 * MIB, 0x1234_5000),
        map(3 * GIB - 2 * MIB, 4 * MIB, 0x4000_0000),
        unmap(GIB, 8 * MIB),
        map(GIB, GIB, 2 * GIB),
    ]
}

/// What a list of `good` operations finds: a block, a mapping of pages, and a job in the queue
/// that waits for the timeline's point 1.
fn prepare<A: TableAllocator + Clone, D: Device>(vm: &Vm<S1, A, D>, gate: &Timeline) {
    vm.submit([map(GIB, 8 * MIB, 8 * MIB), map(3 * GIB, 16 * PAGE, PAGE)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 0);
    vm.submit([unmap(GIB, PAGE)], [gate.point(1)], []).unwrap();
    assert_eq!(vm.run_ready(), 1);
}

#[test]
fn a_list_with_a_bad_operation_changes_nothing_and_names_it() {
    let memory = memory();
    let account = Arc::new(Account::new("vm", Account::UNLIMITED));
    let allocator = Accounted::new(Arc::clone(&memory), Arc::clone(&account));
    let vm = Vm::<S1, _, _>::new(CONFIG, allocator, Unwalked).unwrap();
    let gate = Timeline::new();
    let signalled = Timeline::new();
    prepare(&vm, &gate);
    let (before, charged) = (snapshot(&vm, &memory), account.charged());
    for (op, reason) in refused::bad() {
        for index in 0..=good().len() {
            let mut list = good();
            list.insert(index, op.clone());
            let refused = vm.submit(list, [], [signalled.point(1)]).unwrap_err();
            assert_eq!((refused.op, refused.reason), (Some(index), reason));
            assert!(refused.to_string().starts_with(&format!("operation {index}: ")));
        }
        assert_eq!(snapshot(&vm, &memory), before, "after {reason:?}");
        assert_eq!(account.charged(), charged);
    }
    // What is left is accepted, and does what it would have done.
    let done = vm.submit(good(), [], [signalled.point(1)]).unwrap();
    assert_eq!(done.value(), 3, "no job number was used up");
    assert_eq!(signalled.value(), 0, "no refused job signalled");
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(signalled.value(), 1);
    assert_eq!(vm.translate(Iova(GIB)).unwrap().leaf_bytes, GIB);
    drop(vm);
    assert_eq!((memory.in_use(), account.charged()), (0, 0));
}

/// Fails the 0th, 1st, ... page of the job, until there is none left that it takes.
#[test]
fn a_failed_allocation_at_any_place_changes_nothing_and_leaks_nothing() {
    let memory = memory();
    let failing = Arc::new(Failing::new(Arc::clone(&memory)));
    let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&failing), Unwalked).unwrap();
    let gate = Timeline::new();
    prepare(&vm, &gate);
    let before = snapshot(&vm, &memory);
    let live = failing.live();
    let mut blamed = Vec::new();
    for n in 0.. {
        failing.fail_nth(n);
        match vm.submit(good(), [], []) {
            Err(SubmitError { op, reason, .. }) => {
                assert!(matches!(reason, SubmitReason::Memory(AllocError::OutOfMemory { .. })));
                blamed.push(op.unwrap());
            }
            Ok(_) => break,
        }
        assert_eq!(snapshot(&vm, &memory), before, "allocation {n}");
        assert_eq!(failing.live(), live, "allocation {n}");
    }
    failing.fail_none();
    let reserved = vm.figures().tables_reserved - before.figures.tables_reserved;
    assert_eq!(blamed.len() as u64, reserved, "each page of the reservation failed once");
    assert!(blamed.is_sorted() && blamed.first() < blamed.last());
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(vm.figures().tables_returned, 0);
    drop((vm, failing));
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn an_account_that_is_full_refuses_until_its_limit_is_raised() {
    let memory = memory();
    let device = Arc::new(Account::new("device", Account::UNLIMITED));
    let account = Arc::new(Account::with_parent("process 7", 2 * PAGE, Arc::clone(&device)));
    let allocator = Accounted::new(Arc::clone(&memory), Arc::clone(&account));
    let vm = Vm::<S1, _, _>::new(CONFIG, allocator, Unwalked).unwrap();
    let (before, usage) = (snapshot(&vm, &memory), account.charged());
    assert_eq!(usage, PAGE, "the root");
    // Three tables: one page must still be paid for where the limit is two.
    let mut limits = Vec::new();
    let accepted = loop {
        match vm.bind([Op::SyncOnly, map(GIB, PAGE, 0)]) {
            Err(BindError::Refused(SubmitError { op, reason, .. })) => {
                assert_eq!(op, Some(1));
                let SubmitReason::Memory(AllocError::Limit(limit)) = reason else {
                    panic!("{reason:?}");
                };
                assert_eq!((limit.account, limit.limit), ("process 7", account.limit()));
                assert!(usage <= limit.usage && limit.usage <= limit.limit);
                assert!(limit.usage + limit.need > limit.limit, "{limit}");
                limits.push(limit);
            }
            outcome => break outcome,
        }
        assert_eq!(snapshot(&vm, &memory), before);
        assert_eq!((account.charged(), device.charged()), (usage, usage));
        account.set_limit(limits.last().map_or(0, |limit| limit.usage + limit.need));
    };
    assert_eq!(accepted, Ok(()));
    assert_eq!(account.refusals(), limits.len() as u64);
    assert_eq!(limits.len(), 1, "a refusal names all that the operation needs");
    assert_eq!(account.charged(), 4 * PAGE);
    assert_eq!(limits.last().map(|limit| limit.usage + limit.need), Some(4 * PAGE));

    // A limit further up is the one that is named.
    device.set_limit(4 * PAGE);
    account.set_limit(Account::UNLIMITED);
    let refused = vm.submit([map(2 * GIB, PAGE, 0)], [], []).unwrap_err();
    let reason = SubmitReason::Memory(AllocError::Limit(LimitExceeded {
        account: "device",
        limit: 4 * PAGE,
        usage: 4 * PAGE,
        need: 2 * PAGE,
    }));
    assert_eq!((refused.op, refused.reason), (Some(0), reason));
    // What needs no table is not refused: neither a page beside the first, nor an unmap.
    vm.bind([map(GIB + PAGE, PAGE, 0), unmap(GIB, 2 * PAGE)]).unwrap();
    assert_eq!(account.charged(), PAGE);
}

#[test]
fn jobs_without_changes_only_synchronise() {
    let memory = memory();
    let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&memory), Faulty::default()).unwrap();
    let (gate, out) = (Timeline::new(), Timeline::new());
    let in_use = memory.in_use();
    let lists = [vec![], vec![Op::SyncOnly], vec![Op::SyncOnly, unmap(0, GIB), Op::SyncOnly]];
    for (number, list) in (1..).zip(lists) {
        let ops = list.len() as u64;
        let before = vm.figures();
        let done = vm.submit(list, [gate.point(number)], [out.point(number)]).unwrap();
        assert_eq!((vm.run_ready(), done.state(), out.value()), (1, None, number - 1));
        gate.signal(number);
        assert_eq!((vm.run_ready(), done.state(), out.value()), (0, Some(Ok(())), number));
        assert_eq!(vm.figures().ops, before.ops + ops);
    }
    assert_eq!(memory.in_use(), in_use);
    assert_eq!(vm.figures().tables_reserved, 0);
    let asked: Vec<Ask> = vm.with_device(|device| device.asked.clone());
    assert_eq!(asked, [], "the device is left alone");
}

#[test]
fn an_unmap_inside_the_same_list_sees_what_the_list_has_mapped() {
    let memory = memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let block = backing(0, 2 * MIB);
    vm.bind([
        map_backing(GIB, 2 * MIB, &block),
        unmap(GIB + PAGE, PAGE),
        map_backing(GIB, 2 * MIB, &block),
        unmap(GIB, MIB),
    ])
    .unwrap();
    assert_eq!(vm.translate(Iova(GIB + MIB - PAGE)), None);
    assert_eq!(vm.translate(Iova(GIB + MIB)).unwrap().phys, PhysAddr(MIB));
    assert_eq!(vm.figures().tables_live(), 3);
}

/// What the caller's iterators do is the caller's business: no lock is held meanwhile.
#[test]
fn operations_may_be_made_by_asking_the_vm() {
    let queued = bounded(|| {
        let memory = memory();
        let vm = machine::vm::<S1>(CONFIG, &memory);
        vm.bind([map(0, PAGE, 0), map(GIB, PAGE, 0)]).unwrap();
        let mapped = (0..4).filter(|n| vm.with_plan(|plan| plan.get(Iova(n * GIB)).is_some()));
        let in_points = (0..1).map(|_| vm.timeline().point(vm.figures().jobs_submitted));
        let out_points = (0..1).map(|_| Timeline::new().point(vm.run_ready() as u64));
        vm.submit(mapped.map(|n| unmap(n * GIB, PAGE)), in_points, out_points).unwrap();
        vm.run_ready();
        vm.with_plan(gpuvm::Space::len)
    });
    assert_eq!(queued, 0);
}

#[test]
fn an_iterator_that_panics_leaves_everything_as_it_was() {
    let memory = memory();
    let vm = machine::vm::<S1>(CONFIG, &memory);
    let gate = Timeline::new();
    prepare(&vm, &gate);
    let before = snapshot(&vm, &memory);
    let panics = |_: i32| -> gpuvm::Point { panic!("on purpose") };
    let submissions: [&dyn Fn(); 3] = [
        &|| {
            let late = (0..1).map(|n| (panics(n), Op::SyncOnly).1);
            drop(vm.submit(good().into_iter().chain(late), [], []));
        },
        &|| drop(vm.submit(good(), (0..1).map(panics), [])),
        &|| drop(vm.submit(good(), [], (0..1).map(panics))),
    ];
    for submission in submissions {
        catch_unwind(AssertUnwindSafe(submission)).unwrap_err();
        assert_eq!(snapshot(&vm, &memory), before);
    }
}

/// Mappings are cut at will, and supersections beyond 2^32 cannot be.
#[test]
fn what_only_wide_leaves_lead_to_is_refused() {
    let memory = Arc::new(Region::with_capacity(PhysAddr(0xe000_0000), 16 << 20).unwrap());
    let config = Config::new(32, 40);
    let vm = Vm::<ArmV7s<Unextended>, _, _>::new(config, memory, Unwalked).unwrap();
    let (reach, block) = (PhysAddr(u32::MAX.into()), 16 * MIB);
    for far in [4 * GIB, 4 * GIB - PAGE] {
        let error = vm.submit([map(0, block, far)], [], []).unwrap_err();
        let last = PhysAddr(far + (block - 1));
        assert_eq!(error.reason, SubmitReason::BackingReach { last, reach });
    }
    vm.submit([map(0, block, 4 * GIB - block)], [], []).unwrap();
    vm.run_ready();
    assert_eq!(vm.translate(Iova(5)).map(|found| found.leaf_bytes), Some(block));
}

#[test]
fn a_bind_that_splits_a_live_block_is_refused_where_that_is_forbidden() {
    let memory = memory();
    let config = CONFIG.with(Options::CONTIGUOUS).splits(Splits::Forbidden);
    let vm = Vm::<S1, _, _>::new(config, Arc::clone(&memory), Unwalked).unwrap();
    // A block, a group of pages, and pages that no group holds.
    let ops = [
        map(GIB, 2 * MIB, 2 * MIB),
        map(GIB + 4 * MIB, 16 * PAGE, 0),
        map(GIB + 6 * MIB, 16 * PAGE, PAGE),
    ];
    vm.submit(ops, [], []).unwrap();
    vm.run_ready();
    let before = snapshot(&vm, &memory);
    for (first, block) in [(GIB, 2 * MIB), (GIB + 4 * MIB, 16 * PAGE)] {
        let block = ops::range(first, block);
        for op in [unmap(first + PAGE, PAGE), map(first + PAGE, PAGE, 0), unmap(first, PAGE)] {
            let refused = SubmitReason::Argument(TableError::Split { block });
            let error = vm.submit([op], [], []).unwrap_err();
            assert_eq!((error.op, error.reason), (Some(0), refused));
        }
    }
    assert_eq!(snapshot(&vm, &memory), before);
    let fitting =
        [unmap(GIB, 2 * MIB), unmap(GIB + 4 * MIB, 16 * PAGE), unmap(GIB + 6 * MIB + PAGE, PAGE)];
    let done = vm.submit(fitting, [], []).unwrap();
    vm.run_ready();
    assert_eq!(done.state(), Some(Ok(())));
}
