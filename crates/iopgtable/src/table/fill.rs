//! What goes into the entries of one table: leaves that follow each other, and pages from segments.

use core::cell::Cell;
use core::marker::PhantomData;

use super::groups;
use super::node::Node;
use super::slots::{Claim, LINE, Slots};
use super::tree::Tree;
use crate::addr::PhysAddr;
use crate::format::{Attributes, Format};
use crate::geometry::LAST_LEVEL;
use crate::segments::Source;

/// What leaves look like, besides their address.
#[derive(Clone, Copy)]
pub(super) struct Leaves<F> {
    attributes: Attributes,
    /// What leaves in whole groups have, too: the contiguous hint, or nothing. Where groups are
    /// pages, the bytes of the largest of them, or nothing.
    hint: u64,
    /// Whether no output address is beyond the field that holds it, where a format splits others.
    is_narrow: bool,
    format: PhantomData<F>,
}

impl<F: Format> Leaves<F> {
    #[inline]
    pub(super) const fn new<S>(tree: &Tree<F, S>, attributes: Attributes) -> Self {
        let is_narrow =
            F::FIELD_BITS < u64::BITS && tree.geometry.last_phys().0 >> F::FIELD_BITS == 0;
        Self { attributes, hint: tree.hint, is_narrow, format: PhantomData }
    }

    /// Whether leaves may form groups.
    pub(super) const fn have_hint(self) -> bool {
        self.hint != 0
    }

    /// The same without groups.
    #[cfg(iopgtable_golden)]
    pub(super) const fn without_hint(self) -> Self {
        Self { hint: 0, ..self }
    }

    /// How many pages a group has that whole runs of pages are made of, one if there is none; and
    /// whether all leaves of such a run look alike, but for the address.
    #[inline]
    fn groups_in_runs(self) -> (usize, bool) {
        let group = if self.hint == 0 { 0 } else { F::group_log2(LAST_LEVEL) };
        let are_alike = self.hint == 0 || !F::GROUPS.are_pages();
        (1 << group, are_alike && F::FIELD_BITS >= u64::BITS)
    }

    /// Writes `count` leaves at `level` for `phys` and what follows it from `index` on.
    #[inline]
    pub(super) fn write(
        self,
        node: Node<F>,
        seen: bool,
        (index, count): (usize, usize),
        level: i8,
        phys: PhysAddr,
    ) {
        if count == 1 {
            // No group is as small.
            node.store(index, self.attributes.leaf::<F>(level, phys));
        } else if seen {
            self.ramp(node.live(index, count), index, level, phys);
        } else {
            self.ramp(node.fresh(index, count), index, level, phys);
        }
    }

    /// Writes the same leaves into a table that other threads change at the same time, where
    /// nothing stands; says whether that was so everywhere.
    pub(super) fn claim(
        self,
        node: Node<F>,
        (index, count): (usize, usize),
        level: i8,
        phys: PhysAddr,
    ) -> bool {
        let claimed = Cell::new(true);
        let slots = Claim { slots: node.live(index, count), claimed: &claimed };
        self.ramp(slots, index, level, phys);
        claimed.get()
    }

    /// Puts leaves at `level` for `phys` and what follows it into `slots`, which begin at `index`.
    #[inline]
    fn ramp(self, slots: impl Slots, index: usize, level: i8, phys: PhysAddr) {
        let leaf = self.attributes.leaf::<F>(level, phys);
        let step = 1 << (Tree::<F>::entry_shift(level) - F::FIELD_SHIFT);
        if self.hint == 0 {
            slots.ramp(leaf, step);
            return;
        }
        if F::GROUPS.are_pages() {
            self.ramp_pages(slots, index, level, phys);
            return;
        }
        let (from, to) = groups::whole::<F>(level, index, slots.length(), phys);
        let (before, rest) = slots.split(from - index);
        let (groups, after) = rest.split(to - from);
        let leaf = before.ramp(leaf, step);
        let leaf = groups.ramp(leaf | self.hint, step) & !self.hint;
        after.ramp(leaf, step);
    }

    /// The same where groups are pages: each of the largest size that fits.
    fn ramp_pages(self, slots: impl Slots, index: usize, level: i8, phys: PhysAddr) {
        let shift = Tree::<F>::entry_shift(level);
        let step = 1 << (shift - F::FIELD_SHIFT);
        let (mut slots, mut index, mut phys) = (slots, index, phys);
        while slots.length() > 0 {
            let (log2, count) = groups::next::<F>(level, index, slots.length(), phys, self.hint);
            let (now, later) = slots.split(count);
            if log2 == 0 {
                now.ramp(self.attributes.leaf::<F>(level, phys), step);
            } else {
                now.ramp(F::page(self.attributes, level, log2, phys), 0);
            }
            index += count;
            // OVERFLOW: an address beyond the last one is not used.
            phys = PhysAddr(phys.0.wrapping_add((count as u64) << shift));
            slots = later;
        }
    }
}

/// Segments, page by page.
#[derive(Clone)]
pub(super) struct Pages<S> {
    pub(super) segments: S,
    /// What is left of the segment at hand: where it begins, and its bytes.
    phys: u64,
    left: u64,
}

impl<S: Source> Pages<S> {
    pub(super) const fn new(segments: S) -> Self {
        Self { segments, phys: 0, left: 0 }
    }

    /// Writes the next `count` pages from `index` on; `single` ones, if each segment is one page.
    ///
    /// Where segments end too soon (an iterator whose clones differ), nothing is mapped, rather
    /// than what the memory held before.
    #[inline]
    pub(super) fn write<F: Format>(
        &mut self,
        node: Node<F>,
        seen: bool,
        (index, count): (usize, usize),
        single: bool,
        leaves: Leaves<F>,
    ) {
        match (seen, single) {
            (true, true) => {
                let slots = node.live(index, count);
                let done = self.put_single(slots, leaves, 0);
                slots.get(done..).unwrap_or_default().ramp(0, 0);
            }
            (true, false) => self.fill(node.live(index, count), index, leaves),
            (false, true) => {
                let slots = node.fresh(index, count);
                let done = self.put_single(&mut *slots, leaves, 0);
                slots.get_mut(done..).unwrap_or_default().ramp(0, 0);
            }
            (false, false) => self.fill(node.fresh(index, count), index, leaves),
        }
    }

    /// Writes the next `count` pages, single ones, from `index` on into a table that walkers see, without
    /// the bits that are `off`: whatever there is in the segments, they are not there.
    #[inline]
    pub(super) fn write_without<F: Format>(
        &mut self,
        off: u64,
        node: Node<F>,
        (index, count): (usize, usize),
        leaves: Leaves<F>,
    ) {
        let slots = node.live(index, count);
        let done = self.put_single(slots, leaves, off);
        slots.get(done..).unwrap_or_default().ramp(0, 0);
    }

    /// Puts segments of a page each, without the bits that are `off`, and says how many there were.
    #[inline]
    fn put_single<F: Format>(&mut self, slots: impl Slots, leaves: Leaves<F>, off: u64) -> usize {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        if leaves.is_narrow {
            let field = ((1 << F::FIELD_BITS) - 1) & !((1 << shift) - 1);
            let bits = leaves.attributes.page & !off;
            let leaf = |phys: PhysAddr| (phys.0 & field) >> F::FIELD_SHIFT & !off | bits;
            return slots.put_each(&mut self.segments, shift, leaf);
        }
        let leaf = |phys| leaves.attributes.leaf::<F>(LAST_LEVEL, phys) & !off;
        slots.put_each(&mut self.segments, shift, leaf)
    }

    #[inline]
    fn fill<F: Format>(&mut self, slots: impl Slots, index: usize, leaves: Leaves<F>) {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let leaf = |phys| leaves.attributes.leaf::<F>(LAST_LEVEL, phys);
        let (mut slots, mut index) = (slots, index);
        // Segments of one length of which all leaves look alike, but for the address.
        let (group, may_be_runs) = leaves.groups_in_runs();
        let is_run = |&bytes: &u64| bytes.is_power_of_two() && bytes >> shift >= LINE as u64;
        let piece = self.segments.piece().filter(|bytes| may_be_runs && is_run(bytes));
        let grouped = |phys: PhysAddr| {
            let is_whole = (phys.0 >> shift) & (group as u64 - 1) == 0;
            leaf(phys) | if is_whole { leaves.hint } else { 0 }
        };
        while slots.length() > 0 {
            if self.left == 0 {
                if let Some(bytes) = piece {
                    let piece_shift = bytes.trailing_zeros();
                    let room = slots.length() >> (piece_shift - shift);
                    let pieces = self.segments.count_equal(room, bytes);
                    // CAST: if there is room for a piece, its pages are as many as that.
                    let run = (bytes >> shift) as usize;
                    if pieces > 0 && (index | run) & (group - 1) == 0 {
                        let (now, later) = slots.split(pieces * run);
                        let step = 1 << (shift - F::FIELD_SHIFT);
                        now.put_runs(&mut self.segments, (run, piece_shift), grouped, step);
                        index += pieces * run;
                        slots = later;
                        continue;
                    }
                }
                let pages = self.segments.count_equal(slots.length(), 1 << shift);
                if pages > 0 {
                    // Pages by themselves are in no group.
                    let (now, later) = slots.split(pages);
                    now.put_each(&mut self.segments, shift, leaf);
                    index += pages;
                    slots = later;
                    continue;
                }
                let Some(segment) = self.segments.next() else {
                    slots.ramp(0, 0);
                    return;
                };
                (self.phys, self.left) = (segment.phys.0, segment.bytes);
            }
            let phys = PhysAddr(self.phys);
            let run = (self.left >> shift).min(in_field::<F>(phys, LAST_LEVEL));
            // CAST: at most the number of slots is kept.
            let run = (run as usize).min(slots.length());
            if run == 0 {
                // Not a whole page: an iterator whose clones differ.
                slots.ramp(0, 0);
                return;
            }
            let (now, later) = slots.split(run);
            leaves.ramp(now, index, LAST_LEVEL, phys);
            self.phys += (run as u64) << shift;
            self.left -= (run as u64) << shift;
            index += run;
            slots = later;
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
