//! Segments in eight bytes.

use core::fmt;

use crate::addr::{PhysAddr, Segment};

/// How a [`SegmentList`](crate::SegmentList) keeps a segment: a [`Segment`] as it is, or a
/// [`PackedSegment`].
pub trait Listed: Copy + fmt::Debug + sealed::Sealed {
    /// The segment.
    fn segment(self) -> Segment;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Segment {}
    impl Sealed for super::PackedSegment {}
}

impl Listed for Segment {
    #[inline]
    fn segment(self) -> Segment {
        self
    }
}

/// A [`Segment`] in eight bytes: one of whole pages of 4 KiB, shorter than 64 GiB, below 2^52.
///
/// ```
/// use iopgtable::{Listed, PackedSegment, PhysAddr, Segment};
/// let segment = Segment::new(PhysAddr(0x8000_0000), 0x3000);
/// assert_eq!(PackedSegment::new(segment).map(Listed::segment), Some(segment));
/// assert_eq!(PackedSegment::new(Segment::new(PhysAddr(0x800), 0x1000)), None);
/// ```
///
/// # Invariants
///
/// The number of the first page lies above its `COUNT_BITS` lowest bits, and how many pages there
/// are in these.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackedSegment(u64);

const PAGE_SHIFT: u32 = 12;
const COUNT_BITS: u32 = 24;

impl PackedSegment {
    /// Packs `segment`, if it can be.
    pub const fn new(segment: Segment) -> Option<Self> {
        let Segment { phys, bytes } = segment;
        let is_whole = (phys.0 | bytes) & ((1 << PAGE_SHIFT) - 1) == 0;
        let (page, count) = (phys.0 >> PAGE_SHIFT, bytes >> PAGE_SHIFT);
        let fits = page >> (u64::BITS - COUNT_BITS) == 0 && count >> COUNT_BITS == 0;
        if is_whole && fits { Some(Self(page << COUNT_BITS | count)) } else { None }
    }
}

impl Listed for PackedSegment {
    #[inline]
    fn segment(self) -> Segment {
        let page = self.0 >> COUNT_BITS;
        let count = self.0 & ((1 << COUNT_BITS) - 1);
        Segment::new(PhysAddr(page << PAGE_SHIFT), count << PAGE_SHIFT)
    }
}

impl fmt::Debug for PackedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segment().fmt(f)
    }
}
