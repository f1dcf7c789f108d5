//! Looks before an operation writes: arguments, conflicts, and the tables that will be missing.

use super::chunks::{Chunk, Chunks};
use super::edit::Edit;
use super::groups;
use super::node::Node;
use super::sharing::Sharing;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::error::TableError;
use crate::format::{Entry, Format, Splits};
use crate::geometry::{LAST_LEVEL, MAX_LEVELS, TableCount, level_index};
use crate::memory::TableMemory;
use crate::segments::{Facts, Source};

/// What is known of all segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// All lengths or-ed together; zero where there is no room for more than pages, however long
    /// they are.
    lengths: u64,
}

impl Shape {
    /// Whether no leaf can be larger than a page: all segments are shorter than a table's span.
    pub(super) const fn are_pages<F: Format>(self) -> bool {
        self.lengths >> Tree::<F>::table_shift(LAST_LEVEL) == 0
    }

    /// Whether every segment is one page.
    pub(super) const fn are_single<F: Format>(self) -> bool {
        self.lengths == Tree::<F>::granule()
    }
}

/// Checks that `segments` can back `range`.
#[inline]
pub(super) fn check_segments<F: Format, S>(
    tree: &Tree<F, S>,
    range: IovaRange,
    segments: &impl Source,
) -> Result<Shape, TableError> {
    if let Some(Facts { bytes, addresses, lengths, last_phys }) = segments.facts() {
        let aligned = (addresses | lengths) & (Tree::<F>::granule() - 1) == 0;
        if aligned && last_phys <= tree.geometry.last_narrow_phys() && bytes == range.bytes() {
            // One segment, that is not where larger leaves could be in both address spaces.
            let low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
            let differs = |segment: Segment| (segment.phys.0 ^ range.first().0) & low != 0;
            let is_apart = lengths > low && segments.single().is_some_and(differs);
            return Ok(Shape { lengths: if is_apart { 0 } else { lengths } });
        }
        // The facts may be those of a list of which this is a part.
    }
    look_at_segments(tree, range, segments)
}

/// One pass without a branch on the segments; each is only looked at by itself where one is odd.
fn look_at_segments<F: Format, S>(
    tree: &Tree<F, S>,
    range: IovaRange,
    segments: &impl Source,
) -> Result<Shape, TableError> {
    let granule = Tree::<F>::granule();
    if segments.clone().next().is_some_and(|first| first.bytes == granule) {
        if let Some(shape) = look_at_pages(tree, range, segments) {
            return Ok(shape);
        }
    }
    let (mut low, mut high, mut lengths, mut pages) = (0, 0, 0, 0u64);
    segments.clone().look(|Segment { phys, bytes }| {
        // Zero bytes make this all ones, and an end that wraps around has a high part.
        let rest = bytes.wrapping_sub(1);
        low |= phys.0;
        lengths |= bytes;
        high |= rest | phys.0.wrapping_add(rest);
        pages = pages.wrapping_add(bytes >> F::PAGE_SHIFT);
    });
    let aligned = (low | lengths) & (granule - 1) == 0;
    let in_reach = (low | high) & !tree.geometry.last_narrow_phys().0 == 0;
    // A sum that wrapped around is no harm: nothing is written beyond the range.
    if aligned && in_reach && pages == range.bytes() >> F::PAGE_SHIFT {
        return Ok(Shape { lengths });
    }
    judge(tree, range, segments.clone())
}

/// The same for single pages, of which there is less to know. Nothing where they are not, or not
/// to be mapped.
fn look_at_pages<F: Format, S>(
    tree: &Tree<F, S>,
    range: IovaRange,
    segments: &impl Source,
) -> Option<Shape> {
    let (mut addresses, mut lengths, mut common, mut count) = (0, 0, u64::MAX, 0u64);
    segments.clone().look(|Segment { phys, bytes }| {
        addresses |= phys.0;
        lengths |= bytes;
        common &= bytes;
        count += 1;
    });
    let granule = Tree::<F>::granule();
    // Pages that begin within reach and are aligned end there.
    let out = (granule - 1) | !tree.geometry.last_narrow_phys().0;
    let odd = (addresses & out) | (lengths ^ granule);
    (odd == 0 && common == granule && count == range.bytes() >> F::PAGE_SHIFT)
        .then_some(Shape { lengths })
}

/// What is wrong with segments, at the first of them that is to blame; nothing, perhaps, where some
/// lead to where only wide leaves do (`WIDE`).
#[cold]
fn judge<F: Format, S>(
    tree: &Tree<F, S>,
    range: IovaRange,
    segments: impl Iterator<Item = Segment>,
) -> Result<Shape, TableError> {
    let (granule, geometry) = (Tree::<F>::granule(), &tree.geometry);
    let (mut total, mut lengths) = (0u64, 0);
    for segment in segments {
        let Segment { phys: PhysAddr(phys), bytes } = segment;
        if bytes == 0 || (phys | bytes) & (granule - 1) != 0 {
            return Err(TableError::UnalignedSegment { segment, granule });
        }
        let last = phys.checked_add(bytes - 1).filter(|last| *last <= geometry.last_phys().0);
        let Some(last) = last else {
            let output_bits = geometry.output_bits();
            return Err(TableError::OutputRange { segment, output_bits });
        };
        // Where the range is full, the address is of no use, and may be 2^64.
        let iova = range.first().0.wrapping_add(total);
        let takes_others = |wide: u64| (iova | phys | bytes) & (wide - 1) != 0;
        if last > geometry.last_narrow_phys().0 && geometry.wide_leaf().is_none_or(takes_others) {
            let output_bits = geometry.narrow_bits();
            return Err(TableError::OutputRange { segment, output_bits });
        }
        lengths |= bytes;
        total = total.saturating_add(bytes);
        if total > range.bytes() {
            break;
        }
    }
    if total == range.bytes() {
        Ok(Shape { lengths })
    } else {
        Err(TableError::SegmentsLength { range: range.bytes(), segments: total })
    }
}

/// The tables that mapping `segments` at `range` needs and the tree lacks.
///
/// Fails where something is mapped in the range.
pub(super) fn missing_for_map<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    segments: impl Iterator<Item = Segment>,
    shape: Shape,
) -> Result<TableCount, TableError> {
    let mut path = Path::new(tree, memory, range.first());
    if shape.are_pages::<F>() {
        path.look_at_pages(range)?;
    } else {
        path.look_at_leaves(range, segments)?;
    }
    Ok(path.missing)
}

/// The tables that mapping pages at `range` needs and the tree lacks.
///
/// Fails where something is mapped in the range.
pub(super) fn missing_for_pages<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
) -> Result<TableCount, TableError> {
    let mut path = Path::new(tree, memory, range.first());
    path.look_at_pages(range)?;
    Ok(path.missing)
}

/// Fails with the first leaf at or under `count` entries at `level` from `first` on, which translate from
/// `iova` on.
fn find_leaf_in<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    node: Node<F>,
    (level, first, count): (i8, usize, usize),
    iova: Iova,
) -> Result<(), TableError> {
    if tree.is_zero(node, first, count) {
        return Ok(());
    }
    let shift = Tree::<F>::entry_shift(level);
    for offset in 0..count {
        let iova = Iova(iova.0 + ((offset as u64) << shift));
        find_leaf::<F, S, M>(memory, S::load(node, first + offset), level, iova)?;
    }
    Ok(())
}

/// Fails with the first leaf at or under `entry`, which translates from `iova` on.
fn find_leaf<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    memory: &M,
    entry: u64,
    level: i8,
    iova: Iova,
) -> Result<(), TableError> {
    match F::decode(entry, level) {
        Entry::Leaf(_) => {
            Err(TableError::Overlap { iova, leaf: 1 << groups::page_shift::<F>(entry, level) })
        }
        Entry::Table(table) if level < LAST_LEVEL => {
            let node = Tree::<F>::child(memory, table);
            let shift = Tree::<F>::entry_shift(level + 1);
            for index in 0..node.entries() {
                let iova = Iova(iova.0 + ((index as u64) << shift));
                find_leaf::<F, S, M>(memory, S::load(node, index), level + 1, iova)?;
            }
            Ok(())
        }
        Entry::Table(_) | Entry::Empty => Ok(()),
    }
}

/// The tables on the way to an address, as far as they exist.
struct Path<'a, F: Format, S, M: ?Sized> {
    tree: &'a Tree<F, S>,
    memory: &'a M,
    /// The nodes from the first level to `depth` on the way to `iova`; `None` for one that is
    /// missing and counted.
    nodes: [Option<Node<F>>; MAX_LEVELS],
    depth: i8,
    iova: u64,
    missing: TableCount,
}

impl<'a, F: Format, S: Sharing, M: TableMemory + ?Sized> Path<'a, F, S, M> {
    fn new(tree: &'a Tree<F, S>, memory: &'a M, iova: Iova) -> Self {
        let first_level = tree.geometry.first_level();
        let mut nodes = [None; MAX_LEVELS];
        nodes[level_index(first_level)] = Some(tree.root());
        Self { tree, memory, nodes, depth: first_level, iova: iova.0, missing: TableCount::ZERO }
    }

    /// Looks where leaves of any size will be.
    fn look_at_leaves(
        &mut self,
        range: IovaRange,
        segments: impl Iterator<Item = Segment>,
    ) -> Result<(), TableError> {
        for chunk in Chunks::<F, _>::new(&self.tree.geometry, range, segments) {
            let Some(node) = self.seat(chunk.iova, chunk.level)? else { continue };
            let first = node.index(chunk.iova.0, Tree::<F>::entry_shift(chunk.level));
            if S::SHARED && chunk.phys > self.tree.geometry.last_narrow_phys() {
                self.check_wide(node, first, chunk)?;
            }
            find_leaf_in(
                self.tree,
                self.memory,
                node,
                (chunk.level, first, chunk.count),
                chunk.iova,
            )?;
        }
        Ok(())
    }

    /// Fails where a table is in the way of wide leaves: where threads share tables, none makes room,
    /// and no smaller leaves lead there (`WIDE`).
    #[cold]
    fn check_wide(&self, node: Node<F>, first: usize, chunk: Chunk) -> Result<(), TableError> {
        let Chunk { phys, level, count, .. } = chunk;
        let is_table = |index| matches!(F::decode(S::load(node, index), level), Entry::Table(_));
        if (first..first + count).any(is_table) {
            let bytes = (count as u64) << Tree::<F>::entry_shift(level);
            let output_bits = self.tree.geometry.narrow_bits();
            return Err(TableError::OutputRange { segment: Segment { phys, bytes }, output_bits });
        }
        Ok(())
    }

    /// Looks where pages will be: table by table, whatever the segments are, but for those below
    /// a missing one, which are missing, too.
    fn look_at_pages(&mut self, range: IovaRange) -> Result<(), TableError> {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let table_low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
        let mut next = Some(range.first());
        while let Some(iova) = next {
            let last = if let Some(node) = self.seat(iova, LAST_LEVEL)? {
                let last = Iova(iova.0 | table_low).min(range.last());
                let first = node.index(iova.0, shift);
                let count = node.index(last.0, shift) - first + 1;
                find_leaf_in(self.tree, self.memory, node, (LAST_LEVEL, first, count), iova)?;
                last
            } else {
                self.count_missing(iova, range.last())
            };
            next = last.0.checked_add(1).map(Iova).filter(|next| *next <= range.last());
        }
        Ok(())
    }

    /// Counts what is missing below the topmost missing table on the path to `iova`, where every
    /// page is to be mapped up to `end`; the tables on the path are counted. Says where that ends.
    fn count_missing(&mut self, iova: Iova, end: Iova) -> Iova {
        let mut level = LAST_LEVEL;
        while self.nodes[level_index(level - 1)].is_none() {
            level -= 1;
        }
        let low = (1u64 << Tree::<F>::table_shift(level)) - 1;
        let last = Iova(iova.0 | low).min(end);
        for below in level + 1..=LAST_LEVEL {
            let shift = Tree::<F>::table_shift(below);
            self.missing.increase(below, (last.0 >> shift) - (iova.0 >> shift));
        }
        last
    }

    /// The table at `level` that translates `iova`, or nothing where it is missing, in which case
    /// it is counted once. Fails where a larger leaf stands in its place.
    fn seat(&mut self, iova: Iova, level: i8) -> Result<Option<Node<F>>, TableError> {
        let changed = iova.0 ^ self.iova;
        while self.depth > self.tree.geometry.first_level()
            && (self.depth > level || changed >> Tree::<F>::table_shift(self.depth) != 0)
        {
            self.depth -= 1;
        }
        self.iova = iova.0;
        while self.depth < level {
            let shift = Tree::<F>::entry_shift(self.depth);
            let entry = self.nodes[level_index(self.depth)]
                .map_or(0, |node| S::load(node, node.index(iova.0, shift)));
            let child = match F::decode(entry, self.depth) {
                Entry::Table(table) => Some(Tree::<F>::child(self.memory, table)),
                Entry::Empty => {
                    self.missing.increase(self.depth + 1, 1);
                    None
                }
                Entry::Leaf(_) => {
                    let leaf = 1 << groups::page_shift::<F>(entry, self.depth);
                    return Err(TableError::Overlap { iova, leaf });
                }
            };
            self.depth += 1;
            self.nodes[level_index(self.depth)] = child;
        }
        Ok(self.nodes[level_index(level)])
    }
}

/// Refuses to cut leaves at the ends of `range` where that is forbidden, or where none that is smaller
/// leads to the same place (`WIDE`).
#[inline]
pub(super) fn check_cuts<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
) -> Result<(), TableError> {
    let forbidden = tree.splits == Splits::Forbidden;
    if !forbidden && tree.geometry.wide_leaf().is_none() {
        return Ok(());
    }
    let last = tree.geometry.last_narrow_phys();
    groups::cut(tree, memory, range, |phys| forbidden || phys > last)
        .map_or(Ok(()), |block| Err(TableError::Split { block }))
}

/// The tables that cutting leaves at both ends of `range` needs, where tables in `hole` go.
pub(super) fn missing_for_edit<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    edit: Edit,
) -> TableCount {
    let mut missing = TableCount::ZERO;
    let hole = match edit {
        Edit::Unmap { hole } => Some(tree.widen(hole)),
        Edit::Clear | Edit::Protect(_) => None,
    };
    let (first, end) = (range.first().0, range.last().0.wrapping_add(1));
    for (boundary, inside) in [(first, first), (end, range.last().0)] {
        let Some((_, level, _)) = tree.leaf_at(memory, Iova(inside)) else {
            continue;
        };
        // A leaf that the hole holds against its caller's word goes with its table.
        let table =
            (level > tree.geometry.first_level()).then(|| span_of::<F>(Iova(inside), level - 1));
        if table.zip(hole).is_some_and(|(table, hole)| hole.covers(table)) {
            continue;
        }
        // The leaf is split at each level down to the one whose entries end at the boundary.
        for level in level..LAST_LEVEL {
            let span = 1u64 << Tree::<F>::entry_shift(level);
            if boundary & (span - 1) == 0 {
                break;
            }
            // Where the range starts inside of the table that it ends in, the start has counted it.
            let table = inside & !(span - 1);
            if inside == first || first <= table {
                missing.increase(level + 1, 1);
            }
        }
    }
    missing
}
