//! Tables on Rust's global allocator.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::{self, NonNull};

use super::{AllocContext, AllocError, TableAllocator, TableLayout, TableMemory, TablePage};
use crate::addr::PhysAddr;

/// Rust's global allocator, for walkers that run in the same address space: emulators, software
/// MMUs, tests. A table's physical address is its CPU address.
///
/// Pages come zeroed. The walker is a CPU, so nothing has to be published.
///
/// ```
/// use iopgtable::memory::{AllocContext, Heap, TableAllocator, TableLayout, TableMemory};
/// use iopgtable::Iova;
/// let heap = Heap::new();
/// let page = heap.alloc(TableLayout::PAGE_4K, AllocContext::table(3, Iova(0)))?;
/// assert!(page.is_zeroed());
/// assert_eq!(heap.cpu_address(page.phys()), page.cpu());
/// // SAFETY: the page came from this heap, and no table links to it.
/// unsafe { heap.free(page) };
/// # Ok::<(), iopgtable::memory::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Heap {
    /// The heap.
    pub const fn new() -> Self {
        Self
    }
}

/// 2^48 - 1: what ordinary address spaces of 64-bit systems use, and what every format with
/// 48-bit output reaches. A page of the heap that lay beyond is refused.
const LAST_PHYS: PhysAddr = PhysAddr((1 << 48) - 1);

// SAFETY: `MEM-REACH` holds as physical addresses are CPU addresses; `alloc` checks `MEM-LIMIT`;
// nothing is ever published, which orders all publications.
unsafe impl TableMemory for Heap {
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        // CAST: a page's address was a `usize` when `alloc` made it.
        let pointer = ptr::with_exposed_provenance_mut(table.0 as usize);
        NonNull::new(pointer).unwrap_or(NonNull::dangling())
    }

    fn last_phys(&self) -> PhysAddr {
        LAST_PHYS
    }
}

// SAFETY: `MEM-OWN` and the page's invariants come from the global allocator, whose blocks have
// the layout asked for; all heaps are one (`MEM-CLONE`); it does not fail to free (`MEM-FREE`).
unsafe impl TableAllocator for Heap {
    fn alloc(&self, layout: TableLayout, _: AllocContext) -> Result<TablePage, AllocError> {
        let heap_layout = Layout::from_size_align(layout.bytes(), layout.bytes())
            .map_err(|_| AllocError::Layout(layout))?;
        // SAFETY: a table's layout is never of size zero.
        let block = unsafe { alloc_zeroed(heap_layout) };
        let cpu = NonNull::new(block).ok_or(AllocError::OutOfMemory { pages: 1 })?;
        let phys = cpu.as_ptr().expose_provenance() as u64;
        if phys + (layout.bytes() as u64 - 1) > LAST_PHYS.0 {
            // SAFETY: the block was allocated just now, with this layout.
            unsafe { dealloc(cpu.as_ptr(), heap_layout) };
            return Err(AllocError::OutOfMemory { pages: 1 });
        }
        // SAFETY: the block has the layout's size and alignment, is zeroed, and ours until it is
        // freed; for a walker in this address space, its CPU address is where it is.
        Ok(unsafe { TablePage::from_raw_parts(cpu.cast(), PhysAddr(phys), layout, true) })
    }

    unsafe fn free(&self, page: TablePage) {
        let bytes = page.layout().bytes();
        // SAFETY: the page came from `alloc`, where this very layout was valid.
        let heap_layout = unsafe { Layout::from_size_align_unchecked(bytes, bytes) };
        // SAFETY: the page came from `alloc`; the caller gives it up.
        unsafe { dealloc(page.cpu().as_ptr().cast(), heap_layout) };
    }
}
