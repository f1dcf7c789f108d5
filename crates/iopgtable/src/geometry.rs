//! Levels, spans, leaf sizes, and how many tables a range can take.
//!
//! Levels count as Arm counts them: the walk starts at a format's first level, near 0, and ends
//! at level 3, whose leaves are pages of one granule.

use core::fmt;
use core::ops::{Add, AddAssign};

use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::error::TableError;

/// The last level of a walk: its leaves are pages.
pub const LAST_LEVEL: u8 = 3;

/// How many levels a walk has at most.
pub const MAX_LEVELS: usize = LAST_LEVEL as usize + 1;

/// The shape of a configured table.
///
/// ```
/// use iopgtable::{format::Arm64S1, Config, Format, Geometry, Granule4K};
/// let geometry: Geometry = Arm64S1::<Granule4K>::geometry(Config::new(48, 48))?;
/// assert_eq!(geometry.first_level(), 0);
/// assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), [1 << 30, 2 << 20, 4 << 10]);
/// # Ok::<(), iopgtable::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    page_shift: u8,
    level_bits: u8,
    first_level: u8,
    root_bits: u8,
    input_bits: u8,
    output_bits: u8,
    /// Bit `l` is set where a leaf may stand at level `l`.
    leaf_levels: u8,
}

impl Geometry {
    /// `root_bits` index the root at `first_level`; all other tables are one page large.
    pub(crate) const fn new(
        page_shift: u8,
        first_level: u8,
        root_bits: u8,
        input_bits: u8,
        output_bits: u8,
        leaf_levels: u8,
    ) -> Self {
        Self {
            page_shift,
            level_bits: page_shift - 3,
            first_level,
            root_bits,
            input_bits,
            output_bits,
            leaf_levels,
        }
    }

    /// The granule in bytes: the smallest leaf, and the size of every table but the root.
    pub const fn granule(&self) -> u64 {
        1 << self.page_shift
    }

    /// How many bits of a device address are translated.
    pub const fn input_bits(&self) -> u8 {
        self.input_bits
    }

    /// How many bits a physical address has.
    pub const fn output_bits(&self) -> u8 {
        self.output_bits
    }

    /// The last device address that can be mapped.
    pub const fn last_iova(&self) -> Iova {
        Iova(u64::MAX >> (64 - self.input_bits))
    }

    /// The last physical address that can be mapped.
    pub const fn last_phys(&self) -> PhysAddr {
        PhysAddr(u64::MAX >> (64 - self.output_bits))
    }

    /// Checks that `range` is one that can be mapped.
    ///
    /// # Errors
    ///
    /// [`TableError::UnalignedRange`] and [`TableError::InputRange`].
    #[inline]
    pub fn check_range(&self, range: IovaRange) -> Result<(), TableError> {
        let (granule, last) = (self.granule(), self.last_iova());
        if !range.is_aligned(granule) {
            return Err(TableError::UnalignedRange { range, granule });
        }
        if range.last() > last {
            return Err(TableError::InputRange { range, last });
        }
        Ok(())
    }

    /// The root's level.
    pub const fn first_level(&self) -> u8 {
        self.first_level
    }

    /// How many tables lie on the way to a page, the root included.
    pub const fn levels(&self) -> u8 {
        LAST_LEVEL + 1 - self.first_level
    }

    /// How many entries a table at `level` has.
    pub const fn entries(&self, level: u8) -> usize {
        if level == self.first_level { 1 << self.root_bits } else { 1 << self.level_bits }
    }

    /// log2 of the bytes that one entry at `level` translates.
    pub const fn entry_shift(&self, level: u8) -> u32 {
        self.page_shift as u32 + (LAST_LEVEL - level) as u32 * self.level_bits as u32
    }

    /// log2 of the bytes that one table at `level`, other than the root, translates.
    pub const fn table_shift(&self, level: u8) -> u32 {
        self.entry_shift(level) + self.level_bits as u32
    }

    /// The bytes of the root's memory, which is also its alignment: a whole number of granules,
    /// more than one where stage-2 root tables are concatenated.
    pub const fn root_bytes(&self) -> u64 {
        let bytes = 8u64 << self.root_bits;
        if bytes < self.granule() { self.granule() } else { bytes }
    }

    /// Whether a leaf may stand at `level`.
    pub const fn is_leaf_level(&self, level: u8) -> bool {
        self.leaf_levels & (1 << level) != 0
    }

    /// The leaf sizes in bytes, largest first.
    pub fn leaf_sizes(&self) -> impl Iterator<Item = u64> + use<> {
        let geometry = *self;
        (geometry.first_level..=LAST_LEVEL)
            .filter(move |&level| geometry.is_leaf_level(level))
            .map(move |level| 1 << geometry.entry_shift(level))
    }

    /// The level of the canonical leaf at `iova`: the largest that is aligned in both address
    /// spaces and no longer than `bytes`, of which there must be at least a granule (`CANON` in
    /// `ARCHITECTURE.md`).
    pub fn leaf_level(&self, iova: Iova, phys: PhysAddr, bytes: u64) -> u8 {
        let mut level = self.first_level;
        while level < LAST_LEVEL {
            let size = 1u64 << self.entry_shift(level);
            if self.is_leaf_level(level) && bytes >= size && (iova.0 | phys.0) & (size - 1) == 0 {
                return level;
            }
            level += 1;
        }
        LAST_LEVEL
    }

    /// The tables that mapping `range` can take in an empty table, at worst (all leaves are
    /// pages): what drivers without a planned map reserve. Other mappings and larger leaves only
    /// ever make it fewer.
    pub fn worst_case_tables(&self, range: IovaRange) -> TableCount {
        let mut count = TableCount::ZERO;
        for level in self.first_level + 1..=LAST_LEVEL {
            let shift = self.table_shift(level);
            count.increase(level, (range.last().0 >> shift) - (range.first().0 >> shift) + 1);
        }
        count
    }
}

/// A number of tables, by level. The root is never counted: it lives as long as its page table.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCount([u64; MAX_LEVELS]);

impl TableCount {
    /// No tables.
    pub const ZERO: Self = Self([0; MAX_LEVELS]);

    /// `tables` tables, all of one level.
    pub fn of(level: u8, tables: u64) -> Self {
        let mut count = Self::ZERO;
        count.increase(level, tables);
        count
    }

    /// The tables of one level.
    pub fn at(&self, level: u8) -> u64 {
        self.0.get(usize::from(level)).copied().unwrap_or(0)
    }

    /// Counts `tables` more at `level`; a level that no format has is ignored.
    pub fn increase(&mut self, level: u8, tables: u64) {
        if let Some(count) = self.0.get_mut(usize::from(level)) {
            *count += tables;
        }
    }

    /// All levels together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The levels that have any, with their tables, root side first.
    pub fn levels(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        (0..=LAST_LEVEL).map(|level| (level, self.at(level))).filter(|&(_, tables)| tables > 0)
    }
}

impl Add for TableCount {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for TableCount {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl fmt::Debug for TableCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (by level {:?})", self.total(), self.0)
    }
}
