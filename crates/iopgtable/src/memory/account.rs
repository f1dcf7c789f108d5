//! What tables cost, and how much they may.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{
    AllocContext, AllocError, PageList, TableAllocator, TableLayout, TableMemory, TablePage,
    memory_of_upstream,
};
use crate::addr::PhysAddr;
use crate::geometry::TableCount;

/// Whom [`Accounted`] charges: an [`Account`], one behind a pointer, or a bridge to a system's own
/// accounting (a control group, a quota).
///
/// `()` is nobody: it takes every charge.
pub trait Charge {
    /// Takes a charge, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`] where a limit stands against it; nothing is charged then.
    fn charge(&self, bytes: u64) -> Result<(), LimitExceeded>;

    /// Takes `bytes` bytes back that were charged before.
    fn uncharge(&self, bytes: u64);
}

impl Charge for () {
    fn charge(&self, _: u64) -> Result<(), LimitExceeded> {
        Ok(())
    }
    fn uncharge(&self, _: u64) {}
}

impl<C: Charge + ?Sized> Charge for &C {
    fn charge(&self, bytes: u64) -> Result<(), LimitExceeded> {
        (**self).charge(bytes)
    }
    fn uncharge(&self, bytes: u64) {
        (**self).uncharge(bytes);
    }
}

#[cfg(feature = "alloc")]
impl<C: Charge + ?Sized> Charge for alloc::sync::Arc<C> {
    fn charge(&self, bytes: u64) -> Result<(), LimitExceeded> {
        (**self).charge(bytes)
    }
    fn uncharge(&self, bytes: u64) {
        (**self).uncharge(bytes);
    }
}

/// An account that did not take a charge. All amounts are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The name of the account: the first on the way to the root whose limit stands against it.
    pub account: &'static str,
    /// Its limit.
    pub limit: u64,
    /// What was charged to it already.
    pub usage: u64,
    /// What was to be charged on top.
    pub need: u64,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, limit, usage, need } = self;
        write!(f, "account {account:?}: {need} more bytes exceed {usage} used of {limit} allowed")
    }
}

impl core::error::Error for LimitExceeded {}

/// How many bytes of table memory somebody has, and may have: a process, a virtual machine, a
/// device. Accounts form a tree: what is charged to one is charged to its parent `P` too.
///
/// The limit is hard: no race makes [`charged`](Self::charged) exceed it. The price is that a
/// charge on its way to a refusal further up can, for a moment, have another one refused.
///
/// ```
/// use iopgtable::memory::{Account, Charge};
/// let device = Account::new("device", 64 << 10);
/// let vm = Account::with_parent("vm", Account::UNLIMITED, &device);
/// vm.charge(60 << 10)?;
/// let refused = vm.charge(8 << 10).unwrap_err();
/// assert_eq!((refused.account, refused.usage, refused.need), ("device", 60 << 10, 8 << 10));
/// assert_eq!(vm.charged(), 60 << 10); // the refused charge left no trace here either
/// # Ok::<(), iopgtable::memory::LimitExceeded>(())
/// ```
///
/// # Invariants
///
/// `charged` grows only by amounts that keep it at or below the `limit` of that moment.
#[derive(Debug)]
pub struct Account<P = ()> {
    name: &'static str,
    parent: P,
    limit: AtomicU64,
    charged: AtomicU64,
    peak: AtomicU64,
    refusals: AtomicU64,
}

impl Account {
    /// The limit that never stands against a charge.
    pub const UNLIMITED: u64 = u64::MAX;

    /// An account without a parent, which may be charged up to `limit` bytes.
    pub const fn new(name: &'static str, limit: u64) -> Self {
        Self::with_parent(name, limit, ())
    }
}

impl<P> Account<P> {
    /// An account whose charges `parent` must take too: a `&` or an `Arc` of another account, say.
    pub const fn with_parent(name: &'static str, limit: u64, parent: P) -> Self {
        Self {
            name,
            parent,
            limit: AtomicU64::new(limit),
            charged: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }

    /// What it is called in errors.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whom it belongs to.
    pub const fn parent(&self) -> &P {
        &self.parent
    }

    /// How many bytes may be charged.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit for charges from now on. Where more is charged already it stays charged.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many bytes are charged.
    pub fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }

    /// How many bytes were charged at most.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// How many charges its own limit stood against.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Charges this account alone and returns what is charged then.
    fn charge_self(&self, bytes: u64) -> Result<u64, LimitExceeded> {
        // The counter guards no other memory: its own order of changes is all that counts.
        let mut usage = self.charged.load(Ordering::Relaxed);
        loop {
            let limit = self.limit();
            let Some(sum) = usage.checked_add(bytes).filter(|&sum| sum <= limit) else {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                return Err(LimitExceeded { account: self.name, limit, usage, need: bytes });
            };
            // INVARIANT: the sum is within the limit that was read after `usage`, or is refused.
            match self.charged.compare_exchange_weak(
                usage,
                sum,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(sum),
                Err(changed) => usage = changed,
            }
        }
    }

    fn uncharge_self(&self, bytes: u64) {
        // Taking back more than was charged is a mistake of the caller, but not one that should
        // wrap around to an account that refuses everything.
        let _ = self.charged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |charged| {
            Some(charged.saturating_sub(bytes))
        });
    }
}

impl<P: Charge> Charge for Account<P> {
    fn charge(&self, bytes: u64) -> Result<(), LimitExceeded> {
        let charged = self.charge_self(bytes)?;
        if let Err(refused) = self.parent.charge(bytes) {
            self.uncharge_self(bytes);
            return Err(refused);
        }
        self.peak.fetch_max(charged, Ordering::Relaxed);
        Ok(())
    }

    fn uncharge(&self, bytes: u64) {
        self.parent.uncharge(bytes);
        self.uncharge_self(bytes);
    }
}

/// Charges every table that it hands out to `account`, for as long as the table is out.
///
/// A bulk allocation is one charge. The charge comes before the allocation and goes after the
/// page, so that the account never says less than is out.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::memory::{
///     Account, Accounted, AllocContext, AllocError, Heap, TableAllocator, TableLayout,
/// };
/// use iopgtable::{Iova, TableCount};
/// let vm = Account::new("vm", 8192);
/// let allocator = Accounted::new(Heap::new(), &vm);
/// let context = AllocContext::table(3, Iova(0));
/// let pages = allocator.alloc_bulk(TableLayout::PAGE_4K, &TableCount::of(3, 2), context)?;
/// assert_eq!(vm.charged(), 8192);
/// let refused = allocator.alloc(TableLayout::PAGE_4K, context);
/// assert!(matches!(refused, Err(AllocError::Limit(limit)) if limit.account == "vm"));
/// // SAFETY: the pages came from this allocator, and no table links to them.
/// unsafe { allocator.free_bulk(pages) };
/// assert_eq!((vm.charged(), vm.peak()), (0, 8192));
/// # }
/// # Ok::<(), iopgtable::memory::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Accounted<A, C> {
    upstream: A,
    account: C,
}

impl<A, C: Charge> Accounted<A, C> {
    /// Charges what `upstream` hands out to `account`. To be cloned as the same allocator, it
    /// takes pointers: `&` or `Arc`.
    pub const fn new(upstream: A, account: C) -> Self {
        Self { upstream, account }
    }

    /// Who is charged.
    pub const fn account(&self) -> &C {
        &self.account
    }

    /// The allocator below.
    pub const fn upstream(&self) -> &A {
        &self.upstream
    }

    /// Has `alloc` run under a charge of `bytes`, which stays if it succeeds.
    fn charged<T>(
        &self,
        bytes: u64,
        alloc: impl FnOnce(&A) -> Result<T, AllocError>,
    ) -> Result<T, AllocError> {
        self.account.charge(bytes).map_err(AllocError::Limit)?;
        alloc(&self.upstream).inspect_err(|_| self.account.uncharge(bytes))
    }
}

memory_of_upstream!(Accounted<A, C>, upstream, A);

// SAFETY: every page comes from the upstream allocator and goes back to it.
unsafe impl<A: TableAllocator, C: Charge> TableAllocator for Accounted<A, C> {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        self.charged(layout.bytes() as u64, |upstream| upstream.alloc(layout, context))
    }

    unsafe fn free(&self, page: TablePage) {
        let bytes = page.layout().bytes() as u64;
        // SAFETY: the caller's promise is passed on; the page came from there.
        unsafe { self.upstream.free(page) };
        self.account.uncharge(bytes);
    }

    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        let count = tables.pages()?;
        let bytes = (layout.bytes() as u64)
            .checked_mul(count as u64)
            .ok_or(AllocError::OutOfMemory { pages: count })?;
        self.charged(bytes, |upstream| upstream.alloc_into(pages, layout, tables, context))
    }

    fn frees_in_bulk(&self) -> bool {
        true
    }

    unsafe fn free_bulk(&self, pages: PageList) {
        let mut bytes = 0;
        let mut counted = PageList::new();
        for page in pages {
            bytes += page.layout().bytes() as u64;
            counted.push(page);
        }
        // SAFETY: the caller's promise is passed on; the pages came from there.
        unsafe { self.upstream.free_bulk(counted) };
        self.account.uncharge(bytes);
    }
}
