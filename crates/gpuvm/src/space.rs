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
//! An unmap follows the same table and adds nothing. A protect follows it for the mappings that
//! allow something else, and what it changes of each is a mapping of its own.
//!
//! # Evicted mappings
//!
//! An evicted mapping stays where it is; its leaves are gone, but its tables stay. They are those
//! that its leaves had when it was evicted. So it remembers the range that it had then (`was`);
//! its offset there follows from what it shows now, because cutting keeps both in step. Whatever
//! is cut from it, moved, or protected meanwhile changes no table but those that nothing that is
//! left of it overlaps. A mapping that is made while its backing is evicted never had a leaf, and
//! has no table until it is restored.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;

use iopgtable::{Iova, IovaRange, Prot};

use crate::backing::Backing;
use crate::mapping::Leaves;
pub use crate::mapping::{Mapping, Placed};
pub use crate::transition::{Change, Displaced, Transition};

/// A range where nothing is mapped: the last mapped address below it, and the first one above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) below: Option<Iova>,
    pub(crate) above: Option<Iova>,
}

/// The mappings of one address space. They never overlap.
#[derive(Clone, Default)]
pub struct Space {
    /// By first address.
    mappings: BTreeMap<u64, Placed>,
    /// The backings that are evicted, by address; what the weak references keep from being used
    /// for another one.
    evicted: BTreeMap<usize, Weak<Backing>>,
    /// Empty: memory for what a map inserts.
    room: Vec<Placed>,
    /// Where nothing is mapped behind what was mapped last, if nothing has changed since: most
    /// users go upwards. Its neighbours are not evicted.
    behind: Option<(IovaRange, Gap)>,
}

impl Space {
    /// No mappings.
    pub const fn new() -> Self {
        Self { mappings: BTreeMap::new(), evicted: BTreeMap::new(), room: Vec::new(), behind: None }
    }

    /// How many mappings there are, evicted ones included.
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }

    /// All mappings, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.values().map(|placed| &placed.mapping)
    }

    /// The same, with what the plan knows of them.
    pub fn placed(&self) -> impl Iterator<Item = &Placed> {
        self.mappings.values()
    }

    /// The mapping that `address` lies in.
    pub fn get(&self, address: Iova) -> Option<&Mapping> {
        self.get_placed(address).map(|placed| &placed.mapping)
    }

    /// The same, with what the plan knows of it.
    pub fn get_placed(&self, address: Iova) -> Option<&Placed> {
        let (_, placed) = self.mappings.range(..=address.0).next_back()?;
        placed.mapping.range.contains(address).then_some(placed)
    }

    /// The mappings that overlap `range`, in ascending order.
    pub fn overlapping(&self, range: IovaRange) -> impl Iterator<Item = &Mapping> {
        self.placed_in(range).map(|placed| &placed.mapping)
    }

    fn placed_in(&self, range: IovaRange) -> impl Iterator<Item = &Placed> {
        let (first, last) = (range.first(), range.last());
        let mut below = self.mappings.range(..=last.0);
        // Most maps find nothing: one look says so.
        let any = below.next_back().filter(|(_, highest)| highest.mapping.range.last() >= first);
        let all = any.map(|_| {
            let first = self.get(first).map_or(first.0, |cut| cut.range.first().0);
            self.mappings.range(first..=last.0)
        });
        all.into_iter().flatten().map(|(_, placed)| placed)
    }

    /// The last mapped address below `address`.
    pub fn last_below(&self, address: Iova) -> Option<Iova> {
        let below = self.below(address).next()?;
        // A mapping that reaches over `address` is mapped right below it.
        Some(below.mapping.range.last().min(Iova(address.0 - 1)))
    }

    /// The first mapped address above `address`.
    pub fn first_above(&self, address: Iova) -> Option<Iova> {
        let next = Iova(address.0.checked_add(1)?);
        if self.get(next).is_some() {
            return Some(next);
        }
        self.above(address).next().map(|above| above.mapping.range.first())
    }

    /// The mappings that begin below `address`, in descending order.
    pub(crate) fn below(&self, address: Iova) -> impl Iterator<Item = &Placed> {
        self.mappings.range(..address.0).rev().map(|(_, placed)| placed)
    }

    /// The mappings that begin above `address`, in ascending order.
    pub(crate) fn above(&self, address: Iova) -> impl Iterator<Item = &Placed> {
        let beyond = (Bound::Excluded(address.0), Bound::Unbounded);
        self.mappings.range(beyond).map(|(_, placed)| placed)
    }

    /// What lies around `range`, if nothing is mapped there, and neither neighbour is evicted: it is they alone
    /// who say which tables are there then.
    pub(crate) fn gap(&self, range: IovaRange) -> Option<Gap> {
        if let Some((behind, gap)) = self.behind {
            if behind.covers(range) {
                return Some(gap);
            }
        }
        let (first, last) = (range.first(), range.last());
        let below = self.mappings.range(..=last.0).next_back().map(|(_, placed)| placed);
        if below.is_some_and(|below| below.mapping.range.last() >= first || below.is_evicted()) {
            return None;
        }
        let above = self.above(last).next();
        if above.is_some_and(Placed::is_evicted) {
            return None;
        }
        Some(Gap {
            below: below.map(|below| below.mapping.range.last()),
            above: above.map(|above| above.mapping.range.first()),
        })
    }

    /// Inserts `mapping` in `gap`, which is its range's. Its backing is not evicted.
    pub(crate) fn fill(&mut self, mapping: Mapping, gap: Gap) {
        let last = mapping.range.last();
        let end = gap.above.map_or(u64::MAX, |above| above.0 - 1);
        let behind = last.0.checked_add(1).filter(|&first| first <= end);
        self.behind = behind.map(|first| {
            (IovaRange::between(Iova(first), Iova(end)), Gap { below: Some(last), ..gap })
        });
        self.mappings.insert(mapping.range.first().0, Placed::present(mapping));
    }

    /// Takes back the latest change, which has filled a gap from `first` on.
    pub(crate) fn empty(&mut self, first: Iova) {
        self.behind = None;
        self.mappings.remove(&first.0);
    }

    /// Inserts `mapping` in place of whatever overlaps it. It is evicted if its backing is.
    pub fn map(&mut self, mut mapping: Mapping) -> Transition {
        mapping.offset = mapping.backing.offset_above(mapping.offset, 0);
        let range = mapping.range;
        let leaves =
            if self.is_evicted(&mapping.backing) { Leaves::Never } else { Leaves::Present };
        let removed = self.placed_in(range).cloned().collect();
        let mut inserted = core::mem::take(&mut self.room);
        inserted.push(Placed { mapping, leaves });
        self.change(Change::Map, range, removed, inserted)
    }

    /// Removes whatever `range` maps.
    pub fn unmap(&mut self, range: IovaRange) -> Transition {
        let removed = self.placed_in(range).cloned().collect();
        self.change(Change::Unmap, range, removed, Vec::new())
    }

    /// Has whatever `range` maps allow `prot`. Mappings that do already stay whole.
    pub fn protect(&mut self, range: IovaRange, prot: Prot) -> Transition {
        let differs = |placed: &&Placed| placed.mapping.prot != prot;
        let removed: Vec<Placed> = self.placed_in(range).filter(differs).cloned().collect();
        let mut inserted: Vec<Placed> = parts(&removed, range).collect();
        for new in &mut inserted {
            new.mapping.prot = prot;
        }
        self.change(Change::Protect, range, removed, inserted)
    }

    /// Splits the mappings that reach over an end of `range` there.
    pub fn split(&mut self, range: IovaRange) -> Transition {
        let sticks_out = |placed: &&Placed| !range.covers(placed.mapping.range);
        let removed: Vec<Placed> = self.placed_in(range).filter(sticks_out).cloned().collect();
        let inserted = parts(&removed, range).collect();
        self.change(Change::Split, range, removed, inserted)
    }

    /// Whether mappings of `backing` are evicted, those that there are and those that come.
    pub fn is_evicted(&self, backing: &Arc<Backing>) -> bool {
        self.evicted.contains_key(&key(backing))
    }

    /// Notes whether `backing` is evicted, and says whether it was.
    pub(crate) fn set_evicted(&mut self, backing: &Arc<Backing>, is_evicted: bool) -> bool {
        if !is_evicted {
            return self.evicted.remove(&key(backing)).is_some();
        }
        self.evicted.retain(|_, backing| backing.strong_count() > 0);
        self.evicted.insert(key(backing), Arc::downgrade(backing)).is_some()
    }

    /// The mappings of `backing` that are evicted, or those that are not. Those that no other
    /// mapping lies between come together. Goes through all mappings.
    pub(crate) fn runs_of(&self, backing: &Arc<Backing>, evicted: bool) -> Vec<Vec<Placed>> {
        let mut runs: Vec<Vec<Placed>> = Vec::new();
        let mut is_run = false;
        for placed in self.mappings.values() {
            let is_one =
                Arc::ptr_eq(&placed.mapping.backing, backing) && placed.is_evicted() == evicted;
            match runs.last_mut().filter(|_| is_run) {
                Some(run) if is_one => run.push(placed.clone()),
                _ if is_one => runs.push(Vec::from([placed.clone()])),
                _ => {}
            }
            is_run = is_one;
        }
        runs
    }

    /// Evicts `run`, neighbours that are not evicted yet.
    pub(crate) fn evict(&mut self, run: Vec<Placed>) -> Option<Transition> {
        let inserted = run.iter().map(Placed::evicted).collect();
        Some(self.change(Change::Evict, hull(&run)?, run, inserted))
    }

    /// Gives `run`, evicted neighbours, leaves again, which lead to `with`.
    pub(crate) fn restore(&mut self, run: Vec<Placed>, with: &Arc<Backing>) -> Option<Transition> {
        let inserted = run.iter().map(|placed| placed.restored(with)).collect();
        Some(self.change(Change::Restore, hull(&run)?, run, inserted))
    }

    /// Puts `inserted`, and what sticks out of `range`, in the place of `removed`.
    fn change(
        &mut self,
        change: Change,
        range: IovaRange,
        removed: Vec<Placed>,
        inserted: Vec<Placed>,
    ) -> Transition {
        let (first, last) = (range.first().0, range.last().0);
        let below = first.checked_sub(1).map(|last| IovaRange::between(Iova(0), Iova(last)));
        let above =
            last.checked_add(1).map(|first| IovaRange::between(Iova(first), Iova(u64::MAX)));
        let left = below.and_then(|below| removed.first()?.part(below));
        let right = above.and_then(|above| removed.last()?.part(above));
        self.behind = None;
        for old in &removed {
            self.mappings.remove(&old.mapping.range.first().0);
        }
        for new in left.iter().chain(&inserted).chain(&right) {
            self.mappings.insert(new.mapping.range.first().0, new.clone());
        }
        Transition { change, range, removed, left, right, inserted }
    }

    /// Nobody will take `transition` back.
    pub(crate) fn settle(&mut self, transition: Transition) {
        let Transition { change, mut inserted, .. } = transition;
        if change == Change::Map {
            inserted.clear();
            self.room = inserted;
        }
    }

    /// Takes the latest transition back.
    pub fn undo(&mut self, transition: Transition) {
        let Transition { change, range, removed, left, right, inserted } = transition;
        self.behind = None;
        for new in left.into_iter().chain(right).chain(inserted) {
            self.mappings.remove(&new.mapping.range.first().0);
        }
        if change == Change::Map {
            // What it has inserted may have gone to a step.
            self.mappings.remove(&range.first().0);
        }
        for old in removed {
            self.mappings.insert(old.mapping.range.first().0, old);
        }
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("mappings", &self.mappings)
            .field("evicted", &self.evicted)
            .finish_non_exhaustive()
    }
}

/// What lies in `range` of each of `all`.
fn parts(all: &[Placed], range: IovaRange) -> impl Iterator<Item = Placed> + '_ {
    all.iter().filter_map(move |placed| placed.part(range))
}

/// From the first address of the first to the last of the last.
fn hull(all: &[Placed]) -> Option<IovaRange> {
    Some(all.first()?.mapping.range.hull(all.last()?.mapping.range))
}

fn key(backing: &Arc<Backing>) -> usize {
    Arc::as_ptr(backing).addr()
}
