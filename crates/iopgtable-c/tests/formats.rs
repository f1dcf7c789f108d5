//! What a table may be: every format, every option, and whether blocks may be cut.

#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod fixture;
mod hooks;

use core::ptr::{null, null_mut};

use fixture::{CONFIG, Fixture, RW, segment};
use hooks::Counted;
use iopgtable_c::look::*;
use iopgtable_c::status::Status;
use iopgtable_c::table::*;
use iopgtable_c::types::*;

const BLOCK: u64 = 0x20_0000;
const GIB: u64 = 1 << 30;

#[test]
fn every_format_and_granule_maps_and_translates() {
    let counted = Counted::boxed();
    let mut made = 0;
    for format in 0..=16 {
        for granule in [0x1000u32, 0x4000, 0x1_0000] {
            // Short descriptors hold fewer bits, also of tables.
            let short = [IOPGTABLE_ARM_V7S, IOPGTABLE_MEDIATEK_V7S].contains(&format);
            let output_bits = if short { 32 } else { 40 };
            let config = Config { format, granule, input_bits: 32, output_bits, ..CONFIG };
            let mut table = null_mut();
            let allocator = counted.low_allocator();
            // SAFETY: the pointers are to locals; the allocator outlives the table.
            match unsafe { iopgtable_create(&config, &allocator, &mut table) } {
                // SAFETY: it was made just now, and nobody walks it.
                Status::Ok => assert_eq!(unsafe { iopgtable_destroy(table) }, Status::Ok),
                Status::AddressSize if short && granule == 0x1000 => {
                    made += 1;
                    continue;
                }
                status => {
                    // Tables that the T8020 reaches lie lower yet.
                    let low = (format, granule) == (IOPGTABLE_APPLE_DART, 0x4000);
                    assert_eq!(status, if low { Status::AddressSize } else { Status::Format });
                    continue;
                }
            }
            made += 1;
            let f = Fixture::with(&config, &allocator);
            let page = u64::from(granule);
            let list = [segment(page, 3 * page), segment(0, BLOCK)];
            assert_eq!(f.map(1 << 30, &list, RW).0, Status::Ok);
            assert_eq!(f.phys((1 << 30) + 2 * page + 5), Some(3 * page + 5), "{config:?}");
            assert_eq!(f.unmap(1 << 30, page, None), Status::Ok);
            assert_eq!(f.phys(1 << 30), None);
        }
    }
    assert_eq!((made, counted.out()), (21, 0));
}

#[test]
fn formats_differ_in_their_shape_and_registers() {
    // The heap's pointers have 48 bits.
    for (format, granule, input_bits, first_level) in [
        (IOPGTABLE_ARM64_S1, 0x1000, 48, 0),
        (IOPGTABLE_ARM64_S1, 0x4000, 47, 1),
        (IOPGTABLE_ARM64_S1, 0x1_0000, 52, 1),
        (IOPGTABLE_ARM64_S1_LPA2, 0x1000, 52, -1),
        (IOPGTABLE_ARM64_S1_LPA2, 0x4000, 52, 0),
        (IOPGTABLE_ARM64_S2, 0x1000, 48, 0),
        (IOPGTABLE_ARM64_S2_LPA2, 0x1000, 52, -1),
        (IOPGTABLE_ARM64_S2_LPA2, 0x4000, 52, 0),
    ] {
        let wide = input_bits == 52;
        let output_bits = if wide { 52 } else { 48 };
        let config = Config { format, granule, input_bits, output_bits, ..CONFIG };
        let f = Fixture::with(&config, null());
        let found = f.shape();
        assert_eq!((found.first_level, found.granule), (first_level, granule.into()), "{config:?}");
        assert_eq!(found.last_iova, (1 << input_bits) - 1);
        let last = found.last_iova + 1 - found.granule;
        let phys = found.last_phys + 1 - found.granule;
        assert_eq!(f.map(last, &[segment(phys, found.granule)], RW).0, Status::Ok);
        assert_eq!(f.phys(found.last_iova), Some(found.last_phys), "{config:?}");
        assert_eq!(f.registers().control & 0x3f, u64::from(64 - input_bits), "T0SZ");
    }
}

#[test]
fn tables_of_32_bits_say_what_to_program() {
    let counted = Counted::boxed();
    let allocator = counted.low_allocator();
    let config = Config {
        format: IOPGTABLE_ARM32_S1,
        input_bits: 30,
        output_bits: 40,
        options: IOPGTABLE_UPPER_HALF,
        ..CONFIG
    };
    let f = Fixture::with(&config, &allocator);
    let found = f.shape();
    assert_eq!((found.first_iova, found.last_iova), (0xc000_0000, 0xffff_ffff));
    let values = f.registers();
    assert_eq!(values.control >> 16 & 0b111, 2, "T1SZ");
    assert_eq!(values.control >> 31, 1, "EAE");
    assert_eq!(values.attributes, 0x04_ff44);
    let config = Config { format: IOPGTABLE_ARM32_S2, input_bits: 40, output_bits: 40, ..CONFIG };
    let f = Fixture::with(&config, &allocator);
    assert_eq!(f.shape().root_bytes, 0x2000);
    assert_eq!(f.registers().control & 0x1f, 0x18, "T0SZ with its sign");
}

#[test]
fn tables_of_x86_64_say_what_to_program() {
    let config = Config { format: IOPGTABLE_X86_64, output_bits: 52, ..CONFIG };
    for (input_bits, options, first_level, cr4) in [
        (48, 0, 0, 0x20),
        (48, IOPGTABLE_UPPER_HALF, 0, 0x20),
        (57, 0, -1, 0x1020),
        (57, IOPGTABLE_UPPER_HALF | IOPGTABLE_HARDWARE_DIRTY, -1, 0x1020),
    ] {
        let f = Fixture::with(&Config { input_bits, options, ..config }, null());
        let found = f.shape();
        let half = 1u64 << (input_bits - 1);
        let first = if options & IOPGTABLE_UPPER_HALF != 0 { half.wrapping_neg() } else { 0 };
        assert_eq!((found.first_iova, found.last_iova), (first, first.wrapping_add(half - 1)));
        assert_eq!((found.first_level, found.root_bytes), (first_level, 0x1000));
        let values = f.registers();
        assert_eq!((values.control, values.attributes), (cr4, 0x0007_0406_0007_0406));
        assert_eq!(values.root & 0xfff, 0);
        assert_eq!(f.map(first, &[segment(0x7000, 0x1000)], IOPGTABLE_WRITE).0, Status::Prot);
    }
}

#[test]
fn tables_of_vtd_say_what_to_program() {
    let options = IOPGTABLE_HARDWARE_DIRTY | IOPGTABLE_FORCE_SNOOP;
    let config = Config { format: IOPGTABLE_VTD_S2, output_bits: 52, options, ..CONFIG };
    for (input_bits, first_level) in [(39, 1), (48, 0), (57, -1)] {
        let f = Fixture::with(&Config { input_bits, ..config }, null());
        let found = f.shape();
        assert_eq!((found.first_level, found.last_iova), (first_level, (1 << input_bits) - 1));
        let values = f.registers();
        // P, AW, PGTT, SSADE; PWSNP.
        let width = u64::from((input_bits - 30) / 9);
        assert_eq!(values.root & 0xfff, 1 | width << 2 | 2 << 6 | 1 << 9);
        assert_eq!((values.control, values.attributes), (1 << 23, 0));
        let (status, _) = f.map(0, &[segment(0, 0x1000)], RW | IOPGTABLE_EXECUTE);
        assert_eq!(status, Status::Prot);
    }
}

#[test]
fn tables_of_riscv_say_what_to_program() {
    for (format, more, root_bytes) in [(IOPGTABLE_RISCV, 0, 0x1000), (IOPGTABLE_RISCV_G, 2, 0x4000)]
    {
        for (input_bits, mode) in [(39 + more, 8), (48 + more, 9), (57 + more, 10)] {
            for (options, control) in [
                (0, 0),
                (IOPGTABLE_HARDWARE_DIRTY, 1),
                (IOPGTABLE_HARDWARE_DIRTY | IOPGTABLE_MEMORY_TYPES, 3),
                (IOPGTABLE_MEMORY_TYPES | IOPGTABLE_CONTIGUOUS, 6),
            ] {
                let config = Config { format, input_bits, output_bits: 56, options, ..CONFIG };
                let f = Fixture::with(&config, null());
                assert_eq!(f.shape().root_bytes, root_bytes);
                let values = f.registers();
                assert_eq!((values.root >> 60, values.control), (mode, control));
                let write = f.map(0, &[segment(0, 0x1000)], IOPGTABLE_WRITE).0;
                assert_eq!(write, Status::Prot);
                assert_eq!(f.map(0, &[segment(0, 0x1000)], RW).0, Status::Ok);
                assert_eq!(f.phys(5), Some(5));
            }
        }
    }
}

#[test]
fn tables_of_darts_say_what_to_program() {
    let counted = Counted::boxed();
    let allocator = counted.low_allocator();
    for (input_bits, roots) in [(32, 1), (36, 1), (37, 2), (38, 4)] {
        let format = IOPGTABLE_APPLE_DART2;
        let config = Config { format, granule: 0x4000, input_bits, output_bits: 42, ..CONFIG };
        let f = Fixture::with(&config, &allocator);
        assert_eq!(f.shape().root_bytes, roots * 0x4000);
        let values = f.registers();
        let ttbr = [values.root, values.root >> 32, values.control, values.control >> 32];
        for (index, ttbr) in (0..).zip(ttbr.map(|ttbr| ttbr & 0xffff_ffff)) {
            let first = values.root & 0xffff_ffff;
            assert_eq!(ttbr, if index < roots { first + index * 4 } else { 0 });
        }
        let last = (1 << input_bits) - 0x4000;
        assert_eq!(f.map(last, &[segment(0x4000, 0x4000)], RW).0, Status::Ok);
        assert_eq!(f.phys(last + 5), Some(0x4005));
    }
}

#[test]
fn the_upper_half_has_the_upper_addresses() {
    let config = Config { options: IOPGTABLE_UPPER_HALF, ..CONFIG };
    let f = Fixture::with(&config, null());
    let first = u64::MAX << 48;
    assert_eq!((f.shape().first_iova, f.shape().last_iova), (first, u64::MAX));
    assert_eq!(f.map(!0xfff, &[segment(0x7000, 0x1000)], RW).0, Status::Ok);
    assert_eq!(f.phys(u64::MAX), Some(0x7fff));
    let (status, error) = f.map(0x1000, &[segment(0, 0x1000)], RW);
    assert_eq!((status, error.value), (Status::InputRange, u64::MAX));
    assert_eq!(f.registers().control >> 16 & 0x3f, 16, "T1SZ");
}

#[test]
fn leaves_are_as_large_as_the_configuration_permits() {
    for (largest_leaf, sizes) in [
        (0, GIB | BLOCK | 0x1000),
        (u64::MAX, GIB | BLOCK | 0x1000),
        (GIB, GIB | BLOCK | 0x1000),
        (GIB - 1, BLOCK | 0x1000),
        (0x1000, 0x1000),
    ] {
        let f = Fixture::with(&Config { largest_leaf, ..CONFIG }, null());
        assert_eq!(f.shape().leaf_sizes, sizes);
        assert_eq!(f.map(GIB, &[segment(GIB, GIB)], RW).0, Status::Ok);
        assert_eq!(f.translate(GIB).unwrap().leaf_bytes, 1 << sizes.ilog2());
    }
}

#[test]
fn a_block_is_cut_or_not_as_the_configuration_says() {
    let forbidden = Config { splits: IOPGTABLE_SPLITS_FORBIDDEN, ..CONFIG };
    let f = Fixture::with(&forbidden, null());
    assert_eq!(f.map(BLOCK, &[segment(0, BLOCK)], RW).0, Status::Ok);
    let mut error = Detail::default();
    // SAFETY: the handles are the fixture's, which lives; the error is a local.
    for status in unsafe {
        [
            iopgtable_unmap(f.table, BLOCK + 0x1000, 0x1000, null(), f.gather, &mut error),
            iopgtable_clear(f.table, BLOCK + 0x1000, 0x1000, f.gather, &mut error),
            iopgtable_protect(f.table, BLOCK, 0x1000, IOPGTABLE_READ, f.gather, &mut error),
        ]
    } {
        assert_eq!(status, Status::Split);
        assert_eq!(error, Detail { iova: BLOCK, value: BLOCK });
    }
    assert_eq!(f.stale(), Stale::default());
    assert_eq!(f.unmap(BLOCK, BLOCK, None), Status::Ok);

    let f = Fixture::new(null());
    assert_eq!(f.map(BLOCK, &[segment(0, BLOCK)], RW).0, Status::Ok);
    assert_eq!(f.unmap(BLOCK + 0x1000, 0x1000, None), Status::Ok);
    assert_eq!(f.stale().break_before_make, Range { iova: BLOCK, bytes: BLOCK });
    assert_eq!(f.stale().reasons, IOPGTABLE_RESIZED);
    // One gather adds up.
    // SAFETY: the handles are the fixture's, which lives.
    let status = unsafe {
        let device = RW | IOPGTABLE_DEVICE;
        iopgtable_protect(f.table, BLOCK, 0x1000, device, f.gather, null_mut())
    };
    assert_eq!(status, Status::Ok);
    assert_eq!(f.stale().reasons, IOPGTABLE_RESIZED | IOPGTABLE_REWRITTEN);
    f.finish();
    assert_eq!(f.stale(), Stale::default());
}

#[test]
fn what_is_protected_translates_with_its_new_rights() {
    let f = Fixture::new(null());
    assert_eq!(f.map(0x1000, &[segment(0x5000, 0x3000)], RW).0, Status::Ok);
    let protect = |iova, bytes, prot| {
        // SAFETY: the handles are the fixture's, which lives.
        unsafe { iopgtable_protect(f.table, iova, bytes, prot, f.gather, null_mut()) }
    };
    assert_eq!(protect(0x2000, 0x1000, IOPGTABLE_READ), Status::Ok);
    assert_eq!(f.stale().leaves, Range { iova: 0x2000, bytes: 0x1000 });
    let prot = |iova| f.translate(iova).unwrap().prot;
    assert_eq!([prot(0x1000), prot(0x2000), prot(0x3000)], [RW, IOPGTABLE_READ, RW]);
    assert_eq!(protect(0x2000, 0x1000, 0), Status::Prot);
    assert_eq!(protect(0x2000, 0x1000, 1 << 31), Status::Prot);
    assert_eq!(protect(0x2800, 0x1000, RW), Status::Unaligned);
    assert_eq!(protect(0, 0, RW), Status::Range);
}

#[test]
fn what_is_cleared_keeps_its_tables() {
    let counted = Counted::boxed();
    let f = Fixture::new(&counted.allocator());
    assert_eq!(f.map(0x1000, &[segment(0x5000, 0x3000)], RW).0, Status::Ok);
    let out = counted.out();
    // SAFETY: the handles are the fixture's, which lives.
    let status = unsafe { iopgtable_clear(f.table, 0, BLOCK, f.gather, null_mut()) };
    assert_eq!((status, f.phys(0x1000)), (Status::Ok, None));
    assert_eq!(f.stale().walks, Range::default());
    f.finish();
    assert_eq!(counted.out(), out);
}

#[test]
fn what_was_written_is_noted_and_made_clean() {
    let f = Fixture::with(&Config { options: IOPGTABLE_HARDWARE_DIRTY, ..CONFIG }, null());
    assert_eq!(f.map(0x1000, &[segment(0x5000, 0x2000)], RW).0, Status::Ok);
    assert_eq!(f.map(0x3000, &[segment(0x9000, 0x1000)], IOPGTABLE_READ).0, Status::Ok);
    let mut words = [0, 0];
    let first = words.as_mut_ptr();
    // SAFETY: the handles are those of fixtures that live, and as many words as are said are there.
    unsafe {
        assert_eq!(iopgtable_read_dirty(f.table, 0, 0x4_1000, first, 2, null_mut()), Status::Ok);
        assert_eq!(words, [0b0110, 0]);
        let mut error = Detail::default();
        let status = iopgtable_read_dirty(f.table, 0, 0x4_1000, first, 1, &mut error);
        assert_eq!((status, error.value), (Status::Bitmap, 2));
        let clear = |first, gather| {
            iopgtable_read_and_clear_dirty(f.table, 0, 0x4000, first, 1, gather, null_mut())
        };
        assert_eq!(clear(first, f.gather), Status::Ok);
        assert_eq!(f.stale().leaves, Range { iova: 0x1000, bytes: 0x2000 });
        let mut again = 0;
        assert_eq!(clear(&mut again, f.gather), Status::Ok);
        assert_eq!(again, 0);
        let plain = Fixture::new(null());
        let status = iopgtable_read_dirty(plain.table, 0, 0x1000, first, 1, null_mut());
        assert_eq!(status, Status::NoDirtyState);
        assert_eq!(clear(&mut again, plain.gather), Status::WrongTable);
    }
}
