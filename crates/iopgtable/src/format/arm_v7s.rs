//! `ARM_V7S`: Arm's short descriptors, plain and as MediaTek's IOMMUs extend them.
//!
//! # References
//!
//! Arm DDI 0487: G5.4 (the `AArch32` short-descriptor format), G5.7.2 (memory attributes with TEX
//! remap), G5.6.1 (access permissions with the access flag), `TTBR0`, `TTBCR`, `PRRR`, `NMRR`.
//! MediaTek's descriptors: Linux 6.12, `io-pgtable-arm-v7s.c` and `mtk_iommu.c` (the hardware's
//! documentation is not public).

use core::fmt;
use core::marker::PhantomData;

use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Groups, Options, Sealed,
    check, check_prot, output_bits_to,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};
use crate::prot::{Prot, ProtError};

/// Arm's short descriptors: a root of up to 4096 entries of four bytes, tables of 1 KiB with 256,
/// and pages of 4 KiB, 64 KiB, 1 MiB and 16 MiB.
///
/// Those of 64 KiB (large pages) and 16 MiB (supersections) stand in sixteen entries. Hardware
/// without supersections needs [`Config::largest_leaf`].
///
/// Descriptors are those of `SCTLR.AFE` and `SCTLR.TRE` set: `AP[2:1]` are the permissions, `AP[0]` is
/// the access flag, which is set, and `TEX[0]`, `C` and `B` name the memory type. Mappings are non-global
/// and in domain 0, which has to be a client of `DACR`. Reading cannot be forbidden alone, so
/// [`Prot::READ`] is required.
///
/// `E` says how addresses are extended: in supersections only ([`Unextended`]), or as MediaTek does it
/// ([`MediaTek`]).
#[derive(Clone, Copy, Debug)]
pub struct ArmV7s<E: Extension>(PhantomData<E>);

/// How short descriptors hold addresses of more than 32 bits.
pub trait Extension: Copy + fmt::Debug + Send + Sync + Sealed + 'static {
    /// Whether bits 9, 4 and 5 of every descriptor are bits 32 to 34 of its address.
    const MEDIATEK: bool;
}

/// They do not, but for supersections, which have room for addresses of 40 bits.
///
/// With 40 bits of output, what lies beyond 2^32 is mapped by supersections or not at all: in multiples
/// of 16 MiB, in both address spaces ([`TableError::OutputRange`](crate::TableError::OutputRange)), and
/// nobody cuts them ([`TableError::Split`](crate::TableError::Split)).
#[derive(Clone, Copy, Debug)]
pub enum Unextended {}

/// Bits 9, 4 and 5 of a descriptor are bits 32, 33 and 34 of its address, in the place of
/// permissions: every leaf allows everything, whatever is asked for. Device addresses have up to 34
/// bits, with a root of up to 16384 entries.
///
/// Where the hardware reaches its tables with 32 bits only, the allocator has none beyond that; with
/// [`Options::WIDE_TABLES`], the base register and table descriptors are extended, too. In what
/// MediaTek calls the 4 GiB mode, memory is mapped where the IOMMU sees it, with bit 32 set.
#[derive(Clone, Copy, Debug)]
pub enum MediaTek {}

impl Sealed for Unextended {}
impl Extension for Unextended {
    const MEDIATEK: bool = false;
}

impl Sealed for MediaTek {}
impl Extension for MediaTek {
    const MEDIATEK: bool = true;
}

/// What a driver programs for [`ArmV7s`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmV7sRegisters {
    /// `TTBR0`: the root's physical address, and how walks are cached and shared. MediaTek's base
    /// register: the address, with its bits 34 to 32 in bits 2 to 0.
    pub ttbr: u32,
    /// `TTBCR`: N, and with less than 32 bits of input PD1, as the upper part is not walked. EAE is
    /// clear. MediaTek has none.
    pub ttbcr: u32,
    /// `PRRR`: memory type 1 device, 4 normal non-cached, 7 normal write-back; `S` makes all of them
    /// shareable, type 7 in the inner domain.
    pub prrr: u32,
    /// `NMRR`: how normal memory is cached, by type.
    pub nmrr: u32,
    /// How many bits the addresses have that the table translates. What N says, but for MediaTek's
    /// IOMMUs: with more than 32, one that has so many must walk the table.
    pub input_bits: u8,
}

/// Bits 1:0 of a root's entry: a table; with bit 1 a section. Of a page's: a large page; with bit 1 a
/// small one.
const TABLE: u64 = 0b01;
const LARGE: u64 = 0b01;
const SECTION_OR_SMALL: u64 = 0b10;
const TYPE: u64 = 0b11;
/// Bit 18 of a section: a supersection.
const SUPER: u64 = 1 << 18;
/// Bit 19 of a section, bit 3 of a table.
const NON_SECURE: u64 = 1 << 19;
const NON_SECURE_TABLE: u64 = 1 << 3;

const B: u64 = 1 << 2;
const C: u64 = 1 << 3;

// A small page's attributes. Sections have those of bits 11:4 in bits 17:10.
const AF: u64 = 1 << 4;
const AP_UNPRIVILEGED: u64 = 1 << 5;
const TEX: u64 = 0b111 << 6;
const TEX_0: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 9;
const SHAREABLE: u64 = 1 << 10;
const NON_GLOBAL: u64 = 1 << 11;
const MIDDLE: u64 = 0xff << 4;
const SECTION_SHIFT: u32 = 6;
/// `XN`, in three places.
const XN_SMALL: u64 = 1 << 0;
const XN_LARGE: u64 = 1 << 15;
const XN_SECTION: u64 = 1 << 4;
/// Large pages have TEX in bits 14:12.
const TEX_LARGE_SHIFT: u32 = 6;

/// Bits 32, 33 and 34 of an address, as MediaTek has them.
const EXTENDED: [(u32, u64); 3] = [(32, 1 << 9), (33, 1 << 4), (34, 1 << 5)];
const EXTENSION: u64 = 1 << 9 | 1 << 4 | 1 << 5;

/// Bits 35:32 and 39:36 of an address, as supersections have them in bits 23:20 and 8:5.
const SUPER_OUTPUT: [(u32, u32); 2] = [(32, 20), (36, 5)];
const SUPER_OUTPUT_BITS: u8 = 40;

const TTBR_INNER_WRITE_BACK: u64 = 1 << 6;
const TTBR_NOT_OUTER_SHAREABLE: u64 = 1 << 5;
const TTBR_OUTER_WRITE_BACK: u64 = 1 << 3;
const TTBR_SHAREABLE: u64 = 1 << 1;
const TTBCR_PD1: u32 = 1 << 5;

/// Types 1 (device), 4 and 7 (normal); DS0, DS1 and NS1; NOS7.
const PRRR: u32 = 0b01 << 2 | 0b10 << 8 | 0b10 << 14 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 31;
/// Type 7: inner and outer write-back, write-allocate.
const NMRR: u32 = 0b01 << 14 | 0b01 << 30;

const PAGE_SHIFT: u8 = Granule4K::SHIFT;
/// The root's level. Its entries translate 1 MiB each.
const ROOT_LEVEL: i8 = 2;
const SECTION_BITS: u8 = 20;
const SUPER_BITS: u8 = 24;
/// Sixteen entries, of either size.
const GROUP_LOG2: u32 = 4;

impl<E: Extension> ArmV7s<E> {
    /// The address in a descriptor of which `mask` holds the lower 32 bits.
    #[inline]
    fn address(entry: u64, mask: u64) -> PhysAddr {
        let mut phys = entry & mask;
        if E::MEDIATEK {
            for (bit, place) in EXTENDED {
                phys |= u64::from(entry & place != 0) << bit;
            }
        }
        PhysAddr(phys)
    }

    /// The bits that a descriptor may have besides its address and its type.
    const fn own(bits: u64) -> u64 {
        if E::MEDIATEK { bits & !EXTENSION } else { bits }
    }

    /// What a small page with the attributes of `leaf` has besides its address.
    #[inline]
    fn small(leaf: u64, level: i8) -> u64 {
        let common = leaf & (B | C) | SECTION_OR_SMALL;
        if level == LAST_LEVEL {
            if leaf & SECTION_OR_SMALL != 0 {
                return common | Self::own(leaf & MIDDLE) | leaf & XN_SMALL;
            }
            let middle = leaf & MIDDLE & !TEX | (leaf >> TEX_LARGE_SHIFT) & TEX;
            return common | Self::own(middle) | u64::from(leaf & XN_LARGE != 0);
        }
        let xn = u64::from(Self::own(leaf) & XN_SECTION != 0);
        common | Self::own(leaf >> SECTION_SHIFT & MIDDLE) | xn
    }

    /// What a section has besides its address whose small pages have `small`.
    #[inline]
    fn section(small: u64) -> u64 {
        let xn = if small & XN_SMALL == 0 { 0 } else { XN_SECTION };
        small & (B | C) | SECTION_OR_SMALL | (small & MIDDLE) << SECTION_SHIFT | xn
    }
}

impl<E: Extension> Sealed for ArmV7s<E> {}

impl<E: Extension> Format for ArmV7s<E> {
    const NAME: &'static str = "ARM_V7S";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = PAGE_SHIFT;
    const TABLE_BITS: u8 = 8;
    type Word = u32;
    const MIN_LEVEL: i8 = ROOT_LEVEL;
    const OPTIONS: Options =
        Options::NON_SECURE.with(if E::MEDIATEK { Options::WIDE_TABLES } else { Options::NONE });
    const FIELD_BITS: u32 = 32;
    const CONTIGUOUS: u64 = 0;
    const GROUPS: Groups = Groups::Pages;
    // The bits have other places in each kind of leaf: see `rewrites`.
    const LIVE: u64 = 0;
    // Hardware ignores no bit of a table.
    const PUBLISHED: u64 = 1 << 63;
    type Registers = ArmV7sRegisters;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let (inputs, outputs) = if E::MEDIATEK {
            ((32, 34), output_bits_to(35))
        } else if config.largest_leaf < 1 << SUPER_BITS {
            ((25, 32), output_bits_to(32))
        } else {
            ((25, 32), &[32, SUPER_OUTPUT_BITS] as &[u8])
        };
        check::<Self>(config, inputs, outputs)?;
        let root_bits = config.input_bits - SECTION_BITS;
        let sizes = Sizes { page_shift: PAGE_SHIFT, first_level: ROOT_LEVEL, root_bits };
        let tables = (Self::TABLE_BITS, 2);
        let geometry = Geometry::with_tables(sizes, tables, config, &[ROOT_LEVEL, LAST_LEVEL])
            .with_pages(config.largest_leaf, Self::group_sizes);
        let geometry =
            if E::MEDIATEK { geometry } else { geometry.with_narrow_leaves(32, SUPER_BITS) };
        let wide = config.options.contains(Options::WIDE_TABLES);
        Ok(if wide { geometry } else { geometry.with_tables_below(32) })
    }

    fn registers(
        geometry: &Geometry,
        _: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> ArmV7sRegisters {
        let walks = TTBR_SHAREABLE
            | if coherent {
                TTBR_INNER_WRITE_BACK | TTBR_OUTER_WRITE_BACK | TTBR_NOT_OUTER_SHAREABLE
            } else {
                0
            };
        let n = u32::from(32 - geometry.input_bits().min(32));
        let upper = if n > 0 { TTBCR_PD1 } else { 0 };
        // CAST: the upper half is in the lower one, or zero.
        let ttbr = if E::MEDIATEK { root.0 | root.0 >> 32 } else { root.0 | walks } as u32;
        let input_bits = geometry.input_bits();
        ArmV7sRegisters { ttbr, ttbcr: n | upper, prrr: PRRR, nmrr: NMRR, input_bits }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
        let mut small = SECTION_OR_SMALL | NON_GLOBAL | SHAREABLE;
        if !E::MEDIATEK {
            if !prot.contains(Prot::READ) {
                return Err(ProtError::ReadImplied);
            }
            small |= AF;
            if !prot.contains(Prot::WRITE) {
                small |= AP_READ_ONLY;
            }
            if !prot.contains(Prot::PRIVILEGED) {
                small |= AP_UNPRIVILEGED;
            }
            if !prot.contains(Prot::EXECUTE) {
                small |= XN_SMALL;
            }
        }
        small |= if prot.contains(Prot::CACHED) {
            TEX_0 | C | B
        } else if prot.contains(Prot::DEVICE) {
            B
        } else {
            TEX_0
        };
        let non_secure = if options.contains(Options::NON_SECURE) { NON_SECURE } else { 0 };
        Ok(Attributes { page: small, block: Self::section(small) | non_secure })
    }

    #[inline]
    fn output(phys: PhysAddr) -> u64 {
        let mut entry = phys.0 & u64::from(u32::MAX);
        if E::MEDIATEK {
            for (bit, place) in EXTENDED {
                if phys.0 >> bit & 1 != 0 {
                    entry |= place;
                }
            }
        }
        entry
    }

    fn table_bits(options: Options) -> u64 {
        TABLE | if options.contains(Options::NON_SECURE) { NON_SECURE_TABLE } else { 0 }
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        let mask = match (level, entry & TYPE) {
            (_, 0) => return Entry::Empty,
            (LAST_LEVEL, LARGE) => 0xffff_0000,
            (LAST_LEVEL, _) => 0xffff_f000,
            (_, TABLE) => return Entry::Table(Self::address(entry, 0xffff_fc00)),
            _ if entry & SUPER != 0 => {
                let PhysAddr(mut phys) = Self::address(entry, 0xff00_0000);
                if !E::MEDIATEK {
                    for (bit, place) in SUPER_OUTPUT {
                        phys |= (entry >> place & 0xf) << bit;
                    }
                }
                return Entry::Leaf(PhysAddr(phys));
            }
            _ => 0xfff0_0000,
        };
        Entry::Leaf(Self::address(entry, mask))
    }

    #[inline]
    fn attributes_of(leaf: u64, level: i8) -> Attributes {
        let small = Self::small(leaf, level);
        let non_secure = if level == LAST_LEVEL { 0 } else { leaf & NON_SECURE };
        Attributes { page: small, block: Self::section(small) | non_secure }
    }

    #[inline]
    fn prot_of(leaf: u64, level: i8) -> Prot {
        let small = Self::small(leaf, level);
        let memory = match (small & TEX_0, small & C) {
            (0, _) => Prot::DEVICE,
            (_, 0) => Prot::NONE,
            _ => Prot::CACHED,
        };
        if E::MEDIATEK {
            return Prot::RW.with(Prot::EXECUTE).with(memory);
        }
        Prot::READ
            .with(Prot::WRITE.when(small & AP_READ_ONLY == 0))
            .with(Prot::PRIVILEGED.when(small & AP_UNPRIVILEGED == 0))
            .with(Prot::EXECUTE.when(small & XN_SMALL == 0))
            .with(memory)
    }

    #[inline]
    fn group_log2(level: i8) -> u32 {
        if level >= ROOT_LEVEL { GROUP_LOG2 } else { 0 }
    }

    #[inline]
    fn group_of(leaf: u64, level: i8) -> u32 {
        let grouped = match (level, leaf & TYPE) {
            (_, 0) => false,
            (LAST_LEVEL, kind) => kind == LARGE,
            (_, kind) => kind != TABLE && leaf & SUPER != 0,
        };
        if grouped { GROUP_LOG2 } else { 0 }
    }

    #[inline]
    fn page(attributes: Attributes, level: i8, _: u32, phys: PhysAddr) -> u64 {
        let Attributes { page: small, block } = attributes;
        if level < LAST_LEVEL {
            let mut entry = Self::output(phys) | block | SUPER;
            if !E::MEDIATEK {
                for (bit, place) in SUPER_OUTPUT {
                    entry |= (phys.0 >> bit & 0xf) << place;
                }
            }
            return entry;
        }
        let xn = if small & XN_SMALL == 0 { 0 } else { XN_LARGE };
        let tex = (small & TEX) << TEX_LARGE_SHIFT;
        Self::output(phys) | small & (B | C) | small & MIDDLE & !TEX | tex | xn | LARGE
    }

    #[inline]
    fn rewrites(before: u64, after: u64, level: i8) -> bool {
        const LIVE: u64 = AF | AP_UNPRIVILEGED | AP_READ_ONLY | NON_GLOBAL | XN_SMALL;
        let (one, other) = (Self::small(before, level), Self::small(after, level));
        (one ^ other) & !LIVE != 0 || Self::decode(before, level) != Self::decode(after, level)
    }

    #[inline]
    fn cleaned(_: u64) -> Option<u64> {
        None
    }
}
