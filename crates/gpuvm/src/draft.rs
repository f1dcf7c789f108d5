//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::sync::Arc;

use iopgtable::{
    Format, Iova, IovaRange, Prot, Reservation, Splits, TableAllocator, TableCount, TableError,
};

use crate::backing::Backing;
use crate::desk::{Desk, Need};
use crate::device::Device;
use crate::job::{Act, Step, push};
use crate::plan::{self, Delta};
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
    pub(crate) planned: &'v mut Planned<A>,
    /// The operations of the job that they are added to: how many, and what they come to.
    ops: usize,
    pub(crate) missing: TableCount,
    pub(crate) freed: TableCount,
    pub(crate) footprint: Option<IovaRange>,
    /// How many of the pages that it has taken are the VM's spare ones.
    borrowed: usize,
}

impl<'v, F: Format, A: TableAllocator + Clone, D: Device> Draft<'v, F, A, D> {
    pub(crate) fn new(inner: &'v Inner<F, A, D>, planned: &'v mut Planned<A>) -> Self {
        // Nothing, unless a draft has ended in a panic of somebody else's.
        planned.take_back();
        let none = TableCount::ZERO;
        Self { inner, planned, ops: 0, missing: none, freed: none, footprint: None, borrowed: 0 }
    }

    /// Plans one operation.
    pub(crate) fn add(&mut self, op: Op) -> Result<(), SubmitReason> {
        match op {
            Op::Map { range, backing, offset, prot } => {
                self.map(Mapping { range, backing, offset, prot })
            }
            other => self.plan(other, |_| {}),
        }
    }

    /// Plans a map: the short way where nothing is mapped.
    fn map(&mut self, mut new: Mapping) -> Result<(), SubmitReason> {
        let space = &self.planned.space;
        let gap = space.gap(new.range).filter(|_| !space.is_evicted(&new.backing));
        let Some(gap) = gap else {
            let Mapping { range, backing, offset, prot } = new;
            return self.plan(Op::Map { range, backing, offset, prot }, |_| {});
        };
        check_map(self.inner, &new)?;
        new.offset = new.backing.offset_above(new.offset, 0);
        let range = new.range;
        let missing = plan::missing_in_gap(&self.inner.geometry, &new, gap);
        self.planned.space.fill(new.clone(), gap);
        debug_assert_eq!(
            Delta { missing, footprint: Some(range), ..Delta::default() },
            self.planned.delta_of_map(&self.inner.geometry, &new),
        );
        self.need(range.first(), Change::Map, &missing);
        self.missing += missing;
        self.touch(range);
        let desk = &mut self.planned.desk;
        desk.reach(range);
        push(desk.steps(), Step { op: self.ops, act: Act::Map(new) });
        desk.fill(range.first());
        self.ops += 1;
        Ok(())
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
        self.planned.desk.mark(Arc::clone(backing), was);
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
            desk.change(transition);
            return Err(TableError::Split { block }.into());
        }
        look(&transition);
        let Transition { change, range, .. } = transition;
        if !matches!(change, Change::Evict | Change::Restore) {
            // Also where it finds nothing: an earlier job may be about to make it so. (What an
            // evict or a restore changes lies in the mappings of its backing.)
            let reach = delta.footprint.map_or(range, |footprint| footprint.hull(range));
            desk.reach(reach);
        }
        let mut steps = Steps { op: self.ops, steps: desk.steps() };
        steps.add(geometry, &mut transition, &delta);
        desk.change(transition);
        self.need(range.first(), change, &delta.missing);
        self.missing += delta.missing;
        self.freed += delta.freed;
        if let Some(footprint) = delta.footprint {
            self.touch(footprint);
        }
        Ok(())
    }

    fn touch(&mut self, range: IovaRange) {
        self.footprint = Some(self.footprint.map_or(range, |before| before.hull(range)));
    }

    /// Notes the tables that a change from `first` on will find missing.
    fn need(&mut self, first: Iova, change: Change, missing: &TableCount) {
        let Desk { needs, jobs, .. } = &mut self.planned.desk;
        if *missing != TableCount::ZERO {
            let (job, op, is_unmap) = (jobs.len(), self.ops, change == Change::Unmap);
            push(needs, Need { job, op, first, missing: *missing, is_unmap });
        }
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
        let missing = core::mem::take(&mut self.missing);
        let freed = core::mem::take(&mut self.freed);
        let desk = &mut self.planned.desk;
        let mut job = desk.take_job();
        job.ops = core::mem::take(&mut self.ops);
        job.end_steps();
        (job.missing, job.freed) = (missing.total(), freed.total());
        job.footprint = self.footprint.take();
        job.reach = Reach::new(&mut desk.reach);
        job.tie(waits, signals);
        desk.missing += missing;
        desk.freed += freed;
        desk.jobs.push(job);
    }

    /// How many tables all operations will find missing.
    pub(crate) fn all_missing(&self) -> u64 {
        self.planned.desk.missing.total()
    }

    /// Takes the pages for all operations. An unmap for which the allocator has none gets the
    /// VM's spare ones.
    pub(crate) fn supply(&mut self) -> Result<(), Blame> {
        let Inner { reserver, spare, .. } = self.inner;
        let Planned { desk: Desk { needs, .. }, pages, .. } = &mut *self.planned;
        if let Some(need) = needs.iter().find(|need| need.is_unmap) {
            spare.refill(reserver, need.first);
        }
        for need in needs {
            let Err(error) = pages.reserve(&need.missing, need.first, true) else { continue };
            // CAST: more than fits is more than there is.
            let count = usize::try_from(need.missing.total()).unwrap_or(usize::MAX);
            let reason = SubmitReason::Memory(error);
            let blame = Blame { job: need.job, op: Some(need.op), reason };
            let mut borrowed = need.is_unmap.then(|| spare.take(count)).flatten().ok_or(blame)?;
            // Both are this VM's.
            let _ = pages.take_all(&mut borrowed);
            self.borrowed += count;
        }
        Ok(())
    }

    /// All is done: the pages, for whoever takes the jobs from the desk.
    pub(crate) fn finish(self) -> &'v mut Reservation<A> {
        self.planned.settle();
        &mut self.planned.pages
    }

    /// Takes all back.
    pub(crate) fn undo(self) {
        if self.borrowed > 0 {
            if let Some(borrowed) = self.planned.pages.split(self.borrowed) {
                self.inner.spare.put(borrowed);
            }
        }
        self.planned.take_back();
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
