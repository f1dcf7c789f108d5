//! Tables written entry by entry.

use std::collections::BTreeMap;

use walkers::soft::{Stage1, Stage1Registers, Stage2, Stage2Registers};
use walkers::{Access, Fault, FaultKind, PhysMemory, Translation, Walker};

/// Memory that holds the entries that a test wrote and nothing else: a lookup anywhere else is a
/// bus error, so that a wrong descriptor address shows.
pub(crate) struct Tables(BTreeMap<u64, u64>);

impl Tables {
    pub(crate) fn new(entries: &[(u64, u64)]) -> Self {
        Self(entries.iter().copied().collect())
    }
}

impl PhysMemory for Tables {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.0.get(&address).copied()
    }
}

/// A path from the root to a page at address 0: where each entry is, and the entry.
pub(crate) type Path = [(u64, u64); 4];

/// The same with another entry at a level.
pub(crate) fn replaced(mut path: Path, level: usize, entry: u64) -> Path {
    path[level].1 = entry;
    path
}

/// An entry of `path` that is absent, whatever else it holds, and one that cannot be read are faults
/// of their level. `walker` makes a walker of entries.
pub(crate) fn check_absent<W: Walker>(path: Path, walker: impl Fn(&[(u64, u64)]) -> W) {
    for level in 0..4 {
        let read = |entries: &[_]| place(walker(entries).translate(0, Access::PRIVILEGED_READ));
        assert_eq!(read(&replaced(path, level, !1)), translation_fault(level as i8));
        assert_eq!(read(&path[..level]), external_abort(level as i8));
    }
}

/// Addresses whose bits from the last of `width` on are not all the same are faults.
pub(crate) fn check_sign(walker: &impl Walker, width: u32) {
    let read = |address| place(walker.translate(address, Access::PRIVILEGED_READ));
    for bit in width..64 {
        assert_eq!(read(1 << bit), translation_fault(0));
        assert_eq!(read(!(1 << bit)), translation_fault(0));
    }
    assert_eq!(read(1 << (width - 1)), translation_fault(0));
}

/// `IPS` for 48 bits.
pub(crate) const IPS_48: u64 = 0b101 << 32;
/// Attribute 0 is write-back, 1 is Device-nGnRE, 2 is non-cacheable.
pub(crate) const MAIR: u64 = 0x44_04_ff;

/// A stage 1 MMU with tables for the lower half only.
pub(crate) fn lower(tcr: u64, ttbr0: u64, entries: &[(u64, u64)]) -> Stage1<Tables> {
    let registers = Stage1Registers { ttbr0: Some(ttbr0), ttbr1: None, tcr, mair: MAIR };
    Stage1::new(Tables::new(entries), registers).expect("the granule is not reserved")
}

/// A stage 2 MMU.
pub(crate) fn stage2(vtcr: u64, vttbr: u64, entries: &[(u64, u64)]) -> Stage2<Tables> {
    Stage2::new(Tables::new(entries), Stage2Registers { vttbr, vtcr, ..Default::default() })
        .expect("the granule is not reserved")
}

/// What most tests look at: the address, the leaf's size and its level.
pub(crate) fn place(found: Result<Translation, Fault>) -> Result<(u64, u64, i8), Fault> {
    found.map(|found| (found.address, found.leaf_size, found.level))
}

pub(crate) fn translation_fault<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Translation, level))
}

pub(crate) fn address_size_fault<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::AddressSize, level))
}

pub(crate) fn access_flag_fault<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::AccessFlag, level))
}

pub(crate) fn permission_fault<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Permission, level))
}

pub(crate) fn reserved_fault<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Reserved, level))
}

pub(crate) fn conflict<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Conflict, level))
}

pub(crate) fn external_abort<T>(level: i8) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::ExternalAbort, level))
}
