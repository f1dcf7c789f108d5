//! Synchronous and asynchronous binds do the same, to memory that is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::Arc;

use gpuvm::{Backing, Op, Timeline, Vm};
use iopgtable::{Prot, Unwalked, Visit};
use machine::{Memory, memory, walk};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map_backing, range, unmap};
use walkers::{Access, Fault, FaultKind};

type TestVm = Vm<S1, Memory, Unwalked>;

fn vm() -> TestVm {
    machine::vm(CONFIG, &memory())
}

/// Every leaf: where it is, how long, where it leads, what it allows.
fn leaves(vm: &TestVm) -> Vec<(u64, u64, u64, Prot)> {
    let mut leaves = Vec::new();
    vm.with_table(|table| {
        table.visit(vm.geometry().whole(), |what| {
            if let Visit::Leaf { span, phys, prot, .. } = what {
                leaves.push((span.first().0, span.bytes(), phys.0, prot));
            }
        });
    });
    leaves
}

/// A list of each kind of operation, alone and among others.
fn lists(one: &Arc<Backing>, other: &Arc<Backing>) -> Vec<Vec<Op>> {
    let evict = Op::Evict { backing: Arc::clone(one) };
    let restore = Op::Restore { backing: Arc::clone(one), with: Arc::clone(other) };
    vec![
        vec![map_backing(0, 4 * MIB, one)],
        vec![unmap(MIB, PAGE)],
        vec![Op::Protect { range: range(2 * MIB, PAGE), prot: Prot::READ }],
        vec![Op::Split { range: range(3 * MIB, MIB) }],
        vec![Op::SyncOnly],
        vec![evict.clone()],
        vec![restore.clone()],
        vec![],
        vec![unmap(0, MIB), map_backing(GIB, 4 * MIB, other), Op::SyncOnly, unmap(GIB, PAGE)],
        vec![map_backing(0, 4 * MIB, other)],
    ]
}

#[test]
fn every_operation_does_the_same_in_both_modes() {
    let (one, other) = (backing(4 * GIB, 4 * MIB), backing(8 * GIB + 2 * MIB, 4 * MIB));
    let (bound, submitted) = (vm(), vm());
    for (number, list) in lists(&one, &other).into_iter().enumerate() {
        bound.bind(list.clone()).unwrap();
        let done = submitted.submit(list, [], []).unwrap();
        assert_eq!(done.state(), None, "{number}: not before somebody runs it");
        assert_eq!(submitted.run_ready(), 0);
        assert_eq!(done.state(), Some(Ok(())), "{number}");
        assert_eq!(leaves(&bound), leaves(&submitted), "{number}");
        assert_eq!(bound.figures(), submitted.figures(), "{number}");
    }
    assert!(!leaves(&bound).is_empty());
    // What is refused is refused alike.
    let bad = || [unmap(0, PAGE), Op::Unmap { range: range(1 << 50, PAGE) }];
    let refused = submitted.submit(bad(), [], []).unwrap_err();
    assert_eq!(bound.bind(bad()), Err(gpuvm::BindError::Refused(refused)));
}

#[test]
fn memory_that_is_on_its_way_is_mapped_when_its_fence_says_so() {
    let vm = vm();
    let moved = Timeline::new();
    let coming = backing(4 * GIB, 2 * MIB);
    vm.submit([map_backing(0, 2 * MIB, &coming)], [moved.point(1)], []).unwrap();
    vm.run_ready();
    let read = || walk(&vm, 0x1234, Access::PRIVILEGED_READ);
    assert!(matches!(read(), Err(Fault { kind: FaultKind::Translation, .. })));
    moved.signal(1);
    vm.run_ready();
    assert_eq!(read().unwrap().address, 4 * GIB + 0x1234);
}
