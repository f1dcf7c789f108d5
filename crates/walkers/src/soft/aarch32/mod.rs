//! VMSAv8-32 with long descriptors: what both stages share.
//!
//! The descriptors are those of VMSAv8-64 with 4 KiB, at levels 1 to 3 and with addresses of 40
//! bits. What a descriptor permits differs, and so do the registers, and the level of a fault
//! before the first lookup: 1.

mod register;
mod stage1;
mod stage2;

pub use stage1::{Stage1Aarch32, Stage1Aarch32Registers};
pub use stage2::{Stage2Aarch32, Stage2Aarch32Registers};

use super::granule::Granule;
use super::layout::AddressLayout;
use super::lookup::{Format, Shape};
use super::managed::Managed;
use crate::{Fault, FaultKind};

/// What is reported for an address that no lookup starts for. Only a base beyond the output size
/// is a fault at level 0.
const NO_LOOKUP: Fault = Fault::new(FaultKind::Translation, 1);

const fn shape(start_level: i8, input_bits: u8) -> Shape {
    Shape {
        format: Format::Vmsa,
        granule: Granule::Size4K,
        layout: AddressLayout::Bits48,
        start_level,
        input_bits,
        output_bits: 40,
        managed: Managed::NOTHING,
    }
}
