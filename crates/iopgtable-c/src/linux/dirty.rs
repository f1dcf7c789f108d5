//! Where Linux wants to hear of dirty pages.

use core::ffi::c_ulong;
use core::sync::atomic::{AtomicPtr, Ordering};

use iopgtable::IovaRange;

use super::abi::{DirtyBitmap, IotlbGather, IovaBitmap};

/// Notes that `length` bytes from `iova` on were written through: Linux's `iova_bitmap_set`.
pub type BitmapFn = unsafe extern "C" fn(bitmap: *mut IovaBitmap, iova: c_ulong, length: usize);

static SET: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets how dirty pages get into a `struct iova_bitmap` from now on: in Linux, `iova_bitmap_set`,
/// which a library cannot link against by itself. Null, as at the start, has `read_and_clear_dirty`
/// refuse to answer into a bitmap.
///
/// # Safety
///
/// `set` may be called from any thread that calls `read_and_clear_dirty`, with the bitmap that this
/// was given, and does not unwind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_linux_set_iova_bitmap(set: Option<BitmapFn>) {
    let pointer = set.map_or(core::ptr::null_mut(), |set| set as *mut ());
    SET.store(pointer, Ordering::Release);
}

fn bitmap_function() -> Option<BitmapFn> {
    let pointer = SET.load(Ordering::Acquire);
    // SAFETY: only `iopgtable_linux_set_iova_bitmap` stores here, and what is not null is a
    // `BitmapFn`; null is `None`.
    unsafe { core::mem::transmute::<*mut (), Option<BitmapFn>>(pointer) }
}

/// Where one call answers.
pub(super) struct Record {
    bitmap: Option<(BitmapFn, *mut IovaBitmap)>,
    gather: *mut IotlbGather,
}

impl Record {
    /// What `dirty` asks for; nothing where it has a bitmap and there is no way to set its bits.
    pub(super) fn new(dirty: &DirtyBitmap) -> Option<Self> {
        let bitmap =
            if dirty.bitmap.is_null() { None } else { Some((bitmap_function()?, dirty.bitmap)) };
        Some(Self { bitmap, gather: dirty.gather })
    }

    /// Notes `dirty`, and that cached leaves there are to be forgotten.
    ///
    /// # Safety
    ///
    /// The bitmap and the gather are those of a running call.
    pub(super) unsafe fn add(&self, dirty: IovaRange) {
        let (first, last) = (dirty.first().0, dirty.last().0);
        if let Some((set, bitmap)) = self.bitmap {
            // SAFETY: `iopgtable_linux_set_iova_bitmap` was promised that it may be called so.
            unsafe { set(bitmap, first, dirty.bytes() as usize) };
        }
        // SAFETY: null or the call's gather.
        if let Some(gather) = unsafe { self.gather.as_mut() } {
            gather.start = gather.start.min(first);
            gather.end = gather.end.max(last);
        }
    }
}
