//! From one planned state to the next: which tables will be missing, which will come loose.
//!
//! The rule (`EXACT` in `ARCHITECTURE.md`): a table with span `T` exists if and only if a planned
//! mapping overlaps `T` and is not a leaf that covers the whole of `T` from above. For an evicted
//! mapping, the leaves are those that it had when it was evicted; one that never had any needs no
//! table. So the tables are a function of the mappings, and a transition needs exactly the tables
//! of the new state that the old one lacks. All others stay where they are.
//!
//! Only tables whose span overlaps the transition's range can differ. Of each level, those form
//! one window; what lies outside of the range matters at the window's two ends only, where it is
//! enough to know the deepest table that the neighbours on either side need: whoever needs a
//! table needs all above it. The nearest neighbour says so, unless it is evicted. Then those
//! beyond it are asked, too, up to the first one that is not.

use alloc::vec::Vec;

use iopgtable::{Geometry, Iova, IovaRange, LAST_LEVEL, TableCount};

use crate::space::{Change, Gap, Mapping, Placed, Space, Transition};
use crate::view::View;

/// What a transition does to the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delta {
    /// Tables that the new state has and the old one lacks: to be reserved.
    pub missing: TableCount,
    /// Tables that the old state has and the new one lacks: they come loose.
    pub freed: TableCount,
    /// The addresses whose entries or tables change: the range, the leaves that are cut at its
    /// ends, and the spans of the tables that come loose. Nothing where nothing changes.
    pub footprint: Option<IovaRange>,
    /// A leaf that is cut at an end of the range, or a group of leaves with the contiguous hint.
    pub cut: Option<IovaRange>,
    /// Of the tables that come loose, the largest that reaches below the range, and the largest
    /// that reaches above it.
    pub(crate) outer: [Option<IovaRange>; 2],
    /// Whether evicted mappings lie around the range, so that one hole does not name the tables
    /// that come loose.
    pub(crate) beside_evicted: bool,
}

/// Computes what a transition does to the tables.
///
/// It keeps its working memory, so that planning a job allocates nothing once it has grown.
#[derive(Debug, Default)]
pub struct Planner {
    before: Spans,
    after: Spans,
}

impl Planner {
    /// A planner without working memory yet.
    pub const fn new() -> Self {
        Self { before: Spans::new(), after: Spans::new() }
    }

    /// What `transition` does to the tables; `space` is the state after it.
    pub fn delta(&mut self, geometry: &Geometry, space: &Space, transition: &Transition) -> Delta {
        let mut delta = Delta::default();
        let Transition { change, range, removed, left, right, inserted } = transition;
        // Tables stay where leaves are only cleared, and where there is nothing to do.
        let is_inert = *change == Change::Evict || (removed.is_empty() && inserted.is_empty());
        let below = Neighbours::below(geometry, space, transition);
        let above = Neighbours::above(geometry, space, transition);
        delta.beside_evicted = below.are_evicted || above.are_evicted;
        let levels = geometry.first_level() + 1..=LAST_LEVEL;
        for level in levels.filter(|_| !is_inert) {
            let shift = geometry.table_shift(level);
            let window = (range.first().0 >> shift, range.last().0 >> shift);
            if window.0 == window.1 && level <= below.depth.max(above.depth) {
                // One table, which a neighbour needs, before and after.
                continue;
            }
            let needed_below = (level <= below.depth).then_some(window.0);
            let needed_above = (level <= above.depth).then_some(window.1);

            self.before.clear();
            self.before.extend(needed_below);
            for old in removed {
                self.before.add_needed(geometry, level, old, window);
            }
            self.before.extend(needed_above);

            self.after.clear();
            self.after.extend(needed_below);
            for new in left.iter().chain(inserted).chain(right) {
                self.after.add_needed(geometry, level, new, window);
            }
            self.after.extend(needed_above);

            delta.missing.increase(level, self.after.without(&self.before).count);
            let freed = self.before.without(&self.after);
            delta.freed.increase(level, freed.count);
            let Some((first, last)) = freed.ends else { continue };
            let low = (1u64 << shift) - 1;
            let [first, last] = [first, last]
                .map(|index| IovaRange::between(Iova(index << shift), Iova(index << shift | low)));
            let [below, above] = &mut delta.outer;
            *below = below.or(Some(first).filter(|span| span.first() < range.first()));
            *above = above.or(Some(last).filter(|span| span.last() > range.last()));
            // Root entries may span more than is translated.
            let first = first.first().max(geometry.first_iova());
            delta.touch(IovaRange::between(first, last.last().min(geometry.last_iova())));
        }
        delta.measure(geometry, transition);
        delta
    }
}

impl Delta {
    /// Finds the leaves that are cut and the addresses that are touched.
    fn measure(&mut self, geometry: &Geometry, transition: &Transition) {
        let Transition { change, range, removed, left, right, inserted } = transition;
        let left = removed.first().filter(|old| left.is_some() && !old.is_evicted());
        let right = removed.last().filter(|old| right.is_some() && !old.is_evicted());
        for (old, end) in [(left, range.first()), (right, range.last())] {
            let Some(old) = old else { continue };
            let leaf = old.mapping.view().leaf_at(geometry, end).group;
            if !range.covers(leaf) {
                self.cut = self.cut.or(Some(leaf));
                self.touch(leaf);
            }
        }
        let moves_leaves = transition.removes_leaves() || transition.inserts_leaves();
        if *change != Change::Split && (moves_leaves || self.freed != TableCount::ZERO) {
            let new = inserted.iter().map(|new| new.mapping.range);
            for touched in transition.displaced_hull().into_iter().chain(new) {
                self.touch(touched);
            }
        }
    }

    fn touch(&mut self, range: IovaRange) {
        self.footprint = Some(self.footprint.map_or(range, |before| before.hull(range)));
    }
}

/// The tables that a map will find missing which fills `gap` with `new`. A table of its range is
/// missing, unless a leaf covers it, or it is one of the two at the ends and a neighbour has it.
pub(crate) fn missing_in_gap(geometry: &Geometry, new: &Mapping, gap: Gap) -> TableCount {
    let range = new.range;
    let depth = |near: Option<Iova>, end: Iova| {
        near.map_or(geometry.first_level(), |near| depth(geometry, near, end))
    };
    let (below, above) = (depth(gap.below, range.first()), depth(gap.above, range.last()));
    let mut missing = TableCount::ZERO;
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        let shift = geometry.table_shift(level);
        let (first, last) = (range.first().0 >> shift, range.last().0 >> shift);
        if first == last && level <= below.max(above) {
            continue;
        }
        let there = u64::from(level <= below) + u64::from(level <= above);
        missing.increase(level, last - first + 1 - there - covered(geometry, level, new));
    }
    missing
}

/// The level of the deepest table that translates both addresses.
fn depth(geometry: &Geometry, one: Iova, other: Iova) -> i8 {
    let root = geometry.first_level();
    let shares = |&level: &i8| (one.0 ^ other.0) >> geometry.table_shift(level) == 0;
    (root + 1..=LAST_LEVEL).rev().find(shares).unwrap_or(root)
}

/// How many tables at `level` leaves of `mapping` cover.
fn covered(geometry: &Geometry, level: i8, mapping: &Mapping) -> u64 {
    let shift = geometry.table_shift(level);
    let span = 1u64 << shift;
    if !geometry.is_leaf_level(level - 1) || mapping.backing.longest() < span {
        return 0;
    }
    let (first, last) = (mapping.range.first().0, mapping.range.last().0);
    if mapping.backing.is_aligned(span) && (first ^ mapping.offset) & (span - 1) == 0 {
        // A leaf covers each table that lies in the range whole.
        let from = (first >> shift) + u64::from(first & (span - 1) != 0);
        let to = (last >> shift) + u64::from(last & (span - 1) == span - 1);
        return to.saturating_sub(from);
    }
    let (mut address, mut covered) = (first, 0);
    for run in mapping.runs() {
        if run.bytes >= span && (address ^ run.phys.0) & (span - 1) == 0 {
            let skipped = address.wrapping_neg() & (span - 1);
            covered += run.bytes.saturating_sub(skipped) >> shift;
        }
        address = address.wrapping_add(run.bytes);
    }
    covered
}

/// What the mappings on one side of a transition need of the tables that reach over its end.
struct Neighbours {
    /// The level of the deepest such table. Those above it are needed, too.
    depth: i8,
    /// Whether any of those that were asked is evicted.
    are_evicted: bool,
}

impl Neighbours {
    fn below(geometry: &Geometry, space: &Space, transition: &Transition) -> Self {
        let Transition { range, left, .. } = transition;
        let bound = left.as_ref().map_or(range.first(), |left| left.mapping.range.first());
        let nearest = |placed: &Placed| placed.mapping.range.last();
        let mut below = Self::of(geometry, range.first(), space.below(bound), nearest);
        below.are_evicted |= left.as_ref().is_some_and(Placed::is_evicted);
        below
    }

    fn above(geometry: &Geometry, space: &Space, transition: &Transition) -> Self {
        let Transition { range, right, .. } = transition;
        let bound = right.as_ref().map_or(range.last(), |right| right.mapping.range.last());
        let nearest = |placed: &Placed| placed.mapping.range.first();
        let mut above = Self::of(geometry, range.last(), space.above(bound), nearest);
        above.are_evicted |= right.as_ref().is_some_and(Placed::is_evicted);
        above
    }

    fn of<'s>(
        geometry: &Geometry,
        end: Iova,
        neighbours: impl Iterator<Item = &'s Placed>,
        nearest: impl Fn(&Placed) -> Iova,
    ) -> Self {
        let root = geometry.first_level();
        let mut found = Self { depth: root, are_evicted: false };
        for neighbour in neighbours {
            let near = nearest(neighbour);
            let shared = depth(geometry, near, end);
            if shared <= found.depth {
                break;
            }
            if !neighbour.is_evicted() {
                found.depth = shared;
                break;
            }
            found.are_evicted = true;
            if let Some(supplied) = neighbour.supplied() {
                // A leaf at this level covers all tables below it.
                let level = supplied.leaf_at(geometry, near).level;
                found.depth = found.depth.max(shared.min(level));
            }
        }
        found
    }
}

/// A set of tables of one level, by the number of their span: runs, ascending, apart.
#[derive(Debug, Default)]
struct Spans(Vec<(u64, u64)>);

impl Spans {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one table, not below those that are in.
    fn extend(&mut self, index: Option<u64>) {
        if let Some(index) = index {
            self.add(index, index);
        }
    }

    /// Adds the tables from `first` to `last`; `first` is not below a run that is in.
    fn add(&mut self, first: u64, last: u64) {
        match self.0.last_mut() {
            Some(run) if first <= run.1.saturating_add(1) => run.1 = run.1.max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// Adds the tables in `window` that `placed` needs at `level`.
    fn add_needed(&mut self, geometry: &Geometry, level: i8, placed: &Placed, window: (u64, u64)) {
        let Some(supplied) = placed.supplied() else { return };
        let shift = geometry.table_shift(level);
        let span = 1u64 << shift;
        let range = placed.mapping.range;
        let window =
            (window.0.max(range.first().0 >> shift), window.1.min(range.last().0 >> shift));
        let mut add = |first: u64, last: u64| {
            let (first, last) = (first.max(window.0), last.min(window.1));
            if first <= last {
                self.add(first, last);
            }
        };
        let View { range, backing, offset } = supplied;
        let (first, last) = (range.first().0, range.last().0);
        if !geometry.is_leaf_level(level - 1) || backing.longest() < span {
            // No leaf covers a whole table.
            return add(first >> shift, last >> shift);
        }
        if backing.is_aligned(span) && (first ^ offset) & (span - 1) == 0 {
            // A leaf covers each table that lies in the range whole.
            if first & (span - 1) != 0 {
                add(first >> shift, first >> shift);
            }
            if last & (span - 1) != span - 1 {
                add(last >> shift, last >> shift);
            }
            return;
        }
        let Some(window) =
            IovaRange::inclusive(Iova(window.0 << shift), Iova((window.1 << shift) | (span - 1)))
        else {
            return;
        };
        for (address, run) in supplied.runs_in(window) {
            let end = address + (run.bytes - 1);
            let (first, last) = (address >> shift, end >> shift);
            // The tables whose span lies in the run whole, if its leaves can be so large.
            let whole_from = first + u64::from(address & (span - 1) != 0);
            let whole_to = last + u64::from(end & (span - 1) == span - 1);
            if (address ^ run.phys.0) & (span - 1) == 0 && whole_from < whole_to {
                if first < whole_from {
                    add(first, first);
                }
                if whole_to <= last {
                    add(last, last);
                }
            } else {
                add(first, last);
            }
        }
    }

    /// The tables that are in here but not in `other`.
    fn without(&self, other: &Self) -> Difference {
        let mut difference = Difference::default();
        let mut others = other.0.as_slice();
        for &(first, last) in &self.0 {
            let mut from = first;
            loop {
                match others {
                    // Behind us: it cannot matter any more.
                    [(_, other_last), rest @ ..] if *other_last < from => others = rest,
                    [(other_first, other_last), ..] if *other_first <= last => {
                        if from < *other_first {
                            difference.add(from, other_first - 1);
                        }
                        if *other_last >= last {
                            break;
                        }
                        from = other_last + 1;
                    }
                    _ => {
                        difference.add(from, last);
                        break;
                    }
                }
            }
        }
        difference
    }
}

/// Tables of one level: how many, and the first and the last.
#[derive(Clone, Copy, Debug, Default)]
struct Difference {
    count: u64,
    ends: Option<(u64, u64)>,
}

impl Difference {
    /// Adds the tables from `first` to `last`, which lie above those that are in.
    fn add(&mut self, first: u64, last: u64) {
        self.count += last - first + 1;
        self.ends = Some((self.ends.map_or(first, |(first, _)| first), last));
    }
}

/// The tables that `space` needs, counted afresh from all its mappings; those that evicted mappings
/// keep count.
pub fn tables(geometry: &Geometry, space: &Space) -> TableCount {
    let mut count = TableCount::ZERO;
    let mut spans = Spans::new();
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        spans.clear();
        for placed in space.placed() {
            let all = (0, u64::MAX >> geometry.table_shift(level));
            spans.add_needed(geometry, level, placed, all);
        }
        count.increase(level, spans.without(&Spans::new()).count);
    }
    count
}
