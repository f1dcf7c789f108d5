//! Linux's io-pgtable interface: Apple's DARTs, whose tables lie within 36 or 42 bits.

#![cfg(target_os = "linux")]

mod driver;

use core::ffi::{c_uint, c_ulong, c_void};

use driver::low::{alloc, low};
use driver::{RW, SIZES, Table, cfg, entry};
use iopgtable_c::linux::abi::{Cfg, fmt, prot};

const PAGE: usize = 16 << 10;

fn dart(ias: c_uint, oas: c_uint) -> Cfg {
    low(cfg(SIZES[1], ias, oas))
}

/// Bits 35:14 in place, or bits 41:14 in bits 37:10; reading is forbidden by bit 8 or 3, writing by
/// bit 7 or 2, caching by bit 1 of the latter.
#[test]
fn darts_are_walked_from_the_roots_that_the_configuration_names() {
    for (format, oas, shift, bits) in [
        (fmt::APPLE_DART, 36, 0, [0x3, 0x3, 0x83, 0x103]),
        (fmt::APPLE_DART2, 42, 4, [0x3, 0x1, 0x7, 0xb]),
        (fmt::APPLE_DART2, 36, 4, [0x3, 0x1, 0x7, 0xb]),
    ] {
        for (ias, roots) in [(32, 1), (36, 1), (37, 2), (38, 4)] {
            let table = Table::granted(format, dart(ias, oas));
            assert_eq!(table.cfg.pgsize_bitmap, PAGE as c_ulong);
            let out = table.dart();
            assert_eq!(out.n_ttbrs, roots);
            let last: c_ulong = (1 << ias) - PAGE as c_ulong;
            let root = out.ttbr[(last >> 36) as usize];
            let rights = [RW, RW | prot::CACHE, prot::READ, prot::WRITE | prot::NOEXEC];
            for (prot, bits) in rights.into_iter().zip(bits) {
                let phys = (1 << oas) - 0x8000;
                assert_eq!(table.map_as(last, phys, PAGE, 1, prot), (0, PAGE));
                let link = entry(root, last as usize >> 25 & 0x7ff);
                let below = (link & !1) << shift;
                assert_eq!(link & 0xffff_c000_0000_0001, 1);
                let leaf = entry(below, last as usize >> 14 & 0x7ff);
                assert_eq!(leaf, 0x000f_ff00_0000_0000 | phys >> shift | bits, "{prot:#x}");
                assert_eq!(table.phys(last + 42), phys + 42);
                assert_eq!(table.unmap(last, PAGE, 1), PAGE);
            }
        }
    }
}

/// Their entries could not hold the addresses.
#[test]
fn tables_that_lie_too_high_are_refused() {
    unsafe extern "C" fn high(cookie: *mut c_void, size: usize, gfp: c_uint) -> *mut c_void {
        // SAFETY: the caller is one that `alloc` may have.
        let low = unsafe { alloc(cookie, size, gfp) };
        low.map_addr(|address| address | 1 << 45)
    }
    for (format, oas) in [(fmt::APPLE_DART, 36), (fmt::APPLE_DART2, 42)] {
        let config = Cfg { alloc: Some(high), ..dart(36, oas) };
        assert!(Table::new(format, config).is_none());
        assert!(Table::new(format, Cfg { alloc: None, free: None, ..dart(39, oas) }).is_none());
    }
    assert!(Table::new(fmt::APPLE_DART, dart(36, 42)).is_none());
}
