//! What becomes of tables that came loose from a [`PageTable`].

use super::{Loose, PageTable, TableId};
use crate::format::Format;
use crate::gather::{Gather, Invalidate, InvalidateError, Invalidated};
use crate::memory::{Reservation, TableAllocator};

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Has `device` forget what an operation made stale, then frees the tables that came loose,
    /// and says how many they were.
    ///
    /// # Errors
    ///
    /// The device's error with the gather, which may be tried again.
    #[inline]
    pub fn finish<D: Invalidate>(
        &self,
        gather: Gather,
        device: &mut D,
    ) -> Result<usize, InvalidateError<D::Error>> {
        // A copy, so that nothing else of the gather need be in memory.
        let stale = *gather.stale();
        if !stale.is_empty() {
            if let Err(error) = device.invalidate(&stale) {
                return Err(InvalidateError { gather, error });
            }
        }
        Ok(self.free(Invalidated { loose: gather.loose, table: gather.table }))
    }

    /// Gives tables that the device has forgotten back to the allocator, and says how many they
    /// were. Tables of another page table are left alone (and so lost).
    #[inline]
    pub fn free(&self, invalidated: Invalidated) -> usize {
        let Invalidated { loose, table } = invalidated;
        if loose.is_empty() { 0 } else { self.free_loose(loose, table) }
    }

    #[inline(never)]
    fn free_loose(&self, loose: Loose, table: TableId) -> usize {
        if table != self.tree.id {
            return 0;
        }
        // SAFETY: whoever calls this had an `Invalidated`, the proof that no walker reaches them.
        unsafe { loose.free::<F, A>(&self.allocator) }
    }

    /// The same, but pages stay with `reservation` until it holds `target`: for whoever must have
    /// pages that no allocator may have to spare. They count among the tables that came loose.
    pub fn free_into(
        &self,
        invalidated: Invalidated,
        reservation: &mut Reservation<A>,
        target: usize,
    ) -> usize {
        if reservation.table() != self.tree.id {
            return self.free(invalidated);
        }
        if invalidated.table != self.tree.id || invalidated.loose.is_empty() {
            return 0;
        }
        let keep = target.saturating_sub(reservation.remaining());
        // SAFETY: an `Invalidated` is the proof that no walker reaches them.
        // INVARIANT: they come from this table's allocator, of which the reservation has a clone.
        unsafe { invalidated.loose.free_but::<F, A>(&self.allocator, reservation.pages(), keep) }
    }

    /// Keeps the tables of a gather that could not be invalidated out of use until this page table
    /// is dropped, when no device walks it any more. Tables of another page table are left alone.
    pub fn quarantine(&mut self, gather: Gather) {
        if gather.table == self.tree.id {
            self.quarantine.append::<F, A>(&self.allocator, gather.loose);
        }
    }
}
