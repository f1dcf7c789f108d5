//! From a planned transition to the steps that carry it out.

use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{Geometry, IovaRange};

use crate::job::{Act, Step, push};
use crate::plan::Delta;
use crate::space::{Change, Placed, Transition};

/// The steps of an operation, as they are found.
pub(crate) struct Steps<'s> {
    pub(crate) op: usize,
    pub(crate) steps: &'s mut Vec<Step>,
}

impl Steps<'_> {
    /// Adds what `transition`, which does `delta` to the tables, takes. What a map inserts goes from
    /// there to its step.
    pub(crate) fn add(&mut self, geometry: &Geometry, transition: &mut Transition, delta: &Delta) {
        match transition.change {
            Change::Map if transition.inserts_leaves() => {
                let replaces = transition.removes_leaves();
                while let Some(Placed { mapping: new, .. }) = transition.inserted.pop() {
                    self.push(if replaces { Act::Replace(new) } else { Act::Map(new) });
                }
                self.let_go(transition);
            }
            Change::Map | Change::Unmap => {
                let before = self.steps.len();
                self.unmap(transition, delta);
                match (self.steps.get_mut(before), transition.removed.as_slice()) {
                    (Some(Step { act: Act::Unmap { range, of, .. }, .. }), [old])
                        if transition.displaced_hull() == Some(*range) =>
                    {
                        *of = Some(Arc::clone(&old.mapping.backing));
                    }
                    _ => self.let_go(transition),
                }
            }
            Change::Protect => self.protect(transition),
            Change::Split => self.split(geometry, transition),
            Change::Evict => {
                for range in joined(&transition.removed) {
                    self.push(Act::Clear(range));
                }
            }
            Change::Restore => {
                for new in &transition.inserted {
                    self.push(Act::Map(new.mapping.clone()));
                }
            }
        }
    }

    /// Has the job hold what is displaced: the device may use it until the job has run.
    fn let_go(&mut self, transition: &Transition) {
        for old in &transition.removed {
            if let Some(part) = old.mapping.part(transition.range) {
                self.push(Act::LetGo(part));
            }
        }
    }

    fn push(&mut self, act: Act) {
        push(self.steps, Step { op: self.op, act });
    }

    /// Unmaps in holes that hold the tables that come loose, and no other (`HOLE`).
    ///
    /// A table that comes loose reaches over an end of the range at most where one of `outer`
    /// does, and lies in that one then: whoever needs a table needs all above it. With the range,
    /// the two make one hole, unless evicted mappings lie in it: they may need a table that has
    /// an end in common with an outer one, and so lies in that hole, too. Then each of the two is
    /// a hole of its own.
    fn unmap(&mut self, transition: &Transition, delta: &Delta) {
        let Some(range) = transition.displaced_hull() else { return };
        if !transition.removes_leaves() && delta.freed.total() == 0 {
            return;
        }
        let outer = delta.outer.into_iter().flatten();
        if let Some(hole) = outer.clone().find(|outer| outer.covers(range)) {
            return self.push(Act::Unmap { range, hole, of: None });
        }
        if delta.beside_evicted {
            for hole in outer {
                if let Some(range) = range.intersection(hole) {
                    self.push(Act::Unmap { range, hole, of: None });
                }
            }
            return self.push(Act::Unmap { range, hole: transition.range, of: None });
        }
        let hole = outer.fold(transition.range, IovaRange::hull);
        self.push(Act::Unmap { range, hole, of: None });
    }

    fn protect(&mut self, transition: &Transition) {
        let Some(prot) = transition.inserted.first().map(|new| new.mapping.prot) else { return };
        for range in joined(&transition.inserted) {
            self.push(Act::Protect { range, prot });
        }
    }

    /// Cuts the leaves that reach over an end of the range: the first leaf behind the cut is given
    /// what it has.
    fn split(&mut self, geometry: &Geometry, transition: &Transition) {
        let Transition { range, removed, left, right, inserted, .. } = transition;
        let low = left.as_ref().and(removed.first().zip(inserted.first()));
        let high = removed.last().zip(right.as_ref());
        let cuts = [(low, range.first()), (high, range.last())];
        for ((old, behind), end) in cuts.into_iter().filter_map(|(cut, end)| Some((cut?, end))) {
            let first = behind.mapping.range.first();
            let whole = old.mapping.view().leaf_at(geometry, end).group;
            let is_cut = whole.first() < first && first <= whole.last();
            if is_cut && !old.is_evicted() {
                let range = behind.mapping.view().leaf_at(geometry, first).group;
                self.push(Act::Protect { range, prot: behind.mapping.prot });
            }
        }
    }
}

/// The ranges of those that have leaves, where they follow each other as one.
fn joined(all: &[Placed]) -> Vec<IovaRange> {
    let mut joined: Vec<IovaRange> = Vec::new();
    for range in all.iter().filter(|placed| !placed.is_evicted()).map(|placed| placed.mapping.range)
    {
        match joined.last_mut() {
            Some(before) if before.last().0 + 1 == range.first().0 => *before = before.hull(range),
            _ => joined.push(range),
        }
    }
    joined
}
