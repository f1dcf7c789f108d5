//! `ops->map_pages`.

use core::ffi::{c_int, c_ulong};

use iopgtable::{Iova, IovaRange, LAST_LEVEL, PhysAddr, Segment, TableError};

use super::Object;
use super::abi::{self, Gfp, Ops, Phys};
use super::format::LinuxFormat;
use super::ops::{EINVAL, ERANGE, errno, object, settle};
use super::sizes::{Pieces, entries_of, is_page_size, level_of, next_size, pages_at};

/// Maps `pgcount` pages of `pgsize` bytes from `paddr` on at `iova`, and adds the bytes mapped to
/// `*mapped`: all of them on success, none on failure.
///
/// Returns 0; `-EINVAL` for a page size that the table does not have, for addresses that are not
/// aligned to it, and where `prot` allows neither reading nor writing; `-ERANGE` for addresses
/// beyond the table's sizes; `-EEXIST` where something is mapped (but smaller pages under a larger
/// one to be mapped are torn down, as Linux does); `-ENOMEM`.
pub(super) unsafe extern "C" fn map_pages<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    paddr: Phys,
    pgsize: usize,
    pgcount: usize,
    prot: c_int,
    gfp: Gfp,
    mapped: *mut usize,
) -> c_int {
    if pgsize == 1 << F::PAGE_SHIFT && pgcount == 1 {
        // SAFETY: `ops` points to the table that this function was stored in; one call at a time.
        let object = unsafe { object::<F>(ops) };
        // The smallest pages are among every table's.
        if let Some(attributes) = object.attributes_for(prot) {
            object.table.allocator().set_gfp(gfp);
            match object.table.map_leaves(Iova(iova), PhysAddr(paddr), LAST_LEVEL, 1, attributes) {
                Ok(true) => {
                    // SAFETY: null or the caller's counter.
                    unsafe { count(mapped, pgsize) };
                    return 0;
                }
                Ok(false) => {}
                Err(error) => return -errno(&error),
            }
        }
    }
    // SAFETY: the caller's promises are passed on.
    unsafe { map_others::<F>(ops, iova, paddr, pgsize, pgcount, prot, gfp, mapped) }
}

/// Adds `bytes` to what a caller counts.
///
/// # Safety
///
/// `mapped` is null or the caller's counter.
#[inline]
unsafe fn count(mapped: *mut usize, bytes: usize) {
    // SAFETY: the caller's promise.
    if let Some(mapped) = unsafe { mapped.as_mut() } {
        *mapped = mapped.wrapping_add(bytes);
    }
}

/// The same for what is not a page by itself. Apart, with the same arguments in the same places, so
/// that neither has to make way for the other.
#[inline(never)]
unsafe extern "C" fn map_others<F: LinuxFormat>(
    ops: *mut Ops,
    iova: c_ulong,
    paddr: Phys,
    pgsize: usize,
    pgcount: usize,
    prot: c_int,
    gfp: Gfp,
    mapped: *mut usize,
) -> c_int {
    // SAFETY: as above.
    let object = unsafe { object::<F>(ops) };
    if !is_page_size(&object.head.public.cfg, pgsize) || (iova | paddr) & (pgsize as u64 - 1) != 0 {
        return -EINVAL;
    }
    if prot & (abi::prot::READ | abi::prot::WRITE) == 0 {
        return -EINVAL;
    }
    let level = level_of::<F>(pgsize as u64);
    if let Some(attributes) = object.attributes_for(prot) {
        let (at, phys) = (Iova(iova), PhysAddr(paddr));
        object.table.allocator().set_gfp(gfp);
        let leaves = pgcount.saturating_mul(entries_of::<F>(pgsize, level));
        match object.table.map_leaves(at, phys, level, leaves, attributes) {
            Ok(true) => {
                // SAFETY: null or the caller's counter.
                unsafe { count(mapped, pgsize * pgcount) };
                return 0;
            }
            Ok(false) => {}
            Err(error) => return -errno(&error),
        }
    }
    match map_slowly(object, iova, paddr, pgsize, pgcount, (prot, gfp)) {
        Ok(bytes) => {
            // SAFETY: null or the caller's counter.
            unsafe { count(mapped, bytes) };
            0
        }
        Err(errno) => -errno,
    }
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
