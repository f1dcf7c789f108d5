//! Entries side by side: of a table that nobody sees, of one that walkers see, and of one that other
//! threads change, too. The hot loops are here, once for each.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use crate::addr::{PhysAddr, Segment};
use crate::format::{AtomicWord, Word};
use crate::segments::Source;

/// Entries side by side, to be written.
pub(super) trait Slots: Sized {
    fn length(&self) -> usize;

    fn split(self, at: usize) -> (Self, Self);

    /// Puts `leaf` and those after it, each `step` above the one before; says which would be next.
    fn ramp(self, leaf: u64, step: u64) -> u64;

    /// Puts what `leaf` makes of the next segments, of `1 << shift` bytes each, a page; says how many
    /// there were.
    fn put_each(
        self,
        segments: &mut impl Source,
        shift: u32,
        leaf: impl Fn(PhysAddr) -> u64,
    ) -> usize;

    /// Puts runs of leaves, each `step` above the one before, from what `leaf` makes of the next
    /// segments on. `lengths`: how many leaves a run has, a multiple of [`LINE`], and log2 of a
    /// segment's bytes.
    fn put_runs(
        self,
        segments: &mut impl Source,
        lengths: (usize, u32),
        leaf: impl Fn(PhysAddr) -> u64,
        step: u64,
    );
}

/// The eight-byte entries of a cache line.
pub(super) const LINE: usize = 8;

/// Puts `leaf` and those after it by `put`; says which would be next.
#[inline]
fn ramp_one_by_one<I: IntoIterator>(
    slots: I,
    leaf: u64,
    step: u64,
    put: impl Fn(I::Item, u64),
) -> u64 {
    let mut leaf = leaf;
    for slot in slots {
        put(slot, leaf);
        leaf = leaf.wrapping_add(step);
    }
    leaf
}

/// The same by lines, for where the compiler makes no longer steps by itself.
#[inline]
fn ramp_by_lines<L: IntoIterator>(
    lines: impl Iterator<Item = L>,
    leaf: u64,
    step: u64,
    put: impl Fn(L::Item, u64),
) -> u64 {
    let mut leaf = leaf;
    for line in lines {
        for (slot, place) in line.into_iter().zip(0..) {
            put(slot, leaf.wrapping_add(step * place));
        }
        leaf = leaf.wrapping_add(step * LINE as u64);
    }
    leaf
}

/// Of a table that nobody sees: the compiler makes vectors of it.
impl<W: Word> Slots for &mut [W] {
    #[inline]
    fn length(&self) -> usize {
        self.len()
    }

    #[inline]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }

    #[inline]
    fn ramp(self, leaf: u64, step: u64) -> u64 {
        ramp_one_by_one(self, leaf, step, |slot, leaf| *slot = W::of(leaf))
    }

    #[inline]
    fn put_each(
        self,
        segments: &mut impl Source,
        shift: u32,
        leaf: impl Fn(PhysAddr) -> u64,
    ) -> usize {
        segments.put_each(self.iter_mut(), shift, |slot, segment| *slot = W::of(leaf(segment.phys)))
    }

    #[inline]
    fn put_runs(
        self,
        segments: &mut impl Source,
        (run, shift): (usize, u32),
        leaf: impl Fn(PhysAddr) -> u64,
        step: u64,
    ) {
        segments.put_each(self.chunks_exact_mut(run), shift, |slots, segment| {
            let lines = slots.chunks_exact_mut(LINE);
            ramp_by_lines(lines, leaf(segment.phys), step, |slot, leaf| *slot = W::of(leaf));
        });
    }
}

/// Of a table that walkers see.
impl<W: AtomicWord> Slots for &[W] {
    #[inline]
    fn length(&self) -> usize {
        self.len()
    }

    #[inline]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }

    /// A cache line of eight-byte entries at a time: the compiler makes no longer steps by itself
    /// where stores are atomic.
    #[inline]
    fn ramp(self, leaf: u64, step: u64) -> u64 {
        let lines = self.chunks_exact(LINE);
        let rest = lines.remainder();
        let put = |slot: &W, leaf| slot.store(leaf, Ordering::Relaxed);
        let leaf = ramp_by_lines(lines, leaf, step, put);
        ramp_one_by_one(rest, leaf, step, put)
    }

    #[inline]
    fn put_each(
        self,
        segments: &mut impl Source,
        shift: u32,
        leaf: impl Fn(PhysAddr) -> u64,
    ) -> usize {
        let put = |slot: &W, segment: Segment| slot.store(leaf(segment.phys), Ordering::Relaxed);
        segments.put_each(self.iter(), shift, put)
    }

    #[inline]
    fn put_runs(
        self,
        segments: &mut impl Source,
        (run, shift): (usize, u32),
        leaf: impl Fn(PhysAddr) -> u64,
        step: u64,
    ) {
        segments.put_each(self.chunks_exact(run), shift, |slots, segment| {
            slots.ramp(leaf(segment.phys), step);
        });
    }
}

/// Of a table that other threads change, too: each entry is written where it is empty.
pub(super) struct Claim<'t, W> {
    pub(super) slots: &'t [W],
    /// Whether all were.
    pub(super) claimed: &'t Cell<bool>,
}

impl<W: AtomicWord> Claim<'_, W> {
    fn put(&self, slot: &W, leaf: u64) {
        let put = slot.compare_exchange(0, leaf, Ordering::Relaxed, Ordering::Relaxed);
        self.claimed.set(self.claimed.get() & put.is_ok());
    }
}

impl<W: AtomicWord> Slots for Claim<'_, W> {
    fn length(&self) -> usize {
        self.slots.len()
    }

    fn split(self, at: usize) -> (Self, Self) {
        let (before, after) = self.slots.split_at(at);
        (Self { slots: before, ..self }, Self { slots: after, ..self })
    }

    fn ramp(self, leaf: u64, step: u64) -> u64 {
        ramp_one_by_one(self.slots, leaf, step, |slot, leaf| self.put(slot, leaf))
    }

    fn put_each(
        self,
        segments: &mut impl Source,
        shift: u32,
        leaf: impl Fn(PhysAddr) -> u64,
    ) -> usize {
        let put = |slot: &W, segment: Segment| self.put(slot, leaf(segment.phys));
        segments.put_each(self.slots.iter(), shift, put)
    }

    fn put_runs(
        self,
        segments: &mut impl Source,
        (run, shift): (usize, u32),
        leaf: impl Fn(PhysAddr) -> u64,
        step: u64,
    ) {
        segments.put_each(self.slots.chunks_exact(run), shift, |slots, segment| {
            Claim { slots, ..self }.ramp(leaf(segment.phys), step);
        });
    }
}
