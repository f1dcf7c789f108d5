//! Memory types, from MAIR and from `MemAttr`.

use super::descriptor::Descriptor;
use crate::{DeviceType, MemoryType};

/// The memory type of a stage 1 leaf: its `AttrIndx` selects a byte of `mair`.
pub(super) fn stage1(mair: u64, leaf: Descriptor) -> MemoryType {
    // CAST: the lowest byte is the attribute; the shift is at most 56.
    let attribute = (mair >> (8 * leaf.attribute_index())) as u8;
    match (attribute >> 4, attribute & 0xf) {
        (0, low @ (0b0000 | 0b0100 | 0b1000 | 0b1100)) => MemoryType::Device(device_type(low >> 2)),
        (0b0100, 0b0100) => MemoryType::NonCacheable,
        (0b1100..=0b1111, 0b1100..=0b1111) => MemoryType::WriteBack,
        _ => MemoryType::Other(attribute),
    }
}

/// The memory type of a stage 2 leaf, `MemAttr[3:0]`: outer cacheability above inner, or Device.
pub(super) fn stage2(leaf: Descriptor) -> MemoryType {
    match leaf.s2_memory_attribute() {
        attribute @ 0b0000..=0b0011 => MemoryType::Device(device_type(attribute)),
        0b0101 => MemoryType::NonCacheable,
        0b1111 => MemoryType::WriteBack,
        other => MemoryType::Other(other),
    }
}

/// The memory type of a stage 2 leaf with `FEAT_S2FWB` and `HCR_EL2.FWB` set.
///
/// `MemAttr[3]` is `RES0`, or says `NoTagAccess` with `FEAT_MTE_PERM`: such attributes are not
/// decoded, so that `0b1111`, which is write-back without `FWB`, shows.
///
/// # References
///
/// Arm DDI 0487, section J1.1, function `AArch64.S2ApplyFWBMemAttrs`.
pub(super) fn stage2_forced_write_back(leaf: Descriptor) -> MemoryType {
    match leaf.s2_memory_attribute() {
        attribute @ 0b0000..=0b0011 => MemoryType::Device(device_type(attribute)),
        0b0101 => MemoryType::NonCacheable,
        0b0110 => MemoryType::WriteBack,
        0b0111 => MemoryType::AsStage1,
        other => MemoryType::Other(other),
    }
}

/// The kind of Device memory that two bits name: bits 3:2 of a MAIR byte (`dd`), bits 1:0 of a
/// stage 2 `MemAttr`.
const fn device_type(bits: u8) -> DeviceType {
    match bits & 0b11 {
        0b00 => DeviceType::NGnRnE,
        0b01 => DeviceType::NGnRE,
        0b10 => DeviceType::NGRE,
        _ => DeviceType::GRE,
    }
}
