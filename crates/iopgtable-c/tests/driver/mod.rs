//! A driver of Linux's interface that notes what its callbacks see.

#![allow(dead_code, reason = "each test crate uses a part of it")]
#![allow(clippy::borrow_as_ptr, reason = "as C writes it")]

#[cfg(target_os = "linux")]
pub(crate) mod low;

use core::ffi::{c_int, c_uint, c_ulong, c_void};
use core::ptr::null_mut;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};

use iopgtable_c::linux::abi::{
    AmdOutput, Cfg, DartOutput, DirtyBitmap, FlushOps, IotlbGather, MaliOutput, Ops, Output,
    Stage1Output, Stage2Output, V7sOutput, fmt, prot,
};
use iopgtable_c::linux::{alloc_io_pgtable_ops, free_io_pgtable_ops};

pub(crate) const RW: c_int = prot::READ | prot::WRITE;

/// The page sizes of each granule.
pub(crate) const SIZES: [c_ulong; 3] =
    [4 << 10 | 2 << 20 | 1 << 30, 16 << 10 | 32 << 20, 64 << 10 | 512 << 20];

/// What the driver's callbacks have seen.
#[derive(Default)]
pub(crate) struct Driver {
    pub(crate) out: Cell<usize>,
    pub(crate) left: Cell<Option<usize>>,
    pub(crate) sizes: RefCell<Vec<usize>>,
    pub(crate) gfps: RefCell<Vec<c_uint>>,
    pub(crate) walks: RefCell<Vec<(c_ulong, usize)>>,
    /// Tables out when the walk was flushed.
    pub(crate) out_at_flush: Cell<usize>,
    pub(crate) added: RefCell<Vec<(c_ulong, usize)>>,
    pub(crate) all: Cell<usize>,
}

fn driver<'a>(cookie: *mut c_void) -> &'a Driver {
    // SAFETY: the cookie is the driver that the test made, which outlives its table.
    unsafe { &*cookie.cast::<Driver>() }
}

unsafe extern "C" fn alloc(cookie: *mut c_void, size: usize, gfp: c_uint) -> *mut c_void {
    let driver = driver(cookie);
    match driver.left.get() {
        Some(0) => return null_mut(),
        left => driver.left.set(left.map(|left| left - 1)),
    }
    driver.out.set(driver.out.get() + 1);
    driver.sizes.borrow_mut().push(size);
    driver.gfps.borrow_mut().push(gfp);
    let layout = Layout::from_size_align(size, size).expect("a power of two");
    // SAFETY: the size is not zero.
    unsafe { alloc_zeroed(layout).cast() }
}

unsafe extern "C" fn free(cookie: *mut c_void, page: *mut c_void, size: usize) {
    let driver = driver(cookie);
    driver.out.set(driver.out.get() - 1);
    let layout = Layout::from_size_align(size, size).expect("a power of two");
    // SAFETY: `alloc` made it with the same layout.
    unsafe { dealloc(page.cast(), layout) };
}

unsafe extern "C" fn flush_all(cookie: *mut c_void) {
    let driver = driver(cookie);
    driver.all.set(driver.all.get() + 1);
}

unsafe extern "C" fn flush_walk(iova: c_ulong, size: usize, _: usize, cookie: *mut c_void) {
    let driver = driver(cookie);
    driver.walks.borrow_mut().push((iova, size));
    driver.out_at_flush.set(driver.out.get());
}

unsafe extern "C" fn add_page(
    _: *mut IotlbGather,
    iova: c_ulong,
    size: usize,
    cookie: *mut c_void,
) {
    driver(cookie).added.borrow_mut().push((iova, size));
}

static TLB: FlushOps = FlushOps {
    tlb_flush_all: Some(flush_all),
    tlb_flush_walk: Some(flush_walk),
    tlb_add_page: Some(add_page),
};

pub(crate) fn cfg(sizes: c_ulong, ias: c_uint, oas: c_uint) -> Cfg {
    Cfg {
        quirks: 0,
        pgsize_bitmap: sizes,
        ias,
        oas,
        coherent_walk: true,
        tlb: &raw const TLB,
        iommu_dev: null_mut(),
        alloc: Some(alloc),
        free: Some(free),
        out: Output { largest: [0; 5] },
    }
}

/// A gather that nothing was added to.
pub(crate) fn empty_gather() -> IotlbGather {
    let (start, end, pgsize) = (c_ulong::MAX, 0, 0);
    IotlbGather { start, end, pgsize, freelist: [null_mut(); 2], queued: false }
}

macro_rules! outputs {
    ($($name:ident, $field:ident: $output:ident;)*) => {$(
        pub(crate) fn $name(&self) -> $output {
            // SAFETY: the union is of numbers only, and `cfg` has set all of its bytes.
            unsafe { self.cfg.out.$field }
        }
    )*};
}

/// A driver's table.
pub(crate) struct Table {
    pub(crate) ops: *mut Ops,
    pub(crate) cfg: Cfg,
    pub(crate) driver: Box<Driver>,
}

impl Table {
    pub(crate) fn new(format: c_uint, cfg: Cfg) -> Option<Self> {
        let (mut cfg, driver) = (cfg, Box::<Driver>::default());
        let cookie = (&raw const *driver).cast_mut().cast();
        // SAFETY: the configuration and the cookie outlive the call, and the cookie the table.
        let ops = unsafe { alloc_io_pgtable_ops(format, &mut cfg, cookie) };
        (!ops.is_null()).then(|| Self { ops, cfg, driver })
    }

    /// One that must be made.
    pub(crate) fn granted(format: c_uint, cfg: Cfg) -> Self {
        Self::new(format, cfg).expect("a table that there is")
    }

    pub(crate) fn s1() -> Self {
        Self::granted(fmt::ARM_64_LPAE_S1, cfg(SIZES[0], 48, 48))
    }

    outputs! {
        stage1, s1: Stage1Output;
        stage2, s2: Stage2Output;
        v7s, v7s: V7sOutput;
        mali, mali: MaliOutput;
        amd, amd: AmdOutput;
        dart, dart: DartOutput;
    }

    /// The result and the bytes.
    pub(crate) fn map(
        &self,
        iova: c_ulong,
        phys: u64,
        size: usize,
        count: usize,
    ) -> (c_int, usize) {
        self.map_as(iova, phys, size, count, RW | prot::CACHE)
    }

    pub(crate) fn map_as(
        &self,
        iova: c_ulong,
        phys: u64,
        size: usize,
        count: usize,
        prot: c_int,
    ) -> (c_int, usize) {
        let mut mapped = 7;
        // SAFETY: the operations are those of a live table, which this thread alone uses.
        let result = unsafe {
            ((*self.ops).map_pages)(self.ops, iova, phys, size, count, prot, 0xcc0, &mut mapped)
        };
        (result, mapped - 7)
    }

    pub(crate) fn unmap(&self, iova: c_ulong, size: usize, count: usize) -> usize {
        // SAFETY: as for `map_as`.
        unsafe { ((*self.ops).unmap_pages)(self.ops, iova, size, count, null_mut()) }
    }

    pub(crate) fn unmap_into(
        &self,
        gather: &mut IotlbGather,
        iova: c_ulong,
        size: usize,
        count: usize,
    ) -> usize {
        // SAFETY: as for `map_as`; the gather is borrowed for the call.
        unsafe { ((*self.ops).unmap_pages)(self.ops, iova, size, count, gather) }
    }

    /// The gather and the bitmap that `into` names outlive the call.
    pub(crate) fn read_dirty(
        &self,
        iova: c_ulong,
        size: usize,
        flags: c_ulong,
        into: Option<&mut DirtyBitmap>,
    ) -> c_int {
        let into = into.map_or(null_mut(), core::ptr::from_mut);
        // SAFETY: as for `map_as`; what `into` names is there, as the caller says.
        unsafe { ((*self.ops).read_and_clear_dirty)(self.ops, iova, size, flags, into) }
    }

    pub(crate) fn phys(&self, iova: c_ulong) -> u64 {
        // SAFETY: as for `map_as`.
        unsafe { ((*self.ops).iova_to_phys)(self.ops, iova) }
    }

    pub(crate) fn sizes(&self) -> Vec<usize> {
        (0..usize::BITS)
            .filter(|bit| self.cfg.pgsize_bitmap >> bit & 1 != 0)
            .map(|bit| 1 << bit)
            .collect()
    }

    pub(crate) fn out(&self) -> usize {
        self.driver.out.get()
    }
}

/// The 64 bits at entry `index` of the table at `table`, which is one of a tree that lives: physical
/// addresses are pointers.
pub(crate) fn entry(table: u64, index: usize) -> u64 {
    let table = core::ptr::with_exposed_provenance::<u64>(table as usize);
    // SAFETY: the table is there, as the caller says, has that many entries, and nobody writes it.
    unsafe { table.add(index).read() }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the table is this one's, nobody walks it, and nobody uses it afterwards.
        unsafe { free_io_pgtable_ops(self.ops) };
        assert_eq!(self.out(), 0, "every table went back");
        assert_eq!(self.driver.all.get(), 1, "the TLB is flushed before the tables go");
    }
}
