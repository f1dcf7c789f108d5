//! The pages that one operation or job holds in advance.

use core::fmt;

use super::{AllocContext, AllocError, PageList, TableAllocator, TableLayout};
use crate::addr::Iova;
use crate::geometry::{LAST_LEVEL, TableCount};
use crate::table::TableId;

/// Takes reservations for one page table while others change it.
///
/// Made by [`PageTable::reserver`](crate::PageTable::reserver).
#[derive(Clone, Debug)]
pub struct Reserver<A> {
    allocator: A,
    layout: TableLayout,
    table: TableId,
}

impl<A: TableAllocator + Clone> Reserver<A> {
    pub(crate) const fn new(allocator: A, layout: TableLayout, table: TableId) -> Self {
        Self { allocator, layout, table }
    }

    /// The allocator that the pages come from.
    pub const fn allocator(&self) -> &A {
        &self.allocator
    }

    /// Takes `count` pages for an operation whose first device address is `iova`: zeroed and
    /// published if the allocator keeps them so. One bulk allocation.
    ///
    /// # Errors
    ///
    /// The allocator's; whatever had been taken by then is back.
    pub fn reserve(
        &self,
        count: &TableCount,
        iova: Iova,
        may_block: bool,
    ) -> Result<Reservation<A>, AllocError> {
        let mut reservation = self.nothing();
        reservation.reserve(count, iova, may_block)?;
        Ok(reservation)
    }

    /// A reservation of no pages.
    pub fn nothing(&self) -> Reservation<A> {
        // INVARIANT: there are no pages, and the allocator is a clone of the table's.
        let (pages, layout) = (PageList::new(), self.layout);
        Reservation { allocator: self.allocator.clone(), pages, layout, table: self.table }
    }
}

/// `count` pages from `allocator`, or none, into an empty list, for an operation at an address that
/// may block or not.
#[inline]
pub(crate) fn take_pages<A: TableAllocator>(
    pages: &mut PageList,
    allocator: &A,
    layout: TableLayout,
    count: &TableCount,
    (iova, may_block): (Iova, bool),
) -> Result<(), AllocError> {
    if count.total() == 0 {
        return Ok(());
    }
    let context = AllocContext { may_block, ..AllocContext::table(LAST_LEVEL, iova) };
    allocator.alloc_into(pages, layout, count, context)
}

/// Table pages taken from an allocator before they are needed; the rest goes back on drop.
///
/// The pages are fungible: each has the same layout, and any will do at any level of the page
/// table that they were reserved for.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, PageTable, TableCount};
/// let table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), Heap::new())?;
/// let mut count = TableCount::ZERO;
/// count.increase(3, 2);
/// let reservation = table.reserver().reserve(&count, Iova(0), true)?;
/// assert_eq!(reservation.remaining(), 2);
/// drop(reservation); // both pages are back on the heap
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// All pages come from `allocator`, of which the page table `table` has a clone.
#[must_use = "an unused reservation goes straight back to its allocator"]
pub struct Reservation<A: TableAllocator> {
    allocator: A,
    pages: PageList,
    layout: TableLayout,
    table: TableId,
}

impl<A: TableAllocator> Reservation<A> {
    /// How many pages are left.
    pub const fn remaining(&self) -> usize {
        self.pages.len()
    }

    /// Takes `count` pages more, as [`Reserver::reserve`] does.
    ///
    /// # Errors
    ///
    /// The allocator's; the reservation is as it was.
    pub fn reserve(
        &mut self,
        count: &TableCount,
        iova: Iova,
        may_block: bool,
    ) -> Result<(), AllocError> {
        let Self { allocator, pages, layout, .. } = self;
        if PageList::is_empty(pages) {
            return take_pages(pages, allocator, *layout, count, (iova, may_block));
        }
        let mut more = PageList::new();
        take_pages(&mut more, allocator, *layout, count, (iova, may_block))?;
        pages.take_all(&mut more);
        Ok(())
    }

    /// Takes over all pages of `other`, which has none then; says so, or that it was made for another
    /// table, and keeps them.
    #[must_use]
    pub fn take_all(&mut self, other: &mut Self) -> bool {
        let is_same = other.table == self.table;
        if is_same {
            // INVARIANT: both are for one table, so both allocators are clones of its allocator.
            self.pages.take_all(&mut other.pages);
        }
        is_same
    }

    /// Takes over the pages of `other`; gives it back where it was made for another table.
    ///
    /// # Errors
    ///
    /// `other`, untouched.
    #[expect(clippy::result_large_err, reason = "it is what was passed")]
    pub fn merge(&mut self, mut other: Self) -> Result<(), Self> {
        if self.take_all(&mut other) { Ok(()) } else { Err(other) }
    }

    /// Gives all pages back to their allocator, and says how many they were.
    pub fn free(&mut self) -> usize {
        let count = self.pages.len();
        if count > 0 {
            // SAFETY: the invariant says that they come from this allocator; a page that is in the
            // list is linked nowhere.
            unsafe { self.allocator.free_bulk(core::mem::take(&mut self.pages)) };
        }
        count
    }

    /// Gives `count` pages out as a reservation of their own; nothing where there are fewer.
    pub fn split(&mut self, count: usize) -> Option<Self>
    where
        A: Clone,
    {
        if count > self.pages.len() {
            return None;
        }
        // INVARIANT: the pages come from a clone of the same allocator.
        let pages = self.pages.take_first(count);
        Some(Self {
            allocator: self.allocator.clone(),
            pages,
            layout: self.layout,
            table: self.table,
        })
    }

    pub(crate) const fn table(&self) -> TableId {
        self.table
    }

    /// The pages, to take from; what is put in must come from the same allocator.
    pub(crate) fn pages(&mut self) -> &mut PageList {
        &mut self.pages
    }
}

impl<A: TableAllocator> Drop for Reservation<A> {
    fn drop(&mut self) {
        self.free();
    }
}

impl<A: TableAllocator> fmt::Debug for Reservation<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({} pages)", self.remaining())
    }
}
