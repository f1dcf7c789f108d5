//! Formats: geometry, entry encoding and registers, one file each, and nothing else.
//!
//! | format | Linux's name | granules | input bits | output bits |
//! |---|---|---|---|---|
//! | [`Arm64S1`] | `ARM_64_LPAE_S1` | 4K, 16K | 32 to 48 | 32, 36, 40, 42, 44, 48 |
//! | | | 64K, [`Lpa2`] of 4K and 16K | 32 to 52 | those and 52 |
//! | [`Arm64S2`] | `ARM_64_LPAE_S2` | as above | as above, at most the output's | as above |
//! | [`Arm32S1`] | `ARM_32_LPAE_S1` | 4K | 25 to 32 | 32 to 40 |
//! | [`Arm32S2`] | `ARM_32_LPAE_S2` | 4K | 32 to 40, at most the output's | 32 to 40 |
//! | [`ArmMali`] | `ARM_MALI_LPAE` | 4K | 32 to 48 | 32 to 40 |
//! | [`ArmV7s`] | `ARM_V7S` | 4K | 25 to 32 | 32, 40 |
//! | [`ArmV7s`] of [`MediaTek`] | `ARM_V7S` | 4K | 32 to 34 | 32 to 35 |
//! | [`AmdV1`] | `AMD_IOMMU_V1` | 4K | 21 to 64 | 32 to 52 |
//! | [`X86_64`] | `AMD_IOMMU_V2` | 4K | 32 to 57, signed | 32 to 52 |
//! | [`VtdS2`] | `VTDSS` (generic page tables) | 4K | 32 to 57 | 32 to 52 |
//! | [`RiscV`] of [`FirstStage`] | `RISCV_64` (likewise) | 4K | 32 to 57, signed | 32 to 56 |
//! | [`RiscV`] of [`GStage`] | | 4K | 32 to 59 | 32 to 56 |
//! | [`Dart`] of [`T8020`] | `APPLE_DART` | 16K | 32 to 38 | 32 to 36 |
//! | [`Dart`] of [`T6000`] | `APPLE_DART2` | 16K | 32 to 38 | 32 to 42 |
//!
//! | option | for |
//! |---|---|
//! | [`UPPER_HALF`](Options::UPPER_HALF) | Arm's stage 1, x86-64, RISC-V's first stage |
//! | [`NON_SECURE`](Options::NON_SECURE) | Arm's stage 1, short descriptors |
//! | [`OUTER_WRITE_BACK`](Options::OUTER_WRITE_BACK) | Arm's stage 1 |
//! | [`FORCE_WRITE_BACK`](Options::FORCE_WRITE_BACK) | Arm's 64-bit stage 2 |
//! | [`HARDWARE_DIRTY`](Options::HARDWARE_DIRTY) | Arm's 64-bit stages, x86-64, VT-d, RISC-V, AMD v1 |
//! | [`FORCE_SNOOP`](Options::FORCE_SNOOP) | VT-d |
//! | [`MEMORY_TYPES`](Options::MEMORY_TYPES) | RISC-V |
//! | [`WIDE_TABLES`](Options::WIDE_TABLES) | MediaTek |
//! | [`NO_PERMISSIONS`](Options::NO_PERMISSIONS) | Arm's stages |
//! | [`CONTIGUOUS`](Options::CONTIGUOUS) | Arm's stages, RISC-V |

use core::fmt;

use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};
use crate::prot::{Prot, ProtError};

mod amd_v1;
mod apple_dart;
mod arm32_s1;
mod arm32_s2;
mod arm64_s1;
mod arm64_s2;
mod arm_mali;
mod arm_v7s;
mod config;
mod granule;
mod riscv;
mod stage1;
mod stage2;
mod vmsa;
mod vtd_s2;
mod word;
mod x86_64;

pub use amd_v1::{AmdV1, AmdV1Registers};
pub use apple_dart::{Dart, DartRegisters, DartVariant, T6000, T8020};
pub use arm_mali::{ArmMali, MaliRegisters};
pub use arm_v7s::{ArmV7s, ArmV7sRegisters, Extension, MediaTek, Unextended};
pub use arm32_s1::{Arm32S1, Stage1Registers32};
pub use arm32_s2::{Arm32S2, Stage2Registers32};
pub use arm64_s1::{Arm64S1, Stage1Registers};
pub use arm64_s2::{Arm64S2, Stage2Registers};
pub use config::{Config, ConfigError, Options, Splits};
pub use granule::{Granule, Granule4K, Granule16K, Granule64K, Lpa2};
pub use riscv::{FirstStage, GStage, RiscV, RiscVRegisters, RiscVStage};
pub use vtd_s2::{VtdS2, VtdS2Registers};
pub(crate) use word::AtomicWord;
pub use word::Word;
pub use x86_64::{X86_64, X86_64Registers};

/// A page-table format: how many levels, what an entry looks like, what the registers say.
///
/// Sealed: the engine relies on the following, which a format's own tests check.
///
/// - An entry of zero is empty.
/// - A word whose low three bits are zero is empty to the walker, whatever its other bits are
///   (`LOOSE-LINK` in `ARCHITECTURE.md`).
/// - Below [`FIELD_BITS`](Self::FIELD_BITS), the output address is one field of the entry,
///   [`FIELD_SHIFT`](Self::FIELD_SHIFT) bits lower than in place: the leaf after the one for `phys`
///   is that leaf plus the entry's span, shifted likewise, unless the address grows beyond these
///   bits.
/// - Where the root is a table of pages, it is one like any other: of 2^[`TABLE_BITS`](Self::TABLE_BITS)
///   entries, all of which translate.
pub trait Format: Copy + fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// Linux's name for it.
    const NAME: &'static str;
    /// The granule's name: `4K`, `16K`, `64K`, `4K-LPA2` or `16K-LPA2`.
    const GRANULE: &'static str;
    /// log2 of the granule: of the smallest page in bytes.
    const PAGE_SHIFT: u8;
    /// log2 of the entries of a table other than the root. A table is as large as its entries, and
    /// aligned to that.
    const TABLE_BITS: u8 = Self::PAGE_SHIFT - 3;
    /// What an entry is in memory.
    type Word: Word;
    /// The level nearest to the root that a walk may start at.
    const MIN_LEVEL: i8;
    /// What it may do beyond the plain.
    const OPTIONS: Options;
    /// How many bits of an output address an entry holds in one field; 64 where it is all of them.
    const FIELD_BITS: u32;
    /// How many bits lower than in an address that field stands in an entry: none in most formats.
    const FIELD_SHIFT: u32 = 0;
    /// The bit of a leaf that is the contiguous hint; zero where there is none.
    const CONTIGUOUS: u64;
    /// What groups of leaves are.
    const GROUPS: Groups = Groups::Hint;
    /// The bits of a leaf that may change while walkers see it, without break-before-make:
    /// permissions and flags.
    const LIVE: u64;
    /// The bit of a table entry that software may use as it likes: hardware ignores it, and
    /// [`decode`](Self::decode) does. Where many threads change one table and walkers do not snoop,
    /// it says that the entry was published (`SEEN` in `ARCHITECTURE.md`). A format without such a
    /// bit says zero, or names one above its [`Word`](Self::Word), which no entry ever has: links
    /// are then published by all who come across them.
    const PUBLISHED: u64;
    /// What the driver programs.
    type Registers: Copy + fmt::Debug;

    /// The shape of a table so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InputBits`], [`ConfigError::OutputBits`], [`ConfigError::Options`] and
    /// [`ConfigError::LargestLeaf`].
    fn geometry(config: Config) -> Result<Geometry, ConfigError>;

    /// What to program for a table with its root at `root`.
    fn registers(
        geometry: &Geometry,
        options: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> Self::Registers;

    /// Encodes permissions and memory type, once per operation.
    ///
    /// # Errors
    ///
    /// What the format cannot express.
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError>;

    /// An output address as an entry holds it.
    fn output(phys: PhysAddr) -> u64;

    /// A table entry, besides its address and [`link_bits`](Self::link_bits).
    fn table_bits(options: Options) -> u64;

    /// What an entry at `level` that links a table has, too, because of the level.
    #[inline]
    fn link_bits(level: i8) -> u64 {
        let _ = level;
        0
    }

    /// What an entry at `level` is to the walker.
    fn decode(entry: u64, level: i8) -> Entry;

    /// The attributes of a leaf at `level`, to write other leaves alike. Without the hint.
    fn attributes_of(leaf: u64, level: i8) -> Attributes;

    /// The permissions of a leaf at `level`.
    fn prot_of(leaf: u64, level: i8) -> Prot;

    /// log2 of the leaves at `level` that may form a group, an aligned one; the most of them where
    /// there are several sizes.
    fn group_log2(level: i8) -> u32;

    /// The sizes of groups at `level`: bit `n` is set where there are groups of `2^n` leaves.
    #[inline]
    fn group_sizes(level: i8) -> u16 {
        (1 << Self::group_log2(level)) & !1
    }

    /// log2 of the entries of the group that `leaf`, one at `level`, is part of; 0 where it is part
    /// of none.
    #[inline]
    fn group_of(leaf: u64, level: i8) -> u32 {
        if leaf & Self::CONTIGUOUS == 0 { 0 } else { Self::group_log2(level) }
    }

    /// The word of all `2^log2` entries at `level` of a page that takes so many, and leads to
    /// `phys`. Only asked where groups are [pages](Groups::are_pages).
    #[inline]
    fn page(attributes: Attributes, level: i8, log2: u32, phys: PhysAddr) -> u64 {
        let _ = log2;
        attributes.leaf::<Self>(level, phys)
    }

    /// Whether one leaf at `level` in the place of another, while walkers see it, is more than
    /// [`LIVE`](Self::LIVE) bits.
    #[inline]
    fn rewrites(before: u64, after: u64, level: i8) -> bool {
        let _ = level;
        (before ^ after) & !Self::LIVE != 0
    }

    /// A leaf that says that it was written through, as it was before that; nothing for others.
    /// Only asked with [`Options::HARDWARE_DIRTY`].
    fn cleaned(leaf: u64) -> Option<u64>;

    /// A leaf that can be written through, as if it had been. Only asked of leaves in a group of
    /// which one was.
    #[inline]
    fn dirtied(leaf: u64) -> u64 {
        leaf
    }
}

/// What groups of leaves are: aligned runs of leaves at one level, side by side in both address
/// spaces, that a walker may take for one (`GROUP` in `ARCHITECTURE.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Each leaf leads to its own address, and carries the contiguous hint, if the format has one
    /// and the table is configured for it ([`Options::CONTIGUOUS`]).
    Hint,
    /// A page of a size of its own: the same word stands in all entries.
    Pages,
    /// The same, as an extension, with [`Options::CONTIGUOUS`].
    OptionalPages,
}

impl Groups {
    /// Whether a group is a page of its own, of which all entries are the same word.
    pub const fn are_pages(self) -> bool {
        !matches!(self, Self::Hint)
    }
}

/// The bits of a leaf besides its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub(crate) page: u64,
    pub(crate) block: u64,
}

impl Attributes {
    /// The bits of a leaf at `level`.
    #[inline]
    pub(crate) const fn bits(self, level: i8) -> u64 {
        if level == LAST_LEVEL { self.page } else { self.block }
    }

    /// The leaf at `level` for `phys`.
    #[inline]
    pub(crate) fn leaf<F: Format>(self, level: i8, phys: PhysAddr) -> u64 {
        F::output(phys) | self.bits(level)
    }
}

/// Permissions as a format encodes them, kept for those who map with the same ones again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoded {
    prot: Prot,
    attributes: Attributes,
}

impl Encoded {
    /// Of no permission, which no format has: it is never used.
    pub(crate) const NONE: Self =
        Self { prot: Prot::NONE, attributes: Attributes { page: 0, block: 0 } };

    /// The encoding of `prot`, if it is this one.
    #[inline]
    pub(crate) fn known(&self, prot: Prot) -> Option<Attributes> {
        (prot == self.prot && prot != Prot::NONE).then_some(self.attributes)
    }

    /// The encoding of `prot` with the options of the table that holds this.
    #[inline]
    pub(crate) fn get<F: Format>(&mut self, options: Options, prot: Prot) -> Option<Attributes> {
        self.known(prot).or_else(|| self.encode::<F>(options, prot))
    }

    #[inline(never)]
    fn encode<F: Format>(&mut self, options: Options, prot: Prot) -> Option<Attributes> {
        let attributes = F::attributes(options, prot).ok()?;
        *self = Self { prot, attributes };
        Some(attributes)
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

/// Refuses what a format does not have: sizes, in bits, other than those of `outputs` and from
/// `min` to `max`; options; and leaves smaller than its smallest ones.
fn check<F: Format>(
    config: Config,
    (min, max): (u8, u8),
    outputs: &'static [u8],
) -> Result<(), ConfigError> {
    if !outputs.contains(&config.output_bits) {
        return Err(ConfigError::OutputBits { bits: config.output_bits, supported: outputs });
    }
    if !(min..=max).contains(&config.input_bits) {
        return Err(ConfigError::InputBits { bits: config.input_bits, min, max });
    }
    let refused = config.options.without(F::OPTIONS);
    if !refused.is_empty() {
        return Err(ConfigError::Options { refused, supported: F::OPTIONS });
    }
    let granule = 1 << F::PAGE_SHIFT;
    if config.largest_leaf < granule {
        return Err(ConfigError::LargestLeaf { bytes: config.largest_leaf, granule });
    }
    Ok(())
}

/// What no format maps.
#[inline]
const fn check_prot(prot: Prot) -> Result<(), ProtError> {
    if !prot.intersects(Prot::RW.with(Prot::EXECUTE)) {
        return Err(ProtError::NoPermission);
    }
    if prot.contains(Prot::CACHED.with(Prot::DEVICE)) {
        return Err(ProtError::CachedDevice);
    }
    Ok(())
}

/// The output sizes of formats that have no field for them: 32 bits and more, `most` at most.
const fn output_bits_to(most: u8) -> &'static [u8] {
    const ALL: &[u8] = &[
        32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54,
        55, 56,
    ];
    ALL.split_at(most as usize - 31).0
}

/// The shape of a table for addresses that are sign-extended: the input size counts the sign, and
/// the table translates the half that the options say.
fn signed(sizes: Sizes, config: Config, leaf_levels: &[i8]) -> Geometry {
    let half = Config { input_bits: config.input_bits - 1, ..config };
    let geometry = Geometry::new(sizes, half, leaf_levels);
    let upper = config.options.contains(Options::UPPER_HALF);
    if upper { geometry.starting_at(u64::MAX << half.input_bits) } else { geometry }
}

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;
