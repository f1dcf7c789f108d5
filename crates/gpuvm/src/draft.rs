//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{
    Format, Iova, IovaRange, Prot, Reservation, Splits, TableAllocator, TableCount, TableError,
};

use crate::backing::Backing;
use crate::device::Device;
use crate::job::{Job, Jobs, Step};
use crate::plan::Delta;
use crate::reach::Reach;
use crate::refusal::SubmitReason;
use crate::space::{Change, Mapping, Transition};
use crate::steps::Steps;
use crate::timeline::Point;
use crate::vm::{Inner, Op, Planned};

/// Jobs on their way from operations to steps.
///
/// What is not needed beyond that is in the [`Desk`], whose memory is used again and again.
pub(crate) struct Draft<'v, F: Format, A: TableAllocator, D: Device> {
    inner: &'v Inner<F, A, D>,
    pub(crate) planned: &'v mut Planned,
    /// The operations of the job that they are added to: how many, and what they come to.
    ops: usize,
    pub(crate) delta: Delta,
    reservation: Option<Reservation<A>>,
    /// How many of those pages are the VM's spare ones.
    borrowed: usize,
}

/// What a draft needs besides what it makes. Empty between drafts.
#[derive(Default)]
pub(crate) struct Desk {
    done: Vec<Done>,
    needs: Vec<Need>,
    /// Those of the job that operations are added to: its steps, and what it reaches.
    steps: Vec<Step>,
    reach: Vec<IovaRange>,
    pub(crate) jobs: Jobs,
    /// Jobs that have run, to be used again.
    pub(crate) idle: Jobs,
    missing: TableCount,
    freed: TableCount,
}

/// What has been done to the plan, and can be taken back.
enum Done {
    Changed(Transition),
    /// Whether this backing was evicted before.
    Marked(Arc<Backing>, bool),
}

/// The tables that a transition will find missing.
struct Need {
    job: usize,
    op: usize,
    first: Iova,
    missing: TableCount,
    is_unmap: bool,
}

impl<'v, F: Format, A: TableAllocator + Clone, D: Device> Draft<'v, F, A, D> {
    pub(crate) fn new(inner: &'v Inner<F, A, D>, planned: &'v mut Planned) -> Self {
        // Nothing, unless a draft has ended in a panic of somebody else's.
        planned.take_back();
        Self { inner, planned, ops: 0, delta: Delta::default(), reservation: None, borrowed: 0 }
    }

    /// Plans one operation.
    pub(crate) fn add(&mut self, op: Op) -> Result<(), SubmitReason> {
        self.plan(op, |_| {})
    }

    /// Plans one operation, and shows each transition that it consists of to `look`.
    pub(crate) fn plan(
        &mut self,
        op: Op,
        mut look: impl FnMut(&Transition),
    ) -> Result<(), SubmitReason> {
        let geometry = &self.inner.geometry;
        match op {
            Op::Map { range, backing, offset, prot } => {
                let new = Mapping { range, backing, offset, prot };
                check_map(self.inner, &new)?;
                let transition = self.planned.space.map(new);
                self.settle(transition, &mut look)?;
            }
            Op::Unmap { range } => {
                geometry.check_range(range)?;
                let transition = self.planned.space.unmap(range);
                self.settle(transition, &mut look)?;
            }
            Op::Protect { range, prot } => {
                geometry.check_range(range)?;
                check_prot(self.inner, prot)?;
                let transition = self.planned.space.protect(range, prot);
                self.settle(transition, &mut look)?;
            }
            Op::Split { range } => {
                geometry.check_range(range)?;
                let transition = self.planned.space.split(range);
                self.settle(transition, &mut look)?;
            }
            Op::Evict { backing } => {
                self.meet(&backing);
                self.mark(&backing, true);
                // One after the other: what each finds is what those before it left.
                for run in self.planned.space.runs_of(&backing, false) {
                    if let Some(transition) = self.planned.space.evict(run) {
                        self.settle(transition, &mut look)?;
                    }
                }
            }
            Op::Restore { backing, with } => {
                self.check_restore(&backing, &with)?;
                self.meet(&backing);
                self.meet(&with);
                // `backing` stays as it is if it is another one: its memory may be gone.
                self.mark(&with, false);
                for old in [&backing, &with] {
                    for run in self.planned.space.runs_of(old, true) {
                        if let Some(transition) = self.planned.space.restore(run, &with) {
                            self.settle(transition, &mut look)?;
                        }
                    }
                }
            }
            Op::SyncOnly => {}
        }
        self.ops += 1;
        Ok(())
    }

    /// Whoever touches a mapping of `backing` is kept in order, whether it is to change or not: an
    /// earlier job may be about to change it. So is whoever is still to unmap one that the plan has
    /// no more.
    fn meet(&mut self, backing: &Arc<Backing>) {
        let Planned { space, desk, .. } = &mut *self.planned;
        let Desk { reach, jobs, .. } = desk;
        let shows = |mapping: &&Mapping| Arc::ptr_eq(&mapping.backing, backing);
        reach.extend(space.iter().filter(shows).map(|mapping| mapping.range));
        for (range, gone) in jobs.iter().flat_map(|job| job.lets_go()) {
            if Arc::ptr_eq(gone, backing) {
                reach.push(range);
            }
        }
        self.inner.lanes.lock().let_go(backing, |range| reach.push(range));
    }

    fn mark(&mut self, backing: &Arc<Backing>, is_evicted: bool) {
        let was = self.planned.space.set_evicted(backing, is_evicted);
        self.planned.desk.done.push(Done::Marked(Arc::clone(backing), was));
    }

    /// Finds what `transition`, which the plan has made, does to the tables, and the steps for it.
    fn settle(
        &mut self,
        mut transition: Transition,
        look: &mut impl FnMut(&Transition),
    ) -> Result<(), SubmitReason> {
        let Planned { space, planner, desk, .. } = &mut *self.planned;
        let geometry = &self.inner.geometry;
        let delta = planner.delta(geometry, space, &transition);
        if let (Some(block), Splits::Forbidden) = (delta.cut, self.inner.config.splits) {
            desk.done.push(Done::Changed(transition));
            return Err(TableError::Split { block }.into());
        }
        look(&transition);
        let Transition { change, range, .. } = transition;
        if delta.missing != TableCount::ZERO {
            desk.needs.push(Need {
                job: desk.jobs.len(),
                op: self.ops,
                first: range.first(),
                missing: delta.missing,
                is_unmap: change == Change::Unmap,
            });
        }
        if !matches!(change, Change::Evict | Change::Restore) {
            // Also where it finds nothing: an earlier job may be about to make it so. (What an
            // evict or a restore changes lies in the mappings of its backing.)
            let reach = delta.footprint.map_or(range, |footprint| footprint.hull(range));
            if desk.reach.last().is_none_or(|last| !last.covers(reach)) {
                desk.reach.push(reach);
            }
        }
        let mut steps = Steps { op: self.ops, steps: &mut desk.steps };
        steps.add(geometry, &mut transition, &delta);
        self.delta.append(&delta);
        desk.done.push(Done::Changed(transition));
        Ok(())
    }

    fn check_restore(
        &self,
        backing: &Arc<Backing>,
        with: &Arc<Backing>,
    ) -> Result<(), SubmitReason> {
        if !self.planned.space.is_evicted(backing) {
            return Err(SubmitReason::NotEvicted);
        }
        if (backing.bytes(), backing.period()) != (with.bytes(), with.period()) {
            return Err(SubmitReason::RestoreLength { old: backing.bytes(), new: with.bytes() });
        }
        check_backing(self.inner, with, 0)
    }

    /// The job has no more operations; the next one is another job's.
    pub(crate) fn end_job(&mut self, waits: &[Point], signals: &[Point]) {
        let delta = core::mem::take(&mut self.delta);
        let desk = &mut self.planned.desk;
        let mut job = desk.idle.pop().unwrap_or_else(|| Box::new(Job::new()));
        job.ops = core::mem::take(&mut self.ops);
        // Not a step more: jobs may wait for long.
        job.steps.reserve_exact(desk.steps.len());
        job.steps.append(&mut desk.steps);
        (job.missing, job.freed) = (delta.missing.total(), delta.freed.total());
        job.footprint = delta.footprint;
        job.reach = Reach::new(&mut desk.reach);
        job.tie(waits, signals);
        desk.missing += delta.missing;
        desk.freed += delta.freed;
        desk.jobs.push(job);
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
            match &mut self.reservation {
                // Both are this VM's; were they not, dropping the pages would give them back.
                Some(reservation) => drop(reservation.merge(pages)),
                None => self.reservation = Some(pages),
            }
        }
        Ok(())
    }

    /// The pages, when all is done. The jobs are for the caller to take from the desk.
    pub(crate) fn finish(self) -> Option<Reservation<A>> {
        let Planned { space, desk, added, gone, .. } = self.planned;
        for done in desk.done.drain(..) {
            if let Done::Changed(transition) = done {
                space.settle(transition);
            }
        }
        desk.needs.clear();
        *added += core::mem::take(&mut desk.missing);
        *gone += core::mem::take(&mut desk.freed);
        self.reservation
    }

    /// Takes all back.
    pub(crate) fn undo(mut self) {
        self.planned.take_back();
        let borrowed = self.reservation.as_mut().and_then(|pages| pages.split(self.borrowed));
        if let Some(pages) = borrowed {
            self.inner.spare.put(pages);
        }
    }
}

impl Planned {
    /// Takes back what is on the desk, the latest first.
    fn take_back(&mut self) {
        let Self { space, desk, .. } = self;
        for done in desk.done.drain(..).rev() {
            match done {
                Done::Changed(transition) => space.undo(transition),
                Done::Marked(backing, was) => {
                    space.set_evicted(&backing, was);
                }
            }
        }
        desk.needs.clear();
        desk.steps.clear();
        desk.reach.clear();
        (desk.missing, desk.freed) = (TableCount::ZERO, TableCount::ZERO);
        // What they would have signalled is the caller's again.
        desk.jobs.drain(..).for_each(|mut job| job.clear());
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
    inner.geometry.check_range(*range)?;
    check_prot(inner, *prot)?;
    check_backing(inner, backing, *offset)?;
    let fits = offset.checked_add(range.bytes()).is_some_and(|end| end <= backing.bytes());
    if !fits && backing.period().is_none() {
        return Err(SubmitReason::BackingBounds {
            offset: *offset,
            bytes: range.bytes(),
            backing: backing.bytes(),
        });
    }
    Ok(())
}

fn check_prot<F: Format, A: TableAllocator, D: Device>(
    inner: &Inner<F, A, D>,
    prot: Prot,
) -> Result<(), SubmitReason> {
    F::attributes(inner.config.options, prot)
        .map(drop)
        .map_err(|reason| TableError::Prot { prot, reason }.into())
}

fn check_backing<F: Format, A: TableAllocator, D: Device>(
    inner: &Inner<F, A, D>,
    backing: &Backing,
    offset: u64,
) -> Result<(), SubmitReason> {
    let geometry = &inner.geometry;
    let granule = geometry.granule();
    if offset & (granule - 1) != 0 || !backing.is_aligned(granule) {
        return Err(SubmitReason::BackingAlignment { offset, granule });
    }
    // Mappings are cut at will, so leaves of every size have to lead there.
    if backing.last_phys() > geometry.last_narrow_phys() {
        return Err(SubmitReason::BackingReach {
            last: backing.last_phys(),
            reach: geometry.last_narrow_phys(),
        });
    }
    Ok(())
}
