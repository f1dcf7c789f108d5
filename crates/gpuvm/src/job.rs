//! A bind job: planned and supplied when it is submitted, applied when it runs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{
    Format, Gather, Invalidated, Iova, IovaRange, Prot, Reserved, ReservedError, TableAllocator,
    TableError,
};

use crate::backing::Backing;
use crate::device::Device;
use crate::flight::Flight;
use crate::lanes::{Blocker, QueueId};
use crate::reach::Reach;
use crate::space::Mapping;
use crate::timeline::{FenceError, Point, Timeline, Wait};

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
    /// Unmap a range in a hole. If all of it showed one backing, that one is held here.
    Unmap { range: IovaRange, hole: IovaRange, of: Option<Arc<Backing>> },
    /// Change what a range allows; leaves that stick out of it are split.
    Protect { range: IovaRange, prot: Prot },
    /// Remove leaves and keep their tables.
    Clear(IovaRange),
    /// Nothing more: other steps unmap this. It is held until the job has run.
    LetGo(Mapping),
}

/// A queued job. Its pages are in the VM's pool.
///
/// Jobs that have run are used again, with the memory that they have.
pub(crate) struct Job {
    /// Its number among all jobs of the VM, and among those of its queue.
    pub(crate) number: u64,
    pub(crate) queue: QueueId,
    pub(crate) place: u64,
    /// Its queue's line, on which it signals its place, while it is queued.
    pub(crate) line: Option<Timeline>,
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
    /// What it has in flight.
    pub(crate) flight: Option<Flight>,
    /// What many jobs have none of.
    pub(crate) ties: Option<Box<Ties>>,
    /// The next one of a list that took no memory to make.
    pub(crate) next: Option<Box<Job>>,
}

/// How long a list is that grows by one at a time, and whose memory a job keeps when it has run.
const FEW: usize = 4;

/// Adds to a list that mostly has one element: a short one takes no more memory than it needs.
pub(crate) fn push<T>(list: &mut Vec<T>, one: T) {
    if list.len() == list.capacity() && list.len() < FEW {
        list.reserve_exact(1);
    }
    list.push(one);
}

/// A list of jobs.
pub(crate) type Jobs = Vec<Box<Job>>;

/// What ties a job to others.
#[derive(Default)]
pub(crate) struct Ties {
    /// The jobs of other queues that must have run before.
    pub(crate) blockers: Vec<Blocker>,
    pub(crate) waits: Vec<Wait>,
    /// What it signals besides its queue's own line. Whatever is left when the job is dropped is
    /// cancelled.
    pub(crate) signals: Vec<Point>,
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

/// Room for what the steps of a job leave, made at submission; empty between jobs.
#[derive(Default)]
pub(crate) struct Room {
    pub(crate) gathers: Vec<(usize, Gather)>,
    pub(crate) forgotten: Vec<Invalidated>,
}

impl Room {
    pub(crate) fn new(steps: usize) -> Self {
        Self { gathers: Vec::with_capacity(steps), forgotten: Vec::with_capacity(steps) }
    }

    /// The section that a job's fences wait for. `table` is the page table with the VM's pool of
    /// reserved pages: none comes from elsewhere, by type. Nothing here allocates.
    pub(crate) fn run<F: Format, A: TableAllocator, D: Device>(
        &mut self,
        steps: &[Step],
        table: &mut Reserved<'_, F, A>,
    ) -> Result<(), Stop<D::Error>> {
        for Step { op, act } in steps {
            let step = *op;
            let gather = match act {
                Act::Map(new) => match new.segments() {
                    Some(part) => table.map(new.range, part, new.prot),
                    None => table.map(new.range, new.runs(), new.prot),
                },
                Act::Replace(new) => match new.segments() {
                    Some(part) => table.replace(new.range, part, new.prot),
                    None => table.replace(new.range, new.runs(), new.prot),
                },
                Act::Unmap { range, hole, .. } => table.unmap(*range, *hole),
                Act::Protect { range, prot } => table.protect(*range, *prot),
                Act::Clear(range) => table.clear(*range),
                Act::LetGo(_) => continue,
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
                self.gathers.push((step, gather));
            }
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Has `device` forget what the steps made stale, in their order. Where it does not, `gathers`
    /// keeps what it has not forgotten.
    pub(crate) fn invalidate<D: Device>(&mut self, device: &mut D) -> Result<(), Stop<D::Error>> {
        let Self { gathers, forgotten } = self;
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
}

impl Job {
    /// A job that does nothing.
    pub(crate) fn new() -> Self {
        Self {
            number: 0,
            queue: QueueId::NONE,
            place: 0,
            line: None,
            ops: 0,
            steps: Vec::new(),
            missing: 0,
            freed: 0,
            footprint: None,
            reach: Reach::default(),
            flight: None,
            ties: None,
            next: None,
        }
    }

    /// What it waits for, and signals besides its queue's own line.
    pub(crate) fn tie(&mut self, waits: &[Point], signals: &[Point]) {
        if !waits.is_empty() || !signals.is_empty() {
            let ties = self.ties.get_or_insert_default();
            ties.waits.extend(waits.iter().cloned().map(Wait::new));
            ties.signals.extend_from_slice(signals);
        }
    }

    /// It has no more steps, and keeps no room for any: jobs may wait for long.
    pub(crate) fn end_steps(&mut self) {
        if self.steps.capacity() > FEW {
            self.steps.shrink_to_fit();
        }
    }

    /// What it unmaps, and where.
    pub(crate) fn lets_go(&self) -> impl Iterator<Item = (IovaRange, &Arc<Backing>)> {
        self.steps.iter().filter_map(|step| match &step.act {
            Act::Unmap { range, of: Some(backing), .. } => Some((*range, backing)),
            Act::LetGo(mapping) => Some((mapping.range, &mapping.backing)),
            _ => None,
        })
    }

    pub(crate) fn signal(&mut self, outcome: Result<(), FenceError>) {
        let signal = |point: &Point| match outcome {
            Ok(()) => point.signal(),
            Err(error) => point.fail(error),
        };
        if let Some(ties) = &mut self.ties {
            ties.signals.drain(..).for_each(|point| signal(&point));
        }
        if let Some(line) = self.line.take() {
            signal(&line.into_point(self.place));
        }
    }

    /// Nothing of it is in flight any more.
    pub(crate) fn land(&mut self) {
        self.flight = None;
    }

    /// Makes it a job that was never queued: its points are as they were. It keeps memory for a few
    /// steps.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        if self.steps.capacity() > FEW {
            self.steps = Vec::new();
        }
        self.reach = Reach::default();
        self.line = None;
        self.land();
        if let Some(Ties { blockers, waits, signals }) = self.ties.as_deref_mut() {
            blockers.clear();
            waits.clear();
            signals.clear();
            if blockers.capacity().max(waits.capacity()).max(signals.capacity()) > FEW {
                self.ties = None;
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.signal(Err(FenceError::Cancelled));
        // One after the other: a list may be long.
        let mut next = self.next.take();
        while let Some(mut job) = next {
            next = job.next.take();
        }
    }
}
