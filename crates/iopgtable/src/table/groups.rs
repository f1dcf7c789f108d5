//! Groups of leaves that a walker may take for one.
//!
//! A group is an aligned run of leaves at one level, side by side in both address spaces. Its
//! leaves carry the contiguous hint, or it is a page of its own, the same word in all entries
//! ([`Format::GROUPS`]). Before some of its leaves change and others do not, a group is cut: all
//! lose the hint, or the page becomes smaller ones (`GROUP`).
//!
//! Hardware notes in any leaf of a group that the group was written through. So where a group is
//! cut, and one of its leaves says so, all of them do from there on.

use super::node::Node;
use super::sharing::Sharing;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::format::{Attributes, Entry, Format};
use crate::gather::{Gather, stale};
use crate::geometry::LAST_LEVEL;
use crate::memory::TableMemory;

/// Of `count` leaves at `level` from `index` on that lead to `phys` and what follows, those in
/// whole groups: from one index to before another. Where leaves carry the hint.
#[inline]
pub(super) fn whole<F: Format>(
    level: i8,
    index: usize,
    count: usize,
    phys: PhysAddr,
) -> (usize, usize) {
    let group = 1usize << F::group_log2(level);
    // CAST: the low bits are all that is looked at.
    let page = (phys.0 >> Tree::<F>::entry_shift(level)) as usize;
    let (from, to) = ((index + group - 1) & !(group - 1), (index + count) & !(group - 1));
    if group > 1 && (index ^ page) & (group - 1) == 0 && from < to {
        (from, to)
    } else {
        (index, index)
    }
}

/// The first of the pages that `count` leaves at `level` from `index` on form, which lead to `phys`
/// and what follows: log2 of its entries, the most that are aligned and fit into `largest` bytes,
/// with their number; or zero, with how many single leaves stand before the next larger page.
/// Where groups are pages.
#[inline]
pub(super) fn next<F: Format>(
    level: i8,
    index: usize,
    count: usize,
    phys: PhysAddr,
    largest: u64,
) -> (u32, usize) {
    let shift = Tree::<F>::entry_shift(level);
    // CAST: the low bits are all that is looked at.
    let page = (phys.0 >> shift) as usize;
    let limit = (largest >> shift).checked_ilog2().map_or(0, |log2| (2u64 << log2) - 1);
    let sizes = u64::from(F::group_sizes(level)) & limit;
    let fits = (index | page).trailing_zeros().min(count.ilog2()).min(u16::BITS);
    let fitting = sizes & ((2 << fits) - 1);
    if fitting > 1 {
        let log2 = fitting.ilog2();
        return (log2, 1 << log2);
    }
    let smallest = 1usize.checked_shl(sizes.trailing_zeros()).unwrap_or(0);
    if smallest == 0 || (index ^ page) & (smallest - 1) != 0 {
        return (0, count);
    }
    (0, count.min(smallest - (index & (smallest - 1))))
}

/// Whether `count` leaves at `level` from `index` on are known to cut no group, of which there are
/// some where `hint` is not zero. Of a tree that no other thread changes.
#[inline]
pub(super) fn are_whole<F: Format>(
    hint: u64,
    node: Node<F>,
    level: i8,
    (index, count): (usize, usize),
) -> bool {
    if hint == 0 {
        return true;
    }
    // What carries a hint is looked after the long way.
    F::GROUPS.are_pages()
        && [index, index + count - 1].into_iter().all(|at| {
            let size = 1 << F::group_of(node.load(at), level);
            let first = at & !(size - 1);
            index <= first && first + size <= index + count
        })
}

/// What `2^log2` leaves at `level` translate, an aligned group of them that has `iova` in it.
#[inline]
pub(super) fn span<F: Format>(iova: Iova, level: i8, log2: u32) -> IovaRange {
    let low = (1u64 << (Tree::<F>::entry_shift(level) + log2)) - 1;
    IovaRange::between(Iova(iova.0 & !low), Iova(iova.0 | low))
}

/// log2 of the bytes of the page that `leaf`, one at `level`, is or is part of.
#[inline]
pub(super) fn page_shift<F: Format>(leaf: u64, level: i8) -> u32 {
    let log2 = if F::GROUPS.are_pages() { F::group_of(leaf, level) } else { 0 };
    Tree::<F>::entry_shift(level) + log2
}

/// What that page translates, where the leaf translates `iova`.
#[inline]
pub(super) fn page_span<F: Format>(iova: Iova, level: i8, leaf: u64) -> IovaRange {
    span::<F>(iova, level, page_shift::<F>(leaf, level) - Tree::<F>::entry_shift(level))
}

/// Where the entry for `iova` leads whose leaf at `level` leads to `phys`: if it is part of a page,
/// that is where the page leads.
#[inline]
pub(super) fn member<F: Format>(leaf: u64, level: i8, phys: PhysAddr, iova: Iova) -> PhysAddr {
    let inside = (1u64 << page_shift::<F>(leaf, level)) - (1u64 << Tree::<F>::entry_shift(level));
    PhysAddr(phys.0 | (iova.0 & inside))
}

/// A leaf with `attributes` in the place of `leaf`, one at `level` that leads to `phys`, in the same
/// group.
#[inline]
pub(super) fn alike<F: Format>(
    attributes: Attributes,
    leaf: u64,
    level: i8,
    phys: PhysAddr,
) -> u64 {
    if F::GROUPS.are_pages() {
        let log2 = F::group_of(leaf, level);
        if log2 > 0 {
            return F::page(attributes, level, log2, phys);
        }
    }
    attributes.leaf::<F>(level, phys) | (leaf & F::CONTIGUOUS)
}

/// `leaf`, one at `level` that translates `iova`, outside of any group. Nothing, where only a group
/// leads to its place (`WIDE`): it is about to be replaced then.
fn single<F: Format>(leaf: u64, level: i8, iova: Iova) -> u64 {
    if !F::GROUPS.are_pages() {
        return leaf & !F::CONTIGUOUS;
    }
    match F::decode(leaf, level) {
        Entry::Leaf(phys) => {
            let phys = member::<F>(leaf, level, phys, iova);
            let single = F::attributes_of(leaf, level).leaf::<F>(level, phys);
            if F::decode(single, level) == Entry::Leaf(phys) { single } else { 0 }
        }
        Entry::Table(_) | Entry::Empty => leaf,
    }
}

/// Where `range` cuts a group that translates `group`: before which address.
fn cuts(range: IovaRange, group: IovaRange) -> impl Iterator<Item = Iova> {
    let from = Some(range.first()).filter(|first| group.first() < *first);
    // OVERFLOW: the group goes on behind it.
    let to = Some(range.last()).filter(|last| *last < group.last()).map(|last| Iova(last.0 + 1));
    from.into_iter().chain(to).filter(move |cut| group.contains(*cut))
}

/// Cuts groups that `range` cuts, in a table at `level` that translates `table` and that nobody
/// sees. The pages that come of it are of at most `largest` bytes, where groups are pages.
pub(super) fn strip<F: Format>(
    node: Node<F>,
    level: i8,
    table: IovaRange,
    range: IovaRange,
    largest: u64,
) {
    for end in [range.first(), range.last()].into_iter().filter(|end| table.contains(*end)) {
        let leaf = node.load(node.index(end.0, Tree::<F>::entry_shift(level)));
        let found = Found { node, level, leaf, table: PhysAddr(0), iova: end };
        if found.is_cut(range) {
            found.split(range, largest);
        }
    }
}

/// Cuts groups that `range` cuts, in tables that walkers see.
///
/// Where many threads share the tree, another one may be about to cut the same group, and may not
/// have published that: this one does not go on before all of it is done.
#[inline]
pub(super) fn dissolve<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    gather: &mut Gather,
    range: IovaRange,
) {
    if tree.hint != 0 {
        dissolve_ends(tree, memory, gather, range);
    }
}

#[cold]
fn dissolve_ends<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    gather: &mut Gather,
    range: IovaRange,
) {
    for end in [range.first(), range.last()] {
        let Some(found) = find(tree, memory, end) else { continue };
        if S::SHARED {
            let place = (found.node, found.table);
            dissolve_shared::<F, M>(memory, gather, place, found.level, end, range);
        } else if found.is_cut(range) {
            let (first, count) = found.split(range, tree.hint);
            Tree::<F>::publish(memory, found.node, found.table, first, count);
            stale(&mut gather.stale.leaves, found.group());
            gather.live.resized(found.group());
        }
    }
}

/// Cuts groups that `range` cuts in a table at `level` that other threads change, too: one of them
/// may have put it in the place of the leaf that was there a moment ago.
pub(super) fn dissolve_on_the_way<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    place: (Node<F>, PhysAddr),
    level: i8,
    range: IovaRange,
) {
    for end in [range.first(), range.last()] {
        dissolve_shared::<F, M>(memory, gather, place, level, end, range);
    }
}

/// Makes single leaves of the group at `level` that has `end` in it and that `range` cuts, wherever
/// other threads have not done so yet, and publishes all of them. They are single ones because
/// other threads may cut the group elsewhere: so all do the same.
fn dissolve_shared<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
    end: Iova,
    range: IovaRange,
) {
    // Who is ahead of this thread may have left nothing at `end` that tells how large it was.
    let largest = span::<F>(end, level, F::group_log2(level));
    if F::group_log2(level) == 0 || range.covers(largest) {
        return;
    }
    let shift = Tree::<F>::entry_shift(level);
    let (first, count) = (node.index(largest.first().0, shift), 1 << F::group_log2(level));
    let at = |index: usize| Iova(largest.first().0 + (((index - first) as u64) << shift));
    let mut changed: Option<IovaRange> = None;
    let mut dirty = false;
    for index in first..first + count {
        let cut = |leaf: u64| match F::decode(leaf, level) {
            Entry::Leaf(_) => {
                let log2 = F::group_of(leaf, level);
                let group = span::<F>(at(index), level, log2);
                let cut = log2 > 0 && group.contains(end) && !range.covers(group);
                cut.then(|| single::<F>(leaf, level, at(index)))
            }
            Entry::Table(_) | Entry::Empty => None,
        };
        // Hardware may set flags in the leaf meanwhile.
        if let Some(leaf) = node.update(index, cut) {
            let group = span::<F>(at(index), level, F::group_of(leaf, level));
            changed = Some(group.hull(changed.unwrap_or(group)));
            dirty |= F::cleaned(leaf).is_some();
        }
    }
    if let Some(group) = changed {
        if dirty {
            let (from, to) =
                (node.index(group.first().0, shift), node.index(group.last().0, shift));
            for index in from..=to {
                let is_leaf = |leaf| matches!(F::decode(leaf, level), Entry::Leaf(_));
                node.update(index, |leaf| is_leaf(leaf).then(|| F::dirtied(leaf)));
            }
        }
        stale(&mut gather.stale.leaves, group);
        gather.live.resized(group);
    }
    Tree::<F>::publish(memory, node, table, first, count);
}

/// Makes single leaves of all groups that have leaves in `range`, in tables that walkers see, but
/// for what groups at its ends have outside: what is about to be written there need not replace a
/// group in one go.
pub(super) fn dissolve_all<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    gather: &mut Gather,
    range: IovaRange,
) {
    if tree.hint != 0 {
        dissolve_ends(tree, memory, gather, range);
        let root = (tree.root(), tree.root_phys());
        dissolve_in::<F, S, M>(memory, gather, root, tree.geometry.first_level(), range);
    }
}

/// Does so in a table at `level`, where no group sticks out of the range. Recurses once per level.
fn dissolve_in<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
    range: IovaRange,
) {
    let shift = Tree::<F>::entry_shift(level);
    let (from, to) = (node.index(range.first().0, shift), node.index(range.last().0, shift));
    let base = range.first().0 & !((1u64 << shift) - 1);
    let mut changed = None;
    for index in from..=to {
        let entry = node.load(index);
        let iova = Iova(base + (((index - from) as u64) << shift));
        match F::decode(entry, level) {
            Entry::Table(phys) => {
                if let Some(inside) = span_of::<F>(iova, level).intersection(range) {
                    let child = (Tree::<F, S>::child(memory, phys), phys);
                    dissolve_in::<F, S, M>(memory, gather, child, level + 1, inside);
                }
            }
            Entry::Leaf(_) if F::group_of(entry, level) > 0 => {
                node.update(index, |leaf| Some(single::<F>(leaf, level, iova)));
                let group = span::<F>(iova, level, F::group_of(entry, level));
                stale(&mut gather.stale.leaves, group);
                gather.live.resized(group);
                changed = Some((changed.map_or(index, |(first, _)| first), index));
            }
            Entry::Leaf(_) | Entry::Empty => {}
        }
    }
    if let Some((first, last)) = changed {
        Tree::<F>::publish(memory, node, table, first, last - first + 1);
    }
}

/// The first leaf, or group of leaves, that an end of `range` cuts, of those that lead to where `counts`
/// says.
pub(super) fn cut<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    counts: impl Fn(PhysAddr) -> bool,
) -> Option<IovaRange> {
    [range.first(), range.last()].into_iter().find_map(|end| {
        let found = find(tree, memory, end)?;
        let Entry::Leaf(phys) = F::decode(found.leaf, found.level) else { return None };
        Some(found.group()).filter(|group| counts(phys) && !range.covers(*group))
    })
}

/// A leaf, where it stands.
struct Found<F: Format> {
    node: Node<F>,
    table: PhysAddr,
    level: i8,
    leaf: u64,
    /// An address that it translates.
    iova: Iova,
}

impl<F: Format> Found<F> {
    /// Whether it is in a group that `range` cuts.
    fn is_cut(&self, range: IovaRange) -> bool {
        F::group_of(self.leaf, self.level) > 0 && !range.covers(self.group())
    }

    /// What its group translates, or what it does itself.
    fn group(&self) -> IovaRange {
        span::<F>(self.iova, self.level, F::group_of(self.leaf, self.level))
    }

    /// Cuts its group where `range` does: takes the hint from it, or makes pages of it of at most
    /// `largest` bytes, as large as they can be on both sides of a cut. Says which entries that are.
    fn split(&self, range: IovaRange, largest: u64) -> (usize, usize) {
        let &Self { node, level, leaf, .. } = self;
        let (shift, group) = (Tree::<F>::entry_shift(level), self.group());
        let (first, count) = (node.index(group.first().0, shift), 1 << F::group_of(leaf, level));
        let mut dirty = false;
        if F::GROUPS.are_pages() {
            let low = (1u64 << shift) - 1;
            let mut from = first;
            for cut in cuts(range, group) {
                let at = node.index(cut.0, shift);
                dirty |= self.regroup((first, from, at), largest);
                from = at;
                if cut.0 & low != 0 {
                    // The entry with the cut in it is cut itself, by who asked for this.
                    dirty |= self.regroup((first, from, at + 1), 0);
                    from = at + 1;
                }
            }
            dirty |= self.regroup((first, from, first + count), largest);
        } else {
            let strip = |leaf| (leaf & F::CONTIGUOUS != 0).then_some(leaf & !F::CONTIGUOUS);
            for index in first..first + count {
                // Hardware may set flags in the leaf meanwhile.
                let before = node.update(index, strip);
                dirty |= before.is_some_and(|leaf| F::cleaned(leaf).is_some());
            }
        }
        if dirty {
            for index in first..first + count {
                node.update(index, |leaf| Some(F::dirtied(leaf)));
            }
        }
        (first, count)
    }

    /// Makes pages of the entries of a page that begins at entry `first`, from one to before
    /// another. Says whether one of them was written through; those that were still say so.
    fn regroup(&self, (first, from, to): (usize, usize, usize), largest: u64) -> bool {
        let &Self { node, level, leaf, .. } = self;
        let Entry::Leaf(base) = F::decode(leaf, level) else { return false };
        let attributes = F::attributes_of(F::cleaned(leaf).unwrap_or(leaf), level);
        let shift = Tree::<F>::entry_shift(level);
        let mut dirty = false;
        let mut index = from;
        while index < to {
            let phys = PhysAddr(base.0 + (((index - first) as u64) << shift));
            let (log2, count) = next::<F>(level, index, to - index, phys, largest);
            for (offset, index) in (index..index + count).enumerate() {
                let new = if log2 > 0 {
                    F::page(attributes, level, log2, phys)
                } else {
                    let phys = PhysAddr(phys.0 + ((offset as u64) << shift));
                    attributes.leaf::<F>(level, phys)
                };
                // Hardware may set flags in the leaf meanwhile.
                let was_written = |leaf| F::cleaned(leaf).is_some();
                let keep = |leaf| if was_written(leaf) { F::dirtied(new) } else { new };
                dirty |= node.update(index, |leaf| Some(keep(leaf))).is_some_and(was_written);
            }
            index += count;
        }
        dirty
    }
}

/// The leaf that translates `iova`, if there is one.
fn find<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    iova: Iova,
) -> Option<Found<F>> {
    let (mut node, mut table) = (tree.root(), tree.root_phys());
    for level in tree.geometry.first_level()..=LAST_LEVEL {
        let leaf = S::load(node, node.index(iova.0, Tree::<F>::entry_shift(level)));
        match F::decode(leaf, level) {
            Entry::Table(phys) => (node, table) = (Tree::<F>::child(memory, phys), phys),
            Entry::Leaf(_) => return Some(Found { node, table, level, leaf, iova }),
            Entry::Empty => return None,
        }
    }
    None
}
