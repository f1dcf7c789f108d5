//! What drivers reserve that do not know which tables a bind will find.
//!
//! # References
//!
//! Linux 6.12, `panthor_mmu.c`: a map takes a table for every span at every level that it touches,
//! an unmap one for each end that may cut a leaf of the level above pages. `msm` has the same.

use gpuvm::Op;
use iopgtable::{Geometry, LAST_LEVEL};

/// The tables that such a driver would reserve for `op`.
pub(super) fn tables(geometry: &Geometry, op: &Op) -> u64 {
    match op {
        Op::Map { range, .. } => geometry.worst_case_tables(*range).total(),
        Op::Unmap { range } => {
            let shift = geometry.table_shift(LAST_LEVEL);
            let (first, end) = (range.first().0, range.last().0.wrapping_add(1));
            let cut = |address: u64| address & ((1 << shift) - 1) != 0;
            let apart = first >> shift != end >> shift;
            u64::from(cut(first)) + u64::from(cut(end) && (apart || !cut(first)))
        }
        // Synchronisation alone; what histories do not have.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use gpuvm::Backing;
    use iopgtable::{
        Arm64S1, Config, Format as _, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment,
    };

    use super::*;

    fn geometry() -> Geometry {
        Arm64S1::<Granule4K>::geometry(Config::new(48, 48)).unwrap()
    }

    fn map(first: u64, bytes: u64) -> u64 {
        let backing = Backing::new([Segment::new(PhysAddr(0), bytes)]).unwrap();
        let range = IovaRange::new(Iova(first), bytes).unwrap();
        tables(&geometry(), &Op::Map { range, backing, offset: 0, prot: Prot::RW })
    }

    fn unmap(first: u64, bytes: u64) -> u64 {
        tables(&geometry(), &Op::Unmap { range: IovaRange::new(Iova(first), bytes).unwrap() })
    }

    #[test]
    fn maps_take_what_panthor_takes() {
        assert_eq!(map(0x1000, 0x1000), 3);
        assert_eq!(map((512 << 30) - 0x1000, 0x2000), 6);
        assert_eq!(map(1 << 30, 1 << 30), 514);
        assert_eq!(map(4 << 30, 4 << 30), 2053);
    }

    #[test]
    fn unmaps_take_a_table_for_each_end_that_may_cut_a_block() {
        assert_eq!(unmap(2 << 20, 4 << 20), 0);
        assert_eq!(unmap((2 << 20) + 0x1000, 0x1000), 1);
        assert_eq!(unmap((2 << 20) + 0x1000, 4 << 20), 2);
        assert_eq!(unmap(2 << 20, 0x1000), 1);
    }
}
