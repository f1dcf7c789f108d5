//! Where the tables lie: in a part of the RAM that machines share.

use std::ptr::NonNull;
use std::sync::Arc;

use iopgtable::memory::{
    AllocContext, AllocError, PageList, Region, RegionError, TableAllocator, TableLayout,
    TableMemory, TablePage,
};
use iopgtable::{PhysAddr, TableCount};
use walkers::Ram;

/// An allocator of tables in RAM.
///
/// # Invariants
///
/// The region lies in the RAM, which lives as long.
#[derive(Debug)]
pub struct SharedRegion {
    region: Region,
    ram: Arc<Ram>,
}

impl SharedRegion {
    /// `bytes` bytes of `ram` from `offset` on, which nobody else uses, and which are zero.
    ///
    /// # Errors
    ///
    /// [`RegionError`], where they make no region.
    ///
    /// # Panics
    ///
    /// Where they do not lie in the RAM.
    #[expect(unsafe_code, reason = "tables are made in memory that is shared with machines")]
    pub(crate) fn new(ram: &Arc<Ram>, offset: usize, bytes: usize) -> Result<Self, RegionError> {
        let end = offset.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= ram.bytes()), "the tables lie in the RAM");
        // SAFETY: the sum lies in the mapping, as just checked.
        let base = unsafe { ram.as_ptr().add(offset) };
        // CAST: a place in memory.
        let phys = PhysAddr(ram.first() + offset as u64);
        // SAFETY: the RAM lives as long as the region, since `Self` keeps it; the caller, who is in
        // this crate, leaves this part to the tables, and machines find it there.
        let region = unsafe { Region::new(base, phys, bytes)? };
        // SAFETY: the caller says so, and nothing has been allocated.
        let region = unsafe { region.assume_zeroed() };
        Ok(Self { region, ram: Arc::clone(ram) })
    }

    /// The RAM that it lies in.
    pub const fn ram(&self) -> &Arc<Ram> {
        &self.ram
    }

    /// The last physical address that tables may lie at.
    pub fn last(&self) -> u64 {
        self.region.last_phys().0
    }

    /// How many bytes are handed out.
    pub fn in_use(&self) -> usize {
        self.region.in_use()
    }
}

#[expect(unsafe_code, reason = "the promises of an allocator")]
// SAFETY: every call goes to the region, whose contract is its own, and which lives as long.
unsafe impl TableMemory for SharedRegion {
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        self.region.cpu_address(table)
    }

    fn last_phys(&self) -> PhysAddr {
        self.region.last_phys()
    }
}

#[expect(unsafe_code, reason = "the promises of an allocator")]
// SAFETY: as above.
unsafe impl TableAllocator for SharedRegion {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        self.region.alloc(layout, context)
    }

    unsafe fn free(&self, page: TablePage) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.region.free(page) };
    }

    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        self.region.alloc_into(pages, layout, tables, context)
    }

    unsafe fn free_bulk(&self, pages: PageList) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.region.free_bulk(pages) };
    }
}
