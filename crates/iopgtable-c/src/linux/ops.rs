//! The operations behind `ops`, one set per format and granule.
//!
//! No function here allocates but through the allocator of its table, and none has a panic of its
//! own: arguments are checked, arithmetic is checked or masked, and the engine returns errors.

use core::ffi::{c_int, c_ulong};

use iopgtable::{Gather, Iova, TableError};

use super::abi::{Ops, Phys, ReadAndClearDirty};
use super::dirty::read_and_clear_dirty;
use super::format::LinuxFormat;
use super::map::map_pages;
use super::unmap::unmap_pages;
use super::{Object, head_of};

const ENOMEM: c_int = 12;
const EEXIST: c_int = 17;
pub(super) const EINVAL: c_int = 22;
pub(super) const ERANGE: c_int = 34;
pub(super) const EOPNOTSUPP: c_int = 95;

/// The operations for `F`.
pub(super) const fn table<F: LinuxFormat>() -> Ops {
    Ops {
        map_pages: map_pages::<F>,
        unmap_pages: unmap_pages::<F>,
        iova_to_phys: iova_to_phys::<F>,
        read_and_clear_dirty: read_and_clear_dirty::<F> as ReadAndClearDirty,
    }
}

/// The object that `ops` lies in.
///
/// # Safety
///
/// `ops` came from `create::<F>`, and no other call uses it meanwhile.
pub(super) unsafe fn object<'o, F: LinuxFormat>(ops: *mut Ops) -> &'o mut Object<F> {
    // SAFETY: the caller's promise.
    unsafe { &mut *head_of(ops).cast::<Object<F>>() }
}

/// Linux's number for a refusal.
pub(super) fn errno(error: &TableError) -> c_int {
    match error {
        TableError::InputRange { .. } | TableError::OutputRange { .. } => ERANGE,
        TableError::Overlap { .. } => EEXIST,
        TableError::Alloc(_) => ENOMEM,
        _ => EINVAL,
    }
}

/// Has the driver forget the walks that `gather` names, and frees the tables that came loose.
pub(super) fn settle<F: LinuxFormat>(object: &mut Object<F>, gather: Gather) {
    if let Some(walks) = gather.stale().walks {
        let public = &object.head.public;
        // SAFETY: `tlb` is null or stays valid until the table is destroyed.
        let tlb = unsafe { public.cfg.tlb.as_ref() };
        if let Some(flush_walk) = tlb.and_then(|tlb| tlb.tlb_flush_walk) {
            // SAFETY: the driver's callback may be called with its cookie.
            unsafe {
                flush_walk(
                    walks.first().0,
                    walks.bytes() as usize,
                    1 << F::PAGE_SHIFT,
                    public.cookie,
                );
            }
        }
        // SAFETY: the callback has made the walker forget the walks, so no table in the gather is
        // reached any more; cached leaves, which lead to the driver's pages and not to tables, are
        // the driver's to invalidate, by Linux's contract.
        let invalidated = unsafe { gather.assume_invalidated() };
        object.table.free(invalidated);
    }
}

/// Where `iova` leads; 0 where it leads nowhere.
unsafe extern "C" fn iova_to_phys<F: LinuxFormat>(ops: *mut Ops, iova: c_ulong) -> Phys {
    // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
    let object = unsafe { object::<F>(ops) };
    object.table.translate(Iova(iova)).map_or(0, |found| found.phys.0)
}
