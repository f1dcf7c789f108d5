//! Linux's io-pgtable interface: short descriptors, whose tables lie below 2^32.

#![cfg(target_os = "linux")]

mod driver;

use core::ffi::{c_uint, c_ulong};

use driver::{Table, cfg, entry};
use iopgtable_c::linux::abi::{Cfg, fmt, quirk};

const MIB: c_ulong = 1 << 20;

fn low(quirks: c_ulong, sizes: c_ulong, ias: c_uint, oas: c_uint) -> Cfg {
    driver::low::low(Cfg { quirks, ..cfg(sizes, ias, oas) })
}

const SIZES_V7S: c_ulong = (4 << 10) | (64 << 10) | MIB | (16 * MIB);

#[test]
fn short_descriptors_have_pages_of_sixteen_entries() {
    let table = Table::granted(fmt::ARM_V7S, low(0, !0, 32, 32));
    assert_eq!(table.cfg.pgsize_bitmap, SIZES_V7S);
    let out = table.v7s();
    assert_eq!((out.ttbr & 0x3fff, out.tcr), (0x6a, 0));
    assert_eq!((out.prrr, out.nmrr), (0x800b_8204, 0x4000_4000));
    for size in [4 << 10, 64 << 10, 1 << 20, 16 << 20] {
        let (iova, phys) = (0xf000_0000 - size as c_ulong, 0x8000_0000);
        assert_eq!(table.map(iova, phys, size, 2), (0, 2 * size));
        assert_eq!(table.phys(0xf000_0042), phys + size as u64 + 0x42);
        assert_eq!(table.unmap(0xf000_0000, 4096, 1), 4096);
        assert_eq!(table.phys(0xf000_0042), 0);
        if size > 4096 {
            assert_eq!(table.phys(0xf000_1042), phys + size as u64 + 0x1042);
        }
        assert_eq!(table.map(0xf000_0000, 0, 4096, 1), (0, 4096));
        assert_eq!(table.unmap(iova, size, 2), 2 * size);
    }
    let without = Table::granted(fmt::ARM_V7S, low(0, SIZES_V7S - 16 * MIB, 32, 32));
    assert_eq!(without.map(0, 0, 1 << 20, 16), (0, 16 << 20));
    let ttbr = without.v7s().ttbr & !0x3fff;
    assert_eq!(entry(ttbr.into(), 0) >> 18 & 1, 0, "no supersection");
}

#[test]
fn mediateks_short_descriptors_have_34_bits_in_and_35_out() {
    let mediatek = quirk::ARM_MTK_EXT | quirk::NO_PERMS;
    let table = Table::granted(fmt::ARM_V7S, low(mediatek, !0, 34, 35));
    assert_eq!(table.map(0x3_0000_0000, 0x7_0001_0000, 0x1_0000, 1), (0, 0x1_0000));
    assert_eq!(table.phys(0x3_0000_8000), 0x7_0001_8000);
    let wide = mediatek | quirk::ARM_MTK_TTBR_EXT;
    assert!(Table::new(fmt::ARM_V7S, low(wide, !0, 34, 35)).is_some());
    for (quirks, ias, oas) in [
        (quirk::ARM_MTK_EXT, 32, 32),
        (quirk::NO_PERMS, 32, 32),
        (quirk::ARM_MTK_TTBR_EXT, 32, 32),
        (mediatek, 35, 35),
        (mediatek, 34, 36),
        (0, 33, 32),
        (0, 32, 33),
        (quirk::ARM_TTBR1, 32, 32),
    ] {
        let made = Table::new(fmt::ARM_V7S, low(quirks, !0, ias, oas));
        assert!(made.is_none(), "{quirks:#x}, {ias} to {oas}");
    }
    // Tables that a descriptor cannot name are not used.
    assert!(Table::new(fmt::ARM_V7S, cfg(!0, 32, 32)).is_none());
}
