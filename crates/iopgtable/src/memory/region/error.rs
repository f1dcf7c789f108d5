//! Why numbers make no region.

use core::fmt;

use crate::addr::PhysAddr;

/// Why numbers make no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionError {
    /// The pointer's or the physical address is no multiple of 4 KiB.
    Misaligned {
        /// That address.
        address: u64,
    },
    /// There is no room for a single table.
    TooSmall {
        /// How many bytes there are.
        bytes: usize,
    },
    /// The end lies beyond what can be addressed.
    TooLarge {
        /// Where the region begins.
        phys: PhysAddr,
        /// How many bytes there are.
        bytes: usize,
    },
    /// The heap has not that much memory.
    OutOfMemory {
        /// How many bytes were wanted.
        bytes: usize,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { address } => write!(f, "{address:#x} is no multiple of 4 KiB"),
            Self::TooSmall { bytes } => write!(f, "no table fits into {bytes} bytes"),
            Self::TooLarge { phys, bytes } => {
                write!(f, "{bytes:#x} bytes at {phys} end beyond the address space")
            }
            Self::OutOfMemory { bytes } => write!(f, "no {bytes} bytes of memory"),
        }
    }
}

impl core::error::Error for RegionError {}
