//! Tables that came loose: unlinked, but perhaps still walked.
//!
//! They form a list through their own entries (`LOOSE-LINK`): the first entry of a table is the way
//! to the next, and a table of pages has room in its other entries for the addresses of tables that
//! then need not be touched at all. A word with its low three bits clear is an empty entry in every
//! format, so a walker that still sees a loose table sees at most a fault where such a word is, and
//! only for addresses whose mapping has just been removed or replaced; nothing tells it to use the
//! word as an address. Nothing else in a loose table is touched before the device has forgotten it.

use core::fmt;

use super::node::Node;
use super::tree::Tree;
use crate::addr::PhysAddr;
use crate::format::{Entry, Format};
use crate::geometry::{FIRST_LEVEL, LAST_LEVEL, level_index};
use crate::memory::{PageList, TableAllocator, TableMemory, TablePage};

/// Subtrees that came loose from one tree.
///
/// # Invariants
///
/// None of the tables in the list is reachable from another one by entries. `head` is the first of
/// a chain, whose tables are each linked by the first entry of the one before. A table of pages in
/// the chain names further ones in its entries from [`NAMES`] on: as many as `count` says of the
/// head, and entry [`COUNT`] of the others.
///
/// Two words, so that an empty one goes through calls in registers.
pub(crate) struct Loose {
    head: Link,
    count: Count,
}

/// How many tables a list has, and how many of them its head names: in the bits from
/// [`SHIFT`](Self::SHIFT) on, and in those below, which are enough for the entries of a table.
#[derive(Clone, Copy)]
struct Count(u64);

impl Count {
    const SHIFT: u32 = 16;
    /// One table, which the head does not name.
    const ONE: Self = Self(1 << Self::SHIFT);

    // CAST: a list's tables are in memory; their number fits.
    const fn subtrees(self) -> usize {
        (self.0 >> Self::SHIFT) as usize
    }

    const fn named(self) -> usize {
        (self.0 & ((1 << Self::SHIFT) - 1)) as usize
    }

    /// So many more, which the head names.
    const fn with_named(self, more: usize) -> Self {
        Self(self.0 + (Self::ONE.0 + 1) * more as u64)
    }

    /// One more, which is the new head.
    const fn with_head(self) -> Self {
        Self((self.0 >> Self::SHIFT << Self::SHIFT) + Self::ONE.0)
    }

    /// That of a list before, whose head stays, and one after it.
    const fn and(self, after: Self) -> Self {
        Self(self.0 + (after.0 >> Self::SHIFT << Self::SHIFT))
    }
}

/// Where a table of pages in the chain has the number of tables that it names, times eight.
const COUNT: usize = 1;
/// Where it has the first of them.
const NAMES: usize = 2;

/// A table's number, which is its physical address in units of a table, with its level below. The
/// low three bits are clear. It fits into an entry: where that has four bytes, tables of 1 KiB lie
/// below 2^36 ([`Geometry::last_table_phys`](crate::Geometry::last_table_phys)). Never zero for a loose table: no root comes loose, and only a root has the
/// level of index 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u64);

impl Link {
    const LEVEL_SHIFT: u32 = 3;
    const NUMBER_SHIFT: u32 = 6;
    const NONE: Self = Self(0);

    const fn new<F: Format>(table: PhysAddr, level: i8) -> Self {
        let number = table.0 / Tree::<F>::layout().bytes() as u64;
        Self(number << Self::NUMBER_SHIFT | (level_index(level) as u64) << Self::LEVEL_SHIFT)
    }

    const fn table<F: Format>(self) -> PhysAddr {
        PhysAddr((self.0 >> Self::NUMBER_SHIFT) * Tree::<F>::layout().bytes() as u64)
    }

    const fn level(self) -> i8 {
        // CAST: three bits.
        (self.0 >> Self::LEVEL_SHIFT & 0b111) as i8 + FIRST_LEVEL
    }

    /// Whether it is a table of pages, whose entries link nothing.
    const fn is_of_pages(self) -> bool {
        self.0 != 0 && self.level() == LAST_LEVEL
    }
}

impl Loose {
    pub(crate) const fn new() -> Self {
        Self { head: Link::NONE, count: Count(0) }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count.0 == 0
    }

    pub(crate) const fn subtrees(&self) -> usize {
        self.count.subtrees()
    }

    /// Takes the subtree under `table`, a table at `level` whose link is gone.
    #[inline]
    pub(crate) fn push<F: Format, M: TableMemory + ?Sized>(
        &mut self,
        memory: &M,
        table: PhysAddr,
        level: i8,
    ) {
        let mut one = Some(table);
        self.push_all::<F, M>(memory, level, || one.take());
    }

    /// Takes the subtrees under the tables at `level` that `next` gives out one by one, and whose links
    /// are gone by then.
    #[inline]
    pub(crate) fn push_all<F: Format, M: TableMemory + ?Sized>(
        &mut self,
        memory: &M,
        level: i8,
        mut next: impl FnMut() -> Option<PhysAddr>,
    ) {
        let mut table = next();
        while let Some(first) = table {
            if self.head.is_of_pages() {
                let head = Tree::<F>::child(memory, self.head.table::<F>());
                let room = head.entries() - NAMES - self.count.named();
                let place = NAMES + self.count.named();
                let mut named = 0;
                while let Some(one) = table.filter(|_| named < room) {
                    head.store(place + named, Link::new::<F>(one, level).0);
                    named += 1;
                    table = next();
                }
                self.count = self.count.with_named(named);
                if named > 0 {
                    continue;
                }
            }
            self.push_in_front::<F, M>(memory, first, level);
            table = next();
        }
    }

    /// Takes a subtree for which the head has no room.
    #[inline(never)]
    fn push_in_front<F: Format, M: TableMemory + ?Sized>(
        &mut self,
        memory: &M,
        table: PhysAddr,
        level: i8,
    ) {
        let (mut table, mut level) = (table, level);
        loop {
            let node = Tree::<F>::child(memory, table);
            let first = node.load(0);
            // What the link takes the place of becomes a subtree of its own.
            let below = match F::decode(first, level) {
                Entry::Table(below) if level < LAST_LEVEL => Some(below),
                _ => None,
            };
            self.close::<F, M>(memory);
            node.store(0, self.head.0);
            self.head = Link::new::<F>(table, level);
            self.count = self.count.with_head();
            match below {
                Some(below) => (table, level) = (below, level + 1),
                None => break,
            }
        }
    }

    /// Writes down how many tables the head names, before another one takes its place.
    fn close<F: Format, M: TableMemory + ?Sized>(&self, memory: &M) {
        if self.head.is_of_pages() {
            let head = Tree::<F>::child(memory, self.head.table::<F>());
            head.store(COUNT, (self.count.named() as u64) << 3);
        }
    }

    /// Takes over the subtrees of `other`. Walks its chain.
    #[expect(clippy::needless_pass_by_value, reason = "this list owns the tables from here on")]
    pub(crate) fn append<F: Format, M: TableMemory + ?Sized>(&mut self, memory: &M, other: Self) {
        if other.is_empty() {
            return;
        }
        if !self.is_empty() {
            self.close::<F, M>(memory);
            let mut tail = other.head;
            let last = loop {
                let node = Tree::<F>::child(memory, tail.table::<F>());
                match Link(node.load(0)) {
                    Link::NONE => break node,
                    next => tail = next,
                }
            };
            last.store(0, self.head.0);
        }
        // INVARIANT: the chain of `other` now goes on with this one's.
        self.head = other.head;
        self.count = other.count.and(self.count);
    }

    /// Gives all tables to `allocator`, and says how many they were.
    ///
    /// # Safety
    ///
    /// They are the allocator's, and no walker reaches them any more.
    pub(crate) unsafe fn free<F: Format, A: TableAllocator>(self, allocator: &A) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.free_but::<F, A>(allocator, &mut PageList::new(), 0) }
    }

    /// The same, but the first `keep` of them go to `kept`, as pages that are not zeroed.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    pub(crate) unsafe fn free_but<F: Format, A: TableAllocator>(
        self,
        allocator: &A,
        kept: &mut PageList,
        keep: usize,
    ) -> usize {
        let mut sink = Sink::new(allocator, kept, keep);
        // SAFETY: the caller's promise; a page is taken after all that is read in it.
        let mut take = |page| unsafe { sink.take(page) };
        let (mut link, mut named) = (self.head, self.count.named());
        while link != Link::NONE {
            let (table, level) = (link.table::<F>(), link.level());
            let node = Tree::<F>::child(allocator, table);
            link = Link(node.load(0));
            if level == LAST_LEVEL {
                for index in NAMES..NAMES + named {
                    let other = Link(node.load(index));
                    let child = Tree::<F>::child(allocator, other.table::<F>());
                    if other.level() < LAST_LEVEL {
                        take_children::<F, A>(allocator, child, other.level(), 0, &mut take);
                    }
                    take(page_of::<F>(child, other.table::<F>()));
                }
            } else {
                take_children::<F, A>(allocator, node, level, 1, &mut take);
            }
            take(page_of::<F>(node, table));
            named = match link {
                Link::NONE => 0,
                // CAST: below the number of entries.
                next => (Tree::<F>::child(allocator, next.table::<F>()).load(COUNT) >> 3) as usize,
            };
        }
        sink.finish()
    }
}

impl fmt::Debug for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loose({} subtrees)", self.subtrees())
    }
}

/// Gives all tables below the root of `tree`, which is about to go, to `allocator`.
///
/// # Safety
///
/// They are the allocator's, and no walker uses the tree any more.
pub(super) unsafe fn drain<F: Format, A: TableAllocator>(allocator: &A, tree: &Tree<F>) {
    let mut none = PageList::new();
    let mut sink = Sink::new(allocator, &mut none, 0);
    // SAFETY: the caller's promise.
    let mut take = |page| unsafe { sink.take(page) };
    take_children::<F, A>(allocator, tree.root(), tree.geometry.first_level(), 0, &mut take);
    sink.finish();
}

/// The tables of a subtree under `node`, a table at `level`, which was never linked; without those
/// below it where its entries went elsewhere (`alone`).
pub(super) fn discard<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
    alone: bool,
) -> PageList {
    let mut pages = PageList::new();
    if !alone {
        take_children::<F, M>(memory, node, level, 0, &mut |page| pages.push(page));
    }
    pages.push(page_of::<F>(node, table));
    pages
}

/// Hands the subtrees that the entries of `node` link, from `first` on, to `take`: each table
/// after what it links. Recurses once per level.
fn take_children<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    node: Node<F>,
    level: i8,
    first: usize,
    take: &mut impl FnMut(TablePage),
) {
    if level == LAST_LEVEL {
        return;
    }
    let mut index = first;
    while index < node.entries() {
        let entry = node.load(index);
        if entry == 0 {
            index = node.next_used(index + 1);
            continue;
        }
        if let Entry::Table(table) = F::decode(entry, level) {
            let child = Tree::<F>::child(memory, table);
            if level + 1 < LAST_LEVEL {
                take_children::<F, M>(memory, child, level + 1, 0, take);
            }
            take(page_of::<F>(child, table));
        }
        index += 1;
    }
}

/// A table that its tree no longer links, as a page.
fn page_of<F: Format>(node: Node<F>, table: PhysAddr) -> TablePage {
    // SAFETY: the table is a page of the allocator (invariant of `Tree`), which the tree owned and
    // no longer links; its contents are unknown, so it does not count as zeroed.
    unsafe { TablePage::from_raw_parts(node.base(), table, Tree::<F>::layout(), false) }
}

/// Gives pages to their allocator, in the way that it likes best.
struct Sink<'a, A: TableAllocator> {
    allocator: &'a A,
    /// What somebody else gets before the allocator does, and how many pages still.
    kept: &'a mut PageList,
    keep: usize,
    /// What the allocator is to get at once.
    pages: PageList,
    count: usize,
}

impl<'a, A: TableAllocator> Sink<'a, A> {
    const fn new(allocator: &'a A, kept: &'a mut PageList, keep: usize) -> Self {
        Self { allocator, kept, keep, pages: PageList::new(), count: 0 }
    }

    /// # Safety
    ///
    /// The page is the allocator's, and no walker reaches it any more.
    unsafe fn take(&mut self, page: TablePage) {
        self.count += 1;
        if self.keep > 0 {
            self.keep -= 1;
            self.kept.push(page);
        } else if self.allocator.frees_in_bulk() {
            self.pages.push(page);
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.allocator.free(page) };
        }
    }

    /// How many pages were taken, all of which are free now.
    fn finish(self) -> usize {
        if !self.pages.is_empty() {
            // SAFETY: the promise of whoever had them taken.
            unsafe { self.allocator.free_bulk(self.pages) };
        }
        self.count
    }
}
