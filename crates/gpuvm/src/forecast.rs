//! What a submission would do, without doing it.

use alloc::vec::Vec;

use iopgtable::{Format, Geometry, IovaRange, TableAllocator, TableCount};

use crate::device::Device;
use crate::draft::Draft;
use crate::refusal::{SubmitError, SubmitReason};
use crate::space::{Change, Transition};
use crate::vm::{Op, Vm};

/// What a submission would do, as [`Vm::dry_run`] finds it: all its operations together, one after
/// the other. What one makes and a later one removes counts for both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// Old mappings of which nothing is left where they were. One that a protect takes whole is
    /// among them, and inserted with what it allows then.
    pub removed: u64,
    /// Old mappings of which a part stays as it is: below the range, above it, or both.
    pub split: u64,
    /// Mappings that are made: new ones, and what lies inside of the range of a protect or a
    /// split.
    pub inserted: u64,
    /// Mappings that are evicted.
    pub evicted: u64,
    /// Mappings that are restored.
    pub restored: u64,
    /// The leaves of the mappings that are inserted or restored: their size in bytes and how many
    /// there are, the largest size first. What is evicted has none.
    pub leaves: Vec<(u64, u64)>,
    /// Tables that would be reserved.
    pub missing: TableCount,
    /// Tables that would come loose.
    pub freed: TableCount,
    /// The bytes that the allocator would be asked for, and an account charged with.
    pub bytes: u64,
    /// All addresses whose entries or tables would change: what
    /// [`Device::begin`](crate::Device::begin) would be told.
    pub footprint: Option<IovaRange>,
}

impl Forecast {
    fn count(&mut self, geometry: &Geometry, transition: &Transition) {
        let Transition { change, removed, left, right, inserted, .. } = transition;
        let new = inserted.len() as u64;
        match change {
            Change::Evict => self.evicted += new,
            Change::Restore => self.restored += new,
            _ => {
                let split = transition
                    .displaced()
                    .filter(|one| one.left.is_some() || one.right.is_some())
                    .count() as u64;
                debug_assert!(split <= u64::from(left.is_some()) + u64::from(right.is_some()));
                self.split += split;
                self.removed += removed.len() as u64 - split;
                self.inserted += new;
            }
        }
        for new in inserted.iter().filter(|new| !new.is_evicted()) {
            new.mapping.view().count_leaves(geometry, |bytes, leaves| {
                match self.leaves.iter_mut().find(|(size, _)| *size == bytes) {
                    Some((_, count)) => *count += leaves,
                    None => self.leaves.push((bytes, leaves)),
                }
            });
        }
    }
}

impl<F: Format, A: TableAllocator + Clone, D: Device> Vm<F, A, D> {
    /// Says what [`submit`](Self::submit) would do with `ops` now, and changes nothing: no plan,
    /// no reservation, no job. The plan is locked meanwhile.
    ///
    /// ```
    /// use gpuvm::{Backing, Op, Vm};
    /// use iopgtable::memory::Heap;
    /// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment};
    /// use iopgtable::Unwalked;
    ///
    /// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
    /// let backing = Backing::new([Segment::new(PhysAddr(0x8000_0000), 0x40_1000)])?;
    /// let range = IovaRange::new(Iova(0x40_0000), 0x40_1000)?;
    /// let map = Op::Map { range, backing, offset: 0, prot: Prot::RW };
    /// let forecast = vm.dry_run([map])?;
    /// assert_eq!(forecast.leaves, [(2 << 20, 2), (4 << 10, 1)]);
    /// assert_eq!(forecast.missing.total(), 3);
    /// assert_eq!(forecast.bytes, 3 * 4096);
    /// assert!(vm.with_plan(|plan| plan.is_empty()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for `submit`, with the same operation's index; but
    /// [`SubmitReason::Memory`] says only who tries.
    pub fn dry_run(&self, ops: impl IntoIterator<Item = Op>) -> Result<Forecast, SubmitError> {
        let inner = &**self.inner();
        if inner.ban.lock().is_some() {
            return Err(refusal(None, SubmitReason::Banned));
        }
        // As for a submission: the caller's iterator may use this VM.
        let ops: Vec<Op> = ops.into_iter().collect();
        let mut forecast = Forecast::default();
        let mut planned = inner.planned.lock();
        let mut draft = Draft::new(inner, &mut planned);
        for (index, op) in ops.into_iter().enumerate() {
            let counted = draft.plan(op, |transition| forecast.count(&inner.geometry, transition));
            if let Err(reason) = counted {
                draft.undo();
                return Err(refusal(Some(index), reason));
            }
        }
        forecast.missing = draft.missing;
        forecast.freed = draft.freed;
        forecast.footprint = draft.footprint;
        forecast.bytes = forecast.missing.total().saturating_mul(inner.geometry.table_bytes());
        forecast.leaves.sort_unstable_by_key(|&(size, _)| core::cmp::Reverse(size));
        draft.undo();
        Ok(forecast)
    }
}

const fn refusal(op: Option<usize>, reason: SubmitReason) -> SubmitError {
    SubmitError { job: None, op, reason }
}
