//! A job on its way from operations to steps: planned, supplied, and taken back whole where an
//! operation is refused.

use alloc::vec::Vec;

use iopgtable::{
    Format, Geometry, Iova, IovaRange, Reservation, Splits, TableAllocator, TableCount, TableError,
};

use crate::device::Device;
use crate::job::Step;
use crate::plan::Delta;
use crate::refusal::{SubmitError, SubmitReason};
use crate::space::{Mapping, Space, Transition};
use crate::vm::{Inner, Op, Planned};

/// A job on its way from operations to steps.
pub(crate) struct Draft<'v, F: Format, A: TableAllocator, D: Device> {
    inner: &'v Inner<F, A, D>,
    planned: &'v mut Planned,
    done: Vec<Transition>,
    pub(crate) steps: Vec<Step>,
    pub(crate) reservation: Reservation<A>,
    pub(crate) delta: Delta,
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
            steps: Vec::new(),
            reservation,
            delta: Delta::default(),
        })
    }

    /// Plans one operation and takes its tables.
    pub(crate) fn add(&mut self, op: Op) -> Result<(), SubmitReason> {
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
            _ => Step::Unmap { range, hole: hole(&self.inner.geometry, space, range) },
        };
        self.done.push(transition);
        if let (Some(block), Splits::Forbidden) = (delta.cut, self.inner.config.splits) {
            return Err(TableError::Split { block }.into());
        }
        let pages = self
            .inner
            .reserver
            .reserve(&delta.missing, range.first(), true)
            .map_err(SubmitReason::Memory)?;
        // Both are this VM's; were they not, dropping the pages would give them back.
        drop(self.reservation.merge(pages));
        self.delta.missing += delta.missing;
        self.delta.freed += delta.freed;
        self.delta.footprint = match (self.delta.footprint, delta.footprint) {
            (Some(before), Some(footprint)) => Some(before.hull(footprint)),
            (before, footprint) => before.or(footprint),
        };
        self.steps.push(step);
        Ok(())
    }

    /// Takes all back.
    pub(crate) fn undo(self) {
        for transition in self.done.into_iter().rev() {
            self.planned.space.undo(transition);
        }
    }
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
