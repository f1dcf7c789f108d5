//! The calls of `iopgtable.h`, as C makes them: pointers, raw numbers, statuses.

#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod fixture;
mod hooks;

use core::ffi::c_void;
use core::ptr::{null, null_mut};

use fixture::{CONFIG, Fixture, RW, segment};
use hooks::Counted;
use iopgtable_c::gather::*;
use iopgtable_c::look::*;
use iopgtable_c::status::Status;
use iopgtable_c::table::*;
use iopgtable_c::types::*;

#[test]
fn null_pointers_are_refused_by_every_call() {
    let f = Fixture::new(null());
    let (t, g) = (f.table, f.gather);
    let one = segment(0x1000, 0x1000);
    let mut out = null_mut();
    // SAFETY: what is not null is the fixture's, or a local that is there for the call.
    unsafe {
        for status in [
            iopgtable_create(null(), null(), &mut out),
            iopgtable_create(&CONFIG, null(), null_mut()),
            iopgtable_destroy(null_mut()),
            iopgtable_shape(null(), &mut Shape::default()),
            iopgtable_shape(t, null_mut()),
            iopgtable_registers(null(), &mut Registers::default()),
            iopgtable_registers(t, null_mut()),
            iopgtable_map(null_mut(), 0, &one, 1, RW, g, null_mut()),
            iopgtable_map(t, 0, null(), 1, RW, g, null_mut()),
            iopgtable_map(t, 0, null(), 0, RW, g, null_mut()),
            iopgtable_map(t, 0, &one, 1, RW, null_mut(), null_mut()),
            iopgtable_unmap(null_mut(), 0, 4096, null(), g, null_mut()),
            iopgtable_unmap(t, 0, 4096, null(), null_mut(), null_mut()),
            iopgtable_translate(null(), 0, &mut Translation::default()),
            iopgtable_translate(t, 0, null_mut()),
            iopgtable_visit(null(), 0, 4096, Some(count_leaves), null_mut()),
            iopgtable_visit(t, 0, 4096, None, null_mut()),
            iopgtable_clear(null_mut(), 0, 4096, g, null_mut()),
            iopgtable_clear(t, 0, 4096, null_mut(), null_mut()),
            iopgtable_protect(null_mut(), 0, 4096, RW, g, null_mut()),
            iopgtable_protect(t, 0, 4096, RW, null_mut(), null_mut()),
            iopgtable_read_dirty(null(), 0, 4096, &mut 0, 1, null_mut()),
            iopgtable_read_dirty(t, 0, 4096, null_mut(), 1, null_mut()),
            iopgtable_read_and_clear_dirty(null_mut(), 0, 4096, &mut 0, 1, g, null_mut()),
            iopgtable_read_and_clear_dirty(t, 0, 4096, null_mut(), 0, g, null_mut()),
            iopgtable_read_and_clear_dirty(t, 0, 4096, &mut 0, 1, null_mut(), null_mut()),
            iopgtable_exact_tables(null(), 0, &one, 1, RW, &mut TableCount::default(), null_mut()),
            iopgtable_exact_tables(t, 0, null(), 1, RW, &mut TableCount::default(), null_mut()),
            iopgtable_exact_tables(t, 0, &one, 1, RW, null_mut(), null_mut()),
            iopgtable_worst_case_tables(null(), 0, 4096, &mut TableCount::default()),
            iopgtable_worst_case_tables(t, 0, 4096, null_mut()),
            iopgtable_gather_create(null(), &mut null_mut()),
            iopgtable_gather_create(t, null_mut()),
            iopgtable_gather_stale(null(), &mut Stale::default()),
            iopgtable_gather_stale(g, null_mut()),
            iopgtable_gather_finish(null_mut(), t, null_mut()),
            iopgtable_gather_finish(g, null_mut(), null_mut()),
            iopgtable_gather_abandon(null_mut(), t),
            iopgtable_gather_abandon(g, null_mut()),
            iopgtable_gather_destroy(null_mut()),
        ] {
            assert_eq!(status, Status::NullArgument);
        }
    }
    assert!(out.is_null());
    assert_eq!(f.phys(0), None);
}

#[test]
fn unaligned_pointers_are_refused() {
    let f = Fixture::new(null());
    let storage = [0u64; 32];
    let odd = storage.as_ptr().cast::<u8>().wrapping_add(1);
    let (table, gather) = (f.table, f.gather);
    // SAFETY: a pointer that is not aligned is not followed; the others are the fixture's, or of
    // locals that are there for the call.
    unsafe {
        for status in [
            iopgtable_create(odd.cast(), null(), &mut null_mut()),
            iopgtable_create(&CONFIG, odd.cast(), &mut null_mut()),
            iopgtable_create(&CONFIG, null(), odd.cast_mut().cast()),
            iopgtable_destroy(odd.cast_mut().cast()),
            iopgtable_shape(table, odd.cast_mut().cast()),
            iopgtable_map(table, 0, odd.cast(), 1, RW, gather, null_mut()),
            iopgtable_map(table, 0, &segment(0, 4096), 1, RW, gather, odd.cast_mut().cast()),
            iopgtable_unmap(table, 0, 4096, odd.cast(), gather, null_mut()),
            iopgtable_clear(table, 0, 4096, gather, odd.cast_mut().cast()),
            iopgtable_protect(table, 0, 4096, RW, odd.cast_mut().cast(), null_mut()),
            iopgtable_read_dirty(table, 0, 4096, odd.cast_mut().cast(), 1, null_mut()),
            iopgtable_exact_tables(
                table,
                0,
                &segment(0, 4096),
                1,
                RW,
                odd.cast_mut().cast(),
                null_mut(),
            ),
            iopgtable_translate(table, 0, odd.cast_mut().cast()),
            iopgtable_gather_stale(odd.cast(), &mut Stale::default()),
            iopgtable_gather_finish(gather, table, odd.cast_mut().cast()),
        ] {
            assert_eq!(status, Status::UnalignedArgument);
        }
    }
}

#[test]
fn what_no_format_has_is_refused() {
    let create = |config: Config| {
        let mut table = null_mut();
        // SAFETY: the pointers are to locals; null is the heap.
        let status = unsafe { iopgtable_create(&config, null(), &mut table) };
        assert!(table.is_null(), "{config:?}");
        status
    };
    assert_eq!(create(Config { format: 0, ..CONFIG }), Status::Format);
    assert_eq!(create(Config { format: 1000, ..CONFIG }), Status::Format);
    let lpa2 = Config { format: IOPGTABLE_ARM64_S2_LPA2, granule: 65536, ..CONFIG };
    assert_eq!(create(lpa2), Status::Format);
    assert_eq!(create(Config { granule: 8192, ..CONFIG }), Status::Format);
    let mali = Config { format: IOPGTABLE_ARM_MALI, granule: 16384, ..CONFIG };
    assert_eq!(create(mali), Status::Format);
    for bits in [0, 31, 49, 256 + 48, u32::MAX] {
        assert_eq!(create(Config { input_bits: bits, ..CONFIG }), Status::AddressSize);
        assert_eq!(create(Config { output_bits: bits, ..CONFIG }), Status::AddressSize);
    }
    assert_eq!(create(Config { largest_leaf: 0xfff, ..CONFIG }), Status::AddressSize);
    // Unknown, or not this format's.
    for options in [1 << 30, 1 << 31, IOPGTABLE_FORCE_WRITE_BACK] {
        assert_eq!(create(Config { options, ..CONFIG }), Status::Options);
    }
    assert_eq!(create(Config { splits: 2, ..CONFIG }), Status::Options);
    // The heap is coherent.
    let options = IOPGTABLE_OUTER_WRITE_BACK;
    assert_eq!(create(Config { options, ..CONFIG }), Status::Options);
    // The heap's pointers do not fit into 40 bits.
    assert_eq!(create(Config { output_bits: 40, ..CONFIG }), Status::AddressSize);
}

#[test]
fn unaligned_and_out_of_range_addresses_are_refused_and_nothing_is_mapped() {
    let f = Fixture::new(null());
    let last = (1u64 << 48) - 0x1000;
    for (iova, segments, prot, status) in [
        (0x800, &[segment(0, 0x1000)][..], RW, Status::Unaligned),
        (0, &[segment(0x800, 0x1000)], RW, Status::UnalignedSegment),
        (0, &[segment(0, 0x1000), segment(0, 0)], RW, Status::UnalignedSegment),
        (0, &[segment(0, 0)], RW, Status::Range),
        (0, &[segment(0, u64::MAX), segment(0, 1)], RW, Status::Range),
        (!0xfff, &[segment(0, 0x2000)], RW, Status::Range),
        (last, &[segment(0, 0x2000)], RW, Status::InputRange),
        (1 << 63, &[segment(0, 0x1000)], RW, Status::InputRange),
        (0, &[segment(last, 0x2000)], RW, Status::OutputRange),
        (0, &[segment(0, 0x1000)], 0, Status::Prot),
        (0, &[segment(0, 0x1000)], IOPGTABLE_WRITE, Status::Prot),
        (0, &[segment(0, 0x1000)], RW | 1 << 31, Status::Prot),
        (0, &[segment(0, 0x1000)], RW | IOPGTABLE_CACHED | IOPGTABLE_DEVICE, Status::Prot),
    ] {
        assert_eq!(f.map(iova, segments, prot).0, status, "{iova:#x} {segments:?} {prot:#x}");
    }
    assert_eq!(f.map(0x800, &[segment(0, 0x1000)], RW).1, Detail { iova: 0x800, value: 4096 });
    // SAFETY: so many segments cannot be, and are refused before the first is read.
    let too_many = unsafe {
        iopgtable_map(f.table, 0, &segment(0, 4096), usize::MAX, RW, f.gather, null_mut())
    };
    assert_eq!(too_many, Status::Range);
    assert_eq!(f.unmap(0, 0, None), Status::Range);
    assert_eq!(f.unmap(1, 4096, None), Status::Unaligned);
    assert_eq!(f.unmap(last, 0x2000, None), Status::InputRange);
    let narrow = Range { iova: 0, bytes: 4096 };
    assert_eq!(f.unmap(0, 0x2000, Some(narrow)), Status::Hole);
    assert_eq!(f.unmap(0, 0x2000, Some(Range { iova: 0, bytes: 0 })), Status::Range);
    assert_eq!(f.phys(u64::MAX), None);
    assert_eq!(f.phys(0), None);
}

#[test]
fn a_scatter_list_is_mapped_once_and_translated() {
    let f = Fixture::new(null());
    let list = [segment(0x8000_0000, 0x20_0000), segment(0x1_2345_6000, 0x1000)];
    assert_eq!(f.map(0x4000_0000, &list, RW).0, Status::Ok);
    assert_eq!(f.phys(0x4000_0042), Some(0x8000_0042));
    assert_eq!(f.phys(0x4020_0042), Some(0x1_2345_6042));
    assert_eq!(f.phys(0x4020_1000), None);
    let found = f.translate(0x4000_0000).unwrap();
    assert_eq!((found.leaf_bytes, found.prot), (0x20_0000, RW));

    let (status, error) = f.map(0x3fff_f000, &[segment(0, 0x2000)], RW);
    assert_eq!(status, Status::Overlap);
    assert_eq!(error, Detail { iova: 0x4000_0000, value: 0x20_0000 });
    assert_eq!(f.phys(0x3fff_f000), None, "all or nothing");
}

unsafe extern "C" fn count_leaves(context: *mut c_void, seen: *const Visited) {
    // SAFETY: what is seen is there for the call.
    let seen = unsafe { &*seen };
    // SAFETY: the context is such an array, which whoever visits has lent for the visit.
    let counts = unsafe { &mut *context.cast::<[u64; 2]>() };
    counts[usize::from(seen.prot != 0)] += seen.span.bytes;
}

#[test]
fn a_visit_shows_tables_and_leaves() {
    let f = Fixture::new(null());
    assert_eq!(f.map(0x4000_0000, &[segment(0, 0x3000)], RW).0, Status::Ok);
    let mut spans = [0u64; 2];
    let context = (&raw mut spans).cast();
    // SAFETY: the table is the fixture's; the context is what `count_leaves` takes.
    let status = unsafe { iopgtable_visit(f.table, 0, u64::MAX, Some(count_leaves), context) };
    assert_eq!(status, Status::Ok);
    assert_eq!(spans, [(1 << 39) + (1 << 30) + (1 << 21), 0x3000]);
}

#[test]
fn tables_come_from_the_callbacks_and_all_go_back() {
    let counted = Counted::boxed();
    let f = Fixture::new(&counted.allocator());
    assert_eq!(counted.out(), 1, "the root");
    assert_eq!(f.map(0x4000_0000, &[segment(0x1000, 0x3000)], RW).0, Status::Ok);
    assert_eq!(counted.out(), 4);
    assert!(counted.published() > 0 && counted.commits() > 0);

    // Without a hole, the tables stay.
    assert_eq!(f.unmap(0x4000_0000, 0x1000, None), Status::Ok);
    assert_eq!(f.finish(), 0);
    assert_eq!(counted.out(), 4);
    // With it, they come loose; and are freed by `finish`, no sooner.
    let hole = Range { iova: 0, bytes: 1 << 48 };
    assert_eq!(f.unmap(0x4000_1000, 0x2000, Some(hole)), Status::Ok);
    assert_eq!(counted.out(), 4);
    let stale = f.stale();
    assert_eq!(stale.leaves, Range { iova: 0x4000_1000, bytes: 0x2000 });
    assert!(stale.walks.bytes >= 1 << 30);
    // SAFETY: the gather is the fixture's, and stays, because it holds tables.
    assert_eq!(unsafe { iopgtable_gather_destroy(f.gather) }, Status::Pending);
    assert_eq!(f.finish(), 3);
    assert_eq!(counted.out(), 1);
    drop(f);
    assert_eq!(counted.out(), 0);
}

#[test]
fn a_gather_adds_up_and_is_empty_after_it_is_finished() {
    let f = Fixture::new(null());
    assert_eq!(f.map(0x10_0000, &[segment(0, 0x10_0000)], RW).0, Status::Ok);
    assert_eq!(f.unmap(0x10_0000, 0x1000, None), Status::Ok);
    assert_eq!(f.unmap(0x18_0000, 0x1000, None), Status::Ok);
    assert_eq!(f.stale().leaves, Range { iova: 0x10_0000, bytes: 0x8_1000 });
    assert_eq!(f.stale().walks, Range::default());
    f.finish();
    assert_eq!(f.stale(), Stale::default());
}

#[test]
fn abandoned_tables_come_back_when_the_table_is_destroyed() {
    let counted = Counted::boxed();
    let f = Fixture::new(&counted.allocator());
    assert_eq!(f.map(0, &[segment(0, 0x1000)], RW).0, Status::Ok);
    let hole = Range { iova: 0, bytes: 1 << 48 };
    assert_eq!(f.unmap(0, 0x1000, Some(hole)), Status::Ok);
    // SAFETY: the handles are the fixture's, which lives.
    assert_eq!(unsafe { iopgtable_gather_abandon(f.gather, f.table) }, Status::Ok);
    assert_eq!(counted.out(), 4);
    drop(f);
    assert_eq!(counted.out(), 0);
}

#[test]
fn a_gather_serves_its_own_table_only() {
    let (one, other) = (Fixture::new(null()), Fixture::new(null()));
    // SAFETY: the handles are the fixtures', which live; no device walks the tables.
    unsafe {
        let status = iopgtable_unmap(one.table, 0, 4096, null(), other.gather, null_mut());
        assert_eq!(status, Status::WrongTable);
        let status = iopgtable_gather_finish(other.gather, one.table, null_mut());
        assert_eq!(status, Status::WrongTable);
    }
}

#[test]
fn an_allocator_that_fails_leaves_everything_as_it_was() {
    let counted = Counted::boxed();
    let f = Fixture::new(&counted.allocator());
    for allowed in 0..3 {
        counted.allow(allowed);
        assert_eq!(f.map(0, &[segment(0, 0x1000)], RW).0, Status::NoMemory);
        assert_eq!(counted.out(), 1);
        assert_eq!(f.phys(0), None);
    }
    counted.allow(0);
    let mut table = null_mut();
    let mut create = |allocator: &Allocator| {
        // SAFETY: the pointers are to locals; what is missing of an allocator is not called.
        unsafe { iopgtable_create(&CONFIG, allocator, &mut table) }
    };
    let whole = counted.allocator();
    assert_eq!(create(&whole), Status::NoMemory);
    // Half an allocator is none.
    assert_eq!(create(&Allocator { free: None, ..whole }), Status::NullArgument);
    assert_eq!(create(&Allocator { virt_to_phys: None, ..whole }), Status::NullArgument);
    assert!(table.is_null());
}

#[test]
fn shape_and_registers_describe_the_table() {
    let f = Fixture::new(null());
    let (shape, registers) = (f.shape(), f.registers());
    assert_eq!(shape.leaf_sizes, (4 << 10) + (2 << 20) + (1 << 30));
    assert_eq!((shape.granule, shape.root_bytes), (4096, 4096));
    assert_eq!((shape.first_level, shape.levels), (0, 4));
    assert_eq!(shape.last_iova, (1 << 48) - 1);
    assert_eq!(registers.control & 0x3f, 16, "T0SZ");
    assert_eq!(registers.root % 4096, 0);
}
