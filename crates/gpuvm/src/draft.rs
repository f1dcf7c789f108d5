//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{
    Format, Geometry, Iova, IovaRange, Prot, Reservation, Splits, TableAllocator, TableCount,
    TableError,
};

use crate::backing::Backing;
use crate::device::Device;
use crate::job::{Act, Job, Jobs, Step};
use crate::plan::{self, Delta};
use crate::reach::Reach;
use crate::refusal::SubmitReason;
use crate::space::{Change, Mapping, Placed, Transition};
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

/// What a draft needs besides what it makes. Empty between drafts.
#[derive(Default)]
pub(crate) struct Desk {
    done: Vec<Done>,
    transitions: Vec<Transition>,
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
    /// By the last of the transitions.
    Changed,
    /// A map has filled the gap from there on.
    Filled(Iova),
    /// Whether this backing was evicted before.
    Marked(Arc<Backing>, bool),
}

impl Desk {
    fn change(&mut self, transition: Transition) {
        self.transitions.push(transition);
        self.done.push(Done::Changed);
    }
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
        let Desk { reach, steps, done, .. } = &mut self.planned.desk;
        push_reach(reach, range);
        steps.push(Step { op: self.ops, act: Act::Map(new) });
        done.push(Done::Filled(range.first()));
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
            desk.change(transition);
            return Err(TableError::Split { block }.into());
        }
        look(&transition);
        let Transition { change, range, .. } = transition;
        if !matches!(change, Change::Evict | Change::Restore) {
            // Also where it finds nothing: an earlier job may be about to make it so. (What an
            // evict or a restore changes lies in the mappings of its backing.)
            let reach = delta.footprint.map_or(range, |footprint| footprint.hull(range));
            push_reach(&mut desk.reach, reach);
        }
        let mut steps = Steps { op: self.ops, steps: &mut desk.steps };
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
            needs.push(Need { job, op, first, missing: *missing, is_unmap });
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
        let mut job = desk.idle.pop().unwrap_or_else(|| Box::new(Job::new()));
        job.ops = core::mem::take(&mut self.ops);
        // Not a step more: jobs may wait for long.
        job.steps.reserve_exact(desk.steps.len());
        job.steps.append(&mut desk.steps);
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
        let Planned { space, desk, added, gone, pages, .. } = self.planned;
        desk.done.clear();
        desk.transitions.drain(..).for_each(|transition| space.settle(transition));
        desk.needs.clear();
        *added += core::mem::take(&mut desk.missing);
        *gone += core::mem::take(&mut desk.freed);
        pages
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

fn push_reach(all: &mut Vec<IovaRange>, reach: IovaRange) {
    if all.last().is_none_or(|last| !last.covers(reach)) {
        all.push(reach);
    }
}

impl<A: TableAllocator> Planned<A> {
    /// What a map that has just filled a gap with `new` does to the tables, found the long way.
    fn delta_of_map(&mut self, geometry: &Geometry, new: &Mapping) -> Delta {
        let Self { space, planner, .. } = self;
        let transition = Transition {
            change: Change::Map,
            range: new.range,
            removed: Vec::new(),
            left: None,
            right: None,
            inserted: Vec::from([Placed::present(new.clone())]),
        };
        planner.delta(geometry, space, &transition)
    }

    /// Takes back what is on the desk, the latest first.
    fn take_back(&mut self) {
        let Self { space, desk, pages, .. } = self;
        pages.free();
        for done in desk.done.drain(..).rev() {
            match done {
                Done::Changed => desk.transitions.pop().into_iter().for_each(|one| space.undo(one)),
                Done::Filled(first) => space.empty(first),
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
