//! Linux's io-pgtable interface, as of Linux 6.12, on top of the engine.
//!
//! A driver (or a test of Linux's own) that was compiled against `linux/io-pgtable.h` links with
//! this library in place of Linux's implementation. There is no header for it here: Linux's is
//! the one to use.
//!
//! # What is there
//!
//! | format | granules | quirks |
//! |---|---|---|
//! | `ARM_64_LPAE_S1` | 4K, 16K, 64K | `ARM_NS`, `ARM_TTBR1`, `ARM_OUTER_WBWA`, `ARM_HD` |
//! | `ARM_64_LPAE_S2` | 4K, 16K, 64K | |
//! | `ARM_32_LPAE_S1` | 4K | `ARM_NS`, `ARM_OUTER_WBWA` |
//! | `ARM_32_LPAE_S2` | 4K | |
//! | `ARM_MALI_LPAE` | 4K | |
//! | `ARM_V7S` | 4K | `ARM_NS`; `ARM_MTK_EXT` with `NO_PERMS`, and `ARM_MTK_TTBR_EXT` with these |
//! | `AMD_IOMMU_V1` | 4K | |
//! | `AMD_IOMMU_V2` | 4K | |
//! | `APPLE_DART`, `APPLE_DART2` | 16K | |
//!
//! All other formats, and all other quirks, make [`alloc_io_pgtable_ops`] return null. Every
//! format takes a custom allocator. Addresses have up to 48 bits, and up to 52 with 64 KiB, where
//! pages of 4 TiB come with them.
//!
//! `read_and_clear_dirty` answers for `ARM_64_LPAE_S1`: into the driver's gather, and into Linux's
//! bitmaps once the platform has said how with [`iopgtable_linux_set_iova_bitmap`]. Without `ARM_HD`
//! no page is ever dirty.
//!
//! # Where it differs from Linux 6.12
//!
//! - `map_pages` maps all of `pgcount`, across tables, or nothing: a caller's loop around it runs
//!   once. Likewise `unmap_pages` goes on across tables up to the first hole.
//! - Arguments that Linux leaves unchecked are refused: addresses that are not aligned to the page
//!   size (`-EINVAL`, or 0 bytes unmapped), ranges that end beyond the input or the output size
//!   (`-ERANGE`, or 0 bytes unmapped).
//! - Input sizes below 32 bits (below 25 for `ARM_32_LPAE_S1`) are refused at creation, and so are
//!   those of stage 2 that are larger than the output, and outputs of less than 32 bits for Mali.
//! - The 32-bit stage 1 has neither `ARM_TTBR1`, whose addresses Linux extends to 64 bits, nor
//!   `ARM_HD`, which the architecture does not have there.
//! - What privileged transactions alone may use can be fetched by them alone: in 64-bit stage 1,
//!   leaves with `IOMMU_PRIV` and without `IOMMU_NOEXEC` have `UXN` set.
//! - Nobody can fetch from stage-2 leaves with `IOMMU_NOEXEC`, also with `FEAT_XNX`: `XN[1:0]` is
//!   `0b10`, where `0b11` would forbid it to EL0 alone.
//! - Leaves with `IOMMU_MMIO` are outer shareable also with `IOMMU_CACHE`.
//! - `read_and_clear_dirty` changes and notes nothing where a page of the range is not mapped. A leaf
//!   that sticks out of the range is noted as far as it lies there, and stays dirty. It works with
//!   `ARM_TTBR1`.
//! - Stage 2 concatenates root tables only where the architecture asks for it.
//! - Roots smaller than a granule are allocated as one granule.
//! - `mair` has no stray bits above its fourth byte.
//! - `AMD_IOMMU_V2` takes the input size from `ias`, 57 bits at most and with five levels beyond 48,
//!   and the page sizes and the output size from `cfg`, too, which Linux overwrites. It translates
//!   the lower half of that, where devices with and without PASID agree. The root's address is at
//!   the start of the union in `cfg`, as the structure around `cfg` is not known here. Leaves with
//!   `IOMMU_NOEXEC` forbid execution, those with `IOMMU_PRIV` lack the user bit, and those with
//!   `IOMMU_MMIO` are uncached.
//! - Apple's DARTs have 16 KiB pages only, 36 bits of output as in the T8020, and 36 or 42 as in the
//!   T6000; several roots lie side by side, as one allocation; walks may be not coherent.
//! - Where several tables go at once, `tlb_flush_walk` is called once, with a range that covers
//!   them all, before any of them is freed.
//! - Nothing is logged.
//!
//! # One call at a time
//!
//! Linux lets operations on different ranges of one table run at once. **This implementation does
//! not yet**: the caller sees to it that one operation runs at a time on each table (as GPU drivers
//! do, who hold a lock per address space); `iova_to_phys` counts as one.
//!
//! # Non-coherent walkers
//!
//! Linux cleans caches through its DMA calls. Where there is none to link against, the platform
//! gives its own with [`iopgtable_linux_set_sync`]; until it does, tables with
//! `coherent_walk = false` are refused.

use core::ffi::{c_int, c_uint, c_void};
use core::mem::offset_of;
use core::ptr;

use iopgtable::format::{Attributes, Dart, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, MediaTek, PageTable, Unextended, X86_64,
};

pub mod abi;
mod barrier;
mod config;
mod dirty;
mod format;
mod map;
mod ops;
mod pages;
mod sizes;
mod sync;
mod unmap;

pub use dirty::{BitmapFn, iopgtable_linux_set_iova_bitmap};
pub use sync::{SyncFn, iopgtable_linux_set_sync};

use abi::{Cfg, IoPgtable, Ops};
use config::Choice;
use format::LinuxFormat;
use pages::Pages;
use sync::Sync;

/// What `ops` lies in: first what drivers may look at, then what is ours.
#[repr(C)]
struct Object<F: LinuxFormat> {
    head: Head,
    table: PageTable<F, Pages>,
    /// What leaves look like, for each value of `prot` that allows something and that the format can
    /// express.
    attributes: [Option<Attributes>; format::PROTS],
}

impl<F: LinuxFormat> Object<F> {
    /// What leaves look like with `prot`, if it allows something and the format can express it.
    #[inline]
    const fn attributes_for(&self, prot: c_int) -> Option<Attributes> {
        self.attributes[format::known_bits(prot)]
    }
}

/// The part of an [`Object`] that does not depend on its format.
#[repr(C)]
struct Head {
    public: IoPgtable,
    /// Destroys the object and frees its tables.
    destroy: unsafe fn(*mut Head),
}

/// The object around `ops`.
fn head_of(ops: *mut Ops) -> *mut Head {
    // Within the allocation that `ops` points into the middle of, if it is what it should be.
    ops.wrapping_byte_sub(offset_of!(Head, public) + offset_of!(IoPgtable, ops)).cast()
}

/// Makes an empty table of `fmt` as `cfg` asks, and fills `cfg` in with what was granted and with
/// what to program. Returns null where that is not possible: an unknown format, page sizes of no
/// granule, address sizes or quirks that the format does not have, half a custom allocator, no
/// memory for the root.
///
/// `cookie` is passed to the callbacks, those of the allocator included, which may be called
/// before this function returns.
///
/// # Safety
///
/// `cfg` is null (and refused) or points to a configuration. Until the table is destroyed,
/// `cfg->tlb` and what it points to stay valid, and all callbacks in it and in `cfg` may be called
/// with `cookie` and do not unwind. A custom `alloc` returns null or zeroed memory of at least the
/// size asked for, aligned to it, which is the table's alone until it goes to `free`, and whose
/// physical address, for the walker, is its pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_io_pgtable_ops(
    fmt: c_uint,
    cfg: *mut Cfg,
    cookie: *mut c_void,
) -> *mut Ops {
    // SAFETY: the caller passes null or a configuration that nobody else uses meanwhile.
    let Some(cfg) = (unsafe { cfg.as_mut() }) else {
        return ptr::null_mut();
    };
    if cfg.alloc.is_some() != cfg.free.is_some() {
        return ptr::null_mut();
    }
    let create = match config::choose(fmt, cfg) {
        Some(Choice::Stage1(12)) => create::<Arm64S1<Granule4K>>,
        Some(Choice::Stage1(14)) => create::<Arm64S1<Granule16K>>,
        Some(Choice::Stage1(_)) => create::<Arm64S1<Granule64K>>,
        Some(Choice::Stage2(12)) => create::<Arm64S2<Granule4K>>,
        Some(Choice::Stage2(14)) => create::<Arm64S2<Granule16K>>,
        Some(Choice::Stage2(_)) => create::<Arm64S2<Granule64K>>,
        Some(Choice::Stage1Of32) => create::<Arm32S1>,
        Some(Choice::Stage2Of32) => create::<Arm32S2>,
        Some(Choice::Mali) => create::<ArmMali>,
        Some(Choice::AmdV2) => create::<X86_64>,
        Some(Choice::Dart) => create::<Dart<T8020>>,
        Some(Choice::Dart2) => create::<Dart<T6000>>,
        Some(Choice::V7s) => create::<ArmV7s<Unextended>>,
        Some(Choice::MediaTekV7s) => create::<ArmV7s<MediaTek>>,
        Some(Choice::AmdV1) => create::<AmdV1>,
        None => return ptr::null_mut(),
    };
    // SAFETY: the caller's promise about `cfg` and `cookie` is passed on.
    unsafe { create(fmt, cfg, cookie) }.unwrap_or(ptr::null_mut())
}

/// # Safety
///
/// As for [`alloc_io_pgtable_ops`].
unsafe fn create<F: LinuxFormat>(
    fmt: c_uint,
    cfg: &mut Cfg,
    cookie: *mut c_void,
) -> Option<*mut Ops> {
    if cfg.quirks & !F::QUIRKS != 0 {
        return None;
    }
    let sync = if cfg.coherent_walk { None } else { Some(Sync::for_device(cfg.iommu_dev)?) };
    // SAFETY: the caller's promise covers the functions in `cfg`.
    let pages = unsafe { Pages::new(cfg, cookie, sync, F::table_address_bits(cfg)) }?;
    let sizes = Config::new(u8::try_from(cfg.ias).ok()?, u8::try_from(cfg.oas).ok()?);
    let options = config::options(cfg.quirks);
    let config = sizes.with(options).largest_leaf(config::largest_leaf(fmt, cfg));
    let table = PageTable::<F, Pages>::new(config, pages).ok()?;
    // SAFETY: the driver, who is about to have the table walked, destroys it only when that is
    // over, and each gather here is invalidated through the driver's callbacks.
    F::store(unsafe { table.registers() }, cfg);
    let public = IoPgtable { fmt, cookie, cfg: *cfg, ops: ops::table::<F>() };
    let attributes = format::attributes(&table);
    let object =
        Box::new(Object { head: Head { public, destroy: destroy::<F> }, table, attributes });
    // SAFETY: the object lives until `destroy`; the pointer may reach all of it.
    Some(unsafe { &raw mut (*Box::into_raw(object)).head.public.ops })
}

/// # Safety
///
/// `head` is that of an `Object<F>` that `create` made and nobody uses any more.
unsafe fn destroy<F: LinuxFormat>(head: *mut Head) {
    // SAFETY: the caller's promise; `head` is the object's first field.
    drop(unsafe { Box::from_raw(head.cast::<Object<F>>()) });
}

/// Destroys a table: has the driver invalidate everything (`tlb_flush_all`), then frees all
/// tables. Null is ignored.
///
/// # Safety
///
/// `ops` is null or came from [`alloc_io_pgtable_ops`], was not freed before, and is not used any
/// more; no walker walks the table any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_io_pgtable_ops(ops: *mut Ops) {
    if ops.is_null() {
        return;
    }
    let head = head_of(ops);
    // SAFETY: the object is there (the caller's promise).
    let Head { public, destroy } = unsafe { head.read() };
    // SAFETY: `tlb` is null or stays valid, and may be called with the cookie.
    if let Some(flush_all) = unsafe { public.cfg.tlb.as_ref() }.and_then(|tlb| tlb.tlb_flush_all) {
        // SAFETY: as above.
        unsafe { flush_all(public.cookie) };
    }
    // SAFETY: `destroy` is that of the object's format, and nobody uses it any more.
    unsafe { destroy(head) };
}
