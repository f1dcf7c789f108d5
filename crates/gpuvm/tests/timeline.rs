//! A point is reached once and for all, and whoever waits for it is woken then.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod wakes;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;

use deadline::bounded;
use gpuvm::{FenceError, Point, Timeline};
use proptest::prelude::*;
use wakes::Wakes;

const POINTS: usize = 12;

type States = [Option<Result<(), FenceError>>; POINTS];

#[derive(Clone, Copy, Debug)]
enum Event {
    Signal(usize),
    Fail(usize, i32),
    /// Waiter `1` waits for point `0`.
    Wait(usize, usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..POINTS).prop_map(Event::Signal),
        1 => (0..POINTS, 0..3i32).prop_map(|(point, code)| Event::Fail(point, code)),
        6 => (0..POINTS, 0..4usize).prop_map(|(point, waiter)| Event::Wait(point, waiter)),
    ]
}

fn points(line: &Timeline) -> Vec<Point> {
    (0..POINTS as u64).map(|value| line.point(value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The model keeps each point's state for itself: a state never changes once it is there, a
    /// signal reaches what lies before it, a failure what lies after it, and the first failure's
    /// reason stands for the line.
    #[test]
    fn states_never_change_and_waiters_wake_once(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let line = Timeline::new();
        let points = points(&line);
        let mut states: States = [None; POINTS];
        states[0] = Some(Ok(()));
        let mut reason = None;
        let waiters: Vec<(Wakes, Waker)> = (0..4).map(|_| Wakes::new()).collect();
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        let mut wakes = [0; 4];
        for event in events {
            match event {
                Event::Signal(value) => {
                    for state in &mut states[..=value] {
                        state.get_or_insert(Ok(()));
                    }
                    points[value].signal();
                }
                Event::Fail(value, code) => {
                    let error = FenceError::Failed(code);
                    let first = *reason.get_or_insert(error);
                    for state in &mut states[value..] {
                        state.get_or_insert(Err(first));
                    }
                    points[value].fail(error);
                    prop_assert_eq!(line.point(u64::MAX).state(), Some(Err(first)));
                }
                Event::Wait(value, waiter) => {
                    let found = points[value].poll(&waiters[waiter].1);
                    prop_assert_eq!(found, states[value]);
                    if found.is_none() && !waiting.contains(&(value, waiter)) {
                        waiting.push((value, waiter));
                    }
                }
            }
            waiting.retain(|&(value, waiter)| {
                wakes[waiter] += usize::from(states[value].is_some());
                states[value].is_none()
            });
            for (point, state) in points.iter().zip(&states) {
                prop_assert_eq!(point.state(), *state, "point {}", point.value());
            }
            let reached = states.iter().rposition(|state| *state == Some(Ok(())));
            prop_assert_eq!(line.value(), reached.unwrap() as u64);
            for (waiter, (count, _)) in waiters.iter().enumerate() {
                prop_assert_eq!(count.count(), wakes[waiter], "wakes of {}", waiter);
            }
        }
    }
}

#[test]
fn a_reached_point_does_not_fail_later() {
    let line = Timeline::new();
    line.signal(5);
    line.fail(3, FenceError::Cancelled);
    assert_eq!(line.point(4).state(), Some(Ok(())));
    assert_eq!(line.point(5).state(), Some(Ok(())));
    assert_eq!(line.point(6).state(), Some(Err(FenceError::Cancelled)));
}

#[test]
fn a_failed_point_keeps_its_reason_and_is_not_signalled_later() {
    let line = Timeline::new();
    line.fail(5, FenceError::Failed(-5));
    line.fail(3, FenceError::Cancelled);
    assert_eq!(line.point(5).state(), Some(Err(FenceError::Failed(-5))));
    assert_eq!(line.point(2).state(), None);
    line.signal(9);
    assert_eq!(line.point(2).state(), Some(Ok(())));
    assert_eq!(line.point(9).state(), Some(Err(FenceError::Failed(-5))));
    assert_eq!(line.value(), 2, "the last point reached without error");
}

#[test]
fn the_last_point_of_a_line_is_one_like_any_other() {
    let line = Timeline::new();
    line.signal(u64::MAX);
    line.fail(u64::MAX, FenceError::Cancelled);
    assert_eq!(line.point(u64::MAX).state(), Some(Ok(())));
    let line = Timeline::new();
    line.fail(0, FenceError::Cancelled);
    assert_eq!(line.point(0).state(), Some(Ok(())), "0 is reached from the start");
    assert_eq!(line.point(1).wait(), Err(FenceError::Cancelled));
}

#[test]
fn clones_are_the_same_line_and_other_lines_are_not() {
    let line = Timeline::new();
    let point = line.clone().point(2);
    assert!(point.timeline().is_same(&line));
    assert!(!Timeline::new().is_same(&line));
    point.clone().signal();
    assert_eq!((line.value(), point.value()), (2, 2));
}

#[test]
fn a_point_is_a_future() {
    let line = Timeline::new();
    let (wakes, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    let (first, second) = (line.point(1), line.point(2));
    let mut both = pin!(async {
        let first = first.await;
        (first, second.await)
    });
    assert_eq!(both.as_mut().poll(&mut context), Poll::Pending);
    line.signal(1);
    assert_eq!(wakes.count(), 1);
    assert_eq!(both.as_mut().poll(&mut context), Poll::Pending);
    line.fail(2, FenceError::VmBanned);
    assert_eq!(wakes.count(), 2);
    let outcome = both.as_mut().poll(&mut context);
    assert_eq!(outcome, Poll::Ready((Ok(()), Err(FenceError::VmBanned))));
}

#[test]
fn a_waker_may_use_the_line_that_wakes_it() {
    struct Chain(Timeline, AtomicBool);
    impl std::task::Wake for Chain {
        fn wake(self: Arc<Self>) {
            self.0.signal(2);
            self.1.store(self.0.point(1).state().is_some(), Ordering::SeqCst);
        }
    }
    let woken = bounded(|| {
        let line = Timeline::new();
        let chain = Arc::new(Chain(line.clone(), AtomicBool::new(false)));
        assert!(line.point(1).poll(&Waker::from(Arc::clone(&chain))).is_none());
        line.signal(1);
        assert_eq!(line.value(), 2);
        chain.1.load(Ordering::SeqCst)
    });
    assert!(woken);
}

#[test]
fn many_threads_wait_and_each_sees_its_point_reached() {
    const THREADS: u64 = 16;
    let outcomes = bounded(|| {
        let line = Timeline::new();
        let start = Arc::new(Barrier::new(17));
        let threads: Vec<_> = (1..=THREADS)
            .map(|value| {
                let (point, start) = (line.point(value), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    let outcome = point.wait();
                    assert_eq!(point.state(), Some(outcome));
                    outcome
                })
            })
            .collect();
        start.wait();
        for value in 1..=THREADS / 2 {
            line.signal(value);
            thread::yield_now();
        }
        line.fail(THREADS / 2 + 1, FenceError::Failed(7));
        let join = |thread: thread::JoinHandle<_>| thread.join().unwrap();
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    let (reached, failed) = outcomes.split_at(8);
    assert!(reached.iter().all(|outcome| *outcome == Ok(())));
    assert!(failed.iter().all(|outcome| *outcome == Err(FenceError::Failed(7))));
}

#[test]
fn racing_signallers_and_waiters_lose_no_wake() {
    bounded(|| {
        for _ in 0..300 {
            let lines: Vec<Timeline> = (0..4).map(|_| Timeline::new()).collect();
            let waiter = {
                let lines = lines.clone();
                thread::spawn(move || lines.iter().all(|line| line.point(1).wait().is_ok()))
            };
            for line in lines.iter().rev() {
                line.signal(1);
            }
            assert!(waiter.join().unwrap());
        }
    });
}

#[test]
fn a_future_that_is_dropped_waits_no_more() {
    let line = Timeline::new();
    let (wakes, waker) = Wakes::new();
    let (others, other) = Wakes::new();
    let mut dropped = line.point(1);
    let mut kept = line.point(1);
    assert!(pin!(&mut dropped).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(pin!(&mut kept).poll(&mut Context::from_waker(&other)).is_pending());
    drop(dropped);
    line.signal(1);
    assert_eq!((wakes.count(), others.count()), (0, 1));
}

/// A future's latest waker counts, as futures have it.
#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let line = Timeline::new();
    let (wakes, waker) = Wakes::new();
    let (others, other) = Wakes::new();
    let mut moved = line.point(1);
    assert!(pin!(&mut moved).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(pin!(&mut moved).poll(&mut Context::from_waker(&other)).is_pending());
    line.signal(1);
    assert_eq!((wakes.count(), others.count()), (0, 1));
}

/// A waker may own the future that it wakes.
#[test]
fn a_waker_may_own_a_future_of_the_line_it_waits_on() {
    struct Owner {
        _future: std::sync::Mutex<Point>,
    }
    impl std::task::Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    bounded(|| {
        let line = Timeline::new();
        let mut waiting = line.point(2);
        for _ in 0..3 {
            let mut owned = line.point(1);
            let noop = &mut Context::from_waker(Waker::noop());
            assert!(pin!(&mut owned).poll(noop).is_pending());
            let owner = Waker::from(Arc::new(Owner { _future: std::sync::Mutex::new(owned) }));
            // Drops the last one's owner, and so a point that waits.
            assert!(pin!(&mut waiting).poll(&mut Context::from_waker(&owner)).is_pending());
        }
        line.signal(2);
    });
}
