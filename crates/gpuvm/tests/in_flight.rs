//! What queued jobs hold has a limit, which VMs share.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod machine;
mod ops;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use deadline::bounded;
use gpuvm::{InFlight, Op, Submission, SubmitError, SubmitReason, Timeline, Vm, VmOptions, Worker};
use iopgtable::Unwalked;
use machine::{Faulty, Memory, memory};
use ops::{CONFIG, GIB, PAGE, S1, map, unmap};

type Limited = Vm<S1, Memory, Unwalked>;

fn vm(memory: &Memory, in_flight: &Arc<InFlight>) -> Limited {
    let options = VmOptions::new().in_flight(Arc::clone(in_flight));
    Vm::with_options(CONFIG, Arc::clone(memory), Unwalked, options).unwrap()
}

/// A map that takes three tables.
fn far(n: u64) -> Op {
    map(n * 512 * GIB, PAGE, 0)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn a_submission_over_the_limit_is_refused_and_changes_nothing() {
    let memory = memory();
    let in_flight = InFlight::new(8 * PAGE);
    let vm = vm(&memory, &in_flight);
    let gate = Timeline::new();
    for n in 0..2 {
        vm.submit([far(n)], [gate.point(1)], []).unwrap();
    }
    assert_eq!(in_flight.used(), 6 * PAGE);
    let before = (vm.figures(), vm.with_plan(gpuvm::Space::len), memory.in_use());
    let refused = vm.submit([far(2)], [], []).unwrap_err();
    let reason = SubmitReason::InFlight { limit: 8 * PAGE, used: 6 * PAGE, need: 3 * PAGE };
    assert_eq!(refused.reason, reason);
    assert_eq!((vm.figures(), vm.with_plan(gpuvm::Space::len), memory.in_use()), before);
    // What needs no table is not held up.
    vm.submit([unmap(0, PAGE), map(512 * GIB + PAGE, PAGE, 0)], [], []).unwrap();
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!((in_flight.used(), in_flight.peak(), in_flight.refused()), (0, 6 * PAGE, 1));
    vm.submit([far(2)], [], []).unwrap();
}

#[test]
fn a_job_larger_than_the_limit_is_admitted_when_nothing_else_is_in_flight() {
    let in_flight = InFlight::new(2 * PAGE);
    let vm = vm(&memory(), &in_flight);
    vm.submit([far(0)], [], []).unwrap();
    assert_eq!(in_flight.used(), 3 * PAGE);
    let SubmitError { reason, .. } = vm.submit([far(1)], [], []).unwrap_err();
    assert!(matches!(reason, SubmitReason::InFlight { .. }));
    vm.run_ready();
    vm.submit([far(1)], [], []).unwrap();
}

#[test]
fn what_dropped_jobs_had_in_flight_is_free_again() {
    let memory = memory();
    let in_flight = InFlight::new(64 * PAGE);
    let vm = vm(&memory, &in_flight);
    let gate = Timeline::new();
    vm.submit([far(0)], [gate.point(1)], []).unwrap();
    drop(vm);
    assert_eq!(in_flight.used(), 0, "with the VM");

    let options = VmOptions::new().in_flight(Arc::clone(&in_flight));
    let vm = Vm::<S1, _, _>::with_options(CONFIG, memory, Faulty::default(), options).unwrap();
    vm.submit([far(0)], [], []).unwrap();
    vm.submit([far(1)], [gate.point(1)], []).unwrap();
    vm.with_device(|device| device.broken = Some(|_| true));
    vm.run_ready();
    assert_eq!(in_flight.used(), 0, "with a ban");
}

#[test]
fn a_submission_with_a_deadline_waits_for_room_and_not_longer() {
    bounded(|| {
        let in_flight = InFlight::new(4 * PAGE);
        let vm = vm(&memory(), &in_flight);
        let worker = Worker::new(1).unwrap();
        worker.attach(&vm);
        let gate = Timeline::new();
        vm.submit([far(0)], [gate.point(1)], []).unwrap();
        let start = Instant::now();
        let patience = Duration::from_millis(30);
        let refused = vm.submit_until([Submission::new([far(1)])], start + patience).unwrap_err();
        assert!(matches!(refused.reason, SubmitReason::InFlight { .. }));
        assert!(start.elapsed() >= patience);
        let opener = thread::spawn({
            let gate = gate.clone();
            move || {
                thread::sleep(Duration::from_millis(20));
                gate.signal(1);
            }
        });
        let points = vm.submit_until([Submission::new([far(1)])], soon()).unwrap();
        assert_eq!(gate.value(), 1, "not before there was room");
        points[0].wait().unwrap();
        opener.join().unwrap();
    });
}

#[test]
fn whoever_waits_is_not_overtaken() {
    bounded(|| {
        let in_flight = InFlight::new(6 * PAGE);
        let vm = vm(&memory(), &in_flight);
        let gate = Timeline::new();
        vm.submit([far(0)], [gate.point(1)], []).unwrap();
        let waiting = thread::spawn({
            let vm = vm.clone();
            move || vm.submit_until([Submission::new([far(1), far(2)])], soon()).unwrap()
        });
        while in_flight.refused() == 0 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        // There is room for this one, but it is not its turn.
        let refused = vm.submit([far(3)], [], []).unwrap_err();
        assert!(matches!(refused.reason, SubmitReason::InFlight { .. }));
        gate.signal(1);
        vm.run_ready();
        waiting.join().unwrap();
    });
}

/// One VM floods the device with small binds that cannot run yet.
#[test]
fn a_flood_of_small_binds_of_one_vm_neither_holds_all_memory_nor_starves_another() {
    const LIMIT: u64 = 64 * PAGE;
    bounded(|| {
        let memory = memory();
        let in_flight = InFlight::new(LIMIT);
        let worker = Worker::new(1).unwrap();
        let (flooding, modest) = (vm(&memory, &in_flight), vm(&memory, &in_flight));
        worker.attach(&flooding);
        worker.attach(&modest);
        let ticks = Timeline::new();
        let done = Timeline::new();
        let flood = thread::spawn({
            let (ticks, done) = (ticks.clone(), done.clone());
            move || {
                let mut jobs = 0;
                while done.point(1).state().is_none() {
                    jobs += 1;
                    let ops = [far(jobs % 400)];
                    let one = Submission::new(ops).after([ticks.point(jobs)]);
                    flooding.submit_until([one], soon()).unwrap();
                    let undo = Submission::new([unmap(jobs % 400 * 512 * GIB, PAGE)]);
                    flooding.submit_until([undo], soon()).unwrap();
                }
                ticks.signal(u64::MAX);
                jobs
            }
        });
        // The flood is at the limit before the other one begins.
        while in_flight.used() + 3 * PAGE <= LIMIT {
            thread::yield_now();
        }
        // It ticks until the flood is over: a submission may be waiting for room when the rest is done.
        let over = Timeline::new();
        let ticker = thread::spawn({
            let (ticks, over) = (ticks.clone(), over.clone());
            move || {
                let mut tick = 0;
                while over.point(1).state().is_none() {
                    tick += 1;
                    ticks.signal(tick);
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        for n in 0..50 {
            let points = modest.submit_until([Submission::new([far(n)])], soon()).unwrap();
            points[0].wait().unwrap();
        }
        done.signal(1);
        assert!(flood.join().unwrap() > 20);
        over.signal(1);
        ticker.join().unwrap();
        assert!(in_flight.peak() <= LIMIT, "{in_flight:?}");
    });
}
