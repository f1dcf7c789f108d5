//! VT-d's second stage.

use super::fetch::fetch;
use crate::{
    Access, DirtyState, EntryRead, Fault, FaultKind, Permissions, PhysMemory, Rights, Translation,
    VtdSecondStageRegisters, Walker,
};

/// Bit 0, `R`: reads, if it is set at all levels.
const READ: u64 = 1;
/// Bit 1, `W`: writes, if it is set at all levels.
const WRITE: u64 = 1 << 1;
/// Bit 7 above page tables, `PS`: a leaf.
const LARGE: u64 = 1 << 7;
/// Bit 9 of a leaf, `D`.
const DIRTY: u64 = 1 << 9;
/// Bit 11 of a leaf, `SNP`.
const SNOOP: u64 = 1 << 11;
/// Bit 62, `TM` of a leaf.
const TRANSIENT: u64 = 1 << 62;
/// Bits 51:12: as much of an address as an entry can hold.
const ADDRESS: u64 = (1 << 52) - (1 << 12);

/// The level of page tables.
const PAGES: i8 = 3;

/// Second-stage ("second-level") translation of Intel's IOMMUs, for requests without PASID.
///
/// Levels are counted as Arm counts: page tables are level 3, and the root of three levels 1, of
/// four 0, of five -1.
///
/// # The machine that is modelled
///
/// - It has pages of 2 MiB and 1 GiB, 5-level tables and snoop control.
/// - An entry without `R` and without `W` is not present: a translation fault at its level,
///   whatever else it holds. `X` is ignored, as without execute requests: devices' fetches are
///   reads. There is one privilege.
/// - `R` and `W` of all entries on the way must permit an access: a permission fault at the leaf
///   otherwise.
/// - Reserved are, at each level: bits from `HAW` to 51; bit 62 (`TM`, which no hardware obeys any
///   more); in entries that lead to tables, bit 11; `PS` above level 1; in a large leaf, the address
///   bits below its size. `EMT`, `IPAT` and what software may use is ignored.
/// - With `SSADE`, hardware sets `A` and `D` and no fault comes of them; the walker only reads.
///   Without, the bits are ignored.
/// - An address beyond the width is a translation fault at level 0. An `AW` that is reserved, or a
///   root beyond `HAW`, is a reserved fault at level 0 for every address.
///
/// # References
///
/// Intel Virtualization Technology for Directed I/O, Architecture Specification, revisions 2.5 to
/// 4.1: 3.7 ("Second-Stage Translation"), 3.7.1 and 3.7.2 (access rights, accessed and dirty
/// flags), 9.8 ("Second-Stage Paging Entries").
#[derive(Clone, Copy, Debug)]
pub struct VtdSecondStage<M> {
    memory: M,
    registers: VtdSecondStageRegisters,
}

impl<M: PhysMemory> VtdSecondStage<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    pub const fn new(memory: M, registers: VtdSecondStageRegisters) -> Self {
        Self { memory, registers }
    }

    /// Bits 51:`HAW`.
    const fn beyond_host(&self) -> u64 {
        match 1u64.checked_shl(self.registers.host_bits as u32) {
            Some(end) => ADDRESS & !(end - 1),
            None => 0,
        }
    }

    /// The root's level, if the width is one that there is.
    const fn top(&self) -> Option<i8> {
        match self.registers.address_width {
            1 => Some(1),
            2 => Some(0),
            3 => Some(-1),
            _ => None,
        }
    }

    /// The bits that must be clear in a present entry at `level`.
    const fn reserved(&self, is_leaf: bool, level: i8) -> u64 {
        let here = match (is_leaf, level) {
            (_, ..=0) => LARGE | SNOOP,
            (false, _) => SNOOP,
            (true, _) => ((1 << span_bits(level)) - 1) & ADDRESS,
        };
        self.beyond_host() | TRANSIENT | here
    }
}

/// log2 of the bytes that an entry at `level` spans.
const fn span_bits(level: i8) -> u8 {
    12 + 9 * (PAGES - level).unsigned_abs()
}

impl<M: PhysMemory> Walker for VtdSecondStage<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let mut table = self.registers.pointer & !0xfff;
        let Some(mut level) = self.top().filter(|_| table & !(ADDRESS & !self.beyond_host()) == 0)
        else {
            return Err(Fault::new(FaultKind::Reserved, 0));
        };
        if va >> span_bits(level - 1) != 0 {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        let mut rights = READ | WRITE;
        loop {
            let span_bits = span_bits(level);
            let address = table + (va >> span_bits & 0x1ff) * 8;
            let entry = fetch(&self.memory, &EntryRead::on_way(address, level, va, span_bits))?;
            if entry & (READ | WRITE) == 0 {
                return Err(Fault::new(FaultKind::Translation, level));
            }
            let is_leaf = level == PAGES || entry & LARGE != 0;
            if entry & self.reserved(is_leaf, level) != 0 {
                return Err(Fault::new(FaultKind::Reserved, level));
            }
            rights &= entry;
            if is_leaf {
                let size = 1 << span_bits;
                let read = rights & READ != 0;
                let write = rights & WRITE != 0;
                let both = Rights { read, write, execute: read };
                let permissions = Permissions { privileged: both, unprivileged: both };
                let managed = self.registers.access_dirty && write;
                return Translation {
                    dirty_state: managed.then_some(if entry & DIRTY == 0 {
                        DirtyState::WritableClean
                    } else {
                        DirtyState::WritableDirty
                    }),
                    snooped: entry & SNOOP != 0,
                    ..Translation::plain(
                        (entry & ADDRESS | va & (size - 1), size),
                        level,
                        permissions,
                    )
                }
                .granted(access);
            }
            table = entry & ADDRESS;
            level += 1;
        }
    }
}
