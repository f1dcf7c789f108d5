//! The planned VA map: which mappings there will be, and how a new one splits the old ones.
//!
//! The rules are those of Linux's GPU VA manager. A map over existing mappings removes them where
//! they overlap; what sticks out stays, as a mapping of its own:
//!
//! | | ends with the request | ends before | ends after |
//! |---|---|---|---|
//! | **starts with it** | removed | removed | `right` stays |
//! | **starts before it** | `left` stays | `left` stays | `left` and `right` stay |
//! | **starts after it** | removed | removed | `right` stays |
//!
//! An unmap follows the same table and adds nothing.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{Geometry, Iova, IovaRange, Prot, Segment, SegmentsPart};

use crate::backing::{Backing, Runs};

/// A range of addresses that shows a part of a backing.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The addresses.
    pub range: IovaRange,
    /// What they lead to.
    pub backing: Arc<Backing>,
    /// Where in the backing the range begins, in bytes.
    pub offset: u64,
    /// What is allowed.
    pub prot: Prot,
}

impl Mapping {
    /// The part of this mapping that lies in `range`.
    pub fn part(&self, range: IovaRange) -> Option<Self> {
        let range = self.range.intersection(range)?;
        Some(Self {
            range,
            offset: self.offset + (range.first().0 - self.range.first().0),
            ..self.clone()
        })
    }

    /// Its physical runs, from the first address on.
    pub fn runs(&self) -> Runs<'_> {
        self.backing.runs(self.offset, self.range.bytes())
    }

    /// The same, to be mapped.
    pub(crate) fn segments(&self) -> SegmentsPart<'_> {
        self.backing.part(self.offset, self.range.bytes())
    }

    /// The runs that overlap `window`, whole (but clipped to the mapping), each with the address
    /// that it starts at.
    pub(crate) fn runs_in(&self, window: IovaRange) -> impl Iterator<Item = (u64, Segment)> + '_ {
        let first = self.range.first().0;
        let inside = window.first().0.max(first);
        // The run that holds `inside` begins with its segment, or with the mapping.
        let offset = self.offset + (inside - first);
        let start = self.backing.segment_start(offset).max(self.offset);
        let mut address = first + (start - self.offset);
        let last = self.range.last().0;
        let left = (last - address).saturating_add(1);
        self.backing
            .runs(start, left)
            .map(move |run| {
                let at = address;
                address = address.wrapping_add(run.bytes);
                (at, run)
            })
            .take_while(move |&(at, _)| at <= window.last().0)
    }

    /// What the canonical leaf at `address`, which must be mapped, translates, together with
    /// those that carry the contiguous hint with it.
    pub(crate) fn leaf_span(&self, geometry: &Geometry, address: Iova) -> IovaRange {
        let here = IovaRange::between(address, address);
        let Some((first, run)) = self.runs_in(here).next() else { return here };
        let last = first + (run.bytes - 1);
        let fitting = |shift: u32| {
            let rest = (1u64 << shift) - 1;
            let span = IovaRange::between(Iova(address.0 & !rest), Iova(address.0 | rest));
            let fits = first <= span.first().0 && span.last().0 <= last;
            (fits && (first ^ run.phys.0) & rest == 0).then_some(span)
        };
        let mut levels = geometry.leaf_levels();
        levels
            .find_map(|level| {
                let leaf = fitting(geometry.entry_shift(level))?;
                Some(fitting(geometry.group_shift(level)).unwrap_or(leaf))
            })
            .unwrap_or(here)
    }

    /// Whether `other` shows the same memory wherever both map the same address: whoever replaces
    /// one by the other keeps the contents.
    pub fn keeps(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backing, &other.backing)
            && self.range.first().0.wrapping_sub(self.offset)
                == other.range.first().0.wrapping_sub(other.offset)
    }
}

/// One step from a state of a [`Space`] to the next.
#[derive(Debug)]
pub struct Transition {
    /// The addresses that were mapped or unmapped.
    pub range: IovaRange,
    /// The mappings that overlapped the range, whole, in ascending order.
    pub removed: Vec<Mapping>,
    /// What is left of the first of them, below the range.
    pub left: Option<Mapping>,
    /// What is left of the last of them, above the range.
    pub right: Option<Mapping>,
    /// The new mapping: none for an unmap.
    pub inserted: Option<Mapping>,
}

/// What happens to one old mapping in a [`Transition`].
#[derive(Clone, Copy, Debug)]
pub struct Displaced<'t> {
    /// The old mapping.
    pub old: &'t Mapping,
    /// What stays below the range.
    pub left: Option<&'t Mapping>,
    /// What stays above it.
    pub right: Option<&'t Mapping>,
    /// Whether the new mapping shows the same memory at the same addresses.
    pub keep: bool,
}

impl Transition {
    /// What happens to each old mapping, in ascending order.
    pub fn displaced(&self) -> impl Iterator<Item = Displaced<'_>> {
        let range = self.range;
        self.removed.iter().map(move |old| Displaced {
            old,
            left: self.left.as_ref().filter(|_| old.range.first() < range.first()),
            right: self.right.as_ref().filter(|_| old.range.last() > range.last()),
            keep: self.inserted.as_ref().is_some_and(|new| new.keeps(old)),
        })
    }
}

/// The mappings of one address space. They never overlap.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// By first address.
    mappings: BTreeMap<u64, Mapping>,
}

impl Space {
    /// No mappings.
    pub const fn new() -> Self {
        Self { mappings: BTreeMap::new() }
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }

    /// All mappings, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.values()
    }

    /// The mapping that `address` lies in.
    pub fn get(&self, address: Iova) -> Option<&Mapping> {
        let (_, mapping) = self.mappings.range(..=address.0).next_back()?;
        mapping.range.contains(address).then_some(mapping)
    }

    /// The mappings that overlap `range`, in ascending order.
    pub fn overlapping(&self, range: IovaRange) -> impl Iterator<Item = &Mapping> {
        let first = self.get(range.first()).map_or(range.first().0, |cut| cut.range.first().0);
        self.mappings.range(first..=range.last().0).map(|(_, mapping)| mapping)
    }

    /// The last mapped address below `address`.
    pub fn last_below(&self, address: Iova) -> Option<Iova> {
        let (_, mapping) = self.mappings.range(..address.0).next_back()?;
        // A mapping that reaches over `address` is mapped right below it.
        Some(mapping.range.last().min(Iova(address.0 - 1)))
    }

    /// The first mapped address above `address`.
    pub fn first_above(&self, address: Iova) -> Option<Iova> {
        let next = Iova(address.0.checked_add(1)?);
        if self.get(next).is_some() {
            return Some(next);
        }
        self.mappings.range(next.0..).next().map(|(_, mapping)| mapping.range.first())
    }

    /// Inserts `mapping` in place of whatever overlaps it.
    pub fn map(&mut self, mapping: Mapping) -> Transition {
        let mut transition = self.unmap(mapping.range);
        self.mappings.insert(mapping.range.first().0, mapping.clone());
        transition.inserted = Some(mapping);
        transition
    }

    /// Removes whatever `range` maps.
    pub fn unmap(&mut self, range: IovaRange) -> Transition {
        let removed: Vec<Mapping> = self.overlapping(range).cloned().collect();
        for old in &removed {
            self.mappings.remove(&old.range.first().0);
        }
        let below = range
            .first()
            .0
            .checked_sub(1)
            .and_then(|last| removed.first()?.part(IovaRange::inclusive(Iova(0), Iova(last))?));
        let above = range.last().0.checked_add(1).and_then(|first| {
            removed.last()?.part(IovaRange::inclusive(Iova(first), Iova(u64::MAX))?)
        });
        for rest in [&below, &above].into_iter().flatten() {
            self.mappings.insert(rest.range.first().0, rest.clone());
        }
        Transition { range, removed, left: below, right: above, inserted: None }
    }

    /// Takes the latest transition back.
    pub fn undo(&mut self, transition: Transition) {
        let Transition { removed, left, right, inserted, .. } = transition;
        for new in [left, right, inserted].into_iter().flatten() {
            self.mappings.remove(&new.range.first().0);
        }
        for old in removed {
            self.mappings.insert(old.range.first().0, old);
        }
    }
}
