//! A bind job: planned and supplied when it is submitted, applied when it runs.

use alloc::vec::Vec;

use iopgtable::{
    Format, Gather, Invalidated, Iova, IovaRange, Prot, Reserved, ReservedError, TableAllocator,
    TableError,
};

use crate::device::Device;
use crate::flight::Flight;
use crate::lanes::{Blocker, QueueId};
use crate::plan::Delta;
use crate::reach::Reach;
use crate::space::Mapping;
use crate::timeline::{FenceError, Point, Wait};

/// What is left to do when all decisions are made: one change of the tables.
#[derive(Debug)]
pub(crate) struct Step {
    /// The operation that it belongs to. One may take several steps, or none.
    pub(crate) op: usize,
    pub(crate) act: Act,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Act {
    /// Map where nothing is mapped.
    Map(Mapping),
    /// Map in place of what is mapped.
    Replace(Mapping),
    /// Unmap a range in a hole.
    Unmap { range: IovaRange, hole: IovaRange },
    /// Change what a range allows; leaves that stick out of it are split.
    Protect { range: IovaRange, prot: Prot },
    /// Remove leaves and keep their tables.
    Clear(IovaRange),
}

/// A queued job. Its pages are in the VM's pool.
pub(crate) struct Job {
    /// Its number among all jobs of the VM, and among those of its queue.
    pub(crate) number: u64,
    pub(crate) queue: QueueId,
    pub(crate) place: u64,
    /// How many operations it has.
    pub(crate) ops: usize,
    pub(crate) steps: Vec<Step>,
    /// How many tables it installs, unless one of two jobs that need the same overtakes the other.
    pub(crate) missing: u64,
    /// How many tables come loose, whatever overtakes what.
    pub(crate) freed: u64,
    /// All addresses whose entries or tables the steps change.
    pub(crate) footprint: Option<IovaRange>,
    pub(crate) reach: Reach,
    /// The jobs of other queues that must have run before.
    pub(crate) blockers: Vec<Blocker>,
    pub(crate) waits: Vec<Wait>,
    /// What it signals, its queue's own line last. Whatever is left when the job is dropped is
    /// cancelled.
    pub(crate) signals: Vec<Point>,
    /// Room for what each step leaves, made at submission.
    pub(crate) gathers: Vec<(usize, Gather)>,
    pub(crate) forgotten: Vec<Invalidated>,
    /// What it has in flight.
    pub(crate) flight: Option<Flight>,
}

/// Why a job stopped in the middle.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    Device { step: Option<usize>, error: E },
    Refused { step: usize, error: TableError },
    Exhausted { step: usize, at: Iova },
}

impl<E> Stop<E> {
    /// At which operation.
    pub(crate) const fn step(&self) -> Option<usize> {
        match self {
            Self::Device { step, .. } => *step,
            Self::Refused { step, .. } | Self::Exhausted { step, .. } => Some(*step),
        }
    }
}

impl Job {
    pub(crate) fn new(
        ops: usize,
        steps: Vec<Step>,
        delta: &Delta,
        reach: Reach,
        waits: &[Point],
        signals: &[Point],
    ) -> Self {
        let count = steps.len();
        let mut all_signals = Vec::with_capacity(signals.len() + 1);
        all_signals.extend_from_slice(signals);
        Self {
            number: 0,
            queue: QueueId::NONE,
            place: 0,
            ops,
            steps,
            missing: delta.missing.total(),
            freed: delta.freed.total(),
            footprint: delta.footprint,
            reach,
            blockers: Vec::new(),
            waits: waits.iter().cloned().map(Wait::new).collect(),
            signals: all_signals,
            gathers: Vec::with_capacity(count),
            forgotten: Vec::with_capacity(count),
            flight: None,
        }
    }

    /// The section that the job's fences wait for. `table` is the page table with the VM's pool of
    /// reserved pages: none comes from elsewhere, by type. Nothing here allocates.
    pub(crate) fn run<F: Format, A: TableAllocator, D: Device>(
        steps: &[Step],
        table: &mut Reserved<'_, F, A>,
        gathers: &mut Vec<(usize, Gather)>,
    ) -> Result<(), Stop<D::Error>> {
        for Step { op, act } in steps {
            let step = *op;
            let gather = match act {
                Act::Map(new) if new.backing.period().is_none() => {
                    table.map(new.range, new.segments(), new.prot)
                }
                Act::Map(new) => table.map(new.range, new.runs(), new.prot),
                Act::Replace(new) if new.backing.period().is_none() => {
                    table.replace(new.range, new.segments(), new.prot)
                }
                Act::Replace(new) => table.replace(new.range, new.runs(), new.prot),
                Act::Unmap { range, hole } => table.unmap(*range, *hole),
                Act::Protect { range, prot } => table.protect(*range, *prot),
                Act::Clear(range) => table.clear(*range),
            };
            let (gather, stop) = match gather {
                Ok(gather) => (gather, None),
                Err(ReservedError::Exhausted { at, gather }) => {
                    (gather, Some(Stop::Exhausted { step, at }))
                }
                Err(ReservedError::Refused(error)) => return Err(Stop::Refused { step, error }),
                Err(_) => return Err(Stop::Exhausted { step, at: Iova(0) }),
            };
            if !gather.is_empty() {
                gathers.push((step, gather));
            }
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Has `device` forget what the steps made stale, in their order. Where it does not, `gathers`
    /// keeps what it has not forgotten.
    pub(crate) fn invalidate<D: Device>(
        gathers: &mut Vec<(usize, Gather)>,
        forgotten: &mut Vec<Invalidated>,
        device: &mut D,
    ) -> Result<(), Stop<D::Error>> {
        gathers.reverse();
        while let Some((step, gather)) = gathers.pop() {
            match gather.invalidate(device) {
                Ok(invalidated) => forgotten.push(invalidated),
                Err(failed) => {
                    gathers.push((step, failed.gather));
                    return Err(Stop::Device { step: Some(step), error: failed.error });
                }
            }
        }
        Ok(())
    }

    pub(crate) fn signal(&mut self, outcome: Result<(), FenceError>) {
        for point in self.signals.drain(..) {
            match outcome {
                Ok(()) => point.signal(),
                Err(error) => point.fail(error),
            }
        }
    }

    /// Nothing of it is in flight any more.
    pub(crate) fn land(&mut self) {
        self.flight = None;
    }

    /// Drops a job that was never queued: its points are as they were.
    pub(crate) fn forget(mut self) {
        self.signals.clear();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.signal(Err(FenceError::Cancelled));
    }
}
