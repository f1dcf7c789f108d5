//! Linux's io-pgtable interface where nobody has said how dirty pages get into a bitmap: in a process
//! of its own, as that is said for all tables of one.

#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod driver;

use core::ffi::{c_int, c_ulong};
use core::ptr::{null_mut, without_provenance_mut};

use driver::{SIZES, Table, cfg, empty_gather};
use iopgtable_c::linux::abi::{Cfg, DirtyBitmap, fmt, quirk};

const EOPNOTSUPP: c_int = -95;
const GIB: c_ulong = 1 << 30;

#[test]
fn a_bitmap_that_nobody_can_set_is_refused_and_the_pages_stay_dirty() {
    let cfg = Cfg { quirks: quirk::ARM_HD, ..cfg(SIZES[0], 48, 48) };
    let table = Table::granted(fmt::ARM_64_LPAE_S1, cfg);
    table.map(GIB, 0, 4096, 1);
    let mut gather = empty_gather();
    let mut read = |bitmap| {
        let mut dirty = DirtyBitmap { bitmap, gather: &mut gather };
        let result = table.read_dirty(GIB, 0x1000, 0, Some(&mut dirty));
        (result, gather.start, gather.end)
    };
    assert_eq!(read(without_provenance_mut(8)), (EOPNOTSUPP, c_ulong::MAX, 0));
    // The gather alone tells, too.
    assert_eq!(read(null_mut()), (0, GIB, GIB + 0xfff));
}
