//! The table that was used last: whoever goes on in it needs no walk (`CURSOR`).

use core::ptr::NonNull;

use super::node::Node;
use super::tree::Tree;
use crate::addr::{Iova, PhysAddr};
use crate::format::Format;
use crate::geometry::LAST_LEVEL;
use crate::memory::TableMemory;

/// Tables that were found, and are still linked.
///
/// A key is the first address that its table translates, with a number in the bits below pages,
/// which addresses of pages do not have. So one look at what an address differs in from a key
/// tells whether the address is that of a page, and whether the table is that page's.
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

/// The number of no table. Those of tables are how many levels they stand above the last one.
const NOBODY: u64 = 0b1111;

impl Recent {
    /// No table.
    pub(super) const NONE: Self = Self {
        key: NOBODY,
        node: NonNull::dangling(),
        table: PhysAddr(0),
        parent_key: NOBODY,
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

    /// Remembers the table above that of pages for `iova`, unless it is the root.
    ///
    /// # Safety
    ///
    /// `parent` is that table, in `tree`, which holds this.
    #[inline]
    pub(super) unsafe fn set_parent<F: Format>(
        &mut self,
        tree: &Tree<F>,
        iova: Iova,
        parent: Node<F>,
    ) {
        if tree.geometry.first_level() < LAST_LEVEL - 1 {
            self.parent_key = Self::key::<F>(LAST_LEVEL - 1, iova);
            self.parent = parent.base();
        }
    }

    /// Whether it is the table at `level` that translates `iova`, a multiple of the granule. No
    /// other address has a table here.
    #[inline]
    pub(super) const fn is_at<F: Format>(&self, level: i8, iova: Iova) -> bool {
        Self::names::<F>(self.key, level, iova)
    }

    const fn number(level: i8) -> u64 {
        level.abs_diff(LAST_LEVEL) as u64
    }

    /// What the table at `level` translates, less one.
    const fn low<F: Format>(level: i8) -> u64 {
        (1 << Tree::<F>::table_shift(level)) - 1
    }

    /// Names the table at `level` for `iova`.
    #[inline]
    const fn key<F: Format>(level: i8, iova: Iova) -> u64 {
        iova.0 & !Self::low::<F>(level) | Self::number(level)
    }

    /// Whether `key` names the table at `level` for `iova`, which is a page's address.
    #[inline]
    const fn names<F: Format>(key: u64, level: i8, iova: Iova) -> bool {
        let offset = Tree::<F>::granule() - 1;
        let inside = Self::low::<F>(level) & !offset;
        iova.0 & offset == 0 && (iova.0 ^ key) & !inside == Self::number(level)
    }

    /// The table of pages that translates `iova`, a multiple of the granule, if it is this one.
    #[inline]
    pub(super) fn leaf_table<F: Format>(&self, iova: Iova) -> Option<(Node<F>, PhysAddr)> {
        if !self.is_at::<F>(LAST_LEVEL, iova) {
            return None;
        }
        // SAFETY: the invariant; all tables of pages have as many entries, the root, too, where it is
        // one.
        Some((unsafe { Node::new(self.node, 1 << F::TABLE_BITS) }, self.table))
    }

    /// The table of pages that translates `iova`, a multiple of the granule, if there is one, which
    /// is then this one. Nothing for other addresses, nor beyond the input size.
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
        let is_page = iova.0 & (Tree::<F>::granule() - 1) == 0;
        if is_page && self.has_parent::<F>(iova) {
            let parent = self.parent();
            let (node, table) = Tree::<F>::table_below(memory, parent, LAST_LEVEL - 1, iova)?;
            // SAFETY: the entry has just led there.
            unsafe { self.set::<F>(LAST_LEVEL, iova, node, table) };
            return Some((node, table));
        }
        None
    }

    /// Whether the table above that of pages that translates `iova`, any address, is
    /// [known](Self::parent).
    #[inline]
    pub(super) const fn has_parent<F: Format>(&self, iova: Iova) -> bool {
        Self::key::<F>(LAST_LEVEL - 1, iova) == self.parent_key
    }

    /// The table above those of pages that is known.
    #[inline]
    pub(super) fn parent<F: Format>(&self) -> Node<F> {
        // SAFETY: the invariant; it is not the root, so it has a table's worth of entries.
        unsafe { Node::new(self.parent, 1 << F::TABLE_BITS) }
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
        unsafe {
            self.set::<F>(LAST_LEVEL, iova, node, table);
            self.set_parent(tree, iova, parent);
        }
        Some((node, table))
    }
}
