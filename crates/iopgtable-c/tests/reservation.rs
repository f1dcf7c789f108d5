//! Reservations through the C interface.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "every call is a test's: its pointers are the fixture's, or bad on purpose"
)]
#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod hooks;

use core::ptr::{null, null_mut};

use hooks::Counted;
use iopgtable_c::gather::*;
use iopgtable_c::look::*;
use iopgtable_c::reservation::*;
use iopgtable_c::status::Status;
use iopgtable_c::table::*;
use iopgtable_c::types::*;

const CONFIG: Config = Config {
    format: IOPGTABLE_ARM64_S2,
    granule: 4096,
    input_bits: 48,
    output_bits: 48,
    options: 0,
    splits: 0,
    largest_leaf: 0,
};
const RW: u32 = IOPGTABLE_READ | IOPGTABLE_WRITE;
const IOVA: u64 = 0x4000_0000;

struct Fixture {
    counted: Box<Counted>,
    table: *mut Table,
    gather: *mut GatherHandle,
}

impl Fixture {
    fn new() -> Self {
        let counted = Counted::boxed();
        let (mut table, mut gather) = (null_mut(), null_mut());
        unsafe {
            assert_eq!(iopgtable_create(&CONFIG, &counted.allocator(), &mut table), Status::Ok);
            assert_eq!(iopgtable_gather_create(table, &mut gather), Status::Ok);
        }
        Self { counted, table, gather }
    }

    fn reserve(&self, at_level: [u64; 6]) -> Result<*mut ReservationHandle, Status> {
        let mut reservation = null_mut();
        let count = TableCount { at_level };
        match unsafe { iopgtable_reserve(self.table, &count, IOVA, true, &mut reservation) } {
            Status::Ok => Ok(reservation),
            status => Err(status),
        }
    }

    fn map(&self, reservation: *mut ReservationHandle, phys: u64, bytes: u64) -> (Status, Detail) {
        let (segment, mut error) = (Segment { phys, bytes }, Detail::default());
        let (table, gather) = (self.table, self.gather);
        let status = unsafe {
            iopgtable_map_reserved(table, reservation, IOVA, &segment, 1, RW, gather, &mut error)
        };
        (status, error)
    }

    fn phys(&self, iova: u64) -> Option<u64> {
        let mut found = Translation::default();
        let status = unsafe { iopgtable_translate(self.table, iova, &mut found) };
        (status == Status::Ok).then_some(found.phys)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        unsafe {
            let status = iopgtable_gather_finish(self.gather, self.table, null_mut());
            assert_eq!(status, Status::Ok);
            assert_eq!(iopgtable_gather_destroy(self.gather), Status::Ok);
            assert_eq!(iopgtable_destroy(self.table), Status::Ok);
        }
        assert_eq!(self.counted.out(), 0);
        assert!(self.counted.published() > 0 && self.counted.commits() > 0);
    }
}

fn remaining(reservation: *const ReservationHandle) -> usize {
    let mut remaining = usize::MAX;
    let status = unsafe { iopgtable_reservation_remaining(reservation, &mut remaining) };
    assert_eq!(status, Status::Ok);
    remaining
}

#[test]
fn what_was_reserved_suffices_and_the_rest_goes_back() {
    let f = Fixture::new();
    let mut worst = TableCount::default();
    let status = unsafe { iopgtable_worst_case_tables(f.table, IOVA, 0x3000, &mut worst) };
    assert_eq!((status, worst.at_level), (Status::Ok, [0, 0, 0, 1, 1, 1]));
    let reservation = f.reserve([0, 0, 0, 1, 1, 2]).unwrap();
    f.counted.allow(0);
    assert_eq!(f.map(reservation, 0x1000, 0x3000).0, Status::Ok);
    assert_eq!(f.phys(IOVA + 0x2042), Some(0x3042));
    assert_eq!(remaining(reservation), 1);
    assert_eq!(f.counted.out(), 5);
    assert_eq!(unsafe { iopgtable_reservation_release(reservation) }, Status::Ok);
    assert_eq!(f.counted.out(), 4);
}

#[test]
fn a_reservation_that_is_too_small_says_how_far_it_went() {
    let f = Fixture::new();
    let reservation = f.reserve([0, 0, 0, 1, 1, 1]).unwrap();
    let (status, error) = f.map(reservation, 0x1000, 0x40_0000);
    assert_eq!((status, error.iova), (Status::Exhausted, IOVA + 0x20_0000));
    assert_eq!(f.phys(IOVA + 0x1f_f000), Some(0x20_0000));
    assert_eq!(f.phys(IOVA + 0x20_0000), None);
    unsafe { iopgtable_reservation_release(reservation) };
}

#[test]
fn replacing_and_unmapping_take_from_the_reservation() {
    let f = Fixture::new();
    let reservation = f.reserve([0, 0, 0, 1, 1, 1]).unwrap();
    assert_eq!(f.map(reservation, 0, 0x20_0000).0, Status::Ok);
    f.counted.allow(0);
    assert_eq!(remaining(reservation), 1, "a block needs no table of pages");
    let hole = null();
    unsafe {
        // Cutting the block takes the last table.
        let status = iopgtable_unmap_reserved(
            f.table,
            reservation,
            IOVA,
            0x1000,
            hole,
            f.gather,
            null_mut(),
        );
        assert_eq!(status, Status::Ok);
        assert_eq!(remaining(reservation), 0);
        let segment = Segment { phys: 0x7000_0000, bytes: 0x2000 };
        let status = iopgtable_replace_reserved(
            f.table,
            reservation,
            IOVA,
            &segment,
            1,
            RW,
            f.gather,
            null_mut(),
        );
        assert_eq!(status, Status::Ok);
        let mut stale = Stale::default();
        iopgtable_gather_stale(f.gather, &mut stale);
        assert_eq!(stale.leaves, Range { iova: IOVA, bytes: 0x20_0000 });
        iopgtable_reservation_release(reservation);
    }
    assert_eq!(f.phys(IOVA + 0x1000), Some(0x7000_1000));
    assert_eq!(f.phys(IOVA + 0x2000), Some(0x2000));
}

#[test]
fn the_exact_count_is_what_a_map_takes() {
    let f = Fixture::new();
    let (segment, mut count) = (Segment { phys: 0x1000, bytes: 0x40_0000 }, TableCount::default());
    let exact = |count: &mut TableCount| unsafe {
        iopgtable_exact_tables(f.table, IOVA, &segment, 1, RW, count, null_mut())
    };
    assert_eq!(exact(&mut count), Status::Ok);
    assert_eq!(count.at_level, [0, 0, 0, 1, 1, 2]);
    let reservation = f.reserve(count.at_level).unwrap();
    f.counted.allow(0);
    assert_eq!(f.map(reservation, segment.phys, segment.bytes).0, Status::Ok);
    assert_eq!(remaining(reservation), 0);
    assert_eq!(exact(&mut count), Status::Overlap);
    assert_eq!(count.at_level, [0, 0, 0, 1, 1, 2], "unchanged");
    unsafe { iopgtable_reservation_release(reservation) };
}

#[test]
fn protecting_and_clearing_take_from_the_reservation() {
    let f = Fixture::new();
    let reservation = f.reserve([0, 0, 0, 1, 1, 1]).unwrap();
    assert_eq!(f.map(reservation, 0, 0x40_0000).0, Status::Ok);
    f.counted.allow(0);
    let (table, gather) = (f.table, f.gather);
    let mut error = Detail::default();
    unsafe {
        let read = IOPGTABLE_READ;
        let status =
            iopgtable_protect_reserved(table, reservation, IOVA, 0x1000, read, gather, &mut error);
        assert_eq!((status, remaining(reservation)), (Status::Ok, 0));
        let status =
            iopgtable_clear_reserved(table, reservation, IOVA, 0x20_0000, gather, &mut error);
        assert_eq!(status, Status::Ok);
        // The other block is still whole.
        let cut = IOVA + 0x20_0000;
        let status = iopgtable_clear_reserved(table, reservation, cut, 0x1000, gather, &mut error);
        assert_eq!((status, error.iova), (Status::Exhausted, cut));
        let status =
            iopgtable_protect_reserved(table, reservation, IOVA, 0x1000, 0, gather, &mut error);
        assert_eq!(status, Status::Prot);
        iopgtable_reservation_release(reservation);
    }
    assert_eq!(f.phys(IOVA), None);
    assert_eq!(f.phys(IOVA + 0x20_0000), Some(0x20_0000));
}

#[test]
fn bad_reservations_are_refused() {
    let (f, other) = (Fixture::new(), Fixture::new());
    assert_eq!(f.reserve([0, 0, 0, 0, 0, u64::MAX]).unwrap_err(), Status::NoMemory);
    f.counted.allow(2);
    assert_eq!(f.reserve([0, 0, 0, 0, 0, 3]).unwrap_err(), Status::NoMemory);
    assert_eq!(f.counted.out(), 1, "all or nothing");
    let foreign = other.reserve([0, 0, 0, 0, 0, 1]).unwrap();
    assert_eq!(f.map(foreign, 0, 0x1000).0, Status::WrongTable);
    let (table, gather, none) = (f.table, f.gather, null_mut());
    let segment = Segment { phys: 0, bytes: 4096 };
    let count = TableCount::default();
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
        iopgtable_reservation_release(foreign);
    }
}
