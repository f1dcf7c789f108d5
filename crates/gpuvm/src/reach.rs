//! The addresses that keep jobs in their order.

use alloc::boxed::Box;
use alloc::vec::Vec;

use iopgtable::IovaRange;

/// What a job may not be overtaken in: the ranges of its operations, whether they find anything
/// there or not (for an evict or a restore, those of all mappings of its backings, also of those
/// that queued jobs are still to unmap), the leaves that they cut, and the spans of the tables that
/// come loose.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    hull: Option<IovaRange>,
    /// Ascending and apart; none where the hull is all.
    parts: Box<[IovaRange]>,
}

impl Reach {
    /// All of `ranges`, which are taken out.
    pub(crate) fn new(ranges: &mut Vec<IovaRange>) -> Self {
        if ranges.len() > 1 {
            ranges.sort_unstable_by_key(|part| part.first());
            ranges.dedup_by(|next, before| {
                let overlaps = before.last() >= next.first();
                if overlaps {
                    *before = before.hull(*next);
                }
                overlaps
            });
        }
        let hull = ranges.first().zip(ranges.last()).map(|(first, last)| first.hull(*last));
        let parts = if ranges.len() > 1 { Box::from(ranges.as_slice()) } else { Box::default() };
        ranges.clear();
        Self { hull, parts }
    }

    /// Its ranges, in ascending order, apart.
    pub(crate) fn parts(&self) -> &[IovaRange] {
        match &self.hull {
            Some(hull) if self.parts.is_empty() => core::slice::from_ref(hull),
            _ => &self.parts,
        }
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
        fn the_parts_are_what_was_added_in_order_and_apart(
            list in prop::collection::vec((0u64..60, 1u64..6), 0..8),
        ) {
            let range = |&(first, bytes): &(u64, u64)| IovaRange::new(Iova(first), bytes).unwrap();
            let mut ranges: Vec<IovaRange> = list.iter().map(range).collect();
            let reach = Reach::new(&mut ranges);
            prop_assert!(ranges.is_empty());
            let parts = reach.parts();
            prop_assert!(parts.windows(2).all(|pair| pair[0].last() < pair[1].first()));
            for at in 0..70 {
                let holds = |range: &IovaRange| range.contains(Iova(at));
                let is_added = list.iter().map(range).any(|range| holds(&range));
                prop_assert_eq!(parts.iter().any(holds), is_added);
            }
        }
    }
}
