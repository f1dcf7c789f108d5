//! How walkers read entries.

use crate::{EntryRead, Fault, FaultKind, PhysMemory};

/// The entry that `read` says, or the fault of the bus.
pub(super) fn fetch<M: PhysMemory + ?Sized>(memory: &M, read: &EntryRead) -> Result<u64, Fault> {
    memory.read_entry(read).ok_or(Fault::new(FaultKind::ExternalAbort, read.level))
}
