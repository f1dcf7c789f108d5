//! Walkers that do not snoop the CPU's caches.

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

use iopgtable::PhysAddr;

/// Makes `bytes` bytes that the CPU wrote at `cpu` visible to `device`, which finds them at
/// `phys`: what Linux's streaming DMA calls do towards a device.
pub type SyncFn =
    unsafe extern "C" fn(device: *mut c_void, cpu: *const c_void, phys: u64, bytes: usize);

static SYNC: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets what tables for non-coherent walkers (`coherent_walk = false`) are published with from
/// now on, for all such tables that are created later. Null, as at the start, has
/// [`alloc_io_pgtable_ops`](super::alloc_io_pgtable_ops) refuse them: cleaning caches is the
/// platform's to do, and a library cannot link against a kernel's DMA calls by itself.
///
/// # Safety
///
/// `sync` may be called from any thread with the `iommu_dev` of any table, does not unwind, and
/// does what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_linux_set_sync(sync: Option<SyncFn>) {
    let pointer = sync.map_or(core::ptr::null_mut(), |sync| sync as *mut ());
    SYNC.store(pointer, Ordering::Release);
}

/// The function, with the device that it is called for.
pub(super) struct Sync {
    sync: SyncFn,
    device: *mut c_void,
}

impl Sync {
    /// For tables that `device` walks; nothing where no function was set.
    pub(super) fn for_device(device: *mut c_void) -> Option<Self> {
        let pointer = SYNC.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: only `iopgtable_linux_set_sync` stores here, and what is not null is a `SyncFn`.
        let sync = unsafe { core::mem::transmute::<*mut (), SyncFn>(pointer) };
        Some(Self { sync, device })
    }

    pub(super) fn run(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        // SAFETY: `iopgtable_linux_set_sync` was promised that it may be called so.
        unsafe { (self.sync)(self.device, cpu.as_ptr().cast_const().cast(), phys.0, bytes) };
    }
}
