//! Linux's io-pgtable interface: the quirks, the 32-bit formats, 52 bits, and dirty pages.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "every call is a test's: its pointers are the fixture's, or bad on purpose"
)]
#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

mod driver;

use core::ffi::{c_int, c_uint, c_ulong, c_void};
use core::ptr::null_mut;
use std::cell::RefCell;

use driver::{RW, SIZES, Table, cfg};
use iopgtable_c::linux::abi::{Cfg, DirtyBitmap, IotlbGather, IovaBitmap, dirty, fmt, prot, quirk};
use iopgtable_c::linux::{iopgtable_linux_set_iova_bitmap, iopgtable_linux_set_sync};

const EINVAL: c_int = -22;
const ERANGE: c_int = -34;

const MIB: c_ulong = 1 << 20;
const GIB: c_ulong = 1 << 30;
const TIB: c_ulong = 1 << 40;

unsafe extern "C" fn coherent_after_all(_: *mut c_void, _: *const c_void, _: u64, _: usize) {}

/// A walker that does not snoop, with a platform that cleans caches.
fn not_coherent(quirks: c_ulong) -> Cfg {
    unsafe { iopgtable_linux_set_sync(Some(coherent_after_all)) };
    Cfg { quirks, coherent_walk: false, ..cfg(SIZES[0], 48, 48) }
}

fn with(quirks: c_ulong, cfg: Cfg) -> Cfg {
    Cfg { quirks, ..cfg }
}

/// Entry `index` of the table at `table`, whose address is a pointer.
fn entry(table: u64, index: usize) -> u64 {
    let table = core::ptr::with_exposed_provenance::<u64>(table as usize);
    unsafe { table.add(index).read() }
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
            let root = entry(unsafe { table.cfg.out.s1 }.ttbr, 0);
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
        let tcr = unsafe { table.cfg.out.s1 }.tcr;
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
    let tcr = |format, cfg| unsafe { Table::granted(format, cfg).cfg.out.s1 }.tcr;
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
            let s1 = unsafe { table.cfg.out.s1 };
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
            let s2 = unsafe { table.cfg.out.s2 };
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
        let ps = if format == fmt::ARM_64_LPAE_S1 {
            unsafe { table.cfg.out.s1 }.tcr
        } else {
            unsafe { table.cfg.out.s2 }.vtcr
        };
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
        let root = unsafe { table.cfg.out.amd }.root;
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
    unsafe { iopgtable_linux_set_iova_bitmap(Some(tell)) };
    let mut gather = IotlbGather {
        start: c_ulong::MAX,
        end: 0,
        pgsize: 0,
        freelist: [null_mut(); 2],
        queued: false,
    };
    // Only passed on.
    let bitmap = core::ptr::without_provenance_mut(8);
    let mut dirty = DirtyBitmap { bitmap, gather: &mut gather };
    let result = unsafe {
        ((*table.ops).read_and_clear_dirty)(table.ops, iova, size as usize, flags, &mut dirty)
    };
    (result, TOLD.take(), (gather.start, gather.end))
}

const CLEAN: (c_ulong, c_ulong) = (c_ulong::MAX, 0);

#[test]
fn written_pages_are_told_and_made_clean() {
    let table = Table::granted(fmt::ARM_64_LPAE_S1, with(quirk::ARM_HD, cfg(SIZES[0], 48, 48)));
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
    let table = Table::granted(fmt::ARM_64_LPAE_S1, with(quirks, cfg(SIZES[0], 48, 48)));
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
    let nowhere =
        unsafe { ((*table.ops).read_and_clear_dirty)(table.ops, last, 4096, 0, null_mut()) };
    assert_eq!(nowhere, EINVAL);
    let mut ends = DirtyBitmap { bitmap: null_mut(), gather: null_mut() };
    let into_nothing =
        unsafe { ((*table.ops).read_and_clear_dirty)(table.ops, last, 4096, 0, &mut ends) };
    assert_eq!(into_nothing, 0);
}

#[test]
fn only_stage_1_of_64_bits_has_dirty_pages() {
    for format in [fmt::ARM_64_LPAE_S2, fmt::ARM_32_LPAE_S1, fmt::ARM_32_LPAE_S2] as [c_uint; 3] {
        let table = Table::granted(format, cfg(SIZES[0], 32, 40));
        assert_eq!(table.map_as(0, 0, 4096, 1, RW).0, 0);
        assert_eq!(read_dirty(&table, 0, 4096, 0), (EINVAL, vec![], CLEAN));
    }
}

/// Sizes that take several entries stand in all of them, and are cut where less is unmapped.
#[test]
fn tables_of_amd_v1_have_pages_of_every_power_of_two() {
    let all = !0xfff;
    for (ias, mode) in [(30, 2), (39, 3), (48, 4), (57, 5), (64, 6)] {
        let table = Table::granted(fmt::AMD_IOMMU_V1, cfg(all, ias, 60));
        assert_eq!((table.cfg.oas, table.cfg.pgsize_bitmap), (52, (1 << 39) - 4096));
        let out = unsafe { table.cfg.out.amd };
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
    let leaf = entry(next(entry(unsafe { table.cfg.out.amd }.root, 0)), 17);
    assert_eq!(leaf, 0x3000_0000_0003_7e01);
    // Sizes in between cannot be left out.
    let table = Table::granted(fmt::AMD_IOMMU_V1, cfg(SIZES[0], 48, 48));
    assert_eq!(table.cfg.pgsize_bitmap, 4096);
    assert!(Table::new(fmt::AMD_IOMMU_V1, cfg(2 << 20, 48, 48)).is_none());
    assert!(Table::new(fmt::AMD_IOMMU_V1, cfg(all, 65, 48)).is_none());
}

/// Memory below 4 GiB, which is never used twice.
mod low {
    use super::{c_int, c_uint, c_void, driver};
    use core::ptr::null_mut;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::OnceLock;

    unsafe extern "C" {
        fn mmap(
            at: *mut c_void,
            bytes: usize,
            access: c_int,
            flags: c_int,
            file: c_int,
            offset: i64,
        ) -> *mut c_void;
    }

    const BYTES: usize = 8 << 20;

    fn base() -> usize {
        static BASE: OnceLock<usize> = OnceLock::new();
        *BASE.get_or_init(|| {
            // Readable and writable; private and of no file; where it is asked for, if that is free.
            let memory = unsafe { mmap(0x4000_0000 as *mut c_void, BYTES, 3, 0x22, -1, 0) };
            memory.expose_provenance()
        })
    }

    pub(super) unsafe extern "C" fn alloc(
        cookie: *mut c_void,
        size: usize,
        _: c_uint,
    ) -> *mut c_void {
        static USED: AtomicUsize = AtomicUsize::new(0);
        let driver = unsafe { &*cookie.cast::<driver::Driver>() };
        // Every size is a power of two, and so there is an aligned one among twice as many bytes.
        let first = base() + USED.fetch_add(2 * size, Ordering::Relaxed);
        let page = first.next_multiple_of(size);
        if page + size > base() + BYTES {
            return null_mut();
        }
        driver.out.set(driver.out.get() + 1);
        core::ptr::with_exposed_provenance_mut(page)
    }

    pub(super) unsafe extern "C" fn free(cookie: *mut c_void, _: *mut c_void, _: usize) {
        let driver = unsafe { &*cookie.cast::<driver::Driver>() };
        driver.out.set(driver.out.get() - 1);
    }
}

fn low(quirks: c_ulong, sizes: c_ulong, ias: c_uint, oas: c_uint) -> Cfg {
    Cfg { quirks, alloc: Some(low::alloc), free: Some(low::free), ..cfg(sizes, ias, oas) }
}

const SIZES_V7S: c_ulong = (4 << 10) | (64 << 10) | MIB | (16 * MIB);

#[test]
fn short_descriptors_have_pages_of_sixteen_entries() {
    let table = Table::granted(fmt::ARM_V7S, low(0, !0, 32, 32));
    assert_eq!(table.cfg.pgsize_bitmap, SIZES_V7S);
    let out = unsafe { table.cfg.out.v7s };
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
    let ttbr = unsafe { without.cfg.out.v7s }.ttbr & !0x3fff;
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
