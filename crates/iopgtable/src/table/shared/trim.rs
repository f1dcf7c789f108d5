//! Takes away what threads that share a table have left behind.

use super::super::node::Node;
use super::super::tree::{Tree, span_of};
use super::SharedPageTable;
use crate::addr::{Iova, PhysAddr};
use crate::format::{Entry, Format};
use crate::gather::{Gather, stale};
use crate::geometry::LAST_LEVEL;
use crate::memory::{TableAllocator, TableMemory};

impl<F: Format, A: TableAllocator> SharedPageTable<F, A> {
    /// Takes out all tables that hold no leaf. Looks at every table.
    ///
    /// No thread is on the way to one of them: this needs the table alone. Walkers may be, so the
    /// tables are freed after an invalidation, as ever.
    #[must_use = "the tables are lost unless they are freed"]
    pub fn trim(&mut self) -> Gather {
        let (tree, memory) = (&self.table.tree, &self.table.allocator);
        let mut gather = Gather::new(tree.id);
        let first = tree.geometry.first_iova();
        let root = (tree.root(), tree.root_phys());
        trim::<F, A>(memory, &mut gather, root, tree.geometry.first_level(), first);
        if !gather.is_empty() {
            memory.commit();
        }
        gather
    }
}

/// Takes out what hangs from a table at `level` that translates from `iova` on. Recurses once per
/// level.
fn trim<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    gather: &mut Gather,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
    iova: Iova,
) {
    for index in 0..node.entries() {
        let Entry::Table(below) = F::decode(node.load(index), level) else { continue };
        let child = Tree::<F>::child(memory, below);
        let iova = Iova(iova.0.wrapping_add((index as u64) << Tree::<F>::entry_shift(level)));
        if has_leaf::<F, M>(memory, child, level + 1) {
            trim::<F, M>(memory, gather, (child, below), level + 1, iova);
        } else {
            node.store(index, 0);
            Tree::<F>::publish(memory, node, table, index, 1);
            gather.loose.push::<F, M>(memory, below, level + 1);
            stale(&mut gather.stale.walks, span_of::<F>(iova, level));
        }
    }
}

/// Whether there is a leaf in a table at `level` or below it. Recurses once per level.
fn has_leaf<F: Format, M: TableMemory + ?Sized>(memory: &M, node: Node<F>, level: i8) -> bool {
    (0..node.entries()).any(|index| match F::decode(node.load(index), level) {
        Entry::Empty => false,
        Entry::Leaf(_) => true,
        Entry::Table(below) => {
            level < LAST_LEVEL
                && has_leaf::<F, M>(memory, Tree::<F>::child(memory, below), level + 1)
        }
    })
}
