//! `ops->unmap_pages`.

use core::ffi::c_ulong;

use iopgtable::{Iova, IovaRange, LAST_LEVEL};

use super::Object;
use super::abi::{GFP_ATOMIC, IotlbGather, Ops};
use super::format::LinuxFormat;
use super::ops::{object, settle};
use super::sizes::{Pieces, entries_of, is_page_size, level_of, next_size, pages_at};

/// Unmaps up to `pgcount` pages of `pgsize` bytes from `iova` on, and returns how many bytes it
/// has unmapped: those up to the first page that is not mapped. Larger leaves are split, for which
/// memory is taken (with `GFP_ATOMIC`); 0 without it. Tables become free only where a page of their
/// whole span is unmapped.
///
/// Calls `tlb_flush_walk` before tables are freed, and `tlb_add_page` for each page if there is a
/// gather that is not queued. Leaves are otherwise the caller's to invalidate.
pub(super) unsafe extern "C" fn unmap_pages<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    pgsize: usize,
    pgcount: usize,
    gather: *mut IotlbGather,
) -> usize {
    if pgsize == 1 << F::PAGE_SHIFT && pgcount == 1 && gather.is_null() {
        // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
        let object = unsafe { object::<F>(ops) };
        // Without a page there the answer is the same as by the long way: none.
        if let Some((pages, _)) = object.table.unmap_leaves(Iova(iova), LAST_LEVEL, 1) {
            return pages << F::PAGE_SHIFT;
        }
    }
    // SAFETY: the caller's promises are passed on.
    unsafe { unmap_others::<F>(ops, iova, pgsize, pgcount, gather) }
}

/// The same for what is not a page by itself. Apart, as in [`map_pages`](super::map::map_pages).
#[inline(never)]
unsafe extern "C" fn unmap_others<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    pgsize: usize,
    pgcount: usize,
    gather: *mut IotlbGather,
) -> usize {
    // SAFETY: as above.
    let object = unsafe { object::<F>(ops) };
    if !is_page_size(&object.head.public.cfg, pgsize) || iova & (pgsize as u64 - 1) != 0 {
        return 0;
    }
    let level = level_of::<F>(pgsize as u64);
    let entries = entries_of::<F>(pgsize, level);
    let count = pgcount.saturating_mul(entries);
    if let Some((leaves, _)) = object.table.unmap_leaves(Iova(iova), level, count) {
        let pages = leaves / entries;
        let unmapped = (pages * pgsize) as u64;
        // SAFETY: null or the caller's gather.
        if unsafe { gather.as_ref() }.is_some_and(|gather| !gather.queued) {
            // SAFETY: it is the caller's gather.
            unsafe { add_pages(object, gather, iova, unmapped, pgsize) };
        }
        return pages * pgsize;
    }
    unmap_slowly(object, iova, pgsize, pgcount, gather)
}

#[inline(never)]
fn unmap_slowly<F: LinuxFormat>(
    object: &mut Object<F>,
    iova: c_ulong,
    pgsize: usize,
    pgcount: usize,
    gather: *mut IotlbGather,
) -> usize {
    let Some(range) = pages_at(iova, pgsize, pgcount) else {
        return 0;
    };
    let level = level_of::<F>(pgsize as u64);
    let present = object.table.occupied(range, level) & !(pgsize as u64 - 1);
    object.table.allocator().set_gfp(GFP_ATOMIC);
    let unmapped = if level == 3 {
        clear(object, range.first(), present)
    } else {
        unmap_blocks::<F>(object, range.first().0, present, pgsize as u64)
    };
    // SAFETY: null or the caller's gather.
    if unsafe { gather.as_ref() }.is_some_and(|gather| !gather.queued) {
        // SAFETY: it is the caller's gather.
        unsafe { add_pages(object, gather, iova, unmapped, pgsize) };
    }
    // CAST: at most what the caller's `usize`s multiplied to.
    unmapped as usize
}

/// Unmaps `bytes` bytes of pages of the smallest size from `iova` on; returns the bytes.
#[inline]
fn clear<F: LinuxFormat>(object: &mut Object<F>, iova: Iova, bytes: u64) -> u64 {
    let Ok(range) = IovaRange::new(iova, bytes) else { return 0 };
    // No table goes, so there is no walk to forget.
    if object.table.clear(range).is_ok() { bytes } else { 0 }
}

/// Unmaps `bytes` bytes of larger pages from `iova` on, with the tables of smaller pages that stand
/// in their place; returns the bytes.
#[inline(never)]
fn unmap_blocks<F: LinuxFormat>(object: &mut Object<F>, iova: u64, bytes: u64, pgsize: u64) -> u64 {
    let mut unmapped = 0;
    // Pieces that end in the middle of each table of such pages leave all these tables in place.
    for piece in (Pieces { at: iova, left: bytes, next: next_size::<F>(pgsize) }) {
        let Ok(part) = IovaRange::new(Iova(piece.phys.0), piece.bytes) else { break };
        let Ok(gather) = object.table.unmap(part, part) else { break };
        settle(object, gather);
        unmapped += piece.bytes;
    }
    unmapped
}

/// Tells the driver of `bytes` bytes of pages from `iova` on.
///
/// # Safety
///
/// `gather` is the caller's gather.
unsafe fn add_pages<F: LinuxFormat>(
    object: &Object<F>,
    gather: *mut IotlbGather,
    iova: c_ulong,
    bytes: u64,
    pgsize: usize,
) {
    let public = &object.head.public;
    // SAFETY: `tlb` is null or stays valid until the table is destroyed.
    let tlb = unsafe { public.cfg.tlb.as_ref() };
    if let Some(add_page) = tlb.and_then(|tlb| tlb.tlb_add_page) {
        let mut offset = 0;
        while offset < bytes {
            // SAFETY: the driver's callback may be called with its cookie and the caller's gather.
            unsafe { add_page(gather, iova.wrapping_add(offset), pgsize, public.cookie) };
            offset += pgsize as u64;
        }
    }
}
