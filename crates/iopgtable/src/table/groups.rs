//! Groups of leaves that carry the contiguous hint.
//!
//! A group is an aligned run of leaves of one size, side by side in both address spaces. All of
//! them have the hint or none has: before one of them changes and others do not, the hint is
//! taken from all (`GROUP`).

use super::node::Node;
use super::sharing::Sharing;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::format::{Entry, Format, Word};
use crate::gather::{Gather, stale};
use crate::geometry::LAST_LEVEL;
use crate::memory::TableMemory;

/// Of `count` leaves at `level` from `index` on that lead to `phys` and what follows, those in
/// whole groups: from one index to before another.
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

/// What the group of the leaf at `iova` and `level` translates.
pub(super) fn span<F: Format>(iova: Iova, level: i8) -> IovaRange {
    let low = (1u64 << (Tree::<F>::entry_shift(level) + F::group_log2(level))) - 1;
    IovaRange::between(Iova(iova.0 & !low), Iova(iova.0 | low))
}

/// Takes the hint from groups that `range` cuts, in a table at `level` that translates `table`
/// and that nobody sees.
pub(super) fn strip<F: Format>(node: Node<F>, level: i8, table: IovaRange, range: IovaRange) {
    for end in [range.first(), range.last()] {
        let group = span::<F>(end, level);
        if table.contains(end) && !range.covers(group) {
            for slot in node.fresh(node.index(group.first().0, shift::<F>(level)), size::<F>(level))
            {
                *slot = F::Word::of(slot.entry() & !F::CONTIGUOUS);
            }
        }
    }
}

/// Takes the hint from groups that `range` cuts, in tables that walkers see.
///
/// Where many threads share the tree, another one may be about to take the hint from the same
/// group, and may not have published that: this one does not go on before all of it is done.
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
        let found = find(tree, memory, end).filter(|found| !range.covers(found.group));
        let Some(cut) = found.filter(|found| found.hint || S::SHARED) else {
            continue;
        };
        dissolve_one(memory, gather, &cut);
    }
}

/// Takes the hint from groups that `range` cuts in a table at `level` that other threads change,
/// too: one of them may have put it in the place of the leaf that was there a moment ago.
pub(super) fn dissolve_on_the_way<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
    range: IovaRange,
) {
    for end in [range.first(), range.last()] {
        let group = span::<F>(end, level);
        if !range.covers(group) && F::group_log2(level) > 0 {
            let (shift, size) = (shift::<F>(level), size::<F>(level));
            let cut = Found { hint: true, node, table, group, shift, size };
            dissolve_one(memory, gather, &cut);
        }
    }
}

/// Takes the hint from all leaves of a group, and publishes them.
fn dissolve_one<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    cut: &Found<F>,
) {
    let (first, count) = (cut.node.index(cut.group.first().0, cut.shift), cut.size);
    let strip = |leaf| (leaf & F::CONTIGUOUS != 0).then_some(leaf & !F::CONTIGUOUS);
    let mut changed = false;
    for index in first..first + count {
        // Hardware may set flags in the leaf meanwhile.
        changed |= cut.node.update(index, strip).is_some();
    }
    Tree::<F>::publish(memory, cut.node, cut.table, first, count);
    if changed {
        stale(&mut gather.stale.leaves, cut.group);
        gather.live.resized(cut.group);
    }
}

/// Takes the hint from all groups that have leaves in `range`, in tables that walkers see: what is
/// about to be written there need not replace a group in one go.
pub(super) fn dissolve_all<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    gather: &mut Gather,
    range: IovaRange,
) {
    if tree.hint != 0 {
        let root = (tree.root(), tree.root_phys());
        dissolve_in::<F, S, M>(memory, gather, root, tree.geometry.first_level(), range);
    }
}

/// Does so in a table at `level`. Recurses once per level.
fn dissolve_in<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
    range: IovaRange,
) {
    let (shift, size) = (shift::<F>(level), size::<F>(level));
    let (from, to) = (node.index(range.first().0, shift), node.index(range.last().0, shift));
    let from = from & !(size - 1);
    let mut changed = None;
    for index in from..=(to | (size - 1)) {
        let entry = node.load(index);
        let offset = (index as u64).wrapping_sub(from as u64) << shift;
        let base = range.first().0 & !((1u64 << (shift + F::group_log2(level))) - 1);
        let iova = Iova(base.wrapping_add(offset));
        match F::decode(entry, level) {
            Entry::Table(phys) => {
                if let Some(inside) = span_of::<F>(iova, level).intersection(range) {
                    let child = (Tree::<F, S>::child(memory, phys), phys);
                    dissolve_in::<F, S, M>(memory, gather, child, level + 1, inside);
                }
            }
            Entry::Leaf(_) if entry & F::CONTIGUOUS != 0 => {
                node.update(index, |leaf| Some(leaf & !F::CONTIGUOUS));
                let group = span::<F>(iova, level);
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

/// The first leaf, or group of leaves, that an end of `range` cuts.
pub(super) fn cut<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
) -> Option<IovaRange> {
    [range.first(), range.last()].into_iter().find_map(|end| {
        let (_, level, _) = tree.leaf_at(memory, end)?;
        let group = find(tree, memory, end).filter(|found| found.hint).map(|found| found.group);
        Some(group.unwrap_or_else(|| span_of::<F>(end, level))).filter(|span| !range.covers(*span))
    })
}

/// The group that a leaf belongs to.
struct Found<F: Format> {
    /// Whether the leaf has the hint.
    hint: bool,
    node: Node<F>,
    table: PhysAddr,
    group: IovaRange,
    shift: u32,
    size: usize,
}

/// The group of the leaf that translates `iova`, if there is one.
fn find<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    iova: Iova,
) -> Option<Found<F>> {
    let (mut node, mut table) = (tree.root(), tree.root_phys());
    for level in tree.geometry.first_level()..=LAST_LEVEL {
        let shift = shift::<F>(level);
        let entry = S::load(node, node.index(iova.0, shift));
        match F::decode(entry, level) {
            Entry::Table(phys) => (node, table) = (Tree::<F>::child(memory, phys), phys),
            Entry::Leaf(_) => {
                let (hint, group) = (entry & F::CONTIGUOUS != 0, span::<F>(iova, level));
                return Some(Found { hint, node, table, group, shift, size: size::<F>(level) });
            }
            Entry::Empty => return None,
        }
    }
    None
}

fn shift<F: Format>(level: i8) -> u32 {
    Tree::<F>::entry_shift(level)
}

fn size<F: Format>(level: i8) -> usize {
    1 << F::group_log2(level)
}
