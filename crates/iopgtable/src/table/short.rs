//! The short way, for ranges within one table of pages that is there already: most small binds.

use super::edit::Edit;
use super::fill::{Leaves, Pages};
use super::sharing::Sharing;
use super::survey::Segments;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, Segment};
use crate::format::Format;
use crate::geometry::LAST_LEVEL;
use crate::memory::TableMemory;

/// Whether one table of pages translates all of `range`.
#[inline]
const fn is_short<F: Format>(range: IovaRange) -> bool {
    (range.first().0 ^ range.last().0) >> Tree::<F>::table_shift(LAST_LEVEL) == 0
}

/// Maps pages where their table is there and has nothing in their place (unless they `replace`
/// what is there); otherwise does nothing, and says so.
#[inline]
pub(super) fn map<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    segments: impl Iterator<Item = Segment>,
    shape: Segments,
    leaves: Leaves<F>,
    replace: bool,
) -> bool {
    if !is_short::<F>(range) || !shape.are_pages::<F>() || (replace && tree.hint != 0) {
        return false;
    }
    let Some((node, phys)) = tree.leaf_table(memory, range.first()) else { return false };
    let shift = Tree::<F>::entry_shift(LAST_LEVEL);
    let index = node.index(range.first().0, shift);
    let count = node.index(range.last().0, shift) - index + 1;
    if !replace && !tree.is_zero(node, index, count) {
        return false;
    }
    let single = shape.are_single::<F>();
    Pages::new(segments).write(node, true, (index, count), single, leaves);
    Tree::<F>::publish(memory, node, phys, index, count);
    memory.commit();
    true
}

/// Removes pages where their table is there and stays; otherwise does nothing, and says so.
#[inline]
pub(super) fn edit<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    edit: Edit,
) -> bool {
    let low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
    let (first, last) = (Iova(range.first().0 & !low), Iova(range.first().0 | low));
    let stays = match edit {
        Edit::Unmap { hole } => !(hole.contains(first) && hole.contains(last)),
        Edit::Clear => true,
        Edit::Protect(_) => false,
    };
    // Groups are looked after the long way.
    if !is_short::<F>(range) || !stays || tree.hint != 0 {
        return false;
    }
    let Some((node, phys)) = tree.leaf_table(memory, range.first()) else { return false };
    let shift = Tree::<F>::entry_shift(LAST_LEVEL);
    let index = node.index(range.first().0, shift);
    let count = node.index(range.last().0, shift) - index + 1;
    node.clear_live(index, count);
    Tree::<F>::publish(memory, node, phys, index, count);
    memory.commit();
    true
}
