//! The bits of VMSA descriptors that the Arm formats share, and where an output address sits.
//!
//! # References
//!
//! Arm DDI 0487: D8.2 (the translation process), D8.3 (translation table descriptor formats),
//! D8.7.1 (the contiguous bit); G5.3 (`AArch32`, long descriptors).

use super::{Attributes, Config, Entry, Granule, Options};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};

/// Bits 1:0: what a descriptor is.
pub(super) const TYPE: u64 = 0b11;
/// A leaf above the last level. (Mali: at every level.)
pub(super) const BLOCK: u64 = 0b01;
/// A table above the last level, a leaf at the last.
pub(super) const TABLE_OR_PAGE: u64 = 0b11;

/// Bits 4:2 of a stage-1 leaf: which byte of MAIR describes the memory.
pub(super) const ATTR_INDEX_SHIFT: u32 = 2;
/// The MAIR bytes that we use, by index.
pub(super) const ATTR_NON_CACHED: u64 = 0;
pub(super) const ATTR_CACHED: u64 = 1;
pub(super) const ATTR_DEVICE: u64 = 2;
pub(super) const ATTR_INDEX: u64 = 0b111 << ATTR_INDEX_SHIFT;

/// Bits 9:8: shareability (with LPA2 a part of the address).
pub(super) const SH_OUTER: u64 = 0b10 << 8;
pub(super) const SH_INNER: u64 = 0b11 << 8;
/// Bit 10: the access flag.
pub(super) const AF: u64 = 1 << 10;
/// Bit 51: hardware may make the leaf writable (the dirty bit modifier).
pub(super) const DBM: u64 = 1 << 51;
/// Bit 52: the contiguous hint.
pub(super) const CONTIGUOUS: u64 = 1 << 52;
/// Bits 54:53: `UXN` and `PXN`, or stage 2's `XN[1:0]`.
pub(super) const XN_HIGH: u64 = 1 << 54;
pub(super) const XN_LOW: u64 = 1 << 53;
/// Bits 58:55: software's.
pub(super) const SOFTWARE: u64 = 0b1111 << 55;
/// Bit 55 of a table entry, where these bits are ignored, too: see
/// [`Format::PUBLISHED`](super::Format::PUBLISHED).
pub(super) const PUBLISHED: u64 = 1 << 55;

/// Stage 2's (and Mali's) access permissions, bits 7:6.
pub(super) const S2AP_READ: u64 = 1 << 6;
pub(super) const S2AP_WRITE: u64 = 1 << 7;

/// Bits 7:6 in either stage: what data accesses are allowed.
pub(super) const ACCESS_PERMISSIONS: u64 = 0b11 << 6;

pub(super) const MIN_INPUT_BITS: u8 = 32;
pub(super) const MAX_INPUT_BITS: u8 = 48;

/// The physical address sizes that `TCR_ELx.IPS` and `VTCR_EL2.PS` name, by their encoding.
const OUTPUT_BITS: &[u8] = &[32, 36, 40, 42, 44, 48, 52];

/// Bits `high` to `low` of a word.
const fn bits(high: u32, low: u32) -> u64 {
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

/// The output address in the descriptors of a granule (D8.3.1).
///
/// Bits 47 up to the granule's are in place always. With 64 KiB, bits 51:48 are at 15:12; with
/// LPA2, bits 49:48 are in place, too, and 51:50 at 9:8.
pub(super) struct Output<G>(core::marker::PhantomData<G>);

impl<G: Granule> Output<G> {
    /// See [`Format::FIELD_BITS`](super::Format::FIELD_BITS).
    pub(super) const FIELD_BITS: u32 = match (G::LPA2, G::SHIFT) {
        (true, _) => 50,
        (false, 16) => 48,
        (false, _) => u64::BITS,
    };

    /// The bits that are in place.
    const FIELD: u64 = bits(if G::LPA2 { 49 } else { 47 }, G::SHIFT as u32);

    /// The bits that hold the rest, and where they come from.
    const REST: u64 = match (G::LPA2, G::SHIFT) {
        (true, _) => bits(9, 8),
        (false, 16) => bits(15, 12),
        (false, _) => 0,
    };
    const REST_SHIFT: u32 = if G::LPA2 { 42 } else { 36 };

    /// The largest output size.
    pub(super) const MAX_BITS: u8 = if Self::REST == 0 { 48 } else { 52 };

    /// The largest input size (`FEAT_LVA` with 64 KiB).
    pub(super) const MAX_INPUT_BITS: u8 = if Self::REST == 0 { MAX_INPUT_BITS } else { 52 };

    /// All bits of a descriptor that hold the address.
    pub(super) const MASK: u64 = Self::FIELD | Self::REST;

    #[inline]
    pub(super) const fn pack(phys: PhysAddr) -> u64 {
        if Self::REST == 0 {
            // Nothing to cut off: addresses were checked against the output size.
            return phys.0;
        }
        phys.0 & Self::FIELD | (phys.0 >> Self::REST_SHIFT) & Self::REST
    }

    #[inline]
    pub(super) const fn unpack(entry: u64) -> PhysAddr {
        PhysAddr(entry & Self::FIELD | (entry & Self::REST) << Self::REST_SHIFT)
    }

    /// A base register's value for a table at `phys`: bits 51:48 go to 5:2 where there are such.
    pub(super) const fn base(phys: PhysAddr) -> u64 {
        phys.0 & bits(47, 0) | phys.0 >> 48 << 2
    }

    /// What the output sizes may be.
    pub(super) fn sizes() -> &'static [u8] {
        if Self::MAX_BITS == 52 { OUTPUT_BITS } else { &OUTPUT_BITS[..6] }
    }

    #[inline]
    pub(super) const fn decode(entry: u64, level: i8) -> Entry {
        let address = Self::unpack(entry);
        match entry & TYPE {
            TABLE_OR_PAGE if level < LAST_LEVEL => Entry::Table(address),
            TABLE_OR_PAGE => Entry::Leaf(address),
            BLOCK if level < LAST_LEVEL => Entry::Leaf(address),
            _ => Entry::Empty,
        }
    }

    /// What `leaf` looks like besides its address, for leaves of any size.
    #[inline]
    pub(super) const fn attributes_of(leaf: u64) -> Attributes {
        attributes(leaf & !Self::MASK & !TYPE & !CONTIGUOUS)
    }

    /// D8.3.1: blocks stand at level 2 with every granule, at level 1 with 4 KiB, and, where 52
    /// bits of output are in use, one level higher still.
    fn leaf_levels(output_bits: u8) -> &'static [i8] {
        match (G::SHIFT, G::LPA2) {
            (12, true) => &[0, 1, 2, 3],
            (12, false) | (14, true) => &[1, 2, 3],
            (16, _) if output_bits > 48 => &[1, 2, 3],
            _ => &[2, 3],
        }
    }

    /// A walk from `first_level` with a root of `2^root_bits` entries.
    pub(super) fn geometry(first_level: i8, root_bits: u8, config: Config) -> Geometry {
        let sizes = Sizes { page_shift: G::SHIFT, first_level, root_bits };
        let geometry = Geometry::new(sizes, config, Self::leaf_levels(config.output_bits));
        if config.options.contains(Options::CONTIGUOUS) {
            geometry.with_groups(Self::group_log2)
        } else {
            geometry
        }
    }

    /// The geometry where the walk starts at the level that the input size asks for.
    pub(super) fn natural_geometry(config: Config) -> Geometry {
        let level_bits = G::SHIFT - 3;
        let levels = (config.input_bits - G::SHIFT).div_ceil(level_bits);
        let root_bits = config.input_bits - G::SHIFT - (levels - 1) * level_bits;
        // CAST: a walk has a few levels.
        #[expect(clippy::cast_possible_wrap, reason = "a walk has a few levels")]
        let first_level = LAST_LEVEL + 1 - levels as i8;
        Self::geometry(first_level, root_bits, config)
    }

    /// D8.7.1: log2 of the leaves in a contiguous group. The blocks that 52 bits of output add have
    /// no such bit.
    #[inline]
    pub(super) const fn group_log2(level: i8) -> u32 {
        match (G::SHIFT, level) {
            (12, 1..=LAST_LEVEL) => 4,
            (14, LAST_LEVEL) => 7,
            (14, 2) | (16, 2 | LAST_LEVEL) => 5,
            _ => 0,
        }
    }
}

/// What the formats of both stages have in common of [`Format`](super::Format), for a granule.
macro_rules! entries {
    ($granule:ty) => {
        const FIELD_BITS: u32 = vmsa::Output::<$granule>::FIELD_BITS;
        const CONTIGUOUS: u64 = vmsa::CONTIGUOUS;
        type Word = u64;

        #[inline]
        fn output(phys: crate::addr::PhysAddr) -> u64 {
            vmsa::Output::<$granule>::pack(phys)
        }

        #[inline]
        fn decode(entry: u64, level: i8) -> super::Entry {
            vmsa::Output::<$granule>::decode(entry, level)
        }

        #[inline]
        fn attributes_of(leaf: u64, _: i8) -> super::Attributes {
            vmsa::Output::<$granule>::attributes_of(leaf)
        }

        #[inline]
        fn group_log2(level: i8) -> u32 {
            vmsa::Output::<$granule>::group_log2(level)
        }
    };
}
pub(super) use entries;

/// The level that the longest walk with a granule starts at.
pub(super) const fn min_level<G: Granule>() -> i8 {
    match (G::SHIFT, G::LPA2) {
        (12, true) => -1,
        (16, _) => 1,
        _ => 0,
    }
}

/// The encoding of a physical address size.
pub(super) fn output_size_field(bits: u8) -> u64 {
    OUTPUT_BITS.iter().position(|&size| size == bits).map_or(0, |position| position as u64)
}

/// `TG0`, which stage 2 has, too.
pub(super) const fn granule_field_0(page_shift: u8) -> u64 {
    match page_shift {
        14 => 0b10,
        16 => 0b01,
        _ => 0b00,
    }
}

/// `IRGN`, `ORGN` and `SH` of walks, from bit 0: inner shareable and write-back where they are
/// coherent, else past the caches, or past the inner ones alone.
pub(super) const fn walk_attributes(coherent: bool, outer_write_back: bool) -> u64 {
    match (coherent, outer_write_back) {
        (true, _) => 0b11_01_01,
        (false, true) => 0b10_01_00,
        (false, false) => 0b10_00_00,
    }
}

/// Leaves with `bits`, in the encoding of stage 1 and stage 2: pages have another type than blocks.
#[inline]
pub(super) const fn attributes(bits: u64) -> Attributes {
    Attributes { page: bits | TABLE_OR_PAGE, block: bits | BLOCK }
}
