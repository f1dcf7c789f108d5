//! The table that was used last: whoever goes on in it needs no walk (`CURSOR`).

use core::ptr::NonNull;

use super::node::Node;
use super::tree::Tree;
use crate::addr::{Iova, PhysAddr};
use crate::format::Format;
use crate::geometry::{LAST_LEVEL, level_index};
use crate::memory::TableMemory;

/// Tables that were found, and are still linked.
///
/// # Invariants
///
/// `node` and `table` are those of the table at the level and for the addresses that `key` says,
/// `parent` that of the table above those of pages (not the root) for the addresses that
/// `parent_key` says; both are linked into the tree that holds this. Whatever may unlink a table
/// takes them away.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    key: u64,
    pub(super) node: NonNull<u64>,
    pub(super) table: PhysAddr,
    parent_key: u64,
    parent: NonNull<u64>,
}

impl Recent {
    /// No table: no level has this number, and no address is that high.
    pub(super) const NONE: Self = Self {
        key: u64::MAX,
        node: NonNull::dangling(),
        table: PhysAddr(0),
        parent_key: u64::MAX,
        parent: NonNull::dangling(),
    };

    /// Remembers the table at `level` that translates `iova`.
    ///
    /// # Safety
    ///
    /// `node` and `table` are that table's, in the tree that holds this.
    #[inline]
    pub(super) unsafe fn set<F: Format>(
        &mut self,
        level: i8,
        iova: Iova,
        node: Node<F>,
        table: PhysAddr,
    ) {
        self.key = Self::key::<F>(level, iova);
        self.node = node.base();
        self.table = table;
    }

    /// Whether it is the table at `level` that translates `iova`.
    #[inline]
    pub(super) const fn is_at<F: Format>(&self, level: i8, iova: Iova) -> bool {
        self.key == Self::key::<F>(level, iova)
    }

    /// Names the table at `level` for `iova`: the address without what the table translates, and
    /// the level in bits that are then free.
    #[inline]
    const fn key<F: Format>(level: i8, iova: Iova) -> u64 {
        iova.0 >> Tree::<F>::table_shift(level) << 2 | level_index(level) as u64 & 0b11
    }

    /// Names the table above the one of pages for `iova`.
    #[inline]
    const fn parent_key<F: Format>(iova: Iova) -> u64 {
        iova.0 >> Tree::<F>::table_shift(LAST_LEVEL - 1)
    }

    /// The table of pages that translates `iova`, if it is this one.
    #[inline]
    pub(super) fn leaf_table<F: Format>(&self, iova: Iova) -> Option<(Node<F>, PhysAddr)> {
        if !self.is_at::<F>(LAST_LEVEL, iova) {
            return None;
        }
        // SAFETY: the invariant; all tables of pages have as many entries, the root, too, where it is
        // one.
        Some((unsafe { Node::new(self.node, 1 << F::TABLE_BITS) }, self.table))
    }

    /// The table of pages that translates `iova`, if there is one, which is then this one. Nothing
    /// for addresses beyond the input size.
    #[inline]
    pub(super) fn seek<F: Format, M: TableMemory + ?Sized>(
        &mut self,
        tree: &Tree<F>,
        memory: &M,
        iova: Iova,
    ) -> Option<(Node<F>, PhysAddr)> {
        self.near::<F, M>(memory, iova).or_else(|| self.walk(tree, memory, iova))
    }

    /// The same, where it is the one that was used last, or one below the same parent.
    #[inline]
    pub(super) fn near<F: Format, M: TableMemory + ?Sized>(
        &mut self,
        memory: &M,
        iova: Iova,
    ) -> Option<(Node<F>, PhysAddr)> {
        if let Some(found) = self.leaf_table::<F>(iova) {
            return Some(found);
        }
        if self.parent_key == Self::parent_key::<F>(iova) {
            // SAFETY: the invariant; it is not the root, so it has a table's worth of entries.
            let parent = unsafe { Node::new(self.parent, 1 << F::TABLE_BITS) };
            let (node, table) = Tree::<F>::table_below(memory, parent, LAST_LEVEL - 1, iova)?;
            // SAFETY: the entry has just led there.
            unsafe { self.set::<F>(LAST_LEVEL, iova, node, table) };
            return Some((node, table));
        }
        None
    }

    /// Apart, so that the short ways stay short.
    #[inline(never)]
    fn walk<F: Format, M: TableMemory + ?Sized>(
        &mut self,
        tree: &Tree<F>,
        memory: &M,
        iova: Iova,
    ) -> Option<(Node<F>, PhysAddr)> {
        if !tree.geometry.translates(iova) {
            return None;
        }
        if tree.geometry.first_level() == LAST_LEVEL {
            let (root, phys) = (tree.root(), tree.root_phys());
            // SAFETY: a root of pages translates all that is translated.
            unsafe { self.set::<F>(LAST_LEVEL, iova, root, phys) };
            return Some((root, phys));
        }
        let parent = tree.parent_table(memory, iova)?;
        let (node, table) = Tree::<F>::table_below(memory, parent, LAST_LEVEL - 1, iova)?;
        // SAFETY: the walk has just led there.
        unsafe { self.set::<F>(LAST_LEVEL, iova, node, table) };
        if tree.geometry.first_level() < LAST_LEVEL - 1 {
            // INVARIANT: so has it here, and this is not the root.
            self.parent_key = Self::parent_key::<F>(iova);
            self.parent = parent.base();
        }
        Some((node, table))
    }
}
