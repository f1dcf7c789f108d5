//! Reservations: tables taken in advance, for operations that must not allocate.

use iopgtable::{AnyReserved, FIRST_LEVEL, Gather, Iova, Reservation, ReservedError};

use crate::allocator::Source;
use crate::arguments::{
    engine_segments, prot, range, range_of, read, segments, write, write_optional,
};
use crate::gather::GatherHandle;
use crate::guard::{guard, guard_table};
use crate::status::{Status, detail};
use crate::table::{Table, hole_or};
use crate::types::{Detail, Range, Segment, TableCount};

/// Tables that were taken in advance for operations on one page table.
pub struct ReservationHandle(Reservation<Source>);

/// Takes as many tables as `count` says from the table's allocator, for an operation whose first
/// device address is `iova`, and stores them in `*reservation`. All or nothing. Fails with
/// `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT` or `NO_MEMORY` (also for more than any table can use).
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_reserve(
    table: *const Table,
    count: *const TableCount,
    iova: u64,
    may_block: bool,
    reservation: *mut *mut ReservationHandle,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, count, out) = unsafe { (read(table)?, read(count)?, write(reservation)?) };
        let mut wanted = iopgtable::TableCount::ZERO;
        for (level, tables) in (FIRST_LEVEL..).zip(count.at_level) {
            // No 52-bit space has more tables at any level.
            if tables > 1 << 40 {
                return Err(Status::NoMemory);
            }
            wanted.increase(level, tables);
        }
        let pages = table.inner.reserver().reserve(&wanted, Iova(iova), may_block)?;
        *out = Box::into_raw(Box::new(ReservationHandle(pages)));
        Ok(())
    })
}

/// Stores how many tables are left. Fails with `NULL_ARGUMENT` or `UNALIGNED_ARGUMENT`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_reservation_remaining(
    reservation: *const ReservationHandle,
    remaining: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (reservation, out) = unsafe { (read(reservation)?, write(remaining)?) };
        *out = reservation.0.remaining();
        Ok(())
    })
}

/// Gives what is left back to the allocator and destroys the reservation. Its table may be gone by
/// then; its allocator may not. Fails with `NULL_ARGUMENT` or `UNALIGNED_ARGUMENT`.
///
/// # Safety
///
/// `reservation` is null or came from `iopgtable_reserve` and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_reservation_release(
    reservation: *mut ReservationHandle,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        unsafe { write(reservation)? };
        // SAFETY: `iopgtable_reserve` made it of a box; nobody uses it any more.
        drop(unsafe { Box::from_raw(reservation) });
        Ok(())
    })
}

/// As `iopgtable_map`, with tables from `reservation` only, where nothing is mapped: what is
/// mapped in the range is not looked at but overwritten, without being named in the gather. Never
/// allocates.
///
/// Fails as `iopgtable_map` does, but with neither `OVERLAP` nor, from the table's allocator,
/// `NO_MEMORY`; instead with `EXHAUSTED` where the reservation is too small: what lies below
/// `error->iova` is then mapped.
///
/// # Safety
///
/// The pointers are null or valid; `segments` points to `count` segments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_map_reserved(
    table: *mut Table,
    reservation: *mut ReservationHandle,
    iova: u64,
    segments: *const Segment,
    count: usize,
    prot: u32,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid, and as many as `count` says.
        let segments = unsafe { self::segments(segments, count)? };
        let (range, prot) = (range_of(iova, segments)?, self::prot(prot)?);
        let segments = engine_segments(segments);
        // SAFETY: null or valid.
        unsafe { run(table, reservation, gather, error, |table| table.map(range, segments, prot)) }
    })
}

/// As `iopgtable_map_reserved`, in place of what is mapped there, which the gather names. Tables
/// that both states need stay; leaves that stick out of the range are cut.
///
/// # Safety
///
/// The pointers are null or valid; `segments` points to `count` segments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_replace_reserved(
    table: *mut Table,
    reservation: *mut ReservationHandle,
    iova: u64,
    segments: *const Segment,
    count: usize,
    prot: u32,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid, and as many as `count` says.
        let segments = unsafe { self::segments(segments, count)? };
        let (range, prot) = (range_of(iova, segments)?, self::prot(prot)?);
        let segments = engine_segments(segments);
        // SAFETY: null or valid.
        unsafe {
            run(table, reservation, gather, error, |table| table.replace(range, segments, prot))
        }
    })
}

/// As `iopgtable_unmap`, with tables for cut leaves from `reservation` only. Never allocates.
/// Fails as `iopgtable_unmap` does, but with `EXHAUSTED` instead of `NO_MEMORY` where the
/// reservation is too small: what lies below `error->iova` is then unmapped.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_unmap_reserved(
    table: *mut Table,
    reservation: *mut ReservationHandle,
    iova: u64,
    bytes: u64,
    hole: *const Range,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        let range = self::range(iova, bytes)?;
        // SAFETY: null or valid.
        let hole = unsafe { hole_or(hole, range)? };
        // SAFETY: null or valid.
        unsafe { run(table, reservation, gather, error, |table| table.unmap(range, hole)) }
    })
}

/// As `iopgtable_clear`, with tables for cut leaves from `reservation` only. Never allocates. Fails
/// as `iopgtable_unmap_reserved` does, but never with `HOLE`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_clear_reserved(
    table: *mut Table,
    reservation: *mut ReservationHandle,
    iova: u64,
    bytes: u64,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        let range = self::range(iova, bytes)?;
        // SAFETY: null or valid.
        unsafe { run(table, reservation, gather, error, |table| table.clear(range)) }
    })
}

/// As `iopgtable_protect`, with tables for cut leaves from `reservation` only. Never allocates.
/// Fails as `iopgtable_unmap_reserved` does, but never with `HOLE`; and with `PROT`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_protect_reserved(
    table: *mut Table,
    reservation: *mut ReservationHandle,
    iova: u64,
    bytes: u64,
    prot: u32,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        let (range, prot) = (self::range(iova, bytes)?, self::prot(prot)?);
        // SAFETY: null or valid.
        unsafe { run(table, reservation, gather, error, |table| table.protect(range, prot)) }
    })
}

/// # Safety
///
/// The pointers are null or valid.
unsafe fn run(
    table: *mut Table,
    reservation: *mut ReservationHandle,
    gather: *mut GatherHandle,
    error: *mut Detail,
    operation: impl FnOnce(&mut AnyReserved<'_, Source>) -> Result<Gather, ReservedError>,
) -> Result<(), Status> {
    // SAFETY: null or valid.
    let (table, reservation) = unsafe { (write(table)?, write(reservation)?) };
    // SAFETY: null or valid.
    let (gather, error) = unsafe { (write(gather)?, write_optional(error)?) };
    gather.prepare(table)?;
    let inner = &mut table.inner;
    let outcome = guard_table(&mut table.interrupted, || {
        let mut reserved = inner.reserved(&mut reservation.0).ok_or(Status::WrongTable)?;
        Ok(operation(&mut reserved))
    })?;
    let (status, values) = match outcome {
        Ok(added) => {
            gather.add(added);
            return Ok(());
        }
        Err(ReservedError::Refused(refused)) => (Status::from(&refused), detail(&refused)),
        Err(ReservedError::Exhausted { at, gather: added }) => {
            gather.add(added);
            (Status::Exhausted, Detail { iova: at.0, value: 0 })
        }
        Err(_) => (Status::Internal, Detail::default()),
    };
    if let Some(error) = error {
        *error = values;
    }
    Err(status)
}
