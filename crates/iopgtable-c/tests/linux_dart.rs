//! Linux's io-pgtable interface: Apple's DARTs, whose tables lie within 36 or 42 bits.

#![cfg(target_os = "linux")]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "every call is a test's: its pointers are the fixture's"
)]
#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod driver;

use core::ffi::{c_int, c_long, c_uint, c_ulong, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver::{RW, SIZES, Table, cfg};
use iopgtable_c::linux::abi::{Cfg, fmt, prot};

const PAGE: usize = 16 << 10;
/// Where tables lie: within 36 bits, and how much room there is.
const LOW: usize = 0x8_0000_0000;
const ROOM: usize = 64 << 20;

unsafe extern "C" {
    fn mmap(
        address: *mut c_void,
        bytes: usize,
        prot: c_int,
        flags: c_int,
        file: c_int,
        offset: c_long,
    ) -> *mut c_void;
}

/// Hands out low memory, which is zeroed, and never again.
unsafe extern "C" fn alloc(_: *mut c_void, size: usize, _: c_uint) -> *mut c_void {
    static BASE: OnceLock<usize> = OnceLock::new();
    static USED: AtomicUsize = AtomicUsize::new(0);
    let base = *BASE.get_or_init(|| {
        let wanted = core::ptr::without_provenance_mut(LOW);
        // Readable and writable; private and anonymous.
        let found = unsafe { mmap(wanted, ROOM, 3, 0x22, -1, 0) };
        assert_eq!(found.addr(), LOW, "nothing else is there");
        found.expose_provenance()
    });
    // Whatever was handed out before, the next is aligned.
    let from = USED.fetch_add(2 * size, Ordering::Relaxed).next_multiple_of(size);
    assert!(from + size <= ROOM);
    core::ptr::with_exposed_provenance_mut(base + from)
}

unsafe extern "C" fn free(_: *mut c_void, _: *mut c_void, _: usize) {}

fn dart(ias: c_uint, oas: c_uint) -> Cfg {
    Cfg { alloc: Some(alloc), free: Some(free), ..cfg(SIZES[1], ias, oas) }
}

fn entry(table: u64, index: u64) -> u64 {
    let table = core::ptr::with_exposed_provenance::<u64>(table as usize);
    unsafe { table.add(index as usize).read() }
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
            let out = unsafe { table.cfg.out.dart };
            assert_eq!(out.n_ttbrs, roots);
            let last: c_ulong = (1 << ias) - PAGE as c_ulong;
            let root = out.ttbr[(last >> 36) as usize];
            let rights = [RW, RW | prot::CACHE, prot::READ, prot::WRITE | prot::NOEXEC];
            for (prot, bits) in rights.into_iter().zip(bits) {
                let phys = (1 << oas) - 0x8000;
                assert_eq!(table.map_as(last, phys, PAGE, 1, prot), (0, PAGE));
                let link = entry(root, last >> 25 & 0x7ff);
                let below = (link & !1) << shift;
                assert_eq!(link & 0xffff_c000_0000_0001, 1);
                let leaf = entry(below, last >> 14 & 0x7ff);
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
