//! Linux's io-pgtable interface, as a driver uses it.

#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod driver;

use core::ffi::{c_int, c_uint, c_ulong};
use core::ptr::{null, null_mut};

use driver::{RW, SIZES, Table, cfg, empty_gather};
use iopgtable_c::linux::abi::{Cfg, fmt, prot, quirk};
use iopgtable_c::linux::{alloc_io_pgtable_ops, free_io_pgtable_ops};

const EEXIST: c_int = -17;
const EINVAL: c_int = -22;
const ERANGE: c_int = -34;
const ENOMEM: c_int = -12;

const GIB: c_ulong = 1 << 30;

/// Every format, granule and input size of the self-test, and the formats that it leaves out.
fn every_table(mut check: impl FnMut(Table)) {
    for sizes in SIZES {
        for ias in [32, 36, 40, 42, 44, 48] {
            for format in [fmt::ARM_64_LPAE_S1, fmt::ARM_64_LPAE_S2] {
                check(Table::granted(format, cfg(sizes, ias, 48)));
            }
        }
    }
    for ias in [32, 39, 48] {
        check(Table::granted(fmt::ARM_MALI_LPAE, cfg(SIZES[0], ias, 40)));
    }
    for ias in [33, 48, 57] {
        check(Table::granted(fmt::AMD_IOMMU_V2, cfg(SIZES[0], ias, 52)));
    }
}

#[test]
fn each_page_size_maps_refuses_overlaps_unmaps_and_maps_again() {
    every_table(|table| {
        assert_eq!(table.phys(42) | table.phys(GIB + 42), 0, "an empty table leads nowhere");
        for (place, size) in (0..).zip(table.sizes()) {
            let iova = place * GIB;
            assert_eq!(table.map(iova, iova, size, 1), (0, size));
            assert_eq!(table.map(iova, iova + size as u64, size, 1), (EEXIST, 0));
            assert_eq!(table.phys(iova + 42), iova + 42);
            assert_eq!(table.phys(iova + size as u64 - 1), iova + size as u64 - 1);
            assert_eq!(table.phys(iova + size as u64), 0);
            assert_eq!(table.unmap(iova, size, 1), size);
            assert_eq!(table.unmap(iova, size, 1), 0);
            assert_eq!(table.phys(iova + 42), 0);
            assert_eq!(table.map_as(iova, iova, size, 1, prot::WRITE), (0, size));
            assert_eq!(table.phys(iova + 42), iova + 42);
        }
    });
}

#[test]
fn a_page_cut_out_of_a_block_can_be_mapped_elsewhere() {
    every_table(|table| {
        let [page, block, ..] = table.sizes()[..] else { panic!("two sizes at least") };
        assert_eq!(table.map(GIB, GIB, block, 1), (0, block));
        let hole = GIB + page as u64;
        assert_eq!(table.unmap(hole, page, 1), page);
        assert_eq!(table.driver.gfps.borrow().last(), Some(&0x820), "splitting does not sleep");
        assert_eq!(table.phys(hole), 0);
        assert_eq!(table.phys(hole - 1), hole - 1);
        assert_eq!(table.phys(hole + page as u64), hole + page as u64);
        assert_eq!(table.map_as(hole, page as u64, page, 1, prot::READ), (0, page));
        assert_eq!(table.phys(hole + 42), page as u64 + 42);
        // The block's size takes what is left of it, with its table.
        let out = table.out();
        assert_eq!(table.unmap(GIB, block, 1), block);
        assert_eq!(table.out(), out - 1);
        assert_eq!(table.phys(hole), 0);
    });
}

#[test]
fn pages_are_never_merged_into_larger_ones() {
    every_table(|table| {
        let [page, block, ..] = table.sizes()[..] else { panic!("two sizes at least") };
        let count = 2 * block / page + 3;
        // Congruent in both address spaces: a larger leaf would fit.
        let iova = GIB + block as u64 - page as u64;
        assert_eq!(table.map(iova, 2 * GIB + iova, page, count), (0, page * count));
        table.driver.left.set(Some(0));
        for index in 0..count {
            let at = iova + (index * page) as u64;
            assert_eq!(table.phys(at), 2 * GIB + at);
            assert_eq!(table.unmap(at, page, 1), page, "no table is needed to unmap one page");
        }
    });
}

#[test]
fn unmapping_pages_keeps_their_tables() {
    every_table(|table| {
        let [page, block, ..] = table.sizes()[..] else { panic!("two sizes at least") };
        assert_eq!(table.map(GIB, 0, page, block / page), (0, block));
        let out = table.out();
        assert_eq!(table.unmap(GIB, page, block / page), block);
        assert_eq!(table.out(), out);
        assert!(table.driver.walks.borrow().is_empty());
        // An empty table is unmapped by a page of its size, and makes way for one.
        assert_eq!(table.map(GIB, 0, block, 1), (0, block));
        assert_eq!(table.out(), out - 1);
        assert_eq!(*table.driver.walks.borrow(), [(GIB, block)]);
        assert_eq!(table.driver.out_at_flush.get(), out, "flushed before it was freed");
    });
}

#[test]
fn a_block_takes_the_place_of_pages_but_pages_not_that_of_a_block() {
    let table = Table::s1();
    assert_eq!(table.map(GIB + 0x5000, 0, 4 << 10, 3), (0, 12 << 10));
    assert_eq!(table.map(GIB, 0, 2 << 20, 1), (0, 2 << 20));
    assert_eq!(table.phys(GIB + 0x5000), 0x5000);
    assert_eq!(table.map(GIB + 0x5000, 0, 4 << 10, 1), (EEXIST, 0));
    assert_eq!(table.map(GIB - 0x1000, 0, 4 << 10, 2), (EEXIST, 0));
    assert_eq!(table.phys(GIB - 0x1000), 0, "all or nothing");
}

#[test]
fn unmapping_stops_at_the_first_hole() {
    every_table(|table| {
        let page = table.sizes()[0];
        let bytes = page as u64;
        assert_eq!(table.map(GIB, 0, page, 3).0, 0);
        assert_eq!(table.map(GIB + 4 * bytes, 0, page, 1).0, 0);
        assert_eq!(table.unmap(GIB - bytes, page, 2), 0);
        assert_eq!(table.unmap(GIB, page, 5), 3 * page);
        assert_eq!(table.phys(GIB), 0);
        assert_eq!(table.phys(GIB + 4 * bytes + 1), 1, "what lies behind it stays");
    });
}

#[test]
fn pages_are_added_to_a_gather_that_is_not_queued() {
    let table = Table::s1();
    let mut gather = empty_gather();
    table.map(GIB, 0, 4096, 3);
    assert_eq!(table.unmap_into(&mut gather, GIB, 4096, 4), 3 * 4096);
    let added = table.driver.added.take();
    assert_eq!(added, [(GIB, 4096), (GIB + 0x1000, 4096), (GIB + 0x2000, 4096)]);
    table.map(GIB, 0, 4096, 3);
    gather.queued = true;
    assert_eq!(table.unmap_into(&mut gather, GIB, 4096, 4), 3 * 4096);
    assert!(table.driver.added.take().is_empty());
}

#[test]
fn bad_arguments_change_nothing() {
    let table = Table::s1();
    let end = 1u64 << 48;
    for (iova, phys, size, count, prot, result) in [
        (0, 0, 0, 1, RW, EINVAL),
        (0, 0, 8192, 1, RW, EINVAL),
        (0, 0, 4096 | 2 << 20, 1, RW, EINVAL),
        (0x800, 0, 4096, 1, RW, EINVAL),
        (0, 0x800, 4096, 1, RW, EINVAL),
        (0x1000, 0, 2 << 20, 1, RW, EINVAL),
        (0, 0, 4096, 1, prot::NOEXEC | prot::CACHE, EINVAL),
        (end, 0, 4096, 1, RW, ERANGE),
        (end - 0x1000, 0, 4096, 2, RW, ERANGE),
        (0, end, 4096, 1, RW, ERANGE),
        (0, end - 0x1000, 4096, 2, RW, ERANGE),
        (0, 0, 4096, usize::MAX, RW, ERANGE),
        (!0xfff, 0, 4096, 1, RW, ERANGE),
        (0, 0, 4096, 0, RW, 0),
    ] {
        let outcome = table.map_as(iova, phys, size, count, prot);
        assert_eq!(outcome, (result, 0), "{iova:#x} {phys:#x} {size:#x} {count} {prot:#x}");
    }
    assert_eq!(table.out(), 1, "no table was made");
    table.map(0, 0, 4096, 1);
    for (iova, size, count) in [(0, 0, 1), (0, 8192, 1), (0x800, 4096, 1), (0, 4096, 0)] {
        assert_eq!(table.unmap(iova, size, count), 0, "{iova:#x} {size:#x} {count}");
    }
    assert_eq!(table.unmap(end, 4096, 1), 0);
    assert_eq!(table.phys(end), 0);
    assert_eq!(table.phys(c_ulong::MAX), 0);
}

#[test]
fn without_memory_nothing_is_mapped_and_a_block_stays_whole() {
    let table = Table::s1();
    for left in 0..3 {
        table.driver.left.set(Some(left));
        assert_eq!(table.map(GIB, 0, 4096, 1), (ENOMEM, 0));
        assert_eq!(table.out(), 1);
    }
    table.driver.left.set(None);
    table.map(GIB, 0, 2 << 20, 1);
    table.driver.left.set(Some(0));
    assert_eq!(table.unmap(GIB, 4096, 1), 0);
    assert_eq!(table.phys(GIB + 42), 42);
}

#[test]
fn creation_restricts_the_configuration_and_refuses_what_there_is_not() {
    let table = Table::granted(fmt::ARM_64_LPAE_S1, cfg(SIZES[0] | SIZES[1] | SIZES[2], 52, 52));
    assert_eq!((table.cfg.pgsize_bitmap, table.cfg.ias, table.cfg.oas), (SIZES[0], 48, 48));
    let refused = |format, cfg: Cfg| {
        assert!(Table::new(format, cfg).is_none(), "format {format}, {:#x}", cfg.pgsize_bitmap);
    };
    for format in [10, 11, c_uint::MAX] {
        refused(format, cfg(SIZES[0], 48, 48));
    }
    refused(fmt::ARM_MALI_LPAE, cfg(SIZES[0], 49, 40));
    refused(fmt::ARM_MALI_LPAE, cfg(SIZES[0], 48, 48));
    refused(fmt::ARM_MALI_LPAE, cfg(SIZES[1], 48, 40));
    refused(fmt::ARM_32_LPAE_S1, cfg(SIZES[0], 48, 40));
    refused(fmt::ARM_64_LPAE_S2, cfg(SIZES[0], 48, 40));
    refused(fmt::APPLE_DART, cfg(SIZES[1], 32, 42));
    refused(fmt::APPLE_DART2, cfg(SIZES[0], 32, 42));
    refused(fmt::APPLE_DART2, cfg(SIZES[1], 39, 42));
    refused(fmt::AMD_IOMMU_V2, cfg(SIZES[0], 58, 52));
    refused(fmt::AMD_IOMMU_V2, cfg(SIZES[1], 48, 52));
    refused(fmt::ARM_64_LPAE_S1, cfg(0, 48, 48));
    refused(fmt::ARM_64_LPAE_S1, cfg(2 << 20, 48, 48));
    refused(fmt::ARM_64_LPAE_S1, cfg(SIZES[0], 48, 47));
    let known = quirk::ARM_NS | quirk::ARM_TTBR1 | quirk::ARM_OUTER_WBWA | quirk::ARM_HD;
    for quirks in (0..c_ulong::BITS).map(|bit| 1 << bit).filter(|quirk| quirk & known == 0) {
        refused(fmt::ARM_64_LPAE_S1, Cfg { quirks, ..cfg(SIZES[0], 48, 48) });
    }
    // Only for walkers that do not snoop, and there is no way to publish to them here.
    for coherent_walk in [true, false] {
        let quirks = quirk::ARM_OUTER_WBWA;
        refused(fmt::ARM_64_LPAE_S1, Cfg { quirks, coherent_walk, ..cfg(SIZES[0], 48, 48) });
    }
    refused(fmt::ARM_64_LPAE_S1, Cfg { free: None, ..cfg(SIZES[0], 48, 48) });
    refused(fmt::ARM_64_LPAE_S1, Cfg { alloc: None, ..cfg(SIZES[0], 48, 48) });
    // SAFETY: both may be given null.
    unsafe {
        assert!(alloc_io_pgtable_ops(fmt::ARM_64_LPAE_S1, null_mut(), null_mut()).is_null());
        free_io_pgtable_ops(null_mut());
    }
}

#[test]
fn roots_are_as_large_as_their_geometry_and_32_bit_formats_exist() {
    let table = Table::granted(fmt::ARM_64_LPAE_S2, cfg(SIZES[0], 40, 40));
    assert_eq!(*table.driver.sizes.borrow(), [2 * 4096], "two concatenated tables");
    drop(table);
    for format in [fmt::ARM_32_LPAE_S1, fmt::ARM_32_LPAE_S2] {
        let table = Table::granted(format, cfg(SIZES[0], 32, 40));
        assert_eq!(table.map(GIB, 1 << 39, 4096, 1), (0, 4096));
        assert_eq!(table.phys(GIB), 1 << 39);
    }
}

#[test]
fn the_output_says_what_to_program() {
    let table = Table::s1();
    let s1 = table.stage1();
    // 48 bits out, 4K, inner shareable, write-back twice, 48 bits in.
    assert_eq!(s1.tcr, 5 | 3 << 5 | 1 << 7 | 1 << 9 | 16 << 11);
    assert_eq!(s1.mair, 0xf404_ff44);
    assert_eq!(s1.ttbr & 0xfff, 0);
    let table = Table::granted(fmt::ARM_64_LPAE_S2, cfg(SIZES[0], 48, 48));
    let s2 = table.stage2();
    assert_eq!(s2.vtcr, 5 | 3 << 5 | 1 << 7 | 1 << 9 | 2 << 11 | 16 << 13);
    let table = Table::granted(fmt::ARM_MALI_LPAE, cfg(SIZES[0], 48, 40));
    let mali = table.mali();
    assert_eq!(mali.memattr, 0x88_8d88);
    assert_eq!(mali.transtab & 0xfff, 0b1_0111);
}

#[test]
fn without_callbacks_the_heap_serves() {
    let cfg = Cfg { alloc: None, free: None, tlb: null(), ..cfg(SIZES[0], 48, 32) };
    let mut cfg = cfg;
    // Pointers have more than 32 bits; entries hold them all the same.
    // SAFETY: the configuration is a local, and nothing uses the operations after their table.
    unsafe {
        let ops = alloc_io_pgtable_ops(fmt::ARM_64_LPAE_S1, &mut cfg, null_mut());
        let mut mapped = 0;
        assert_eq!(((*ops).map_pages)(ops, GIB, 0x1000, 4096, 600, RW, 0, &mut mapped), 0);
        assert_eq!(mapped, 600 * 4096);
        assert_eq!(((*ops).iova_to_phys)(ops, GIB + 599 * 4096 + 5), 600 * 4096 + 5);
        assert_eq!(((*ops).unmap_pages)(ops, GIB, 4096, 600, null_mut()), 600 * 4096);
        free_io_pgtable_ops(ops);
    }
}
