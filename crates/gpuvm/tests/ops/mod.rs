//! Operations in few words.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::Arc;

use gpuvm::{Backing, Op};
use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment};

/// The format that most tests run in: leaves of 4 KiB, 2 MiB and 1 GiB.
pub(crate) type S1 = Arm64S1<Granule4K>;

pub(crate) const CONFIG: Config = Config::new(48, 48);

pub(crate) const PAGE: u64 = 4 << 10;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

pub(crate) fn range(first: u64, bytes: u64) -> IovaRange {
    IovaRange::new(Iova(first), bytes).unwrap()
}

/// One physical run.
pub(crate) fn backing(phys: u64, bytes: u64) -> Arc<Backing> {
    Backing::new([Segment::new(PhysAddr(phys), bytes)]).unwrap()
}

pub(crate) fn map_backing(first: u64, bytes: u64, backing: &Arc<Backing>) -> Op {
    Op::Map { range: range(first, bytes), backing: Arc::clone(backing), offset: 0, prot: Prot::RW }
}

/// Maps one run of memory at `phys`.
pub(crate) fn map(first: u64, bytes: u64, phys: u64) -> Op {
    map_backing(first, bytes, &backing(phys, bytes))
}

pub(crate) fn unmap(first: u64, bytes: u64) -> Op {
    Op::Unmap { range: range(first, bytes) }
}
