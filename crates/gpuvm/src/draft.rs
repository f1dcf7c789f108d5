//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{Format, Iova, Prot, Reservation, Splits, TableAllocator, TableCount, TableError};

use crate::backing::Backing;
use crate::device::Device;
use crate::job::{Job, Step};
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
    /// The job that operations are added to: how many it has, and what they come to.
    ops: usize,
    steps: Vec<Step>,
    pub(crate) delta: Delta,
    reach: Reach,
    reservation: Reservation<A>,
    /// How many of those pages are the VM's spare ones.
    borrowed: usize,
}

/// What a draft needs besides what it makes. Empty between drafts.
#[derive(Default)]
pub(crate) struct Desk {
    done: Vec<Done>,
    needs: Vec<Need>,
    pub(crate) jobs: Vec<Job>,
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
            ops: 0,
            steps: Vec::new(),
            delta: Delta::default(),
            reach: Reach::default(),
            reservation,
            borrowed: 0,
        })
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
    /// earlier job may be about to change it.
    fn meet(&mut self, backing: &Arc<Backing>) {
        let shows = |mapping: &&Mapping| Arc::ptr_eq(&mapping.backing, backing);
        for mapping in self.planned.space.iter().filter(shows) {
            self.reach.add(mapping.range);
        }
    }

    fn mark(&mut self, backing: &Arc<Backing>, is_evicted: bool) {
        let was = self.planned.space.set_evicted(backing, is_evicted);
        self.planned.desk.done.push(Done::Marked(Arc::clone(backing), was));
    }

    /// Finds what `transition`, which the plan has made, does to the tables, and the steps for it.
    fn settle(
        &mut self,
        transition: Transition,
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
            self.reach.add(delta.footprint.map_or(range, |footprint| footprint.hull(range)));
        }
        let mut steps = Steps { op: self.ops, steps: &mut self.steps };
        steps.add(geometry, &transition, &delta);
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
        let mut reach = core::mem::take(&mut self.reach);
        reach.seal();
        let (steps, delta) = (core::mem::take(&mut self.steps), core::mem::take(&mut self.delta));
        let ops = core::mem::take(&mut self.ops);
        let desk = &mut self.planned.desk;
        desk.missing += delta.missing;
        desk.freed += delta.freed;
        desk.jobs.push(Job::new(ops, steps, &delta, reach, waits, signals));
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
        for done in desk.done.drain(..).rev() {
            match done {
                Done::Changed(transition) => space.undo(transition),
                Done::Marked(backing, was) => {
                    space.set_evicted(&backing, was);
                }
            }
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
    if backing.last_phys() > geometry.last_phys() {
        return Err(SubmitReason::BackingReach {
            last: backing.last_phys(),
            reach: geometry.last_phys(),
        });
    }
    Ok(())
}
