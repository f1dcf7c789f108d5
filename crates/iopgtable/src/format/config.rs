//! How a page table is configured.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use crate::addr::PhysAddr;

/// The address sizes of a page table, what its format may do beyond the plain, and what an
/// operation may do to live entries.
///
/// What else a driver configures follows from the format (its type) and from the memory that the
/// tables live in (whether walkers snoop caches).
///
/// ```
/// use iopgtable::{Config, Options, Splits};
/// let config = Config::new(39, 48)
///     .with(Options::UPPER_HALF | Options::CONTIGUOUS)
///     .splits(Splits::Forbidden)
///     .largest_leaf(2 << 20);
/// assert!(config.options.contains(Options::CONTIGUOUS));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How many bits of a device address are translated. Where the format's addresses are
    /// sign-extended (x86-64, RISC-V), the sign is the topmost of them, and the table translates one half.
    pub input_bits: u8,
    /// How many bits a physical address has.
    pub output_bits: u8,
    /// What the format may do beyond the plain.
    pub options: Options,
    /// Whether leaves that a walker may see may be cut.
    pub splits: Splits,
    /// The most bytes that one leaf may translate, for hardware that lacks the larger leaves of
    /// its format; at least a granule. `u64::MAX` for no such limit. (Leaves that carry the
    /// contiguous hint together are no larger for that.)
    pub largest_leaf: u64,
}

impl Config {
    /// `input_bits` bits of device address to `output_bits` bits of physical address, without
    /// options; leaves may be cut, and have any size that the format has.
    pub const fn new(input_bits: u8, output_bits: u8) -> Self {
        let (options, splits) = (Options::NONE, Splits::Live);
        Self { input_bits, output_bits, options, splits, largest_leaf: u64::MAX }
    }

    /// The same with more `options`.
    #[must_use]
    pub const fn with(self, options: Options) -> Self {
        Self { options: self.options.with(options), ..self }
    }

    /// The same with another policy for splits.
    #[must_use]
    pub const fn splits(self, splits: Splits) -> Self {
        Self { splits, ..self }
    }

    /// The same with no leaf larger than `bytes`.
    #[must_use]
    pub const fn largest_leaf(self, bytes: u64) -> Self {
        Self { largest_leaf: bytes, ..self }
    }
}

/// What a format may do beyond the plain: a set of the constants below. A format refuses those
/// that it does not have ([`ConfigError::Options`]).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Options(u16);

impl Options {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The table translates the upper half of the address space: addresses whose bits from the
    /// input size on are all ones (`TTBR1`; `AArch32`: the upper end of 32 bits), the sign included
    /// where there is one (x86-64, RISC-V).
    pub const UPPER_HALF: Self = Self(1 << 0);
    /// Tables and what they map lie in the non-secure address space although walks begin in the
    /// secure one (`NSTable` and `NS`).
    pub const NON_SECURE: Self = Self(1 << 1);
    /// Walks, which are not coherent, may be cached outside: in a system cache (outer write-back
    /// write-allocate). Refused where the memory is coherent.
    pub const OUTER_WRITE_BACK: Self = Self(1 << 2);
    /// Every leaf allows everything, whatever is asked for: for hardware that gives the permission
    /// bits another meaning.
    pub const NO_PERMISSIONS: Self = Self(1 << 3);
    /// Stage 2 says how memory is cached, whatever stage 1 says (`FEAT_S2FWB`): the driver sets
    /// `HCR_EL2.FWB`, or `S2FWB` in the stream table entry.
    pub const FORCE_WRITE_BACK: Self = Self(1 << 4);
    /// Hardware notes which leaves were written through (`FEAT_HAFDBS`; `SSADE`; Svadu; x86-64
    /// always does); see
    /// [`PageTable::read_and_clear_dirty`](crate::PageTable::read_and_clear_dirty).
    pub const HARDWARE_DIRTY: Self = Self(1 << 5);
    /// Leaves that lie side by side in both address spaces, a whole aligned group of them, say so,
    /// and one TLB entry can hold the group: with the contiguous hint (Arm), or as a page of a size of
    /// its own (RISC-V: 64 KiB, Svnapot).
    pub const CONTIGUOUS: Self = Self(1 << 6);

    /// Requests to cached memory snoop caches whatever the device says: leaves have `SNP` (VT-d;
    /// takes `ECAP.SC`).
    pub const FORCE_SNOOP: Self = Self(1 << 7);

    /// Leaves say what kind of memory they lead to, where otherwise the platform alone does (RISC-V:
    /// Svpbmt).
    pub const MEMORY_TYPES: Self = Self(1 << 8);

    /// Tables may lie beyond 2^32 where the base register and table descriptors are extended for
    /// that (MediaTek's IOMMUs, some of them).
    pub const WIDE_TABLES: Self = Self(1 << 9);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::UPPER_HALF, "upper half"),
        (Self::NON_SECURE, "non-secure"),
        (Self::OUTER_WRITE_BACK, "outer write-back walks"),
        (Self::NO_PERMISSIONS, "no permissions"),
        (Self::FORCE_WRITE_BACK, "forced write-back"),
        (Self::HARDWARE_DIRTY, "hardware dirty state"),
        (Self::CONTIGUOUS, "contiguous leaves"),
        (Self::FORCE_SNOOP, "forced snooping"),
        (Self::MEMORY_TYPES, "memory types"),
        (Self::WIDE_TABLES, "wide tables"),
    ];

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is in this set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together, where `|` cannot be used (constants).
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Options {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Options {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Self::NAMES.iter().filter(|(one, _)| self.contains(*one)).map(|(_, n)| n))
            .finish()
    }
}

/// Whether leaves that a walker may see may be cut, that is replaced by smaller ones (or by the
/// same without the contiguous hint) without having been invalid in between.
///
/// The architecture wants break-before-make there, unless the hardware has `FEAT_BBM` level 2
/// (Arm DDI 0487, D8.17.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Splits {
    /// They may; the gather says where it happened
    /// ([`Gather::break_before_make`](crate::Gather::break_before_make)).
    #[default]
    Live,
    /// They may not: an operation that would is refused with
    /// [`TableError::Split`](crate::TableError::Split).
    Forbidden,
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
    /// The format has no such options.
    Options {
        /// Those that it does not have.
        refused: Options,
        /// Those that it has.
        supported: Options,
    },
    /// [`Config::largest_leaf`] is less than the smallest leaf.
    LargestLeaf {
        /// What was asked for.
        bytes: u64,
        /// The granule in bytes.
        granule: u64,
    },
    /// [`Options::OUTER_WRITE_BACK`] with memory whose walks are coherent: they are cached anyway.
    CoherentOuterWriteBack,
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
            Self::Options { refused, supported } => {
                write!(f, "the format has no {refused:?}, only {supported:?}")
            }
            Self::LargestLeaf { bytes, granule } => {
                write!(f, "leaves of at most {bytes:#x} bytes: the smallest has {granule:#x}")
            }
            Self::CoherentOuterWriteBack => {
                f.write_str("coherent walks need no option to be cached outside")
            }
            Self::TablesOutOfReach { last_phys, reach } => write!(
                f,
                "the allocator's tables lie at up to {last_phys}, the walker reaches {reach}"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}
