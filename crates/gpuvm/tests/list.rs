//! A list of jobs is accepted whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;
mod refused;

use std::sync::Arc;

use gpuvm::{Figures, Op, Submission, SubmitReason, Timeline, Vm};
use iopgtable::memory::Failing;
use iopgtable::{Iova, IovaRange, Unwalked};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};

fn vm(memory: &Memory) -> Vm<S1, Memory, Faulty> {
    Vm::new(CONFIG, Arc::clone(memory), Faulty::default()).unwrap()
}

fn mapped<A: iopgtable::TableAllocator, D: gpuvm::Device>(vm: &Vm<S1, A, D>) -> Vec<IovaRange> {
    vm.with_plan(|space| space.iter().map(|one| one.range).collect())
}

/// Three jobs with something to undo.
fn good() -> Vec<Vec<Op>> {
    vec![
        vec![map(GIB, 4 * MIB, 0), unmap(GIB + PAGE, PAGE)],
        vec![],
        vec![unmap(GIB + MIB, 2 * MIB), map(4 * GIB, PAGE, 0), map(GIB, PAGE, PAGE)],
    ]
}

#[test]
fn a_job_of_a_list_may_wait_for_what_an_earlier_one_signals() {
    let vm = vm(&memory());
    let (queue, gate, line) = (vm.queue(), Timeline::new(), Timeline::new());
    let points = vm
        .submit_list([
            Submission::new([map(0, PAGE, 0)]).after([gate.point(1)]).signalling([line.point(1)]),
            Submission::new([map(GIB, PAGE, 0)]).on(queue.id()).after([line.point(1)]),
            Submission::new([]).signalling([line.point(2)]),
        ])
        .unwrap();
    let values: Vec<_> = points.iter().map(gpuvm::Point::value).collect();
    assert_eq!(values, [1, 1, 2], "on the lines of their queues");
    assert_eq!(vm.run_ready(), 3);
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert!(points.iter().all(|point| point.state() == Some(Ok(()))));
    let begun: Vec<u64> = vm.with_device(|device| {
        let job = |ask: &Ask| if let Ask::Begin(job, _) = ask { Some(*job) } else { None };
        device.asked.iter().filter_map(job).collect()
    });
    assert_eq!(begun, [1, 2]);
}

#[test]
fn a_bad_operation_anywhere_in_a_list_changes_nothing_and_names_job_and_operation() {
    let memory = memory();
    let vm = vm(&memory);
    vm.bind([map(GIB, 8 * MIB, 8 * MIB)]).unwrap();
    let out = Timeline::new();
    let before = (mapped(&vm), vm.figures(), memory.in_use(), vm.state());
    for (bad, reason) in refused::bad().into_iter().step_by(3) {
        for job in 0..3 {
            for op in 0..=good()[job].len() {
                let mut jobs = good();
                jobs[job].insert(op, bad.clone());
                let list = jobs.into_iter().map(|ops| {
                    Submission::new(ops).after([out.point(1)]).signalling([out.point(9)])
                });
                let refused = vm.submit_list(list).unwrap_err();
                assert_eq!((refused.job, refused.op), (Some(job), Some(op)));
                assert_eq!(refused.reason, reason);
                let text = refused.to_string();
                assert!(text.starts_with(&format!("job {job}, operation {op}: ")), "{text}");
            }
        }
    }
    assert_eq!((mapped(&vm), vm.figures(), memory.in_use(), vm.state()), before);
    assert_eq!(out.point(9).state(), None);
    let points = vm.submit_list(good().into_iter().map(Submission::new)).unwrap();
    assert_eq!(points.iter().map(gpuvm::Point::value).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_failed_allocation_at_any_place_of_a_list_changes_nothing() {
    let memory = memory();
    let failing = Arc::new(Failing::new(Arc::clone(&memory)));
    let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&failing), Unwalked).unwrap();
    vm.bind([map(GIB, 8 * MIB, 8 * MIB)]).unwrap();
    let before = (mapped(&vm), vm.figures(), memory.in_use());
    let mut blamed = Vec::new();
    for n in 0.. {
        failing.fail_nth(n);
        let Err(refused) = vm.submit_list(good().into_iter().map(Submission::new)) else { break };
        assert!(matches!(refused.reason, SubmitReason::Memory(_)));
        blamed.push((refused.job.unwrap(), refused.op.unwrap()));
        assert_eq!((mapped(&vm), vm.figures(), memory.in_use()), before, "allocation {n}");
    }
    assert!(blamed.is_sorted() && blamed.first().unwrap().0 < blamed.last().unwrap().0);
    failing.fail_none();
    vm.run_ready();
    let Figures { tables_reserved, tables_installed, .. } = vm.figures();
    assert_eq!(tables_reserved, tables_installed);
    assert!(vm.translate(Iova(GIB)).is_some());
}

#[test]
fn a_list_for_a_queue_of_another_vm_changes_nothing() {
    let memory = memory();
    let (vm, other) = (vm(&memory), vm(&memory));
    let foreign = other.queue();
    let before = (mapped(&vm), vm.figures(), memory.in_use());
    let line = Timeline::new();
    let refused = vm
        .submit_list([
            Submission::new([map(0, PAGE, 0)]).signalling([line.point(1)]),
            Submission::new([map(GIB, PAGE, 0)]).on(foreign.id()),
        ])
        .unwrap_err();
    assert_eq!((refused.job, refused.reason), (Some(1), SubmitReason::UnknownQueue));
    assert_eq!((mapped(&vm), vm.figures(), memory.in_use()), before);
    assert_eq!(line.point(1).state(), None, "neither signalled nor failed");
}

/// Panics when it is told to.
struct Panicky(std::sync::atomic::AtomicBool);

impl iopgtable::memory::Charge for Panicky {
    fn charge(&self, _: u64) -> Result<(), iopgtable::memory::LimitExceeded> {
        assert!(!self.0.load(std::sync::atomic::Ordering::Relaxed), "on purpose");
        Ok(())
    }
    fn uncharge(&self, _: u64) {}
}

#[test]
fn what_an_allocator_that_panics_has_left_is_taken_back_by_the_next_submission() {
    let memory = memory();
    let account = Arc::new(Panicky(false.into()));
    let allocator = iopgtable::memory::Accounted::new(Arc::clone(&memory), Arc::clone(&account));
    let vm = Vm::<S1, _, _>::new(CONFIG, allocator, Unwalked).unwrap();
    vm.bind([map(0, PAGE, 0)]).unwrap();
    let line = Timeline::new();
    account.0.store(true, std::sync::atomic::Ordering::Relaxed);
    let list = [Submission::new([unmap(0, PAGE), map(GIB, PAGE, 0)]).signalling([line.point(1)])];
    let submission = std::panic::AssertUnwindSafe(|| vm.submit_list(list));
    std::panic::catch_unwind(submission).unwrap_err();
    account.0.store(false, std::sync::atomic::Ordering::Relaxed);
    vm.bind([]).unwrap();
    assert_eq!(mapped(&vm), [ops::range(0, PAGE)]);
    assert_eq!(line.point(1).state(), None);
    vm.bind([unmap(0, PAGE)]).unwrap();
    assert_eq!((vm.figures().tables_live(), memory.in_use() as u64), (0, PAGE));
}
