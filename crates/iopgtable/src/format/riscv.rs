//! `RISCV_64` and `RISCV_64_G`: RISC-V's first stage and G-stage, as processors and IOMMUs walk
//! them.
//!
//! # References
//!
//! The RISC-V Instruction Set Manual, volume II: "Sv39", "Sv48", "Sv57", "Svnapot", "Svpbmt",
//! "Svade" and "Svadu"; "H" extension, "Two-Stage Address Translation"; `satp`, `hgatp`. RISC-V IOMMU
//! Architecture Specification: `iosatp`, `iohgatp`, translation control (`tc`).

use core::fmt;
use core::marker::PhantomData;

use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Groups, Options, Sealed,
    check, check_prot, output_bits_to, signed,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};
use crate::prot::{Prot, ProtError};

/// RISC-V's page tables of stage `S`: 4 KiB pages, leaves at every level, 56 bits of output.
///
/// Whatever can be written can be read, so [`Prot::WRITE`] alone is refused. Leaves are accessed,
/// and writable ones dirty, from the start, so that hardware has nothing to set in them, or to
/// fault for (Svade); with [`Options::HARDWARE_DIRTY`], hardware notes writes in leaves that were
/// made clean (Svadu). Nothing is global.
///
/// What memory is like is the platform's to say (its attributes), and [`Prot::CACHED`] and
/// [`Prot::DEVICE`] make no difference, unless [`Options::MEMORY_TYPES`] (Svpbmt) says that leaves
/// do: then cached memory is as the platform has it, what is neither is uncached and weakly ordered,
/// and devices are strongly ordered.
///
/// With [`Options::CONTIGUOUS`] (Svnapot), there are pages of 64 KiB, too, which stand in sixteen
/// entries.
#[derive(Clone, Copy, Debug)]
pub struct RiscV<S: RiscVStage>(PhantomData<S>);

/// A stage of RISC-V's translation.
pub trait RiscVStage: Copy + fmt::Debug + Send + Sync + Sealed + 'static {
    /// Linux's name for its tables, or what would be that.
    const NAME: &'static str;
    /// Whether it is the G-stage.
    const IS_G: bool;
}

/// The first stage (and VS-stage): Sv39, Sv48, Sv57.
///
/// Device addresses are sign-extended. [`Config::input_bits`] counts the sign: up to 39 bits are
/// Sv39, up to 48 Sv48, up to 57 Sv57. The table translates the lower half, or with
/// [`Options::UPPER_HALF`] the upper one; the root has 512 entries in any case. What is not
/// [`Prot::PRIVILEGED`] is for U-mode, and for S-mode's loads and stores with `SUM`.
#[derive(Clone, Copy, Debug)]
pub enum FirstStage {}

/// The G-stage, of guests' physical addresses: Sv39x4, Sv48x4, Sv57x4.
///
/// Up to 41 bits of input are Sv39x4, up to 50 Sv48x4, up to 59 Sv57x4. The root has 16 KiB. All
/// accesses count as U-mode's, so [`Prot::PRIVILEGED`] is refused.
#[derive(Clone, Copy, Debug)]
pub enum GStage {}

impl Sealed for FirstStage {}
impl Sealed for GStage {}

impl RiscVStage for FirstStage {
    const NAME: &'static str = "RISCV_64";
    const IS_G: bool = false;
}

impl RiscVStage for GStage {
    const NAME: &'static str = "RISCV_64_G";
    const IS_G: bool = true;
}

/// What a driver programs for [`RiscV`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiscVRegisters {
    /// `satp`, or of the G-stage `hgatp`: `MODE` and `PPN`; ASID or VMID are zero. `iosatp` and
    /// `iohgatp` look the same.
    pub atp: u64,
    /// Hardware is to set the accessed and the dirty flag: `menvcfg.ADUE` (`henvcfg.ADUE` under a
    /// G-stage), or `SADE` and `GADE` of an IOMMU's `tc`.
    pub hardware_updates: bool,
    /// Leaves say the memory type: `menvcfg.PBMTE` (`henvcfg.PBMTE`). IOMMUs that can, do.
    pub memory_types: bool,
    /// Leaves may be parts of 64 KiB pages: nothing to program, but hardware has to have Svnapot.
    pub napot: bool,
}

const VALID: u64 = 1 << 0;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 6;
const DIRTY: u64 = 1 << 7;
/// Bits 9:8: software's.
const SOFTWARE: u64 = 0b11 << 8;
/// `PPN`, bits 53:10: bits 55:12 of an address.
const FIELD: u64 = ((1 << 54) - 1) & !0x3ff;
const FIELD_SHIFT: u32 = 2;
/// `PBMT`, bits 62:61: uncached idempotent memory, and I/O.
const TYPE_UNCACHED: u64 = 0b01 << 61;
const TYPE_IO: u64 = 0b10 << 61;
const TYPE: u64 = 0b11 << 61;
/// `N`, bit 63: the entry is one of a page that is larger, and the lowest bit of `PPN` that is set
/// says how much. There is one size, of sixteen entries.
const NAPOT: u64 = 1 << 63;
const NAPOT_LOG2: u32 = 4;
const NAPOT_SIZE: u64 = 1 << 13;
/// The address bits within such a page.
const NAPOT_INSIDE: u64 = 0xffff;

const MODE_SHIFT: u32 = 60;
/// `MODE` of three levels; those of four and five follow, in either stage.
const MODE_39: u64 = 8;

impl<S: RiscVStage> Sealed for RiscV<S> {}

impl<S: RiscVStage> Format for RiscV<S> {
    const NAME: &'static str = S::NAME;
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    type Word = u64;
    const MIN_LEVEL: i8 = -1;
    const OPTIONS: Options = {
        let all = Options::HARDWARE_DIRTY.with(Options::MEMORY_TYPES).with(Options::CONTIGUOUS);
        if S::IS_G { all } else { all.with(Options::UPPER_HALF) }
    };
    const FIELD_BITS: u32 = u64::BITS;
    const FIELD_SHIFT: u32 = FIELD_SHIFT;
    const CONTIGUOUS: u64 = 0;
    const GROUPS: Groups = Groups::OptionalPages;
    const LIVE: u64 = READ | WRITE | EXECUTE | USER | ACCESSED | DIRTY | SOFTWARE;
    const PUBLISHED: u64 = 1 << 8;
    type Registers = RiscVRegisters;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let (more, root_bits) = if S::IS_G { (2, 11) } else { (0, 9) };
        check::<Self>(config, (32, 57 + more), output_bits_to(56))?;
        let first_level = match config.input_bits - more {
            ..=39 => 1,
            40..=48 => 0,
            _ => -1,
        };
        let sizes = Sizes { page_shift: Self::PAGE_SHIFT, first_level, root_bits };
        let leaf_levels = [-1, 0, 1, 2, LAST_LEVEL];
        let geometry = if S::IS_G {
            Geometry::new(sizes, config, &leaf_levels)
        } else {
            signed(sizes, config, &leaf_levels)
        };
        let napot = config.options.contains(Options::CONTIGUOUS);
        Ok(if napot {
            geometry.with_pages(config.largest_leaf, Self::group_sizes)
        } else {
            geometry
        })
    }

    fn registers(geometry: &Geometry, options: Options, root: PhysAddr, _: bool) -> RiscVRegisters {
        let mode = MODE_39 + u64::from(geometry.levels()) - 3;
        RiscVRegisters {
            atp: mode << MODE_SHIFT | root.0 >> Self::PAGE_SHIFT,
            hardware_updates: options.contains(Options::HARDWARE_DIRTY),
            memory_types: options.contains(Options::MEMORY_TYPES),
            napot: options.contains(Options::CONTIGUOUS),
        }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
        if prot.contains(Prot::WRITE) && !prot.contains(Prot::READ) {
            return Err(ProtError::WriteAlone);
        }
        if S::IS_G && prot.contains(Prot::PRIVILEGED) {
            return Err(ProtError::NoPrivilege);
        }
        let mut bits = VALID | ACCESSED;
        if prot.contains(Prot::READ) {
            bits |= READ;
        }
        if prot.contains(Prot::WRITE) {
            bits |= WRITE | DIRTY;
        }
        if prot.contains(Prot::EXECUTE) {
            bits |= EXECUTE;
        }
        if !prot.contains(Prot::PRIVILEGED) {
            bits |= USER;
        }
        if options.contains(Options::MEMORY_TYPES) {
            if prot.contains(Prot::DEVICE) {
                bits |= TYPE_IO;
            } else if !prot.contains(Prot::CACHED) {
                bits |= TYPE_UNCACHED;
            }
        }
        Ok(Attributes { page: bits, block: bits })
    }

    #[inline]
    fn output(phys: PhysAddr) -> u64 {
        // Nothing to cut off: addresses were checked against the output size.
        phys.0 >> FIELD_SHIFT
    }

    fn table_bits(_: Options) -> u64 {
        VALID
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        if entry & VALID == 0 {
            return Entry::Empty;
        }
        let inside = if Self::group_of(entry, level) > 0 { NAPOT_INSIDE } else { 0 };
        let address = PhysAddr((entry & FIELD) << FIELD_SHIFT & !inside);
        match (entry & (READ | WRITE | EXECUTE), level) {
            (0, LAST_LEVEL) => Entry::Empty,
            (0, _) => Entry::Table(address),
            _ => Entry::Leaf(address),
        }
    }

    #[inline]
    fn attributes_of(leaf: u64, _: i8) -> Attributes {
        let bits = leaf & !FIELD & !NAPOT;
        Attributes { page: bits, block: bits }
    }

    /// A leaf that leaves the type to the platform is read back as cached.
    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        let memory = match leaf & TYPE {
            TYPE_IO => Prot::DEVICE,
            TYPE_UNCACHED => Prot::NONE,
            _ => Prot::CACHED,
        };
        Prot::READ
            .when(leaf & READ != 0)
            .with(Prot::WRITE.when(leaf & WRITE != 0))
            .with(Prot::EXECUTE.when(leaf & EXECUTE != 0))
            .with(Prot::PRIVILEGED.when(leaf & USER == 0))
            .with(memory)
    }

    #[inline]
    fn group_log2(level: i8) -> u32 {
        if level == LAST_LEVEL { NAPOT_LOG2 } else { 0 }
    }

    #[inline]
    fn group_of(leaf: u64, level: i8) -> u32 {
        // Large leaves never have the bit.
        if leaf & NAPOT != 0 { Self::group_log2(level) } else { 0 }
    }

    #[inline]
    fn page(attributes: Attributes, level: i8, _: u32, phys: PhysAddr) -> u64 {
        attributes.leaf::<Self>(level, phys) | NAPOT | NAPOT_SIZE
    }

    #[inline]
    fn cleaned(leaf: u64) -> Option<u64> {
        if leaf & DIRTY != 0 { Some(leaf & !DIRTY) } else { None }
    }

    #[inline]
    fn dirtied(leaf: u64) -> u64 {
        leaf | DIRTY
    }
}
