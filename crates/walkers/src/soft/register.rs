//! The fields of the translation registers, by their names in the manuals.
//!
//! # References
//!
//! Arm DDI 0487, section D24.2: `TCR_EL1`, `TTBR0_EL1`, `VTCR_EL2`, `VTTBR_EL2`. For Mali: the
//! register `AS_TRANSTAB` as the kernel drivers for Midgard and Bifrost define it.

use super::descriptor::shareability;
use super::granule::Granule;
use super::layout::AddressLayout;
use super::managed::Managed;
use crate::Shareability;

pub(super) const fn field(register: u64, high: u8, low: u8) -> u8 {
    // CAST: callers name fields of at most eight bits, and the mask keeps them.
    (register >> low & ((1 << (high - low + 1)) - 1)) as u8
}

pub(super) const fn bit(register: u64, at: u8) -> bool {
    register >> at & 1 == 1
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

/// The fields of `TCR_EL1` for one half of the address space.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcrHalf {
    /// `TnSZ`.
    pub(super) size_offset: u8,
    /// `EPDn`: no walks with this half's tables.
    pub(super) walks_disabled: bool,
    /// From `TGn`; none if reserved.
    pub(super) granule: Option<Granule>,
    /// `SHn`: of the tables, and with `DS` of all leaves.
    pub(super) shareability: Shareability,
    /// `TBIn`: address bits 63:56 are a tag.
    pub(super) top_byte_ignored: bool,
    /// `HPDn`: permissions in table descriptors are ignored.
    pub(super) hierarchy_disabled: bool,
}

/// `TCR_EL1`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcr(pub(super) u64);

impl Tcr {
    /// `IPS`, bits 34:32.
    pub(super) const fn output_size(self) -> u8 {
        field(self.0, 34, 32)
    }

    /// `HA` and `HD`, bits 39 and 40.
    pub(super) const fn managed(self) -> Managed {
        Managed::new(bit(self.0, 39), bit(self.0, 40))
    }

    /// `DS`, bit 59: 52-bit addresses with 4 KiB and 16 KiB.
    pub(super) const fn ds(self) -> bool {
        bit(self.0, 59)
    }

    /// `T0SZ`, `EPD0`, `SH0`, `TG0`, `TBI0`, `HPD0`.
    pub(super) const fn lower(self) -> TcrHalf {
        TcrHalf {
            size_offset: field(self.0, 5, 0),
            walks_disabled: bit(self.0, 7),
            granule: granule_0(field(self.0, 15, 14)),
            shareability: shareability(self.0 >> 12),
            top_byte_ignored: bit(self.0, 37),
            hierarchy_disabled: bit(self.0, 41),
        }
    }

    /// `T1SZ`, `EPD1`, `SH1`, `TG1`, `TBI1`, `HPD1`.
    pub(super) const fn upper(self) -> TcrHalf {
        TcrHalf {
            size_offset: field(self.0, 21, 16),
            walks_disabled: bit(self.0, 23),
            granule: match field(self.0, 31, 30) {
                0b01 => Some(Granule::Size16K),
                0b10 => Some(Granule::Size4K),
                0b11 => Some(Granule::Size64K),
                _ => None,
            },
            shareability: shareability(self.0 >> 28),
            top_byte_ignored: bit(self.0, 38),
            hierarchy_disabled: bit(self.0, 42),
        }
    }
}

/// `VTCR_EL2`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vtcr(pub(super) u64);

impl Vtcr {
    /// `T0SZ`, bits 5:0.
    pub(super) const fn size_offset(self) -> u8 {
        field(self.0, 5, 0)
    }

    /// From `SL0`, bits 7:6, and `SL2`, bit 33, whose meaning hangs on the granule and `DS`
    /// (tables D8-19, D8-29, D8-38). None for the encodings that are reserved, or that need
    /// `FEAT_TTST` (4 KiB, level 3).
    pub(super) const fn start_level(self, granule: Granule, layout: AddressLayout) -> Option<i8> {
        let lpa2 = matches!(layout, AddressLayout::Lpa2);
        let sl0 = field(self.0, 7, 6);
        match granule {
            Granule::Size4K => match (lpa2 && bit(self.0, 33), sl0) {
                (false, 0b00) => Some(2),
                (false, 0b01) => Some(1),
                (false, 0b10) => Some(0),
                (true, 0b00) => Some(-1),
                _ => None,
            },
            Granule::Size16K | Granule::Size64K => match sl0 {
                0b00 => Some(3),
                0b01 => Some(2),
                0b10 => Some(1),
                _ if lpa2 => Some(0),
                _ => None,
            },
        }
    }

    /// `HA` and `HD`, bits 21 and 22.
    pub(super) const fn managed(self) -> Managed {
        Managed::new(bit(self.0, 21), bit(self.0, 22))
    }

    /// `DS`, bit 32: 52-bit addresses with 4 KiB and 16 KiB.
    pub(super) const fn ds(self) -> bool {
        bit(self.0, 32)
    }

    /// `SH0`, bits 13:12: of the tables, and with `DS` of all leaves.
    pub(super) const fn shareability(self) -> Shareability {
        shareability(self.0 >> 12)
    }

    /// From `TG0`, bits 15:14; none if reserved.
    pub(super) const fn granule(self) -> Option<Granule> {
        granule_0(field(self.0, 15, 14))
    }

    /// `PS`, bits 18:16.
    pub(super) const fn output_size(self) -> u8 {
        field(self.0, 18, 16)
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
