//! Where many threads change one tree: a new table is linked, or what it holds goes into the one
//! that another thread has linked in the meantime (`GRAFT`); large leaves take empty entries only.

use super::chunks::Chunk;
use super::fill::Leaves;
use super::loose;
use super::node::Node;
use super::sharing::Sharing;
use super::tree::Tree;
use super::write::Stopped;
use crate::addr::{Iova, PhysAddr};
use crate::format::{Entry, Format};
use crate::geometry::LAST_LEVEL;
use crate::memory::{PageList, TableMemory};

/// A linked table.
#[derive(Clone, Copy)]
pub(super) struct Linked<F: Format> {
    pub(super) node: Node<F>,
    pub(super) phys: PhysAddr,
}

/// A table that is published but not linked.
#[derive(Clone, Copy)]
pub(super) struct Unlinked<F: Format> {
    pub(super) node: Node<F>,
    pub(super) phys: PhysAddr,
    pub(super) level: i8,
    /// The first address that it translates.
    pub(super) iova: Iova,
    /// The run of entries in use: from one index to before another.
    pub(super) run: (usize, usize),
}

/// Links `table` at `index` of its parent. Where another thread has linked one there, what `table`
/// holds goes into that, and the pages that are left over into `pages`.
///
/// Where something else stands there, the table is taken apart, and the operation stops.
pub(super) fn link<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    pages: &mut PageList,
    (parent, index): (Linked<F>, usize),
    table: Unlinked<F>,
) -> Result<(), Stopped> {
    let level = table.level - 1;
    let found = match parent.node.replace(index, 0, tree.table_entry(level, table.phys)) {
        Ok(()) => {
            tree.announce(memory, parent.node, parent.phys, index);
            return Ok(());
        }
        Err(found) => found,
    };
    let (outcome, grafted) = match F::decode(found, level) {
        Entry::Table(phys) => {
            tree.see(memory, parent.node, parent.phys, (level, index), found);
            let into = Linked { node: Tree::<F>::child(memory, phys), phys };
            (graft(tree, memory, pages, into, table), true)
        }
        Entry::Leaf(_) | Entry::Empty => (Err(Stopped { at: table.iova }), false),
    };
    let place = (table.node, table.phys);
    pages.append(loose::discard::<F, M>(memory, place, table.level, grafted));
    outcome
}

/// Brings what `from` holds into the table that translates the same. Recurses once per level.
fn graft<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    pages: &mut PageList,
    into: Linked<F>,
    from: Unlinked<F>,
) -> Result<(), Stopped> {
    let Unlinked { level, run: (first, end), .. } = from;
    let mut outcome = Ok(());
    for index in first..end {
        let entry = from.node.load(index);
        let at = Iova(from.iova.0 + ((index as u64) << Tree::<F>::entry_shift(level)));
        let grafted = match F::decode(entry, level) {
            Entry::Empty => Ok(()),
            Entry::Leaf(_) if level == LAST_LEVEL => {
                into.node.store(index, entry);
                Ok(())
            }
            Entry::Leaf(_) => into.node.replace(index, 0, entry).map_err(|_| Stopped { at }),
            Entry::Table(phys) => {
                let node = Tree::<F>::child(memory, phys);
                let run = (0, node.entries());
                let below = Unlinked { node, phys, level: level + 1, iova: at, run };
                link(tree, memory, pages, (into, index), below)
            }
        };
        outcome = outcome.and(grafted);
    }
    Tree::<F>::publish(memory, into.node, into.phys, first, end - first);
    outcome
}

/// Writes a chunk into a linked table: as large leaves where nothing stands, as smaller ones into
/// the tables that stand there. Recurses once per level.
pub(super) fn claim<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    table: Linked<F>,
    chunk: Chunk,
    leaves: Leaves<F>,
) -> Result<(), Stopped> {
    let Chunk { iova, phys, level, count } = chunk;
    let (node, shift) = (table.node, Tree::<F>::entry_shift(level));
    let first = node.index(iova.0, shift);
    if level == LAST_LEVEL {
        leaves.write(node, true, (first, count), level, phys);
        Tree::<F>::publish(memory, node, table.phys, first, count);
        return Ok(());
    }
    let mut done = 0;
    while done < count {
        let index = first + done;
        let offset = (done as u64) << shift;
        let (iova, phys) = (Iova(iova.0 + offset), PhysAddr(phys.0 + offset));
        // Only wide leaves lead there (`WIDE`): each goes in whole, and nothing smaller does.
        let is_wide = phys > tree.geometry.last_narrow_phys();
        let whole = if is_wide { (1 << F::group_log2(level)) - 1 } else { 0 };
        let run = node.count_empty(index, count - done) & !whole;
        if run > 0 {
            let claimed = leaves.claim(node, (index, run), level, phys);
            Tree::<F>::publish(memory, node, table.phys, index, run);
            if !claimed {
                return Err(Stopped { at: iova });
            }
            done += run;
            continue;
        }
        let entry = tree.follow(memory, node, table.phys, (level, index));
        let Entry::Table(below) = F::decode(entry, level) else {
            return Err(Stopped { at: iova });
        };
        if is_wide {
            return Err(Stopped { at: iova });
        }
        let below = Linked { node: Tree::<F>::child(memory, below), phys: below };
        let count = below.node.entries();
        claim(tree, memory, below, Chunk { iova, phys, level: level + 1, count }, leaves)?;
        done += 1;
    }
    Ok(())
}
