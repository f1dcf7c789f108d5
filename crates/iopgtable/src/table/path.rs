//! A path of new tables: for leaves side by side in one table that is not there, nor perhaps some
//! of those above it. Most first binds: one walk, no survey, and the tables are linked as a whole.

use super::PageTable;
use super::fill::{Leaves, in_field};
use super::node::Node;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::error::TableError;
use crate::format::{Attributes, Entry, Format, Word};
use crate::geometry::{LAST_LEVEL, TableCount};
use crate::memory::{PageList, TableAllocator, TableMemory};
use crate::prot::Prot;

/// Where the path begins: the entry of a linked table that is to link it.
struct Gap<F: Format> {
    level: i8,
    node: Node<F>,
    table: PhysAddr,
    index: usize,
}

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Maps one segment, where it makes leaves of one size in one table that is missing. Otherwise
    /// does nothing, and says so; also for arguments that [`map`](Self::map) refuses.
    #[inline(never)]
    pub(super) fn map_apart(
        &mut self,
        range: IovaRange,
        segment: Segment,
        prot: Prot,
    ) -> Result<bool, TableError> {
        let Self { tree, encoded, .. } = self;
        let (first, last, Segment { phys, bytes }) = (range.first(), range.last(), segment);
        let Some(attributes) = encoded.get::<F>(tree.options, prot) else { return Ok(false) };
        let geometry = &tree.geometry;
        let aligned = (first.0 | phys.0 | bytes) & (Tree::<F>::granule() - 1) == 0;
        // No bytes are too many here, and so is the whole address space.
        let (rest, reach) = (bytes.wrapping_sub(1), geometry.last_narrow_phys().0);
        let fits = phys.0 <= reach && rest <= reach - phys.0 && last.0 - first.0 == rest;
        if !aligned || !fits || !geometry.translates(first) || !geometry.translates(last) {
            return Ok(false);
        }
        let level = if bytes >> Tree::<F>::table_shift(LAST_LEVEL) == 0 {
            LAST_LEVEL
        } else {
            geometry.leaf_level(first, phys, bytes)
        };
        let shift = Tree::<F>::entry_shift(level);
        let one_table = (first.0 ^ last.0) >> Tree::<F>::table_shift(level) == 0;
        if bytes & ((1 << shift) - 1) != 0 || !one_table {
            return Ok(false);
        }
        // CAST: at most the entries of a table.
        self.map_path(first, phys, level, (bytes >> shift) as usize, attributes)
    }

    /// Maps `count` leaves at `level` from `phys` on at `iova`, where the table that is to hold them
    /// all is missing; otherwise does nothing, and says so.
    ///
    /// Both addresses are aligned to the leaf, which may stand at that level, and all of it lies
    /// within the sizes and one table.
    #[inline]
    pub(super) fn map_path(
        &mut self,
        iova: Iova,
        phys: PhysAddr,
        level: i8,
        count: usize,
        attributes: Attributes,
    ) -> Result<bool, TableError> {
        let Self { tree, allocator: memory, recent, .. } = self;
        let Some(gap) = find_gap(tree, memory, iova, level) else { return Ok(false) };
        if in_field::<F>(phys, level) < count as u64 {
            return Ok(false);
        }
        let (mut pages, missing) = (PageList::new(), TableCount::way(gap.level + 1, level));
        let layout = Tree::<F>::layout();
        crate::memory::take_pages(&mut pages, memory, layout, &missing, (iova, true))?;
        // The allocator hands out as many as it is asked for.
        let Some(page) = pages.pop() else { return Ok(false) };
        let (node, mut table) = (Tree::<F>::node_of(&page), page.phys());
        let index = node.index(iova.0, Tree::<F>::entry_shift(level));
        if count == 1 {
            // No group is as small.
            node.store(index, attributes.leaf::<F>(level, phys));
        } else {
            let leaves = Leaves::new(tree, attributes);
            leaves.write(node, false, (index, count), level, phys);
        }
        complete(memory, node, table, (index, index + count), page.is_zeroed());
        // SAFETY: the table is linked below, before anybody asks for it.
        unsafe { recent.set::<F>(level, iova, node, table) };
        let mut above = level - 1;
        while let Some(page) = pages.pop() {
            let node = Tree::<F>::node_of(&page);
            let index = node.index(iova.0, Tree::<F>::entry_shift(above));
            node.store(index, tree.table_entry(above, table));
            table = page.phys();
            complete(memory, node, table, (index, index + 1), page.is_zeroed());
            above -= 1;
        }
        gap.node.link(gap.index, tree.table_entry(gap.level, table));
        Tree::<F>::publish(memory, gap.node, gap.table, gap.index, 1);
        memory.commit();
        Ok(true)
    }
}

/// The empty entry on the way to the table at `level` for `iova`, if there is one.
#[inline]
fn find_gap<F: Format, M: TableMemory + ?Sized>(
    tree: &Tree<F>,
    memory: &M,
    iova: Iova,
    level: i8,
) -> Option<Gap<F>> {
    let first_level = tree.geometry.first_level();
    let (mut node, mut table) = (tree.root(), tree.root_phys());
    // Written out, so that each level's shift is a constant.
    for at in F::MIN_LEVEL..LAST_LEVEL {
        if at >= first_level && at < level {
            let index = node.index(iova.0, Tree::<F>::entry_shift(at));
            match F::decode(node.load(index), at) {
                Entry::Table(below) => (node, table) = (Tree::<F>::child(memory, below), below),
                Entry::Empty => return Some(Gap { level: at, node, table, index }),
                Entry::Leaf(_) => return None,
            }
        }
    }
    None
}

/// Makes a new table fit to be linked, whose entries from `written.0` to before `written.1` are
/// written: sees to it that the others are zero, and publishes it.
#[inline]
pub(super) fn complete<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    node: Node<F>,
    table: PhysAddr,
    written: (usize, usize),
    zeroed: bool,
) {
    let (from, to) = written;
    if zeroed {
        // What a list's link overwrote is zero again, but only the CPU knows.
        let link_entries = PageList::LINK_BYTES.div_ceil(F::Word::BYTES);
        if from > link_entries {
            Tree::<F>::publish(memory, node, table, 0, link_entries);
            Tree::<F>::publish(memory, node, table, from, to - from);
        } else {
            Tree::<F>::publish(memory, node, table, 0, to.max(link_entries));
        }
    } else {
        blank(node, written);
        Tree::<F>::publish(memory, node, table, 0, node.entries());
    }
}

/// Writes zeroes to all entries of a new table but those from `from` to before `to`.
pub(super) fn blank<F: Format>(node: Node<F>, (from, to): (usize, usize)) {
    node.fresh(0, from).fill(F::Word::of(0));
    node.fresh(to, node.entries() - to).fill(F::Word::of(0));
}
