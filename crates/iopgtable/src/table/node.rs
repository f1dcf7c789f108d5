//! One table as the CPU sees it: the only place that touches entries.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::format::{AtomicWord, Format, Word};

/// An entry that others may access, too.
pub(super) type Slot<F> = <<F as Format>::Word as Word>::Atomic;

/// The entries of one table.
///
/// Every index is taken modulo the number of entries, so that none leads outside. Entries are
/// `u64`s here, whatever the format's word is.
///
/// # Invariants
///
/// - `base` points to `mask + 1` entries, a power of two, that belong to a table of the page
///   table whose method is running. No method keeps a `Node` beyond its return, and a table is
///   not freed while one runs.
/// - Entries of linked tables are read and written atomically, because a walker reads them (and
///   may set flags in leaves) at the same time, and so do other threads where they share the page
///   table (`SHARED`). Those of a table that is not linked yet are touched by the running method
///   alone.
#[derive(Clone, Copy)]
pub(crate) struct Node<F: Format> {
    base: NonNull<F::Word>,
    mask: usize,
}

impl<F: Format> Node<F> {
    /// # Safety
    ///
    /// The type's invariants hold for `entries` entries at `base`.
    #[inline]
    pub(crate) unsafe fn new(base: NonNull<u64>, entries: usize) -> Self {
        debug_assert!(entries.is_power_of_two());
        Self { base: base.cast(), mask: entries - 1 }
    }

    pub(crate) const fn entries(self) -> usize {
        self.mask + 1
    }

    #[inline]
    pub(crate) fn index(self, address: u64, shift: u32) -> usize {
        // CAST: what is lost above `usize` is lost to the mask anyway.
        (address >> shift) as usize & self.mask
    }

    /// Where the first entry lies.
    #[inline]
    pub(crate) const fn base(self) -> NonNull<u64> {
        self.base.cast()
    }

    /// Where entry `index` lies, for publishing.
    #[inline]
    pub(crate) fn slot(self, index: usize) -> NonNull<F::Word> {
        // SAFETY: `index & mask` is below the number of entries at `base`.
        unsafe { self.base.add(index & self.mask) }
    }

    #[inline]
    pub(crate) fn load(self, index: usize) -> u64 {
        self.atomic(index).load(Ordering::Relaxed)
    }

    /// Reads an entry that another thread may have written: who finds a table finds what that
    /// thread had put there before it linked it.
    #[inline]
    pub(crate) fn load_shared(self, index: usize) -> u64 {
        self.atomic(index).load(Ordering::Acquire)
    }

    /// Writes an entry that a walker may read at the same time.
    #[inline]
    pub(crate) fn store(self, index: usize, entry: u64) {
        self.atomic(index).store(entry, Ordering::Relaxed);
    }

    /// Writes an entry that makes a table visible: a walker that sees it sees the table's
    /// entries as they were written before (`LINK-LAST`).
    #[inline]
    pub(crate) fn link(self, index: usize, entry: u64) {
        self.atomic(index).store(entry, Ordering::Release);
    }

    /// Writes an entry where it is still `old`, and says so; else says what it is. Who finds a
    /// table then finds its entries, and who links one shows its entries (`LINK-LAST`).
    #[inline]
    pub(crate) fn replace(self, index: usize, old: u64, new: u64) -> Result<(), u64> {
        let slot = self.atomic(index);
        slot.compare_exchange(old, new, Ordering::Release, Ordering::Acquire).map(|_| ())
    }

    /// Adds `bits` to an entry, after what this thread did before.
    #[inline]
    pub(crate) fn mark(self, index: usize, bits: u64) {
        self.atomic(index).fetch_or(bits, Ordering::Release);
    }

    /// Changes an entry that a walker may read, and set flags in, at the same time: to what
    /// `change` makes of it, if anything. Says what the entry was before, where it was changed.
    #[inline]
    pub(crate) fn update(self, index: usize, change: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        self.atomic(index).fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).ok()
    }

    /// Whether `count` entries from `index` on are all zero.
    ///
    /// # Safety
    ///
    /// No thread writes entries of the page table at the same time.
    #[inline]
    pub(crate) unsafe fn is_zero_alone(self, index: usize, count: usize) -> bool {
        if count == 1 {
            return self.load(index) == 0;
        }
        let (first, count) = self.run(index, count);
        let mut any = 0;
        for index in first..first + count {
            // SAFETY: `run` keeps the index below the number of entries. The read is plain so that
            // the loop becomes a vector one: nobody on the CPU side writes at the same time (the
            // caller's promise), and a walker changes no zero entry.
            any |= unsafe { self.base.add(index).read() }.entry();
        }
        any == 0
    }

    /// Whether `count` entries from `index` on are all zero, while other threads may write.
    #[inline]
    pub(crate) fn is_zero_shared(self, index: usize, count: usize) -> bool {
        self.live(index, count).iter().fold(0, |any, slot| any | slot.load(Ordering::Relaxed)) == 0
    }

    /// How many of `count` entries from `index` on are zero before the first that is used.
    #[inline]
    pub(crate) fn count_empty(self, index: usize, count: usize) -> usize {
        let slots = self.live(index, count);
        let used = slots.iter().position(|slot| slot.load(Ordering::Relaxed) != 0);
        used.unwrap_or(slots.len())
    }

    /// How many of `count` entries from `index` on are used before the first that is zero.
    #[inline]
    pub(crate) fn count_used(self, index: usize, count: usize) -> usize {
        let (first, count) = self.run(index, count);
        let end = first + count;
        let mut index = first;
        // By eights, so that there is one branch for each of these.
        while index + 8 <= end && (index..index + 8).all(|index| self.load(index) != 0) {
            index += 8;
        }
        while index < end && self.load(index) != 0 {
            index += 1;
        }
        index - first
    }

    /// The first entry from `index` on that is not zero; the number of entries where all are.
    #[inline]
    pub(crate) fn next_used(self, index: usize) -> usize {
        let end = self.entries();
        let mut index = index;
        while index < end {
            let eight = index % 8 == 0 && index + 8 <= end;
            if eight && (index..index + 8).fold(0, |any, index| any | self.load(index)) == 0 {
                index += 8;
            } else if self.load(index) == 0 {
                index += 1;
            } else {
                break;
            }
        }
        index
    }

    /// Empties `count` entries from `index` on of a linked table.
    #[inline]
    pub(crate) fn clear_live(self, index: usize, count: usize) {
        for slot in self.live(index, count) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// `count` entries from `index` on of a table that no walker sees yet.
    #[inline]
    pub(crate) fn fresh<'t>(self, index: usize, count: usize) -> &'t mut [F::Word] {
        let (first, count) = self.run(index, count);
        // SAFETY: `first + count` is at most the number of entries at `base`, and the table is
        // not linked: nobody else touches it (invariant). Callers drop the slice before they touch
        // the table in another way.
        unsafe { core::slice::from_raw_parts_mut(self.base.add(first).as_ptr(), count) }
    }

    /// `count` entries from `index` on of a table that walkers, and other threads, may see.
    #[inline]
    pub(crate) fn live<'t>(self, index: usize, count: usize) -> &'t [Slot<F>] {
        let (first, count) = self.run(index, count);
        // SAFETY: `first + count` is at most the number of entries at `base`, and an atomic word is
        // as large as a plain one; what walkers and other threads do at the same time is met by
        // atomic accesses only (invariant). Callers drop the slice before they return.
        unsafe { core::slice::from_raw_parts(self.base.add(first).as_ptr().cast(), count) }
    }

    /// A run of entries that is surely within the table.
    #[inline]
    fn run(self, index: usize, count: usize) -> (usize, usize) {
        debug_assert!(index + count <= self.entries());
        let first = index & self.mask;
        (first, count.min(self.entries() - first))
    }

    #[inline]
    fn atomic(&self, index: usize) -> &Slot<F> {
        // SAFETY: the slot lies in the table (see `slot`), is aligned, and lives as long as the
        // running method (invariant); all concurrent accesses to it are atomic.
        unsafe { self.slot(index).cast().as_ref() }
    }
}
