//! Where registers and descriptors hold the bits of an address.

use core::ops::RangeInclusive;

use super::descriptor::Descriptor;
use super::granule::Granule;

/// How wide addresses are, and where their bits above bit 47 stand.
///
/// # References
///
/// Arm DDI 0487, D8.3.1 (the descriptors for 48-bit and 52-bit addresses); section J1.1,
/// functions `AArch64.LeafBase`, `AArch64.NextTableBase`, `AArch64.S1TTBaseAddress`,
/// `AArch64.PhysicalAddressSize`, `AArch64.S1MinTxSZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressLayout {
    /// 48 bits, all in place: 4 KiB and 16 KiB without `DS`.
    Bits48,
    /// `FEAT_LPA`, 64 KiB: 52 bits, of which bits 15:12 of a descriptor hold 51:48.
    Lpa,
    /// `FEAT_LPA2`, 4 KiB and 16 KiB with `DS`: 52 bits, of which bits 9:8 of a descriptor hold
    /// 51:50, and the others are in place.
    Lpa2,
}

impl AddressLayout {
    /// The layout for a granule; `ds` has no meaning with 64 KiB.
    pub(super) const fn new(granule: Granule, ds: bool) -> Self {
        match (granule, ds) {
            (Granule::Size64K, _) => Self::Lpa,
            (Granule::Size4K | Granule::Size16K, true) => Self::Lpa2,
            (Granule::Size4K | Granule::Size16K, false) => Self::Bits48,
        }
    }

    const fn widest(self) -> u8 {
        match self {
            Self::Bits48 => 48,
            Self::Lpa | Self::Lpa2 => 52,
        }
    }

    /// Bits of an input address for a `TnSZ`, if it is in range: from 39, as without `FEAT_TTST`,
    /// to 16, or to 12 where addresses have 52 bits.
    pub(super) fn input_bits(self, size_offset: u8) -> Option<u8> {
        let range: RangeInclusive<u8> = 25..=self.widest();
        64u8.checked_sub(size_offset).filter(|bits| range.contains(bits))
    }

    /// Bits of an output address for `IPS` or `PS`. Sizes that the layout cannot hold act as the
    /// largest that it can.
    pub(super) const fn output_bits(self, size: u8) -> u8 {
        match size {
            0b000 => 32,
            0b001 => 36,
            0b010 => 40,
            0b011 => 42,
            0b100 => 44,
            0b101 => 48,
            _ => self.widest(),
        }
    }

    /// The address in `descriptor` from bit 51 or 47 down to `low_bit`; lower bits are not part
    /// of it.
    pub(super) const fn address(self, descriptor: Descriptor, low_bit: u8) -> u64 {
        let high = match self {
            Self::Bits48 => 0,
            Self::Lpa => (descriptor.0 >> 12 & 0b1111) << 48,
            Self::Lpa2 => descriptor.0 & 0b11 << 48 | (descriptor.0 >> 8 & 0b11) << 50,
        };
        high | descriptor.address(low_bit)
    }

    /// The table address in a base register, aligned to `1 << table_bits` bytes.
    ///
    /// Bits 47:1 hold it; bits above are the ASID or VMID, bit 0 is `CnP`, and bits below the
    /// alignment are read as zero. Where addresses have 52 bits, bits 5:2 hold its bits 51:48, and
    /// it is aligned to 64 bytes at least: always with `DS`, with 64 KiB if the output size says
    /// 52 bits.
    pub(super) const fn table_address(self, base: u64, table_bits: u8, output_bits: u8) -> u64 {
        let wide = match self {
            Self::Bits48 => false,
            Self::Lpa => output_bits == 52,
            Self::Lpa2 => true,
        };
        let low = base & ((1 << 48) - 1) & (u64::MAX << table_bits);
        if wide { (base >> 2 & 0b1111) << 48 | low & !0b11_1111 } else { low }
    }
}
