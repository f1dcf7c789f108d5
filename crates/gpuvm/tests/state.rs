//! What a VM tells about itself, while jobs run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod machine;
mod ops;

use std::sync::{Arc, Mutex};

use deadline::bounded;
use gpuvm::{Device, Figures, Op, Outcome, State, Timeline, Vm, VmOptions, What};
use iopgtable::{Invalidate, Invalidation, IovaRange, Unwalked};
use machine::{Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, range, unmap};

fn vm(memory: &Memory, options: VmOptions) -> Vm<S1, Memory, Faulty> {
    Vm::with_options(CONFIG, Arc::clone(memory), Faulty::default(), options).unwrap()
}

#[test]
fn the_state_counts_mappings_tables_bytes_and_jobs_by_queue() {
    let memory = memory();
    let vm = vm(&memory, VmOptions::new());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.bind([map(0, 4 * MIB, 0), map(GIB, PAGE, 0), unmap(0, PAGE)]).unwrap();
    vm.submit([map(4 * GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    queue.submit([map(8 * GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    queue.submit([], [], []).unwrap();
    let state = vm.state();
    assert_eq!(state.format, "ARM_64_LPAE_S1");
    assert_eq!(state.mappings, 4);
    let tables: Vec<_> = state.tables.levels().filter(|(_, count)| *count > 0).collect();
    assert_eq!(tables, [(1, 1), (2, 4), (3, 4)], "when all jobs have run");
    assert_eq!(state.figures.bytes_installed, 5 * PAGE);
    assert_eq!(state.figures.bytes_reserved, 4 * PAGE);
    assert_eq!(state.charged, None);
    let jobs: Vec<_> =
        state.queues.iter().map(|one| (one.submitted, one.left, one.queued)).collect();
    assert_eq!(jobs, [(2, 1, 1), (2, 0, 2)]);
    assert_eq!(state.queues[1].id, queue.id());
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    let state = vm.state();
    assert_eq!((state.figures.bytes_installed, state.figures.bytes_reserved), (9 * PAGE, 0));
    assert_eq!(vm.with_table(iopgtable::PageTable::count_tables), state.tables);
}

#[test]
fn the_record_keeps_the_last_operations_in_the_order_in_which_they_ran() {
    let vm = vm(&memory(), VmOptions::new().record(4));
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit([map(0, PAGE, 0), Op::SyncOnly], [gate.point(1)], []).unwrap();
    queue.submit([map(GIB, PAGE, 0), map(GIB, PAGE, PAGE), unmap(GIB, MIB)], [], []).unwrap();
    vm.run_ready();
    gate.signal(1);
    vm.run_ready();
    let record = vm.state().record;
    let told: Vec<_> =
        record.iter().map(|one| (one.sequence, one.job, one.op, one.what, one.range)).collect();
    assert_eq!(
        told,
        [
            (1, 2, 1, What::Replace, Some(range(GIB, PAGE))),
            (2, 2, 2, What::Unmap, Some(range(GIB, PAGE))),
            (3, 1, 0, What::Map, Some(range(0, PAGE))),
            (4, 1, 1, What::Nothing, None),
        ]
    );
    assert!(record.iter().all(|one| one.outcome == Outcome::Ran));
    // A job that is longer than the record leaves its end.
    let ops = (0..10).map(|n| map(n * MIB, PAGE, 0));
    vm.bind(ops).unwrap();
    let ops: Vec<_> = vm.state().record.iter().map(|one| (one.sequence, one.op)).collect();
    assert_eq!(ops, [(11, 6), (12, 7), (13, 8), (14, 9)]);
}

#[test]
fn the_record_says_what_became_of_the_operations_of_a_banned_vm() {
    let vm = vm(&memory(), VmOptions::new());
    let gate = Timeline::new();
    vm.bind([map(0, PAGE, 0)]).unwrap();
    vm.with_device(|device| {
        device.broken = Some(|ask| matches!(ask, machine::Ask::Forget(_)));
    });
    vm.submit([map(GIB, PAGE, 0), unmap(0, PAGE)], [], []).unwrap();
    vm.submit([unmap(GIB, PAGE)], [gate.point(1)], []).unwrap();
    vm.run_ready();
    let state = vm.state();
    let outcomes: Vec<_> = state.record.iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ran, Outcome::Stopped, Outcome::Failed, Outcome::Dropped]);
    assert_eq!(state.ban, vm.ban().map(|ban| ban.to_string()));
}

#[test]
fn the_state_as_text_has_a_line_for_each_queue_and_operation() {
    let vm = vm(&memory(), VmOptions::new().charged(|| 4711));
    let queue = vm.queue();
    vm.bind([map(0, PAGE, 0)]).unwrap();
    let text = vm.state().to_string();
    assert!(text.starts_with("ARM_64_LPAE_S1: 1 mappings, 1 tables at level 1, "), "{text}");
    assert!(text.contains("4711 bytes charged"), "{text}");
    assert!(text.contains(&format!("queue {}: 0 jobs submitted", queue.id())), "{text}");
    assert!(text.contains("job 1 operation 0: Map 0x0..=0xfff, Ran"), "{text}");
}

/// Asks its VM in the middle of a job.
#[derive(Default)]
struct Curious {
    vm: Option<Vm<S1, Memory, Self>>,
    told: Arc<Mutex<Vec<State>>>,
}

// SAFETY: nothing walks the tables.
unsafe impl Invalidate for Curious {
    type Error = std::convert::Infallible;
    fn invalidate(&mut self, _: &Invalidation) -> Result<(), Self::Error> {
        self.ask();
        Ok(())
    }
}

impl Curious {
    fn ask(&self) {
        self.told.lock().unwrap().extend(self.vm.as_ref().map(Vm::state));
    }
}

impl Device for Curious {
    fn begin(&mut self, _: u64, _: IovaRange) -> Result<(), Self::Error> {
        self.ask();
        Ok(())
    }
}

#[test]
fn the_state_can_be_read_in_the_middle_of_a_job() {
    let told = bounded(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let device = Curious { vm: None, told: Arc::clone(&told) };
        let vm = Vm::<S1, _, _>::new(CONFIG, memory(), device).unwrap();
        let clone = vm.clone();
        vm.with_device(|device| device.vm = Some(clone));
        vm.bind([map(0, PAGE, 0), unmap(0, PAGE)]).unwrap();
        vm.with_device(|device| device.vm = None);
        std::mem::take(&mut *told.lock().unwrap())
    });
    assert_eq!(told.len(), 2, "at its beginning and between its writes and its end");
    assert!(told.iter().all(|state| state.figures.jobs_run == 0));
}

#[test]
fn the_figures_of_the_vms_of_a_device_add_up() {
    let memory = memory();
    let vms: Vec<_> = (0..3)
        .map(|_| Vm::<S1, _, _>::new(CONFIG, Arc::clone(&memory), Unwalked).unwrap())
        .collect();
    for (n, vm) in (1..).zip(&vms) {
        vm.bind((0..n).map(|at| map(at * 512 * GIB, PAGE, 0))).unwrap();
    }
    let sum: Figures = vms.iter().map(Vm::figures).sum();
    assert_eq!((sum.jobs_run, sum.ops, sum.tables_live()), (3, 6, 18));
    assert_eq!(sum.bytes_installed + 3 * PAGE, memory.in_use() as u64);
}

#[cfg(feature = "serde")]
#[test]
fn the_state_can_be_serialized() {
    let vm = vm(&memory(), VmOptions::new());
    vm.bind([map(GIB, PAGE, 0)]).unwrap();
    let json: serde_json::Value = serde_json::to_value(vm.state()).unwrap();
    assert_eq!(json["tables"], serde_json::json!({"1": 1, "2": 1, "3": 1}));
    assert_eq!(json["record"][0]["range"], serde_json::json!([GIB, GIB + PAGE - 1]));
    assert_eq!(json["figures"]["jobs_run"], 1);
}
