//! What mappings are made of: segments in their order, however the caller has them.

use core::fmt;
use core::slice;

use crate::addr::{PhysAddr, Segment};

/// Segments in their order, as operations that map take them.
///
/// | what | how it is read |
/// |---|---|
/// | any iterator of [`Segment`]s that can be cloned, or what becomes one: `[Segment; N]`, `Option<Segment>` | one by one, more than once: a clone must yield the same |
/// | a [`Segment`] | as it is: the shortest way for a single one |
/// | a [`SegmentSlice`] | in runs: faster than its iterator |
/// | a [`SegmentsPart`] of a [`SegmentList`] | in runs, and once: the list was looked at when it was made |
pub trait Segments {
    /// How the engine reads them.
    #[doc(hidden)]
    type Source: Source;

    #[doc(hidden)]
    fn source(self) -> Self::Source;
}

/// How the engine reads segments. Not to be named outside of this crate.
#[doc(hidden)]
pub trait Source: Iterator<Item = Segment> + Clone {
    /// What is known of all of them before they are looked at.
    #[inline]
    fn facts(&self) -> Option<Facts> {
        None
    }

    /// The only one, where that is known.
    #[inline]
    fn single(&self) -> Option<Segment> {
        None
    }

    /// Puts the next segments into `slots`, of those that there are, and says how many; for segments
    /// of a page each.
    #[inline]
    fn put_each<I: ExactSizeIterator>(
        &mut self,
        slots: I,
        mut put: impl FnMut(I::Item, Segment),
    ) -> usize {
        let mut done = 0;
        for slot in slots {
            let Some(segment) = self.next() else { break };
            put(slot, segment);
            done += 1;
        }
        done
    }

    /// How many of the next segments, of at most `most`, are of `page` bytes, so that
    /// [`put_each`](Self::put_each) may be used for them; none where that is not known beforehand.
    #[inline]
    fn count_pages(&self, most: usize, page: u64) -> usize {
        let _ = (most, page);
        0
    }

    /// Goes through all of them.
    #[inline]
    fn look(self, look: impl FnMut(Segment)) {
        self.for_each(look);
    }
}

/// What is known of some segments.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Facts {
    /// All lengths together.
    pub(crate) bytes: u64,
    /// All addresses or-ed together.
    pub(crate) addresses: u64,
    /// All lengths or-ed together.
    pub(crate) lengths: u64,
    pub(crate) last_phys: PhysAddr,
}

/// Any iterator.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Each<I>(I);

impl<I: Iterator<Item = Segment>> Iterator for Each<I> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        self.0.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    #[inline]
    fn for_each<W: FnMut(Segment)>(self, work: W) {
        self.0.for_each(work);
    }
}

impl<I: Iterator<Item = Segment> + Clone> Source for Each<I> {}

impl<I> Segments for I
where
    I: IntoIterator<Item = Segment>,
    I::IntoIter: Clone,
{
    type Source = Each<I::IntoIter>;

    #[inline]
    fn source(self) -> Self::Source {
        Each(self.into_iter())
    }
}

/// One segment.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct One(Option<Segment>);

impl Iterator for One {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        self.0.take()
    }
}

impl Source for One {
    #[inline]
    fn facts(&self) -> Option<Facts> {
        let Segment { phys, bytes } = self.0?;
        let last_phys = PhysAddr(phys.0.checked_add(bytes.checked_sub(1)?)?);
        Some(Facts { bytes, addresses: phys.0, lengths: bytes, last_phys })
    }

    #[inline]
    fn single(&self) -> Option<Segment> {
        self.0
    }
}

impl Segments for Segment {
    type Source = One;

    #[inline]
    fn source(self) -> One {
        One(Some(self))
    }
}

/// A slice.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Slice<'s>(slice::Iter<'s, Segment>);

impl Iterator for Slice<'_> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        self.0.next().copied()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl Source for Slice<'_> {
    #[inline]
    fn put_each<I: ExactSizeIterator>(
        &mut self,
        slots: I,
        mut put: impl FnMut(I::Item, Segment),
    ) -> usize {
        let segments = self.0.as_slice();
        let (now, later) = segments.split_at(slots.len().min(segments.len()));
        for (slot, &segment) in slots.zip(now) {
            put(slot, segment);
        }
        self.0 = later.iter();
        now.len()
    }

    #[inline]
    fn count_pages(&self, most: usize, page: u64) -> usize {
        count_pages(self.0.as_slice(), most, page)
    }

    #[inline]
    fn look(self, mut look: impl FnMut(Segment)) {
        self.0.for_each(|&segment| look(segment));
    }
}

/// How many segments, of the first `most`, are of `page` bytes.
#[inline]
fn count_pages(segments: &[Segment], most: usize, page: u64) -> usize {
    segments.iter().take(most).take_while(|segment| segment.bytes == page).count()
}

/// A slice of segments, to be mapped: read faster than its iterator is.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSlice<'s>(pub &'s [Segment]);

impl<'s> Segments for SegmentSlice<'s> {
    type Source = Slice<'s>;

    #[inline]
    fn source(self) -> Slice<'s> {
        Slice(self.0.iter())
    }
}

/// Segments that were looked at once, so that mapping them, or a part of them, does not have to.
///
/// `S` holds the segments, and `T`, if there is one, where each of them starts, which is what
/// finding the first one of a part in logarithmic time takes. Any memory will do: boxes, vectors, arrays,
/// borrowed slices.
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
pub struct SegmentList<S, T = [u64; 0]> {
    segments: S,
    starts: T,
    facts: Facts,
    longest: u64,
}

impl<S: AsRef<[Segment]>> SegmentList<S> {
    /// Looks at `segments`. Finding a part goes through those before it.
    ///
    /// # Errors
    ///
    /// [`SegmentsError::Segment`] for one that is empty or ends beyond 2^64, or makes all together
    /// longer than that.
    pub fn new(segments: S) -> Result<Self, SegmentsError> {
        let (facts, longest) = look_at(segments.as_ref(), &mut [])?;
        Ok(Self { segments, starts: [], facts, longest })
    }
}

impl<S: AsRef<[Segment]>, T: AsRef<[u64]>> SegmentList<S, T> {
    /// Looks at `segments`, and writes where each starts to the same place in `starts`.
    ///
    /// # Errors
    ///
    /// As for [`new`](SegmentList::new), and [`SegmentsError::Starts`] where `starts` is not as
    /// long as `segments`.
    pub fn with_starts(segments: S, mut starts: T) -> Result<Self, SegmentsError>
    where
        T: AsMut<[u64]>,
    {
        let (count, room) = (segments.as_ref().len(), starts.as_ref().len());
        if room != count {
            return Err(SegmentsError::Starts { segments: count, starts: room });
        }
        let (facts, longest) = look_at(segments.as_ref(), starts.as_mut())?;
        Ok(Self { segments, starts, facts, longest })
    }

    /// The segments.
    pub fn segments(&self) -> &[Segment] {
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
        let starts = self.starts.as_ref();
        if starts.is_empty() {
            let (mut index, mut start) = (0, 0);
            for pair in self.segments().windows(2) {
                let next = start + pair[0].bytes;
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
    pub fn all(&self) -> SegmentsPart<'_> {
        let left = self.facts.bytes;
        let segments = SegmentsIter { segments: self.segments(), skip: 0, left };
        SegmentsPart { segments, facts: self.facts }
    }

    /// The `bytes` bytes from `offset` on, to be mapped. Ends where the list ends.
    pub fn part(&self, offset: u64, bytes: u64) -> SegmentsPart<'_> {
        let (index, start) = self.find(offset);
        let bytes = bytes.min(self.facts.bytes.saturating_sub(offset));
        let skip = offset - start;
        // INVARIANT: of a part that is not empty, `skip` lies within its first segment, and the
        // segments from there on have so many bytes. It is aligned to what the list is and `skip`.
        let facts = Facts { bytes, addresses: self.facts.addresses | skip, ..self.facts };
        let segments = self.segments().get(index..).unwrap_or(&[]);
        SegmentsPart { segments: SegmentsIter { segments, skip, left: bytes }, facts }
    }
}

/// What is true of all segments, and the length of the longest. Writes where each starts, if there
/// is room for it.
fn look_at(segments: &[Segment], starts: &mut [u64]) -> Result<(Facts, u64), SegmentsError> {
    let mut facts = Facts { bytes: 0, addresses: 0, lengths: 0, last_phys: PhysAddr(0) };
    let (mut longest, mut starts) = (0, starts.iter_mut());
    for &segment in segments {
        let Segment { phys, bytes } = segment;
        let last = bytes.checked_sub(1).and_then(|rest| phys.0.checked_add(rest));
        let end = facts.bytes.checked_add(bytes);
        let (Some(last), Some(end)) = (last, end) else {
            return Err(SegmentsError::Segment(segment));
        };
        if let Some(start) = starts.next() {
            *start = facts.bytes;
        }
        facts.bytes = end;
        facts.addresses |= phys.0;
        facts.lengths |= bytes;
        facts.last_phys = facts.last_phys.max(PhysAddr(last));
        longest = longest.max(bytes);
    }
    Ok((facts, longest))
}

impl<S: AsRef<[Segment]>, T: AsRef<[u64]>> fmt::Debug for SegmentList<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentList({:#x} bytes in {} segments)", self.bytes(), self.segments().len())
    }
}

/// A part of a [`SegmentList`], to be mapped.
///
/// # Invariants
///
/// `segments` has as many bytes as `facts` says, and the other facts hold for them.
#[derive(Clone, Debug)]
pub struct SegmentsPart<'s> {
    segments: SegmentsIter<'s>,
    facts: Facts,
}

impl<'s> SegmentsPart<'s> {
    /// Its length in bytes.
    pub const fn bytes(&self) -> u64 {
        self.facts.bytes
    }

    /// Its segments, the first and the last one clipped.
    pub fn segments(&self) -> SegmentsIter<'s> {
        self.segments.clone()
    }
}

impl<'s> Segments for SegmentsPart<'s> {
    type Source = Known<'s>;

    #[inline]
    fn source(self) -> Known<'s> {
        Known { segments: self.segments, facts: self.facts }
    }
}

/// A part of a list, of which everything is known.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Known<'s> {
    segments: SegmentsIter<'s>,
    facts: Facts,
}

impl Iterator for Known<'_> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        self.segments.next()
    }
}

impl Source for Known<'_> {
    #[inline]
    fn facts(&self) -> Option<Facts> {
        Some(self.facts)
    }

    #[inline]
    fn put_each<I: ExactSizeIterator>(
        &mut self,
        slots: I,
        mut put: impl FnMut(I::Item, Segment),
    ) -> usize {
        // The next are of one length, a page, and all are multiples of that.
        let (rest, shift) = (&mut self.segments, self.facts.lengths.trailing_zeros() & 63);
        // CAST: at most the number of slots is kept.
        let left = (rest.left >> shift) as usize;
        let count = slots.len().min(rest.segments.len()).min(left);
        let (now, later) = rest.segments.split_at(count);
        for (slot, &segment) in slots.zip(now) {
            put(slot, segment);
        }
        rest.segments = later;
        rest.left -= (now.len() as u64) << shift;
        now.len()
    }

    #[inline]
    fn count_pages(&self, most: usize, page: u64) -> usize {
        let SegmentsIter { segments, skip, left } = self.segments;
        // CAST: at most `most` are kept.
        let most = most.min((left >> (page.trailing_zeros() & 63)) as usize);
        // The first may be clipped.
        if skip == 0 { count_pages(segments, most, page) } else { 0 }
    }
}

/// The segments of a [`SegmentsPart`], the first and the last one clipped.
#[derive(Clone, Debug)]
pub struct SegmentsIter<'s> {
    segments: &'s [Segment],
    /// What is left out at the start of the first segment.
    skip: u64,
    left: u64,
}

impl Iterator for SegmentsIter<'_> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        if self.left == 0 {
            return None;
        }
        let (segment, rest) = self.segments.split_first()?;
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
