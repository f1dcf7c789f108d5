//! Which pages were written through, in Linux's terms.

use core::ffi::{c_int, c_ulong};
use core::sync::atomic::{AtomicPtr, Ordering};

use iopgtable::{Iova, IovaRange, LAST_LEVEL};

use super::abi::{self, DirtyBitmap, IoPgtable, IotlbGather, IovaBitmap, Ops, fmt, quirk};
use super::format::LinuxFormat;
use super::ops::{EINVAL, EOPNOTSUPP, errno, object};

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
struct Record {
    bitmap: Option<(BitmapFn, *mut IovaBitmap)>,
    gather: *mut IotlbGather,
}

impl Record {
    /// What `dirty` asks for; nothing where it has a bitmap and there is no way to set its bits.
    fn new(dirty: &DirtyBitmap) -> Option<Self> {
        let bitmap =
            if dirty.bitmap.is_null() { None } else { Some((bitmap_function()?, dirty.bitmap)) };
        Some(Self { bitmap, gather: dirty.gather })
    }

    /// Notes `dirty`, and that cached leaves there are to be forgotten.
    ///
    /// # Safety
    ///
    /// The bitmap and the gather are those of a running call.
    unsafe fn add(&self, dirty: IovaRange) {
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

/// Notes in `dirty` which parts of `size` bytes from `iova` on were written through, and makes them
/// clean, unless `flags` says to read only: its gather, if it has one, is extended by all that was
/// dirty, as the driver must have the device forget the leaves. Without `ARM_HD` nothing is dirty.
///
/// Returns 0; `-EINVAL` for other formats than 64-bit stage 1, for a range that is empty or not
/// among the table's addresses, where something in it is not mapped, and without `dirty`;
/// `-EOPNOTSUPP` for a bitmap that there is no way to write to. Nothing was noted then.
pub(super) unsafe extern "C" fn read_and_clear_dirty<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    size: usize,
    flags: c_ulong,
    dirty: *mut DirtyBitmap,
) -> c_int {
    // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
    let object = unsafe { object::<F>(ops) };
    let IoPgtable { fmt: format, cfg, .. } = &object.head.public;
    if *format != fmt::ARM_64_LPAE_S1 {
        return -EINVAL;
    }
    let Ok(range) = IovaRange::new(Iova(iova), size as u64) else { return -EINVAL };
    // All pages that the range has a part of.
    let low = (1u64 << F::PAGE_SHIFT) - 1;
    let pages = IovaRange::inclusive(Iova(range.first().0 & !low), Iova(range.last().0 | low))
        .unwrap_or(range);
    let mapped = object.table.geometry().whole().covers(pages)
        && object.table.occupied(pages, LAST_LEVEL) == pages.bytes();
    if !mapped {
        return -EINVAL;
    }
    if cfg.quirks & quirk::ARM_HD == 0 {
        return 0;
    }
    // SAFETY: null or the caller's.
    let Some(dirty) = (unsafe { dirty.as_ref() }) else { return -EINVAL };
    let Some(record) = Record::new(dirty) else { return -EOPNOTSUPP };
    let note = |found: IovaRange| {
        if let Some(found) = found.intersection(range) {
            // SAFETY: they are this call's.
            unsafe { record.add(found) };
        }
    };
    let outcome = if flags & abi::dirty::NO_CLEAR != 0 {
        object.table.visit_dirty(pages, note)
    } else {
        // What the gather names was noted, for the driver to invalidate; no table came loose.
        object.table.visit_and_clear_dirty(pages, note).map(drop)
    };
    outcome.map_or_else(|error| -errno(&error), |()| 0)
}
