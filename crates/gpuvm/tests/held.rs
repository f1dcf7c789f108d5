//! A backing is held, and so its memory is pinned, for as long as the device may reach it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::{Arc, Weak};

use gpuvm::{Backing, Op, Teardown, Timeline, Vm};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map, map_backing, range, unmap};

type TestVm = Vm<S1, Memory, Faulty>;

/// A VM that maps 4 MiB at 0, and the only ones to hold what they lead to.
fn vm() -> (TestVm, Weak<Backing>) {
    let vm = Vm::new(CONFIG, memory(), Faulty::default()).unwrap();
    let pinned = backing(GIB, 4 * MIB);
    vm.bind([map_backing(0, 4 * MIB, &pinned)]).unwrap();
    let held = Arc::downgrade(&pinned);
    (vm, held)
}

fn is_held(backing: &Weak<Backing>) -> bool {
    backing.strong_count() > 0
}

#[test]
fn a_backing_is_held_until_what_takes_its_place_has_run() {
    let jobs: [fn() -> Vec<Op>; 5] = [
        || vec![unmap(0, 4 * MIB)],
        || vec![map(0, 8 * MIB, 0)],
        || vec![unmap(0, MIB), map(MIB, 3 * MIB, 0)],
        || vec![map(0, 4 * MIB, 2 * MIB), unmap(0, 4 * MIB)],
        || {
            let split = Op::Split { range: range(PAGE, MIB) };
            vec![split, unmap(0, 2 * MIB), map(2 * MIB, 2 * MIB, 0)]
        },
    ];
    for (number, job) in jobs.iter().enumerate() {
        let (vm, held) = vm();
        let gate = Timeline::new();
        let done = vm.submit(job(), [gate.point(1)], []).unwrap();
        assert!(is_held(&held), "{number}: the device still has it");
        gate.signal(1);
        vm.run_ready();
        assert_eq!(done.state(), Some(Ok(())));
        assert!(!is_held(&held), "{number}");
    }
}

#[test]
fn an_evicted_backing_is_held_until_the_eviction_and_what_unmaps_it_have_run() {
    let (vm, held) = vm();
    let gate = Timeline::new();
    vm.evict(&held.upgrade().unwrap(), [gate.point(1)], []).unwrap();
    vm.submit([unmap(0, 4 * MIB)], [], []).unwrap();
    assert!(is_held(&held));
    gate.signal(1);
    vm.run_ready();
    assert!(!is_held(&held));
}

#[test]
fn a_restored_backing_lets_its_old_memory_go_at_once() {
    let (vm, held) = vm();
    let old = held.upgrade().unwrap();
    vm.evict(&old, [], []).unwrap();
    vm.run_ready();
    vm.restore(&old, &backing(2 * GIB, 4 * MIB), [], []).unwrap();
    drop(old);
    vm.run_ready();
    assert!(!is_held(&held));
}

#[test]
fn what_a_ban_leaves_mapped_is_held_until_it_is_torn_down() {
    for broken in
        [|ask: &Ask| matches!(ask, Ask::Forget(_)), |ask: &Ask| matches!(ask, Ask::End(1))]
    {
        let (vm, held) = vm();
        let gate = Timeline::new();
        let dropped = vm.submit([unmap(0, 4 * MIB)], [gate.point(1)], []).unwrap();
        let queue = vm.queue();
        vm.with_device(|device| device.broken = Some(|_| true));
        queue.submit([map(1024 * GIB, PAGE, 0)], [], []).unwrap();
        vm.run_ready();
        assert!(vm.ban().is_some() && dropped.state().is_some_and(|outcome| outcome.is_err()));
        assert!(is_held(&held), "nothing has unmapped it");

        vm.with_device(|device| device.broken = Some(broken));
        let outcome = vm.teardown(range(0, 2 * MIB)).unwrap();
        assert!(is_held(&held), "half of it is mapped");
        if matches!(outcome, Teardown::Unforgotten(_)) {
            vm.with_device(|device| device.broken = None);
        }
        assert_eq!(vm.teardown(range(0, 4 * MIB)), Ok(Teardown::Forgotten));
        assert!(!is_held(&held));
    }
}

#[test]
fn what_a_device_did_not_forget_is_held_until_it_has() {
    let (vm, held) = vm();
    vm.with_device(|device| device.broken = Some(|ask| matches!(ask, Ask::Forget(_))));
    vm.bind([unmap(0, 4 * MIB)]).unwrap_err();
    assert!(is_held(&held), "the job that unmapped it failed");
    assert!(matches!(vm.teardown(range(0, GIB)), Ok(Teardown::Unforgotten(_))));
    assert!(is_held(&held));
    vm.with_device(|device| device.broken = None);
    assert_eq!(vm.teardown(range(0, GIB)), Ok(Teardown::Forgotten));
    assert!(!is_held(&held));

    let (vm, held) = self::vm();
    vm.with_device(|device| device.broken = Some(|_| true));
    vm.bind([map(8 * GIB, PAGE, 0)]).unwrap_err();
    assert!(matches!(vm.teardown(range(0, GIB)), Ok(Teardown::Unforgotten(_))));
    assert!(is_held(&held), "the plan had it, and the device may still use it");
    drop(vm);
    assert!(!is_held(&held));
}
