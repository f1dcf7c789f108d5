//! The bits of `VMSAv8-64` descriptors that the Arm formats share.
//!
//! # References
//!
//! Arm DDI 0487, D8.3 (translation table descriptor formats) and D8.2 (the translation process).

use super::{Attributes, Config, ConfigError, Entry};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL};
use crate::prot::{Prot, ProtError};

/// Bits 1:0: what a descriptor is.
pub(super) const TYPE: u64 = 0b11;
/// A leaf above the last level. (Mali: at every level.)
pub(super) const BLOCK: u64 = 0b01;
/// A table above the last level, a leaf at the last.
pub(super) const TABLE_OR_PAGE: u64 = 0b11;
/// Bits 47:12: the output address; its low bits are zero by alignment.
pub(super) const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Bits 4:2 of a stage-1 leaf: which byte of MAIR describes the memory.
pub(super) const ATTR_INDEX_SHIFT: u32 = 2;
/// The MAIR bytes that we use, by index.
pub(super) const ATTR_NON_CACHED: u64 = 0;
pub(super) const ATTR_CACHED: u64 = 1;
pub(super) const ATTR_DEVICE: u64 = 2;
pub(super) const ATTR_INDEX: u64 = 0b111 << ATTR_INDEX_SHIFT;

/// Bits 9:8: shareability.
pub(super) const SH_OUTER: u64 = 0b10 << 8;
pub(super) const SH_INNER: u64 = 0b11 << 8;
/// Bit 10: the access flag.
pub(super) const AF: u64 = 1 << 10;
/// Bits 54:53: `UXN` and `PXN`, or stage 2's `XN[1:0]`.
pub(super) const XN_HIGH: u64 = 1 << 54;
pub(super) const XN_LOW: u64 = 1 << 53;

/// Stage 2's (and Mali's) access permissions, bits 7:6.
pub(super) const S2AP_READ: u64 = 1 << 6;
pub(super) const S2AP_WRITE: u64 = 1 << 7;

pub(super) const MIN_INPUT_BITS: u8 = 32;
pub(super) const MAX_INPUT_BITS: u8 = 48;

/// The physical address sizes that `TCR_ELx.IPS` and `VTCR_EL2.PS` name, by their encoding.
pub(super) const OUTPUT_BITS: &[u8] = &[32, 36, 40, 42, 44, 48];

/// The encoding of a physical address size.
pub(super) fn output_size_field(bits: u8) -> Option<u64> {
    OUTPUT_BITS.iter().position(|&size| size == bits).map(|position| position as u64)
}

/// Checks the sizes that all formats have in common.
pub(super) fn check_sizes(
    config: Config,
    max_input: u8,
    outputs: &'static [u8],
) -> Result<(), ConfigError> {
    if !outputs.contains(&config.output_bits) {
        return Err(ConfigError::OutputBits { bits: config.output_bits, supported: outputs });
    }
    if !(MIN_INPUT_BITS..=max_input).contains(&config.input_bits) {
        return Err(ConfigError::InputBits {
            bits: config.input_bits,
            min: MIN_INPUT_BITS,
            max: max_input,
        });
    }
    Ok(())
}

/// The geometry where the walk starts at the level that the input size asks for.
pub(super) fn natural_geometry(page_shift: u8, config: Config) -> Geometry {
    let level_bits = page_shift - 3;
    let levels = (config.input_bits - page_shift).div_ceil(level_bits);
    let root_bits = config.input_bits - page_shift - (levels - 1) * level_bits;
    geometry(page_shift, LAST_LEVEL + 1 - levels, root_bits, config)
}

/// A walk from `first_level` with a root of `2^root_bits` entries.
pub(super) fn geometry(page_shift: u8, first_level: u8, root_bits: u8, config: Config) -> Geometry {
    Geometry::new(
        page_shift,
        first_level,
        root_bits,
        config.input_bits,
        config.output_bits,
        leaf_levels(page_shift),
    )
}

/// D8.3.1: blocks stand at level 2 with every granule, and at level 1 with 4 KiB.
const fn leaf_levels(page_shift: u8) -> u8 {
    if page_shift == 12 { 0b1110 } else { 0b1100 }
}

#[inline]
pub(super) fn decode(entry: u64, level: u8) -> Entry {
    match (entry & TYPE, level) {
        (TABLE_OR_PAGE, LAST_LEVEL) | (BLOCK, 0..LAST_LEVEL) => Entry::Leaf(address(entry)),
        (TABLE_OR_PAGE, _) => Entry::Table(address(entry)),
        _ => Entry::Empty,
    }
}

#[inline]
pub(super) fn address(entry: u64) -> PhysAddr {
    PhysAddr(entry & ADDRESS)
}

/// What no format maps.
#[inline]
pub(super) fn check_prot(prot: Prot) -> Result<(), ProtError> {
    if !prot.intersects(Prot::RW | Prot::EXECUTE) {
        return Err(ProtError::NoPermission);
    }
    if prot.contains(Prot::CACHED | Prot::DEVICE) {
        return Err(ProtError::CachedDevice);
    }
    Ok(())
}

/// Leaves with `bits`, in the encoding of stage 1 and stage 2: pages have another type than blocks.
#[inline]
pub(super) const fn attributes(bits: u64) -> Attributes {
    Attributes { page: bits | TABLE_OR_PAGE, block: bits | BLOCK }
}

/// What `leaf` looks like besides its address, for leaves of any size.
#[inline]
pub(super) const fn attributes_of(leaf: u64) -> Attributes {
    attributes(leaf & !ADDRESS & !TYPE)
}
