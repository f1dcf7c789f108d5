//! `AMD_IOMMU_V2`: the page tables of x86-64 processors, which AMD's IOMMUs walk as guest tables
//! (v2), and Intel's as the first stage.
//!
//! # References
//!
//! Intel SDM volume 3A: 4.5 (4-level and 5-level paging), 4.6 (access rights), 4.7 (page faults),
//! 4.9.2 and 11.12 (PAT). AMD APM volume 2: 5.3 to 5.6. AMD IOMMU specification (48882): 2.2.6.
//! Intel VT-d specification: 3.6 and 9.7 (first stage), 9.6 (PASID table entry).

use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Options, Sealed, check,
    check_prot, output_bits_to, signed,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};
use crate::prot::{Prot, ProtError};

/// The page tables of x86-64: 4 KiB pages, 2 MiB and 1 GiB leaves, 52 bits of output.
///
/// Device addresses are sign-extended. [`Config::input_bits`] counts the sign: with up to 48 bits
/// there are four levels, with up to 57 five. The table translates the lower half of that, or
/// with [`Options::UPPER_HALF`] the upper one, addresses that begin with ones: with 48 bits, those
/// up to `0x7fff_ffff_ffff`, or from `0xffff_8000_0000_0000` on. The root has 512 entries in any
/// case, so that a driver may copy one half's upper entries into the other half's root.
///
/// A present leaf can be read, so [`Prot::READ`] is required; everything else is expressed. What
/// is not [`Prot::PRIVILEGED`] has the user bit. Nothing is global. Leaves are accessed, and
/// writable ones dirty, from the start, so that hardware has nothing to set in them; dirty state
/// needs no more than that somebody makes them clean ([`Options::HARDWARE_DIRTY`]).
///
/// Hardware without 1 GiB leaves needs [`Config::largest_leaf`].
#[derive(Clone, Copy, Debug)]
pub enum X86_64 {}

/// What a driver programs for [`X86_64`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X86_64Registers {
    /// `CR3`, the root's physical address with a PCID of zero: also what an entry of AMD's GCR3
    /// table holds besides its bit 0, and VT-d's `FSPTPTR`.
    pub cr3: u64,
    /// The levels of the walk, 4 or 5. VT-d's `FLPM` and AMD's `GuestPagingMode` count from 4.
    pub levels: u8,
    /// The bits of `CR4` that make a processor walk so: PAE, and LA57 with five levels.
    pub cr4: u64,
    /// The bits of `EFER` that make a processor walk so: LME, and NXE, without which the bit that
    /// forbids execution is reserved. (VT-d's `NXE` likewise.)
    pub efer: u64,
    /// `IA32_PAT` as the leaves take it: entry 0 write-back, 2 uncached unless the MTRRs say
    /// write-combining (UC-), 3 uncached. Its value at reset has these, and that of Linux, too.
    pub pat: u64,
}

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// `PWT` and `PCD`, which select the entry of PAT; its third bit is always clear.
const PAT_SHIFT: u32 = 3;
const PAT: u64 = 0b11 << PAT_SHIFT;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// `PS`: a leaf above the last level. (At the last level, PAT's third bit.)
const LARGE: u64 = 1 << 7;
/// Bits 11:9 and 58:52: software's.
const SOFTWARE: u64 = 0b111 << 9 | 0x7f << 52;
const NO_EXECUTE: u64 = 1 << 63;

/// Bits 51:12.
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

const PAT_CACHED: u64 = 0;
const PAT_NON_CACHED: u64 = 2;
const PAT_DEVICE: u64 = 3;
/// `IA32_PAT` at reset: write-back, write-through, UC-, uncached, twice.
const PAT_AT_RESET: u64 = 0x0007_0406_0007_0406;

const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const EFER_LME: u64 = 1 << 8;
const EFER_NXE: u64 = 1 << 11;

impl Sealed for X86_64 {}

impl Format for X86_64 {
    const NAME: &'static str = "AMD_IOMMU_V2";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    const MIN_LEVEL: i8 = -1;
    const OPTIONS: Options = Options::UPPER_HALF.with(Options::HARDWARE_DIRTY);
    const FIELD_BITS: u32 = u64::BITS;
    const CONTIGUOUS: u64 = 0;
    type Word = u64;
    const LIVE: u64 = WRITE | USER | ACCESSED | DIRTY | NO_EXECUTE | SOFTWARE;
    const PUBLISHED: u64 = 1 << 9;
    type Registers = X86_64Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        check::<Self>(config, (32, 57), output_bits_to(52))?;
        let first_level = if config.input_bits > 48 { -1 } else { 0 };
        let sizes = Sizes { page_shift: Self::PAGE_SHIFT, first_level, root_bits: 9 };
        Ok(signed(sizes, config, &[1, 2, LAST_LEVEL]))
    }

    fn registers(geometry: &Geometry, _: Options, root: PhysAddr, _: bool) -> X86_64Registers {
        let levels = geometry.levels();
        X86_64Registers {
            cr3: root.0,
            levels,
            cr4: CR4_PAE | if levels == 5 { CR4_LA57 } else { 0 },
            efer: EFER_LME | EFER_NXE,
            pat: PAT_AT_RESET,
        }
    }

    #[inline]
    fn attributes(_: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
        if !prot.contains(Prot::READ) {
            return Err(ProtError::ReadImplied);
        }
        let mut bits = PRESENT | ACCESSED;
        if prot.contains(Prot::WRITE) {
            // Never dirty alone: that would be a shadow stack.
            bits |= WRITE | DIRTY;
        }
        if !prot.contains(Prot::PRIVILEGED) {
            bits |= USER;
        }
        if !prot.contains(Prot::EXECUTE) {
            bits |= NO_EXECUTE;
        }
        let index = if prot.contains(Prot::CACHED) {
            PAT_CACHED
        } else if prot.contains(Prot::DEVICE) {
            PAT_DEVICE
        } else {
            PAT_NON_CACHED
        };
        bits |= index << PAT_SHIFT;
        Ok(Attributes { page: bits, block: bits | LARGE })
    }

    #[inline]
    fn output(phys: PhysAddr) -> u64 {
        // Nothing to cut off: addresses were checked against the output size.
        phys.0
    }

    fn table_bits(_: Options) -> u64 {
        // What all the levels allow is allowed, so tables allow everything.
        PRESENT | WRITE | USER | ACCESSED
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        if entry & PRESENT == 0 {
            return Entry::Empty;
        }
        let address = PhysAddr(entry & ADDRESS);
        match level {
            LAST_LEVEL => Entry::Leaf(address),
            // No PAT bit (12) stands in the way: leaves never have it.
            1 | 2 if entry & LARGE != 0 => Entry::Leaf(address),
            _ => Entry::Table(address),
        }
    }

    #[inline]
    fn attributes_of(leaf: u64, _: i8) -> Attributes {
        let bits = leaf & !ADDRESS & !LARGE;
        Attributes { page: bits, block: bits | LARGE }
    }

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        let memory = match (leaf & PAT) >> PAT_SHIFT {
            PAT_CACHED => Prot::CACHED,
            PAT_DEVICE => Prot::DEVICE,
            _ => Prot::NONE,
        };
        Prot::READ
            .with(Prot::WRITE.when(leaf & WRITE != 0))
            .with(Prot::PRIVILEGED.when(leaf & USER == 0))
            .with(Prot::EXECUTE.when(leaf & NO_EXECUTE == 0))
            .with(memory)
    }

    #[inline]
    fn group_log2(_: i8) -> u32 {
        0
    }

    #[inline]
    fn cleaned(leaf: u64) -> Option<u64> {
        if leaf & DIRTY != 0 { Some(leaf & !DIRTY) } else { None }
    }
}
