//! A range and what it shows: its runs, and its canonical leaves (`CANON`).

use iopgtable::{Geometry, Iova, IovaRange, LAST_LEVEL, Segment};

use crate::backing::Backing;

/// A range of addresses that shows a part of a backing.
#[derive(Clone, Copy)]
pub(crate) struct View<'m> {
    pub(crate) range: IovaRange,
    pub(crate) backing: &'m Backing,
    pub(crate) offset: u64,
}

/// What a leaf translates.
#[derive(Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) level: i8,
    /// Together with the leaves that carry the contiguous hint with it.
    pub(crate) group: IovaRange,
}

impl<'m> View<'m> {
    /// The runs that overlap `window`, whole (but clipped to the range), each with the address
    /// that it starts at.
    pub(crate) fn runs_in(self, window: IovaRange) -> impl Iterator<Item = (u64, Segment)> + 'm {
        let (first, last) = (self.range.first().0, self.range.last().0);
        let inside = window.first().0.max(first);
        let offset = self.backing.offset_above(self.offset, inside - first);
        // The run that holds `inside` begins with its segment, or with the range.
        let back = (offset - self.backing.segment_start(offset)).min(inside - first);
        let mut address = inside - back;
        let left = last.saturating_sub(address).saturating_add(1);
        self.backing
            .runs(offset - back, left)
            .map(move |run| {
                let at = address;
                address = address.wrapping_add(run.bytes);
                (at, run)
            })
            .take_while(move |&(at, _)| at <= window.last().0)
    }

    /// The canonical leaf at `address`, which must lie in the range.
    pub(crate) fn leaf_at(self, geometry: &Geometry, address: Iova) -> Leaf {
        let here = IovaRange::between(address, address);
        let page = Leaf { level: LAST_LEVEL, group: here };
        let Some((first, run)) = self.runs_in(here).next() else { return page };
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
                let group = geometry.group_shifts(level).find_map(fitting).unwrap_or(leaf);
                Some(Leaf { level, group })
            })
            .unwrap_or(page)
    }

    /// Calls `count` with the bytes of a leaf size and how many canonical leaves of it there are,
    /// run by run.
    pub(crate) fn count_leaves(self, geometry: &Geometry, mut count: impl FnMut(u64, u64)) {
        for (first, run) in self.runs_in(self.range) {
            // The bytes that larger leaves have taken; what smaller ones take encloses them.
            let mut taken = 0;
            for size in geometry.leaf_sizes() {
                let low = size - 1;
                // Where the first aligned leaf begins, from the run's start.
                let skip = first.wrapping_neg() & low;
                let bytes = run.bytes.saturating_sub(skip) & !low;
                if (first ^ run.phys.0) & low == 0 && bytes > taken {
                    count(size, (bytes - taken) / size);
                    taken = bytes;
                }
            }
        }
    }
}
