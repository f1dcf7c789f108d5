//! The operations behind `ops`, one set per format and granule.
//!
//! No function here allocates but through the allocator of its table, and none has a panic of its
//! own: arguments are checked, arithmetic is checked or masked, and the engine returns errors.

use core::ffi::{c_int, c_ulong};

use iopgtable::{Gather, Iova, IovaRange, LAST_LEVEL, PhysAddr, Segment, TableError};

use super::abi::{self, Cfg, GFP_ATOMIC, Gfp, IotlbGather, Ops, Phys, ReadAndClearDirty};
use super::dirty::read_and_clear_dirty;
use super::format::LinuxFormat;
use super::{Object, head_of};

const ENOMEM: c_int = 12;
const EEXIST: c_int = 17;
pub(super) const EINVAL: c_int = 22;
const ERANGE: c_int = 34;
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

/// Whether `pgsize` is one page size of `cfg`.
#[inline]
fn is_page_size(cfg: &Cfg, pgsize: usize) -> bool {
    pgsize.is_power_of_two() && pgsize as c_ulong & cfg.pgsize_bitmap != 0
}

/// `pgcount` pages from `iova` on, if they lie inside of the input size and are aligned.
#[inline]
fn pages_at(iova: c_ulong, pgsize: usize, pgcount: usize) -> Option<IovaRange> {
    let bytes = (pgsize as u64).checked_mul(pgcount as u64)?;
    IovaRange::new(Iova(iova), bytes).ok()
}

/// log2 of the bytes of an entry `levels` levels above pages.
const fn entry_shift<F: LinuxFormat>(levels: u32) -> u32 {
    F::PAGE_SHIFT as u32 + levels * F::TABLE_BITS as u32
}

/// Maps `pgcount` pages of `pgsize` bytes from `paddr` on at `iova`, and adds the bytes mapped to
/// `*mapped`: all of them on success, none on failure.
///
/// Returns 0; `-EINVAL` for a page size that the table does not have, for addresses that are not
/// aligned to it, and where `prot` allows neither reading nor writing; `-ERANGE` for addresses
/// beyond the table's sizes; `-EEXIST` where something is mapped (but smaller pages under a larger
/// one to be mapped are torn down, as Linux does); `-ENOMEM`.
unsafe extern "C" fn map_pages<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    paddr: Phys,
    pgsize: usize,
    pgcount: usize,
    prot: c_int,
    gfp: Gfp,
    mapped: *mut usize,
) -> c_int {
    // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
    let object = unsafe { object::<F>(ops) };
    let outcome = if pgsize == 1 << F::PAGE_SHIFT && pgcount == 1 {
        map_page(object, iova, paddr, (prot, gfp))
    } else {
        map_any(object, iova, paddr, (pgsize, pgcount), (prot, gfp))
    };
    match outcome {
        Ok(bytes) => {
            // SAFETY: null or the caller's counter.
            if let Some(mapped) = unsafe { mapped.as_mut() } {
                *mapped = mapped.wrapping_add(bytes);
            }
            0
        }
        Err(errno) => -errno,
    }
}

/// Maps a page of the smallest size, which every table has; returns the bytes, or the error number.
#[inline]
fn map_page<F: LinuxFormat>(
    object: &mut Object<F>,
    iova: c_ulong,
    paddr: Phys,
    (prot, gfp): (c_int, Gfp),
) -> Result<usize, c_int> {
    let (at, phys, page) = (Iova(iova), PhysAddr(paddr), 1 << F::PAGE_SHIFT);
    if let Some(attributes) = object.attributes_for(prot) {
        object.table.allocator().set_gfp(gfp);
        match object.table.map_leaves(at, phys, LAST_LEVEL, 1, attributes) {
            Ok(true) => return Ok(page),
            Ok(false) => {}
            Err(error) => return Err(errno(&error)),
        }
    }
    map_any(object, iova, paddr, (page, 1), (prot, gfp))
}

/// Maps pages; returns the bytes, or the error number.
#[inline(never)]
fn map_any<F: LinuxFormat>(
    object: &mut Object<F>,
    iova: c_ulong,
    paddr: Phys,
    (pgsize, pgcount): (usize, usize),
    (prot, gfp): (c_int, Gfp),
) -> Result<usize, c_int> {
    if !is_page_size(&object.head.public.cfg, pgsize) || (iova | paddr) & (pgsize as u64 - 1) != 0 {
        return Err(EINVAL);
    }
    if prot & (abi::prot::READ | abi::prot::WRITE) == 0 {
        return Err(EINVAL);
    }
    let level = level_of::<F>(pgsize as u64);
    if let Some(attributes) = object.attributes_for(prot) {
        let (at, phys) = (Iova(iova), PhysAddr(paddr));
        object.table.allocator().set_gfp(gfp);
        let count = pgcount.saturating_mul(entries_of::<F>(pgsize, level));
        match object.table.map_leaves(at, phys, level, count, attributes) {
            Ok(true) => return Ok(pgsize * pgcount),
            Ok(false) => {}
            Err(error) => return Err(errno(&error)),
        }
    }
    map_slowly(object, iova, paddr, pgsize, pgcount, (prot, gfp))
}

/// Maps what is not in one table that is there and empty; returns the bytes, or the error number.
#[inline(never)]
fn map_slowly<F: LinuxFormat>(
    object: &mut Object<F>,
    iova: c_ulong,
    paddr: Phys,
    pgsize: usize,
    pgcount: usize,
    (prot, gfp): (c_int, Gfp),
) -> Result<usize, c_int> {
    let prot = F::prot(prot).ok_or(EINVAL)?;
    if pgcount == 0 {
        return Ok(0);
    }
    let range = pages_at(iova, pgsize, pgcount).ok_or(ERANGE)?;
    object.table.allocator().set_gfp(gfp);
    let run = Run { phys: paddr, bytes: range.bytes(), pgsize: pgsize as u64 };
    loop {
        // The engine's leaves are as large as alignment allows, but a driver that asks for pages
        // of one size may not have larger ones, nor the memory to split them when it unmaps.
        let outcome = if run.may_merge::<F>(range) {
            object.table.map(range, run.cut::<F>(), prot)
        } else {
            object.table.map(range, core::iter::once(run.whole()), prot)
        };
        match outcome {
            Ok(gather) => {
                if !gather.is_empty() {
                    settle(object, gather);
                }
                // CAST: a `usize` was multiplied to get it, without an overflow.
                return Ok(range.bytes() as usize);
            }
            Err(error) => make_room(object, &error, pgsize)?,
        }
    }
}

/// The level of leaves of `bytes` bytes.
#[inline]
const fn level_of<F: LinuxFormat>(bytes: u64) -> i8 {
    if bytes < 1 << entry_shift::<F>(1) {
        3
    } else if bytes < 1 << entry_shift::<F>(2) {
        2
    } else {
        1
    }
}

/// How many entries a page of `bytes` bytes at `level` takes.
#[inline]
const fn entries_of<F: LinuxFormat>(bytes: usize, level: i8) -> usize {
    if !F::GROUPS.are_pages() {
        return 1;
    }
    let levels = if level == 3 {
        0
    } else if level == 2 {
        1
    } else {
        2
    };
    bytes >> entry_shift::<F>(levels)
}

/// The bytes of an entry above pages of `pgsize` bytes: of the next leaf that takes a table's place.
const fn next_size<F: LinuxFormat>(pgsize: u64) -> u64 {
    let levels = match level_of::<F>(pgsize) {
        3 => 1,
        2 => 2,
        _ => 3,
    };
    1 << entry_shift::<F>(levels)
}

/// What one call maps.
#[derive(Clone, Copy)]
struct Run {
    phys: u64,
    bytes: u64,
    pgsize: u64,
}

impl Run {
    /// Whether a part of the run could become a leaf that takes a table's place.
    #[inline]
    fn may_merge<F: LinuxFormat>(self, range: IovaRange) -> bool {
        let next = next_size::<F>(self.pgsize);
        self.bytes >= next && (range.first().0 ^ self.phys) & (next - 1) == 0
    }

    const fn whole(self) -> Segment {
        Segment::new(PhysAddr(self.phys), self.bytes)
    }

    /// The run in pieces, none of which holds a whole larger leaf: they meet in the middle of
    /// each.
    fn cut<F: LinuxFormat>(self) -> Pieces {
        Pieces { at: self.phys, left: self.bytes, next: next_size::<F>(self.pgsize) }
    }
}

/// Addresses and lengths of pieces that meet in the middle of aligned blocks of `next` bytes.
#[derive(Clone)]
struct Pieces {
    at: u64,
    left: u64,
    next: u64,
}

impl Iterator for Pieces {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.left == 0 {
            return None;
        }
        let half = self.next / 2;
        let to_middle = self.next - (self.at.wrapping_add(half) & (self.next - 1));
        let bytes = to_middle.min(self.left);
        let segment = Segment::new(PhysAddr(self.at), bytes);
        self.at = self.at.wrapping_add(bytes);
        self.left -= bytes;
        Some(segment)
    }
}

/// After `error` of a map: clears what stands in the way if it is smaller than a page of the map,
/// so that the map can be tried again; else says why it failed.
#[cold]
fn make_room<F: LinuxFormat>(
    object: &mut Object<F>,
    error: &TableError,
    pgsize: usize,
) -> Result<(), c_int> {
    let pgsize = pgsize as u64;
    match *error {
        TableError::Overlap { iova, leaf } if level_of::<F>(leaf) > level_of::<F>(pgsize) => {
            let block = IovaRange::new(Iova(iova.0 & !(pgsize - 1)), pgsize).map_err(|_| ERANGE)?;
            let gather = object.table.unmap(block, block).map_err(|error| errno(&error))?;
            settle(object, gather);
            Ok(())
        }
        ref error => Err(errno(error)),
    }
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

/// Unmaps up to `pgcount` pages of `pgsize` bytes from `iova` on, and returns how many bytes it
/// has unmapped: those up to the first page that is not mapped. Larger leaves are split, for which
/// memory is taken (with `GFP_ATOMIC`); 0 without it. Tables become free only where a page of their
/// whole span is unmapped.
///
/// Calls `tlb_flush_walk` before tables are freed, and `tlb_add_page` for each page if there is a
/// gather that is not queued. Leaves are otherwise the caller's to invalidate.
unsafe extern "C" fn unmap_pages<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    pgsize: usize,
    pgcount: usize,
    gather: *mut IotlbGather,
) -> usize {
    // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
    let object = unsafe { object::<F>(ops) };
    if pgsize == 1 << F::PAGE_SHIFT && pgcount == 1 && gather.is_null() {
        // Without a page there the answer is the same as by the long way: none.
        if let Some((pages, _)) = object.table.unmap_leaves(Iova(iova), LAST_LEVEL, 1) {
            return pages << F::PAGE_SHIFT;
        }
    }
    unmap_any(object, iova, (pgsize, pgcount), gather)
}

/// Unmaps pages; returns the bytes.
#[inline(never)]
fn unmap_any<F: LinuxFormat>(
    object: &mut Object<F>,
    iova: c_ulong,
    (pgsize, pgcount): (usize, usize),
    gather: *mut IotlbGather,
) -> usize {
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

/// Has the driver forget the walks that `gather` names, and frees the tables that came loose.
fn settle<F: LinuxFormat>(object: &mut Object<F>, gather: Gather) {
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

/// Where `iova` leads; 0 where it leads nowhere.
unsafe extern "C" fn iova_to_phys<F: LinuxFormat>(ops: *mut Ops, iova: c_ulong) -> Phys {
    // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
    let object = unsafe { object::<F>(ops) };
    object.table.translate(Iova(iova)).map_or(0, |found| found.phys.0)
}
