//! A job that stops in the middle bans its VM, and nothing that the device may still use is lost
//! track of.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::Arc;

use gpuvm::{Ban, BanReason, BindError, FenceError, Op, Point, SubmitReason, Timeline, Vm};
use iopgtable::Iova;
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};

type FaultyVm = Vm<S1, Memory, Faulty>;

const SILENT: &str = "the device does not answer";

/// Whether the device fails at what it is asked.
type Broken = fn(&Ask) -> bool;

const BREAKS: [(&str, Broken); 3] = [
    ("begin", |ask| matches!(ask, Ask::Begin(..))),
    ("forget", |ask| matches!(ask, Ask::Forget(_))),
    ("end", |ask| matches!(ask, Ask::End(_))),
];

fn vm(memory: &Memory) -> FaultyVm {
    Vm::new(CONFIG, Arc::clone(memory), Faulty::default()).unwrap()
}

fn break_at(vm: &FaultyVm, broken: Broken) {
    vm.with_device(|device| device.broken = Some(broken));
}

fn linked(vm: &FaultyVm) -> usize {
    let tables = vm.with_table(iopgtable::PageTable::count_tables).total();
    (usize::try_from(tables).unwrap() + 1) * usize::try_from(PAGE).unwrap()
}

/// Jobs of which the second replaces, cuts and lets tables go; the others need new tables.
fn submit_jobs(vm: &FaultyVm, out: &Timeline) -> Vec<Point> {
    let second = vec![unmap(GIB, 2 * MIB), map(0, PAGE, 7 * PAGE), unmap(4 * GIB + MIB, PAGE)];
    let jobs: [Vec<Op>; 4] =
        [vec![map(2 * GIB, PAGE, 0)], second, vec![map(8 * GIB, MIB, 0), Op::SyncOnly], vec![]];
    (1..).zip(jobs).map(|(number, ops)| vm.submit(ops, [], [out.point(number)]).unwrap()).collect()
}

fn prepare(vm: &FaultyVm) {
    vm.bind([map(GIB, MIB, 0), map(0, PAGE, 0), map(4 * GIB, 2 * MIB, 0)]).unwrap();
}

#[test]
fn a_device_that_fails_bans_the_vm_and_the_ban_says_which_job_and_why() {
    for (name, broken) in BREAKS {
        let memory = memory();
        let vm = vm(&memory);
        prepare(&vm);
        assert!(vm.ban().is_none());
        let out = Timeline::new();
        let points = submit_jobs(&vm, &out);
        // The VM's third job, after `prepare` and the first one here, which invalidates nothing.
        break_at(&vm, broken);
        let expected_job = if name == "forget" { 3 } else { 2 };
        assert_eq!(vm.run_ready(), 0, "{name}: no job stays in the queue");

        let ban: Ban<_> = vm.ban().unwrap();
        assert_eq!(ban.job, expected_job, "{name}");
        assert!(matches!(ban.reason, BanReason::Device(reason) if reason == SILENT), "{name}");
        let op = if name == "forget" { ", operation 0" } else { "" };
        assert_eq!(ban.op, (name == "forget").then_some(0));
        assert_eq!(ban.to_string(), format!("banned by job {expected_job}{op}: {SILENT}"));
        for (job, point) in (2..).zip(&points) {
            let expected = if job < expected_job { Ok(()) } else { Err(FenceError::VmBanned) };
            assert_eq!(point.state(), Some(expected), "{name}: job {job}");
            assert_eq!(out.point(job - 1).state(), Some(expected), "{name}: job {job}");
        }

        let asked = vm.with_device(|device| device.asked.len());
        let refused = vm.submit([map(0, PAGE, 0)], [], []).unwrap_err();
        assert_eq!((refused.op, refused.reason), (None, SubmitReason::Banned));
        let refused = vm.submit([], [], []).unwrap_err();
        assert_eq!(refused.reason, SubmitReason::Banned, "synchronisation, too");
        assert_eq!(vm.bind([unmap(0, PAGE)]), Err(BindError::Refused(refused)));
        vm.run_ready();
        assert_eq!(vm.with_device(|device| device.asked.len()), asked, "no job reaches the device");
    }
}

#[test]
fn queued_jobs_of_a_banned_vm_give_their_reservations_back() {
    let memory = memory();
    let vm = vm(&memory);
    prepare(&vm);
    assert_eq!(memory.in_use(), linked(&vm));
    let out = Timeline::new();
    let _ = submit_jobs(&vm, &out);
    assert!(memory.in_use() > linked(&vm), "reserved");
    break_at(&vm, |ask| matches!(ask, Ask::Begin(..)));
    vm.run_ready();
    assert_eq!(memory.in_use(), linked(&vm), "the job that never began has let go, too");
    let figures = vm.figures();
    assert_eq!(figures.tables_reserved, figures.tables_installed + figures.tables_returned);
    drop(vm);
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn a_job_that_waits_in_a_banned_vm_fails_at_once() {
    let memory = memory();
    let vm = vm(&memory);
    let (gate, out) = (Timeline::new(), Timeline::new());
    vm.submit([map(0, PAGE, 0)], [], []).unwrap();
    vm.submit([map(GIB, PAGE, 0)], [gate.point(1)], [out.point(1)]).unwrap();
    break_at(&vm, |ask| matches!(ask, Ask::Begin(..)));
    assert_eq!(vm.run_ready(), 0, "it does not wait for the gate");
    assert_eq!(out.point(1).state(), Some(Err(FenceError::VmBanned)));
    assert_eq!(memory.in_use(), linked(&vm));
}

#[test]
fn tables_that_the_device_may_still_walk_are_not_handed_out_again() {
    let memory = memory();
    let vm = vm(&memory);
    // A page of its own in two spans of 1 GiB: each has two tables below the one they share.
    vm.bind([map(GIB, PAGE, 0), map(3 * GIB, PAGE, 0)]).unwrap();
    let before = memory.in_use();
    let walked = pages_of(&vm);
    break_at(&vm, |ask| matches!(ask, Ask::Forget(_)));
    let failed = vm.bind([unmap(GIB, PAGE)]).unwrap_err();
    assert_eq!(failed, BindError::Failed(FenceError::VmBanned));
    assert_eq!(vm.translate(Iova(GIB)), None, "unlinked");
    let page = usize::try_from(PAGE).unwrap();
    assert_eq!(linked(&vm), before - 2 * page);
    assert_eq!(memory.in_use(), before, "but not free");
    assert_eq!(vm.figures().tables_freed, 0);

    // Another VM on the same memory gets other pages, and is not affected.
    let other = machine::vm::<S1>(CONFIG, &memory);
    other.bind([map(0, GIB, PAGE), unmap(0, GIB), map(GIB, PAGE, 2 * PAGE)]).unwrap();
    assert_eq!(other.translate(Iova(GIB)).unwrap().phys.0, 2 * PAGE);
    assert!(other.ban().is_none());
    assert!(pages_of(&other).iter().all(|page| !walked.contains(page)));
    drop(other);
    assert_eq!(memory.in_use(), before);
    // When the VM goes, no device walks its tables any more: they were kept, not lost.
    drop(vm);
    assert_eq!(memory.in_use(), 0);
}

/// Where the tables of a VM lie, the root left out.
fn pages_of<D: gpuvm::Device>(vm: &Vm<S1, Memory, D>) -> Vec<u64> {
    let mut pages = Vec::new();
    vm.with_table(|table| {
        table.visit(ops::range(0, 1 << 48), |seen| {
            if let iopgtable::Visit::Table { phys, .. } = seen {
                pages.push(phys.0);
            }
        });
    });
    pages
}

#[test]
fn an_invalidation_that_fails_later_in_a_job_keeps_only_what_it_named() {
    let memory = memory();
    let vm = vm(&memory);
    vm.bind([map(GIB, PAGE, 0), map(512 * GIB, PAGE, 0)]).unwrap();
    let before = memory.in_use();
    // The first gather of the job is forgotten, the second is not.
    break_at(&vm, |ask| match ask {
        Ask::Forget(stale) => stale.hull().unwrap().last().0 >= 512 * GIB,
        _ => false,
    });
    vm.bind([unmap(GIB, PAGE), unmap(512 * GIB, PAGE)]).unwrap_err();
    let page = usize::try_from(PAGE).unwrap();
    assert_eq!(memory.in_use(), before - 3 * page, "the first three are free");
    assert_eq!(linked(&vm), page, "all are unlinked");
    assert_eq!(vm.figures().tables_freed, 3);
    drop(vm);
    assert_eq!(memory.in_use(), 0);
}
