//! Unmapping in a banned VM.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use iopgtable::{
    AllocError, Format, Gather, Invalidated, Invalidation, Iova, IovaRange, LAST_LEVEL, Prot,
    ReservedError, TableAllocator, TableCount, TableError,
};

use crate::backing::Backing;
use crate::device::Device;
use crate::space::Mapping;
use crate::spare::Spare;
use crate::vm::{Live, Vm};

/// What a teardown has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the device may still use what was mapped"]
pub enum Teardown<E> {
    /// The device has forgotten what was mapped, and what came loose is free again.
    Forgotten,
    /// Nothing is mapped any more, but the device does not say that it has forgotten it: the
    /// memory that was mapped must not be used otherwise, and tables that came loose stay out of
    /// use until the VM is dropped.
    Unforgotten(E),
}

/// Why a teardown was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TeardownError {
    /// The VM is not banned: submit an unmap.
    NotBanned,
    /// The range is not one that the tables can have. Nothing has changed.
    Table(TableError),
    /// There is no memory to cut the block at this address; what lies below it in the range is
    /// unmapped.
    Memory {
        /// Where.
        at: Iova,
    },
}

impl<F: Format, A: TableAllocator + Clone, D: Device> Vm<F, A, D> {
    /// Unmaps `range` in a banned VM, at once: no jobs run there any more, but what is mapped
    /// must be unmapped, and its backings let go, before the VM can be dropped.
    ///
    /// The device is asked to forget, as it may have come to its senses; see [`Teardown`] for
    /// what holds if it has not. Jobs that the ban dropped have not happened, and so the plan may
    /// have named more, or less, than was mapped: both go.
    ///
    /// Cutting a block takes memory: the VM's spare pages, if there is no other. It may block.
    ///
    /// # Errors
    ///
    /// [`TeardownError`].
    pub fn teardown(&self, range: IovaRange) -> Result<Teardown<D::Error>, TeardownError> {
        let inner = self.inner();
        if !inner.is_banned() {
            return Err(TeardownError::NotBanned);
        }
        // Whatever is still queued fails, and gives its pages back.
        let _ = inner.run();
        let outcome = {
            let mut live = inner.live.lock();
            let Live { table, device, stopped, held, .. } = &mut *live;
            let most = Spare::<A>::most(&inner.geometry);
            let count = TableCount::of(LAST_LEVEL, most as u64);
            let mut pages = match inner.reserver.reserve(&count, range.first(), true) {
                Ok(pages) => pages,
                Err(error) => inner
                    .spare
                    .take_all(&inner.reserver, most)
                    .map_err(|_| TeardownError::Table(error.into()))?,
            };
            let before = pages.remaining();
            let refused = TeardownError::Table(TableError::Alloc(AllocError::WouldBlock));
            let Some(mut reserved) = table.reserved(&mut pages) else { return Err(refused) };
            // A table in the range may hold what the plan does not know of; none around it goes.
            let (gather, end) = match reserved.unmap(range, range) {
                Ok(gather) => (gather, Ok(())),
                Err(ReservedError::Exhausted { at, gather }) => {
                    (gather, Err(TeardownError::Memory { at }))
                }
                Err(ReservedError::Refused(error)) => return Err(TeardownError::Table(error)),
                Err(_) => return Err(refused),
            };
            inner.counters.took(before - pages.remaining());
            inner.spare.put(pages);
            let outcome = match forget(device, range, gather) {
                Ok(loose) => {
                    inner.counters.freed(inner.spare.free(table, loose));
                    inner.freed_some();
                    Teardown::Forgotten
                }
                Err((gather, error)) => {
                    table.quarantine(gather);
                    Teardown::Unforgotten(error)
                }
            };
            end?;
            // What stopped jobs hold is held by itself from now on.
            let mut next = stopped.take();
            while let Some(mut job) = next {
                next = job.next.take();
                let gone = |(range, backing): (_, &Arc<Backing>)| Mapping {
                    range,
                    backing: Arc::clone(backing),
                    offset: 0,
                    prot: Prot::NONE,
                };
                held.extend(job.lets_go().map(gone));
            }
            outcome
        };
        let unmapped = inner.planned.lock().space.unmap(range);
        let parts = unmapped.removed.iter().filter_map(|old| old.mapping.part(range));
        let mut live = inner.live.lock();
        let let_go = match outcome {
            Teardown::Forgotten => {
                let held = core::mem::take(&mut live.held);
                live.held = held.iter().flat_map(|one| around(one, range)).collect();
                held
            }
            Teardown::Unforgotten(_) => {
                live.held.extend(parts);
                Vec::new()
            }
        };
        drop(live);
        // The backings go with these, under no lock.
        drop((unmapped, let_go));
        Ok(outcome)
    }
}

/// Has `device` forget all of `range`, also what it did not forget when it was asked before, and
/// what `gather` names.
fn forget<D: Device>(
    device: &mut D,
    range: IovaRange,
    gather: Gather,
) -> Result<Invalidated, (Gather, D::Error)> {
    let mut all = Invalidation::default();
    (all.leaves, all.walks) = (Some(range), Some(range));
    match device.invalidate(&all) {
        Ok(()) => gather.invalidate(device).map_err(|failed| (failed.gather, failed.error)),
        Err(error) => Err((gather, error)),
    }
}

/// What of `mapping` lies outside of `range`.
fn around(mapping: &Mapping, range: IovaRange) -> impl Iterator<Item = Mapping> {
    let below = range.first().0.checked_sub(1).map(|last| (0, last));
    let above = range.last().0.checked_add(1).map(|first| (first, u64::MAX));
    let sides = [below, above].into_iter().flatten();
    sides.filter_map(|(first, last)| mapping.part(IovaRange::between(Iova(first), Iova(last))))
}

impl<E: fmt::Display> fmt::Display for Teardown<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forgotten => f.write_str("unmapped and forgotten"),
            Self::Unforgotten(error) => write!(f, "unmapped, not forgotten: {error}"),
        }
    }
}

impl fmt::Display for TeardownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBanned => f.write_str("the VM is not banned"),
            Self::Table(error) => error.fmt(f),
            Self::Memory { at } => write!(f, "no memory to cut the block at {at}"),
        }
    }
}

impl core::error::Error for TeardownError {}
