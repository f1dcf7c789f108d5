//! The face for many threads.
//!
//! # How it holds
//!
//! - While threads share the table, tables are added and never taken away. So whoever has found a
//!   table may go on using it, and there is no lock, no counter and no grace period.
//! - Entries of linked tables are only touched atomically (`SHARED`). A link is put in place of
//!   nothing, or of the leaf that it cuts, by one compare-exchange. Who loses it uses the winner's
//!   table (`GRAFT`).
//! - A link that is not published yet is published by whoever comes across it (`SEEN`), so that
//!   what a thread has mapped can be walked to when its operation returns.
//! - Disjoint ranges share nothing but links, leaves that both cut, and groups with the contiguous
//!   hint that both cut. Each of these leads to the same state whoever comes first.

use core::fmt;

use super::edit::{Edit, Editor};
use super::fill::Leaves;
use super::recent::Recent;
use super::sharing::Shared;
use super::survey::Shape;
use super::tree::Tree;
use super::write::{Over, Stopped, Writer};
use super::{PageTable, Translation, Visit, short, survey, visit};
use crate::addr::{Iova, IovaRange};
use crate::error::TableError;
use crate::format::{Attributes, Format};
use crate::gather::{Gather, Invalidate, InvalidateError, Invalidated};
use crate::geometry::{Geometry, LAST_LEVEL, TableCount};
use crate::memory::TableAllocator;
use crate::prot::Prot;
use crate::segments::{Segments, Source};

mod trim;

/// A [`PageTable`] that many threads change at the same time, each in ranges of its own.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use std::thread;
/// use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable};
/// use iopgtable::{PhysAddr, Prot, Segment, Unwalked};
///
/// let table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), Heap::new())?;
/// let mut table = table.into_shared();
/// thread::scope(|scope| {
///     for first in [0x1000, 0x2000, 0x4000_0000] {
///         let table = &table;
///         scope.spawn(move || {
///             let range = IovaRange::new(Iova(first), 0x1000).unwrap();
///             table.map(range, [Segment::new(PhysAddr(first), 0x1000)], Prot::RW).unwrap();
///             let gather = table.unmap(range).unwrap();
///             table.finish(gather, &mut Unwalked).unwrap();
///         });
///     }
/// });
/// // The tables are still there; now nobody is on the way to them.
/// let gather = table.trim();
/// assert_eq!(table.finish(gather, &mut Unwalked)?, 5);
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # What threads may do
///
/// Operations that run at the same time have *disjoint ranges*; they may share tables, cut the same
/// leaf, and take members of one contiguous group. Where the ranges of operations overlap, nothing
/// is lost and no memory is misused, but each address ends up as one of them left it, or one of
/// them notices and fails with [`TableError::Raced`].
///
/// Who cuts a group or a block changes leaves of other threads' ranges as well. They lead where they
/// did, but until all are written a device may find a group in pieces, and refuse; the gather of the
/// cut says which range that is ([`Gather::break_before_make`]).
///
/// # What is different
///
/// - Tables stay until [`trim`](Self::trim), which needs the table alone. So [`unmap`](Self::unmap)
///   takes no hole.
/// - A table that is there is used even where a larger leaf would fit, because none is replaced.
///   Leaves are canonical again where tables without leaves were trimmed before the map.
/// - Surveying and writing are not one step: what an operation allocates is what it needs if no
///   other thread makes a table first. The rest goes back to the allocator.
///
/// It can be shared by threads if the allocator can. On memory that walkers do not snoop,
/// [`TableMemory::publish`](crate::TableMemory::publish) is called by many threads at once.
pub struct SharedPageTable<F: Format, A: TableAllocator> {
    /// The table, for methods that have it alone, and for what never changes.
    table: PageTable<F, A>,
    /// Its tree, for those that share it.
    tree: Tree<F, Shared>,
}

// SAFETY: as for `PageTable`, which it owns.
unsafe impl<F: Format, A: TableAllocator + Send> Send for SharedPageTable<F, A> {}
// SAFETY: methods with a shared reference touch entries of linked tables atomically and take no
// table away (`SHARED`); what else they touch is pages of their own and the allocator.
unsafe impl<F: Format, A: TableAllocator + Sync> Sync for SharedPageTable<F, A> {}

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// The same table for many threads. Walkers need not be stopped.
    pub fn into_shared(mut self) -> SharedPageTable<F, A> {
        self.recent = Recent::NONE;
        // SAFETY: `SharedPageTable` uses the tree of `table` only where it has both alone.
        let tree = unsafe { self.tree.shared(self.allocator.is_coherent()) };
        SharedPageTable { table: self, tree }
    }
}

impl<F: Format, A: TableAllocator> SharedPageTable<F, A> {
    /// The same table for one thread. Walkers need not be stopped.
    pub fn into_exclusive(self) -> PageTable<F, A> {
        self.table
    }

    /// Levels, leaf sizes, address sizes.
    pub const fn geometry(&self) -> &Geometry {
        self.table.geometry()
    }

    /// Where the tables come from.
    pub const fn allocator(&self) -> &A {
        self.table.allocator()
    }

    /// What to program so that a device walks this table.
    ///
    /// # Safety
    ///
    /// As for [`PageTable::registers`].
    pub unsafe fn registers(&self) -> F::Registers {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.table.registers() }
    }

    /// Maps `segments`, in their order, at `range`. Leaves are the largest that alignment in both
    /// spaces, the segment's length, and the tables that are there already allow.
    ///
    /// When it returns, walkers find the mapping, also through links that other threads made.
    /// Nothing becomes stale.
    ///
    /// # Errors
    ///
    /// As for [`PageTable::map`]; the table is as it was before then. [`TableError::OutputRange`] also
    /// where a table stands in the place of a [wide leaf](Geometry::wide_leaf). And
    /// [`TableError::Raced`].
    #[inline]
    pub fn map<S>(&self, range: IovaRange, segments: S, prot: Prot) -> Result<(), TableError>
    where
        S: Segments,
    {
        let segments = segments.source();
        let (attributes, shape) = self.table.check_map(range, &segments, prot)?;
        let (tree, memory) = (&self.tree, self.allocator());
        let leaves = Leaves::new(tree, attributes);
        let find = |iova| tree.leaf_table(memory, iova);
        if short::map(tree, memory, range, &segments, (shape, leaves), false, find) {
            return Ok(());
        }
        self.map_surveyed(range, segments, shape, attributes)
    }

    /// Maps what is not to be done the short way.
    #[inline(never)]
    fn map_surveyed(
        &self,
        range: IovaRange,
        segments: impl Source,
        shape: Shape,
        attributes: Attributes,
    ) -> Result<(), TableError> {
        let (tree, memory) = (&self.tree, self.allocator());
        let missing = survey::missing_for_map(tree, memory, range, segments.clone(), shape)?;
        let mut pages = self.table.take_pages(&missing, range.first())?;
        let mut nothing = Gather::new(tree.id);
        let writer = Writer::new(tree, memory, &mut pages, &mut nothing, range);
        let written = writer.map(segments, shape, attributes, Over::Nothing);
        debug_assert!(nothing.is_empty(), "no table is replaced");
        self.table.give_back(pages);
        written.map_err(raced)
    }

    /// Removes what `range` maps; parts that map nothing are no error. A leaf that sticks out of
    /// the range is cut: tables with smaller leaves take its place. All tables stay, until they are
    /// [trimmed](Self::trim).
    ///
    /// # Errors
    ///
    /// [`TableError::UnalignedRange`], [`TableError::InputRange`], [`TableError::Split`], and
    /// [`TableError::Alloc`] where a leaf is cut; the table is as it was before then. And
    /// [`TableError::Raced`]: the range, and leaves that stuck out of it, are to be invalidated
    /// then.
    #[inline]
    pub fn unmap(&self, range: IovaRange) -> Result<Gather, TableError> {
        self.edit(range, Edit::clear(&self.tree, range)?)
    }

    /// The same, by the name that [`PageTable`] has for an unmap that keeps all tables.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap).
    #[inline]
    pub fn clear(&self, range: IovaRange) -> Result<Gather, TableError> {
        self.unmap(range)
    }

    /// Changes what `range` allows, and its memory type, where it maps anything. A leaf that
    /// sticks out of the range is cut. Flags that hardware has set in the leaves are lost.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), and [`TableError::Prot`].
    pub fn protect(&self, range: IovaRange, prot: Prot) -> Result<Gather, TableError> {
        self.edit(range, Edit::protect(&self.tree, range, prot)?)
    }

    #[inline]
    fn edit(&self, range: IovaRange, edit: Edit) -> Result<Gather, TableError> {
        let (tree, memory) = (&self.tree, self.allocator());
        if short::edit(tree, memory, range, edit, |iova| tree.leaf_table(memory, iova)) {
            let mut gather = Gather::new(self.tree.id);
            gather.stale.leaves = Some(range);
            return Ok(gather);
        }
        self.edit_surveyed(range, edit)
    }

    /// Edits what is not to be done the short way.
    #[inline(never)]
    fn edit_surveyed(&self, range: IovaRange, edit: Edit) -> Result<Gather, TableError> {
        let (tree, memory) = (&self.tree, self.allocator());
        survey::check_cuts(tree, memory, range)?;
        let missing = survey::missing_for_edit(tree, memory, range, edit);
        let mut pages = self.table.take_pages(&missing, range.first())?;
        let mut gather = Gather::new(tree.id);
        let edited = Editor::new(tree, memory, &mut pages, &mut gather, edit).run(range);
        self.table.give_back(pages);
        edited.map(|()| gather).map_err(raced)
    }

    /// The tables that [`map`](Self::map) would allocate at most, as things are now.
    ///
    /// # Errors
    ///
    /// As for `map`, but for [`TableError::Alloc`] and [`TableError::Raced`].
    pub fn exact_tables<S>(
        &self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<TableCount, TableError>
    where
        S: Segments,
    {
        let segments = segments.source();
        let (_, shape) = self.table.check_map(range, &segments, prot)?;
        survey::missing_for_map(&self.tree, self.allocator(), range, segments, shape)
    }

    /// Where `iova` leads, if anywhere.
    #[inline]
    pub fn translate(&self, iova: Iova) -> Option<Translation> {
        visit::translation::<F>(self.tree.walk(self.allocator(), iova), iova)
    }

    /// Shows `visitor` every table and every leaf that translates a part of `range`, in ascending
    /// order, a table before what it holds. The root is not shown. What other threads change
    /// meanwhile is seen as it was before or as it is after.
    pub fn visit(&self, range: IovaRange, mut visitor: impl FnMut(Visit)) {
        visit::visit(&self.tree, self.allocator(), range, LAST_LEVEL, &mut visitor);
    }

    /// Has `device` forget what an operation made stale, then frees the tables that came loose (by
    /// a [`trim`](Self::trim)), and says how many they were.
    ///
    /// # Errors
    ///
    /// The device's error with the gather, which may be tried again.
    pub fn finish<D: Invalidate>(
        &self,
        gather: Gather,
        device: &mut D,
    ) -> Result<usize, InvalidateError<D::Error>> {
        self.table.finish(gather, device)
    }

    /// Gives tables that the device has forgotten back to the allocator, as
    /// [`PageTable::free`] does.
    pub fn free(&self, invalidated: Invalidated) -> usize {
        self.table.free(invalidated)
    }

    /// Keeps the tables of a gather that could not be invalidated out of use, as
    /// [`PageTable::quarantine`] does.
    pub fn quarantine(&mut self, gather: Gather) {
        self.table.quarantine(gather);
    }
}

/// An operation stops where the survey was wrong: somebody has changed the range since.
const fn raced(stopped: Stopped) -> TableError {
    TableError::Raced { iova: stopped.at }
}

impl<F: Format, A: TableAllocator> fmt::Debug for SharedPageTable<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedPageTable").field(&self.table).finish()
    }
}
