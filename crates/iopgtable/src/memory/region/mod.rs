//! Tables from one contiguous piece of memory.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use super::lock::SpinLock;
use super::{
    AllocContext, AllocError, Coherent, PageList, Publish, TableAllocator, TableLayout,
    TableMemory, TablePage,
};
use crate::addr::PhysAddr;

mod error;
#[cfg(feature = "alloc")]
mod owned;

pub use error::RegionError;

/// Base and physical address are multiples of this, whatever the sizes of tables.
const BASE_ALIGN: u64 = 4096;

/// log2 of the smallest block, [`TableLayout::MIN_BYTES`].
const MIN_SHIFT: u32 = TableLayout::MIN_BYTES.trailing_zeros();

/// How many sizes of blocks there are: 64 bytes to 32 MiB. The largest table of any format is
/// 1 MiB: sixteen concatenated ones of 64 KiB.
const CLASSES: usize = 20;

/// One contiguous piece of memory, CPU side and walker side, cut into tables: a carve-out, a mapped
/// file, a device's own memory behind a BAR or a mirror.
///
/// Free memory is kept by size; a table of one size can be cut from a larger free block, but
/// blocks are never joined again. A page that comes back known to be zeroed is handed out as such.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use iopgtable::memory::{AllocContext, Region, TableAllocator, TableLayout, TableMemory};
/// use iopgtable::{Iova, PhysAddr};
/// // 64 KiB that a walker (an emulator, say) finds at 0x8000_0000.
/// let region = Region::with_capacity(PhysAddr(0x8000_0000), 64 << 10)?;
/// let page = region.alloc(TableLayout::PAGE_4K, AllocContext::table(3, Iova(0)))?;
/// assert_eq!(page.phys(), PhysAddr(0x8000_0000));
/// assert_eq!(region.cpu_address(page.phys()), page.cpu());
/// assert_eq!(region.in_use(), 4096);
/// // SAFETY: the page came from this region, and no table links to it.
/// unsafe { region.free(page) };
/// assert_eq!(region.in_use(), 0);
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// `base` points to `bytes` bytes that walkers find at `phys`, both multiples of `BASE_ALIGN`;
/// they are the region's own for as long as it or a page from it is there. Each byte is part of
/// exactly one of: a page that is handed out, a block in a free list, what lies from `fresh` on.
pub struct Region<P = Coherent> {
    base: NonNull<u8>,
    phys: PhysAddr,
    bytes: usize,
    /// Whether what has never been handed out is zero, for the CPU and for walkers.
    fresh_is_zeroed: bool,
    state: SpinLock<State>,
    publisher: P,
    /// Frees the memory where it is the region's; a field's drop, so that none of `Region` is
    /// needed.
    #[cfg(feature = "alloc")]
    owned: Option<owned::Block>,
}

struct State {
    /// Where the memory that has never been handed out begins.
    fresh: usize,
    in_use: usize,
    /// Free blocks by log2 of their size, from `MIN_SHIFT` on.
    free: [PageList; CLASSES],
}

// SAFETY: the memory is the region's own, wherever it goes, and the rest of it may go too.
unsafe impl<P: Send> Send for Region<P> {}
// SAFETY: the memory behind `base` is only touched by the holder of a page or under the lock.
unsafe impl<P: Sync> Sync for Region<P> {}

impl Region {
    /// The `bytes` bytes at `base`, which walkers that snoop find at `phys`. What does not fill a
    /// smallest table at the end is not used.
    ///
    /// A table aligned to its size is so in both address spaces: for tables of 64 KiB, `base` and
    /// `phys` must be equal modulo 64 KiB.
    ///
    /// # Errors
    ///
    /// [`RegionError`], where the numbers make no region.
    ///
    /// # Safety
    ///
    /// Until the region is gone and every page from it has come back or is forgotten, the bytes
    /// are there to be read and written as ordinary memory, nobody else uses them, and walkers
    /// find them at `phys`.
    pub unsafe fn new(
        base: NonNull<u8>,
        phys: PhysAddr,
        bytes: usize,
    ) -> Result<Self, RegionError> {
        // SAFETY: the caller's promise; they snoop.
        unsafe { Self::with_publisher(base, phys, bytes, Coherent) }
    }

    /// `bytes` bytes of zeroed memory of its own, at the physical address that the caller invents.
    /// Tables of up to 2 MiB can be aligned.
    ///
    /// The memory is freed with the region, unless pages are still out then: it is leaked so that
    /// their holders can go on.
    ///
    /// # Errors
    ///
    /// [`RegionError`], where the numbers make no region or there is not that much memory.
    #[cfg(feature = "alloc")]
    pub fn with_capacity(phys: PhysAddr, bytes: usize) -> Result<Self, RegionError> {
        let mut region = Self::with_capacity_and_publisher(phys, bytes, Coherent)?;
        // INVARIANT: it has just been allocated zeroed, and walkers snoop.
        region.fresh_is_zeroed = true;
        Ok(region)
    }
}

impl<P: Publish> Region<P> {
    /// As [`new`](Region::new), for walkers that see what was written when `publisher` says so.
    ///
    /// For tables that only a device reaches, `base` is a mirror in the CPU's memory and the
    /// publisher has it copied: see [`CopyQueue`](super::CopyQueue).
    ///
    /// # Errors
    ///
    /// [`RegionError`], where the numbers make no region.
    ///
    /// # Safety
    ///
    /// As for `new`, where walkers find at `phys` what was published.
    pub unsafe fn with_publisher(
        base: NonNull<u8>,
        phys: PhysAddr,
        bytes: usize,
        publisher: P,
    ) -> Result<Self, RegionError> {
        check(phys, bytes)?;
        if base.addr().get() as u64 % BASE_ALIGN != 0 {
            return Err(RegionError::Misaligned { address: base.addr().get() as u64 });
        }
        // INVARIANT: the numbers have been checked, the memory is the caller's promise; all of it
        // is fresh.
        Ok(Self {
            base,
            phys,
            bytes: bytes - bytes % TableLayout::MIN_BYTES,
            fresh_is_zeroed: false,
            state: SpinLock::new(State {
                fresh: 0,
                in_use: 0,
                free: [const { PageList::new() }; CLASSES],
            }),
            publisher,
            #[cfg(feature = "alloc")]
            owned: None,
        })
    }

    /// As [`with_capacity`](Region::with_capacity), for walkers that see what was written when
    /// `publisher` says so.
    ///
    /// # Errors
    ///
    /// [`RegionError`], where the numbers make no region or there is not that much memory.
    #[cfg(feature = "alloc")]
    pub fn with_capacity_and_publisher(
        phys: PhysAddr,
        bytes: usize,
        publisher: P,
    ) -> Result<Self, RegionError> {
        check(phys, bytes)?;
        let heap = owned::Block::new(phys, bytes).ok_or(RegionError::OutOfMemory { bytes })?;
        // SAFETY: the block has so many bytes and is freed with the region, or never while pages
        // are out; that walkers find it at `phys` is what the caller decides by telling them.
        let mut region = unsafe { Self::with_publisher(heap.base(), phys, bytes, publisher) }?;
        region.owned = Some(heap);
        Ok(region)
    }

    /// Says that the memory is all zeroes, so that tables need not be zeroed before their first
    /// use, and memory that no table needs is never touched: a fresh mapping, scrubbed device
    /// memory.
    ///
    /// # Safety
    ///
    /// It is, for the CPU and for walkers, and nothing has been allocated from the region yet.
    #[must_use]
    pub unsafe fn assume_zeroed(mut self) -> Self {
        self.fresh_is_zeroed = true;
        self
    }
}

impl<P> Region<P> {
    /// Where the CPU finds the region.
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where walkers find the region.
    pub const fn phys(&self) -> PhysAddr {
        self.phys
    }

    /// How many bytes it has.
    pub const fn capacity(&self) -> usize {
        self.bytes
    }

    /// How many bytes are handed out.
    pub fn in_use(&self) -> usize {
        self.state.lock().in_use
    }

    /// How what is written reaches walkers.
    pub const fn publisher(&self) -> &P {
        &self.publisher
    }

    /// The eight bytes that a walker reads at `phys`, little-endian as walkers read; nothing
    /// where they are not all in the region, or `phys` is not a multiple of eight. For emulators,
    /// and for tests that walk the tables.
    ///
    /// # Safety
    ///
    /// The memory has been written before ([`with_capacity`](Region::with_capacity) does so), and
    /// no operation on a page table in this region runs at the same time: those fill tables that
    /// are not linked yet with plain stores.
    pub unsafe fn read(&self, phys: PhysAddr) -> Option<u64> {
        let offset = usize::try_from(phys.0.checked_sub(self.phys.0)?).ok()?;
        if offset % 8 != 0 || offset.checked_add(8)? > self.bytes {
            return None;
        }
        // SAFETY: eight bytes from `offset` on lie in the region, aligned as its base is; whoever
        // else reads or writes them now does so atomically (the caller's promise).
        let word = unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) };
        Some(word.load(Ordering::Relaxed))
    }

    /// The last byte's physical address.
    const fn last(&self) -> PhysAddr {
        // OVERFLOW: `check` has added them before.
        PhysAddr(self.phys.0 + (self.bytes as u64 - 1))
    }

    /// Where the CPU finds what walkers find at `phys`.
    #[inline]
    fn pointer(&self, phys: PhysAddr) -> NonNull<u8> {
        // CAST: only an address outside the region loses bits, and has no pointer anyway.
        let offset = phys.0.wrapping_sub(self.phys.0) as usize;
        NonNull::new(self.base.as_ptr().wrapping_add(offset)).unwrap_or(self.base)
    }

    /// The block of `layout` at `phys` as a page.
    ///
    /// # Safety
    ///
    /// It lies in the region, at a multiple of its size in both address spaces; it has become free
    /// of everything else, and is zeroed if `zeroed` says so.
    unsafe fn page(&self, phys: u64, layout: TableLayout, zeroed: bool) -> TablePage {
        let phys = PhysAddr(phys);
        // SAFETY: the invariant says that the region's bytes are ours and where they are; the
        // caller says the rest.
        unsafe { TablePage::from_raw_parts(self.pointer(phys).cast(), phys, layout, zeroed) }
    }

    /// A free block of `layout`, cut from a larger one if need be.
    fn take_free(&self, state: &mut State, class: usize) -> Option<TablePage> {
        let (mut larger, block) = state
            .free
            .iter_mut()
            .enumerate()
            .skip(class)
            .find_map(|(larger, list)| Some((larger, list.pop()?)))?;
        let (phys, zeroed) = (block.phys().0, block.is_zeroed());
        while larger > class {
            larger -= 1;
            let layout = layout_of(larger);
            // INVARIANT: of the block, the upper half becomes free, and the lower half remains.
            // SAFETY: that half is aligned to its size as the block was to twice that.
            state.free[larger]
                .push(unsafe { self.page(phys + layout.bytes() as u64, layout, zeroed) });
        }
        // SAFETY: the first part of that size remains of the block.
        Some(unsafe { self.page(phys, layout_of(class), zeroed) })
    }

    /// A block of `layout` that has never been handed out. What is skipped for its alignment
    /// becomes free.
    fn take_fresh(&self, state: &mut State, layout: TableLayout) -> Option<TablePage> {
        let bytes = layout.bytes() as u64;
        let mut fresh = self.phys.0.checked_add(state.fresh as u64)?;
        let start = fresh.checked_next_multiple_of(bytes)?;
        let last = start.checked_add(bytes - 1)?;
        if last > self.last().0 {
            return None;
        }
        while fresh < start {
            // The largest aligned block there: it ends at or before `start`, which is a multiple
            // of every power of two up to `bytes`, and is smaller than `bytes`.
            // CAST: a number of trailing zeroes is small.
            let class = (fresh.trailing_zeros() - MIN_SHIFT) as usize;
            let skipped = layout_of(class);
            // INVARIANT: the block goes from what is fresh to what is free.
            // SAFETY: it lies before `start` and is aligned to its size; CPU addresses are equal
            // to physical ones modulo `bytes`, as `alloc` has checked.
            state.free[class].push(unsafe { self.page(fresh, skipped, self.fresh_is_zeroed) });
            fresh += skipped.bytes() as u64;
        }
        // INVARIANT: what lies before the end is a page or free.
        // CAST: an offset into the region.
        state.fresh = (last - self.phys.0) as usize + 1;
        // SAFETY: it was checked to lie in the region; aligned as above.
        Some(unsafe { self.page(start, layout, self.fresh_is_zeroed) })
    }
}

/// The layout of the blocks in free list `class`.
const fn layout_of(class: usize) -> TableLayout {
    // CAST: there are few classes.
    TableLayout::from_shift((class as u32 + MIN_SHIFT) as u8)
}

/// Whether `bytes` bytes at `phys` make a region.
fn check(phys: PhysAddr, bytes: usize) -> Result<(), RegionError> {
    if phys.0 % BASE_ALIGN != 0 {
        return Err(RegionError::Misaligned { address: phys.0 });
    }
    if bytes < TableLayout::MIN_BYTES {
        return Err(RegionError::TooSmall { bytes });
    }
    // CAST: `isize::MAX` is positive.
    if phys.0.checked_add(bytes as u64 - 1).is_none() || bytes > isize::MAX as usize {
        return Err(RegionError::TooLarge { phys, bytes });
    }
    Ok(())
}

// SAFETY: a page's pointer was computed by the same function as `cpu_address` (`MEM-REACH`) and
// lies in the region (`MEM-LIMIT`); `Publish` promises `MEM-ORDER`.
unsafe impl<P: Publish> TableMemory for Region<P> {
    #[inline]
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        self.pointer(table).cast()
    }

    fn last_phys(&self) -> PhysAddr {
        self.last()
    }

    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        self.publisher.publish(cpu, phys, bytes);
    }

    fn commit(&self) {
        self.publisher.commit();
    }

    fn is_coherent(&self) -> bool {
        self.publisher.is_coherent()
    }
}

// SAFETY: the invariant keeps pages apart (`MEM-OWN`), regions are not cloned (`MEM-CLONE`), and
// a list takes back any page (`MEM-FREE`).
unsafe impl<P: Publish> TableAllocator for Region<P> {
    fn alloc(&self, layout: TableLayout, _: AllocContext) -> Result<TablePage, AllocError> {
        let class = (layout.bytes().trailing_zeros() - MIN_SHIFT) as usize;
        let shift = (self.base.addr().get() as u64).wrapping_sub(self.phys.0);
        if class >= CLASSES || shift % layout.bytes() as u64 != 0 {
            return Err(AllocError::Layout(layout));
        }
        let mut state = self.state.lock();
        let page = match self.take_free(&mut state, class) {
            Some(page) => page,
            None => {
                self.take_fresh(&mut state, layout).ok_or(AllocError::OutOfMemory { pages: 1 })?
            }
        };
        state.in_use += layout.bytes();
        Ok(page)
    }

    unsafe fn free(&self, page: TablePage) {
        let bytes = page.layout().bytes();
        let class = (bytes.trailing_zeros() - MIN_SHIFT) as usize;
        let mut state = self.state.lock();
        // The caller's promise makes this always true; a page from elsewhere is lost, not handed
        // out.
        if let Some(free) = state.free.get_mut(class) {
            free.push(page);
            state.in_use = state.in_use.saturating_sub(bytes);
        }
    }
}

#[cfg(feature = "alloc")]
impl<P> Drop for Region<P> {
    fn drop(&mut self) {
        if self.in_use() > 0 {
            core::mem::forget(self.owned.take());
        }
    }
}

impl<P> fmt::Debug for Region<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_use, last) = (self.in_use(), self.last());
        write!(f, "Region({:#x}..={last:#x}, {in_use} of {} bytes in use)", self.phys, self.bytes)
    }
}
