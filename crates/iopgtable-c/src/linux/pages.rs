//! Where the tables of a Linux-style page table come from: the driver's `alloc` and `free`, or
//! the heap.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::alloc::{Layout, alloc_zeroed, dealloc};

use iopgtable::memory::{PageList, TablePage};
use iopgtable::{
    AllocContext, AllocError, PhysAddr, TableAllocator, TableCount, TableLayout, TableMemory,
};

use super::abi::{AllocFn, Cfg, FreeFn, GFP_KERNEL, Gfp};
use super::barrier;
use super::sync::Sync;

/// The allocator behind one table. A page's physical address is its pointer.
///
/// # Invariants
///
/// `hooks` and `cookie` keep Linux's contract (see [`alloc_io_pgtable_ops`]): what the driver's
/// `alloc` returns is zeroed, at least as large as asked for, and the table's alone until `free`.
///
/// [`alloc_io_pgtable_ops`]: super::alloc_io_pgtable_ops
pub(super) struct Pages {
    hooks: Option<(AllocFn, FreeFn)>,
    cookie: *mut c_void,
    /// How the running operation may allocate.
    gfp: Cell<Gfp>,
    /// What a walker with the configured output size reaches.
    reach: PhysAddr,
    /// How many bits of a table's address entries hold, whatever the output size is.
    address_bits: u32,
    /// How a walker that does not snoop gets to see what was written.
    sync: Option<Sync>,
}

impl Pages {
    /// The allocator that `cfg` asks for, of tables whose entries hold `address_bits` bits of an
    /// address; nothing where it has half of one.
    ///
    /// # Safety
    ///
    /// The type's invariants hold for the functions in `cfg` and `cookie`.
    pub(super) unsafe fn new(
        cfg: &Cfg,
        cookie: *mut c_void,
        sync: Option<Sync>,
        address_bits: u32,
    ) -> Option<Self> {
        let hooks = match (cfg.alloc, cfg.free) {
            (Some(alloc), Some(free)) => Some((alloc, free)),
            (None, None) => None,
            _ => return None,
        };
        let reach_bits = cfg.oas.min(address_bits);
        let reach = PhysAddr(u64::MAX.checked_shr(64u32.checked_sub(reach_bits)?)?);
        Some(Self { hooks, cookie, gfp: Cell::new(GFP_KERNEL), reach, address_bits, sync })
    }

    /// How allocations behave from now on.
    pub(super) fn set_gfp(&self, gfp: Gfp) {
        self.gfp.set(gfp);
    }

    #[inline]
    fn take(&self, layout: TableLayout) -> Option<NonNull<u8>> {
        let bytes = layout.bytes();
        let page = if let Some((alloc, _)) = self.hooks {
            // SAFETY: the invariant allows the call.
            unsafe { alloc(self.cookie, bytes, self.gfp.get()) }.cast()
        } else {
            let heap_layout = Layout::from_size_align(bytes, bytes).ok()?;
            // SAFETY: a table's layout is never of size zero.
            unsafe { alloc_zeroed(heap_layout) }
        };
        NonNull::new(page)
    }

    /// # Safety
    ///
    /// The memory came from `take` with the same layout, and nobody uses it.
    unsafe fn put(&self, page: NonNull<u8>, layout: TableLayout) {
        let bytes = layout.bytes();
        if let Some((_, free)) = self.hooks {
            // SAFETY: the page came from the same pair of functions.
            unsafe { free(self.cookie, page.as_ptr().cast(), bytes) };
        } else {
            // SAFETY: the layout was valid when the page was taken.
            let heap_layout = unsafe { Layout::from_size_align_unchecked(bytes, bytes) };
            // SAFETY: the page came from the heap, with this layout.
            unsafe { dealloc(page.as_ptr(), heap_layout) };
        }
    }
}

// SAFETY: `MEM-REACH`: physical addresses are pointers, and `alloc` refuses those that an entry
// could not hold, so an entry gives the pointer back. `MEM-ORDER`: publishing is synchronous.
// `MEM-LIMIT` speaks of what the *walker* reaches. As in Linux that is the driver's to ensure: its
// device's DMA mask decides where tables lie, and where physical addresses are stand-ins, as in a
// process that builds tables for an emulator, pointers may exceed the output size at no harm to
// the tables. So `reach` is answered, and the one thing that memory safety needs is checked.
unsafe impl TableMemory for Pages {
    #[inline]
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        // CAST: it was a pointer when `alloc` made it.
        let pointer = ptr::with_exposed_provenance_mut(table.0 as usize);
        NonNull::new(pointer).unwrap_or(NonNull::dangling())
    }

    fn last_phys(&self) -> PhysAddr {
        self.reach
    }

    #[inline]
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        if let Some(sync) = &self.sync {
            sync.run(cpu, phys, bytes);
        }
    }

    #[inline]
    fn commit(&self) {
        barrier::before_walks();
    }

    fn is_coherent(&self) -> bool {
        self.sync.is_none()
    }
}

// SAFETY: `MEM-OWN`, `MEM-FREE` and the page's contents come from the invariant or from the heap;
// alignment is checked. There are no clones.
unsafe impl TableAllocator for Pages {
    #[inline]
    fn alloc(&self, layout: TableLayout, _: AllocContext) -> Result<TablePage, AllocError> {
        let cpu = self.take(layout).ok_or(AllocError::OutOfMemory { pages: 1 })?;
        let phys = cpu.as_ptr().expose_provenance() as u64;
        let misplaced = phys & (layout.bytes() as u64 - 1) != 0 || phys >> self.address_bits != 0;
        if misplaced {
            // SAFETY: it was taken just now.
            unsafe { self.put(cpu, layout) };
            return Err(AllocError::Layout(layout));
        }
        if let Some(sync) = &self.sync {
            // The driver's zeroes may still be in the CPU's caches.
            sync.run(cpu, PhysAddr(phys), layout.bytes());
        }
        // SAFETY: size, owner and contents are as the invariant or the heap says; alignment was
        // checked.
        Ok(unsafe { TablePage::from_raw_parts(cpu.cast(), PhysAddr(phys), layout, true) })
    }

    /// Tables of all levels are the same to the driver's functions.
    #[inline]
    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        for _ in 0..tables.total() {
            match self.alloc(layout, context) {
                Ok(page) => pages.push(page),
                Err(error) => {
                    // SAFETY: they were handed out just now; nothing links to them.
                    unsafe { self.free_bulk(core::mem::take(pages)) };
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    unsafe fn free(&self, page: TablePage) {
        // SAFETY: the page came from `alloc`, and the caller gives it up.
        unsafe { self.put(page.cpu().cast(), page.layout()) };
    }
}
