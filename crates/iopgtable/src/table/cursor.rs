//! Many small operations in a row, with one gather for all.

use core::fmt;

use super::PageTable;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::error::TableError;
use crate::format::Format;
use crate::gather::{Gather, stale};
use crate::memory::TableAllocator;
use crate::prot::Prot;
use crate::segments::{Segments, Source};

/// A page table in the hands of somebody who changes it page by page.
///
/// It does what [`PageTable`] does, on the same terms: allocation, errors, and a table that is as
/// it was before where an operation fails. But what all operations made stale
/// it gathers, for [`finish`](Self::finish) to hand out, and a page beside the one before takes
/// little more than a store.
///
/// Nothing that was unmapped is forgotten by the device before that gather is invalidated. Whoever
/// maps at such an address meanwhile leaves the device with either translation until then, and
/// does not break before make.
///
/// Writes reach a walker that does not snoop when `finish` has returned, if not before.
///
/// # Dropping it
///
/// A cursor that is dropped, not finished, leaves the table as the operations made it. Tables that
/// came loose stay out of use until the page table is dropped, as in
/// [quarantine](PageTable::quarantine). What the device is to forget is lost: it goes on using
/// translations that were removed.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable};
/// use iopgtable::{PhysAddr, Prot, Unwalked};
///
/// let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), Heap::new())?;
/// let mut cursor = table.cursor();
/// for page in 0..100 {
///     let frame = PhysAddr(0x8000_0000 + page * 0x3000); // from a page allocator, say
///     cursor.map_page(Iova(0x4000_0000 + page * 0x1000), frame, Prot::RW)?;
/// }
/// cursor.unmap_page(Iova(0x4000_7000))?;
/// let gather = cursor.finish();
/// assert_eq!(gather.stale().leaves, Some(IovaRange::new(Iova(0x4000_7000), 0x1000)?));
/// table.finish(gather, &mut Unwalked)?;
/// assert_eq!(table.translate(Iova(0x4000_8000)).unwrap().phys, PhysAddr(0x8001_8000));
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[must_use = "what it did is only complete when it is finished"]
pub struct Cursor<'t, F: Format, A: TableAllocator> {
    table: &'t mut PageTable<F, A>,
    /// Whether pages were mapped one by one, which is not committed yet.
    wrote: bool,
    /// The pages that were removed one by one, which is not committed yet either. What else is stale
    /// is in the gather.
    removed: Removed,
    gather: Gather,
}

/// From the first of some pages to the last.
struct Removed {
    first: u64,
    last: u64,
}

impl Removed {
    /// No page.
    const NONE: Self = Self { first: u64::MAX, last: 0 };

    /// By branches, not by minima: who adds page after page does not wait for what was stored for
    /// the one before.
    #[inline]
    fn add(&mut self, page: IovaRange) {
        let (first, last) = (page.first().0, page.last().0);
        if first < self.first {
            *self = Self { first, last: last.max(self.last) };
        } else if last > self.last {
            self.last = last;
        }
    }

    fn range(&self) -> Option<IovaRange> {
        IovaRange::inclusive(Iova(self.first), Iova(self.last))
    }
}

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Lends the table to a [`Cursor`], for many small operations.
    #[inline]
    pub fn cursor(&mut self) -> Cursor<'_, F, A> {
        let gather = Gather::new(self.tree.id);
        Cursor { table: self, wrote: false, removed: Removed::NONE, gather }
    }
}

impl<F: Format, A: TableAllocator> Cursor<'_, F, A> {
    /// The table, to look at.
    pub const fn table(&self) -> &PageTable<F, A> {
        self.table
    }

    /// Maps the page at `iova` to the one at `phys`: of one granule.
    ///
    /// # Errors
    ///
    /// As for [`PageTable::map`].
    #[inline]
    pub fn map_page(&mut self, iova: Iova, phys: PhysAddr, prot: Prot) -> Result<(), TableError> {
        if self.table.map_page_near(iova, phys, prot) {
            self.wrote = true;
            return Ok(());
        }
        self.map_elsewhere(iova, phys, prot)
    }

    /// Maps a page whose table is not there, or that may not be mapped.
    #[inline(never)]
    fn map_elsewhere(&mut self, iova: Iova, phys: PhysAddr, prot: Prot) -> Result<(), TableError> {
        self.map(page::<F>(iova), Segment::new(phys, Tree::<F>::granule()), prot)
    }

    /// Removes the page at `iova`, of one granule; a larger leaf is cut. Tables stay. Where nothing
    /// is mapped, that is no error.
    ///
    /// # Errors
    ///
    /// As for [`PageTable::unmap`].
    #[inline]
    pub fn unmap_page(&mut self, iova: Iova) -> Result<(), TableError> {
        if self.table.unmap_page_near(iova) {
            self.removed.add(page::<F>(iova));
            return Ok(());
        }
        self.unmap_page_elsewhere(iova)
    }

    #[inline(never)]
    fn unmap_page_elsewhere(&mut self, iova: Iova) -> Result<(), TableError> {
        let page = page::<F>(iova);
        self.unmap(page, page)
    }

    /// Maps `segments` at `range`, as [`PageTable::map`] does.
    ///
    /// # Errors
    ///
    /// As for `PageTable::map`.
    #[inline]
    pub fn map<S: Segments>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<(), TableError> {
        let segments = segments.source();
        if let Some(segment) = segments.single() {
            let table = &mut *self.table;
            if !table.map_near(range, segment, prot) {
                if let Some(more) = table.map_segment(range, segment, prot)? {
                    self.take(more);
                }
            }
            return Ok(());
        }
        let gather = self.table.map_any(range, segments, prot)?;
        self.take(gather);
        Ok(())
    }

    /// Removes what `range` maps, as [`PageTable::unmap`] does.
    ///
    /// # Errors
    ///
    /// As for `PageTable::unmap`.
    #[inline]
    pub fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<(), TableError> {
        if self.table.unmap_near(range, hole) {
            stale(&mut self.gather.stale.leaves, range);
            return Ok(());
        }
        match self.table.unmap_any(range, hole)? {
            Some(gather) => self.take(gather),
            None => stale(&mut self.gather.stale.leaves, range),
        }
        Ok(())
    }

    /// Ends the row of operations: what they all made stale, and the tables that came loose.
    #[inline]
    pub fn finish(mut self) -> Gather {
        self.complete();
        let nothing = Gather::new(self.table.tree.id);
        core::mem::replace(&mut self.gather, nothing)
    }

    /// Commits what was done page by page, and takes down what it made stale.
    #[inline]
    fn complete(&mut self) {
        let removed = core::mem::replace(&mut self.removed, Removed::NONE).range();
        if core::mem::take(&mut self.wrote) || removed.is_some() {
            self.table.allocator.commit();
        }
        if let Some(pages) = removed {
            stale(&mut self.gather.stale.leaves, pages);
        }
    }

    fn take(&mut self, more: Gather) {
        self.gather.append::<F, A>(&self.table.allocator, more);
    }
}

/// A granule's worth of addresses from `iova` on.
#[inline]
fn page<F: Format>(iova: Iova) -> IovaRange {
    // Where this wraps around, `iova` is no multiple of the granule, which is found out.
    IovaRange::between(iova, Iova(iova.0.wrapping_add(Tree::<F>::granule() - 1)))
}

impl<F: Format, A: TableAllocator> Drop for Cursor<'_, F, A> {
    #[inline]
    fn drop(&mut self) {
        self.complete();
        if !self.gather.loose.is_empty() {
            let nothing = Gather::new(self.table.tree.id);
            self.table.quarantine(core::mem::replace(&mut self.gather, nothing));
        }
    }
}

impl<F: Format, A: TableAllocator> fmt::Debug for Cursor<'_, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("table", &self.table)
            .field("removed", &self.removed.range())
            .field("gather", &self.gather)
            .finish_non_exhaustive()
    }
}
