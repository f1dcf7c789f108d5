//! The fields of the registers.

use crate::{DeviceType, MemoryType, Shareability};

/// `TTBCR` with `EAE` clear.
///
/// # References
///
/// Arm DDI 0487, section G8.2, `TTBCR`; G5.4, "Selecting between TTBR0 and TTBR1".
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttbcr(pub(super) u32);

impl Ttbcr {
    /// `N`: log2 of how many times smaller than 4 GiB the range of `TTBR0` is.
    pub(super) const fn reduction(self) -> u32 {
        self.0 & 0b111
    }

    /// `PD0`: no walks.
    pub(super) const fn walks_disabled(self) -> bool {
        self.0 >> 4 & 1 == 1
    }

    /// `EAE`: descriptors are long.
    pub(super) const fn long_descriptors(self) -> bool {
        self.0 >> 31 == 1
    }
}

/// `PRRR` and `NMRR`: what an index of three bits means, where `SCTLR.TRE` is set.
///
/// # References
///
/// Arm DDI 0487, section G8.2, `PRRR` and `NMRR`; G5.7, "Short-descriptor format memory region
/// attributes, with TEX remap".
#[derive(Clone, Copy, Debug)]
pub(super) struct Remap {
    pub(super) prrr: u32,
    pub(super) nmrr: u32,
}

impl Remap {
    /// `TRn`.
    const fn kind(self, index: u8) -> u32 {
        self.prrr >> (2 * index) & 0b11
    }

    /// The type of memory with `index`.
    pub(super) const fn memory(self, index: u8) -> MemoryType {
        match self.kind(index) {
            0b00 => return MemoryType::Device(DeviceType::NGnRnE),
            0b01 => return MemoryType::Device(DeviceType::NGnRE),
            0b10 => {}
            _ => return MemoryType::Other(0xff),
        }
        let inner = self.nmrr >> (2 * index) & 0b11;
        let outer = self.nmrr >> (2 * index + 16) & 0b11;
        match (outer, inner) {
            (0b00, 0b00) => MemoryType::NonCacheable,
            (0b10, 0b10) => MemoryType::WriteThrough,
            (0b01 | 0b11, 0b01 | 0b11) => MemoryType::WriteBack,
            // CAST: four bits.
            _ => MemoryType::Other((outer << 2 | inner) as u8),
        }
    }

    /// Who shares memory with `index`, where `S` is as `shareable` says.
    pub(super) const fn shareability(self, index: u8, shareable: bool) -> Shareability {
        // DS0, DS1, NS0, NS1, from bit 16 on.
        let normal = self.kind(index) == 0b10;
        let bit = 16 + 2 * normal as u32 + shareable as u32;
        if self.prrr >> bit & 1 == 0 {
            Shareability::Non
        } else if self.prrr >> (24 + index as u32) & 1 == 1 {
            Shareability::Inner
        } else {
            Shareability::Outer
        }
    }
}
