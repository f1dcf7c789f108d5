//! Levels, spans, leaf sizes, and how many tables a range can take.
//!
//! Levels count as Arm counts them: the walk starts at a format's first level, near 0 (five levels
//! start at -1, six at -2), and ends at level 3, whose leaves are pages of one granule.

use core::fmt;
use core::ops::{Add, AddAssign};

use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::error::TableError;
use crate::format::Config;

/// The last level of a walk: its leaves are pages.
pub const LAST_LEVEL: i8 = 3;

/// The first level of the longest walk.
pub const FIRST_LEVEL: i8 = -2;

/// How many levels a walk has at most.
pub const MAX_LEVELS: usize = 6;

/// Where what belongs to `level` stands in an array of [`MAX_LEVELS`].
pub(crate) const fn level_index(level: i8) -> usize {
    // CAST: a level is at least the first one; any other number is found out by the array.
    #[expect(clippy::cast_sign_loss, reason = "any other number is found out by the array")]
    let index = level.wrapping_sub(FIRST_LEVEL) as usize;
    index
}

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
    /// The first address that is translated.
    first_iova: u64,
    /// The highest offset from there that is translated.
    last_offset: u64,
    page_shift: u8,
    /// log2 of the entries of a table other than the root.
    table_bits: u8,
    /// log2 of the bytes of an entry.
    word_shift: u8,
    first_level: i8,
    root_bits: u8,
    input_bits: u8,
    output_bits: u8,
    /// How many bits the physical address of a table has.
    reach_bits: u8,
    /// How many bits the physical address of a leaf has, unless that has `2^wide_shift` bytes.
    narrow_bits: u8,
    wide_shift: u8,
    /// Bit `level_index(l)` is set where a leaf may stand at level `l`.
    leaf_levels: u8,
    /// log2 of the leaves that form a group, by level: bit `n` is set where there are groups of
    /// `2^n`.
    groups: [u16; MAX_LEVELS],
    /// Whether they are leaves themselves.
    groups_are_pages: bool,
}

/// The sizes that a format chooses.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) page_shift: u8,
    pub(crate) first_level: i8,
    /// log2 of the root's entries; other tables have as many as the format says.
    pub(crate) root_bits: u8,
}

impl Geometry {
    /// With tables of one page, of entries of eight bytes.
    pub(crate) fn new(sizes: Sizes, config: Config, leaf_levels: &[i8]) -> Self {
        Self::with_tables(sizes, (sizes.page_shift - 3, 3), config, leaf_levels)
    }

    /// With tables of `2^table_bits` entries of `2^word_shift` bytes.
    pub(crate) fn with_tables(
        sizes: Sizes,
        (table_bits, word_shift): (u8, u8),
        config: Config,
        leaf_levels: &[i8],
    ) -> Self {
        let Sizes { page_shift, first_level, root_bits } = sizes;
        debug_assert!(first_level < LAST_LEVEL || root_bits == table_bits, "see `Format`");
        // Checked beforehand: the limit is no smaller than a page.
        let may_be = |level: i8| {
            let bytes = 1u64.checked_shl(entry_shift(page_shift, table_bits, level));
            level >= first_level && bytes.is_some_and(|bytes| bytes <= config.largest_leaf)
        };
        let leaf_levels = leaf_levels.iter().filter(|&&level| may_be(level));
        Self {
            first_iova: 0,
            last_offset: u64::MAX >> (64 - config.input_bits),
            page_shift,
            table_bits,
            word_shift,
            first_level,
            root_bits,
            input_bits: config.input_bits,
            output_bits: config.output_bits,
            reach_bits: config.output_bits,
            narrow_bits: config.output_bits,
            wide_shift: 0,
            leaf_levels: leaf_levels.fold(0, |levels, &level| levels | bit(level)),
            groups: [0; MAX_LEVELS],
            groups_are_pages: false,
        }
    }

    /// The same with the contiguous hint: `log2` of the leaves in a group at each level.
    pub(crate) fn with_groups(mut self, log2: impl Fn(i8) -> u32) -> Self {
        for level in self.leaf_levels() {
            self.groups[level_index(level)] = (1 << log2(level)) & !1;
        }
        self
    }

    /// The same with pages that take several entries, of `sizes` at each level
    /// ([`Format::group_sizes`](crate::Format::group_sizes)), and of at most `largest` bytes.
    pub(crate) fn with_pages(mut self, largest: u64, sizes: impl Fn(i8) -> u16) -> Self {
        for level in self.leaf_levels() {
            let fits = |log2: &u32| 1u64 << (self.entry_shift(level) + log2) <= largest;
            let sizes = (1..16).filter(|log2| sizes(level) >> log2 & 1 != 0).filter(fits);
            self.groups[level_index(level)] = sizes.fold(0, |all, log2| all | 1 << log2);
        }
        self.groups_are_pages = true;
        self
    }

    /// The same where only tables below `2^bits` can be linked.
    pub(crate) const fn with_tables_below(self, bits: u8) -> Self {
        Self { reach_bits: bits, ..self }
    }

    /// The same where only leaves of `2^shift` bytes lead beyond `2^bits`.
    pub(crate) const fn with_narrow_leaves(self, bits: u8, shift: u8) -> Self {
        Self { narrow_bits: bits, wide_shift: shift, ..self }
    }

    /// The same for addresses from `first` on, a multiple of the input size.
    pub(crate) const fn starting_at(self, first: u64) -> Self {
        Self { first_iova: first, ..self }
    }

    /// The granule in bytes: the smallest leaf.
    pub const fn granule(&self) -> u64 {
        1 << self.page_shift
    }

    /// The bytes of every table but the root, which is also their alignment: a granule, in most
    /// formats.
    pub const fn table_bytes(&self) -> u64 {
        1 << (self.table_bits + self.word_shift)
    }

    /// The bytes of an entry.
    pub const fn entry_bytes(&self) -> usize {
        1 << self.word_shift
    }

    /// How many bits of a device address are translated: one less than configured where addresses
    /// are sign-extended, as the table translates one half of them.
    pub const fn input_bits(&self) -> u8 {
        self.input_bits
    }

    /// How many bits a physical address has.
    pub const fn output_bits(&self) -> u8 {
        self.output_bits
    }

    /// The first device address that can be mapped.
    pub const fn first_iova(&self) -> Iova {
        Iova(self.first_iova)
    }

    /// The last device address that can be mapped.
    pub const fn last_iova(&self) -> Iova {
        Iova(self.first_iova | self.last_offset)
    }

    /// All device addresses that can be mapped.
    pub const fn whole(&self) -> IovaRange {
        IovaRange::between(self.first_iova(), self.last_iova())
    }

    /// Whether `iova` can be mapped.
    #[inline]
    pub const fn translates(&self, iova: Iova) -> bool {
        iova.0 ^ self.first_iova <= self.last_offset
    }

    /// The last physical address that can be mapped: up to [`last_narrow_phys`](Self::last_narrow_phys)
    /// by leaves of every size, beyond that by [wide ones](Self::wide_leaf).
    pub const fn last_phys(&self) -> PhysAddr {
        PhysAddr(u64::MAX >> (64 - self.output_bits))
    }

    /// The last physical address that leaves of every size lead to: the last of all, but where one
    /// kind of leaf has room for longer addresses.
    pub const fn last_narrow_phys(&self) -> PhysAddr {
        PhysAddr(u64::MAX >> (64 - self.narrow_bits))
    }

    /// The bytes of the leaves that alone lead beyond [`last_narrow_phys`](Self::last_narrow_phys),
    /// where there are such addresses (`WIDE` in `ARCHITECTURE.md`).
    pub const fn wide_leaf(&self) -> Option<u64> {
        if self.narrow_bits < self.output_bits { Some(1 << self.wide_shift) } else { None }
    }

    /// How many bits the physical address of a leaf has that is not [wide](Self::wide_leaf).
    pub(crate) const fn narrow_bits(&self) -> u8 {
        self.narrow_bits
    }

    /// The last physical address at which a table can be linked.
    pub const fn last_table_phys(&self) -> PhysAddr {
        PhysAddr(u64::MAX >> (64 - self.reach_bits))
    }

    /// Checks that `range` is one that can be mapped.
    ///
    /// # Errors
    ///
    /// [`TableError::UnalignedRange`] and [`TableError::InputRange`].
    #[inline]
    pub fn check_range(&self, range: IovaRange) -> Result<(), TableError> {
        let granule = self.granule();
        if !range.is_aligned(granule) {
            return Err(TableError::UnalignedRange { range, granule });
        }
        if !self.translates(range.first()) || !self.translates(range.last()) {
            return Err(TableError::InputRange { range, whole: self.whole() });
        }
        Ok(())
    }

    /// The root's level.
    pub const fn first_level(&self) -> i8 {
        self.first_level
    }

    /// How many tables lie on the way to a page, the root included.
    pub const fn levels(&self) -> u8 {
        // CAST: one to six.
        #[expect(clippy::cast_sign_loss, reason = "one to six")]
        let levels = (LAST_LEVEL + 1 - self.first_level) as u8;
        levels
    }

    /// How many entries a table at `level` has.
    pub const fn entries(&self, level: i8) -> usize {
        if level == self.first_level { 1 << self.root_bits } else { 1 << self.table_bits }
    }

    /// log2 of the bytes that one entry at `level` translates.
    pub const fn entry_shift(&self, level: i8) -> u32 {
        entry_shift(self.page_shift, self.table_bits, level)
    }

    /// log2 of the bytes that one table at `level`, other than the root, translates.
    pub const fn table_shift(&self, level: i8) -> u32 {
        self.entry_shift(level) + self.table_bits as u32
    }

    /// The bytes of the root's memory, which is also its alignment: at least those of any other
    /// table, more where stage-2 root tables are concatenated or where the format has larger roots.
    pub const fn root_bytes(&self) -> u64 {
        let bytes = 1u64 << (self.word_shift + self.root_bits);
        if bytes < self.table_bytes() { self.table_bytes() } else { bytes }
    }

    /// Whether a leaf may stand at `level`.
    pub const fn is_leaf_level(&self, level: i8) -> bool {
        self.leaf_levels & bit(level) != 0
    }

    /// The levels where leaves may stand, root side first.
    pub fn leaf_levels(&self) -> impl Iterator<Item = i8> + use<> {
        let geometry = *self;
        (geometry.first_level..=LAST_LEVEL).filter(move |&level| geometry.is_leaf_level(level))
    }

    /// The leaf sizes in bytes, largest first.
    pub fn leaf_sizes(&self) -> impl Iterator<Item = u64> + use<> {
        let geometry = *self;
        self.leaf_levels().flat_map(move |level| {
            let pages = geometry.group_shifts(level).filter(move |_| geometry.groups_are_pages);
            pages.chain([geometry.entry_shift(level)]).map(|shift| 1 << shift)
        })
    }

    /// log2 of the bytes of the largest group at `level`: of leaves that carry the contiguous hint
    /// together, or of a page that takes several entries; of one leaf where there are no groups, or
    /// where the table is not configured for them
    /// ([`Options::CONTIGUOUS`](crate::Options::CONTIGUOUS)).
    pub const fn group_shift(&self, level: i8) -> u32 {
        let sizes = self.groups[level_index(level)];
        self.entry_shift(level) + if sizes == 0 { 0 } else { sizes.ilog2() }
    }

    /// log2 of the bytes of all groups that there are at `level`, largest first.
    pub fn group_shifts(&self, level: i8) -> impl Iterator<Item = u32> + use<> {
        let (sizes, shift) = (self.groups[level_index(level)], self.entry_shift(level));
        (1..u16::BITS)
            .rev()
            .filter(move |log2| sizes >> log2 & 1 != 0)
            .map(move |log2| shift + log2)
    }

    /// The level of the canonical leaf at `iova`: the largest that is aligned in both address
    /// spaces and no longer than `bytes`, of which there must be at least a granule (`CANON` in
    /// `ARCHITECTURE.md`).
    pub fn leaf_level(&self, iova: Iova, phys: PhysAddr, bytes: u64) -> i8 {
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

/// log2 of the bytes that an entry at `level` translates.
#[inline]
pub(crate) const fn entry_shift(page_shift: u8, table_bits: u8, level: i8) -> u32 {
    // CAST: no level lies below the last one.
    #[expect(clippy::cast_sign_loss, reason = "no level lies below the last one")]
    let below = (LAST_LEVEL - level) as u32;
    page_shift as u32 + below * table_bits as u32
}

const fn bit(level: i8) -> u8 {
    1 << level_index(level)
}

/// A number of tables, by level. The root is never counted: it lives as long as its page table.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCount([u64; MAX_LEVELS]);

impl TableCount {
    /// No tables.
    pub const ZERO: Self = Self([0; MAX_LEVELS]);

    /// `tables` tables, all of one level.
    pub fn of(level: i8, tables: u64) -> Self {
        let mut count = Self::ZERO;
        count.increase(level, tables);
        count
    }

    /// One table at each level from `first` to `last`.
    #[inline]
    pub(crate) fn way(first: i8, last: i8) -> Self {
        let mut count = Self::ZERO;
        for (level, tables) in (FIRST_LEVEL..).zip(&mut count.0) {
            *tables = u64::from(first <= level && level <= last);
        }
        count
    }

    /// The tables of one level.
    #[inline]
    pub fn at(&self, level: i8) -> u64 {
        self.0.get(level_index(level)).copied().unwrap_or(0)
    }

    /// Counts `tables` more at `level`; a level that no format has is ignored.
    pub fn increase(&mut self, level: i8, tables: u64) {
        if let Some(count) = self.0.get_mut(level_index(level)) {
            *count += tables;
        }
    }

    /// All levels together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The levels that have any, with their tables, root side first.
    pub fn levels(&self) -> impl Iterator<Item = (i8, u64)> + '_ {
        (FIRST_LEVEL..).zip(self.0).filter(|&(_, tables)| tables > 0)
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
        write!(f, "{} (by level, from {FIRST_LEVEL}: {:?})", self.total(), self.0)
    }
}
