//! The engine: one implementation for all formats.
//!
//! | room | what happens there |
//! |---|---|
//! | `tree` | the root, the shape, how a table is found and published |
//! | `node` | the entries of one table; the only place that touches them |
//! | `chunks` | a range and its segments become runs of equal leaves |
//! | `survey` | looks before an operation writes: conflicts, missing tables |
//! | `short` | small ranges in a table that is there: no survey, no path |
//! | `path` | leaves in one table that is not there: no survey either |
//! | `write` | maps: new tables are filled before they are linked |
//! | `staged` | maps lists of pages in one pass, switched off until all of it is good |
//! | `fill` | pages from segments into entries |
//! | `slots` | the hot loops: entries side by side, whoever sees them |
//! | `groups` | leaves that a walker takes for one: which they are, and how they are cut |
//! | `edit` | unmaps, clears, protects: cut leaves are split, tables in the hole come loose |
//! | `loose` | loose tables, until the device has forgotten them |
//! | `recent` | the table that was used last |
//! | `leaves` | the shortest way, for callers that name the leaves |
//! | `dirty` | looks which pages were written through |
//! | `dump` | shows what is mapped, for people |
//! | `cursor` | many small operations with one gather |
//! | `occupied` | looks how far a range is taken |
//! | `visit` | looks at what is mapped |
//! | `look`, `release` | the halves of [`PageTable`] that change no entry |
//! | `reserved` | the face that cannot allocate |
//! | `sharing` | one thread or many: how entries are read and replaced |
//! | `graft` | where many meet: a new table is linked, or merged into another thread's |
//! | `shared` | the face for many threads; `trim` |
//!
//! Every writing operation takes its pages from a list that was filled before it began, so it has
//! nothing to undo: an operation of [`PageTable`] surveys, allocates what will be missing in bulk,
//! and then writes.

use core::fmt;

use crate::addr::{Iova, IovaRange, Segment};
use crate::error::{CreateError, TableError};
use crate::format::{Attributes, Config, ConfigError, Encoded, Format, Options};
use crate::gather::Gather;
use crate::geometry::{Geometry, TableCount};
use crate::memory::{AllocContext, PageList, Reserver, TableAllocator, TableLayout, TablePage};
use crate::prot::Prot;
use crate::segments::{Segments, Source};

mod chunks;
mod cursor;
mod dirty;
mod dump;
mod edit;
mod fill;
#[cfg(iopgtable_golden)]
mod golden;
mod graft;
mod groups;
mod leaves;
mod look;
mod loose;
mod node;
mod occupied;
mod path;
mod recent;
mod release;
mod reserved;
mod shared;
mod sharing;
mod short;
mod slots;
mod staged;
mod survey;
mod tree;
mod visit;
mod write;

pub use cursor::Cursor;
pub use dump::Dump;
pub(crate) use loose::Loose;
pub use reserved::Reserved;
pub use shared::SharedPageTable;
pub(crate) use tree::TableId;
pub use visit::{Translation, Visit};

use edit::{Edit, Editor};
use fill::Leaves;
use recent::Recent;
use survey::Shape;
use tree::Tree;
use write::{Over, Writer};

/// An I/O page table of format `F` whose tables come from `A`.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable};
/// use iopgtable::{PhysAddr, Prot, Segment, Unwalked};
///
/// let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), Heap::new())?;
/// let range = IovaRange::new(Iova(0x4000_0000), 0x3000)?;
/// // Two pieces of memory, one call.
/// let segments = [
///     Segment::new(PhysAddr(0x8000_0000), 0x1000),
///     Segment::new(PhysAddr(0x9000_0000), 0x2000),
/// ];
/// let gather = table.map(range, segments, Prot::RW)?;
/// table.finish(gather, &mut Unwalked)?;
/// assert_eq!(table.translate(Iova(0x4000_1234)).unwrap().phys, PhysAddr(0x9000_0234));
///
/// // Nothing else is mapped: the hole is the whole space, and all tables but the root come loose.
/// let gather = table.unmap(range, table.geometry().whole())?;
/// assert_eq!(table.finish(gather, &mut Unwalked)?, 3);
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct PageTable<F: Format, A: TableAllocator> {
    tree: Tree<F>,
    allocator: A,
    root_layout: TableLayout,
    /// Loose tables that the device could not be made to forget.
    quarantine: Loose,
    /// The table that was used last, for the short ways.
    recent: Recent,
    /// The permissions that were mapped with last.
    encoded: Encoded,
}

// SAFETY: the table owns its tables alone, as a `Box` owns what it points to; the pointer to the
// root is all that keeps this from being derived.
unsafe impl<F: Format, A: TableAllocator + Send> Send for PageTable<F, A> {}
// SAFETY: a shared reference only reads entries, atomically.
unsafe impl<F: Format, A: TableAllocator + Sync> Sync for PageTable<F, A> {}

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// An empty table. Its root comes from `allocator` with [`AllocContext::root`], as
    /// [`Geometry::root_bytes`] bytes.
    ///
    /// # Errors
    ///
    /// [`CreateError::Config`] where the format has no such sizes, or where the allocator may
    /// place tables beyond the output size; [`CreateError::Alloc`] without memory for the root.
    pub fn new(config: Config, allocator: A) -> Result<Self, CreateError> {
        let geometry = F::geometry(config)?;
        debug_assert_eq!(geometry.table_bytes(), Tree::<F>::layout().bytes() as u64);
        let (last_phys, reach) = (allocator.last_phys(), geometry.last_table_phys());
        if last_phys > reach {
            return Err(ConfigError::TablesOutOfReach { last_phys, reach }.into());
        }
        if allocator.is_coherent() && config.options.contains(Options::OUTER_WRITE_BACK) {
            return Err(ConfigError::CoherentOuterWriteBack.into());
        }
        // CAST: a logarithm.
        let root_layout = TableLayout::from_shift(geometry.root_bytes().trailing_zeros() as u8);
        let mut root = allocator.alloc(root_layout, AllocContext::root(geometry.first_level()))?;
        root.make_zeroed(&allocator);
        allocator.commit();
        // SAFETY: the page is zeroed, so the root is empty; the table keeps it until it is dropped.
        let tree = unsafe { Tree::new(config, geometry, root.cpu(), root.phys()) };
        Ok(Self {
            tree,
            allocator,
            root_layout,
            quarantine: Loose::new(),
            recent: Recent::NONE,
            encoded: Encoded::NONE,
        })
    }

    /// Levels, leaf sizes, address sizes.
    pub const fn geometry(&self) -> &Geometry {
        &self.tree.geometry
    }

    /// Where the tables come from.
    pub const fn allocator(&self) -> &A {
        &self.allocator
    }

    /// What to program so that a device walks this table.
    ///
    /// # Safety
    ///
    /// From the moment that a walker is given these values, and until it has been made to forget
    /// them: the device may do with the mapped memory what the mappings allow; this table must
    /// not be dropped; and every gather must be invalidated with an [`Invalidate`](crate::Invalidate) that reaches
    /// this walker (not with [`Unwalked`](crate::Unwalked)).
    pub unsafe fn registers(&self) -> F::Registers {
        let Tree { geometry, options, .. } = &self.tree;
        F::registers(geometry, *options, self.tree.root_phys(), self.allocator.is_coherent())
    }

    /// Maps `segments`, in their order, at `range`. Leaves are canonical: the largest that
    /// alignment in both spaces and the segment's length allow.
    ///
    /// What they may be is at [`Segments`]. The gather is empty unless the range held tables
    /// without any leaf (which a too small hole of an [`unmap`](Self::unmap) left) in the place of
    /// a large leaf.
    ///
    /// # Errors
    ///
    /// Everything in [`TableError`]. The table is as it was before, always.
    #[expect(
        clippy::inline_always,
        reason = "a few instructions, if the gather stays in registers"
    )]
    #[inline(always)]
    pub fn map<S>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<Gather, TableError>
    where
        S: Segments,
    {
        let segments = segments.source();
        let Some(segment) = segments.single() else { return self.map_any(range, segments, prot) };
        if self.map_near(range, segment, prot) {
            return Ok(Gather::new(self.tree.id));
        }
        let gather = self.map_segment(range, segment, prot)?;
        Ok(gather.unwrap_or(Gather::new(self.tree.id)))
    }

    /// Maps one segment that is not to be mapped the shortest way. Nothing is an empty gather: one
    /// that the caller makes itself need not be in memory.
    #[inline(never)]
    fn map_segment(
        &mut self,
        range: IovaRange,
        segment: Segment,
        prot: Prot,
    ) -> Result<Option<Gather>, TableError> {
        if self.map_one(range, segment, prot)? {
            return Ok(None);
        }
        let segments = segment.source();
        let (attributes, shape) = self.check_map(range, &segments, prot)?;
        self.map_surveyed(range, segments, shape, attributes).map(Some)
    }

    /// Maps what is more than one segment.
    #[inline(never)]
    fn map_any(
        &mut self,
        range: IovaRange,
        segments: impl Source,
        prot: Prot,
    ) -> Result<Gather, TableError> {
        if !short::is_short::<F>(range) {
            if let Some(gather) = self.map_staged(range, &segments, prot)? {
                return Ok(gather);
            }
        }
        let (attributes, shape) = self.check_map(range, &segments, prot)?;
        let Self { tree, allocator: memory, recent, .. } = self;
        let leaves = Leaves::new(tree, attributes);
        let find = |iova| recent.seek(tree, memory, iova);
        if short::map(tree, memory, range, &segments, (shape, leaves), false, find) {
            return Ok(Gather::new(self.tree.id));
        }
        self.map_surveyed(range, segments, shape, attributes)
    }

    /// Maps what is not to be done the short way.
    #[inline(never)]
    fn map_surveyed(
        &mut self,
        range: IovaRange,
        segments: impl Source,
        shape: Shape,
        attributes: Attributes,
    ) -> Result<Gather, TableError> {
        let (tree, memory) = (&self.tree, &self.allocator);
        self.recent = Recent::NONE;
        let missing = survey::missing_for_map(tree, memory, range, segments.clone(), shape)?;
        let mut pages = self.take_pages(&missing, range.first())?;
        let mut gather = Gather::new(self.tree.id);
        let writer = Writer::new(tree, memory, &mut pages, &mut gather, range);
        let written = writer.map(segments, shape, attributes, Over::Nothing);
        debug_assert!(written.is_ok() && pages.is_empty(), "the survey counts what is missing");
        self.give_back(pages);
        self.recall(range.first());
        Ok(gather)
    }

    /// Remembers the tables on the way to `iova` after an operation that went a longer way.
    #[inline]
    fn recall(&mut self, iova: Iova) {
        self.recent.seek(&self.tree, &self.allocator, iova);
    }

    /// Removes what `range` maps; parts that map nothing are no error. A leaf that sticks out of
    /// the range is cut: tables with smaller leaves take its place.
    ///
    /// `hole` tells which addresses around the range map nothing either, as far as the caller
    /// knows; the range itself where nothing is known. Tables that translate a part of the range, and
    /// whose whole span lies in the hole, come loose. What the hole maps outside of the range is lost with such a table, without an
    /// invalidation.
    ///
    /// # Errors
    ///
    /// [`TableError::UnalignedRange`], [`TableError::InputRange`], [`TableError::Hole`], and
    /// [`TableError::Alloc`] where a leaf is cut. The table is as it was before then.
    #[expect(
        clippy::inline_always,
        reason = "a few instructions, if the gather stays in registers"
    )]
    #[inline(always)]
    pub fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<Gather, TableError> {
        if self.unmap_near(range, hole) {
            return Ok(self.cleared(range));
        }
        let gather = self.unmap_any(range, hole)?;
        Ok(gather.unwrap_or(self.cleared(range)))
    }

    /// Removes what is not to be removed the shortest way. Nothing is a gather of the range alone,
    /// likewise.
    #[inline(never)]
    fn unmap_any(
        &mut self,
        range: IovaRange,
        hole: IovaRange,
    ) -> Result<Option<Gather>, TableError> {
        if self.unmap_short(range, hole) {
            return Ok(None);
        }
        self.edit_surveyed(range, Edit::unmap(&self.tree, range, hole)?).map(Some)
    }

    /// What is stale when pages are gone, and nothing else.
    #[inline]
    const fn cleared(&self, range: IovaRange) -> Gather {
        let mut gather = Gather::new(self.tree.id);
        gather.stale.leaves = Some(range);
        gather
    }

    /// Removes what `range` maps, but keeps all tables (zap): whoever maps the range again soon,
    /// as an eviction does, needs none then. A leaf that sticks out of the range is cut.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), without the hole.
    pub fn clear(&mut self, range: IovaRange) -> Result<Gather, TableError> {
        self.edit(range, Edit::clear(&self.tree, range)?)
    }

    /// Changes what `range` allows, and its memory type, where it maps anything. A leaf that
    /// sticks out of the range is cut. Flags that hardware has set in the leaves are lost.
    ///
    /// # Errors
    ///
    /// [`TableError::UnalignedRange`], [`TableError::InputRange`], [`TableError::Prot`], and
    /// [`TableError::Alloc`] where a leaf is cut. The table is as it was before then.
    pub fn protect(&mut self, range: IovaRange, prot: Prot) -> Result<Gather, TableError> {
        self.edit(range, Edit::protect(&self.tree, range, prot)?)
    }

    /// The tables that [`map`](Self::map) would allocate: for drivers that keep no planned map,
    /// and reserve before they map. Holds for the state that the table is in now.
    ///
    /// # Errors
    ///
    /// As for `map`, but for [`TableError::Alloc`].
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
        let (_, shape) = self.check_map(range, &segments, prot)?;
        survey::missing_for_map(&self.tree, &self.allocator, range, segments, shape)
    }

    #[inline]
    fn edit(&mut self, range: IovaRange, edit: Edit) -> Result<Gather, TableError> {
        let Self { tree, allocator: memory, recent, .. } = self;
        if short::edit(tree, memory, range, edit, |iova| recent.seek(tree, memory, iova)) {
            return Ok(self.cleared(range));
        }
        self.edit_surveyed(range, edit)
    }

    /// Edits what is not to be done the short way.
    #[inline(never)]
    fn edit_surveyed(&mut self, range: IovaRange, edit: Edit) -> Result<Gather, TableError> {
        survey::check_cuts(&self.tree, &self.allocator, range)?;
        self.recent = Recent::NONE;
        let missing = survey::missing_for_edit(&self.tree, &self.allocator, range, edit);
        let mut pages = self.take_pages(&missing, range.first())?;
        let mut gather = Gather::new(self.tree.id);
        let edited =
            Editor::new(&self.tree, &self.allocator, &mut pages, &mut gather, edit).run(range);
        debug_assert!(edited.is_ok() && pages.is_empty(), "the survey counts what is missing");
        self.give_back(pages);
        Ok(gather)
    }

    /// The means to take reservations for this table, also while it is in use elsewhere.
    pub fn reserver(&self) -> Reserver<A>
    where
        A: Clone,
    {
        Reserver::new(self.allocator.clone(), Tree::<F>::layout(), self.tree.id)
    }

    /// Checks the arguments of a map; says how its leaves look.
    #[inline]
    fn check_map(
        &self,
        range: IovaRange,
        segments: &impl Source,
        prot: Prot,
    ) -> Result<(Attributes, Shape), TableError> {
        self.tree.check_range(range)?;
        let attributes = F::attributes(self.tree.options, prot)
            .map_err(|reason| TableError::Prot { prot, reason })?;
        Ok((attributes, survey::check_segments(&self.tree, range, segments)?))
    }

    fn take_pages(&self, count: &TableCount, iova: Iova) -> Result<PageList, TableError> {
        let layout = Tree::<F>::layout();
        let mut pages = PageList::new();
        crate::memory::take_pages(&mut pages, &self.allocator, layout, count, (iova, true))?;
        Ok(pages)
    }

    /// Frees pages that no walker reaches and that came from the allocator.
    fn give_back(&self, pages: PageList) {
        if !pages.is_empty() {
            // SAFETY: callers pass pages of their own reservation, or loose tables with the proof.
            unsafe { self.allocator.free_bulk(pages) };
        }
    }
}

impl<F: Format, A: TableAllocator> Drop for PageTable<F, A> {
    /// Gives every table back, the root included.
    fn drop(&mut self) {
        let quarantine = core::mem::replace(&mut self.quarantine, Loose::new());
        // SAFETY: whoever gave the root to a walker has promised that it is forgotten by now, and
        // so are the tables that once hung from it.
        unsafe {
            loose::drain::<F, A>(&self.allocator, &self.tree);
            quarantine.free::<F, A>(&self.allocator);
        }
        // SAFETY: this is the root's memory as it came from the allocator (see `new`); nobody
        // uses it after the table, and its contents are unknown.
        unsafe {
            let root = TablePage::from_raw_parts(
                self.tree.root().base(),
                self.tree.root_phys(),
                self.root_layout,
                false,
            );
            self.allocator.free(root);
        }
    }
}

impl<F: Format, A: TableAllocator> fmt::Debug for PageTable<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageTable")
            .field("format", &F::NAME)
            .field("geometry", &self.tree.geometry)
            .field("root", &self.tree.root_phys())
            .finish_non_exhaustive()
    }
}
