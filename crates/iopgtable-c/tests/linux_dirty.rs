//! Linux's io-pgtable interface: which pages were written through.

#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod driver;

use core::ffi::{c_int, c_ulong};
use core::ptr::{null_mut, without_provenance_mut};
use std::cell::RefCell;

use driver::{RW, SIZES, Table, cfg, empty_gather};
use iopgtable_c::linux::abi::{Cfg, DirtyBitmap, IovaBitmap, dirty, fmt, prot, quirk};
use iopgtable_c::linux::iopgtable_linux_set_iova_bitmap;

const EINVAL: c_int = -22;

const MIB: c_ulong = 1 << 20;
const GIB: c_ulong = 1 << 30;

/// A table of stage 1 with these quirks.
fn with(quirks: c_ulong) -> Table {
    Table::granted(fmt::ARM_64_LPAE_S1, Cfg { quirks, ..cfg(SIZES[0], 48, 48) })
}

thread_local! {
    /// What the bitmap was told.
    static TOLD: RefCell<Vec<(c_ulong, usize)>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn tell(bitmap: *mut IovaBitmap, iova: c_ulong, length: usize) {
    assert_eq!(bitmap.addr(), 8);
    TOLD.with_borrow_mut(|told| told.push((iova, length)));
}

/// The result, what the bitmap was told, and the gather's ends.
type Answer = (c_int, Vec<(c_ulong, usize)>, (c_ulong, c_ulong));

fn read_dirty(table: &Table, iova: c_ulong, size: c_ulong, flags: c_ulong) -> Answer {
    // SAFETY: it takes bitmaps for numbers, on any thread.
    unsafe { iopgtable_linux_set_iova_bitmap(Some(tell)) };
    let mut gather = empty_gather();
    // Only passed on.
    let bitmap = without_provenance_mut(8);
    let mut dirty = DirtyBitmap { bitmap, gather: &mut gather };
    let result = table.read_dirty(iova, size as usize, flags, Some(&mut dirty));
    (result, TOLD.take(), (gather.start, gather.end))
}

const CLEAN: (c_ulong, c_ulong) = (c_ulong::MAX, 0);

#[test]
fn written_pages_are_told_and_made_clean() {
    let table = with(quirk::ARM_HD);
    assert_eq!(table.map(GIB, 0, 4096, 2).0, 0);
    assert_eq!(table.map_as(GIB + 0x2000, 0, 4096, 1, prot::READ).0, 0);
    assert_eq!(table.map(GIB + 0x3000, 0x3000, 4096, 509).0, 0);
    assert_eq!(table.map(GIB + 2 * MIB, 0, 2 << 20, 1).0, 0);
    let told = [(GIB, 4096), (GIB + 0x1000, 4096)];
    for _ in 0..2 {
        // What was just mapped writable counts as written, and reading alone changes nothing.
        let answer = read_dirty(&table, GIB, 0x3000, dirty::NO_CLEAR);
        assert_eq!(answer, (0, told.to_vec(), (GIB, GIB + 0x1fff)));
    }
    assert_eq!(read_dirty(&table, GIB, 0x3000, 0), (0, told.to_vec(), (GIB, GIB + 0x1fff)));
    assert_eq!(read_dirty(&table, GIB, 0x3000, 0), (0, vec![], CLEAN));
    assert_eq!(table.phys(GIB + 42), 42);

    // A block is told whole, and cleaned with all of it; a part of it is only told.
    let block = GIB + 2 * MIB;
    let part = read_dirty(&table, block + MIB, MIB, 0);
    assert_eq!(part, (0, vec![(block + MIB, 1 << 20)], (block + MIB, block + 2 * MIB - 1)));
    let (result, told, hull) = read_dirty(&table, GIB, 4 * MIB, 0);
    assert_eq!((result, told.len(), told.last()), (0, 510, Some(&(block, 2 << 20))));
    assert_eq!(hull, (GIB + 0x3000, block + 2 * MIB - 1));
    assert_eq!(read_dirty(&table, GIB, 4 * MIB, 0), (0, vec![], CLEAN));
}

#[test]
fn dirty_pages_are_told_of_the_upper_half_too_and_of_mapped_pages_only() {
    let quirks = quirk::ARM_HD | quirk::ARM_TTBR1;
    let table = with(quirks);
    let last = c_ulong::MAX - 0xfff;
    assert_eq!(table.map(last, 0, 4096, 1).0, 0);
    assert_eq!(read_dirty(&table, last, 4096, 0), (0, vec![(last, 4096)], (last, c_ulong::MAX)));
    for (iova, size) in [(last - 0x1000, 0x2000), (last, 0), (0, 4096), (last, 0x2000)] {
        assert_eq!(read_dirty(&table, iova, size, 0), (EINVAL, vec![], CLEAN));
    }
    // A part of a page is the page's, as far as it was asked for.
    assert_eq!(table.map(last - 0x1000, 0x1000, 4096, 1).0, 0);
    let (result, told, _) = read_dirty(&table, last - 0x800, 0x10, 0);
    assert_eq!((result, told), (0, vec![(last - 0x800, 0x10)]));
    assert_eq!(table.read_dirty(last, 4096, 0, None), EINVAL);
    let mut ends = DirtyBitmap { bitmap: null_mut(), gather: null_mut() };
    assert_eq!(table.read_dirty(last, 4096, 0, Some(&mut ends)), 0);
}

#[test]
fn only_stage_1_of_64_bits_has_dirty_pages() {
    for format in [fmt::ARM_64_LPAE_S2, fmt::ARM_32_LPAE_S1, fmt::ARM_32_LPAE_S2] {
        let table = Table::granted(format, cfg(SIZES[0], 32, 40));
        assert_eq!(table.map_as(0, 0, 4096, 1, RW).0, 0);
        assert_eq!(read_dirty(&table, 0, 4096, 0), (EINVAL, vec![], CLEAN));
    }
}

#[test]
fn without_the_quirk_no_page_is_ever_dirty() {
    let table = Table::s1();
    table.map(GIB, 0, 4096, 2);
    let dirty = |iova, size| table.read_dirty(iova, size, 0, None);
    assert_eq!(dirty(GIB, 0x2000), 0);
    assert_eq!(dirty(GIB, 0x3000), EINVAL);
    assert_eq!(dirty(GIB, 0), EINVAL);
    assert_eq!(dirty(1 << 48, 0x1000), EINVAL);
}
