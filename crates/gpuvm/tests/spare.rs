//! An unmap does not fail for want of memory: it takes the VM's spare pages, or waits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod machine;
mod ops;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use deadline::bounded;
use gpuvm::{BindError, Op, SubmitReason, Vm, VmOptions};
use iopgtable::memory::{Account, Accounted, Failing};
use iopgtable::{Iova, Unwalked};
use machine::{Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, unmap};

type Scarce = Arc<Failing<Memory>>;

fn vm(failing: &Scarce, spare: bool) -> Vm<S1, Scarce, Unwalked> {
    let options = VmOptions::new().spare_pages(spare);
    Vm::with_options(CONFIG, Arc::clone(failing), Unwalked, options).unwrap()
}

fn is_refused(outcome: Result<(), BindError>) -> bool {
    match outcome {
        Ok(()) => false,
        Err(BindError::Refused(refused)) => {
            assert!(matches!(refused.reason, SubmitReason::Memory(_)), "{refused}");
            true
        }
        Err(failed) => panic!("{failed}"),
    }
}

#[test]
fn an_unmap_that_needs_no_table_succeeds_without_memory() {
    let failing = Arc::new(Failing::new(memory()));
    let vm = vm(&failing, false);
    vm.bind([map(0, 4 * MIB, 0), map(GIB, GIB, GIB)]).unwrap();
    failing.fail_from(0);
    vm.bind([unmap(0, 2 * MIB), unmap(GIB, GIB), unmap(4 * GIB, GIB)]).unwrap();
    assert!(is_refused(vm.bind([unmap(2 * MIB, PAGE)])), "a cut is not one");
}

/// The allocator never has a page again. Blocks are cut, and what is left of them is unmapped:
/// the table that comes loose is the spare page of the next cut.
#[test]
fn unmaps_keep_succeeding_on_spare_pages_that_come_back() {
    const BLOCKS: u64 = 200;
    let memory = memory();
    let failing = Arc::new(Failing::new(Arc::clone(&memory)));
    let vm = vm(&failing, true);
    assert_eq!(vm.figures().bytes_spare, 4 * PAGE, "two at each end");
    vm.bind([map(0, BLOCKS * 2 * MIB, 2 * MIB)]).unwrap();
    failing.fail_from(0);
    for block in 0..BLOCKS {
        let first = block * 2 * MIB;
        vm.bind([unmap(first + PAGE, PAGE)]).unwrap();
        assert_eq!(vm.translate(Iova(first + PAGE)), None);
        assert!(vm.translate(Iova(first + 2 * PAGE)).is_some());
        assert_eq!(vm.figures().bytes_spare, 3 * PAGE);
        vm.bind([unmap(first, 2 * MIB)]).unwrap();
        assert_eq!(vm.figures().bytes_spare, 4 * PAGE, "the loose table came back");
    }
    // A map has no right to them.
    assert!(is_refused(vm.bind([map(8 * GIB, PAGE, 0)])));
    assert_eq!(vm.figures().tables_live(), 0);
    drop(vm);
    assert_eq!((failing.live(), memory.in_use()), (0, 0));
}

#[test]
fn one_unmap_finds_enough_spare_pages_whatever_it_cuts() {
    let failing = Arc::new(Failing::new(memory()));
    let vm = vm(&failing, true);
    vm.bind([map(0, 2 * GIB, 0)]).unwrap();
    failing.fail_from(0);
    vm.bind([unmap(PAGE, 2 * GIB - 2 * PAGE)]).unwrap();
    assert_eq!(vm.figures().bytes_spare, 0, "two tables at each end");
    assert!(vm.translate(Iova(0)).is_some() && vm.translate(Iova(2 * GIB - PAGE)).is_some());
    assert_eq!(vm.translate(Iova(GIB)), None);
    // The next one that cuts is not admitted before there are pages again.
    failing.fail_none();
    vm.bind([map(4 * GIB, GIB, 0)]).unwrap();
    failing.fail_from(0);
    assert!(is_refused(vm.bind([unmap(4 * GIB, PAGE)])));
    failing.fail_none();
    vm.bind([unmap(4 * GIB, PAGE)]).unwrap();
    assert_eq!(vm.figures().bytes_spare, 4 * PAGE, "and they are there again");
}

#[test]
fn a_refused_list_gives_its_spare_pages_back() {
    let failing = Arc::new(Failing::new(memory()));
    let vm = vm(&failing, true);
    vm.bind([map(0, 4 * MIB, 0)]).unwrap();
    failing.fail_from(0);
    let before = (vm.figures(), failing.live());
    assert!(is_refused(vm.bind([unmap(PAGE, PAGE), map(8 * GIB, PAGE, 0)])));
    assert_eq!((vm.figures(), failing.live()), before);
    vm.bind([unmap(PAGE, PAGE)]).unwrap();
}

#[test]
fn spare_pages_are_charged_to_the_account() {
    let account = Arc::new(Account::new("vm", 8 * PAGE));
    let allocator = Accounted::new(memory(), Arc::clone(&account));
    let charged = Arc::clone(&account);
    let options = VmOptions::new().spare_pages(true).charged(move || charged.charged());
    let vm = Vm::<S1, _, _>::with_options(CONFIG, allocator, Unwalked, options).unwrap();
    assert_eq!(account.charged(), 5 * PAGE, "and the root");
    vm.bind([map(0, 2 * MIB, 0)]).unwrap();
    assert_eq!(vm.state().charged, Some(7 * PAGE));
    account.set_limit(7 * PAGE);
    // Within the limit, an unmap still has what it needs.
    vm.bind([unmap(0, PAGE)]).unwrap();
    assert_eq!(account.charged(), 7 * PAGE, "one of them is a table now");
    vm.bind([unmap(0, 2 * MIB)]).unwrap();
    assert_eq!((account.charged(), vm.figures().bytes_spare), (5 * PAGE, 4 * PAGE));
    drop(vm);
    assert_eq!(account.charged(), 0);
}

#[test]
fn an_unmap_with_a_deadline_waits_for_memory_and_not_longer() {
    bounded(|| {
        let failing = Arc::new(Failing::new(memory()));
        let vm = vm(&failing, false);
        vm.bind([map(0, 4 * MIB, 0)]).unwrap();
        failing.fail_from(0);
        let cut = || -> [Op; 1] { [unmap(PAGE, PAGE)] };
        let start = Instant::now();
        let patience = Duration::from_millis(30);
        assert!(is_refused(vm.bind_until(cut(), start + patience)));
        assert!(start.elapsed() >= patience);
        let freeing = thread::spawn({
            let failing = Arc::clone(&failing);
            move || {
                thread::sleep(Duration::from_millis(30));
                failing.fail_none();
            }
        });
        vm.bind_until(cut(), Instant::now() + Duration::from_secs(20)).unwrap();
        assert_eq!(vm.translate(Iova(PAGE)), None);
        freeing.join().unwrap();
    });
}
