//! Linux's io-pgtable interface: the quirks, the 32-bit formats, 52 bits, and AMD's tables.

mod driver;

use core::ffi::{c_int, c_ulong, c_void};

use driver::{RW, SIZES, Table, cfg, entry};
use iopgtable_c::linux::abi::{Cfg, fmt, prot, quirk};
use iopgtable_c::linux::iopgtable_linux_set_sync;

const ERANGE: c_int = -34;

const GIB: c_ulong = 1 << 30;
const TIB: c_ulong = 1 << 40;

unsafe extern "C" fn coherent_after_all(_: *mut c_void, _: *const c_void, _: u64, _: usize) {}

/// A walker that does not snoop, with a platform that cleans caches.
fn not_coherent(quirks: c_ulong) -> Cfg {
    // SAFETY: it does nothing, which is what coherent walks need.
    unsafe { iopgtable_linux_set_sync(Some(coherent_after_all)) };
    Cfg { quirks, coherent_walk: false, ..cfg(SIZES[0], 48, 48) }
}

fn with(quirks: c_ulong, cfg: Cfg) -> Cfg {
    Cfg { quirks, ..cfg }
}

/// The address in a table entry.
fn next(entry: u64) -> u64 {
    entry & 0xffff_ffff_f000
}

#[test]
fn each_format_has_its_quirks_and_no_other() {
    let s1 = quirk::ARM_NS | quirk::ARM_TTBR1 | quirk::ARM_OUTER_WBWA | quirk::ARM_HD;
    for (format, known) in [
        (fmt::ARM_64_LPAE_S1, s1),
        (fmt::ARM_64_LPAE_S2, 0),
        (fmt::ARM_32_LPAE_S1, quirk::ARM_NS | quirk::ARM_OUTER_WBWA),
        (fmt::ARM_32_LPAE_S2, 0),
        (fmt::ARM_MALI_LPAE, 0),
        (fmt::AMD_IOMMU_V1, 0),
        (fmt::AMD_IOMMU_V2, 0),
    ] {
        for quirk in (0..c_ulong::BITS).map(|bit| 1 << bit) {
            let made = Table::new(format, Cfg { ias: 32, oas: 40, ..not_coherent(quirk) });
            assert_eq!(made.is_some(), known & quirk != 0, "format {format}, quirk {quirk:#x}");
        }
    }
    // Coherent walks are cached anyway.
    assert!(Table::new(0, with(quirk::ARM_OUTER_WBWA, cfg(SIZES[0], 32, 40))).is_none());
    assert!(Table::new(2, with(quirk::ARM_OUTER_WBWA, cfg(SIZES[0], 48, 48))).is_none());
}

#[test]
fn non_secure_tables_and_leaves_are_marked() {
    for format in [fmt::ARM_64_LPAE_S1, fmt::ARM_32_LPAE_S1] {
        for quirks in [0, quirk::ARM_NS] {
            let table = Table::granted(format, with(quirks, cfg(SIZES[0], 32, 40)));
            assert_eq!(table.map(0, 0x7000, 4096, 1), (0, 4096));
            let marked = quirks != 0;
            let root = entry(table.stage1().ttbr, 0);
            assert_eq!(root >> 63 == 1, marked);
            let leaf = entry(next(entry(next(root), 0)), 0);
            assert_eq!((leaf >> 5 & 1 == 1, next(leaf)), (marked, 0x7000));
        }
    }
}

#[test]
fn the_upper_half_has_the_upper_addresses() {
    for (sizes, tg1) in [(SIZES[0], 2), (SIZES[1], 1), (SIZES[2], 3)] {
        let table = Table::granted(fmt::ARM_64_LPAE_S1, with(quirk::ARM_TTBR1, cfg(sizes, 47, 48)));
        // 48 bits out, inner shareable, write-back twice, 47 bits in.
        let tcr = table.stage1().tcr;
        assert_eq!(tcr, 5 | tg1 << 3 | 3 << 5 | 1 << 7 | 1 << 9 | 17 << 11);
        let page = table.sizes()[0];
        let (first, last) = (c_ulong::MAX << 47, c_ulong::MAX - page as c_ulong + 1);
        for iova in [first, last] {
            assert_eq!(table.map(iova, 0x5_0000, page, 1), (0, page));
            assert_eq!(table.phys(iova + 42), 0x5_002a);
            assert_eq!(table.unmap(iova, page, 1), page);
        }
        assert_eq!(table.map(0, 0, page, 1), (ERANGE, 0));
        assert_eq!(table.map(first - page as c_ulong, 0, page, 2), (ERANGE, 0));
        assert_eq!(table.map(last, 0, page, 2), (ERANGE, 0));
        assert_eq!(table.phys(0), 0);
    }
}

#[test]
fn walks_past_the_inner_caches_may_be_cached_outside() {
    let tcr = |format, cfg| Table::granted(format, cfg).stage1().tcr;
    let plain = 5 | 2 << 5 | 16 << 11;
    assert_eq!(tcr(fmt::ARM_64_LPAE_S1, not_coherent(0)), plain);
    assert_eq!(tcr(fmt::ARM_64_LPAE_S1, not_coherent(quirk::ARM_OUTER_WBWA)), plain | 1 << 7);
    let upper = not_coherent(quirk::ARM_OUTER_WBWA | quirk::ARM_TTBR1);
    assert_eq!(tcr(fmt::ARM_64_LPAE_S1, upper), plain | 2 << 3 | 1 << 7);
    let narrow = Cfg { ias: 32, oas: 32, ..not_coherent(quirk::ARM_OUTER_WBWA) };
    assert_eq!(tcr(fmt::ARM_32_LPAE_S1, narrow), 2 << 5 | 1 << 7 | 32 << 11);
}

#[test]
fn tables_of_32_bits_are_programmed_as_linux_has_them() {
    for (oas, size) in [(32, 0), (36, 1), (40, 2)] {
        for ias in [25, 30, 31, 32] {
            let table = Table::granted(fmt::ARM_32_LPAE_S1, cfg(!0, ias, oas));
            let s1 = table.stage1();
            // Inner shareable, write-back twice; the size of the input from 64.
            assert_eq!(s1.tcr, size | 3 << 5 | 1 << 7 | 1 << 9 | (64 - ias) << 11);
            assert_eq!(s1.mair, 0xf404_ff44);
            assert_eq!(table.cfg.pgsize_bitmap, SIZES[0]);
            let (last, phys) = ((1 << ias) - 4096, (1 << oas) - 4096);
            assert_eq!(table.map(last, phys, 4096, 1), (0, 4096));
            assert_eq!(table.phys(last + 42), phys + 42);
            assert_eq!(table.map(last, phys, 4096, 2), (ERANGE, 0));
        }
        for ias in [32, 33, 36, 40].into_iter().filter(|&ias| ias <= oas) {
            let table = Table::granted(fmt::ARM_32_LPAE_S2, cfg(!0, ias, oas));
            let s2 = table.stage2();
            // From level 1.
            let walks = 3 << 5 | 1 << 7 | 1 << 9;
            assert_eq!(s2.vtcr, size | walks | 1 << 11 | (64 - ias) << 13);
            let last = (1 << ias) - 4096;
            assert_eq!(table.map_as(last, 0x7000, 4096, 1, prot::WRITE), (0, 4096));
            assert_eq!(table.phys(last), 0x7000);
        }
    }
    for (format, ias, oas) in [(0, 32, 33), (0, 32, 42), (0, 33, 40), (1, 32, 34), (1, 41, 42)] {
        assert!(Table::new(format, cfg(SIZES[0], ias, oas)).is_none(), "{format} {ias} {oas}");
    }
}

#[test]
fn granules_of_64k_have_52_bits_and_pages_of_4_tib() {
    let sizes = SIZES[2] | 4 << 40 | SIZES[1] & !(16 << 10);
    for format in [fmt::ARM_64_LPAE_S1, fmt::ARM_64_LPAE_S2] {
        for (ias, oas, granted) in [
            (52, 52, (SIZES[2] | 4 << 40, 52, 52)),
            (48, 60, (SIZES[2] | 4 << 40, 48, 52)),
            (48, 48, (SIZES[2], 48, 48)),
        ] {
            let table = Table::granted(format, cfg(sizes, ias, oas));
            assert_eq!((table.cfg.pgsize_bitmap, table.cfg.ias, table.cfg.oas), granted);
        }
        let table = Table::granted(format, cfg(sizes, 52, 52));
        let stage1 = format == fmt::ARM_64_LPAE_S1;
        let ps = if stage1 { table.stage1().tcr } else { table.stage2().vtcr };
        assert_eq!((ps & 7, ps >> 3 & 3), (6, 1), "52 bits, 64 KiB");
        let (page, block, huge) = (64 << 10, 512 << 20, 4 << 40);
        let top = 1 << 51;
        assert_eq!(table.map(top, 1020 * TIB, huge, 1), (0, huge));
        assert_eq!(table.phys(top + 3 * TIB + 42), 1023 * TIB + 42);
        // A page cut out of it, and the block around that.
        let hole = top + GIB;
        assert_eq!(table.unmap(hole, page, 1), page);
        assert_eq!(table.phys(hole), 0);
        assert_eq!(table.phys(hole + page as u64), 1020 * TIB + GIB + page as u64);
        assert_eq!(table.unmap(hole, block, 1), block);
        assert_eq!(table.map(hole, 0, block, 1), (0, block));
        assert_eq!(table.unmap(top, huge, 1), huge);
        assert_eq!(table.out(), 1, "the root");
        assert_eq!(table.map(top, 1 << 52, page, 1), (ERANGE, 0));
    }
}

/// `IOMMU_READ` and so on from bit 0: present 0, write 1, user 2, uncached 4:3, accessed 5, dirty 6,
/// no execution 63.
#[test]
fn tables_of_amd_v2_are_walked_from_the_root_that_the_configuration_names() {
    for (ias, last, indices) in [
        (48, 0x7fff_ffff_f000, &[255, 511, 511, 511][..]),
        (57, !0 >> 8 & !0xfff, &[255, 511, 511, 511, 511]),
    ] {
        let table = Table::granted(fmt::AMD_IOMMU_V2, cfg(!0, ias, 60));
        assert_eq!((table.cfg.ias, table.cfg.oas, table.cfg.pgsize_bitmap), (ias, 52, SIZES[0]));
        let root = table.amd().root;
        for (prot, bits) in [
            (RW, 0x67),
            (RW | prot::CACHE | prot::NOEXEC, 0x8000_0000_0000_0067),
            (prot::READ | prot::MMIO, 0x3d),
            (prot::WRITE | prot::PRIV, 0x63),
        ] {
            assert_eq!(table.map_as(last, 0x7000, 4096, 1, prot), (0, 4096));
            let leaf = indices.iter().fold(root, |word, &index| entry(next(word), index));
            assert_eq!(leaf, 0x7000 | bits, "{prot:#x}");
            assert_eq!(table.unmap(last, 4096, 1), 4096);
        }
        assert_eq!(table.map(last + 0x1000, 0, 4096, 1), (ERANGE, 0), "that is the sign");
    }
}

/// Sizes that take several entries stand in all of them, and are cut where less is unmapped.
#[test]
fn tables_of_amd_v1_have_pages_of_every_power_of_two() {
    let all = !0xfff;
    for (ias, mode) in [(30, 2), (39, 3), (48, 4), (57, 5), (64, 6)] {
        let table = Table::granted(fmt::AMD_IOMMU_V1, cfg(all, ias, 60));
        assert_eq!((table.cfg.oas, table.cfg.pgsize_bitmap), (52, (1 << 39) - 4096));
        let out = table.amd();
        assert_eq!((out.mode, out.root & 0xfff), (mode, 0));
        let last = (u64::MAX >> (64 - ias)) - 0xffff;
        for (iova, phys, size, count) in
            [(0, 0x5_0000, 0x1_0000, 3), (last, 0, 0x8000, 2), (0x80_0000, 0x40_0000, 0x40_0000, 1)]
        {
            let bytes = size * count;
            assert_eq!(table.map(iova, phys, size, count), (0, bytes), "{size:#x}");
            assert_eq!(table.map(iova, phys, size, count), (-17, 0), "something is mapped");
            for at in [0, 0x1042, bytes as c_ulong - 1] {
                assert_eq!(table.phys(iova + at), phys + at);
            }
            assert_eq!(table.unmap(iova + 0x1000, 0x1000, 1), 0x1000);
            assert_eq!(table.phys(iova + 0x1000), 0);
            assert_eq!(table.phys(iova + 0x2000), phys + 0x2000);
            assert_eq!(table.map(iova + 0x1000, phys, 0x1000, 1), (0, 0x1000));
            assert_eq!(table.unmap(iova, size, count), bytes);
            assert_eq!(table.phys(iova + 0x2000), 0);
        }
    }
    // IR, IW and FC; a page of 64 KiB is NextLevel 7.
    let table = Table::granted(fmt::AMD_IOMMU_V1, cfg(all, 30, 48));
    assert_eq!(table.map_as(0x1_0000, 0x3_0000, 0x1_0000, 1, prot::READ), (0, 0x1_0000));
    let leaf = entry(next(entry(table.amd().root, 0)), 17);
    assert_eq!(leaf, 0x3000_0000_0003_7e01);
    // Sizes in between cannot be left out.
    let table = Table::granted(fmt::AMD_IOMMU_V1, cfg(SIZES[0], 48, 48));
    assert_eq!(table.cfg.pgsize_bitmap, 4096);
    assert!(Table::new(fmt::AMD_IOMMU_V1, cfg(2 << 20, 48, 48)).is_none());
    assert!(Table::new(fmt::AMD_IOMMU_V1, cfg(all, 65, 48)).is_none());
}
