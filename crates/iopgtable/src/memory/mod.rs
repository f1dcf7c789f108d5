//! Where tables live: the two traits with their contract, and the allocators.
//!
//! | allocator | what it is for |
//! |---|---|
//! | [`Hooks`] | your own `alloc` and `free` callbacks with a cookie |
//! | [`Heap`] | Rust's global allocator (feature `alloc`) |
//! | [`Region`] | a carve-out, a mapped file, a device's own memory |
//! | [`Pool`] | free pages kept zeroed; refilled in batches, shrunk on demand |
//! | [`Donated`] | shares each page with another [`Party`] that walks it: firmware, a secure world |
//! | [`Accounted`] | charges what it hands out to an [`Account`], with limits, in a tree |
//! | [`Reservation`] | the pages that one operation or job holds in advance |
//! | [`Failing`] | fails the n-th allocation: for tests, yours and ours |
//!
//! They compose: `Accounted<&Pool<Region>, &Account>` is a virtual machine's account over a
//! device's pool over a carve-out, `Pool<Donated<Hooks, P>>` a pool of pages that are shared
//! already, and `Region<CopyQueue<E>>` tables in video memory: a [`CopyQueue`] has a copy engine
//! bring over what is published.
//!
//! # The contract
//!
//! Rules have names; code and comments refer to them.
//!
//! - `MEM-OWN`: a page that was handed out belongs to its holder until it comes back through
//!   [`free`](TableAllocator::free). The allocator neither reads nor writes it meanwhile.
//! - `MEM-REACH`: while a page is handed out, [`cpu_address`](TableMemory::cpu_address) of its
//!   physical address is the pointer in its [`TablePage`].
//! - `MEM-LIMIT`: no page ends beyond [`last_phys`](TableMemory::last_phys).
//! - `MEM-ORDER`: publications take effect in the order of the calls: a walker that sees the bytes
//!   of a later one sees those of every earlier one. It sees those bytes as they were at the call,
//!   or later ones only once all is there that was published before those were written.
//! - `MEM-CLONE`: a clone of an allocator is the same allocator: it takes back what the other one
//!   handed out.
//! - `MEM-FREE`: `free` does not block and does not fail towards its caller. A page that cannot be
//!   taken back is quarantined by the allocator: counted, and never handed out again.

use core::ptr::NonNull;

use crate::addr::{Iova, PhysAddr};
use crate::geometry::TableCount;

mod account;
mod copies;
mod donated;
mod failing;
#[cfg(feature = "alloc")]
mod heap;
mod hooks;
mod list;
mod lock;
mod page;
mod party;
mod pool;
mod publish;
mod region;
mod reservation;
mod stash;

pub use account::{Account, Accounted, Charge, LimitExceeded};
pub use copies::{Copies, CopyCommand, CopyEngine, CopyFigures, CopyQueue};
pub use donated::{Donated, DonatedFigures};
pub use failing::Failing;
#[cfg(feature = "alloc")]
pub use heap::Heap;
pub use hooks::{HookTable, Hooks};
pub use list::PageList;
pub(crate) use page::Contents;
pub use page::{TableLayout, TablePage};
pub use party::{BulkError, Party, PartyError};
pub use pool::{Pool, PoolFigures, Watermarks};
pub use publish::{Coherent, Publish};
pub use region::{Region, RegionError};
pub(crate) use reservation::take_pages;
pub use reservation::{Reservation, Reserver};

/// How the CPU reaches tables, and how what it wrote there reaches the walker.
///
/// [`publish`](Self::publish) is nothing for a walker that snoops the CPU's caches, a cache clean
/// for one that does not, and a queued copy for tables in memory that only the device reaches,
/// where the CPU address is that of a mirror ([`CopyQueue`]).
///
/// # Safety
///
/// The implementation keeps `MEM-REACH`, `MEM-LIMIT` and `MEM-ORDER` of the
/// [contract](self#the-contract).
pub unsafe trait TableMemory {
    /// Where the CPU reaches the table that starts at `table`, a physical address of a page that
    /// is handed out.
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64>;

    /// The highest physical address at which a byte of any table can lie. A page table checks it
    /// once against its output size.
    fn last_phys(&self) -> PhysAddr;

    /// Makes `bytes` bytes that the CPU wrote at `cpu` visible to walkers, which find them at
    /// `phys`; they lie within one table. The default is for walkers that snoop.
    ///
    /// For a [`SharedPageTable`](crate::SharedPageTable), many threads call this at once, and while
    /// others write entries among the bytes, eight at a time: who reads them does so atomically.
    /// Publications of the same bytes take effect as if one came after the other, each with the
    /// bytes as they are in its turn: none brings older ones back.
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        let _ = (cpu, phys, bytes);
    }

    /// Ends an operation: everything published before must reach the walker in bounded time.
    /// Called once per operation that wrote anything.
    fn commit(&self) {}

    /// Whether walkers snoop the CPU's caches; the registers that [`Format`](crate::Format)
    /// computes say the same to the hardware.
    fn is_coherent(&self) -> bool {
        true
    }
}

/// Hands out table memory and takes it back.
///
/// Only [`alloc`](Self::alloc) and [`free`](Self::free) must be written; the bulk forms exist for
/// allocators that do better than a loop.
///
/// # Safety
///
/// The implementation keeps `MEM-OWN`, `MEM-CLONE` and `MEM-FREE` of the [contract](self#the-contract), every
/// page that it hands out keeps the invariants of [`TablePage`], and has the layout asked for.
pub unsafe trait TableAllocator: TableMemory {
    /// One table of `layout`.
    ///
    /// # Errors
    ///
    /// Any [`AllocError`]; nothing was allocated then.
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError>;

    /// Takes a page back.
    ///
    /// # Safety
    ///
    /// This allocator (or a clone of it) handed the page out, no walker reaches it any more, and
    /// what its [`is_zeroed`](TablePage::is_zeroed) says is true: a page that was written to comes
    /// back as one that is not.
    unsafe fn free(&self, page: TablePage);

    /// All of `tables`, or none, in any order: they are alike. What `context` says of a level and
    /// a root is not looked at; the former is in `tables`, and roots are allocated one by one.
    ///
    /// # Errors
    ///
    /// Any [`AllocError`]; nothing was allocated then.
    fn alloc_bulk(
        &self,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<PageList, AllocError> {
        let mut pages = PageList::new();
        self.alloc_into(&mut pages, layout, tables, context).map(|()| pages)
    }

    /// The same into `pages`, which is empty before, and after an error: this is the form to write.
    ///
    /// # Errors
    ///
    /// Any [`AllocError`]; nothing was allocated then.
    #[inline]
    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        for (level, count) in tables.levels() {
            let context = AllocContext { level, root: false, ..context };
            for _ in 0..count {
                match self.alloc(layout, context) {
                    Ok(page) => pages.push(page),
                    Err(error) => {
                        // SAFETY: they were handed out just now; nothing links to them.
                        unsafe { self.free_bulk(core::mem::take(pages)) };
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes pages back, as [`free`](Self::free) does with one.
    ///
    /// # Safety
    ///
    /// As for `free`, of each page.
    unsafe fn free_bulk(&self, pages: PageList) {
        for page in pages {
            // SAFETY: the caller's promise covers each page.
            unsafe { self.free(page) };
        }
    }

    /// Whether [`free_bulk`](Self::free_bulk) does better than [`free`](Self::free) page by page,
    /// so that pages to be freed are worth a list.
    fn frees_in_bulk(&self) -> bool {
        false
    }
}

impl TableCount {
    /// As a number of pages to allocate.
    pub(crate) fn pages(&self) -> Result<usize, AllocError> {
        usize::try_from(self.total()).map_err(|_| AllocError::OutOfMemory { pages: usize::MAX })
    }
}

/// What a page is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocContext {
    /// The level of the table.
    pub level: i8,
    /// Whether it is a root, which lives as long as its page table.
    pub root: bool,
    /// The first device address of the operation that wants it (0 for a root).
    pub iova: Iova,
    /// Whether the allocator may block: sleep, wait for reclaim, ask another party.
    pub may_block: bool,
}

impl AllocContext {
    /// A table at `level` for an operation at `iova` that may block.
    pub const fn table(level: i8, iova: Iova) -> Self {
        Self { level, root: false, iova, may_block: true }
    }

    /// A root at `level`; may block.
    pub const fn root(level: i8) -> Self {
        Self { level, root: true, iova: Iova(0), may_block: true }
    }

    /// The same, but the allocator must not block.
    #[must_use]
    pub const fn non_blocking(mut self) -> Self {
        self.may_block = false;
        self
    }
}

/// Why an allocator handed out nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocError {
    /// There is no memory.
    OutOfMemory {
        /// How many pages were wanted.
        pages: usize,
    },
    /// There may be memory for a caller that may block.
    WouldBlock,
    /// An account's limit stands against it.
    Limit(LimitExceeded),
    /// The allocator has no pages of this size.
    Layout(TableLayout),
    /// The party that is to walk the tables did not take a page.
    NotShared {
        /// The party's own number for the reason.
        code: i64,
    },
}

impl core::fmt::Display for AllocError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfMemory { pages } => write!(f, "no memory for {pages} table page(s)"),
            Self::WouldBlock => f.write_str("no table page without blocking"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Layout(layout) => write!(f, "the allocator has no tables of {layout:?}"),
            Self::NotShared { code } => write!(f, "a table page could not be shared ({code})"),
        }
    }
}

impl core::error::Error for AllocError {}

/// Implements both traits for something that dereferences to an implementation.
macro_rules! forward {
    ($(#[$attribute:meta])* $pointer:ty) => {
        // SAFETY: every call goes to the same allocator, whose contract is its own.
        $(#[$attribute])* unsafe impl<A: TableMemory + ?Sized> TableMemory for $pointer {
            fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
                (**self).cpu_address(table)
            }
            fn last_phys(&self) -> PhysAddr {
                (**self).last_phys()
            }
            fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
                (**self).publish(cpu, phys, bytes);
            }
            fn commit(&self) {
                (**self).commit();
            }
            fn is_coherent(&self) -> bool {
                (**self).is_coherent()
            }
        }

        // SAFETY: as above.
        $(#[$attribute])* unsafe impl<A: TableAllocator + ?Sized> TableAllocator for $pointer {
            fn alloc(
                &self,
                layout: TableLayout,
                context: AllocContext,
            ) -> Result<TablePage, AllocError> {
                (**self).alloc(layout, context)
            }
            unsafe fn free(&self, page: TablePage) {
                // SAFETY: the caller's promise is passed on.
                unsafe { (**self).free(page) };
            }
            fn alloc_into(
                &self,
                pages: &mut PageList,
                layout: TableLayout,
                tables: &TableCount,
                context: AllocContext,
            ) -> Result<(), AllocError> {
                (**self).alloc_into(pages, layout, tables, context)
            }
            unsafe fn free_bulk(&self, pages: PageList) {
                // SAFETY: the caller's promise is passed on.
                unsafe { (**self).free_bulk(pages) };
            }
            fn frees_in_bulk(&self) -> bool {
                (**self).frees_in_bulk()
            }
        }
    };
}
forward!(&A);
forward!(#[cfg(feature = "alloc")] alloc::sync::Arc<A>);
forward!(#[cfg(feature = "alloc")] alloc::boxed::Box<A>);

/// The [`TableMemory`] half of an allocator that stands on another one.
macro_rules! memory_of_upstream {
    ($type:ident < $($parameter:ident $(: $bound:path)?),* >, $field:ident, $upstream:ident) => {
        // SAFETY: every page comes from the upstream allocator, and so do its addresses.
        unsafe impl<$($parameter $(: $bound)?),*> TableMemory for $type<$($parameter),*>
        where
            $upstream: TableMemory,
        {
            fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
                self.$field.cpu_address(table)
            }
            fn last_phys(&self) -> PhysAddr {
                self.$field.last_phys()
            }
            fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
                self.$field.publish(cpu, phys, bytes);
            }
            fn commit(&self) {
                self.$field.commit();
            }
            fn is_coherent(&self) -> bool {
                self.$field.is_coherent()
            }
        }
    };
}
pub(crate) use memory_of_upstream;
