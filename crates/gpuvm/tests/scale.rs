//! Many VMs, and many mappings.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod ops;

use std::time::{Duration, Instant};

use deadline::bounded;
use gpuvm::{Point, Timeline, Vm, Worker};
use iopgtable::Unwalked;
use iopgtable::memory::Heap;
use ops::{CONFIG, PAGE, S1, map, unmap};

#[test]
fn ten_thousand_vms_share_one_worker() {
    const VMS: usize = 10_000;
    bounded(|| {
        let worker = Worker::new(1).unwrap();
        let vms: Vec<Vm<S1, Heap, Unwalked>> =
            (0..VMS).map(|_| Vm::new(CONFIG, Heap::new(), Unwalked).unwrap()).collect();
        for vm in &vms {
            worker.attach(vm);
        }
        let gate = Timeline::new();
        let points: Vec<Point> = vms
            .iter()
            .map(|vm| vm.submit([map(0, PAGE, 0)], [gate.point(1)], []).unwrap())
            .collect();
        gate.signal(1);
        assert!(points.iter().all(|point| point.wait().is_ok()));
        // A job signals before it is counted.
        assert!(vms.iter().all(|vm| vm.run_ready() == 0));
        let sum: gpuvm::Figures = vms.iter().map(Vm::figures).sum();
        assert_eq!((sum.jobs_submitted, sum.tables_installed), (10_000, 30_000));
    });
}

/// A map, its unmap, and running both, beside this many other mappings: the best of a few times.
fn bind_beside(mappings: u64) -> Duration {
    let vm = Vm::<S1, _, _>::new(CONFIG, Heap::new(), Unwalked).unwrap();
    for n in 0..mappings / 1000 {
        vm.submit((0..1000).map(|at| map((n * 1000 + at) * 2 * PAGE, PAGE, 0)), [], []).unwrap();
        vm.run_ready();
    }
    assert_eq!(vm.with_plan(gpuvm::Space::len) as u64, mappings);
    let round = |n: u64| {
        let first = (n * 7919 % mappings) * 2 * PAGE + PAGE;
        let start = Instant::now();
        vm.submit([map(first, PAGE, 0)], [], []).unwrap();
        vm.submit([unmap(first, PAGE)], [], []).unwrap();
        vm.run_ready();
        start.elapsed()
    };
    (0..20).map(|part| (0..500).map(|n| round(part * 500 + n)).sum()).min().unwrap_or_default()
}

#[test]
fn a_bind_beside_a_hundred_thousand_mappings_costs_little_more_than_beside_a_thousand() {
    let (few, many) = (bind_beside(1000), bind_beside(100_000));
    println!("500 maps and unmaps: {few:?} beside 1,000 mappings, {many:?} beside 100,000");
    // Linear growth would be a hundredfold; misses of the cache are not counted here.
    assert!(many < few * 10, "{few:?}, {many:?}");
}
