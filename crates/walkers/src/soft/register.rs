//! The fields of the translation registers, by their names in the manuals.
//!
//! # References
//!
//! Arm DDI 0487, section D24.2: `TCR_EL1`, `TTBR0_EL1`, `VTCR_EL2`, `VTTBR_EL2`. For Mali: the
//! register `AS_TRANSTAB` as the kernel drivers for Midgard and Bifrost define it.

use super::granule::Granule;

/// The sizes of an input address that exist without `FEAT_LVA`, LPA2 and TTST: `TnSZ` from 39 to
/// 16.
const INPUT_BITS: core::ops::RangeInclusive<u8> = 25..=48;

const fn field(register: u64, high: u8, low: u8) -> u8 {
    // CAST: callers name fields of at most eight bits, and the mask keeps them.
    (register >> low & ((1 << (high - low + 1)) - 1)) as u8
}

const fn bit(register: u64, at: u8) -> bool {
    register >> at & 1 == 1
}

/// Bits of an input address for a `TnSZ`, if it is in range.
fn input_bits(tsz: u8) -> Option<u8> {
    // OVERFLOW: `TnSZ` has six bits.
    Some(64 - tsz).filter(|bits| INPUT_BITS.contains(bits))
}

/// Bits of an output address for `IPS` or `PS`. Larger sizes need `FEAT_LPA`, and so act as the
/// largest that is there.
const fn output_bits(size: u8) -> u8 {
    match size {
        0b000 => 32,
        0b001 => 36,
        0b010 => 40,
        0b011 => 42,
        0b100 => 44,
        _ => 48,
    }
}

/// `TG0` of both control registers.
const fn granule_0(tg0: u8) -> Option<Granule> {
    match tg0 {
        0b00 => Some(Granule::Size4K),
        0b01 => Some(Granule::Size64K),
        0b10 => Some(Granule::Size16K),
        _ => None,
    }
}

/// A table address in a base register: bits 47:1, aligned to `1 << table_bits` bytes. The bits
/// above are the ASID or VMID, bit 0 is `CnP`, and bits below the alignment are read as zero.
pub(super) const fn table_address(base: u64, table_bits: u8) -> u64 {
    base & ((1 << 48) - 1) & (u64::MAX << table_bits)
}

/// The fields of `TCR_EL1` for one half of the address space.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcrHalf {
    /// From `TnSZ`; none if out of range.
    pub(super) input_bits: Option<u8>,
    /// `EPDn`: no walks with this half's tables.
    pub(super) walks_disabled: bool,
    /// From `TGn`; none if reserved.
    pub(super) granule: Option<Granule>,
    /// `TBIn`: address bits 63:56 are a tag.
    pub(super) top_byte_ignored: bool,
    /// `HPDn`: permissions in table descriptors are ignored.
    pub(super) hierarchy_disabled: bool,
}

/// `TCR_EL1`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcr(pub(super) u64);

impl Tcr {
    /// From `IPS`, bits 34:32.
    pub(super) const fn output_bits(self) -> u8 {
        output_bits(field(self.0, 34, 32))
    }

    /// `T0SZ`, `EPD0`, `TG0`, `TBI0`, `HPD0`.
    pub(super) fn lower(self) -> TcrHalf {
        TcrHalf {
            input_bits: input_bits(field(self.0, 5, 0)),
            walks_disabled: bit(self.0, 7),
            granule: granule_0(field(self.0, 15, 14)),
            top_byte_ignored: bit(self.0, 37),
            hierarchy_disabled: bit(self.0, 41),
        }
    }

    /// `T1SZ`, `EPD1`, `TG1`, `TBI1`, `HPD1`.
    pub(super) fn upper(self) -> TcrHalf {
        TcrHalf {
            input_bits: input_bits(field(self.0, 21, 16)),
            walks_disabled: bit(self.0, 23),
            granule: match field(self.0, 31, 30) {
                0b01 => Some(Granule::Size16K),
                0b10 => Some(Granule::Size4K),
                0b11 => Some(Granule::Size64K),
                _ => None,
            },
            top_byte_ignored: bit(self.0, 38),
            hierarchy_disabled: bit(self.0, 42),
        }
    }
}

/// `VTCR_EL2`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vtcr(pub(super) u64);

impl Vtcr {
    /// From `T0SZ`, bits 5:0; none if out of range.
    pub(super) fn input_bits(self) -> Option<u8> {
        input_bits(field(self.0, 5, 0))
    }

    /// From `SL0`, bits 7:6, whose meaning hangs on the granule (tables D8-19, D8-29, D8-38).
    /// None for the encodings that are reserved, or that need `FEAT_TTST` (4 KiB, level 3) or
    /// `FEAT_LPA2` (16 KiB, level 0).
    pub(super) const fn start_level(self, granule: Granule) -> Option<i8> {
        match (granule, field(self.0, 7, 6)) {
            (Granule::Size4K, 0b00) | (Granule::Size16K | Granule::Size64K, 0b01) => Some(2),
            (Granule::Size4K, 0b01) | (Granule::Size16K | Granule::Size64K, 0b10) => Some(1),
            (Granule::Size4K, 0b10) => Some(0),
            (Granule::Size16K | Granule::Size64K, 0b00) => Some(3),
            _ => None,
        }
    }

    /// From `TG0`, bits 15:14; none if reserved.
    pub(super) const fn granule(self) -> Option<Granule> {
        granule_0(field(self.0, 15, 14))
    }

    /// From `PS`, bits 18:16.
    pub(super) const fn output_bits(self) -> u8 {
        output_bits(field(self.0, 18, 16))
    }
}

/// Mali's `AS_TRANSTAB`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transtab(pub(super) u64);

impl Transtab {
    /// `ADRMODE` that says that there is a table.
    pub(super) const MODE_TABLE: u8 = 0b11;

    /// `ADRMODE`, bits 1:0.
    pub(super) const fn mode(self) -> u8 {
        field(self.0, 1, 0)
    }

    /// The root's address, bits 63:12. Bit 2 (`READ_INNER`) and bit 4 (`SHARE_OUTER`) say how
    /// tables are read and do not change what they mean.
    pub(super) const fn root(self) -> u64 {
        self.0 & !0xfff
    }
}
