//! What C's side of Linux's io-pgtable interface looks like in memory.
//!
//! Field order and widths are those of Linux 6.12 on 64-bit targets; the tests at the end pin the
//! offsets that drivers compiled against it use.

use core::ffi::{c_int, c_uint, c_ulong, c_void};

/// Linux's `gfp_t`: how an allocation may behave. Passed through to the caller's allocator.
pub type Gfp = c_uint;
/// Linux's `phys_addr_t` on 64-bit targets.
pub type Phys = u64;

/// What roots are allocated with.
pub(super) const GFP_KERNEL: Gfp = 0xcc0;
/// What tables are allocated with when an unmap splits a block.
pub(super) const GFP_ATOMIC: Gfp = 0x820;

/// `enum io_pgtable_fmt`, as a number.
pub mod fmt {
    use core::ffi::c_uint;
    /// Stage 1 in the long-descriptor format with 32-bit input.
    pub const ARM_32_LPAE_S1: c_uint = 0;
    /// Stage 2 in the long-descriptor format with 32-bit input.
    pub const ARM_32_LPAE_S2: c_uint = 1;
    /// `VMSAv8-64` stage 1.
    pub const ARM_64_LPAE_S1: c_uint = 2;
    /// `VMSAv8-64` stage 2.
    pub const ARM_64_LPAE_S2: c_uint = 3;
    /// Short descriptors.
    pub const ARM_V7S: c_uint = 4;
    /// Mali Midgard and Bifrost.
    pub const ARM_MALI_LPAE: c_uint = 5;
    /// AMD's host tables.
    pub const AMD_IOMMU_V1: c_uint = 6;
    /// AMD's v2 tables: x86-64.
    pub const AMD_IOMMU_V2: c_uint = 7;
    /// Apple's DART as in the T8020.
    pub const APPLE_DART: c_uint = 8;
    /// Apple's DART as in the T6000.
    pub const APPLE_DART2: c_uint = 9;
}

/// Bits of `cfg.quirks` that this implementation knows.
pub mod quirk {
    use core::ffi::c_ulong;
    /// Tables and leaves of stage 1 are marked non-secure.
    pub const ARM_NS: c_ulong = 1 << 0;
    /// Permissions have no place in leaves.
    pub const NO_PERMS: c_ulong = 1 << 1;
    /// Short descriptors are MediaTek's: 34 bits of input, 35 of output. Takes `NO_PERMS`, too.
    pub const ARM_MTK_EXT: c_ulong = 1 << 3;
    /// The tables of those may lie beyond 4 GiB.
    pub const ARM_MTK_TTBR_EXT: c_ulong = 1 << 4;
    /// The table is for the upper half of a split address space.
    pub const ARM_TTBR1: c_ulong = 1 << 5;
    /// A non-coherent walker whose outer cacheability is write-back all the same.
    pub const ARM_OUTER_WBWA: c_ulong = 1 << 6;
    /// Hardware notes which leaves of stage 1 were written through.
    pub const ARM_HD: c_ulong = 1 << 7;
}

/// Bits of the `flags` of `read_and_clear_dirty`.
pub mod dirty {
    use core::ffi::c_ulong;
    /// Read only.
    pub const NO_CLEAR: c_ulong = 1 << 0;
}

/// Bits of `prot`.
pub mod prot {
    use core::ffi::c_int;
    /// The device may read.
    pub const READ: c_int = 1 << 0;
    /// The device may write.
    pub const WRITE: c_int = 1 << 1;
    /// Memory that takes part in cache coherency.
    pub const CACHE: c_int = 1 << 2;
    /// Nothing may be fetched.
    pub const NOEXEC: c_int = 1 << 3;
    /// Device registers.
    pub const MMIO: c_int = 1 << 4;
    /// Privileged transactions only.
    pub const PRIV: c_int = 1 << 5;
}

/// `struct iommu_iotlb_gather`: collects what a driver will invalidate. Of an unmap's, only `queued`
/// is read here; the rest belongs to the driver's `tlb_add_page`. Of `read_and_clear_dirty`'s,
/// `start` and `end` are extended here.
#[repr(C)]
#[derive(Debug)]
pub struct IotlbGather {
    /// First address to invalidate.
    pub start: c_ulong,
    /// Last address to invalidate.
    pub end: c_ulong,
    /// The size of the pages in between.
    pub pgsize: usize,
    /// Pages to free afterwards: a list head of two pointers.
    pub freelist: [*mut c_void; 2],
    /// Whether a flush of everything is queued anyway, so that pages need not be added.
    pub queued: bool,
}

/// `struct iommu_flush_ops`: the driver's invalidation callbacks. Each may be null.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FlushOps {
    /// Invalidate everything of this table, now.
    pub tlb_flush_all: Option<unsafe extern "C" fn(cookie: *mut c_void)>,
    /// Invalidate cached walks (and leaves) in a range, now.
    pub tlb_flush_walk: Option<
        unsafe extern "C" fn(iova: c_ulong, size: usize, granule: usize, cookie: *mut c_void),
    >,
    /// Note one page that was unmapped.
    pub tlb_add_page: Option<
        unsafe extern "C" fn(
            gather: *mut IotlbGather,
            iova: c_ulong,
            granule: usize,
            cookie: *mut c_void,
        ),
    >,
}

/// `cfg.alloc`.
pub type AllocFn = unsafe extern "C" fn(cookie: *mut c_void, size: usize, gfp: Gfp) -> *mut c_void;
/// `cfg.free`.
pub type FreeFn = unsafe extern "C" fn(cookie: *mut c_void, pages: *mut c_void, size: usize);

/// `struct io_pgtable_cfg`: what a driver asks for, and what it gets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cfg {
    /// Deviations, as bits.
    pub quirks: c_ulong,
    /// Page sizes, as the sum of their bytes. Restricted to those of one granule by creation.
    pub pgsize_bitmap: c_ulong,
    /// Input address size in bits.
    pub ias: c_uint,
    /// Output address size in bits.
    pub oas: c_uint,
    /// Whether walkers snoop the CPU's caches.
    pub coherent_walk: bool,
    /// The driver's invalidation callbacks, or null.
    pub tlb: *const FlushOps,
    /// The device that walks; only passed on.
    pub iommu_dev: *mut c_void,
    /// The driver's allocator, or null.
    pub alloc: Option<AllocFn>,
    /// Its other half; null exactly where `alloc` is.
    pub free: Option<FreeFn>,
    /// What to program, filled in by creation.
    pub out: Output,
}

/// The union at the end of the configuration.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Output {
    /// Stage 1.
    pub s1: Stage1Output,
    /// Stage 2.
    pub s2: Stage2Output,
    /// Short descriptors.
    pub v7s: V7sOutput,
    /// Mali.
    pub mali: MaliOutput,
    /// AMD.
    pub amd: AmdOutput,
    /// Apple.
    pub dart: DartOutput,
    /// All of it.
    pub largest: [u64; 5],
}

/// What to program for stage 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stage1Output {
    /// The root's address.
    pub ttbr: u64,
    /// C's bit fields, from bit 0: ips (3 bits), tg (2), sh (2), orgn (2), irgn (2), tsz (6).
    pub tcr: u32,
    /// Memory attributes.
    pub mair: u64,
}

/// What to program for stage 2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stage2Output {
    /// The root's address.
    pub vttbr: u64,
    /// C's bit fields, from bit 0: ps (3 bits), tg (2), sh (2), orgn (2), irgn (2), sl (2),
    /// tsz (6).
    pub vtcr: u32,
}

/// What to program for short descriptors.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V7sOutput {
    /// The root's address, and how it is walked.
    pub ttbr: u32,
    /// How much of the address space it translates.
    pub tcr: u32,
    /// How normal memory is cached.
    pub nmrr: u32,
    /// Memory types.
    pub prrr: u32,
}

/// What to program for Mali.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MaliOutput {
    /// The root's address and the mode.
    pub transtab: u64,
    /// Memory attributes.
    pub memattr: u64,
}

/// What to program for AMD's tables. Linux has a NUMA node here, as an input, and keeps the root in
/// a structure around `cfg`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AmdOutput {
    /// The root's address.
    pub root: u64,
    /// How many levels there are: the mode.
    pub mode: u32,
}

/// What to program for Apple's DARTs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DartOutput {
    /// The roots' addresses.
    pub ttbr: [u64; 4],
    /// How many there are.
    pub n_ttbrs: u32,
}

/// `struct iova_bitmap`: only passed on.
#[repr(C)]
#[derive(Debug)]
pub struct IovaBitmap {
    _private: [u8; 0],
}

/// `struct iommu_dirty_bitmap`: where dirty pages are noted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DirtyBitmap {
    /// One bit a page, or null.
    pub bitmap: *mut IovaBitmap,
    /// What the driver must invalidate, or null.
    pub gather: *mut IotlbGather,
}

/// `ops->map_pages`.
pub type MapPages = unsafe extern "C" fn(
    ops: *mut Ops,
    iova: c_ulong,
    paddr: Phys,
    pgsize: usize,
    pgcount: usize,
    prot: c_int,
    gfp: Gfp,
    mapped: *mut usize,
) -> c_int;
/// `ops->unmap_pages`.
pub type UnmapPages = unsafe extern "C" fn(
    ops: *mut Ops,
    iova: c_ulong,
    pgsize: usize,
    pgcount: usize,
    gather: *mut IotlbGather,
) -> usize;
/// `ops->iova_to_phys`.
pub type IovaToPhys = unsafe extern "C" fn(ops: *mut Ops, iova: c_ulong) -> Phys;
/// `ops->read_and_clear_dirty`.
pub type ReadAndClearDirty = unsafe extern "C" fn(
    ops: *mut Ops,
    iova: c_ulong,
    size: usize,
    flags: c_ulong,
    dirty: *mut DirtyBitmap,
) -> c_int;

/// `struct io_pgtable_ops`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ops {
    /// Maps pages of one size that lie side by side in both address spaces.
    pub map_pages: MapPages,
    /// Unmaps pages that lie side by side.
    pub unmap_pages: UnmapPages,
    /// Translates one address.
    pub iova_to_phys: IovaToPhys,
    /// Collects dirty pages.
    pub read_and_clear_dirty: ReadAndClearDirty,
}

/// `struct io_pgtable`: what drivers find around their `ops`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IoPgtable {
    /// The format's number.
    pub fmt: c_uint,
    /// The driver's.
    pub cookie: *mut c_void,
    /// The configuration as it was granted.
    pub cfg: Cfg,
    /// The operations.
    pub ops: Ops,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_lie_where_compiled_drivers_expect_them() {
        assert_eq!(offset_of!(Cfg, pgsize_bitmap), 8);
        assert_eq!(offset_of!(Cfg, ias), 16);
        assert_eq!(offset_of!(Cfg, oas), 20);
        assert_eq!(offset_of!(Cfg, coherent_walk), 24);
        assert_eq!(offset_of!(Cfg, tlb), 32);
        assert_eq!(offset_of!(Cfg, iommu_dev), 40);
        assert_eq!(offset_of!(Cfg, alloc), 48);
        assert_eq!(offset_of!(Cfg, free), 56);
        assert_eq!(offset_of!(Cfg, out), 64);
        assert_eq!(size_of::<Cfg>(), 104);
        assert_eq!(offset_of!(Stage1Output, tcr), 8);
        assert_eq!(offset_of!(Stage1Output, mair), 16);
        assert_eq!((offset_of!(V7sOutput, nmrr), offset_of!(V7sOutput, prrr)), (8, 12));
        assert_eq!(offset_of!(IotlbGather, freelist), 24);
        assert_eq!(offset_of!(IotlbGather, queued), 40);
        assert_eq!(offset_of!(IoPgtable, cookie), 8);
        assert_eq!(offset_of!(IoPgtable, cfg), 16);
        assert_eq!(offset_of!(IoPgtable, ops), 120);
        assert_eq!(size_of::<Ops>(), 32);
        assert_eq!(offset_of!(DirtyBitmap, gather), 8);
    }
}
