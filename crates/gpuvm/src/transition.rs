//! What changes from one state of a planned VA map to the next.

use alloc::vec::Vec;

use iopgtable::IovaRange;

use crate::mapping::{Mapping, Placed};

/// What a [`Transition`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A mapping is made.
    Map,
    /// What the range maps goes.
    Unmap,
    /// What the range maps allows something else.
    Protect,
    /// Mappings are split at the ends of the range.
    Split,
    /// Mappings of one backing, which nothing else lies between, lose their leaves.
    Evict,
    /// Mappings of one backing, which nothing else lies between, get leaves again.
    Restore,
}

/// One step from a state of a [`Space`](crate::Space) to the next.
#[derive(Debug)]
pub struct Transition {
    /// What it is for.
    pub change: Change,
    /// The addresses that it is about.
    pub range: IovaRange,
    /// The mappings that overlapped the range and are changed, whole, in ascending order.
    pub removed: Vec<Placed>,
    /// What is left of the first of them, below the range.
    pub left: Option<Placed>,
    /// What is left of the last of them, above the range.
    pub right: Option<Placed>,
    /// The new mappings, in ascending order: none for an unmap, one for a map, otherwise one for
    /// each that is changed.
    pub inserted: Vec<Placed>,
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
    /// Whether a new mapping shows the same memory at the same addresses.
    pub keep: bool,
}

impl Transition {
    /// What happens to each old mapping, in ascending order.
    pub fn displaced(&self) -> impl Iterator<Item = Displaced<'_>> {
        let range = self.range;
        let inside = |old: &Mapping, new: &Placed| {
            old.range.intersection(new.mapping.range).is_some() && new.mapping.keeps(old)
        };
        self.removed.iter().map(move |Placed { mapping: old, .. }| Displaced {
            old,
            left: self
                .left
                .as_ref()
                .map(|left| &left.mapping)
                .filter(|_| old.range.first() < range.first()),
            right: self
                .right
                .as_ref()
                .map(|right| &right.mapping)
                .filter(|_| old.range.last() > range.last()),
            keep: self.inserted.iter().any(|new| inside(old, new)),
        })
    }

    /// The addresses of what it removes, as far as they lie in its range.
    pub(crate) fn displaced_hull(&self) -> Option<IovaRange> {
        let parts =
            self.removed.iter().filter_map(|old| old.mapping.range.intersection(self.range));
        parts.reduce(IovaRange::hull)
    }

    /// Whether leaves go.
    pub(crate) fn removes_leaves(&self) -> bool {
        self.removed.iter().any(|old| !old.is_evicted())
    }

    /// Whether leaves come.
    pub(crate) fn inserts_leaves(&self) -> bool {
        self.inserted.iter().any(|new| !new.is_evicted())
    }
}
