//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::vec::Vec;

use iopgtable::{
    Format, Geometry, Iova, IovaRange, Reservation, Splits, TableAllocator, TableCount, TableError,
};

use crate::device::Device;
use crate::job::{Job, Step};
use crate::plan::Delta;
use crate::reach::Reach;
use crate::refusal::SubmitReason;
use crate::space::{Mapping, Space, Transition};
use crate::timeline::Point;
use crate::vm::{Inner, Op, Planned};

/// Jobs on their way from operations to steps.
///
/// What is not needed beyond that is in the [`Desk`], whose memory is used again and again.
pub(crate) struct Draft<'v, F: Format, A: TableAllocator, D: Device> {
    inner: &'v Inner<F, A, D>,
    pub(crate) planned: &'v mut Planned,
    /// The job that operations are added to.
    steps: Vec<Step>,
    delta: Delta,
    reach: Reach,
    reservation: Reservation<A>,
    /// How many of those pages are the VM's spare ones.
    borrowed: usize,
}

/// What a draft needs besides what it makes. Empty between drafts.
#[derive(Default)]
pub(crate) struct Desk {
    done: Vec<Transition>,
    needs: Vec<Need>,
    pub(crate) jobs: Vec<Job>,
    missing: TableCount,
    freed: TableCount,
}

/// The tables that an operation will find missing.
struct Need {
    job: usize,
    op: usize,
    first: Iova,
    missing: TableCount,
    is_unmap: bool,
}

impl<'v, F: Format, A: TableAllocator + Clone, D: Device> Draft<'v, F, A, D> {
    pub(crate) fn new(
        inner: &'v Inner<F, A, D>,
        planned: &'v mut Planned,
    ) -> Result<Self, SubmitReason> {
        // Nothing, unless a draft has ended in a panic of somebody else's.
        planned.take_back();
        let reservation = inner
            .reserver
            .reserve(&TableCount::ZERO, Iova(0), false)
            .map_err(SubmitReason::Memory)?;
        Ok(Self {
            inner,
            planned,
            steps: Vec::new(),
            delta: Delta::default(),
            reach: Reach::default(),
            reservation,
            borrowed: 0,
        })
    }

    /// Plans one operation.
    pub(crate) fn add(&mut self, op: Op) -> Result<(), SubmitReason> {
        let is_unmap = matches!(op, Op::Unmap { .. });
        let space = &mut self.planned.space;
        let (range, transition) = match op {
            Op::Map { range, backing, offset, prot } => {
                let new = Mapping { range, backing, offset, prot };
                check_map(self.inner, &new)?;
                (range, space.map(new))
            }
            Op::Unmap { range } => {
                self.inner.geometry.check_range(range)?;
                (range, space.unmap(range))
            }
            Op::SyncOnly => {
                self.steps.push(Step::Nothing);
                return Ok(());
            }
        };
        let delta = self.planned.planner.delta(&self.inner.geometry, space, &transition);
        let step = match &transition {
            Transition { inserted: Some(new), removed, .. } if removed.is_empty() => {
                Step::Map(new.clone())
            }
            Transition { inserted: Some(new), .. } => Step::Replace(new.clone()),
            Transition { removed, .. } if removed.is_empty() => Step::Nothing,
            _ => {
                // Tables that jobs of other queues make meanwhile may stand in the hole, but not
                // in the footprint.
                let hole = hole(&self.inner.geometry, space, range);
                let hole = delta.footprint.and_then(|footprint| hole.intersection(footprint));
                Step::Unmap { range, hole: hole.unwrap_or(range) }
            }
        };
        self.planned.desk.done.push(transition);
        if let (Some(block), Splits::Forbidden) = (delta.cut, self.inner.config.splits) {
            return Err(TableError::Split { block }.into());
        }
        if delta.missing != TableCount::ZERO {
            let Desk { needs, jobs, .. } = &mut self.planned.desk;
            let (job, op) = (jobs.len(), self.steps.len());
            let (first, missing) = (range.first(), delta.missing);
            needs.push(Need { job, op, first, missing, is_unmap });
        }
        // Also where it finds nothing: an earlier job may be about to make it so.
        self.reach.add(delta.footprint.unwrap_or(range));
        self.delta.missing += delta.missing;
        self.delta.freed += delta.freed;
        self.delta.footprint = match (self.delta.footprint, delta.footprint) {
            (Some(before), Some(footprint)) => Some(before.hull(footprint)),
            (before, footprint) => before.or(footprint),
        };
        self.steps.push(step);
        Ok(())
    }

    /// The job has no more operations; the next one is another job's.
    pub(crate) fn end_job(&mut self, waits: &[Point], signals: &[Point]) {
        let mut reach = core::mem::take(&mut self.reach);
        reach.seal();
        let (steps, delta) = (core::mem::take(&mut self.steps), core::mem::take(&mut self.delta));
        let desk = &mut self.planned.desk;
        desk.missing += delta.missing;
        desk.freed += delta.freed;
        desk.jobs.push(Job::new(steps, delta, reach, waits, signals));
    }

    /// How many tables all operations will find missing.
    pub(crate) fn missing(&self) -> u64 {
        self.planned.desk.missing.total()
    }

    /// Takes the pages for all operations. An unmap for which the allocator has none gets the
    /// VM's spare ones.
    pub(crate) fn supply(&mut self) -> Result<(), Blame> {
        let Inner { reserver, spare, .. } = self.inner;
        let needs = &self.planned.desk.needs;
        if let Some(need) = needs.iter().find(|need| need.is_unmap) {
            spare.refill(reserver, need.first);
        }
        for need in needs {
            let pages = reserver.reserve(&need.missing, need.first, true).or_else(|error| {
                // CAST: more than fits is more than there is.
                let count = usize::try_from(need.missing.total()).unwrap_or(usize::MAX);
                let spare = need.is_unmap.then(|| spare.take(count)).flatten().ok_or(error)?;
                self.borrowed += count;
                Ok(spare)
            });
            let pages = pages.map_err(|error| Blame {
                job: need.job,
                op: Some(need.op),
                reason: SubmitReason::Memory(error),
            })?;
            // Both are this VM's; were they not, dropping the pages would give them back.
            drop(self.reservation.merge(pages));
        }
        Ok(())
    }

    /// The pages, when all is done. The jobs are for the caller to take from the desk.
    pub(crate) fn finish(self) -> Reservation<A> {
        let Planned { desk, added, gone, .. } = self.planned;
        desk.done.clear();
        desk.needs.clear();
        *added += core::mem::take(&mut desk.missing);
        *gone += core::mem::take(&mut desk.freed);
        self.reservation
    }

    /// Takes all back.
    pub(crate) fn undo(mut self) {
        self.planned.take_back();
        if let Some(borrowed) = self.reservation.split(self.borrowed) {
            self.inner.spare.put(borrowed);
        }
    }
}

impl Planned {
    /// Takes back what is on the desk, the latest first.
    fn take_back(&mut self) {
        let Self { space, desk, .. } = self;
        for transition in desk.done.drain(..).rev() {
            space.undo(transition);
        }
        desk.needs.clear();
        (desk.missing, desk.freed) = (TableCount::ZERO, TableCount::ZERO);
        // What they would have signalled is the caller's again.
        desk.jobs.drain(..).for_each(Job::forget);
    }
}

/// Who is to blame for a refusal, and why.
#[derive(Clone, Copy)]
pub(crate) struct Blame {
    pub(crate) job: usize,
    pub(crate) op: Option<usize>,
    pub(crate) reason: SubmitReason,
}

fn check_map<F: Format, A: TableAllocator, D: Device>(
    inner: &Inner<F, A, D>,
    new: &Mapping,
) -> Result<(), SubmitReason> {
    let Mapping { range, backing, offset, prot } = new;
    let Inner { geometry, config, .. } = inner;
    geometry.check_range(*range)?;
    F::attributes(config.options, *prot)
        .map_err(|reason| TableError::Prot { prot: *prot, reason })?;
    let granule = geometry.granule();
    if offset & (granule - 1) != 0 || !backing.is_aligned(granule) {
        return Err(SubmitReason::BackingAlignment { offset: *offset, granule });
    }
    if offset.checked_add(range.bytes()).is_none_or(|end| end > backing.bytes()) {
        return Err(SubmitReason::BackingBounds {
            offset: *offset,
            bytes: range.bytes(),
            backing: backing.bytes(),
        });
    }
    if backing.last_phys() > geometry.last_phys() {
        return Err(SubmitReason::BackingReach {
            last: backing.last_phys(),
            reach: geometry.last_phys(),
        });
    }
    Ok(())
}

/// The addresses around `range` that `space`, which maps nothing in it, does not map either.
fn hole(geometry: &Geometry, space: &Space, range: IovaRange) -> IovaRange {
    let (below, above) = (space.last_below(range.first()), space.first_above(range.last()));
    let first = below.map_or(geometry.first_iova(), |last| Iova(last.0 + 1));
    let last = above.map_or(geometry.last_iova(), |first| Iova(first.0 - 1));
    IovaRange::between(first, last)
}
