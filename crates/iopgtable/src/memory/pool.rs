//! Free pages, kept zeroed.

use core::cmp::Reverse;
use core::fmt;
use core::ptr::NonNull;

use super::lock::SpinLock;
use super::stash::{Cleared, Stash};
use super::{
    AllocContext, AllocError, PageList, TableAllocator, TableLayout, TableMemory, TablePage,
    memory_of_upstream,
};
use crate::addr::{Iova, PhysAddr};
use crate::geometry::{LAST_LEVEL, TableCount};

/// When a [`Pool`] gets pages from upstream and when it gives pages back, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// A request that may block and leaves fewer than this free gets a batch in advance, so that
    /// those that must not block find pages.
    pub low: usize,
    /// How many pages one refill asks for, if they are not too many for `high`.
    pub batch: usize,
    /// A page that comes back while so many are free goes upstream.
    pub high: usize,
}

impl Default for Watermarks {
    /// For pages of 4 KiB: 256 KiB at a time, up to 4 MiB free.
    fn default() -> Self {
        Self { low: 32, batch: 64, high: 1024 }
    }
}

/// What a [`Pool`] did, in pages but for `refills`.
///
/// Always, `refilled + taken_back = hits + misses + returned + free`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Free now.
    pub free: usize,
    /// Handed out at once.
    pub hits: u64,
    /// Handed out after asking upstream for them.
    pub misses: u64,
    /// How many times upstream handed pages out.
    pub refills: u64,
    /// How many it handed out.
    pub refilled: u64,
    /// Come back from the pool's users.
    pub taken_back: u64,
    /// Given back upstream.
    pub returned: u64,
}

/// Free pages of one layout, kept zeroed and published, over an allocator that has more.
///
/// - A request takes what is free. What is missing comes from upstream: with a whole batch if that
///   can be had and the request may block, else by itself. A request that must not block is passed
///   on as such.
/// - A page that comes back is zeroed then, where nobody waits for it, unless it is known to be
///   zeroed. If [`Watermarks::high`] are free already it goes upstream.
/// - Tables of other layouts (roots that are larger than a page) pass through.
///
/// Upstream is never called, and no page zeroed, under the pool's lock. Dropping the pool gives
/// what is free back upstream.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::memory::{AllocContext, Heap, Pool, TableAllocator, TableLayout, Watermarks};
/// use iopgtable::{Iova, TableCount};
/// let watermarks = Watermarks { low: 0, batch: 8, high: 16 };
/// let pool = Pool::new(Heap::new(), TableLayout::PAGE_4K, watermarks);
/// let pages = pool.alloc_bulk(TableLayout::PAGE_4K, &TableCount::of(3, 3), AllocContext::table(3, Iova(0)))?;
/// assert_eq!((pool.figures().refills, pool.figures().free), (1, 5));
/// // SAFETY: the pages came from this pool, and no table links to them.
/// unsafe { pool.free_bulk(pages) };
/// assert_eq!(pool.figures().free, 8);
/// assert_eq!(pool.shrink(2), 6); // a kernel's shrinker calls
/// # }
/// # Ok::<(), iopgtable::memory::AllocError>(())
/// ```
///
/// # Invariants
///
/// The pages in the stash come from `upstream`.
pub struct Pool<A: TableAllocator> {
    upstream: A,
    layout: TableLayout,
    watermarks: Watermarks,
    state: SpinLock<State>,
}

struct State {
    stash: Stash,
    /// Whether somebody is getting a batch in advance: one is enough.
    refilling: bool,
    figures: PoolFigures,
}

/// How many pages are taken from the stash, or put in, without letting go of the lock.
const BITE: usize = 32;

impl<A: TableAllocator> Pool<A> {
    /// An empty pool of pages of `layout` over `upstream`.
    pub const fn new(upstream: A, layout: TableLayout, watermarks: Watermarks) -> Self {
        let state = State {
            stash: Stash::new(layout),
            refilling: false,
            figures: PoolFigures {
                free: 0,
                hits: 0,
                misses: 0,
                refills: 0,
                refilled: 0,
                taken_back: 0,
                returned: 0,
            },
        };
        Self { upstream, layout, watermarks, state: SpinLock::new(state) }
    }

    /// The layout of the pages that it keeps.
    pub const fn layout(&self) -> TableLayout {
        self.layout
    }

    /// When it refills and when it gives back.
    pub const fn watermarks(&self) -> Watermarks {
        self.watermarks
    }

    /// The allocator below.
    pub const fn upstream(&self) -> &A {
        &self.upstream
    }

    /// What it did until now.
    pub fn figures(&self) -> PoolFigures {
        let state = self.state.lock();
        PoolFigures { free: state.stash.len(), ..state.figures }
    }

    /// Gets pages from upstream until `target` are free; may block. More than
    /// [`Watermarks::high`] stay until a page comes back.
    ///
    /// # Errors
    ///
    /// Upstream's; nothing was got then.
    pub fn fill(&self, target: usize) -> Result<(), AllocError> {
        let missing = target.saturating_sub(self.state.lock().stash.len());
        if missing > 0 {
            let context = AllocContext::table(LAST_LEVEL, Iova(0));
            let pages = self.ask_upstream(missing, context)?;
            self.refilled(pages, 0);
        }
        Ok(())
    }

    /// Gives pages back upstream until `keep` are free, and says how many.
    pub fn shrink(&self, keep: usize) -> usize {
        let mut surplus = PageList::new();
        loop {
            let over = self.state.lock().stash.len().saturating_sub(keep);
            if over == 0 || self.bite(over, &mut surplus, |figures| &mut figures.returned).0 == 0 {
                break;
            }
        }
        let count = surplus.len();
        if count > 0 {
            // SAFETY: the pages came from upstream, and nobody used them since they were free.
            unsafe { self.upstream.free_bulk(surplus) };
        }
        count
    }

    /// Adds up to `count` pages from the stash to `pages`, as many as are taken at once, counted by
    /// `figure`. Says how many they were, and how many are free after that.
    #[inline]
    fn bite(
        &self,
        count: usize,
        pages: &mut PageList,
        figure: impl FnOnce(&mut PoolFigures) -> &mut u64,
    ) -> (usize, usize) {
        let before = pages.len();
        let mut state = self.state.lock();
        let shelf = state.stash.take(count.min(BITE), pages);
        let taken = pages.len() - before + usize::from(shelf.is_some());
        *figure(&mut state.figures) += taken as u64;
        let free = state.stash.len();
        drop(state);
        if let Some(Cleared { page, bytes }) = shelf {
            self.upstream.publish(page.cpu().cast(), page.phys(), bytes);
            pages.push(page);
        }
        (taken, free)
    }

    /// Adds pages from the stash to `pages`, until these are `count` or there is none, counted as
    /// hits; says how many are free after that.
    #[inline]
    fn take(&self, count: usize, pages: &mut PageList) -> usize {
        let mut free = usize::MAX;
        while pages.len() < count {
            let missing = count - pages.len();
            let (taken, rest) = self.bite(missing, pages, |figures| &mut figures.hits);
            free = rest;
            if taken == 0 {
                break;
            }
        }
        free
    }

    /// Zeroes `pages` and puts them into the stash, by the bite, each counted by `count`.
    fn put(&self, mut pages: PageList, count: impl Fn(&mut PoolFigures, u64)) {
        let mut bite = [const { None }; BITE];
        while !pages.is_empty() {
            let mut taken = 0;
            for (slot, mut page) in bite.iter_mut().zip(pages.by_ref()) {
                page.make_zeroed(&self.upstream);
                *slot = Some(page);
                taken += 1;
            }
            // The lowest comes out first: only in that direction do caches fetch ahead across pages.
            let bite = &mut bite[..taken];
            bite.sort_unstable_by_key(|page| Reverse(page.as_ref().map(TablePage::phys)));
            let mut state = self.state.lock();
            // INVARIANT: callers pass pages from upstream that have the layout.
            bite.iter_mut().filter_map(Option::take).for_each(|page| state.stash.push(page));
            count(&mut state.figures, taken as u64);
        }
    }

    /// `count` pages from upstream, to which they count as pages' tables: which level they will be
    /// needed for is not known.
    fn ask_upstream(&self, count: usize, context: AllocContext) -> Result<PageList, AllocError> {
        self.upstream.alloc_bulk(self.layout, &TableCount::of(LAST_LEVEL, count as u64), context)
    }

    /// Puts back what [`take`](Self::take) took.
    fn untake(&self, pages: PageList) {
        self.put(pages, |figures, count| figures.hits -= count);
    }

    /// Takes in what upstream handed out, besides the `misses` that went to the pool's users
    /// directly.
    fn refilled(&self, pages: PageList, misses: u64) {
        let mut state = self.state.lock();
        state.figures.refills += 1;
        state.figures.refilled += misses;
        state.figures.misses += misses;
        drop(state);
        self.put(pages, |figures, count| figures.refilled += count);
    }

    /// `missing` pages from upstream for a request, and more for the stash where that is possible.
    fn refill(&self, missing: usize, context: AllocContext) -> Result<PageList, AllocError> {
        let batch = if context.may_block { self.watermarks.batch } else { 0 };
        let batch = batch.min(self.watermarks.high.saturating_add(missing));
        let refilled = if batch > missing {
            self.ask_upstream(batch, context).or_else(|_| self.ask_upstream(missing, context))
        } else {
            self.ask_upstream(missing, context)
        };
        match refilled {
            Ok(mut pages) => {
                let mut wanted = PageList::new();
                for mut page in pages.take_first(missing) {
                    page.make_zeroed(&self.upstream);
                    wanted.push(page);
                }
                self.refilled(pages, wanted.len() as u64);
                Ok(wanted)
            }
            Err(error) => {
                // Some may have come back in the meantime.
                let mut late = PageList::new();
                self.take(missing, &mut late);
                if late.len() == missing {
                    return Ok(late);
                }
                self.untake(late);
                Err(error)
            }
        }
    }

    /// Gets a batch in advance if few pages are free.
    fn refill_ahead(&self, context: AllocContext) {
        let Watermarks { low, batch, high } = self.watermarks;
        let mut state = self.state.lock();
        let free = state.stash.len();
        let wanted = batch.min(high.saturating_sub(free));
        if state.refilling || free >= low || wanted == 0 {
            return;
        }
        state.refilling = true;
        drop(state);
        // The request that caused this has its pages: a failure is for a later one to meet.
        if let Ok(pages) = self.ask_upstream(wanted, context) {
            self.refilled(pages, 0);
        }
        self.state.lock().refilling = false;
    }

    /// For how many of `count` pages that come back there is room; the others are counted here.
    fn room(&self, count: usize) -> usize {
        let mut state = self.state.lock();
        let room = self.watermarks.high.saturating_sub(state.stash.len()).min(count);
        state.figures.taken_back += (count - room) as u64;
        state.figures.returned += (count - room) as u64;
        room
    }

    /// Takes pages into the stash, and gives back those that others have taken the room of.
    fn keep(&self, pages: PageList) {
        self.put(pages, |figures, count| figures.taken_back += count);
        if self.state.lock().stash.len() > self.watermarks.high {
            self.shrink(self.watermarks.high);
        }
    }
}

memory_of_upstream!(Pool<A: TableAllocator>, upstream, A);

// SAFETY: every page comes from the upstream allocator and is in the stash, with the pool's users,
// or back upstream (`MEM-OWN`). Pools are not cloned (`MEM-CLONE`). Neither the lock nor
// upstream's `free` blocks (`MEM-FREE`).
unsafe impl<A: TableAllocator> TableAllocator for Pool<A> {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        if layout != self.layout {
            return self.upstream.alloc(layout, context);
        }
        let mut pages = PageList::new();
        let (_, free) = self.bite(1, &mut pages, |figures| &mut figures.hits);
        let page = pages.pop();
        let page = match page {
            Some(page) => page,
            None => self.refill(1, context)?.pop().ok_or(AllocError::OutOfMemory { pages: 1 })?,
        };
        if free < self.watermarks.low && context.may_block {
            self.refill_ahead(context);
        }
        Ok(page)
    }

    unsafe fn free(&self, page: TablePage) {
        if page.layout() != self.layout || self.room(1) == 0 {
            // SAFETY: the caller's promise is passed on; the page came from there.
            unsafe { self.upstream.free(page) };
            return;
        }
        let mut pages = PageList::new();
        pages.push(page);
        self.keep(pages);
    }

    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        if layout != self.layout {
            return self.upstream.alloc_into(pages, layout, tables, context);
        }
        let count = tables.pages()?;
        let free = self.take(count, pages);
        let missing = count - pages.len();
        if missing > 0 {
            match self.refill(missing, context) {
                Ok(more) => pages.append(more),
                Err(error) => {
                    self.untake(core::mem::take(pages));
                    return Err(error);
                }
            }
        }
        if free < self.watermarks.low && context.may_block {
            self.refill_ahead(context);
        }
        Ok(())
    }

    fn frees_in_bulk(&self) -> bool {
        true
    }

    unsafe fn free_bulk(&self, pages: PageList) {
        let mut mine = PageList::new();
        let mut others = PageList::new();
        for page in pages {
            if page.layout() == self.layout {
                mine.push(page);
            } else {
                others.push(page);
            }
        }
        let room = self.room(mine.len());
        let kept = mine.take_first(room);
        others.append(mine);
        if !others.is_empty() {
            // SAFETY: the caller's promise is passed on; the pages came from there.
            unsafe { self.upstream.free_bulk(others) };
        }
        self.keep(kept);
    }
}

impl<A: TableAllocator> Drop for Pool<A> {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

impl<A: TableAllocator> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?} each, {:?})", self.layout, self.figures())
    }
}
