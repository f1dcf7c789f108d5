//! The hot loops: leaves into the entries of one table.

use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

use super::groups;
use super::node::Node;
use super::tree::Tree;
use crate::addr::{PhysAddr, Segment};
use crate::format::{Attributes, Format};
use crate::geometry::LAST_LEVEL;

/// What leaves look like, besides their address.
///
/// The loops are written once, for tables that walkers see (atomic stores) and for those that
/// they do not (plain ones): `put` stores one entry into one of the slots.
#[derive(Clone, Copy)]
pub(super) struct Leaves<F> {
    attributes: Attributes,
    /// What leaves in whole groups have, too: the contiguous hint, or nothing.
    hint: u64,
    format: PhantomData<F>,
}

impl<F: Format> Leaves<F> {
    #[inline]
    pub(super) const fn new<S>(tree: &Tree<F, S>, attributes: Attributes) -> Self {
        Self { attributes, hint: tree.hint, format: PhantomData }
    }

    /// Writes `count` leaves at `level` for `phys` and what follows it from `index` on.
    #[inline]
    pub(super) fn write(
        self,
        node: Node,
        seen: bool,
        (index, count): (usize, usize),
        level: i8,
        phys: PhysAddr,
    ) {
        if seen {
            self.ramp(node.live(index, count), index, level, phys, put_live);
        } else {
            self.ramp(node.fresh(index, count), index, level, phys, put_fresh);
        }
    }

    /// Writes the same leaves into a table that other threads change at the same time, where
    /// nothing stands; says whether that was so everywhere.
    pub(super) fn claim(
        self,
        node: Node,
        (index, count): (usize, usize),
        level: i8,
        phys: PhysAddr,
    ) -> bool {
        let claimed = Cell::new(true);
        self.ramp(node.live(index, count), index, level, phys, |slot, leaf| {
            let put = slot.compare_exchange(0, leaf, Ordering::Relaxed, Ordering::Relaxed);
            claimed.set(claimed.get() & put.is_ok());
        });
        claimed.get()
    }

    /// Puts leaves at `level` for `phys` and what follows it into `slots`, which begin at `index`.
    #[inline]
    fn ramp<S: Slots>(
        self,
        slots: S,
        index: usize,
        level: i8,
        phys: PhysAddr,
        put: impl Fn(S::Item, u64) + Copy,
    ) {
        let leaf = self.attributes.leaf::<F>(level, phys);
        let step = 1 << Tree::<F>::entry_shift(level);
        if self.hint == 0 {
            ramp(slots, leaf, step, put);
            return;
        }
        let (from, to) = groups::whole::<F>(level, index, slots.length(), phys);
        let (before, rest) = slots.split(from - index);
        let (groups, after) = rest.split(to - from);
        let leaf = ramp(before, leaf, step, put);
        let leaf = ramp(groups, leaf | self.hint, step, put) & !self.hint;
        ramp(after, leaf, step, put);
    }
}

/// Puts `leaf` and those after it, each `step` above the one before; says which would be next.
#[inline]
fn ramp<S: Slots>(slots: S, leaf: u64, step: u64, put: impl Fn(S::Item, u64)) -> u64 {
    let mut leaf = leaf;
    for slot in slots {
        put(slot, leaf);
        leaf = leaf.wrapping_add(step);
    }
    leaf
}

/// Entries side by side, to be written one by one: atomics that many may know, words that one does.
trait Slots: IntoIterator + Sized {
    fn length(&self) -> usize;
    fn split(self, at: usize) -> (Self, Self);
}

impl Slots for &[AtomicU64] {
    #[inline]
    fn length(&self) -> usize {
        self.len()
    }
    #[inline]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}

impl Slots for &mut [u64] {
    #[inline]
    fn length(&self) -> usize {
        self.len()
    }
    #[inline]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

#[inline]
fn put_live(slot: &AtomicU64, leaf: u64) {
    slot.store(leaf, Ordering::Relaxed);
}

#[inline]
fn put_fresh(slot: &mut u64, leaf: u64) {
    *slot = leaf;
}

/// Segments, page by page.
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

    /// Writes the next `count` pages from `index` on; `single` ones, if each segment is one page.
    #[inline]
    pub(super) fn write<F: Format>(
        &mut self,
        node: Node,
        seen: bool,
        (index, count): (usize, usize),
        single: bool,
        leaves: Leaves<F>,
    ) {
        match (seen, single) {
            (true, true) => self.fill_single(node.live(index, count), leaves, put_live),
            (true, false) => self.fill(node.live(index, count), index, leaves, put_live),
            (false, true) => self.fill_single(node.fresh(index, count), leaves, put_fresh),
            (false, false) => self.fill(node.fresh(index, count), index, leaves, put_fresh),
        }
    }

    #[inline]
    fn fill<F: Format, T: Slots>(
        &mut self,
        slots: T,
        index: usize,
        leaves: Leaves<F>,
        put: impl Fn(T::Item, u64) + Copy,
    ) {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let (mut slots, mut index) = (slots, index);
        while slots.length() > 0 {
            if self.left == 0 {
                let Some(segment) = self.segments.next() else { return };
                (self.phys, self.left) = (segment.phys.0, segment.bytes);
            }
            let phys = PhysAddr(self.phys);
            let run = (self.left >> shift).min(in_field::<F>(phys, LAST_LEVEL));
            // CAST: at most the number of slots is kept.
            let run = (run as usize).min(slots.length());
            let (now, later) = slots.split(run);
            leaves.ramp(now, index, LAST_LEVEL, phys, put);
            self.phys += (run as u64) << shift;
            self.left -= (run as u64) << shift;
            index += run;
            slots = later;
        }
    }

    /// The same where every segment is one page: no group is whole.
    #[inline]
    fn fill_single<F: Format, T: Slots>(
        &mut self,
        slots: T,
        leaves: Leaves<F>,
        put: impl Fn(T::Item, u64),
    ) {
        for slot in slots {
            let Some(segment) = self.segments.next() else { return };
            put(slot, leaves.attributes.leaf::<F>(LAST_LEVEL, segment.phys));
        }
    }
}

/// How many leaves at `level` from `phys` on can be counted through: until the address grows
/// beyond the field that holds it.
#[inline]
pub(super) const fn in_field<F: Format>(phys: PhysAddr, level: i8) -> u64 {
    if F::FIELD_BITS >= u64::BITS {
        return u64::MAX;
    }
    let field = 1 << F::FIELD_BITS;
    (field - (phys.0 & (field - 1))) >> Tree::<F>::entry_shift(level)
}
