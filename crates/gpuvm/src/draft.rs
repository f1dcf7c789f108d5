//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{Format, Iova, Prot, Reservation, Splits, TableAllocator, TableCount, TableError};

use crate::backing::Backing;
use crate::device::Device;
use crate::job::Step;
use crate::plan::Delta;
use crate::refusal::{SubmitError, SubmitReason};
use crate::space::{Mapping, Transition};
use crate::steps::Steps;
use crate::vm::{Inner, Op, Planned};

/// A job on its way from operations to steps.
pub(crate) struct Draft<'v, F: Format, A: TableAllocator, D: Device> {
    inner: &'v Inner<F, A, D>,
    planned: &'v mut Planned,
    done: Vec<Done>,
    /// How many operations it has.
    pub(crate) ops: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) reservation: Reservation<A>,
    pub(crate) delta: Delta,
}

/// What has been done to the plan, and can be taken back.
enum Done {
    Changed(Transition),
    /// Whether this backing was evicted before.
    Marked(Arc<Backing>, bool),
}

impl<'v, F: Format, A: TableAllocator + Clone, D: Device> Draft<'v, F, A, D> {
    pub(crate) fn new(
        inner: &'v Inner<F, A, D>,
        planned: &'v mut Planned,
    ) -> Result<Self, SubmitError> {
        let reservation = inner
            .reserver
            .reserve(&TableCount::ZERO, Iova(0), false)
            .map_err(|error| SubmitError { op: None, reason: SubmitReason::Memory(error) })?;
        Ok(Self {
            inner,
            planned,
            done: Vec::new(),
            ops: 0,
            steps: Vec::new(),
            reservation,
            delta: Delta::default(),
        })
    }

    /// Plans one operation and takes its tables.
    pub(crate) fn add(&mut self, op: Op) -> Result<(), SubmitReason> {
        self.plan(op, |draft, transition, delta| {
            let pages = draft
                .inner
                .reserver
                .reserve(&delta.missing, transition.range.first(), true)
                .map_err(SubmitReason::Memory)?;
            // Both are this VM's; were they not, dropping the pages would give them back.
            drop(draft.reservation.merge(pages));
            Ok(())
        })
    }

    /// Plans one operation, and has `supply` see to each transition that it consists of.
    pub(crate) fn plan(
        &mut self,
        op: Op,
        mut supply: impl FnMut(&mut Self, &Transition, &Delta) -> Result<(), SubmitReason>,
    ) -> Result<(), SubmitReason> {
        let geometry = &self.inner.geometry;
        match op {
            Op::Map { range, backing, offset, prot } => {
                let new = Mapping { range, backing, offset, prot };
                check_map(self.inner, &new)?;
                let transition = self.planned.space.map(new);
                self.settle(transition, &mut supply)?;
            }
            Op::Unmap { range } => {
                geometry.check_range(range)?;
                let transition = self.planned.space.unmap(range);
                self.settle(transition, &mut supply)?;
            }
            Op::Protect { range, prot } => {
                geometry.check_range(range)?;
                check_prot(self.inner, prot)?;
                let transition = self.planned.space.protect(range, prot);
                self.settle(transition, &mut supply)?;
            }
            Op::Split { range } => {
                geometry.check_range(range)?;
                let transition = self.planned.space.split(range);
                self.settle(transition, &mut supply)?;
            }
            Op::Evict { backing } => {
                self.mark(&backing, true);
                // One after the other: what each finds is what those before it left.
                for run in self.planned.space.runs_of(&backing, false) {
                    if let Some(transition) = self.planned.space.evict(run) {
                        self.settle(transition, &mut supply)?;
                    }
                }
            }
            Op::Restore { backing, with } => {
                self.check_restore(&backing, &with)?;
                // `backing` stays as it is if it is another one: its memory may be gone.
                self.mark(&with, false);
                for old in [&backing, &with] {
                    for run in self.planned.space.runs_of(old, true) {
                        if let Some(transition) = self.planned.space.restore(run, &with) {
                            self.settle(transition, &mut supply)?;
                        }
                    }
                }
            }
            Op::SyncOnly => {}
        }
        self.ops += 1;
        Ok(())
    }

    fn mark(&mut self, backing: &Arc<Backing>, is_evicted: bool) {
        let was = self.planned.space.set_evicted(backing, is_evicted);
        self.done.push(Done::Marked(Arc::clone(backing), was));
    }

    /// Finds what `transition`, which the plan has made, does to the tables, and the steps for it.
    fn settle(
        &mut self,
        transition: Transition,
        supply: &mut impl FnMut(&mut Self, &Transition, &Delta) -> Result<(), SubmitReason>,
    ) -> Result<(), SubmitReason> {
        let Planned { space, planner, .. } = &mut *self.planned;
        let geometry = &self.inner.geometry;
        let delta = planner.delta(geometry, space, &transition);
        let forbidden = delta.cut.filter(|_| self.inner.config.splits == Splits::Forbidden);
        let supplied = match forbidden {
            Some(block) => Err(TableError::Split { block }.into()),
            None => supply(self, &transition, &delta),
        };
        if supplied.is_ok() {
            let mut steps = Steps { op: self.ops, steps: &mut self.steps };
            steps.add(geometry, &transition, &delta);
            self.delta.append(&delta);
        }
        self.done.push(Done::Changed(transition));
        supplied
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

    /// Takes all back.
    pub(crate) fn undo(self) {
        for done in self.done.into_iter().rev() {
            match done {
                Done::Changed(transition) => self.planned.space.undo(transition),
                Done::Marked(backing, was) => {
                    self.planned.space.set_evicted(&backing, was);
                }
            }
        }
    }
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
