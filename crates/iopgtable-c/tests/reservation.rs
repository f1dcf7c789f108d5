//! Reservations through the C interface.

#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod fixture;
mod hooks;

use core::ptr::{null, null_mut};

use fixture::{Fixture, RW, segment};
use hooks::Counted;
use iopgtable_c::look::*;
use iopgtable_c::reservation::*;
use iopgtable_c::status::Status;
use iopgtable_c::types::*;

const CONFIG: Config = Config { format: IOPGTABLE_ARM64_S2, ..fixture::CONFIG };
const IOVA: u64 = 0x4000_0000;

/// A table of the second stage with an allocator that counts. The table goes first.
struct Counting {
    fixture: Fixture,
    counted: Box<Counted>,
}

impl Counting {
    fn new() -> Self {
        let counted = Counted::boxed();
        Self { fixture: Fixture::with(&CONFIG, &counted.allocator()), counted }
    }

    fn reserve(&self, at_level: [u64; 6]) -> Result<Held<'_>, Status> {
        let mut handle = null_mut();
        let (table, count) = (self.fixture.table, TableCount { at_level });
        // SAFETY: the table is the fixture's, which lives; the others are locals.
        match unsafe { iopgtable_reserve(table, &count, IOVA, true, &mut handle) } {
            Status::Ok => Ok(Held { handle, of: self }),
            status => Err(status),
        }
    }
}

/// A reservation, released at the end.
struct Held<'c> {
    handle: *mut ReservationHandle,
    of: &'c Counting,
}

impl Held<'_> {
    fn map(&self, phys: u64, bytes: u64) -> (Status, Detail) {
        self.map_in(self.of, phys, bytes)
    }

    /// Maps in another table than the one that this is of.
    fn map_in(&self, other: &Counting, phys: u64, bytes: u64) -> (Status, Detail) {
        let (segment, mut error) = (segment(phys, bytes), Detail::default());
        let (table, gather) = (other.fixture.table, other.fixture.gather);
        // SAFETY: the handles are those of a fixture that lives and this one; the rest are locals.
        let status = unsafe {
            iopgtable_map_reserved(table, self.handle, IOVA, &segment, 1, RW, gather, &mut error)
        };
        (status, error)
    }

    fn remaining(&self) -> usize {
        let mut remaining = usize::MAX;
        // SAFETY: the reservation is this one, which is not released yet.
        let status = unsafe { iopgtable_reservation_remaining(self.handle, &mut remaining) };
        assert_eq!(status, Status::Ok);
        remaining
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the reservation is this one, which is gone afterwards; its table still lives.
        let status = unsafe { iopgtable_reservation_release(self.handle) };
        assert_eq!(status, Status::Ok);
    }
}

#[test]
fn what_was_reserved_suffices_and_the_rest_goes_back() {
    let f = Counting::new();
    let mut worst = TableCount::default();
    // SAFETY: the table is the fixture's, which lives; the count is a local.
    let status = unsafe { iopgtable_worst_case_tables(f.fixture.table, IOVA, 0x3000, &mut worst) };
    assert_eq!((status, worst.at_level), (Status::Ok, [0, 0, 0, 1, 1, 1]));
    let reservation = f.reserve([0, 0, 0, 1, 1, 2]).unwrap();
    f.counted.allow(0);
    assert_eq!(reservation.map(0x1000, 0x3000).0, Status::Ok);
    assert!(f.counted.published() > 0 && f.counted.commits() > 0);
    assert_eq!(f.fixture.phys(IOVA + 0x2042), Some(0x3042));
    assert_eq!(reservation.remaining(), 1);
    assert_eq!(f.counted.out(), 5);
    drop(reservation);
    assert_eq!(f.counted.out(), 4);
}

#[test]
fn a_reservation_that_is_too_small_says_how_far_it_went() {
    let f = Counting::new();
    let reservation = f.reserve([0, 0, 0, 1, 1, 1]).unwrap();
    let (status, error) = reservation.map(0x1000, 0x40_0000);
    assert_eq!((status, error.iova), (Status::Exhausted, IOVA + 0x20_0000));
    assert_eq!(f.fixture.phys(IOVA + 0x1f_f000), Some(0x20_0000));
    assert_eq!(f.fixture.phys(IOVA + 0x20_0000), None);
}

#[test]
fn replacing_and_unmapping_take_from_the_reservation() {
    let f = Counting::new();
    let held = f.reserve([0, 0, 0, 1, 1, 1]).unwrap();
    assert_eq!(held.map(0, 0x20_0000).0, Status::Ok);
    f.counted.allow(0);
    assert_eq!(held.remaining(), 1, "a block needs no table of pages");
    let (table, gather, none) = (f.fixture.table, f.fixture.gather, null_mut());
    // Cutting the block takes the last table.
    // SAFETY: the handles are those of the fixture and the reservation, which live.
    let status =
        unsafe { iopgtable_unmap_reserved(table, held.handle, IOVA, 0x1000, null(), gather, none) };
    assert_eq!((status, held.remaining()), (Status::Ok, 0));
    let segment = segment(0x7000_0000, 0x2000);
    // SAFETY: as above; the segment is a local.
    let status = unsafe {
        iopgtable_replace_reserved(table, held.handle, IOVA, &segment, 1, RW, gather, none)
    };
    assert_eq!(status, Status::Ok);
    assert_eq!(f.fixture.stale().leaves, Range { iova: IOVA, bytes: 0x20_0000 });
    assert_eq!(f.fixture.phys(IOVA + 0x1000), Some(0x7000_1000));
    assert_eq!(f.fixture.phys(IOVA + 0x2000), Some(0x2000));
}

#[test]
fn the_exact_count_is_what_a_map_takes() {
    let f = Counting::new();
    let (segment, mut count) = (segment(0x1000, 0x40_0000), TableCount::default());
    let exact = |count: &mut TableCount| {
        let table = f.fixture.table;
        // SAFETY: the table is the fixture's, which lives; the others are locals.
        unsafe { iopgtable_exact_tables(table, IOVA, &segment, 1, RW, count, null_mut()) }
    };
    assert_eq!(exact(&mut count), Status::Ok);
    assert_eq!(count.at_level, [0, 0, 0, 1, 1, 2]);
    let reservation = f.reserve(count.at_level).unwrap();
    f.counted.allow(0);
    assert_eq!(reservation.map(segment.phys, segment.bytes).0, Status::Ok);
    assert_eq!(reservation.remaining(), 0);
    assert_eq!(exact(&mut count), Status::Overlap);
    assert_eq!(count.at_level, [0, 0, 0, 1, 1, 2], "unchanged");
}

#[test]
fn protecting_and_clearing_take_from_the_reservation() {
    let f = Counting::new();
    let held = f.reserve([0, 0, 0, 1, 1, 1]).unwrap();
    assert_eq!(held.map(0, 0x40_0000).0, Status::Ok);
    f.counted.allow(0);
    let (table, gather, handle) = (f.fixture.table, f.fixture.gather, held.handle);
    let protect = |prot| {
        // SAFETY: the handles are those of the fixture and the reservation, which live.
        unsafe { iopgtable_protect_reserved(table, handle, IOVA, 0x1000, prot, gather, null_mut()) }
    };
    let clear = |iova, bytes| {
        let mut error = Detail::default();
        // SAFETY: as in `protect`; the error is a local.
        let status =
            unsafe { iopgtable_clear_reserved(table, handle, iova, bytes, gather, &mut error) };
        (status, error.iova)
    };
    assert_eq!((protect(IOPGTABLE_READ), held.remaining()), (Status::Ok, 0));
    assert_eq!(clear(IOVA, 0x20_0000).0, Status::Ok);
    // The other block is still whole.
    let cut = IOVA + 0x20_0000;
    assert_eq!(clear(cut, 0x1000), (Status::Exhausted, cut));
    assert_eq!(protect(0), Status::Prot);
    assert_eq!(f.fixture.phys(IOVA), None);
    assert_eq!(f.fixture.phys(cut), Some(0x20_0000));
}

#[test]
fn bad_reservations_are_refused() {
    let (f, other) = (Counting::new(), Counting::new());
    let refused = |at_level| f.reserve(at_level).map(|_| ()).unwrap_err();
    assert_eq!(refused([0, 0, 0, 0, 0, u64::MAX]), Status::NoMemory);
    f.counted.allow(2);
    assert_eq!(refused([0, 0, 0, 0, 0, 3]), Status::NoMemory);
    assert_eq!(f.counted.out(), 1, "all or nothing");
    let held = other.reserve([0, 0, 0, 0, 0, 1]).unwrap();
    assert_eq!(held.map_in(&f, 0, 0x1000).0, Status::WrongTable);
    let (table, gather) = (f.fixture.table, f.fixture.gather);
    let (foreign, none, count) = (held.handle, null_mut(), TableCount::default());
    let segment = segment(0, 4096);
    // SAFETY: what is not null is the fixtures' or the reservation, which live, or a local.
    unsafe {
        for status in [
            iopgtable_reserve(null(), &count, 0, true, &mut null_mut()),
            iopgtable_reserve(table, null(), 0, true, &mut null_mut()),
            iopgtable_reserve(table, &count, 0, true, null_mut()),
            iopgtable_reservation_remaining(null(), &mut 0),
            iopgtable_reservation_remaining(foreign, null_mut()),
            iopgtable_reservation_release(null_mut()),
            iopgtable_map_reserved(table, none, 0, &segment, 1, RW, gather, null_mut()),
            iopgtable_map_reserved(table, foreign, 0, null(), 1, RW, gather, null_mut()),
            iopgtable_replace_reserved(null_mut(), foreign, 0, &segment, 1, RW, gather, null_mut()),
            iopgtable_unmap_reserved(table, foreign, 0, 4096, null(), null_mut(), null_mut()),
            iopgtable_clear_reserved(table, none, 0, 4096, gather, null_mut()),
            iopgtable_protect_reserved(table, none, 0, 4096, RW, gather, null_mut()),
        ] {
            assert_eq!(status, Status::NullArgument);
        }
    }
}
