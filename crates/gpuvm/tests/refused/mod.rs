//! Operations that no VM accepts.

use std::sync::Arc;

use gpuvm::{Op, SubmitReason};
use iopgtable::{Iova, IovaRange, PhysAddr, Prot, ProtError, TableError};

use crate::ops::{GIB, MIB, PAGE, backing, map, range};

/// One bad operation for each reason.
pub(crate) fn bad() -> Vec<(Op, SubmitReason)> {
    let whole = range(0, 1 << 48);
    let unaligned = [range(GIB + 1, PAGE - 1), range(GIB, PAGE + 8), range(GIB + 8, PAGE)];
    let outside = [range(1 << 48, PAGE), range((1 << 48) - PAGE, 2 * PAGE)];
    let to_the_end = IovaRange::inclusive(Iova(GIB), Iova(u64::MAX)).unwrap();
    let mut bad = Vec::new();
    let two_pages = backing(16 * MIB, 2 * PAGE);
    let map_at =
        |range| Op::Map { range, backing: Arc::clone(&two_pages), offset: 0, prot: Prot::RW };
    for range in unaligned {
        let reason = TableError::UnalignedRange { range, granule: PAGE };
        bad.push((map_at(range), SubmitReason::Argument(reason)));
        bad.push((Op::Unmap { range }, SubmitReason::Argument(reason)));
    }
    for range in outside.into_iter().chain([to_the_end]) {
        let reason = TableError::InputRange { range, whole };
        bad.push((map_at(range), SubmitReason::Argument(reason)));
        bad.push((Op::Unmap { range }, SubmitReason::Argument(reason)));
    }
    for (prot, reason) in [
        (Prot::NONE, ProtError::NoPermission),
        (Prot::CACHED, ProtError::NoPermission),
        (Prot::WRITE, ProtError::ReadImplied),
        (Prot::RW | Prot::CACHED | Prot::DEVICE, ProtError::CachedDevice),
    ] {
        let op =
            Op::Map { range: range(GIB, PAGE), backing: Arc::clone(&two_pages), offset: 0, prot };
        bad.push((op, SubmitReason::Argument(TableError::Prot { prot, reason })));
    }
    for (offset, bytes) in [
        (0, 3 * PAGE),
        (PAGE, 2 * PAGE),
        (2 * PAGE, PAGE),
        (u64::MAX - (PAGE - 1), PAGE), // the end does not fit into 64 bits
        (u64::MAX - (PAGE - 1), 4 * PAGE),
    ] {
        let op = Op::Map {
            range: range(GIB, bytes),
            backing: Arc::clone(&two_pages),
            offset,
            prot: Prot::RW,
        };
        let backing = 2 * PAGE;
        bad.push((op, SubmitReason::BackingBounds { offset, bytes, backing }));
    }
    for (backing, offset) in [
        (Arc::clone(&two_pages), 0x800),
        (crate::ops::backing(16 * MIB + 0x800, 2 * PAGE), 0),
        (crate::ops::backing(16 * MIB, PAGE + 0x800), 0),
    ] {
        let op = Op::Map { range: range(GIB, PAGE), backing, offset, prot: Prot::RW };
        bad.push((op, SubmitReason::BackingAlignment { offset, granule: PAGE }));
    }
    bad.push((
        map(GIB, 2 * PAGE, (1 << 48) - PAGE),
        SubmitReason::BackingReach {
            last: PhysAddr((1 << 48) + (PAGE - 1)),
            reach: PhysAddr((1 << 48) - 1),
        },
    ));
    bad
}
