//! From C's callbacks to the engine's allocator.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use iopgtable::memory::{Heap, HookTable, Hooks, TablePage};
use iopgtable::{AllocContext, AllocError, PhysAddr, TableAllocator, TableLayout, TableMemory};

use crate::status::Status;
use crate::types::Allocator;

/// Where the tables of this interface come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Heap(Heap),
    Hooks(Hooks),
}

unsafe extern "C" fn address(_: *mut c_void, page: *const u8) -> u64 {
    page.expose_provenance() as u64
}

unsafe extern "C" fn pointer(_: *mut c_void, phys: u64) -> *mut u8 {
    // CAST: it was a pointer when `address` made it.
    ptr::with_exposed_provenance_mut(phys as usize)
}

impl Source {
    /// The allocator that C describes.
    ///
    /// # Safety
    ///
    /// The callbacks keep what their descriptions in [`Allocator`] say, from any thread, for as
    /// long as a table or a reservation uses them, and do not unwind.
    pub(crate) unsafe fn new(allocator: &Allocator) -> Result<Self, Status> {
        let (Some(alloc), Some(free)) = (allocator.alloc, allocator.free) else {
            return Err(Status::NullArgument);
        };
        let (virt_to_phys, phys_to_virt) = match (allocator.virt_to_phys, allocator.phys_to_virt) {
            (Some(virt_to_phys), Some(phys_to_virt)) => (virt_to_phys, phys_to_virt),
            (None, None) => (address as _, pointer as _),
            _ => return Err(Status::NullArgument),
        };
        let table = HookTable {
            alloc,
            free,
            virt_to_phys,
            phys_to_virt,
            publish: allocator.publish,
            commit: allocator.commit,
            zeroed: allocator.zeroed,
        };
        let last_phys = PhysAddr(allocator.last_phys);
        // SAFETY: the caller's promise; the identity above fits its page.
        Ok(Self::Hooks(unsafe {
            Hooks::new(allocator.cookie, table, last_phys, allocator.coherent)
        }))
    }

    fn memory(&self) -> &dyn TableMemory {
        match self {
            Self::Heap(heap) => heap,
            Self::Hooks(hooks) => hooks,
        }
    }

    fn allocator(&self) -> &dyn TableAllocator {
        match self {
            Self::Heap(heap) => heap,
            Self::Hooks(hooks) => hooks,
        }
    }
}

// SAFETY: every call goes to the same allocator, whose contract is its own.
unsafe impl TableMemory for Source {
    #[inline]
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        match self {
            Self::Heap(heap) => heap.cpu_address(table),
            Self::Hooks(hooks) => hooks.cpu_address(table),
        }
    }

    fn last_phys(&self) -> PhysAddr {
        self.memory().last_phys()
    }

    #[inline]
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        if let Self::Hooks(hooks) = self {
            hooks.publish(cpu, phys, bytes);
        }
    }

    fn commit(&self) {
        self.memory().commit();
    }

    fn is_coherent(&self) -> bool {
        self.memory().is_coherent()
    }
}

// SAFETY: as above; a copy of either is the same allocator.
unsafe impl TableAllocator for Source {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        self.allocator().alloc(layout, context)
    }

    unsafe fn free(&self, page: TablePage) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.allocator().free(page) };
    }
}
