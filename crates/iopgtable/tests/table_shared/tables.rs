//! A table that threads share, and who looks at it.

use iopgtable::{
    Arm64S1, Config, Granule4K, Iova, PhysAddr, Prot, Segment, SharedPageTable, TableError,
};
use walkers::{Access, FaultKind};

use crate::machine::{Memory, Walked, range};

pub(crate) type S1 = Arm64S1<Granule4K>;

pub(crate) type Shared<'m, F> = SharedPageTable<F, &'m Memory>;

pub(crate) const PAGE: u64 = 4 << 10;
pub(crate) const BLOCK: u64 = 2 << 20;
pub(crate) const CONFIG: Config = Config::new(48, 48);

/// Bit 52 of a leaf.
pub(crate) const HINT: u64 = 1 << 52;

pub(crate) fn shared(memory: &Memory) -> Shared<'_, S1> {
    crate::machine::table::<S1>(CONFIG, memory).into_shared()
}

pub(crate) fn map(table: &Shared<'_, S1>, first: u64, bytes: u64) -> Result<(), TableError> {
    table.map(range(first, bytes), [Segment::new(PhysAddr(first), bytes)], Prot::RW)
}

/// Where an address leads for the soft MMU, while operations run. A group may be in pieces then,
/// which the soft MMU reports and a gather tells (`Gather::break_before_make`), so there the table
/// says where the address leads.
pub(crate) fn look<F: Walked>(table: &Shared<'_, F>, address: u64) -> Option<(u64, bool)> {
    // What pieces of a page of several entries look like depends on the format.
    let found = if F::GROUPS.are_pages() { None } else { Some(ask(table, address)) };
    match found {
        Some(Ok(found)) => Some(found),
        None | Some(Err(FaultKind::Conflict)) => {
            let found = table.translate(Iova(address))?;
            Some((found.phys.0, found.prot.contains(Prot::WRITE)))
        }
        Some(Err(_)) => None,
    }
}

/// Where an address leads for the soft MMU.
pub(crate) fn walk<F: Walked>(table: &Shared<'_, F>, address: u64) -> Option<(u64, bool)> {
    ask(table, address).ok()
}

pub(crate) fn ask<F: Walked>(
    table: &Shared<'_, F>,
    address: u64,
) -> Result<(u64, bool), FaultKind> {
    // SAFETY: the walk ends before this function does, and the table stays.
    let registers = unsafe { table.registers() };
    // SAFETY: the walk only reads linked tables, whose entries are written atomically.
    let read = |phys| unsafe { table.allocator().upstream().read(PhysAddr(phys)) };
    iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ)
        .map(|found| (found.address, found.permissions.unprivileged.write))
        .map_err(|fault| fault.kind)
}
