//! A bind job: planned and supplied when it is submitted, applied when it runs.

use alloc::vec::Vec;

use iopgtable::{
    Format, Gather, Invalidated, IovaRange, Reservation, Reserved, ReservedError, TableAllocator,
    TableCount,
};

use crate::device::Device;
use crate::space::Mapping;
use crate::timeline::{FenceError, Point};

/// What is left to do of an operation when all decisions are made.
#[derive(Debug)]
pub(crate) enum Step {
    /// Map where nothing is mapped.
    Map(Mapping),
    /// Map in place of what is mapped.
    Replace(Mapping),
    /// Unmap a range in a hole.
    Unmap { range: IovaRange, hole: IovaRange },
    /// Nothing: the operation found nothing to unmap, or only synchronises.
    Nothing,
}

impl Step {
    fn range(&self) -> Option<IovaRange> {
        match self {
            Self::Map(mapping) | Self::Replace(mapping) => Some(mapping.range),
            Self::Unmap { range, .. } => Some(*range),
            Self::Nothing => None,
        }
    }
}

/// A queued job.
pub(crate) struct Job<A: TableAllocator> {
    pub(crate) number: u64,
    pub(crate) steps: Vec<Step>,
    /// What the steps will take: exactly what it holds.
    pub(crate) reservation: Reservation<A>,
    /// How many tables the plan says will come loose.
    pub(crate) freed: TableCount,
    pub(crate) waits: Vec<Point>,
    pub(crate) signals: Vec<Point>,
    /// Room for what each step leaves, made at submission.
    pub(crate) gathers: Vec<Gather>,
    pub(crate) forgotten: Vec<Invalidated>,
}

/// Why a job stopped in the middle.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    Device { step: Option<usize>, error: E },
    Plan { step: usize, error: ReservedError },
}

impl<A: TableAllocator> Job<A> {
    /// All addresses that the job touches.
    pub(crate) fn footprint(&self) -> Option<IovaRange> {
        self.steps
            .iter()
            .filter_map(Step::range)
            .reduce(IovaRange::hull)
    }

    /// The section that the job's fences wait for. `table` is the page table with this job's
    /// reservation: no page comes from elsewhere, by type. Nothing here allocates.
    pub(crate) fn run<F: Format, D: Device>(
        steps: &[Step],
        table: &mut Reserved<'_, F, A>,
        gathers: &mut Vec<Gather>,
    ) -> Result<(), Stop<D::Error>> {
        for (step, what) in steps.iter().enumerate() {
            let gather = match what {
                Step::Map(new) => table.map(new.range, new.runs(), new.prot),
                Step::Replace(new) => table.replace(new.range, new.runs(), new.prot),
                Step::Unmap { range, hole } => table.unmap(*range, *hole),
                Step::Nothing => continue,
            };
            let gather = gather.map_err(|error| Stop::Plan { step, error })?;
            if !gather.is_empty() {
                gathers.push(gather);
            }
        }
        Ok(())
    }

    /// Has `device` forget what the steps made stale.
    pub(crate) fn invalidate<D: Device>(
        gathers: &mut Vec<Gather>,
        forgotten: &mut Vec<Invalidated>,
        device: &mut D,
    ) -> Result<(), Stop<D::Error>> {
        for gather in gathers.drain(..) {
            match gather.invalidate(device) {
                Ok(invalidated) => forgotten.push(invalidated),
                // The tables that came loose stay out of use for good: the device may walk them.
                Err(failed) => {
                    return Err(Stop::Device {
                        step: None,
                        error: failed.error,
                    });
                }
            }
        }
        Ok(())
    }

    pub(crate) fn signal(&self, outcome: Result<(), FenceError>) {
        for point in &self.signals {
            match outcome {
                Ok(()) => point.signal(),
                Err(error) => point.fail(error),
            }
        }
    }
}
