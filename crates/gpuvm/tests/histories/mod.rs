//! Random jobs that cut blocks, replace, protect, and make and lose tables.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use gpuvm::Op;
use iopgtable::{Iova, IovaRange, PhysAddr, Prot, Segment};
use proptest::prelude::*;
use proptest::sample::select;

use crate::ops::{GIB, MIB, PAGE};

/// Ranges of few gigabytes around a border between two tables of the root, whose ends lie on
/// pages, blocks, or a page off.
fn op_range() -> impl Strategy<Value = IovaRange> {
    (
        select(vec![PAGE, PAGE, 2 * MIB, 2 * MIB, GIB]),
        0..5u64,
        1..4u64,
        select(vec![0, 0, 0, PAGE]),
        select(vec![0, 0, 0, PAGE]),
    )
        .prop_map(|(unit, start, length, before, after)| {
            let first = 510 * GIB + start * unit - before;
            IovaRange::new(Iova(first), length * unit + before + after).unwrap()
        })
}

/// A map whose memory has runs of pages or of blocks, in step with the addresses or not.
fn map_op() -> impl Strategy<Value = Op> {
    (
        op_range(),
        select(vec![PAGE, 2 * MIB, 4 * MIB, GIB, 8 * GIB]),
        select(vec![0, 0, 0, PAGE, 2 * MIB]),
        select(vec![Prot::RW, Prot::READ]),
    )
        .prop_map(|(range, run, shift, prot)| {
            let bytes = range.bytes();
            // Not more than a few hundred runs, and no gigabytes in pages.
            let run = run.max((bytes / 256) & !(2 * MIB - 1)).min(bytes);
            let shift = if bytes >= GIB { shift & !PAGE } else { shift };
            let segments = (0..bytes.div_ceil(run)).map(|n| {
                let phys = (range.first().0 % GIB) + shift + n * (run + 2 * MIB);
                Segment::new(PhysAddr(phys), run.min(bytes - n * run))
            });
            Op::Map { range, backing: gpuvm::Backing::new(segments).unwrap(), offset: 0, prot }
        })
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => map_op(),
        1 => op_range().prop_map(|range| Op::Unmap { range }),
        1 => (op_range(), select(vec![Prot::RW, Prot::READ]))
            .prop_map(|(range, prot)| Op::Protect { range, prot }),
        1 => op_range().prop_map(|range| Op::Split { range }),
    ]
}

/// Jobs of one operation, and of a few.
pub(crate) fn jobs(most: usize) -> impl Strategy<Value = Vec<Vec<Op>>> {
    let job = prop_oneof![op().prop_map(|op| vec![op]), prop::collection::vec(op(), 0..4),];
    prop::collection::vec(job, 1..most)
}
