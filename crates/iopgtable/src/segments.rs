//! What mappings are made of: segments in their order, however the caller has them.

use core::slice;

use crate::addr::{PhysAddr, Segment};

/// Segments in their order, as operations that map take them.
///
/// | what | how it is read |
/// |---|---|
/// | any iterator of [`Segment`]s that can be cloned, or what becomes one: `[Segment; N]`, `Option<Segment>` | one by one, more than once: a clone must yield the same |
/// | a [`Segment`] | as it is: the shortest way for a single one |
/// | a [`SegmentSlice`] | in runs: faster than its iterator |
/// | a [`SegmentsPart`](crate::SegmentsPart) of a [`SegmentList`](crate::SegmentList) | in runs, and once: the list was looked at when it was made |
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
    /// of `1 << shift` bytes each.
    #[inline]
    fn put_each<I: ExactSizeIterator>(
        &mut self,
        slots: I,
        shift: u32,
        mut put: impl FnMut(I::Item, Segment),
    ) -> usize {
        let _ = shift;
        let mut done = 0;
        for slot in slots {
            let Some(segment) = self.next() else { break };
            put(slot, segment);
            done += 1;
        }
        done
    }

    /// How many of the next segments, of at most `most`, are of `bytes` bytes, so that
    /// [`put_each`](Self::put_each) may be used for them; none where that is not known beforehand.
    #[inline]
    fn count_equal(&self, most: usize, bytes: u64) -> usize {
        let _ = (most, bytes);
        0
    }

    /// A length in bytes that many segments in a row are likely to have, for
    /// [`count_equal`](Self::count_equal) to say how many do.
    #[inline]
    fn piece(&self) -> Option<u64> {
        None
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
        _: u32,
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
    fn count_equal(&self, most: usize, bytes: u64) -> usize {
        self.0.as_slice().iter().take(most).take_while(|segment| segment.bytes == bytes).count()
    }

    #[inline]
    fn piece(&self) -> Option<u64> {
        match self.0.as_slice() {
            [first, second, ..] if first.bytes == second.bytes => Some(first.bytes),
            _ => None,
        }
    }

    #[inline]
    fn look(self, mut look: impl FnMut(Segment)) {
        self.0.for_each(|&segment| look(segment));
    }
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
