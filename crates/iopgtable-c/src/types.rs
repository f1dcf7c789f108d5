//! The structures and numbers that C passes and gets.

use core::ffi::c_void;

/// Format: Arm's 64-bit stage 1.
pub const IOPGTABLE_ARM64_S1: u32 = 1;
/// Format: Arm's 64-bit stage 2.
pub const IOPGTABLE_ARM64_S2: u32 = 2;
/// Format: Mali Midgard and Bifrost. 4 KiB granule only.
pub const IOPGTABLE_ARM_MALI: u32 = 3;
/// Format: Arm's 64-bit stage 1 with the descriptors of `FEAT_LPA2`, with which addresses have up
/// to 52 bits. 4 KiB and 16 KiB granules.
pub const IOPGTABLE_ARM64_S1_LPA2: u32 = 4;
/// Format: Arm's 64-bit stage 2 with the descriptors of `FEAT_LPA2`. 4 KiB and 16 KiB granules.
pub const IOPGTABLE_ARM64_S2_LPA2: u32 = 5;
/// Format: Arm's 32-bit stage 1 with long descriptors. 4 KiB granule only.
pub const IOPGTABLE_ARM32_S1: u32 = 6;
/// Format: Arm's 32-bit stage 2. 4 KiB granule only.
pub const IOPGTABLE_ARM32_S2: u32 = 7;
/// Format: x86-64, which AMD's IOMMUs walk as v2 tables and Intel's as the first stage. 4 KiB
/// granule only.
pub const IOPGTABLE_X86_64: u32 = 8;
/// Format: the second stage of Intel's IOMMUs. 4 KiB granule only.
pub const IOPGTABLE_VTD_S2: u32 = 9;
/// Format: RISC-V's first stage, Sv39, Sv48 and Sv57. 4 KiB granule only.
pub const IOPGTABLE_RISCV: u32 = 10;
/// Format: RISC-V's G-stage, Sv39x4, Sv48x4 and Sv57x4. 4 KiB granule only.
pub const IOPGTABLE_RISCV_G: u32 = 11;
/// Format: Apple's DART as in the T8020. 16 KiB granule only.
pub const IOPGTABLE_APPLE_DART: u32 = 12;
/// Format: Apple's DART as in the T6000. 16 KiB granule only.
pub const IOPGTABLE_APPLE_DART2: u32 = 13;
/// Format: Arm's short descriptors, in 32 bits. 4 KiB granule only; tables of 1 KiB.
pub const IOPGTABLE_ARM_V7S: u32 = 14;
/// Format: Arm's short descriptors as MediaTek's IOMMUs extend them, for 34 bits of device address
/// and 35 of physical address. 4 KiB granule only; tables of 1 KiB.
pub const IOPGTABLE_MEDIATEK_V7S: u32 = 15;
/// Format: AMD's host page tables (v1). 4 KiB granule only.
pub const IOPGTABLE_AMD_V1: u32 = 16;

/// Option: the table translates the upper half of the address space, device addresses whose bits
/// from the input size on, or from the sign on, are all ones (`TTBR1`; in 32 bits, the upper end of
/// these). Stage 1 and x86-64.
pub const IOPGTABLE_UPPER_HALF: u32 = 1;
/// Option: tables and what they map lie in the non-secure address space although walks begin in
/// the secure one. Stage 1.
pub const IOPGTABLE_NON_SECURE: u32 = 2;
/// Option: walks, which are not coherent, may be cached outside, in a system cache. Stage 1; not
/// with a coherent allocator.
pub const IOPGTABLE_OUTER_WRITE_BACK: u32 = 4;
/// Option: every leaf allows everything, whatever is asked for. Arm's stages.
pub const IOPGTABLE_NO_PERMISSIONS: u32 = 8;
/// Option: stage 2 says how memory is cached, whatever stage 1 says (`FEAT_S2FWB`); the driver
/// sets `HCR_EL2.FWB`, or `S2FWB` in the stream table entry. 64-bit stage 2.
pub const IOPGTABLE_FORCE_WRITE_BACK: u32 = 16;
/// Option: hardware notes which leaves were written through (`FEAT_HAFDBS`): see
/// `iopgtable_read_and_clear_dirty`. Arm's 64-bit stages, x86-64, VT-d, RISC-V and AMD v1.
pub const IOPGTABLE_HARDWARE_DIRTY: u32 = 32;
/// Option: aligned groups of leaves that lie side by side carry the contiguous hint (Arm's stages),
/// or are pages of 64 KiB (RISC-V: Svnapot).
pub const IOPGTABLE_CONTIGUOUS: u32 = 64;
/// Option: requests to cached memory snoop caches whatever the device says (`SNP`). VT-d.
pub const IOPGTABLE_FORCE_SNOOP: u32 = 128;
/// Option: leaves say what kind of memory they lead to, where otherwise the platform alone does
/// (Svpbmt). RISC-V.
pub const IOPGTABLE_MEMORY_TYPES: u32 = 256;
/// Option: tables may lie beyond 2^32. MediaTek's IOMMUs, those that extend the base register and
/// table descriptors for that.
pub const IOPGTABLE_WIDE_TABLES: u32 = 512;

/// Splits: leaves that a walker may see are cut where an operation needs that; the gather says
/// where it happened (`break_before_make`).
pub const IOPGTABLE_SPLITS_LIVE: u32 = 0;
/// Splits: an operation that would cut a leaf, or a group of leaves with the contiguous hint, fails
/// with `SPLIT`.
pub const IOPGTABLE_SPLITS_FORBIDDEN: u32 = 1;

/// Break-before-make: leaves changed their size, or lost the contiguous hint. No concern of
/// hardware with `FEAT_BBM` level 2.
pub const IOPGTABLE_RESIZED: u32 = 1;
/// Break-before-make: leaves may have changed their output address or their memory type.
pub const IOPGTABLE_REWRITTEN: u32 = 2;

/// The device may read. (Stage 1 and x86-64 require it.)
pub const IOPGTABLE_READ: u32 = 1;
/// The device may write. (RISC-V takes it with reading only.)
pub const IOPGTABLE_WRITE: u32 = 2;
/// The device may fetch instructions. (VT-d's second stage and DARTs do not tell that from reading,
/// and refuse it.)
pub const IOPGTABLE_EXECUTE: u32 = 4;
/// Only privileged transactions may use it. (First stages and x86-64 only.)
pub const IOPGTABLE_PRIVILEGED: u32 = 8;
/// Normal memory that takes part in cache coherency.
pub const IOPGTABLE_CACHED: u32 = 16;
/// Device registers. Not together with `IOPGTABLE_CACHED`.
pub const IOPGTABLE_DEVICE: u32 = 32;

/// What a table is to be.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// One of the formats above.
    pub format: u32,
    /// The size of the smallest page and of tables in bytes: 4096, 16384 or 65536.
    pub granule: u32,
    /// How many bits a device address has: 32 to 48, with a granule of 65536 and with LPA2 to 52;
    /// for stage 2 at most `output_bits`, and in 32 bits at most 40; for 32-bit stage 1 25 to 32
    /// (31 for the upper half). For x86-64 32 to 57 with the sign: the table translates the half
    /// without it, or the upper half. For VT-d 32 to 57: three levels up to 39, four up to 48.
    /// For RISC-V likewise with the sign, and for its G-stage with two bits more. For DARTs 32
    /// to 38. For AMD v1 21 to 64. For short descriptors 25 to 32, for MediaTek's 32 to 34.
    pub input_bits: u32,
    /// How many bits a physical address has: 32, 36, 40, 42, 44 or 48, with a granule of 65536 and
    /// with LPA2 also 52; for Mali and in 32 bits 32 to 40; for x86-64 and VT-d 32 to 52;
    /// for RISC-V 32 to 56; for DARTs 32 to 36, or to 42; for AMD v1 32 to 52; for MediaTek's short
    /// descriptors 32 to 35. For other short descriptors 32 or 40: what lies beyond 32 bits is mapped
    /// in multiples of 16 MiB, aligned alike in both address spaces, and none of these is cut.
    pub output_bits: u32,
    /// What the format may do beyond the plain: options from above, added up; 0 for none.
    pub options: u32,
    /// Whether leaves that a walker may see may be cut: `IOPGTABLE_SPLITS_LIVE` or
    /// `IOPGTABLE_SPLITS_FORBIDDEN`.
    pub splits: u32,
    /// The most bytes that one leaf may translate, for hardware that lacks the larger leaves of
    /// its format; 0 for no such limit.
    pub largest_leaf: u64,
}

/// Where tables come from. All callbacks get `cookie` first, may be called from the thread that
/// calls into a table that uses them, and must not call back into it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    /// The caller's.
    pub cookie: *mut c_void,
    /// Returns `bytes` bytes of memory, aligned to `bytes` in both address spaces, or null. The
    /// rest says what for: the level of the table (-2 to 0 is the root's side, 3 holds pages), whether
    /// it is a root, the first device address of the operation that wants it, and whether the
    /// allocator may block.
    pub alloc: Option<
        unsafe extern "C" fn(
            cookie: *mut c_void,
            bytes: usize,
            level: i8,
            root: bool,
            iova: u64,
            may_block: bool,
        ) -> *mut u8,
    >,
    /// Takes back what `alloc` returned for the same number of bytes. Must not block.
    pub free: Option<unsafe extern "C" fn(cookie: *mut c_void, page: *mut u8, bytes: usize)>,
    /// Where a walker finds a page. Null, together with `phys_to_virt`, where that is the
    /// pointer itself.
    pub virt_to_phys: Option<unsafe extern "C" fn(cookie: *mut c_void, page: *const u8) -> u64>,
    /// The pointer of the page at a physical address.
    pub phys_to_virt: Option<unsafe extern "C" fn(cookie: *mut c_void, phys: u64) -> *mut u8>,
    /// Makes `bytes` bytes that the CPU wrote at `cpu` visible to walkers, which find them at
    /// `phys`; they lie within one table. Publications take effect in the order of the calls.
    /// Null where walkers snoop the CPU's caches.
    pub publish:
        Option<unsafe extern "C" fn(cookie: *mut c_void, cpu: *const u8, phys: u64, bytes: usize)>,
    /// Ends an operation: all that was published must now reach the walkers in bounded time.
    /// May be null.
    pub commit: Option<unsafe extern "C" fn(cookie: *mut c_void)>,
    /// The highest physical address of any byte of any table.
    pub last_phys: u64,
    /// Whether `alloc` returns memory that is zero, also for walkers.
    pub zeroed: bool,
    /// Whether walkers snoop the CPU's caches; the registers say the same to the hardware.
    pub coherent: bool,
}

/// Physically contiguous memory, both numbers in bytes and multiples of the granule.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its first byte.
    pub phys: u64,
    /// Its length.
    pub bytes: u64,
}

/// Device addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub iova: u64,
    /// How many bytes there are; 0 where the range is empty.
    pub bytes: u64,
}

/// The values that go with a failure; see the status.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// `OVERLAP`: the first address that is mapped. `EXHAUSTED`: where a table was wanted; what
    /// lies below is done. `UNALIGNED`, `INPUT_RANGE`: the range's first address. `HOLE`: the
    /// hole's. `SPLIT`: the first address of the block that would be cut.
    pub iova: u64,
    /// `OVERLAP`: the bytes of the leaf that maps it. `UNALIGNED`: the granule. `INPUT_RANGE`:
    /// the last device address. `HOLE`: the hole's bytes. `UNALIGNED_SEGMENT`, `OUTPUT_RANGE`:
    /// the segment's physical address. `SPLIT`: the block's bytes. `BITMAP`:
    /// how many words the range takes.
    pub value: u64,
}

/// The shape of a table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The size of the smallest leaf in bytes.
    pub granule: u64,
    /// The bytes of every table but the root.
    pub table_bytes: u64,
    /// The bytes of the root.
    pub root_bytes: u64,
    /// The sum of the sizes that a leaf can have, each a power of two.
    pub leaf_sizes: u64,
    /// The first device address: 0 but for the upper half.
    pub first_iova: u64,
    /// The last device address.
    pub last_iova: u64,
    /// The last physical address.
    pub last_phys: u64,
    /// The root's level, -2 to 2; pages stand at level 3.
    pub first_level: i32,
    /// How many tables there are on the way to a page, the root included.
    pub levels: u32,
}

/// What to program so that a device walks a table. What a format does not have is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Stage 1: `TTBR0`, for the upper half `TTBR1`. Stage 2: `VTTBR_EL2`. Mali: `AS_TRANSTAB`.
    /// x86-64: `CR3`. VT-d: the first word of a PASID table entry, present, with a domain to be added
    /// in the second word; the root is in bits 63:12. RISC-V: `satp` or `hgatp`.
    /// DART: the first `TTBR`, and the second one above it. Short descriptors: `TTBR0`.
    /// AMD v1: the first 64 bits of the device table entry.
    pub root: u64,
    /// Stage 1: `TCR_EL1`, with IPS. Stage 2: `VTCR_EL2`. In 32 bits: `TTBCR` and `VTCR`.
    /// x86-64: the bits of `CR4` that make a processor walk so (`EFER` needs LME and NXE). VT-d: the
    /// second word of a PASID table entry. RISC-V: bit 0 where hardware is to set accessed and dirty
    /// flags (`ADUE`, `SADE`, `GADE`), bit 1 where leaves say the memory type (`PBMTE`), bit 2 where
    /// hardware has to have Svnapot. DART: the third `TTBR`, and the fourth one above it; 0 where one
    /// root suffices. Short descriptors: `TTBCR`. AMD v1: 1 where walks are to snoop the processors' caches, else 0.
    pub control: u64,
    /// Stage 1: `MAIR`; in 32 bits `MAIR0`, and `MAIR1` above it. Mali: `AS_MEMATTR`.
    /// x86-64: `IA32_PAT` as the leaves take it. Short descriptors: `PRRR`, and `NMRR` above it.
    pub attributes: u64,
}

/// Where an address leads.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the very byte.
    pub phys: u64,
    /// The bytes that the leaf maps.
    pub leaf_bytes: u64,
    /// What is allowed.
    pub prot: u32,
}

/// What a visit comes across: a table or a leaf.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Visited {
    /// The device addresses that it translates.
    pub span: Range,
    /// A table's own address, or where the leaf leads.
    pub phys: u64,
    /// Its level.
    pub level: i32,
    /// A leaf's permissions; 0 for a table, as no leaf allows nothing.
    pub prot: u32,
}

/// Called for each table and leaf, in ascending order, a table before what it holds. `visited` is
/// the visitor's during the call. Must not call into the table.
pub type Visitor = Option<unsafe extern "C" fn(context: *mut c_void, visited: *const Visited)>;

/// A number of tables by level. The root's level is not counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCount {
    /// The tables of each level, from level -2 on.
    pub at_level: [u64; 6],
}

/// What a device must forget. A range of 0 bytes is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// Where cached translations are out of date.
    pub leaves: Range,
    /// Where cached walks are out of date.
    pub walks: Range,
    /// Where translations that walkers may see were changed without having been invalid in between:
    /// hardware that wants break-before-make may have raised a conflict, or used either
    /// translation, there.
    pub break_before_make: Range,
    /// Why: `IOPGTABLE_RESIZED`, `IOPGTABLE_REWRITTEN` or both; 0 where the range is empty.
    pub reasons: u32,
}
