//! The addresses that keep jobs in their order.

use alloc::vec::Vec;

use iopgtable::IovaRange;

/// What a job may not be overtaken in: the ranges of its operations, whether they find anything
/// there or not (for an evict or a restore, those of all mappings of its backings), the leaves that
/// they cut, and the spans of the tables that come loose.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    hull: Option<IovaRange>,
    /// Ascending and apart once sealed; empty where the hull is all.
    parts: Vec<IovaRange>,
}

impl Reach {
    pub(crate) fn add(&mut self, range: IovaRange) {
        match self.hull {
            None => self.hull = Some(range),
            Some(hull) if hull.covers(range) && self.parts.is_empty() => {}
            Some(hull) => {
                if self.parts.is_empty() {
                    self.parts.push(hull);
                }
                self.parts.push(range);
                self.hull = Some(hull.hull(range));
            }
        }
    }

    /// From the first address to the last one.
    pub(crate) const fn hull(&self) -> Option<IovaRange> {
        self.hull
    }

    /// Nothing is added any more.
    pub(crate) fn seal(&mut self) {
        self.parts.sort_unstable_by_key(|part| part.first());
        self.parts.dedup_by(|next, before| {
            let overlaps = before.last() >= next.first();
            if overlaps {
                *before = before.hull(*next);
            }
            overlaps
        });
        if self.parts.len() == 1 {
            self.parts.clear();
        }
    }

    fn parts(&self) -> &[IovaRange] {
        match &self.hull {
            Some(hull) if self.parts.is_empty() => core::slice::from_ref(hull),
            _ => &self.parts,
        }
    }

    /// Whether both have an address in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let hulls = self.hull.zip(other.hull);
        if hulls.and_then(|(mine, theirs)| mine.intersection(theirs)).is_none() {
            return false;
        }
        let (mut mine, mut theirs) = (self.parts(), other.parts());
        while let ([one, my_rest @ ..], [other, their_rest @ ..]) = (mine, theirs) {
            if one.intersection(*other).is_some() {
                return true;
            }
            if one.last() < other.first() {
                mine = my_rest;
            } else {
                theirs = their_rest;
            }
        }
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use super::*;
    use iopgtable::Iova;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn overlaps_is_what_the_parts_have_in_common(
            lists in prop::collection::vec(prop::collection::vec((0u64..60, 1u64..6), 0..8), 2),
        ) {
            let reach = |list: &Vec<(u64, u64)>| {
                let mut reach = Reach::default();
                for &(first, bytes) in list {
                    reach.add(IovaRange::new(Iova(first), bytes).unwrap());
                }
                reach.seal();
                reach
            };
            let holds = |list: &Vec<(u64, u64)>, address: u64| {
                list.iter().any(|&(first, bytes)| (first..first + bytes).contains(&address))
            };
            let common = (0..70).any(|at| holds(&lists[0], at) && holds(&lists[1], at));
            prop_assert_eq!(reach(&lists[0]).overlaps(&reach(&lists[1])), common);
            prop_assert_eq!(reach(&lists[1]).overlaps(&reach(&lists[0])), common);
        }
    }
}
