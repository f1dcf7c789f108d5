//! Looks at tables: where addresses lead, what is there, what was written through, how many tables
//! an operation takes.

use core::ffi::c_void;

use iopgtable::{Iova, Visit};

use crate::arguments::{
    bitmap, c_count, c_range, engine_segments, prot, prot_bits, range, range_of, read, segments,
    write, write_optional,
};
use crate::gather::GatherHandle;
use crate::guard::guard;
use crate::status::Status;
use crate::table::{Table, refuse};
use crate::types::{Detail, Segment, TableCount, Translation, Visited, Visitor};

/// Stores where `iova` leads. Fails with `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, `INTERNAL`, or
/// `NOT_MAPPED`, also for addresses that the table does not translate.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_translate(
    table: *const Table,
    iova: u64,
    translation: *mut Translation,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, out) = unsafe { (read(table)?, write(translation)?) };
        if table.interrupted {
            return Err(Status::Internal);
        }
        let found = table.inner.translate(Iova(iova)).ok_or(Status::NotMapped)?;
        *out = Translation {
            phys: found.phys.0,
            leaf_bytes: found.leaf_bytes,
            prot: prot_bits(found.prot),
        };
        Ok(())
    })
}

/// Shows `visitor` every table (but the root) and every leaf that translates a part of the `bytes`
/// bytes from `iova` on; what lies beyond the last device address holds none. Fails with
/// `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, `RANGE` or `INTERNAL`; the visitor is then not called.
///
/// # Safety
///
/// `table` is null or valid; `visitor` may be called with `context` and does not unwind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_visit(
    table: *const Table,
    iova: u64,
    bytes: u64,
    visitor: Visitor,
    context: *mut c_void,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let table = unsafe { read(table)? };
        let visitor = visitor.ok_or(Status::NullArgument)?;
        let range = self::range(iova, bytes)?;
        if table.interrupted {
            return Err(Status::Internal);
        }
        table.inner.visit(range, &mut |seen| {
            let (span, phys, level, prot) = match seen {
                Visit::Table { span, level, phys } => (span, phys, level, 0),
                Visit::Leaf { span, level, phys, prot, .. } => (span, phys, level, prot_bits(prot)),
                _ => return,
            };
            let visited =
                Visited { span: c_range(Some(span)), phys: phys.0, level: level.into(), prot };
            // SAFETY: the caller allows the call.
            unsafe { visitor(context, &raw const visited) };
        });
        Ok(())
    })
}

/// Notes which pages of the `bytes` bytes from `iova` on were written through since they were
/// mapped or last made clean: bit `i % 64` of `bitmap[i / 64]` stands for the `i`-th granule. No
/// bit is cleared. A leaf larger than a granule counts as written all over, and what was just
/// mapped writable counts as written. `words` is how long the bitmap is.
///
/// Fails with `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, `RANGE`, `UNALIGNED`, `INPUT_RANGE`,
/// `NO_DIRTY_STATE`, `BITMAP` or `INTERNAL`, with values in `*error` unless that is null.
///
/// # Safety
///
/// The pointers are null or valid; `bitmap` points to `words` words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_read_dirty(
    table: *const Table,
    iova: u64,
    bytes: u64,
    bitmap: *mut u64,
    words: usize,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, error) = unsafe { (read(table)?, write_optional(error)?) };
        // SAFETY: null or valid, and as long as `words` says.
        let bitmap = unsafe { self::bitmap(bitmap, words)? };
        let range = self::range(iova, bytes)?;
        if table.interrupted {
            return Err(Status::Internal);
        }
        let read = table.inner.read_dirty(range, bitmap);
        read.map_err(|refused| refuse(&refused, error))
    })
}

/// As `iopgtable_read_dirty`, and makes clean what lies in the range whole, so that hardware notes
/// the next write. A device that has a leaf cached goes on writing unnoticed until it has forgotten
/// it, so what was made clean is added to `gather`.
///
/// All or nothing. Fails as `iopgtable_read_dirty` does, and with `WRONG_TABLE` or `NO_MEMORY`.
///
/// # Safety
///
/// The pointers are null or valid; `bitmap` points to `words` words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_read_and_clear_dirty(
    table: *mut Table,
    iova: u64,
    bytes: u64,
    bitmap: *mut u64,
    words: usize,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, gather, error) =
            unsafe { (write(table)?, write(gather)?, write_optional(error)?) };
        // SAFETY: null or valid, and as long as `words` says.
        let bitmap = unsafe { self::bitmap(bitmap, words)? };
        let range = self::range(iova, bytes)?;
        table.run(gather, error, |table| table.read_and_clear_dirty(range, bitmap))
    })
}

/// Stores how many tables `iopgtable_map` with the same arguments would take from the allocator in
/// the state that the table is in now: what a reservation for it must hold. Fails as
/// `iopgtable_map` does, but never with `NO_MEMORY` or `WRONG_TABLE`.
///
/// # Safety
///
/// The pointers are null or valid; `segments` points to `count` segments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_exact_tables(
    table: *const Table,
    iova: u64,
    segments: *const Segment,
    count: usize,
    prot: u32,
    tables: *mut TableCount,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, out, error) = unsafe { (read(table)?, write(tables)?, write_optional(error)?) };
        // SAFETY: null or valid, and as many as `count` says.
        let segments = unsafe { self::segments(segments, count)? };
        let (range, prot) = (range_of(iova, segments)?, self::prot(prot)?);
        if table.interrupted {
            return Err(Status::Internal);
        }
        let exact = table.inner.exact_tables(range, engine_segments(segments), prot);
        *out = c_count(&exact.map_err(|refused| refuse(&refused, error))?);
        Ok(())
    })
}

/// Stores how many tables mapping the `bytes` bytes from `iova` on can take in an empty table, at
/// worst. Fails with `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, `RANGE` or `INPUT_RANGE`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_worst_case_tables(
    table: *const Table,
    iova: u64,
    bytes: u64,
    count: *mut TableCount,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, out) = unsafe { (read(table)?, write(count)?) };
        let range = self::range(iova, bytes)?;
        let geometry = table.inner.geometry();
        if !geometry.whole().covers(range) {
            return Err(Status::InputRange);
        }
        let worst = geometry.worst_case_tables(range);
        *out = c_count(&worst);
        Ok(())
    })
}
