//! Pages for unmaps that find no memory.

use iopgtable::{
    AllocError, Geometry, Invalidated, Iova, LAST_LEVEL, PageTable, Reservation, Reserver,
    TableAllocator, TableCount,
};

use crate::sync::Mutex;

/// As many pages as one unmap can need at most, held by a VM for the case that its allocator has
/// none when a block is to be cut.
pub(crate) struct Spare<A: TableAllocator> {
    size: usize,
    pages: Mutex<Option<Reservation<A>>>,
}

impl<A: TableAllocator> Spare<A> {
    pub(crate) const fn none() -> Self {
        Self { size: 0, pages: Mutex::new(None) }
    }

    /// The most tables that one unmap can need: at each end of its range, one at each level below
    /// that of the largest leaf.
    pub(crate) fn most(geometry: &Geometry) -> usize {
        let top = geometry.leaf_levels().min().unwrap_or(LAST_LEVEL);
        2 * usize::from((LAST_LEVEL - top).unsigned_abs())
    }

    pub(crate) fn new(geometry: &Geometry, reserver: &Reserver<A>) -> Result<Self, AllocError>
    where
        A: Clone,
    {
        let size = Self::most(geometry);
        let count = TableCount::of(LAST_LEVEL, size as u64);
        let pages = reserver.reserve(&count, Iova(0), true)?;
        Ok(Self { size, pages: Mutex::new(Some(pages)) })
    }

    /// How many pages it holds.
    pub(crate) fn len(&self) -> usize {
        self.pages.lock().as_ref().map_or(0, Reservation::remaining)
    }

    /// Gets what is missing from the allocator, if that has some.
    pub(crate) fn refill(&self, reserver: &Reserver<A>, iova: Iova)
    where
        A: Clone,
    {
        let missing = self.size - self.len().min(self.size);
        if missing > 0 {
            let count = TableCount::of(LAST_LEVEL, missing as u64);
            if let Ok(pages) = reserver.reserve(&count, iova, false) {
                self.put(pages);
            }
        }
    }

    /// `count` pages, if it has so many.
    pub(crate) fn take(&self, count: usize) -> Option<Reservation<A>>
    where
        A: Clone,
    {
        self.pages.lock().as_mut()?.split(count)
    }

    /// Whatever it has, up to `most` pages; perhaps none.
    pub(crate) fn take_all(
        &self,
        reserver: &Reserver<A>,
        most: usize,
    ) -> Result<Reservation<A>, AllocError>
    where
        A: Clone,
    {
        match self.take(self.len().min(most)) {
            Some(pages) => Ok(pages),
            None => reserver.reserve(&TableCount::ZERO, Iova(0), false),
        }
    }

    /// Takes pages in, as far as it lacks some; the others go back to the allocator.
    pub(crate) fn put(&self, mut pages: Reservation<A>)
    where
        A: Clone,
    {
        if let Some(mine) = self.pages.lock().as_mut() {
            let missing = self.size.saturating_sub(mine.remaining());
            if let Some(wanted) = pages.split(missing.min(pages.remaining())) {
                // Both are this VM's; were they not, dropping the pages would give them back.
                drop(mine.merge(wanted));
            }
        }
    }

    /// Frees tables that came loose, but keeps what it lacks. Says how many came loose.
    pub(crate) fn free<F: iopgtable::Format>(
        &self,
        table: &PageTable<F, A>,
        loose: Invalidated,
    ) -> usize {
        if self.size == 0 {
            return table.free(loose);
        }
        match self.pages.lock().as_mut() {
            Some(mine) => table.free_into(loose, mine, self.size),
            None => table.free(loose),
        }
    }
}
