//! A bind job: planned and supplied when it is submitted, applied when it runs.

use alloc::vec::Vec;

use iopgtable::{
    Format, Gather, Invalidated, Iova, IovaRange, Prot, Reservation, Reserved, ReservedError,
    TableAllocator, TableCount, TableError,
};

use crate::device::Device;
use crate::space::Mapping;
use crate::timeline::{FenceError, Point};

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

/// A queued job.
pub(crate) struct Job<A: TableAllocator> {
    pub(crate) number: u64,
    pub(crate) steps: Vec<Step>,
    /// What the steps will take: exactly what it holds.
    pub(crate) reservation: Reservation<A>,
    /// How many tables the plan says will come loose.
    pub(crate) freed: TableCount,
    /// All addresses that the steps touch.
    pub(crate) footprint: Option<IovaRange>,
    pub(crate) waits: Vec<Point>,
    /// What it signals, the VM's own line last. Whatever is left when the job is dropped is
    /// cancelled.
    pub(crate) signals: Vec<Point>,
    /// Room for what each step leaves, made at submission.
    pub(crate) gathers: Vec<Gather>,
    pub(crate) forgotten: Vec<Invalidated>,
}

/// Why a job stopped in the middle.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    Device(E),
    Refused { step: usize, error: TableError },
    Exhausted { step: usize, at: Iova },
}

impl<A: TableAllocator> Job<A> {
    /// The section that the job's fences wait for. `table` is the page table with this job's
    /// reservation: no page comes from elsewhere, by type. Nothing here allocates.
    pub(crate) fn run<F: Format, D: Device>(
        steps: &[Step],
        table: &mut Reserved<'_, F, A>,
        gathers: &mut Vec<Gather>,
    ) -> Result<(), Stop<D::Error>> {
        for Step { op, act } in steps {
            let step = *op;
            let gather = match act {
                Act::Map(new) => table.map(new.range, new.runs(), new.prot),
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
                gathers.push(gather);
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
        gathers: &mut Vec<Gather>,
        forgotten: &mut Vec<Invalidated>,
        device: &mut D,
    ) -> Result<(), Stop<D::Error>> {
        gathers.reverse();
        while let Some(gather) = gathers.pop() {
            match gather.invalidate(device) {
                Ok(invalidated) => forgotten.push(invalidated),
                Err(failed) => {
                    gathers.push(failed.gather);
                    return Err(Stop::Device(failed.error));
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
}

impl<A: TableAllocator> Drop for Job<A> {
    fn drop(&mut self) {
        self.signal(Err(FenceError::Cancelled));
    }
}
