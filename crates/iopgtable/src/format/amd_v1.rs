//! `AMD_IOMMU_V1`: the host page tables of AMD's IOMMUs.
//!
//! # References
//!
//! AMD I/O Virtualization Technology (IOMMU) Specification, 48882: 2.2.2.1 (device table entry),
//! 2.2.3 (I/O page tables for host translations), 2.2.7.1 (host accessed and dirty bits).

use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Groups, Options, Sealed,
    check, check_prot, output_bits_to,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes, entry_shift};
use crate::prot::{Prot, ProtError};

/// AMD's host page tables (v1): 4 KiB tables, up to six levels, and pages of every power of two from
/// 4 KiB to 256 GiB.
///
/// Input sizes of up to 64 bits take one to six levels (modes 1 to 6): with 21 bits, the root is a
/// table of pages. A page that is larger than what one entry translates, but smaller than a table,
/// stands in all the entries that it takes. Pages of 512 GiB, which some hardware does not walk, are
/// never made, nor larger ones.
///
/// An entry allows reads and writes, each alone or both. It does not tell fetches from reads: what
/// can be read can be [executed](Prot::EXECUTE), asked for or not, and [`Prot::EXECUTE`] requires
/// [`Prot::READ`]. Nor has it memory types: what is [`Prot::CACHED`] is coherent whatever the device
/// says (`FC`), everything else, [`Prot::DEVICE`] too, is as the device says.
#[derive(Clone, Copy, Debug)]
pub enum AmdV1 {}

/// What a driver programs for [`AmdV1`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmdV1Registers {
    /// The first 64 bits of the device table entry: V, TV, HAD, Mode, the page table root pointer,
    /// IR and IW. The domain and everything about guests and interrupts is the driver's.
    pub dte: u64,
    /// Whether walks are to snoop the processors' caches: `Coherent` in the IOMMU's control
    /// register.
    pub coherent: bool,
}

const DTE_V: u64 = 1 << 0;
const DTE_TV: u64 = 1 << 1;
/// Accessed and dirty bits are set.
const DTE_HAD: u64 = 0b11 << 7;
/// `Mode` of a device table entry is where `NextLevel` is.
const LEVEL_SHIFT: u32 = 9;

const PRESENT: u64 = 1 << 0;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// Bit 8, which hardware ignores in every entry.
const IGNORED: u64 = 1 << 8;
/// `NextLevel`: 0 for a page of the size of the entry, 7 for one whose size the address says, else
/// the level of the table.
const NEXT_LEVEL: u64 = 0b111 << LEVEL_SHIFT;
const SIZED: u64 = 0b111 << LEVEL_SHIFT;
/// `U`: only for untranslated requests.
const UNTRANSLATED: u64 = 1 << 59;
const FORCE_COHERENT: u64 = 1 << 60;
const READ: u64 = 1 << 61;
const WRITE: u64 = 1 << 62;

/// Bits 51:12.
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

const PAGE_SHIFT: u8 = Granule4K::SHIFT;

/// AMD's number of a table at `level`: pages are in tables of level 1.
const fn amd_level(level: i8) -> u64 {
    // CAST: one to six.
    #[expect(clippy::cast_sign_loss, reason = "one to six")]
    let level = (LAST_LEVEL + 1 - level) as u64;
    level
}

/// log2 of the bytes of a page whose size its address says: as many low bits of the page number are
/// ones as there are further zeroes in an address of that alignment, but for one.
const fn sized_shift(leaf: u64) -> u32 {
    PAGE_SHIFT as u32 + 1 + ((leaf & ADDRESS) >> PAGE_SHIFT).trailing_ones()
}

impl Sealed for AmdV1 {}

impl Format for AmdV1 {
    const NAME: &'static str = "AMD_IOMMU_V1";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = PAGE_SHIFT;
    type Word = u64;
    const MIN_LEVEL: i8 = -2;
    const OPTIONS: Options = Options::HARDWARE_DIRTY;
    const FIELD_BITS: u32 = u64::BITS;
    const CONTIGUOUS: u64 = 0;
    const GROUPS: Groups = Groups::Pages;
    const LIVE: u64 = ACCESSED | DIRTY | UNTRANSLATED | FORCE_COHERENT | READ | WRITE;
    const PUBLISHED: u64 = IGNORED;
    type Registers = AmdV1Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        check::<Self>(config, (21, 64), output_bits_to(52))?;
        let levels = (config.input_bits - PAGE_SHIFT).div_ceil(Self::TABLE_BITS);
        let root_bits = config.input_bits - PAGE_SHIFT - (levels - 1) * Self::TABLE_BITS;
        // CAST: one to six.
        #[expect(clippy::cast_possible_wrap, reason = "one to six")]
        let first_level = LAST_LEVEL + 1 - levels as i8;
        let sizes = Sizes { page_shift: PAGE_SHIFT, first_level, root_bits };
        let geometry = Geometry::new(sizes, config, &[1, 2, LAST_LEVEL]);
        let whole = 1u64.checked_shl(config.input_bits.into()).unwrap_or(u64::MAX);
        Ok(geometry.with_pages(config.largest_leaf.min(whole), Self::group_sizes))
    }

    fn registers(
        geometry: &Geometry,
        options: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> AmdV1Registers {
        let had = if options.contains(Options::HARDWARE_DIRTY) { DTE_HAD } else { 0 };
        let mode = u64::from(geometry.levels()) << LEVEL_SHIFT;
        AmdV1Registers { dte: DTE_V | DTE_TV | had | mode | root.0 | READ | WRITE, coherent }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
        if prot.contains(Prot::PRIVILEGED) {
            return Err(ProtError::NoPrivilege);
        }
        if prot.contains(Prot::EXECUTE) && !prot.contains(Prot::READ) {
            return Err(ProtError::ReadImplied);
        }
        let mut bits = PRESENT;
        if prot.contains(Prot::READ) {
            bits |= READ;
        }
        if prot.contains(Prot::WRITE) {
            bits |= WRITE;
        }
        if prot.contains(Prot::CACHED) {
            bits |= FORCE_COHERENT;
        }
        if options.contains(Options::HARDWARE_DIRTY) {
            bits |= ACCESSED;
            if prot.contains(Prot::WRITE) {
                // Dirty, until somebody clears that.
                bits |= DIRTY;
            }
        }
        Ok(Attributes { page: bits, block: bits })
    }

    #[inline]
    fn output(phys: PhysAddr) -> u64 {
        // Nothing to cut off: addresses were checked against the output size.
        phys.0
    }

    fn table_bits(options: Options) -> u64 {
        // What all the levels allow is allowed, so tables allow everything.
        let accessed = if options.contains(Options::HARDWARE_DIRTY) { ACCESSED } else { 0 };
        PRESENT | READ | WRITE | accessed
    }

    #[inline]
    fn link_bits(level: i8) -> u64 {
        amd_level(level + 1) << LEVEL_SHIFT
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        if entry & PRESENT == 0 {
            return Entry::Empty;
        }
        match entry & NEXT_LEVEL {
            0 => Entry::Leaf(PhysAddr(entry & ADDRESS)),
            SIZED => {
                let inside = 1u64.checked_shl(sized_shift(entry)).map_or(u64::MAX, |size| size - 1);
                Entry::Leaf(PhysAddr(entry & ADDRESS & !inside))
            }
            next if next == Self::link_bits(level) => Entry::Table(PhysAddr(entry & ADDRESS)),
            // No walk goes up again, and none that we make skips a level.
            _ => Entry::Empty,
        }
    }

    #[inline]
    fn attributes_of(leaf: u64, _: i8) -> Attributes {
        let bits = leaf & !ADDRESS & !NEXT_LEVEL;
        Attributes { page: bits, block: bits }
    }

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        Prot::READ
            .with(Prot::EXECUTE)
            .when(leaf & READ != 0)
            .with(Prot::WRITE.when(leaf & WRITE != 0))
            .with(Prot::CACHED.when(leaf & FORCE_COHERENT != 0))
    }

    #[inline]
    fn group_log2(level: i8) -> u32 {
        if level >= 1 { 8 } else { 0 }
    }

    #[inline]
    fn group_sizes(level: i8) -> u16 {
        if level >= 1 { 0x1fe } else { 0 }
    }

    #[inline]
    fn group_of(leaf: u64, level: i8) -> u32 {
        if leaf & NEXT_LEVEL != SIZED {
            return 0;
        }
        let shift = entry_shift(PAGE_SHIFT, Self::TABLE_BITS, level);
        sized_shift(leaf).saturating_sub(shift).min(Self::group_log2(level))
    }

    #[inline]
    fn page(attributes: Attributes, level: i8, log2: u32, phys: PhysAddr) -> u64 {
        let shift = entry_shift(PAGE_SHIFT, Self::TABLE_BITS, level) + log2;
        let size = (1u64 << (shift - 1)) - (1 << PAGE_SHIFT);
        phys.0 | size | attributes.bits(level) | SIZED
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
