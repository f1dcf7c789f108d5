//! Tables from the caller's own callbacks.

use core::ffi::c_void;
use core::ptr::NonNull;

use super::{AllocContext, AllocError, TableAllocator, TableLayout, TableMemory, TablePage};
use crate::addr::PhysAddr;

/// The callbacks of [`Hooks`]; each gets the cookie first. C's view of it is the same structure.
///
/// `alloc` and `free` are those of Linux's `io_pgtable_cfg`; a NUMA node or allocation flags that
/// they need go behind the cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HookTable {
    /// `bytes` bytes, aligned to `bytes` in both address spaces, or null where there are none. The
    /// remaining arguments are those of [`AllocContext`].
    pub alloc: unsafe extern "C" fn(
        cookie: *mut c_void,
        bytes: usize,
        level: i8,
        root: bool,
        iova: u64,
        may_block: bool,
    ) -> *mut u8,
    /// Takes back what `alloc` returned for the same number of bytes. Must not block.
    pub free: unsafe extern "C" fn(cookie: *mut c_void, page: *mut u8, bytes: usize),
    /// Where a walker finds the page.
    pub virt_to_phys: unsafe extern "C" fn(cookie: *mut c_void, page: *const u8) -> u64,
    /// The pointer that `alloc` returned for the page at `phys`. May answer anything, null
    /// included, for an address at which no page starts.
    pub phys_to_virt: unsafe extern "C" fn(cookie: *mut c_void, phys: u64) -> *mut u8,
    /// See [`TableMemory::publish`]; none where walkers see at once what the CPU writes.
    pub publish:
        Option<unsafe extern "C" fn(cookie: *mut c_void, cpu: *const u8, phys: u64, bytes: usize)>,
    /// See [`TableMemory::commit`].
    pub commit: Option<unsafe extern "C" fn(cookie: *mut c_void)>,
    /// Whether `alloc` returns memory that is zero, for the CPU and for walkers. Where it is not,
    /// pages are zeroed and published here before use.
    pub zeroed: bool,
}

/// An allocator made of callbacks and a cookie: the way in for kernels and for C.
///
/// A page that `alloc` returns misaligned or out of reach is given back to `free` and refused.
///
/// ```
/// use core::ffi::c_void;
/// use std::alloc::{alloc_zeroed, dealloc, Layout};
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use iopgtable::memory::{AllocContext, HookTable, Hooks, TableAllocator, TableLayout};
/// use iopgtable::{Iova, PhysAddr};
///
/// // The cookie of this example counts the pages that are out.
/// unsafe extern "C" fn alloc(
///     cookie: *mut c_void, bytes: usize, _: i8, _: bool, _: u64, _: bool,
/// ) -> *mut u8 {
///     unsafe { &*cookie.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
///     unsafe { alloc_zeroed(Layout::from_size_align(bytes, bytes).unwrap()) }
/// }
/// unsafe extern "C" fn free(cookie: *mut c_void, page: *mut u8, bytes: usize) {
///     unsafe { &*cookie.cast::<AtomicUsize>() }.fetch_sub(1, Ordering::Relaxed);
///     unsafe { dealloc(page, Layout::from_size_align(bytes, bytes).unwrap()) }
/// }
/// unsafe extern "C" fn virt_to_phys(_: *mut c_void, page: *const u8) -> u64 {
///     page.expose_provenance() as u64
/// }
/// unsafe extern "C" fn phys_to_virt(_: *mut c_void, phys: u64) -> *mut u8 {
///     core::ptr::with_exposed_provenance_mut(phys as usize)
/// }
///
/// let out = AtomicUsize::new(0);
/// let table = HookTable {
///     alloc, free, virt_to_phys, phys_to_virt, publish: None, commit: None, zeroed: true,
/// };
/// let cookie = (&raw const out).cast_mut().cast();
/// // SAFETY: the functions keep the contract, and `out` outlives the hooks.
/// let hooks = unsafe { Hooks::new(cookie, table, PhysAddr((1 << 48) - 1), true) };
///
/// let page = hooks.alloc(TableLayout::PAGE_4K, AllocContext::table(3, Iova(0)))?;
/// assert_eq!(out.load(Ordering::Relaxed), 1);
/// // SAFETY: the page came from these hooks, and no table links to it.
/// unsafe { hooks.free(page) };
/// assert_eq!(out.load(Ordering::Relaxed), 0);
/// # Ok::<(), iopgtable::memory::AllocError>(())
/// ```
///
/// # Invariants
///
/// What [`new`](Self::new) asks of its caller.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    cookie: *mut c_void,
    table: HookTable,
    last_phys: PhysAddr,
    coherent: bool,
}

// SAFETY: the invariant has the callbacks bear being called from any thread with the same cookie.
unsafe impl Send for Hooks {}
// SAFETY: as above.
unsafe impl Sync for Hooks {}

impl Hooks {
    /// Makes an allocator of `table`'s callbacks, whose pages lie at or below `last_phys`;
    /// `coherent` says whether walkers snoop the CPU's caches.
    ///
    /// # Safety
    ///
    /// For as long as the hooks, a copy of them or a page from them is in use:
    ///
    /// - every callback may be called with `cookie`, from any thread and from several at once, and
    ///   does not unwind;
    /// - what `alloc` returns and is not null is at least `bytes` bytes of ordinary memory that
    ///   nobody else uses until it is given to `free`, zeroed if `table.zeroed` says so, and may
    ///   be passed to `virt_to_phys`;
    /// - `virt_to_phys` says where a walker finds those bytes, and `phys_to_virt` of that is the
    ///   pointer again;
    /// - `publish` keeps `MEM-ORDER` of the [contract](super#the-contract), and where it is `None`
    ///   walkers see what the CPU writes, in order;
    /// - `free` keeps `MEM-FREE`.
    pub const unsafe fn new(
        cookie: *mut c_void,
        table: HookTable,
        last_phys: PhysAddr,
        coherent: bool,
    ) -> Self {
        Self { cookie, table, last_phys, coherent }
    }

    /// What the callbacks get first.
    pub const fn cookie(&self) -> *mut c_void {
        self.cookie
    }

    /// Why the page at `cpu` and `phys` cannot be a table, if it cannot.
    fn check(&self, cpu: *mut u8, phys: u64, layout: TableLayout) -> Result<(), AllocError> {
        let offset = layout.bytes() as u64 - 1;
        if (cpu.addr() as u64 | phys) & offset != 0 {
            return Err(AllocError::Layout(layout));
        }
        // OVERFLOW: `phys` is a multiple of `offset + 1`.
        if phys + offset > self.last_phys.0 {
            return Err(AllocError::OutOfMemory { pages: 1 });
        }
        Ok(())
    }
}

// SAFETY: the invariant covers `MEM-REACH` and `MEM-ORDER`; `alloc` checks `MEM-LIMIT`.
unsafe impl TableMemory for Hooks {
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        // SAFETY: the invariant allows the call with any address.
        let page = unsafe { (self.table.phys_to_virt)(self.cookie, table.0) };
        NonNull::new(page.cast()).unwrap_or(NonNull::dangling())
    }

    fn last_phys(&self) -> PhysAddr {
        self.last_phys
    }

    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        if let Some(publish) = self.table.publish {
            // SAFETY: the invariant allows the call.
            unsafe { publish(self.cookie, cpu.as_ptr(), phys.0, bytes) };
        }
    }

    fn commit(&self) {
        if let Some(commit) = self.table.commit {
            // SAFETY: the invariant allows the call.
            unsafe { commit(self.cookie) };
        }
    }

    fn is_coherent(&self) -> bool {
        self.coherent
    }
}

// SAFETY: the invariant covers `MEM-OWN`, `MEM-FREE` and the pages; `alloc` checks alignment. A
// copy calls the same functions with the same cookie (`MEM-CLONE`).
unsafe impl TableAllocator for Hooks {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        let AllocContext { level, root, iova, may_block } = context;
        let bytes = layout.bytes();
        // SAFETY: the invariant allows the call.
        let page =
            unsafe { (self.table.alloc)(self.cookie, bytes, level, root, iova.0, may_block) };
        let Some(cpu) = NonNull::new(page) else {
            return Err(if may_block {
                AllocError::OutOfMemory { pages: 1 }
            } else {
                AllocError::WouldBlock
            });
        };
        // SAFETY: the page came from `alloc`.
        let phys = unsafe { (self.table.virt_to_phys)(self.cookie, page) };
        if let Err(error) = self.check(page, phys, layout) {
            // SAFETY: the page came from `alloc`, and nobody has used it.
            unsafe { (self.table.free)(self.cookie, page, bytes) };
            return Err(error);
        }
        // SAFETY: the size, the owner and the contents are as the invariant says; the alignment
        // was checked.
        Ok(unsafe {
            TablePage::from_raw_parts(cpu.cast(), PhysAddr(phys), layout, self.table.zeroed)
        })
    }

    unsafe fn free(&self, page: TablePage) {
        let (cpu, bytes) = (page.cpu().as_ptr().cast(), page.layout().bytes());
        // SAFETY: the caller got the page from `alloc` and gives it up.
        unsafe { (self.table.free)(self.cookie, cpu, bytes) };
    }
}
