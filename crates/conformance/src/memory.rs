//! Where the tables lie: in a part of the RAM that machines share.

use std::sync::Arc;

use iopgtable::PhysAddr;
use iopgtable::memory::{Region, RegionError};
use walkers::Ram;

/// Table memory in RAM.
///
/// The region is not used longer than the RAM lives, which this keeps.
#[derive(Debug)]
pub struct TableMemory {
    region: Region,
    ram: Arc<Ram>,
}

impl TableMemory {
    /// `bytes` bytes of `ram`, from `offset` on, which nobody else uses.
    ///
    /// # Errors
    ///
    /// [`RegionError`], where they make no region.
    ///
    /// # Panics
    ///
    /// Where they do not lie in the RAM.
    #[expect(unsafe_code, reason = "tables are made in memory that is shared with machines")]
    pub fn new(ram: Arc<Ram>, offset: usize, bytes: usize) -> Result<Self, RegionError> {
        let end = offset.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= ram.bytes()), "the tables lie in the RAM");
        // SAFETY: the sum lies in the mapping, as just checked.
        let base = unsafe { ram.as_ptr().add(offset) };
        // CAST: a place in memory.
        let phys = PhysAddr(ram.first() + offset as u64);
        // SAFETY: the RAM lives as long as the region, since `Self` keeps it and drops it last; the
        // caller leaves this part to the tables, and machines find it there.
        let region = unsafe { Region::new(base, phys, bytes)? };
        Ok(Self { region, ram })
    }

    /// The allocator.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The RAM that it lies in.
    pub const fn ram(&self) -> &Arc<Ram> {
        &self.ram
    }
}
