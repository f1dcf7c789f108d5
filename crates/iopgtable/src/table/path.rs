//! One segment whose leaves lie in one table: one walk, no survey. Most binds. If that table is not
//! there, nor perhaps some of those above it, they are new, a path, and linked as a whole.

use super::PageTable;
use super::fill::{Leaves, in_field};
use super::node::Node;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::error::TableError;
use crate::format::{Attributes, Entry, Format, Word};
use crate::geometry::{LAST_LEVEL, TableCount};
use crate::memory::{AllocContext, Contents, PageList, TableAllocator, TableMemory};
use crate::prot::Prot;

/// Where a walk to the table at some level ends.
enum Way<F: Format> {
    /// There it is, at `table`, below `above` (or itself, if it is the root).
    Table { node: Node<F>, table: PhysAddr, above: Node<F> },
    /// It is missing.
    Gap(Gap<F>),
    /// A leaf stands in its place.
    Leaf,
}

/// Where a path begins: the entry of a linked table that is to link it.
struct Gap<F: Format> {
    level: i8,
    node: Node<F>,
    table: PhysAddr,
    index: usize,
}

/// Leaves side by side, of which one table may hold all.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) iova: Iova,
    pub(super) phys: PhysAddr,
    pub(super) level: i8,
    pub(super) count: usize,
}

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Maps one segment, where it makes leaves of one size in one table, which is empty in their
    /// place or missing. Otherwise does nothing, and says so; also for arguments that
    /// [`map`](Self::map) refuses.
    #[inline]
    pub(super) fn map_one(
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
        // Twice, so that all there is to know about pages is constant.
        let run = |level| {
            let shift = Tree::<F>::entry_shift(level);
            let one_table = (first.0 ^ last.0) >> Tree::<F>::table_shift(level) == 0;
            // CAST: at most the entries of a table.
            let run = Run { iova: first, phys, level, count: (bytes >> shift) as usize };
            (one_table && bytes & ((1 << shift) - 1) == 0).then_some(run)
        };
        if bytes >> Tree::<F>::table_shift(LAST_LEVEL) == 0 {
            let Some(run) = run(LAST_LEVEL) else { return Ok(false) };
            return self.map_run::<true>(run, attributes);
        }
        let Some(run) = run(geometry.leaf_level(first, phys, bytes)) else { return Ok(false) };
        self.map_run::<false>(run, attributes)
    }

    /// Maps leaves where the table that is to hold them all is empty in their place or missing;
    /// otherwise does nothing, and says so.
    ///
    /// Both addresses are aligned to the leaf, which may stand at that level, and all of it lies
    /// within the sizes and one table. `PAGES`: whether that is the last level, for which there is code
    /// of its own.
    pub(super) fn map_run<const PAGES: bool>(
        &mut self,
        run: Run,
        attributes: Attributes,
    ) -> Result<bool, TableError> {
        let Self { tree, allocator: memory, recent, .. } = self;
        let Run { iova, phys, level, count } = run;
        let level = if PAGES { LAST_LEVEL } else { level };
        if in_field::<F>(phys, level) < count as u64 {
            return Ok(false);
        }
        let (node, table) = match find(tree, memory, iova, level) {
            Way::Table { node, table, above } => {
                // SAFETY: the walk has just led there.
                unsafe {
                    recent.set::<F>(level, iova, node, table);
                    if level == LAST_LEVEL {
                        recent.set_parent(tree, iova, above);
                    }
                }
                (node, table)
            }
            Way::Gap(gap) => return self.map_path::<PAGES>(&gap, run, attributes).map(|()| true),
            Way::Leaf => return Ok(false),
        };
        let index = node.index(iova.0, Tree::<F>::entry_shift(level));
        if !tree.is_zero(node, index, count) {
            return Ok(false);
        }
        Leaves::new(tree, attributes).write(node, true, (index, count), level, phys);
        Tree::<F>::publish(memory, node, table, index, count);
        memory.commit();
        Ok(true)
    }

    /// Maps leaves at the end of a new path, which begins at `gap`.
    fn map_path<const PAGES: bool>(
        &mut self,
        gap: &Gap<F>,
        run: Run,
        attributes: Attributes,
    ) -> Result<(), TableError> {
        let Self { tree, allocator: memory, recent, .. } = self;
        let Run { iova, phys, level, count } = run;
        let level = if PAGES { LAST_LEVEL } else { level };
        let (mut pages, missing) = (PageList::new(), TableCount::way(gap.level + 1, level));
        let layout = Tree::<F>::layout();
        memory.alloc_into(&mut pages, layout, &missing, AllocContext::table(level, iova))?;
        let leaves = Leaves::new(tree, attributes);
        let (mut above, mut below, mut parent) = (level, None, gap.node);
        while above > gap.level {
            // The allocator hands out as many as it is asked for.
            let Some(page) = pages.pop() else { break };
            let (node, table) = (Tree::<F>::node_of(&page), page.phys());
            let index = node.index(iova.0, Tree::<F>::entry_shift(above));
            let written = match below {
                None => {
                    leaves.write(node, false, (index, count), level, phys);
                    // SAFETY: the table is linked below, before anybody asks for it.
                    unsafe { recent.set::<F>(level, iova, node, table) };
                    (index, index + count)
                }
                Some(below) => {
                    node.store(index, tree.table_entry(above, below));
                    if above == LAST_LEVEL - 1 {
                        parent = node;
                    }
                    (index, index + 1)
                }
            };
            complete(memory, node, table, written, page.contents());
            (above, below) = (above - 1, Some(table));
        }
        if let Some(below) = below {
            gap.node.link(gap.index, tree.table_entry(gap.level, below));
        }
        Tree::<F>::publish(memory, gap.node, gap.table, gap.index, 1);
        memory.commit();
        if level == LAST_LEVEL {
            // SAFETY: the gap is in the table above that of pages, or else that is a new one.
            unsafe { recent.set_parent(tree, iova, parent) };
        }
        Ok(())
    }
}

/// Walks to the table at `level` for `iova`.
#[inline]
fn find<F: Format, M: TableMemory + ?Sized>(
    tree: &Tree<F>,
    memory: &M,
    iova: Iova,
    level: i8,
) -> Way<F> {
    let first_level = tree.geometry.first_level();
    let (mut node, mut table) = (tree.root(), tree.root_phys());
    let mut above = node;
    // Written out, so that each level's shift is a constant.
    for at in F::MIN_LEVEL..LAST_LEVEL {
        if at >= first_level && at < level {
            let index = node.index(iova.0, Tree::<F>::entry_shift(at));
            match F::decode(node.load(index), at) {
                Entry::Table(below) => {
                    above = node;
                    (node, table) = (Tree::<F>::child(memory, below), below);
                }
                Entry::Empty => return Way::Gap(Gap { level: at, node, table, index }),
                Entry::Leaf(_) => return Way::Leaf,
            }
        }
    }
    Way::Table { node, table, above }
}

/// Makes a new table fit to be linked, whose entries from `written.0` to before `written.1` are
/// written, and of whose others `contents` is known: sees to it that these are zero, and publishes it.
#[inline]
pub(super) fn complete<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    node: Node<F>,
    table: PhysAddr,
    written: (usize, usize),
    contents: Contents,
) {
    if contents == Contents::Zeroed {
        Tree::<F>::publish(memory, node, table, written.0, written.1 - written.0);
        return;
    }
    if contents == Contents::Unknown {
        blank(node, written);
    }
    Tree::<F>::publish(memory, node, table, 0, node.entries());
}

/// Writes zeroes to all entries of a new table but those from `from` to before `to`.
pub(super) fn blank<F: Format>(node: Node<F>, (from, to): (usize, usize)) {
    node.fresh(0, from).fill(F::Word::of(0));
    node.fresh(to, node.entries() - to).fill(F::Word::of(0));
}
