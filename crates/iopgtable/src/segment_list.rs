//! Lists of segments that were looked at once.

use core::fmt;
use core::marker::PhantomData;

use crate::addr::{PhysAddr, Segment};
use crate::packed::Listed;
use crate::segments::{Facts, Segments, Source};

/// Segments that were looked at once, so that mapping them, or a part of them, does not have to.
///
/// `S` holds the segments, and `T`, if there is one, where each of them starts, which is what
/// finding the first one of a part in logarithmic time takes. (Where all have one length, but for
/// the last, which may be shorter, nothing is needed for that.) Any memory will do: boxes, vectors,
/// arrays, borrowed slices. `E` is how each segment is kept: as it is, or
/// [packed](crate::PackedSegment), which is half as much to read while it is mapped.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable};
/// use iopgtable::{PhysAddr, Prot, Segment, SegmentList, Unwalked};
///
/// let list = SegmentList::new([
///     Segment::new(PhysAddr(0x8000_0000), 0x1000),
///     Segment::new(PhysAddr(0x9000_0000), 0x2000),
/// ])?;
/// let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), Heap::new())?;
/// let gather = table.map(IovaRange::new(Iova(0x1000), 0x3000)?, list.all(), Prot::RW)?;
/// table.finish(gather, &mut Unwalked)?;
/// // The last two thirds of it once more, read-only.
/// let range = IovaRange::new(Iova(0x10_0000), 0x2000)?;
/// let gather = table.map(range, list.part(0x1000, 0x2000), Prot::READ)?;
/// table.finish(gather, &mut Unwalked)?;
/// assert_eq!(table.translate(Iova(0x10_1000)).unwrap().phys, PhysAddr(0x9000_1000));
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// What `segments` and `starts` refer to stays as it is. No segment is empty or ends beyond 2^64,
/// all together are no longer than that, and the other fields say what they are named for.
/// `starts` is empty, or `starts[i]` is the sum of the lengths of the segments before `i`.
#[derive(Clone, Copy)]
pub struct SegmentList<S, T = [u64; 0], E = Segment> {
    segments: S,
    starts: T,
    facts: Facts,
    longest: u64,
    /// The length of each but the last, which is no longer; 0 where they differ.
    piece: u64,
    kept: PhantomData<E>,
}

impl<S: AsRef<[E]>, E: Listed> SegmentList<S, [u64; 0], E> {
    /// Looks at `segments`. Finding a part goes through those before it, unless all have one length.
    ///
    /// # Errors
    ///
    /// [`SegmentsError::Segment`] for one that is empty or ends beyond 2^64, or makes all together
    /// longer than that.
    pub fn new(segments: S) -> Result<Self, SegmentsError> {
        Self::with_room(segments, |_| [])
    }
}

impl<S: AsRef<[E]>, T: AsRef<[u64]>, E: Listed> SegmentList<S, T, E> {
    /// Looks at `segments`, and writes where each starts to the same place in `starts`.
    ///
    /// # Errors
    ///
    /// As for [`new`](SegmentList::new), and [`SegmentsError::Starts`] where `starts` is not as
    /// long as `segments`.
    pub fn with_starts(segments: S, starts: T) -> Result<Self, SegmentsError>
    where
        T: AsMut<[u64]>,
    {
        let (count, room) = (segments.as_ref().len(), starts.as_ref().len());
        if room != count {
            return Err(SegmentsError::Starts { segments: count, starts: room });
        }
        let mut list = Self::with_room(segments, |_| starts)?;
        write_starts(list.segments.as_ref(), list.starts.as_mut());
        Ok(list)
    }

    /// Looks at `segments`, and has `room` make as many starts as finding a part in logarithmic time
    /// takes: one for each segment, or none where all have one length.
    ///
    /// # Errors
    ///
    /// As for [`with_starts`](Self::with_starts).
    pub fn searchable(segments: S, room: impl FnOnce(usize) -> T) -> Result<Self, SegmentsError>
    where
        T: AsMut<[u64]>,
    {
        let count = segments.as_ref().len();
        let mut list = Self::with_room(segments, |piece| room(if piece == 0 { count } else { 0 }))?;
        let room = list.starts.as_ref().len();
        if room != if list.piece == 0 { count } else { 0 } {
            return Err(SegmentsError::Starts { segments: count, starts: room });
        }
        write_starts(list.segments.as_ref(), list.starts.as_mut());
        Ok(list)
    }

    /// The list with whatever `starts` makes of the length of its pieces.
    fn with_room(segments: S, starts: impl FnOnce(u64) -> T) -> Result<Self, SegmentsError> {
        let (facts, longest, piece) = look_at(segments.as_ref())?;
        Ok(Self { segments, starts: starts(piece), facts, longest, piece, kept: PhantomData })
    }

    /// The segments, as they are kept.
    pub fn segments(&self) -> &[E] {
        self.segments.as_ref()
    }

    /// Their length together, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.facts.bytes
    }

    /// The length of the longest in bytes; 0 where there is none.
    pub const fn longest(&self) -> u64 {
        self.longest
    }

    /// The highest physical address in any of them.
    pub const fn last_phys(&self) -> PhysAddr {
        self.facts.last_phys
    }

    /// Whether all of them start and end on a multiple of `size`, a power of two.
    pub const fn is_aligned(&self, size: u64) -> bool {
        (self.facts.addresses | self.facts.lengths) & (size - 1) == 0
    }

    /// The number of the segment that holds the byte at `offset`, and where it starts. The last
    /// one, where all end before that.
    pub fn find(&self, offset: u64) -> (usize, u64) {
        let (segments, starts) = (self.segments(), self.starts.as_ref());
        if offset == 0 {
            return (0, 0);
        }
        if let Some(number) = offset.checked_div(self.piece) {
            let last = segments.len().saturating_sub(1) as u64;
            // CAST: at most the number of a segment.
            let index = number.min(last) as usize;
            return (index, index as u64 * self.piece);
        }
        if starts.is_empty() {
            let (mut index, mut start) = (0, 0);
            for pair in segments.windows(2) {
                let next = start + pair[0].segment().bytes;
                if next > offset {
                    break;
                }
                (index, start) = (index + 1, next);
            }
            return (index, start);
        }
        let index = starts.partition_point(|&start| start <= offset).saturating_sub(1);
        (index, starts.get(index).copied().unwrap_or(0))
    }

    /// All of it, to be mapped.
    pub fn all(&self) -> SegmentsPart<'_, E> {
        let left = self.facts.bytes;
        let segments = SegmentsIter { segments: self.segments(), skip: 0, left };
        SegmentsPart { segments, facts: self.facts, piece: self.piece }
    }

    /// The `bytes` bytes from `offset` on, to be mapped. Ends where the list ends.
    pub fn part(&self, offset: u64, bytes: u64) -> SegmentsPart<'_, E> {
        let (index, start) = self.find(offset);
        let bytes = bytes.min(self.facts.bytes.saturating_sub(offset));
        let skip = offset - start;
        // INVARIANT: of a part that is not empty, `skip` lies within its first segment, and the
        // segments from there on have so many bytes. It is aligned to what the list is and `skip`.
        let facts = Facts { bytes, addresses: self.facts.addresses | skip, ..self.facts };
        let segments = self.segments().get(index..).unwrap_or(&[]);
        let segments = SegmentsIter { segments, skip, left: bytes };
        SegmentsPart { segments, facts, piece: self.piece }
    }
}

/// What is true of all segments, the length of the longest, and that of all but the last, which is
/// no longer, or 0.
fn look_at<E: Listed>(segments: &[E]) -> Result<(Facts, u64, u64), SegmentsError> {
    let mut facts = Facts { bytes: 0, addresses: 0, lengths: 0, last_phys: PhysAddr(0) };
    let mut longest = 0;
    for segment in segments.iter().map(|kept| kept.segment()) {
        let Segment { phys, bytes } = segment;
        let last = bytes.checked_sub(1).and_then(|rest| phys.0.checked_add(rest));
        let end = facts.bytes.checked_add(bytes);
        let (Some(last), Some(end)) = (last, end) else {
            return Err(SegmentsError::Segment(segment));
        };
        facts.bytes = end;
        facts.addresses |= phys.0;
        facts.lengths |= bytes;
        facts.last_phys = facts.last_phys.max(PhysAddr(last));
        longest = longest.max(bytes);
    }
    let rest = segments.split_last().map_or(segments, |(_, rest)| rest);
    let is_even = rest.iter().all(|kept| kept.segment().bytes == longest);
    Ok((facts, longest, if is_even { longest } else { 0 }))
}

/// Writes where each segment starts, as far as there is room for it.
fn write_starts<E: Listed>(segments: &[E], starts: &mut [u64]) {
    let mut end = 0;
    for (start, kept) in starts.iter_mut().zip(segments) {
        *start = end;
        // OVERFLOW: none, all together have been added up.
        end += kept.segment().bytes;
    }
}

impl<S: AsRef<[E]>, T: AsRef<[u64]>, E: Listed> fmt::Debug for SegmentList<S, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentList({:#x} bytes in {} segments)", self.bytes(), self.segments().len())
    }
}

/// A part of a [`SegmentList`], to be mapped.
///
/// # Invariants
///
/// `segments` has as many bytes as `facts` says, and the other facts hold for them. `piece` is that
/// of the list.
#[derive(Clone, Debug)]
pub struct SegmentsPart<'s, E = Segment> {
    segments: SegmentsIter<'s, E>,
    facts: Facts,
    piece: u64,
}

impl<'s, E: Listed> SegmentsPart<'s, E> {
    /// Its length in bytes.
    pub const fn bytes(&self) -> u64 {
        self.facts.bytes
    }

    /// Its segments, the first and the last one clipped.
    pub fn segments(&self) -> SegmentsIter<'s, E> {
        self.segments.clone()
    }
}

impl<'s, E: Listed> Segments for SegmentsPart<'s, E> {
    type Source = Known<'s, E>;

    #[inline]
    fn source(self) -> Known<'s, E> {
        Known { segments: self.segments, facts: self.facts, piece: self.piece }
    }
}

/// A part of a list, of which everything is known.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Known<'s, E> {
    segments: SegmentsIter<'s, E>,
    facts: Facts,
    piece: u64,
}

impl<E: Listed> Iterator for Known<'_, E> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        self.segments.next()
    }
}

impl<E: Listed> Source for Known<'_, E> {
    #[inline]
    fn facts(&self) -> Option<Facts> {
        Some(self.facts)
    }

    #[inline]
    fn put_each<I: ExactSizeIterator>(
        &mut self,
        slots: I,
        shift: u32,
        mut put: impl FnMut(I::Item, Segment),
    ) -> usize {
        let rest = &mut self.segments;
        // CAST: at most the number of slots is kept.
        let left = (rest.left >> (shift & 63)) as usize;
        let count = slots.len().min(rest.segments.len()).min(left);
        let (now, later) = rest.segments.split_at(count);
        for (slot, kept) in slots.zip(now) {
            put(slot, kept.segment());
        }
        rest.segments = later;
        rest.left -= (now.len() as u64) << (shift & 63);
        now.len()
    }

    #[inline]
    fn count_equal(&self, most: usize, bytes: u64) -> usize {
        let SegmentsIter { segments, skip, left } = self.segments;
        let shift = bytes.trailing_zeros() & 63;
        // CAST: at most `most` are kept.
        let most = most.min((left >> shift) as usize).min(segments.len());
        // The first may be clipped.
        if skip != 0 {
            return 0;
        }
        if bytes == self.piece {
            // The last may be shorter, but then less is left.
            return most;
        }
        segments.iter().take(most).take_while(|kept| kept.segment().bytes == bytes).count()
    }

    #[inline]
    fn piece(&self) -> Option<u64> {
        (self.piece != 0).then_some(self.piece)
    }
}

/// The segments of a [`SegmentsPart`], the first and the last one clipped.
#[derive(Clone, Debug)]
pub struct SegmentsIter<'s, E = Segment> {
    segments: &'s [E],
    /// What is left out at the start of the first segment.
    skip: u64,
    left: u64,
}

impl<E: Listed> Iterator for SegmentsIter<'_, E> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        if self.left == 0 {
            return None;
        }
        let (kept, rest) = self.segments.split_first()?;
        let segment = kept.segment();
        // OVERFLOW: none, as long as the list stays as it was when it was looked at.
        let bytes = segment.bytes.saturating_sub(self.skip).min(self.left);
        let clipped = Segment::new(PhysAddr(segment.phys.0.wrapping_add(self.skip)), bytes);
        self.segments = rest;
        self.skip = 0;
        self.left -= bytes;
        Some(clipped)
    }
}

/// Why segments make no [`SegmentList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentsError {
    /// This one is empty, ends beyond 2^64, or makes all together longer than that.
    Segment(Segment),
    /// There are not as many starts as segments.
    Starts {
        /// How many segments there are.
        segments: usize,
        /// For how many starts there is room.
        starts: usize,
    },
}

impl fmt::Display for SegmentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => {
                write!(f, "segment of {:#x} bytes at {}", segment.bytes, segment.phys)?;
                f.write_str(" is empty or ends beyond the 64-bit address space")
            }
            Self::Starts { segments, starts } => {
                write!(f, "room for {starts} starts of {segments} segments")
            }
        }
    }
}

impl core::error::Error for SegmentsError {}
