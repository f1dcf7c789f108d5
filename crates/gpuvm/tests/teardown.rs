//! What a banned VM has mapped can be unmapped, and what the device may still use stays out of
//! use.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::Arc;

use gpuvm::{SubmitReason, Teardown, TeardownError, Timeline, Vm, VmOptions};
use iopgtable::memory::Failing;
use iopgtable::{Iova, TableError};
use machine::{Ask, Faulty, Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map, map_backing, range, unmap};

type FaultyVm = Vm<S1, Memory, Faulty>;

const SILENT: &str = "the device does not answer";

fn banned(memory: &Memory) -> FaultyVm {
    let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(memory), Faulty::default()).unwrap();
    vm.bind([map(0, PAGE, 0), map(GIB, 4 * MIB, 0)]).unwrap();
    vm.with_device(|device| device.broken = Some(|_| true));
    vm.bind([unmap(4 * GIB, PAGE), map(8 * GIB, PAGE, 0)]).unwrap_err();
    vm
}

#[test]
fn a_teardown_of_a_vm_that_is_not_banned_is_refused() {
    let vm = Vm::<S1, _, _>::new(CONFIG, memory(), Faulty::default()).unwrap();
    vm.bind([map(0, PAGE, 0)]).unwrap();
    assert_eq!(vm.teardown(range(0, PAGE)), Err(TeardownError::NotBanned));
    assert!(vm.translate(Iova(0)).is_some());
}

#[test]
fn a_banned_vm_refuses_jobs_but_can_be_torn_down() {
    let memory = memory();
    let vm = banned(&memory);
    assert_eq!(vm.submit([unmap(0, PAGE)], [], []).unwrap_err().reason, SubmitReason::Banned);
    let in_use = memory.in_use();
    let live = vm.figures().tables_live();
    let outcome = vm.teardown(range(0, 4 * MIB)).unwrap();
    assert_eq!(outcome, Teardown::Unforgotten(SILENT));
    assert_eq!(vm.translate(Iova(0)), None);
    assert_eq!(memory.in_use(), in_use, "the table that came loose is kept");
    assert_eq!(vm.figures().tables_live(), live);
    assert!(vm.translate(Iova(GIB)).is_some(), "nothing else is touched");

    // The device has been reset.
    vm.with_device(|device| device.broken = None);
    assert_eq!(vm.teardown(range(GIB, 4 * MIB)), Ok(Teardown::Forgotten));
    assert_eq!(vm.translate(Iova(GIB)), None);
    assert!(vm.ban().is_some(), "it stays banned");
    drop(vm);
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn a_teardown_of_a_whole_gib_frees_its_tables_and_lets_backings_go() {
    let memory = memory();
    let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&memory), Faulty::default()).unwrap();
    let pinned = backing(0, 64 * PAGE);
    vm.bind([map_backing(GIB, 64 * PAGE, &pinned)]).unwrap();
    let gate = Timeline::new();
    let other = backing(GIB, PAGE);
    let queued = vm.submit([map_backing(8 * GIB, PAGE, &other)], [gate.point(1)], []).unwrap();
    vm.with_device(|device| device.broken = Some(|ask| matches!(ask, Ask::End(_))));
    let queue = vm.queue();
    queue.submit([map(4 * GIB, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    assert!(queued.state().is_some_and(|outcome| outcome.is_err()));
    vm.with_device(|device| device.broken = None);
    let in_use = memory.in_use();
    assert_eq!(vm.teardown(range(GIB, GIB)), Ok(Teardown::Forgotten));
    assert_eq!(memory.in_use(), in_use - 2 * 4096);
    assert_eq!(Arc::strong_count(&pinned), 1, "no mapping holds it any more");
    // The plan had named more than was ever mapped.
    assert_eq!(vm.teardown(range(8 * GIB, PAGE)), Ok(Teardown::Forgotten));
    assert_eq!(Arc::strong_count(&other), 1);
    vm.with_plan(|space| assert_eq!(space.len(), 1));
}

#[test]
fn a_teardown_that_cuts_a_block_takes_spare_pages_where_there_is_no_memory() {
    for spare in [true, false] {
        let failing = Arc::new(Failing::new(memory()));
        let options = VmOptions::new().spare_pages(spare);
        let vm =
            Vm::<S1, _, _>::with_options(CONFIG, Arc::clone(&failing), Faulty::default(), options)
                .unwrap();
        vm.bind([map(0, 4 * MIB, 0)]).unwrap();
        vm.with_device(|device| device.broken = Some(|_| true));
        vm.bind([map(GIB, PAGE, 0)]).unwrap_err();
        vm.with_device(|device| device.broken = None);
        failing.fail_from(0);
        let outcome = vm.teardown(range(2 * MIB + PAGE, PAGE));
        if spare {
            assert_eq!(outcome, Ok(Teardown::Forgotten));
            assert_eq!(vm.translate(Iova(2 * MIB + PAGE)), None);
            assert_eq!(vm.figures().bytes_spare, 3 * PAGE);
        } else {
            let at = Iova(2 * MIB + PAGE);
            assert_eq!(outcome, Err(TeardownError::Memory { at }));
            assert!(vm.translate(at).is_some());
        }
        assert!(vm.translate(Iova(2 * MIB)).is_some());
        // Whole blocks need none.
        assert_eq!(vm.teardown(range(0, 2 * MIB)), Ok(Teardown::Forgotten));
        drop(vm);
        assert_eq!(failing.live(), 0);
    }
}

#[test]
fn a_teardown_of_a_range_that_tables_cannot_have_is_refused() {
    let vm = banned(&memory());
    let range = range(1, 1);
    let refused = TableError::UnalignedRange { range, granule: PAGE };
    assert_eq!(vm.teardown(range), Err(TeardownError::Table(refused)));
}

#[test]
fn a_ban_names_the_operation_that_the_device_did_not_forget() {
    let vm = Vm::<S1, _, _>::new(CONFIG, memory(), Faulty::default()).unwrap();
    vm.bind([map(0, PAGE, 0), map(GIB, PAGE, 0)]).unwrap();
    vm.with_device(|device| {
        device.broken = Some(|ask| match ask {
            Ask::Forget(stale) => stale.hull().is_some_and(|hull| hull.last().0 >= GIB),
            _ => false,
        });
    });
    vm.bind([map(8 * GIB, PAGE, 0), unmap(0, PAGE), unmap(GIB, PAGE)]).unwrap_err();
    let ban = vm.ban().unwrap();
    assert_eq!((ban.job, ban.op), (2, Some(2)));
    assert_eq!(ban.to_string(), format!("banned by job 2, operation 2: {SILENT}"));
}
