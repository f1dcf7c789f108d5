//! The hot loops: leaves into the entries of one table.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

use super::groups;
use super::node::Node;
use super::tree::Tree;
use crate::addr::PhysAddr;
use crate::format::{Attributes, Format};
use crate::geometry::LAST_LEVEL;
use crate::segments::Source;

/// What leaves look like, besides their address.
///
/// The loops are written once, for tables that walkers see (atomic stores) and for those that
/// they do not (plain ones).
#[derive(Clone, Copy)]
pub(super) struct Leaves<F> {
    attributes: Attributes,
    /// What leaves in whole groups have, too: the contiguous hint, or nothing.
    hint: u64,
    format: PhantomData<F>,
}

impl<F: Format> Leaves<F> {
    #[inline]
    pub(super) const fn new(tree: &Tree<F>, attributes: Attributes) -> Self {
        Self { attributes, hint: tree.hint, format: PhantomData }
    }

    /// Whether whole groups of leaves get the contiguous hint.
    pub(super) const fn have_hint(self) -> bool {
        self.hint != 0
    }

    /// The same as if there were no hint.
    #[cfg(iopgtable_golden)]
    pub(super) const fn without_hint(self) -> Self {
        Self { hint: 0, ..self }
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
            self.ramp(node.live(index, count), index, level, phys);
        } else {
            self.ramp(node.fresh(index, count), index, level, phys);
        }
    }

    /// Puts leaves at `level` for `phys` and what follows it into `slots`, which begin at `index`.
    #[inline]
    fn ramp<T: Slot>(self, slots: &mut [T], index: usize, level: i8, phys: PhysAddr) {
        let leaf = self.attributes.leaf::<F>(level, phys);
        let step = 1 << Tree::<F>::entry_shift(level);
        if self.hint == 0 {
            T::ramp(slots, leaf, step);
            return;
        }
        let (from, to) = groups::whole::<F>(level, index, slots.len(), phys);
        let (before, rest) = slots.split_at_mut(from - index);
        let (groups, after) = rest.split_at_mut(to - from);
        let leaf = T::ramp(before, leaf, step);
        let leaf = T::ramp(groups, leaf | self.hint, step) & !self.hint;
        T::ramp(after, leaf, step);
    }
}

/// An entry as it is written.
trait Slot: Sized {
    fn put(&mut self, leaf: u64);

    /// Puts `leaf` and those after it, each `step` above the one before; says which would be next.
    fn ramp(slots: &mut [Self], leaf: u64, step: u64) -> u64;
}

#[inline]
fn ramp_one_by_one(slots: &mut [impl Slot], leaf: u64, step: u64) -> u64 {
    let mut leaf = leaf;
    for slot in slots {
        slot.put(leaf);
        leaf = leaf.wrapping_add(step);
    }
    leaf
}

/// Of a table that nobody sees: the compiler makes vectors of it.
impl Slot for u64 {
    #[inline]
    fn put(&mut self, leaf: u64) {
        *self = leaf;
    }

    #[inline]
    fn ramp(slots: &mut [Self], leaf: u64, step: u64) -> u64 {
        ramp_one_by_one(slots, leaf, step)
    }
}

/// Of a table that walkers see.
impl Slot for AtomicU64 {
    #[inline]
    fn put(&mut self, leaf: u64) {
        self.store(leaf, Ordering::Relaxed);
    }

    /// A cache line at a time: the compiler makes no longer steps by itself where stores are
    /// atomic.
    #[inline]
    fn ramp(slots: &mut [Self], leaf: u64, step: u64) -> u64 {
        const LINE: usize = 8;
        let mut leaf = leaf;
        let mut lines = slots.chunks_exact_mut(LINE);
        for line in &mut lines {
            for (slot, place) in line.iter_mut().zip(0..) {
                slot.put(leaf.wrapping_add(step * place));
            }
            leaf = leaf.wrapping_add(step * LINE as u64);
        }
        ramp_one_by_one(lines.into_remainder(), leaf, step)
    }
}

/// Segments, page by page.
#[derive(Clone)]
pub(super) struct Pages<S> {
    segments: S,
    /// What is left of the segment at hand: where it begins, and its bytes.
    phys: u64,
    left: u64,
}

impl<S: Source> Pages<S> {
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
            (true, true) => self.fill_single(node.live(index, count), leaves),
            (true, false) => self.fill(node.live(index, count), index, leaves),
            (false, true) => self.fill_single(node.fresh(index, count), leaves),
            (false, false) => self.fill(node.fresh(index, count), index, leaves),
        }
    }

    #[inline]
    fn fill<F: Format, T: Slot>(&mut self, slots: &mut [T], index: usize, leaves: Leaves<F>) {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let (mut slots, mut index) = (slots, index);
        while !slots.is_empty() {
            if self.left == 0 {
                let Some(segment) = self.segments.next() else {
                    return empty(slots);
                };
                (self.phys, self.left) = (segment.phys.0, segment.bytes);
            }
            let phys = PhysAddr(self.phys);
            let run = (self.left >> shift).min(in_field::<F>(phys, LAST_LEVEL));
            // CAST: at most the number of slots is kept.
            let run = (run as usize).min(slots.len());
            let (now, later) = slots.split_at_mut(run);
            leaves.ramp(now, index, LAST_LEVEL, phys);
            self.phys += (run as u64) << shift;
            self.left -= (run as u64) << shift;
            index += run;
            slots = later;
        }
    }

    /// The same where every segment is one page: no group is whole.
    #[inline]
    fn fill_single<F: Format, T: Slot>(&mut self, slots: &mut [T], leaves: Leaves<F>) {
        let done = self.segments.put_each(slots, |slot, phys| {
            slot.put(leaves.attributes.leaf::<F>(LAST_LEVEL, phys));
        });
        empty(slots.get_mut(done..).unwrap_or_default());
    }
}

/// Where segments end too soon (an iterator whose clones differ), nothing is mapped, rather than
/// what the memory held before.
#[inline]
fn empty(slots: &mut [impl Slot]) {
    for slot in slots {
        slot.put(0);
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
