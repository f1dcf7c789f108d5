//! The short way, for ranges within one table of pages that is there already: most small binds.

use super::PageTable;
use super::edit::Edit;
use super::fill::{Leaves, Pages, in_field};
use super::groups;
use super::node::Node;
use super::sharing::Sharing;
use super::survey::Shape;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::format::Format;
use crate::geometry::LAST_LEVEL;
use crate::memory::{TableAllocator, TableMemory};
use crate::prot::Prot;
use crate::segments::Source;

/// Whether one table of pages translates all of `range`.
#[inline]
pub(super) const fn is_short<F: Format>(range: IovaRange) -> bool {
    (range.first().0 ^ range.last().0) >> Tree::<F>::table_shift(LAST_LEVEL) == 0
}

/// These do what they are asked to, or nothing, and say which; also for arguments that
/// [`map`](PageTable::map) and [`unmap`](PageTable::unmap) refuse. The near ones need no walk, and
/// keep nothing on the stack for what else there might be to do.
impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Maps a page that nothing is in the way of, with the permissions that were used last, near
    /// the place that was used last.
    #[inline(never)]
    pub(super) fn map_near(&mut self, range: IovaRange, segment: Segment, prot: Prot) -> bool {
        let Self { tree, allocator: memory, recent, encoded, .. } = self;
        let (first, granule) = (range.first(), Tree::<F>::granule());
        let odd = ((first.0 | segment.phys.0) & (granule - 1))
            | (segment.bytes ^ granule)
            | (range.last().0.wrapping_sub(first.0) ^ (granule - 1));
        if odd != 0 || segment.phys > tree.geometry.last_narrow_phys() {
            return false;
        }
        let Some(attributes) = encoded.known(prot) else { return false };
        // A table that is there lies within the input size, and so does what it translates.
        let Some((node, table)) = recent.near::<F, A>(memory, first) else { return false };
        let index = node.index(first.0, Tree::<F>::entry_shift(LAST_LEVEL));
        if node.load(index) != 0 {
            return false;
        }
        node.store(index, attributes.leaf::<F>(LAST_LEVEL, segment.phys));
        Tree::<F>::publish(memory, node, table, index, 1);
        memory.commit();
        true
    }

    /// Maps one segment of pages that nothing is in the way of, where their table is there.
    #[inline(never)]
    pub(super) fn map_one(&mut self, range: IovaRange, segment: Segment, prot: Prot) -> bool {
        let Self { tree, allocator: memory, recent, encoded, .. } = self;
        let (first, last, Segment { phys, bytes }) = (range.first(), range.last(), segment);
        let Some(attributes) = encoded.get::<F>(tree.options, prot) else { return false };
        let aligned = (first.0 | phys.0 | bytes) & (Tree::<F>::granule() - 1) == 0;
        // No bytes are too many here, and so is the whole address space.
        let (rest, reach) = (bytes.wrapping_sub(1), tree.geometry.last_narrow_phys().0);
        let fits = phys.0 <= reach && rest <= reach - phys.0 && last.0 - first.0 == rest;
        if !aligned || !fits || !is_short::<F>(range) {
            return false;
        }
        // All that a table translates may be one larger leaf.
        if bytes >> Tree::<F>::table_shift(LAST_LEVEL) != 0
            && tree.geometry.leaf_level(first, phys, bytes) != LAST_LEVEL
        {
            return false;
        }
        // A table that is there lies within the input size, and so does what it translates.
        let Some((node, table)) = recent.seek(tree, memory, first) else { return false };
        let (index, count) = entries::<F>(node, range);
        if in_field::<F>(phys, LAST_LEVEL) < count as u64 || !tree.is_zero(node, index, count) {
            return false;
        }
        Leaves::new(tree, attributes).write(node, true, (index, count), LAST_LEVEL, phys);
        Tree::<F>::publish(memory, node, table, index, count);
        memory.commit();
        true
    }

    /// Removes a page near the place that was used last.
    #[inline(never)]
    pub(super) fn unmap_near(&mut self, range: IovaRange, hole: IovaRange) -> bool {
        let Self { tree, allocator: memory, recent, .. } = self;
        let first = range.first();
        // A hole that is larger may cover the table.
        let narrow = range == hole && range.last().0.wrapping_sub(first.0) < Tree::<F>::granule();
        // Groups are looked after the long way.
        let may_be_cut = tree.hint != 0 && !F::GROUPS.are_pages();
        if !narrow || !range.is_aligned(Tree::<F>::granule()) || may_be_cut {
            return false;
        }
        let Some((node, table)) = recent.near::<F, A>(memory, first) else { return false };
        let index = node.index(first.0, Tree::<F>::entry_shift(LAST_LEVEL));
        if F::GROUPS.are_pages() && !groups::are_whole(tree.hint, node, LAST_LEVEL, (index, 1)) {
            return false;
        }
        node.store(index, 0);
        Tree::<F>::publish(memory, node, table, index, 1);
        memory.commit();
        true
    }

    /// Removes pages where their table is there and stays.
    #[inline(never)]
    pub(super) fn unmap_short(&mut self, range: IovaRange, hole: IovaRange) -> bool {
        let Self { tree, allocator: memory, recent, .. } = self;
        let find = |iova| recent.seek(tree, memory, iova);
        // A table that is there lies within the input size, and so does what it translates.
        range.is_aligned(Tree::<F>::granule())
            && hole.covers(range)
            && edit(tree, memory, range, Edit::Unmap { hole }, find)
    }
}

/// Maps pages where their table is there and has nothing in their place (unless they `replace`
/// what is there); otherwise does nothing, and says so. `find` finds the table of pages.
#[inline]
pub(super) fn map<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    segments: &impl Source,
    (shape, leaves): (Shape, Leaves<F>),
    replace: bool,
    find: impl FnOnce(Iova) -> Option<(Node<F>, PhysAddr)>,
) -> bool {
    if !is_short::<F>(range) || !shape.are_pages::<F>() || (replace && leaves.have_hint()) {
        return false;
    }
    let Some((node, table)) = find(range.first()) else { return false };
    let (index, count) = entries::<F>(node, range);
    if !replace && !tree.is_zero(node, index, count) {
        return false;
    }
    let single = shape.are_single::<F>();
    Pages::new(segments.clone()).write(node, true, (index, count), single, leaves);
    Tree::<F>::publish(memory, node, table, index, count);
    memory.commit();
    true
}

/// The entries of pages in their table: the first one's index, and how many.
#[inline]
fn entries<F: Format>(node: Node<F>, range: IovaRange) -> (usize, usize) {
    let shift = Tree::<F>::entry_shift(LAST_LEVEL);
    let index = node.index(range.first().0, shift);
    // CAST: at most the entries of a table.
    (index, ((range.last().0 - range.first().0) >> shift) as usize + 1)
}

/// Removes pages where their table is there and stays; otherwise does nothing, and says so. `find`
/// finds the table of pages.
#[inline]
pub(super) fn edit<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    edit: Edit,
    find: impl FnOnce(Iova) -> Option<(Node<F>, PhysAddr)>,
) -> bool {
    let low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
    let (first, last) = (Iova(range.first().0 & !low), Iova(range.first().0 | low));
    let stays = match edit {
        // The hole covers the range; does it cover the table?
        Edit::Unmap { hole } => hole.first() > first || hole.last() < last,
        Edit::Clear => true,
        Edit::Protect(_) => false,
    };
    // Groups are looked after the long way, if they may be cut.
    let may_be_cut = tree.hint != 0 && (S::SHARED || !F::GROUPS.are_pages());
    if !is_short::<F>(range) || !stays || may_be_cut {
        return false;
    }
    let Some((node, table)) = find(range.first()) else { return false };
    let (index, count) = entries::<F>(node, range);
    if F::GROUPS.are_pages() && !groups::are_whole(tree.hint, node, LAST_LEVEL, (index, count)) {
        return false;
    }
    node.clear_live(index, count);
    Tree::<F>::publish(memory, node, table, index, count);
    memory.commit();
    true
}
