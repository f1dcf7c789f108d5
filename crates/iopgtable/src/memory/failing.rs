//! An allocator that fails when it is told to.

use core::fmt;
use core::ptr::NonNull;

use super::lock::SpinLock;
use super::{
    AllocContext, AllocError, PageList, TableAllocator, TableLayout, TableMemory, TablePage,
    memory_of_upstream,
};
use crate::addr::PhysAddr;
use crate::geometry::TableCount;

/// Fails chosen allocations of the allocator below with [`AllocError::OutOfMemory`], and counts:
/// for tests of what happens then, at every place where it can.
///
/// Allocations are counted by page, from 0. A bulk allocation counts and fails as a loop over its
/// pages would.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::memory::{AllocContext, Failing, Heap, TableAllocator, TableLayout};
/// use iopgtable::{Iova, TableCount};
/// let context = AllocContext::table(3, Iova(0));
/// let heap = Failing::new(Heap::new());
/// let mut failures = 0;
/// for n in 0.. {
///     heap.fail_nth(n);
///     let pages = heap.alloc_bulk(TableLayout::PAGE_4K, &TableCount::of(3, 4), context);
///     let Ok(pages) = pages else {
///         failures += 1;
///         assert_eq!(heap.live(), 0, "a failed bulk allocation left pages behind");
///         continue;
///     };
///     // SAFETY: the pages came from this allocator, and no table links to them.
///     unsafe { heap.free_bulk(pages) };
///     break; // the n-th allocation is beyond what the operation needs
/// }
/// assert_eq!(failures, 4);
/// # }
/// ```
pub struct Failing<A> {
    upstream: A,
    state: SpinLock<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Allocations asked for since the start, and the first and the last of them to fail.
    asked: u64,
    fail: Option<(u64, u64)>,
    failed: u64,
    live: usize,
}

impl<A> Failing<A> {
    /// Fails nothing until it is told to.
    pub const fn new(upstream: A) -> Self {
        let state = State { asked: 0, fail: None, failed: 0, live: 0 };
        Self { upstream, state: SpinLock::new(state) }
    }

    /// Fails the `n`-th allocation from now (the next one is the 0th) and no other.
    pub fn fail_nth(&self, n: u64) {
        let mut state = self.state.lock();
        let first = state.asked.saturating_add(n);
        state.fail = Some((first, first));
    }

    /// Fails the `n`-th allocation from now and all that follow it.
    pub fn fail_from(&self, n: u64) {
        let mut state = self.state.lock();
        let first = state.asked.saturating_add(n);
        state.fail = Some((first, u64::MAX));
    }

    /// Fails nothing any more.
    pub fn fail_none(&self) {
        self.state.lock().fail = None;
    }

    /// How many pages were asked for, those that failed included.
    pub fn allocations(&self) -> u64 {
        self.state.lock().asked
    }

    /// How many allocations failed because they were told to.
    pub fn failures(&self) -> u64 {
        self.state.lock().failed
    }

    /// How many pages are handed out and have not come back.
    pub fn live(&self) -> usize {
        self.state.lock().live
    }

    /// The allocator below.
    pub const fn upstream(&self) -> &A {
        &self.upstream
    }

    /// Counts `pages` allocations, up to the first that is to fail.
    fn ask(&self, pages: usize) -> Result<(), AllocError> {
        let mut state = self.state.lock();
        let (asked, end) = (state.asked, state.asked.saturating_add(pages as u64));
        let failing = state
            .fail
            .filter(|&(_, last)| asked <= last)
            .map(|(first, _)| first.max(asked))
            .filter(|&index| index < end);
        let Some(index) = failing else {
            state.asked = end;
            return Ok(());
        };
        state.asked = index + 1;
        state.failed += 1;
        Err(AllocError::OutOfMemory { pages })
    }

    fn came_back(&self, pages: usize) {
        let mut state = self.state.lock();
        state.live = state.live.saturating_sub(pages);
    }
}

memory_of_upstream!(Failing<A>, upstream, A);

// SAFETY: every page comes from the upstream allocator and goes back to it.
unsafe impl<A: TableAllocator> TableAllocator for Failing<A> {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        self.ask(1)?;
        let page = self.upstream.alloc(layout, context)?;
        self.state.lock().live += 1;
        Ok(page)
    }

    unsafe fn free(&self, page: TablePage) {
        // SAFETY: the caller's promise is passed on; the page came from there.
        unsafe { self.upstream.free(page) };
        self.came_back(1);
    }

    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        self.ask(tables.pages()?)?;
        self.upstream.alloc_into(pages, layout, tables, context)?;
        self.state.lock().live += pages.len();
        Ok(())
    }

    unsafe fn free_bulk(&self, pages: PageList) {
        let count = pages.len();
        // SAFETY: the caller's promise is passed on; the pages came from there.
        unsafe { self.upstream.free_bulk(pages) };
        self.came_back(count);
    }
}

impl<A: fmt::Debug> fmt::Debug for Failing<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = *self.state.lock();
        f.debug_struct("Failing").field("upstream", &self.upstream).field("state", &state).finish()
    }
}
