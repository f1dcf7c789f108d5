//! Cuts a range and its segments into runs of equal leaves.

use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::format::Format;
use crate::geometry::{Geometry, LAST_LEVEL};

use super::fill::in_field;
use super::tree::Tree;

/// Leaves that lie side by side in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) iova: Iova,
    pub(crate) phys: PhysAddr,
    pub(crate) level: i8,
    pub(crate) count: usize,
}

/// The canonical leaves of a mapping (`CANON`), as chunks in ascending order.
pub(crate) struct Chunks<'g, F, S> {
    geometry: &'g Geometry,
    segments: S,
    iova: u64,
    segment: Segment,
    format: core::marker::PhantomData<F>,
}

impl<'g, F: Format, S: Iterator<Item = Segment>> Chunks<'g, F, S> {
    /// `segments` are as long as `range` together, and both are aligned to the granule.
    pub(crate) fn new(geometry: &'g Geometry, range: IovaRange, segments: S) -> Self {
        Self {
            geometry,
            segments,
            iova: range.first().0,
            segment: Segment::new(PhysAddr(0), 0),
            format: core::marker::PhantomData,
        }
    }
}

impl<F: Format, S: Iterator<Item = Segment>> Iterator for Chunks<'_, F, S> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        if self.segment.bytes == 0 {
            self.segment = self.segments.next()?;
        }
        let (iova, Segment { phys, bytes }) = (Iova(self.iova), self.segment);
        let level = if bytes >> Tree::<F>::table_shift(LAST_LEVEL) == 0 {
            LAST_LEVEL
        } else {
            self.geometry.leaf_level(iova, phys, bytes)
        };
        let shift = Tree::<F>::entry_shift(level);
        // The leaves stay of one size up to the end of their table: only there can a larger one
        // be aligned.
        // CAST: an index within a table.
        let index = (iova.0 >> shift) as usize & (self.geometry.entries(level) - 1);
        let room = (self.geometry.entries(level) - index) as u64;
        let count = (bytes >> shift).min(room).min(in_field::<F>(phys, level));
        if count == 0 {
            // Not a whole page: an iterator whose clones differ.
            return None;
        }
        let taken = count << shift;
        self.iova = self.iova.wrapping_add(taken);
        self.segment = Segment::new(PhysAddr(phys.0 + taken), bytes - taken);
        // CAST: at most the entries of a table.
        Some(Chunk { iova, phys, level, count: count as usize })
    }
}
