//! Formats: geometry, entry encoding and registers, one file each, and nothing else.
//!
//! | format | Linux's name | granules | input bits | output bits |
//! |---|---|---|---|---|
//! | [`Arm64S1`] | `ARM_64_LPAE_S1` | 4K, 16K, 64K | 32 to 48 | 32, 36, 40, 42, 44, 48 |
//! | [`Arm64S2`] | `ARM_64_LPAE_S2` | 4K, 16K, 64K | 32 to 48, at most the output's | as above |
//! | [`ArmMali`] | `ARM_MALI_LPAE` | 4K | 32 to 48 | 32 to 40 |

use core::fmt;

use crate::addr::PhysAddr;
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

mod arm_mali;
mod arm_s1;
mod arm_s2;
mod vmsa;

pub use arm_mali::{ArmMali, MaliRegisters};
pub use arm_s1::{Arm64S1, Stage1Registers};
pub use arm_s2::{Arm64S2, Stage2Registers};

/// The address sizes of a page table, in bits.
///
/// What else a driver configures follows from the format (its type) and from the memory that the
/// tables live in (whether walkers snoop caches).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How many bits of a device address are translated.
    pub input_bits: u8,
    /// How many bits a physical address has.
    pub output_bits: u8,
}

impl Config {
    /// `input_bits` bits of device address to `output_bits` bits of physical address.
    pub const fn new(input_bits: u8, output_bits: u8) -> Self {
        Self { input_bits, output_bits }
    }
}

/// Why a format cannot be configured so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The format does not translate so many bits.
    InputBits {
        /// What was asked for.
        bits: u8,
        /// The fewest it translates.
        min: u8,
        /// The most it translates here: a stage 2's input may not exceed its output.
        max: u8,
    },
    /// The format has no such physical address size.
    OutputBits {
        /// What was asked for.
        bits: u8,
        /// The sizes that it has.
        supported: &'static [u8],
    },
    /// The allocator may place tables where the walker cannot reach them.
    TablesOutOfReach {
        /// How high the allocator's tables may lie.
        last_phys: PhysAddr,
        /// The last address that the walker reaches.
        reach: PhysAddr,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputBits { bits, min, max } => {
                write!(f, "{bits} input bits: the format translates {min} to {max}")
            }
            Self::OutputBits { bits, supported } => {
                write!(f, "{bits} output bits: the format has {supported:?}")
            }
            Self::TablesOutOfReach { last_phys, reach } => write!(
                f,
                "the allocator's tables lie at up to {last_phys}, the walker reaches {reach}"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

/// A size of pages and tables.
pub trait Granule: Copy + fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// log2 of its bytes.
    const SHIFT: u8;
}

macro_rules! granules {
    ($($(#[$doc:meta])* $name:ident = $shift:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Granule for $name {
            const SHIFT: u8 = $shift;
        }
    )*};
}
granules! {
    /// Pages and tables of 4 KiB.
    Granule4K = 12;
    /// Pages and tables of 16 KiB.
    Granule16K = 14;
    /// Pages and tables of 64 KiB.
    Granule64K = 16;
}

/// A page-table format: how many levels, what an entry looks like, what the registers say.
///
/// Sealed: the engine relies on the following, which a format's own tests check.
///
/// - An entry of zero is empty.
/// - A word whose low three bits are zero is empty to the walker, whatever its other bits are
///   (`LOOSE-LINK` in `ARCHITECTURE.md`).
/// - The leaf after the one for `phys` is that leaf plus the entry's span: the output address is
///   one field of the entry, in place.
pub trait Format: Copy + fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// Linux's name for it.
    const NAME: &'static str;
    /// log2 of the granule.
    const PAGE_SHIFT: u8;
    /// What the driver programs.
    type Registers: Copy + fmt::Debug;

    /// The shape of a table so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InputBits`] and [`ConfigError::OutputBits`].
    fn geometry(config: Config) -> Result<Geometry, ConfigError>;

    /// What to program for a table with its root at `root`.
    fn registers(geometry: &Geometry, root: PhysAddr, coherent: bool) -> Self::Registers;

    /// Encodes permissions and memory type, once per operation.
    ///
    /// # Errors
    ///
    /// What the format cannot express.
    fn attributes(prot: Prot) -> Result<Attributes, ProtError>;

    /// A table entry.
    fn table(table: PhysAddr) -> u64;

    /// What an entry at `level` is to the walker.
    fn decode(entry: u64, level: u8) -> Entry;

    /// The attributes of a leaf at `level`, to write other leaves alike.
    fn attributes_of(leaf: u64) -> Attributes;

    /// The permissions of a leaf.
    fn prot_of(leaf: u64) -> Prot;
}

/// The bits of a leaf besides its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub(crate) page: u64,
    pub(crate) block: u64,
}

impl Attributes {
    /// The leaf at `level` for `phys`.
    pub(crate) const fn leaf(self, level: u8, phys: PhysAddr) -> u64 {
        phys.0 | if level == crate::geometry::LAST_LEVEL { self.page } else { self.block }
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing: the walk ends in a translation fault.
    Empty,
    /// The next level's table.
    Table(PhysAddr),
    /// A translation: where its first byte goes.
    Leaf(PhysAddr),
}

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;
