//! The fields of the `AArch32` registers, by their names in the manual.
//!
//! # References
//!
//! Arm DDI 0487, section G8.2: `TTBCR` (with `EAE` set), `VTCR`.

use crate::soft::register::{bit, field};

/// The fields of `TTBCR` for one half of the address space.
#[derive(Clone, Copy, Debug)]
pub(super) struct TtbcrHalf {
    /// From `TnSZ`: 32 to 25 bits.
    pub(super) input_bits: u8,
    /// `EPDn`: no walks with this half's tables.
    pub(super) walks_disabled: bool,
}

/// `TTBCR` with `EAE` set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttbcr(pub(super) u32);

impl Ttbcr {
    /// `EAE`, bit 31: the tables hold long descriptors.
    pub(super) fn long_descriptors(self) -> bool {
        bit(self.0.into(), 31)
    }

    /// `T0SZ`, bits 2:0, and `EPD0`.
    pub(super) fn lower(self) -> TtbcrHalf {
        TtbcrHalf {
            input_bits: 32 - field(self.0.into(), 2, 0),
            walks_disabled: bit(self.0.into(), 7),
        }
    }

    /// `T1SZ`, bits 18:16, and `EPD1`.
    pub(super) fn upper(self) -> TtbcrHalf {
        TtbcrHalf {
            input_bits: 32 - field(self.0.into(), 18, 16),
            walks_disabled: bit(self.0.into(), 23),
        }
    }
}

/// `VTCR`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vtcr(pub(super) u32);

impl Vtcr {
    /// From `T0SZ`, bits 3:0, a signed number: 25 to 40 bits. None if `S`, bit 4, is not its sign.
    pub(super) fn input_bits(self) -> Option<u8> {
        let size_offset = field(self.0.into(), 3, 0);
        let negative = size_offset & 0b1000 != 0;
        (negative == bit(self.0.into(), 4)).then_some(if negative {
            48 - size_offset
        } else {
            32 - size_offset
        })
    }

    /// From `SL0`, bits 7:6; none if reserved.
    pub(super) fn start_level(self) -> Option<i8> {
        match field(self.0.into(), 7, 6) {
            0b00 => Some(2),
            0b01 => Some(1),
            _ => None,
        }
    }
}
