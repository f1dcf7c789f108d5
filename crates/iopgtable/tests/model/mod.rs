//! What a table holds, worked out the slow way: leaves one by one, tables one by one.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use iopgtable::{
    Geometry, Iova, IovaRange, LAST_LEVEL, PhysAddr, Prot, Segment, TableCount, Visit,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) bytes: u64,
    pub(crate) phys: u64,
    pub(crate) prot: Prot,
}

/// The leaves by their first address, and the tables by level and first address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    geometry: Geometry,
    pub(crate) leaves: BTreeMap<u64, Leaf>,
    pub(crate) tables: BTreeSet<(i8, u64)>,
}

/// What an operation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Tables that were missing.
    pub(crate) made: TableCount,
    /// Tables that came loose.
    pub(crate) loose: usize,
    /// What covers the leaves that are gone, as far as they lie in the range; of those that were
    /// cut, all.
    pub(crate) leaves: Option<IovaRange>,
    /// What covers the loose tables.
    pub(crate) walks: Option<IovaRange>,
}

/// A table or a leaf (with where it leads, and its bytes), by its first address and level: what a
/// visit shows, but for the places of tables.
pub(crate) type Seen = (u64, i8, Option<(u64, Prot, u64)>);

fn cover(what: &mut Option<IovaRange>, range: IovaRange) {
    *what = Some(what.map_or(range, |before| before.hull(range)));
}

impl Leaf {
    pub(crate) fn span(&self, first: u64) -> IovaRange {
        IovaRange::new(Iova(first), self.bytes).expect("leaves are not empty")
    }
}

impl Model {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self { geometry, leaves: BTreeMap::new(), tables: BTreeSet::new() }
    }

    pub(crate) const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The addresses of a table; of those beyond what is translated there are none.
    fn span(&self, (level, first): (i8, u64)) -> IovaRange {
        let last = first + ((1u64 << self.geometry.table_shift(level)) - 1);
        let span = IovaRange::inclusive(Iova(first), Iova(last)).expect("in order");
        span.intersection(self.geometry.whole()).expect("tables translate something")
    }

    fn level_of(&self, bytes: u64) -> i8 {
        (self.geometry.first_level()..=LAST_LEVEL)
            .find(|&level| 1u64 << self.geometry.entry_shift(level) <= bytes)
            .expect("a page is the smallest leaf")
    }

    /// The leaf that maps `address`.
    pub(crate) fn leaf_at(&self, address: u64) -> Option<(u64, Leaf)> {
        let (&first, &leaf) = self.leaves.range(..=address).next_back()?;
        leaf.span(first).contains(Iova(address)).then_some((first, leaf))
    }

    /// Where `address` leads, and the permissions there.
    pub(crate) fn get(&self, address: u64) -> Option<(u64, Prot)> {
        let (first, leaf) = self.leaf_at(address)?;
        Some((leaf.phys + (address - first), leaf.prot))
    }

    /// The leaves that map a part of `range`.
    fn overlapping(&self, range: IovaRange) -> Vec<(u64, Leaf)> {
        let head = self.leaf_at(range.first().0);
        let head = head.filter(|&(first, _)| first < range.first().0);
        let rest = self.leaves.range(range.first().0..=range.last().0);
        head.into_iter().chain(rest.map(|(&first, &leaf)| (first, leaf))).collect()
    }

    /// The first address in `range` that is mapped, and the bytes of the leaf.
    pub(crate) fn first_mapped(&self, range: IovaRange) -> Option<(Iova, u64)> {
        let &(first, leaf) = self.overlapping(range).first()?;
        Some((Iova(first.max(range.first().0)), leaf.bytes))
    }

    /// The largest range around `range` in which nothing else is mapped.
    pub(crate) fn hole(&self, range: IovaRange) -> IovaRange {
        let before = self.leaves.range(..range.first().0).next_back();
        let lowest = self.geometry.first_iova().0;
        let first =
            before.map_or(lowest, |(&first, leaf)| leaf.span(first).last().0.saturating_add(1));
        let after = self.leaves.range(range.last().0..).find(|&(&first, _)| first > range.last().0);
        let last = after.map_or(self.geometry.last_iova().0, |(&first, _)| first - 1);
        // A leaf that sticks out of the range is no part of the hole.
        let first = first.min(range.first().0);
        let last = match self.leaf_at(range.last().0) {
            Some((first, leaf)) if leaf.span(first).last() > range.last() => range.last().0,
            _ => last,
        };
        IovaRange::inclusive(Iova(first), Iova(last)).expect("it holds the range")
    }

    /// Puts the leaves for `bytes` bytes in: at each address the largest that fits.
    fn fill(&mut self, first: u64, phys: u64, bytes: u64, prot: Prot, change: &mut Change) {
        let sizes: Vec<u64> = self.geometry.leaf_sizes().collect();
        let mut done = 0;
        while done < bytes {
            let (first, phys) = (first + done, phys + done);
            let fits =
                |size: &&u64| first % **size == 0 && phys % **size == 0 && bytes - done >= **size;
            let size = *sizes.iter().find(fits).expect("a page always fits");
            self.put(first, Leaf { bytes: size, phys, prot }, change);
            done += size;
        }
    }

    fn put(&mut self, first: u64, leaf: Leaf, change: &mut Change) {
        let leaf_level = self.level_of(leaf.bytes);
        for level in self.geometry.first_level() + 1..=leaf_level {
            let mask = (1u64 << self.geometry.table_shift(level)) - 1;
            if self.tables.insert((level, first & !mask)) {
                change.made.increase(level, 1);
            }
        }
        let last = leaf.span(first).last().0;
        let replaced: Vec<_> = (leaf_level + 1..=LAST_LEVEL)
            .flat_map(|level| self.tables.range((level, first)..=(level, last)))
            .copied()
            .collect();
        for table in replaced {
            self.loosen(table, change);
        }
        assert!(self.leaves.insert(first, leaf).is_none(), "leaves do not overlap");
    }

    fn loosen(&mut self, table: (i8, u64), change: &mut Change) {
        assert!(self.tables.remove(&table));
        change.loose += 1;
        let full = (1u64 << self.geometry.table_shift(table.0)) - 1;
        let last = Iova(table.1 | full);
        cover(
            &mut change.walks,
            IovaRange::inclusive(Iova(table.1), last).expect("it ends after it starts"),
        );
    }

    /// Maps where nothing is mapped.
    pub(crate) fn map(&mut self, range: IovaRange, segments: &[Segment], prot: Prot) -> Change {
        assert_eq!(self.first_mapped(range), None);
        self.replace(range, segments, prot)
    }

    /// Maps in place of what is mapped.
    pub(crate) fn replace(&mut self, range: IovaRange, segments: &[Segment], prot: Prot) -> Change {
        let before = self.tables.clone();
        let mut change = Change::default();
        self.clear(range, &mut change);
        let mut first = range.first().0;
        for segment in segments {
            self.fill(first, segment.phys.0, segment.bytes, prot, &mut change);
            // At the very top, the next address would be 2^64.
            first = first.wrapping_add(segment.bytes);
        }
        // A table may have been made for a cut and be needed no more: count what is there now.
        change.made = TableCount::ZERO;
        for &(level, _) in self.tables.difference(&before) {
            change.made.increase(level, 1);
        }
        change
    }

    /// Removes what `range` maps, and the tables that meet it and lie in `hole`, with all that
    /// they hold.
    pub(crate) fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Change {
        let mut change = Change::default();
        let goes = |table: &(i8, u64)| {
            let span = self.span(*table);
            hole.covers(span) && span.intersection(range).is_some()
        };
        let heads: Vec<_> = self.tables.iter().filter(|table| goes(table)).copied().collect();
        let spans: Vec<_> = heads.iter().map(|&head| self.span(head)).collect();
        let inside = |at: u64| spans.iter().any(|span| span.contains(Iova(at)));
        // A table above a head may begin where the head does, but is larger.
        let lost = |table: &(i8, u64)| spans.iter().any(|span| span.covers(self.span(*table)));
        let tables: Vec<_> = self.tables.iter().filter(|table| lost(table)).copied().collect();
        let leaves: Vec<_> = self.leaves.keys().filter(|&&first| inside(first)).copied().collect();
        for table in tables {
            self.loosen(table, &mut change);
        }
        for first in leaves {
            let leaf = self.leaves.remove(&first).expect("it was there");
            if let Some(told) = leaf.span(first).intersection(range) {
                cover(&mut change.leaves, told);
            }
        }
        self.clear(range, &mut change);
        change
    }

    /// Removes what `range` maps, and no table.
    pub(crate) fn zap(&mut self, range: IovaRange) -> Change {
        let mut change = Change::default();
        self.clear(range, &mut change);
        change
    }

    /// Changes what `range` allows, where it maps anything.
    pub(crate) fn protect(&mut self, range: IovaRange, prot: Prot) -> Change {
        let mut change = Change::default();
        let inside: Vec<_> = self.overlapping(range);
        self.clear(range, &mut change);
        for (first, leaf) in inside {
            if let Some(part) = leaf.span(first).intersection(range) {
                let phys = leaf.phys + (part.first().0 - first);
                self.fill(part.first().0, phys, part.bytes(), prot, &mut change);
            }
        }
        change
    }

    /// Removes leaves, and splits those that stick out of `range`.
    fn clear(&mut self, range: IovaRange, change: &mut Change) {
        for (first, leaf) in self.overlapping(range) {
            self.leaves.remove(&first);
            let span = leaf.span(first);
            cover(&mut change.leaves, span);
            let head = range.first().0.saturating_sub(first);
            self.fill(first, leaf.phys, head, leaf.prot, change);
            let tail = span.last().0.saturating_sub(range.last().0);
            let skipped = leaf.bytes - tail;
            self.fill(first.wrapping_add(skipped), leaf.phys + skipped, tail, leaf.prot, change);
        }
    }

    /// What a visit of everything shows.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let tables = self.tables.iter().map(|&(level, first)| (first, level, false));
        let leaves =
            self.leaves.iter().map(|(&first, leaf)| (first, self.level_of(leaf.bytes), true));
        // A table comes before what it holds, even where that begins with it.
        let all: BTreeSet<(u64, i8, bool)> = tables.chain(leaves).collect();
        let show = |(first, level, leaf)| {
            let leaf = if leaf { self.leaves.get(&first) } else { None };
            (first, level, leaf.map(|leaf| (leaf.phys, leaf.prot, leaf.bytes)))
        };
        all.into_iter().map(show).collect()
    }

    pub(crate) fn count_tables(&self) -> TableCount {
        let mut count = TableCount::ZERO;
        for &(level, _) in &self.tables {
            count.increase(level, 1);
        }
        count
    }

    /// Addresses worth a look: both ends and the middle of every leaf, and what lies around.
    pub(crate) fn addresses(&self, touched: IovaRange, most: usize) -> Vec<u64> {
        let last = self.geometry.last_iova().0;
        let (from, to) = (touched.first().0, touched.last().0);
        let mut all = vec![from, to, from + (to - from) / 2, from.saturating_sub(1)];
        all.push(to.saturating_add(1).min(last));
        let step = self.leaves.len() / most + 1;
        for (&first, leaf) in self.leaves.iter().step_by(step) {
            let end = leaf.span(first).last().0;
            all.extend([first, first + leaf.bytes / 2 + 8, end, end.saturating_add(1).min(last)]);
        }
        all
    }
}

/// What a visit showed, to be compared with [`Model::seen`]; checks the spans on the way.
pub(crate) fn seen(geometry: &Geometry, visits: &[Visit]) -> Vec<Seen> {
    let show = |visit: &Visit| match *visit {
        Visit::Table { span, level, .. } => {
            assert_eq!(span.last().0 - span.first().0, (1 << geometry.table_shift(level)) - 1);
            (span.first().0, level, None)
        }
        Visit::Leaf { span, level, phys: PhysAddr(phys), prot, .. } => {
            assert!(span.is_aligned(1 << geometry.entry_shift(level)), "{visit:?}");
            assert!(geometry.leaf_sizes().any(|size| size == span.bytes()), "{visit:?}");
            (span.first().0, level, Some((phys, prot, span.bytes())))
        }
        ref other => panic!("what is {other:?}?"),
    };
    visits.iter().map(show).collect()
}
