//! Points, handles, cancellation and bans.

use std::thread;

use gpuvm::{FenceError, Point, Submission, SubmitReason, Timeline, Worker};

use crate::deadline::bounded;
use crate::machine::{Ask, memory};
use crate::ops::{GIB, PAGE, map, unmap};
use crate::vms::{is_mapped, vm};

#[test]
fn the_point_of_a_job_is_its_number_on_the_timeline_of_its_queue() {
    let vm = vm(&memory());
    let queue = vm.queue();
    let gate = Timeline::new();
    let first = vm.submit([], [gate.point(1)], []).unwrap();
    let points: Vec<Point> = (0..3).map(|_| queue.submit([], [], []).unwrap()).collect();
    vm.run_ready();
    assert_eq!(points.iter().map(Point::value).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(points.iter().all(|point| point.timeline().is_same(queue.timeline())));
    assert_eq!((vm.timeline().value(), queue.timeline().value()), (0, 3));
    assert!(first.timeline().is_same(vm.timeline()));
}

#[test]
fn jobs_of_a_queue_whose_handle_is_gone_run_nevertheless() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    let id = queue.id();
    let done = queue.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
    assert_eq!(vm.state().queues.len(), 2);
    drop(queue);
    let refused = vm.submit_list([Submission::new([]).on(id)]).unwrap_err();
    assert_eq!((refused.job, refused.op), (Some(0), None));
    assert_eq!(refused.reason, SubmitReason::UnknownQueue);
    assert_eq!(vm.run_ready(), 1);
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(done.state(), Some(Ok(())));
    assert_eq!(vm.state().queues.len(), 1, "then it is gone");
}

#[test]
fn a_dropped_vm_cancels_the_jobs_of_all_queues_and_gives_every_page_back() {
    let memory = memory();
    let vm = vm(&memory);
    let (queue, gate) = (vm.queue(), Timeline::new());
    let mine = vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
    let theirs = queue.submit([map(GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    queue.submit([map(GIB + PAGE, PAGE, 0)], [], []).unwrap();
    drop(vm);
    assert_eq!(mine.state(), None, "a queue keeps its VM alive");
    drop(queue);
    for point in [mine, theirs] {
        assert_eq!(point.state(), Some(Err(FenceError::Cancelled)));
    }
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn a_ban_ends_the_jobs_of_all_queues() {
    let memory = memory();
    let vm = vm(&memory);
    let (queue, gate) = (vm.queue(), Timeline::new());
    let other = queue.submit([map(GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    vm.with_device(|device| device.broken = Some(|ask| matches!(ask, Ask::Begin(..))));
    let failing = vm.submit([map(0, PAGE, 0)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 0);
    for point in [failing, other] {
        assert_eq!(point.state(), Some(Err(FenceError::VmBanned)));
    }
    let refused = queue.submit([], [], []).unwrap_err();
    assert_eq!(refused.reason, SubmitReason::Banned);
    assert_eq!(memory.in_use(), 4096, "the root");
}

#[test]
fn a_bind_on_a_queue_overtakes_and_is_done_when_it_returns() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
    queue.bind([map(PAGE, PAGE, 0)]).unwrap();
    assert!(is_mapped(&vm, PAGE) && !is_mapped(&vm, 0));
}

/// A thread in a bind looks at an in-point last, and leaves; the worker must still hear of it.
#[test]
fn no_in_point_is_forgotten_when_the_thread_that_looked_last_is_gone() {
    bounded(|| {
        for round in 0..200 {
            let worker = Worker::new(1).unwrap();
            let vm = vm(&memory());
            worker.attach(&vm);
            let (queue, gate) = (vm.queue(), Timeline::new());
            let waiting = vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap();
            let binder = thread::spawn(move || {
                queue.bind([map(GIB + round * PAGE, PAGE, 0)]).unwrap();
                queue.bind([unmap(GIB, GIB)]).unwrap();
            });
            if round % 2 == 0 {
                binder.join().unwrap();
                gate.signal(1);
            } else {
                gate.signal(1);
                binder.join().unwrap();
            }
            waiting.wait().unwrap();
        }
    });
}
