//! The tree that all operations work on: a root, a shape, and the memory behind them.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::fill::Leaves;
use super::node::Node;
use super::sharing::{Exclusive, Shared, Sharing};
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::error::TableError;
use crate::format::{Config, Entry, Format, Groups, Options, Splits, Word};
use crate::geometry::{self, Geometry, LAST_LEVEL};
use crate::memory::{TableLayout, TableMemory, TablePage};

/// Which page table a reservation or a gather belongs to: unique in the process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableId(usize);

impl TableId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What no entry that links a table has in formats without a bit for that it was published.
const NEVER_PUBLISHED: u64 = 1 << 63;

/// # Invariants
///
/// `root` points to the root table, of `geometry.entries(first_level)` entries at the physical
/// address `root_phys`. Every table entry below it links a page of the allocator that `memory`,
/// wherever one is passed to a method, belongs to.
///
/// And those of `S`, which says who may change it at the same time.
pub(crate) struct Tree<F: Format, S = Exclusive> {
    pub(crate) geometry: Geometry,
    pub(crate) id: TableId,
    pub(crate) options: Options,
    pub(crate) splits: Splits,
    /// The contiguous hint, if leaves are to have it, or, where groups are pages, the bytes of the
    /// largest of them; zero where there are to be no groups.
    pub(crate) hint: u64,
    /// What table entries hold besides their address.
    table_bits: u64,
    /// What entries that link tables have once they are published, if that is to be seen (`SEEN`);
    /// else zero.
    pub(crate) published: u64,
    /// The bits that no page's physical address has: those of an offset into a page, and those
    /// beyond the output size, or the part of it that pages lead to.
    no_page: u64,
    root: NonNull<u64>,
    root_phys: PhysAddr,
    kind: PhantomData<(F, S)>,
}

impl<F: Format> Tree<F> {
    /// # Safety
    ///
    /// `root` and `root_phys` are those of an empty root table for the geometry of `config`, which
    /// outlives the tree.
    pub(crate) unsafe fn new(
        config: Config,
        geometry: Geometry,
        root: NonNull<u64>,
        root_phys: PhysAddr,
    ) -> Self {
        let Config { options, splits, .. } = config;
        Self {
            geometry,
            id: TableId::next(),
            options,
            splits,
            hint: match F::GROUPS {
                Groups::Pages => config.largest_leaf,
                Groups::Hint if options.contains(Options::CONTIGUOUS) => F::CONTIGUOUS,
                Groups::OptionalPages if options.contains(Options::CONTIGUOUS) => {
                    config.largest_leaf
                }
                Groups::Hint | Groups::OptionalPages => 0,
            },
            table_bits: F::table_bits(options),
            published: 0,
            no_page: !geometry.last_narrow_phys().0 | (Self::granule() - 1),
            root,
            root_phys,
            kind: PhantomData,
        }
    }

    /// The same tree for many threads, on memory that is `coherent` or not.
    ///
    /// # Safety
    ///
    /// Nobody uses this one before the other one is gone.
    pub(crate) const unsafe fn shared(&self, coherent: bool) -> Tree<F, Shared> {
        let &Self { geometry, id, options, splits, hint, table_bits, no_page, .. } = self;
        let &Self { root, root_phys, .. } = self;
        let published = match (coherent, F::PUBLISHED) {
            (true, _) => 0,
            (false, 0) => NEVER_PUBLISHED,
            (false, bit) => bit,
        };
        let kind = PhantomData;
        Tree {
            geometry,
            id,
            options,
            splits,
            hint,
            table_bits,
            published,
            no_page,
            root,
            root_phys,
            kind,
        }
    }
}

impl<F: Format, S> Tree<F, S> {
    /// The entry at `level` that links the table at `phys`.
    #[inline]
    pub(crate) fn table_entry(&self, level: i8, phys: PhysAddr) -> u64 {
        F::output(phys) | self.table_bits | F::link_bits(level)
    }

    /// What an entry that links a table gets when it is published.
    pub(crate) const fn mark(&self) -> u64 {
        self.published & F::PUBLISHED
    }

    pub(crate) const fn root_phys(&self) -> PhysAddr {
        self.root_phys
    }

    /// log2 of the bytes that an entry at `level` translates.
    pub(crate) const fn entry_shift(level: i8) -> u32 {
        geometry::entry_shift(F::PAGE_SHIFT, F::TABLE_BITS, level)
    }

    /// log2 of the bytes that a table at `level` translates.
    pub(crate) const fn table_shift(level: i8) -> u32 {
        Self::entry_shift(level) + F::TABLE_BITS as u32
    }

    /// The memory of a table other than the root.
    pub(crate) const fn layout() -> TableLayout {
        TableLayout::of::<F>()
    }

    pub(crate) const fn granule() -> u64 {
        1 << F::PAGE_SHIFT
    }

    /// Whether a page at `phys` can be mapped.
    #[inline]
    pub(crate) const fn is_page(&self, phys: PhysAddr) -> bool {
        phys.0 & self.no_page == 0
    }

    /// Checks that `range` is one that can be mapped. As [`Geometry::check_range`] does, but with
    /// what the format knows beforehand.
    #[inline]
    pub(crate) fn check_range(&self, range: IovaRange) -> Result<(), TableError> {
        let base = self.geometry.first_iova().0;
        let ends = Iova(((range.first().0 ^ base) | (range.last().0 ^ base)) ^ base);
        if range.is_aligned(Self::granule()) && self.geometry.translates(ends) {
            return Ok(());
        }
        self.geometry.check_range(range)
    }

    #[inline]
    pub(crate) fn root(&self) -> Node<F> {
        // SAFETY: the invariant says so.
        unsafe { Node::new(self.root, self.geometry.entries(self.geometry.first_level())) }
    }

    /// The table at `phys`, which an entry of this tree links.
    #[inline]
    pub(crate) fn child<M: TableMemory + ?Sized>(memory: &M, phys: PhysAddr) -> Node<F> {
        // SAFETY: the invariant says that the page is one of the allocator's, so `MEM-REACH`
        // gives its pointer, to a table's worth of entries.
        unsafe { Node::new(memory.cpu_address(phys), 1 << F::TABLE_BITS) }
    }

    /// Where the entry at `index` of the table at `phys` lies for the walker.
    pub(crate) const fn slot_phys(table: PhysAddr, index: usize) -> PhysAddr {
        PhysAddr(table.0 + (index * F::Word::BYTES) as u64)
    }

    /// Has `memory` publish `count` entries of a table.
    #[inline]
    pub(crate) fn publish<M: TableMemory + ?Sized>(
        memory: &M,
        node: Node<F>,
        phys: PhysAddr,
        index: usize,
        count: usize,
    ) {
        let bytes = count * F::Word::BYTES;
        memory.publish(node.slot(index).cast(), Self::slot_phys(phys, index), bytes);
    }

    /// Whether `count` entries of a linked table of this tree from `index` on are all zero.
    #[inline]
    #[expect(clippy::unused_self, reason = "the kind of tree that a caller has says who writes")]
    pub(crate) fn is_zero(&self, node: Node<F>, index: usize, count: usize) -> bool
    where
        S: Sharing,
    {
        S::is_zero(node, index, count)
    }

    /// Entry `index` of the linked table at `table` and `level`, for an operation that is about to
    /// write below it: if it links a table, and another thread has perhaps not published that
    /// yet, it is published now (`SEEN`).
    #[inline]
    pub(crate) fn follow<M: TableMemory + ?Sized>(
        &self,
        memory: &M,
        node: Node<F>,
        table: PhysAddr,
        (level, index): (i8, usize),
    ) -> u64
    where
        S: Sharing,
    {
        let entry = S::load(node, index);
        if S::SHARED {
            self.see(memory, node, table, (level, index), entry);
        }
        entry
    }

    /// The same for an `entry` that has just been read.
    #[inline]
    pub(crate) fn see<M: TableMemory + ?Sized>(
        &self,
        memory: &M,
        node: Node<F>,
        table: PhysAddr,
        (level, index): (i8, usize),
        entry: u64,
    ) {
        if entry & self.published == self.published {
            return;
        }
        if let Entry::Table(_) = F::decode(entry, level) {
            self.announce(memory, node, table, index);
        }
    }

    /// Publishes an entry that links a table, and then says so to who comes across it (`SEEN`).
    #[inline(never)]
    pub(crate) fn announce<M: TableMemory + ?Sized>(
        &self,
        memory: &M,
        node: Node<F>,
        table: PhysAddr,
        index: usize,
    ) {
        Self::publish(memory, node, table, index, 1);
        let mark = self.mark();
        if mark != 0 {
            node.mark(index, mark);
        }
    }

    /// The leaf at `iova`: its entry, its level, and the first physical address it leads to.
    #[inline]
    pub(crate) fn leaf_at<M: TableMemory + ?Sized>(
        &self,
        memory: &M,
        iova: Iova,
    ) -> Option<(u64, i8, PhysAddr)>
    where
        S: Sharing,
    {
        let (entry, level) = self.walk(memory, iova);
        let Entry::Leaf(phys) = F::decode(entry, level) else { return None };
        Some((entry, level, phys))
    }

    /// The entry that a walk to `iova` ends with, and its level: none that links a table. Apart, and
    /// small enough for two registers.
    #[inline(never)]
    pub(crate) fn walk<M: TableMemory + ?Sized>(&self, memory: &M, iova: Iova) -> (u64, i8)
    where
        S: Sharing,
    {
        if !self.geometry.translates(iova) {
            return (0, LAST_LEVEL);
        }
        Self::walk_from(memory, self.root(), self.geometry.first_level(), iova)
    }

    /// The same, from the table at `first_level` on, `node`, that translates `iova`.
    #[inline]
    pub(crate) fn walk_from<M: TableMemory + ?Sized>(
        memory: &M,
        node: Node<F>,
        first_level: i8,
        iova: Iova,
    ) -> (u64, i8)
    where
        S: Sharing,
    {
        let mut node = node;
        // Written out by the compiler, so that each level's shift is a constant.
        for level in F::MIN_LEVEL..LAST_LEVEL {
            if level >= first_level {
                let entry = S::load(node, node.index(iova.0, Self::entry_shift(level)));
                let Entry::Table(table) = F::decode(entry, level) else { return (entry, level) };
                node = Self::child(memory, table);
            }
        }
        (S::load(node, node.index(iova.0, Self::entry_shift(LAST_LEVEL))), LAST_LEVEL)
    }

    /// The table of pages that translates `iova`, if there is one; to be written to.
    #[inline]
    pub(crate) fn leaf_table<M: TableMemory + ?Sized>(
        &self,
        memory: &M,
        iova: Iova,
    ) -> Option<(Node<F>, PhysAddr)>
    where
        S: Sharing,
    {
        let mut at = (self.root(), self.root_phys);
        let first_level = self.geometry.first_level();
        let below = |(node, table): (Node<F>, PhysAddr), level| {
            let index = node.index(iova.0, Self::entry_shift(level));
            let entry = self.follow(memory, node, table, (level, index));
            let Entry::Table(phys) = F::decode(entry, level) else { return None };
            Some((Self::child(memory, phys), phys))
        };
        // Written out, so that each level's shift is a constant.
        if F::MIN_LEVEL < -1 && first_level < -1 {
            at = below(at, -2)?;
        }
        if F::MIN_LEVEL < 0 && first_level < 0 {
            at = below(at, -1)?;
        }
        if F::MIN_LEVEL <= 0 && first_level <= 0 {
            at = below(at, 0)?;
        }
        if first_level <= 1 {
            at = below(at, 1)?;
        }
        if first_level <= 2 {
            at = below(at, 2)?;
        }
        Some(at)
    }

    /// The table above that of pages for `iova`, if there is one. Of a tree of two levels or more
    /// that no other thread changes.
    #[inline]
    pub(crate) fn parent_table<M: TableMemory + ?Sized>(
        &self,
        memory: &M,
        iova: Iova,
    ) -> Option<Node<F>> {
        let mut at = self.root();
        let first_level = self.geometry.first_level();
        // Written out, so that each level's shift is a constant.
        if F::MIN_LEVEL < -1 && first_level < -1 {
            at = Self::table_below(memory, at, -2, iova)?.0;
        }
        if F::MIN_LEVEL < 0 && first_level < 0 {
            at = Self::table_below(memory, at, -1, iova)?.0;
        }
        if F::MIN_LEVEL <= 0 && first_level <= 0 {
            at = Self::table_below(memory, at, 0, iova)?.0;
        }
        if first_level <= 1 {
            at = Self::table_below(memory, at, 1, iova)?.0;
        }
        Some(at)
    }

    /// The table that `node`, one at `level`, links for `iova`. Likewise.
    #[inline]
    pub(crate) fn table_below<M: TableMemory + ?Sized>(
        memory: &M,
        node: Node<F>,
        level: i8,
        iova: Iova,
    ) -> Option<(Node<F>, PhysAddr)> {
        let entry = node.load(node.index(iova.0, Self::entry_shift(level)));
        let Entry::Table(phys) = F::decode(entry, level) else { return None };
        Some((Self::child(memory, phys), phys))
    }

    /// `hole` with what lies beyond the input range, where it reaches an end of that: nothing is
    /// mapped there either, and the root's first or last entry may translate it.
    pub(crate) fn widen(&self, hole: IovaRange) -> IovaRange {
        let whole = self.geometry.whole();
        let first = if hole.first() <= whole.first() { Iova(0) } else { hole.first() };
        let last = if hole.last() >= whole.last() { Iova(u64::MAX) } else { hole.last() };
        IovaRange::between(first, last)
    }

    /// The entries of `page`, which an operation is about to make a table of.
    pub(crate) fn node_of(page: &TablePage) -> Node<F> {
        debug_assert_eq!(page.layout(), Self::layout());
        // SAFETY: whoever holds the page has it alone, and `PageList`s that are passed to the
        // engine hold pages of this layout only.
        unsafe { Node::new(page.cpu(), 1 << F::TABLE_BITS) }
    }

    /// Fills a table that is not linked with what `leaf` at `level` maps, of which its entry leads to
    /// `phys`. With nothing, where no smaller leaf leads there (`WIDE`): such leaves are not cut, but a
    /// reservation's user may have mapped over one.
    pub(crate) fn fill_in_place_of(&self, node: Node<F>, leaf: u64, level: i8, phys: PhysAddr) {
        if phys > self.geometry.last_narrow_phys() {
            node.fresh(0, node.entries()).fill(F::Word::of(0));
            return;
        }
        let leaves = Leaves::new(self, F::attributes_of(leaf, level));
        leaves.write(node, false, (0, node.entries()), level + 1, phys);
    }
}

/// The span of the entry at `level` that translates `iova`.
pub(super) fn span_of<F: Format>(iova: Iova, level: i8) -> IovaRange {
    let low = (1u64 << Tree::<F>::entry_shift(level)) - 1;
    IovaRange::between(Iova(iova.0 & !low), Iova(iova.0 | low))
}
