//! Tables that another party walks.

use core::fmt;
use core::ptr::NonNull;

use super::lock::SpinLock;
use super::party::Party;
use super::{
    AllocContext, AllocError, PageList, TableAllocator, TableLayout, TableMemory, TablePage,
    memory_of_upstream,
};
use crate::addr::PhysAddr;
use crate::geometry::{LAST_LEVEL, TableCount};

mod batch;
mod pending;

use batch::{BATCH, Batch};
use pending::Pending;

/// Shares each page with a [`Party`] before it is handed out, and reclaims it before it goes back
/// upstream.
///
/// - A page is zeroed, published and committed before it is shared, so that the party never sees
///   what was in it before: pages from upstream come out zeroed. (Free pages in lists, and in a
///   pool on top, hold addresses of each other; those the party may see.)
/// - A request for several pages shares all or none. Where the party refuses one, those before it
///   are reclaimed, and the request fails with [`AllocError::NotShared`].
/// - `free` asks the party not to block. A page that it must sleep for waits, shared as before,
///   for [`reclaim_pending`](Self::reclaim_pending). A request takes waiting pages of its layout
///   first, which asks nothing of the party; so no more pages are shared than were out at once,
///   even if nobody ever calls `reclaim_pending`. A request that may block does that itself before
///   it fails for want of memory.
/// - A page that the party does not give back, or of which nobody knows who reaches it, is
///   quarantined: neither read nor written nor given to anybody any more, and lost to upstream.
///
/// Neither the party nor upstream is called under a lock. Dropping the allocator reclaims what
/// waits, and may block for that; what even then cannot be had is lost.
///
/// So that requests that must not block find shared pages, put a [`Pool`](super::Pool) on top: it
/// has pages shared when it refills. An [`Accounted`](super::Accounted) below goes on charging for
/// what is quarantined, one above does not.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use std::sync::atomic::{AtomicI64, Ordering};
/// use iopgtable::memory::{
///     AllocContext, Donated, Heap, Party, PartyError, Pool, TableAllocator, TableLayout, Watermarks,
/// };
/// use iopgtable::{Iova, Segment, TableCount};
///
/// /// Firmware that shares memory; calls of it sleep.
/// struct Firmware(AtomicI64);
///
/// // SAFETY: nobody walks these tables: whatever is said of walkers holds.
/// unsafe impl Party for Firmware {
///     fn share(&self, _: Segment, may_block: bool) -> Result<(), PartyError> {
///         if !may_block {
///             return Err(PartyError::WouldBlock);
///         }
///         self.0.fetch_add(1, Ordering::Relaxed); // here, the call is made
///         Ok(())
///     }
///     fn reclaim(&self, _: Segment, may_block: bool) -> Result<(), PartyError> {
///         if !may_block {
///             return Err(PartyError::WouldBlock);
///         }
///         self.0.fetch_sub(1, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// let firmware = Firmware(AtomicI64::new(0));
/// let donated = Donated::new(Heap::new(), &firmware);
/// let pool = Pool::new(donated, TableLayout::PAGE_4K, Watermarks { low: 0, batch: 8, high: 8 });
/// pool.fill(4)?; // may sleep: shares four pages
/// assert_eq!(firmware.0.load(Ordering::Relaxed), 4);
///
/// let context = AllocContext::table(3, Iova(0)).non_blocking();
/// let pages = pool.alloc_bulk(TableLayout::PAGE_4K, &TableCount::of(3, 4), context)?;
/// // SAFETY: the pages came from this pool, and no table links to them.
/// unsafe { pool.free_bulk(pages) };
///
/// pool.shrink(1); // does not sleep: three pages wait
/// assert_eq!(pool.upstream().figures().pending, 3);
/// assert_eq!(pool.upstream().reclaim_pending(), 3); // may sleep
/// drop(pool);
/// assert_eq!(firmware.0.load(Ordering::Relaxed), 0);
/// # }
/// # Ok::<(), iopgtable::memory::AllocError>(())
/// ```
///
/// # Invariants
///
/// Pages that are handed out or in `pending` come from `upstream` with the layout that `whole`
/// gives, and are shared. A page that is not shared is upstream's, or on
/// its way; one in quarantine is nowhere.
pub struct Donated<A: TableAllocator, P: Party> {
    upstream: A,
    party: P,
    state: SpinLock<State>,
}

struct State {
    pending: Pending,
    figures: DonatedFigures,
}

/// What a [`Donated`] did and what became of it, in pages.
///
/// Always, `shares = reclaims + shared + quarantined`, once the calls that run have returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DonatedFigures {
    /// Shared now: handed out, or waiting to be reclaimed.
    pub shared: usize,
    /// Waiting to be reclaimed.
    pub pending: usize,
    /// Lost for good, because the party may still reach them.
    pub quarantined: usize,
    /// Shared until now, and those of which that is not known.
    pub shares: u64,
    /// Reclaimed until now.
    pub reclaims: u64,
    /// Handed out again while they were waiting.
    pub reused: u64,
    /// How many times the party did not share a page though it need not sleep. Each failed a
    /// request.
    pub share_failures: u64,
    /// How many times the party did not give a page back though it need not sleep.
    pub reclaim_failures: u64,
}

/// The page as one of another layout.
///
/// # Safety
///
/// The page's memory is at least of that layout, and zeroed if `zeroed` says so.
#[expect(clippy::needless_pass_by_value, reason = "one page becomes another")]
unsafe fn as_layout(page: TablePage, layout: TableLayout, zeroed: bool) -> TablePage {
    // SAFETY: the page's invariants hold for each part of it that is aligned to its size, and for
    // as much more as the caller says.
    unsafe { TablePage::from_raw_parts(page.cpu(), page.phys(), layout, zeroed) }
}

impl<A: TableAllocator, P: Party> Donated<A, P> {
    /// Shares what `upstream` hands out with `party`.
    pub const fn new(upstream: A, party: P) -> Self {
        let figures = DonatedFigures {
            shared: 0,
            pending: 0,
            quarantined: 0,
            shares: 0,
            reclaims: 0,
            reused: 0,
            share_failures: 0,
            reclaim_failures: 0,
        };
        let state = State { pending: Pending::new(), figures };
        Self { upstream, party, state: SpinLock::new(state) }
    }

    /// Whom pages are shared with.
    pub const fn party(&self) -> &P {
        &self.party
    }

    /// The allocator below.
    pub const fn upstream(&self) -> &A {
        &self.upstream
    }

    /// What it did until now.
    pub fn figures(&self) -> DonatedFigures {
        let state = self.state.lock();
        DonatedFigures { pending: state.pending.len(), ..state.figures }
    }

    /// Reclaims pages that were freed where nobody could sleep, as many as wait now, and says how
    /// many went back upstream. May block. Stops where the party would block all the same.
    pub fn reclaim_pending(&self) -> usize {
        let mut reclaimed = 0;
        let mut left = self.state.lock().pending.len();
        while left > 0 {
            let bite = self.state.lock().pending.take_any(left.min(BATCH));
            left = if bite.is_empty() { 0 } else { left - bite.len() };
            match self.reclaim(bite, true) {
                Ok(count) => reclaimed += count,
                Err(count) => return reclaimed + count,
            }
        }
        reclaimed
    }

    /// The layout of what is shared for a table of `layout`.
    fn whole(&self, layout: TableLayout) -> TableLayout {
        let granule = self.party.granule();
        if layout.bytes() < granule.bytes() { granule } else { layout }
    }

    /// Up to `count` waiting pages of `layout`; they are shared already.
    fn take_pending(&self, layout: TableLayout, count: usize) -> PageList {
        let mut taken = PageList::new();
        while taken.len() < count {
            let mut state = self.state.lock();
            let Some(page) = state.pending.take(layout) else { break };
            state.figures.reused += 1;
            drop(state);
            taken.push(page);
        }
        taken
    }

    /// Puts back what [`take_pending`](Self::take_pending) took.
    fn untake_pending(&self, pages: PageList) {
        let reused = pages.len() as u64;
        let waiting = Pending::of(pages);
        let mut state = self.state.lock();
        state.figures.reused -= reused;
        state.pending.append(waiting);
    }

    /// What `alloc` gets from upstream, if need be after all that waits is back there.
    fn ask_upstream<T>(
        &self,
        may_block: bool,
        alloc: impl Fn(&A) -> Result<T, AllocError>,
    ) -> Result<T, AllocError> {
        alloc(&self.upstream).or_else(|error| {
            if may_block && self.reclaim_pending() > 0 { alloc(&self.upstream) } else { Err(error) }
        })
    }

    /// Shares pages that came from upstream, or gives all of them back.
    fn share(&self, mut fresh: PageList, may_block: bool) -> Result<PageList, AllocError> {
        let mut shared = PageList::new();
        while !fresh.is_empty() {
            let mut batch = Batch::take(&mut fresh);
            for page in batch.pages_mut() {
                page.make_zeroed(&self.upstream);
            }
            self.upstream.commit();
            let answer = batch.ask(|pages| self.party.share_bulk(pages, may_block));
            let mut state = self.state.lock();
            state.figures.shared += answer.done;
            state.figures.shares += (answer.done + answer.lost) as u64;
            state.figures.quarantined += answer.lost;
            state.figures.share_failures += u64::from(answer.failed());
            drop(state);
            for (index, page) in batch.pages() {
                if index < answer.done {
                    shared.push(page);
                } else if index >= answer.done + answer.lost {
                    fresh.push(page);
                }
            }
            if let Some(error) = answer.error {
                if !fresh.is_empty() {
                    // SAFETY: they came from upstream just now; nobody has used them.
                    unsafe { self.upstream.free_bulk(fresh) };
                }
                // What the party must sleep for waits; what it keeps is in quarantine.
                let (Ok(_) | Err(_)) = self.reclaim(shared, may_block);
                return Err(error.into());
            }
        }
        // INVARIANT: they came from upstream and are shared now.
        Ok(shared)
    }

    /// Reclaims pages that nobody uses any more and gives them back upstream, and says how many;
    /// as an error where the party would block, for which the rest waits.
    fn reclaim(&self, mut pages: PageList, may_block: bool) -> Result<usize, usize> {
        let mut count = 0;
        while !pages.is_empty() {
            let batch = Batch::take(&mut pages);
            let mut answer = batch.ask(|pages| self.party.reclaim_bulk(pages, may_block));
            if answer.failed() && answer.done < batch.len() {
                // A page that is refused is as lost as one of which nothing is known.
                answer.lost = answer.lost.max(1);
            }
            let mut free = PageList::new();
            for (index, page) in batch.pages() {
                if index < answer.done {
                    let layout = page.layout();
                    // SAFETY: its own layout. (The party may have changed what is in it.)
                    free.push(unsafe { as_layout(page, layout, false) });
                } else if index >= answer.done + answer.lost {
                    pages.push(page);
                }
            }
            count += answer.done;
            // INVARIANT: where the party would block, the rest is shared as before.
            let rest = answer.would_block().then(|| Pending::of(core::mem::take(&mut pages)));
            let mut state = self.state.lock();
            state.figures.shared -= answer.done + answer.lost;
            state.figures.reclaims += answer.done as u64;
            state.figures.quarantined += answer.lost;
            state.figures.reclaim_failures += u64::from(answer.failed());
            if let Some(rest) = rest {
                state.pending.append(rest);
            }
            drop(state);
            if !free.is_empty() {
                // SAFETY: they came from upstream, and the party does not reach them any more
                // (`Party`); whoever freed them said that nobody else does.
                unsafe { self.upstream.free_bulk(free) };
            }
            if answer.would_block() {
                return Err(count);
            }
        }
        Ok(count)
    }

    /// Shared pages as tables of `layout`.
    fn hand_out(&self, pages: PageList, layout: TableLayout) -> PageList {
        if layout == self.whole(layout) {
            return pages;
        }
        let mut parts = PageList::new();
        for page in pages {
            let zeroed = page.is_zeroed();
            // SAFETY: `whole` is not smaller than what it is asked for; a part of zeroes is zero.
            parts.push(unsafe { as_layout(page, layout, zeroed) });
        }
        parts
    }

    /// What was shared for a table that comes back.
    fn take_back(&self, page: TablePage) -> TablePage {
        let whole = self.whole(page.layout());
        // What its holder says of the table's bytes need not be true of those behind it.
        let zeroed = page.is_zeroed() && whole == page.layout();
        // SAFETY: the invariant says that so much was allocated for it; whose zeroes are known is
        // of that size.
        unsafe { as_layout(page, whole, zeroed) }
    }
}

memory_of_upstream!(Donated<A: TableAllocator, P: Party>, upstream, A);

// SAFETY: the invariant keeps pages apart (`MEM-OWN`); they come from upstream with at least the
// layout asked for. `Donated` is not cloned (`MEM-CLONE`). Freeing asks the party not to block, as
// upstream does not; what the party does not give back is forgotten and counted (`MEM-FREE`).
unsafe impl<A: TableAllocator, P: Party> TableAllocator for Donated<A, P> {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        let whole = self.whole(layout);
        let mut pages = self.take_pending(whole, 1);
        if pages.is_empty() {
            let alloc = |upstream: &A| upstream.alloc(whole, context);
            pages.push(self.ask_upstream(context.may_block, alloc)?);
            pages = self.share(pages, context.may_block)?;
        }
        self.hand_out(pages, layout).pop().ok_or(AllocError::OutOfMemory { pages: 1 })
    }

    unsafe fn free(&self, page: TablePage) {
        let mut pages = PageList::new();
        pages.push(self.take_back(page));
        // What the party must sleep for waits; what it keeps is in quarantine.
        let (Ok(_) | Err(_)) = self.reclaim(pages, false);
    }

    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        let (count, whole) = (tables.pages()?, self.whole(layout));
        let mut shared = self.take_pending(whole, count);
        let missing = if shared.is_empty() {
            *tables
        } else {
            TableCount::of(LAST_LEVEL, (count - shared.len()) as u64)
        };
        if missing != TableCount::ZERO {
            let alloc = |upstream: &A| upstream.alloc_bulk(whole, &missing, context);
            let fresh = self.ask_upstream(context.may_block, alloc);
            match fresh.and_then(|fresh| self.share(fresh, context.may_block)) {
                Ok(more) => shared.append(more),
                Err(error) => {
                    self.untake_pending(shared);
                    return Err(error);
                }
            }
        }
        pages.append(self.hand_out(shared, layout));
        Ok(())
    }

    unsafe fn free_bulk(&self, pages: PageList) {
        let mut whole = PageList::new();
        for page in pages {
            whole.push(self.take_back(page));
        }
        // As for `free`.
        let (Ok(_) | Err(_)) = self.reclaim(whole, false);
    }

    fn frees_in_bulk(&self) -> bool {
        true
    }
}

impl<A: TableAllocator, P: Party> Drop for Donated<A, P> {
    fn drop(&mut self) {
        // What is still waiting after this is lost, as a list that is dropped loses its pages.
        self.reclaim_pending();
    }
}

impl<A: TableAllocator, P: Party> fmt::Debug for Donated<A, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Donated({:?})", self.figures())
    }
}
