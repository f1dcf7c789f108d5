//! What mappings lead to: memory that the caller has pinned.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use iopgtable::{
    PackedSegment, PhysAddr, Segment, SegmentList, SegmentsError, SegmentsIter, SegmentsPart,
};

use crate::runs::Runs;

/// Physical memory, as a list of contiguous segments that mappings show parts of.
///
/// It is shared, never copied: a mapping holds a reference and an offset. The caller keeps the
/// memory pinned for as long as the backing lives. A VM holds it for as long as the device may reach
/// it: until the job that unmaps it has run, and the device has forgotten it.
///
/// ```
/// use gpuvm::Backing;
/// use iopgtable::{PhysAddr, Segment};
/// let backing = Backing::new([
///     Segment::new(PhysAddr(0x1000), 0x1000),
///     Segment::new(PhysAddr(0x2000), 0x3000), // follows physically: one run
///     Segment::new(PhysAddr(0x9000), 0x1000),
/// ])?;
/// assert_eq!(backing.bytes(), 0x5000);
/// let part: Vec<_> = backing.runs(0x3000, 0x2000).collect();
/// assert_eq!(part, [
///     Segment::new(PhysAddr(0x4000), 0x1000),
///     Segment::new(PhysAddr(0x9000), 0x1000),
/// ]);
/// # Ok::<(), gpuvm::BackingError>(())
/// ```
///
/// # Invariants
///
/// There is a segment, and none follows physically on the one before. The list has starts where
/// finding a segment takes them.
pub struct Backing {
    list: List,
    /// Whether it begins again where it ends.
    repeats: bool,
}

type ListOf<E> = SegmentList<Box<[E]>, Box<[u64]>, E>;

enum List {
    Packed(ListOf<PackedSegment>),
    /// Some segment cannot be packed.
    Plain(ListOf<Segment>),
}

/// Does the same with either.
macro_rules! either {
    ($list:expr, $name:ident => $what:expr) => {
        match $list {
            List::Packed($name) => $what,
            List::Plain($name) => $what,
        }
    };
}

/// A part of a backing, but never beyond its end, segment by segment.
#[derive(Clone, Debug)]
pub(crate) enum Part<'b> {
    Packed(SegmentsIter<'b, PackedSegment>),
    Plain(SegmentsIter<'b>),
}

impl Backing {
    /// The memory of `segments`, in their order. Physically adjacent ones become one.
    ///
    /// # Errors
    ///
    /// [`BackingError`] for no memory at all, an empty segment, or one that ends beyond 2^64.
    pub fn new(segments: impl IntoIterator<Item = Segment>) -> Result<Arc<Self>, BackingError> {
        let mut merged: Vec<Segment> = Vec::new();
        let mut bytes = 0u64;
        for segment in segments {
            let last =
                segment.bytes.checked_sub(1).and_then(|rest| segment.phys.0.checked_add(rest));
            let sum = bytes.checked_add(segment.bytes);
            let Some((_, sum)) = last.zip(sum) else { return Err(BackingError::Segment(segment)) };
            match merged.last_mut() {
                Some(before) if before.phys.0.checked_add(before.bytes) == Some(segment.phys.0) => {
                    // OVERFLOW: a part of `sum`.
                    before.bytes += segment.bytes;
                }
                _ => merged.push(segment),
            }
            bytes = sum;
        }
        if merged.is_empty() {
            return Err(BackingError::Empty);
        }
        let room = |count| vec![0; count].into();
        let packed: Option<Box<[_]>> = merged.iter().map(|&one| PackedSegment::new(one)).collect();
        let list = match packed {
            Some(packed) => SegmentList::searchable(packed, room).map(List::Packed),
            None => SegmentList::searchable(merged.into(), room).map(List::Plain),
        };
        let list = list.map_err(|error| match error {
            SegmentsError::Segment(segment) => BackingError::Segment(segment),
            _ => BackingError::Empty,
        })?;
        Ok(Arc::new(Self { list, repeats: false }))
    }

    /// The memory of `segments`, again and again: what lies behind a sparse range, where a page or
    /// a block of zeros stands for all that has no memory yet. A mapping of it may be of any
    /// length, and offsets count modulo its own length, the period.
    ///
    /// Leaves are as large as one repetition allows: a terabyte of a block of 2 MiB, aligned to
    /// its size, takes blocks and no table of pages, while one of a 4 KiB page takes 2 GiB of
    /// tables. A mapping that needs no memory at all (null: reads are zero, writes are dropped)
    /// exists in no Arm format; a repeated read-only block of zeros is what comes nearest.
    ///
    /// ```
    /// use gpuvm::{Backing, Op, Vm};
    /// use iopgtable::memory::Heap;
    /// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment};
    /// use iopgtable::Unwalked;
    ///
    /// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
    /// let zeros = Backing::repeating([Segment::new(PhysAddr(0x8000_0000), 2 << 20)])?;
    /// let range = IovaRange::new(Iova(1 << 40), 16 << 30)?;
    /// vm.bind([Op::Map { range, backing: zeros, offset: 0, prot: Prot::READ }])?;
    /// let somewhere = vm.translate(Iova((1 << 40) + (5 << 30) + 0x1234)).unwrap();
    /// assert_eq!(somewhere.phys, PhysAddr(0x8000_1234));
    /// assert_eq!(vm.figures().tables_live(), 17, "one a GiB, and one above them");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn repeating(
        segments: impl IntoIterator<Item = Segment>,
    ) -> Result<Arc<Self>, BackingError> {
        let mut backing = Self::new(segments)?;
        // Nobody else has it yet.
        if let Some(fresh) = Arc::get_mut(&mut backing) {
            fresh.repeats = true;
        }
        Ok(backing)
    }

    /// After how many bytes it begins again, if it does.
    pub const fn period(&self) -> Option<u64> {
        if self.repeats { Some(self.bytes()) } else { None }
    }

    /// The offset `bytes` bytes above `offset`.
    pub(crate) fn offset_above(&self, offset: u64, bytes: u64) -> u64 {
        let Some(period) = self.period() else { return offset.wrapping_add(bytes) };
        let (offset, room) = (offset % period, period - bytes % period);
        // OVERFLOW: `room` is not 0, and the sum is below the period.
        if offset >= room { offset - room } else { offset + (period - room) }
    }

    /// The offset `bytes` bytes below `offset`, which lies that far into a mapping.
    pub(crate) fn offset_below(&self, offset: u64, bytes: u64) -> u64 {
        match self.period() {
            Some(period) => self.offset_above(offset, period - bytes % period),
            None => offset.wrapping_sub(bytes),
        }
    }

    /// Its length in bytes: of one repetition, if it repeats.
    pub const fn bytes(&self) -> u64 {
        either!(&self.list, list => list.bytes())
    }

    /// Its segments, adjacent ones joined: of one repetition, if it repeats.
    pub fn segments(&self) -> Runs<'_> {
        Runs::once(self)
    }

    /// The length of its longest segment in bytes.
    pub const fn longest(&self) -> u64 {
        either!(&self.list, list => list.longest())
    }

    /// The highest physical address in it.
    pub const fn last_phys(&self) -> PhysAddr {
        either!(&self.list, list => list.last_phys())
    }

    /// Whether all segments start and end on a multiple of `size`, a power of two.
    pub const fn is_aligned(&self, size: u64) -> bool {
        either!(&self.list, list => list.is_aligned(size))
    }

    /// The segments of `bytes` bytes from `offset` on, the first and the last one clipped. Ends
    /// where the backing ends, unless it repeats. Finding the first takes logarithmic time, or less.
    pub fn runs(&self, offset: u64, bytes: u64) -> Runs<'_> {
        Runs::new(self, offset, bytes)
    }

    /// The same, but never beyond the end.
    pub(crate) fn part(&self, offset: u64, bytes: u64) -> Part<'_> {
        match &self.list {
            List::Packed(list) => Part::Packed(list.part(offset, bytes).segments()),
            List::Plain(list) => Part::Plain(list.part(offset, bytes).segments()),
        }
    }

    /// The same, to be mapped, of a backing that is packed and does not repeat.
    pub(crate) fn packed_part(
        &self,
        offset: u64,
        bytes: u64,
    ) -> Option<SegmentsPart<'_, PackedSegment>> {
        match &self.list {
            List::Packed(list) if !self.repeats => Some(list.part(offset, bytes)),
            _ => None,
        }
    }

    /// Where the segment that holds `offset` starts, as an offset.
    pub(crate) fn segment_start(&self, offset: u64) -> u64 {
        either!(&self.list, list => list.find(offset).1)
    }
}

impl Iterator for Part<'_> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        match self {
            Self::Packed(segments) => segments.next(),
            Self::Plain(segments) => segments.next(),
        }
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.repeats { ", repeated" } else { "" };
        let (bytes, segments) = (self.bytes(), either!(&self.list, list => list.segments().len()));
        write!(f, "Backing({bytes:#x} bytes in {segments} segments{again})")
    }
}

/// Why segments are no [`Backing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackingError {
    /// There are none.
    Empty,
    /// This one is empty, ends beyond 2^64, or makes all together longer than that.
    Segment(Segment),
}

impl fmt::Display for BackingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a backing without any segment"),
            Self::Segment(segment) => {
                write!(f, "segment of {:#x} bytes at {}", segment.bytes, segment.phys)?;
                f.write_str(" is empty or ends beyond the 64-bit address space")
            }
        }
    }
}

impl core::error::Error for BackingError {}
