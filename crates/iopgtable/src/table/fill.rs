//! The hot loops: pages from segments into the entries of one table.

use crate::addr::Segment;

/// Segments, page by page.
///
/// The loops are written once, for tables that walkers see (atomic stores) and for those that
/// they do not (plain ones): `put` stores one entry into one of `slots`.
#[derive(Clone)]
pub(super) struct Pages<S> {
    segments: S,
    /// What is left of the segment at hand: where it begins, and its bytes.
    phys: u64,
    left: u64,
}

impl<S: Iterator<Item = Segment>> Pages<S> {
    pub(super) const fn new(segments: S) -> Self {
        Self { segments, phys: 0, left: 0 }
    }

    /// Puts leaves for the next pages of `1 << shift` bytes into `slots`, with `bits` besides the
    /// address.
    #[inline]
    pub(super) fn fill<T>(
        &mut self,
        slots: &mut [T],
        bits: u64,
        shift: u32,
        put: impl Fn(&mut T, u64),
    ) {
        let mut slots = slots;
        while !slots.is_empty() {
            if self.left == 0 {
                let Some(segment) = self.segments.next() else { return };
                (self.phys, self.left) = (segment.phys.0, segment.bytes);
            }
            // CAST: at most the number of slots is kept.
            let run = ((self.left >> shift) as usize).min(slots.len());
            let (now, later) = slots.split_at_mut(run);
            let mut leaf = self.phys | bits;
            for slot in now {
                put(slot, leaf);
                leaf = leaf.wrapping_add(1 << shift);
            }
            self.phys += (run as u64) << shift;
            self.left -= (run as u64) << shift;
            slots = later;
        }
    }

    /// The same where every segment is one page.
    #[inline]
    pub(super) fn fill_single<T>(&mut self, slots: &mut [T], bits: u64, put: impl Fn(&mut T, u64)) {
        for slot in slots {
            let Some(segment) = self.segments.next() else { return };
            put(slot, segment.phys.0 | bits);
        }
    }
}
