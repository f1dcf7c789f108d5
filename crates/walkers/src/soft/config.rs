//! Register values for which the architecture defines no one behaviour.

use core::fmt;

/// Why a walker cannot be made from some register values.
///
/// Only values for which the hardware's choice is unknowable are refused. Values that make
/// hardware fault make a walker that faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigError {
    /// A granule field holds its reserved encoding: which granule hardware uses is then
    /// implementation defined.
    ReservedGranule {
        /// The field: `TG0` or `TG1`.
        field: &'static str,
    },
    /// `TTBCR.EAE` is clear: the tables hold short descriptors.
    ShortDescriptors,
    /// `TTBCR.EAE` is set: the tables hold long descriptors.
    LongDescriptors,
    /// The mode does not say that there is a table, or which levels it has.
    NoTable {
        /// The mode: `ADRMODE`, bits 1:0 of Mali's TRANSTAB; `MODE`, bits 63:60 of RISC-V's `satp`
        /// and `hgatp`; `Mode`, bits 11:9 of AMD's device table entry.
        mode: u8,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedGranule { field } => write!(f, "{field} holds a reserved granule"),
            Self::ShortDescriptors => f.write_str("EAE is clear: descriptors are short"),
            Self::LongDescriptors => f.write_str("EAE is set: descriptors are long"),
            Self::NoTable { mode } => write!(f, "address mode {mode} has no table"),
        }
    }
}

impl core::error::Error for ConfigError {}
