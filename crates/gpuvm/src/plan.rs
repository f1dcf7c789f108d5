//! From one planned state to the next: which tables will be missing, which will come loose.
//!
//! The rule (`EXACT` in `ARCHITECTURE.md`): a table with span `T` exists if and only if a planned
//! mapping overlaps `T` and is not a leaf that covers the whole of `T` from above. So the tables
//! are a function of the mappings, and a transition needs exactly the tables of the new state that
//! the old one lacks. All others stay where they are.
//!
//! Only tables whose span overlaps the transition's range can differ. Of each level, those form
//! one window; what lies outside of the range matters at the window's two ends only, where it is
//! enough to know the nearest mapping on either side.

use alloc::vec::Vec;

use iopgtable::{Geometry, Iova, IovaRange, LAST_LEVEL, TableCount};

use crate::space::{Mapping, Space, Transition};

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
        let Transition { range, removed, left, right, inserted } = transition;
        if removed.is_empty() && inserted.is_none() {
            return delta;
        }
        let mut footprint = *range;
        let left = removed.first().filter(|_| left.is_some());
        let right = removed.last().filter(|_| right.is_some());
        for (old, end) in [(left, range.first()), (right, range.last())] {
            let Some(leaf) = old.map(|old| old.leaf_span(geometry, end)) else { continue };
            footprint = footprint.hull(leaf);
            if !range.covers(leaf) {
                delta.cut = delta.cut.or(Some(leaf));
            }
        }
        let below = space.last_below(range.first());
        let above = space.first_above(range.last());
        for level in geometry.first_level() + 1..=LAST_LEVEL {
            let shift = geometry.table_shift(level);
            let window = (range.first().0 >> shift, range.last().0 >> shift);
            let below = below.map(|last| last.0 >> shift).filter(|&index| index == window.0);
            let above = above.map(|first| first.0 >> shift).filter(|&index| index == window.1);

            // What sticks out of the range in the new state was part of a removed mapping in the
            // old one, and is counted as such.
            self.before.clear();
            self.before.extend(below.filter(|_| left.is_none()));
            for old in removed {
                self.before.add_needed(geometry, level, old, window);
            }
            self.before.extend(above.filter(|_| right.is_none()));

            self.after.clear();
            self.after.extend(below);
            if let Some(new) = inserted {
                self.after.add_needed(geometry, level, new, window);
            }
            self.after.extend(above);

            delta.missing.increase(level, self.after.without(&self.before).count);
            let freed = self.before.without(&self.after);
            delta.freed.increase(level, freed.count);
            if let Some((first, last)) = freed.ends {
                let last = Iova(((last + 1) << shift).wrapping_sub(1).min(geometry.last_iova().0));
                footprint = IovaRange::inclusive(Iova(first << shift), last)
                    .map_or(footprint, |freed| footprint.hull(freed));
            }
        }
        delta.footprint = Some(footprint);
        delta
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

    /// Adds the tables in `window` that `mapping` needs at `level`.
    fn add_needed(
        &mut self,
        geometry: &Geometry,
        level: i8,
        mapping: &Mapping,
        window: (u64, u64),
    ) {
        let shift = geometry.table_shift(level);
        let span = 1u64 << shift;
        let mut add = |first: u64, last: u64| {
            let (first, last) = (first.max(window.0), last.min(window.1));
            if first <= last {
                self.add(first, last);
            }
        };
        if !geometry.is_leaf_level(level - 1) || mapping.backing.longest() < span {
            // No leaf covers a whole table.
            return add(mapping.range.first().0 >> shift, mapping.range.last().0 >> shift);
        }
        let Some(window) =
            IovaRange::inclusive(Iova(window.0 << shift), Iova((window.1 << shift) | (span - 1)))
        else {
            return;
        };
        for (address, run) in mapping.runs_in(window) {
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

/// The tables that `space` needs, counted afresh from all its mappings.
pub fn tables(geometry: &Geometry, space: &Space) -> TableCount {
    let mut count = TableCount::ZERO;
    let mut spans = Spans::new();
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        spans.clear();
        for mapping in space.iter() {
            spans.add_needed(
                geometry,
                level,
                mapping,
                (0, u64::MAX >> geometry.table_shift(level)),
            );
        }
        count.increase(level, spans.without(&Spans::new()).count);
    }
    count
}
