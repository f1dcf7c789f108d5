//! The short way, for ranges within one table of pages that is there already: most small binds.

use super::PageTable;
use super::edit::Edit;
use super::fill::{Leaves, Pages};
use super::groups;
use super::node::Node;
use super::sharing::Sharing;
use super::survey::Shape;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::format::{Attributes, Entry, Format};
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
/// are a part of the caller, who so sees that nothing came loose.
impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Maps a page that nothing is in the way of, with the permissions that were used last, near
    /// the place that was used last.
    #[inline]
    pub(super) fn map_near(&mut self, range: IovaRange, segment: Segment, prot: Prot) -> bool {
        let granule = Tree::<F>::granule();
        let length = range.last().0.wrapping_sub(range.first().0);
        (length ^ (granule - 1)) | (segment.bytes ^ granule) == 0
            && self.map_page_near(range.first(), segment.phys, prot)
            && self.committed()
    }

    /// The same for a page at two addresses, which is then to be committed.
    #[inline]
    pub(super) fn map_page_near(&mut self, iova: Iova, phys: PhysAddr, prot: Prot) -> bool {
        let Some(attributes) = self.encoded.known(prot) else { return false };
        self.put_page_near(iova, phys, attributes)
    }

    /// The same with permissions that are encoded already.
    #[inline]
    pub(super) fn put_page_near(
        &mut self,
        iova: Iova,
        phys: PhysAddr,
        attributes: Attributes,
    ) -> bool {
        let Self { tree, allocator: memory, recent, .. } = self;
        if !tree.is_page(phys) {
            return false;
        }
        // A table that is there lies within the input size, and so does what it translates.
        let Some((node, table)) = recent.near::<F, A>(memory, iova) else { return false };
        let index = node.index(iova.0, Tree::<F>::entry_shift(LAST_LEVEL));
        if node.load(index) != 0 {
            return false;
        }
        node.store(index, attributes.leaf::<F>(LAST_LEVEL, phys));
        Tree::<F>::publish(memory, node, table, index, 1);
        true
    }

    /// Removes a page near the place that was used last.
    #[inline]
    pub(super) fn unmap_near(&mut self, range: IovaRange, hole: IovaRange) -> bool {
        // A hole that is larger may cover the table.
        range == hole
            && range.last().0.wrapping_sub(range.first().0) == Tree::<F>::granule() - 1
            && self.unmap_page_near(range.first())
            && self.committed()
    }

    /// The same for a page at an address, which is then to be committed.
    #[inline]
    pub(super) fn unmap_page_near(&mut self, iova: Iova) -> bool {
        let Some((node, table, index)) = self.page_near(iova) else { return false };
        node.store(index, 0);
        Tree::<F>::publish(&self.allocator, node, table, index, 1);
        true
    }

    /// The same where it matters whether there is a page: says so, or nothing where it is not near.
    #[inline]
    pub(super) fn take_page_near(&mut self, iova: Iova) -> Option<bool> {
        let (node, table, index) = self.page_near(iova)?;
        let Entry::Leaf(_) = F::decode(node.load(index), LAST_LEVEL) else { return Some(false) };
        node.store(index, 0);
        Tree::<F>::publish(&self.allocator, node, table, index, 1);
        Some(self.committed())
    }

    /// Where the entry of a page near the place that was used last is, if it may change by itself: in
    /// which table, and at which index.
    #[inline]
    fn page_near(&mut self, iova: Iova) -> Option<(Node<F>, PhysAddr, usize)> {
        let Self { tree, allocator: memory, recent, .. } = self;
        // Groups are looked after the long way.
        if tree.hint != 0 && !F::GROUPS.are_pages() {
            return None;
        }
        let (node, table) = recent.near::<F, A>(memory, iova)?;
        let index = node.index(iova.0, Tree::<F>::entry_shift(LAST_LEVEL));
        let may =
            !F::GROUPS.are_pages() || groups::are_whole(tree.hint, node, LAST_LEVEL, (index, 1));
        may.then_some((node, table, index))
    }

    /// Ends an operation that has done what it was asked to.
    #[inline]
    pub(super) fn committed(&self) -> bool {
        self.allocator.commit();
        true
    }

    /// Removes pages where their table is there and stays.
    #[inline]
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
