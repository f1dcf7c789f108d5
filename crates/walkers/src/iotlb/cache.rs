//! What is remembered, by address space and range.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::replay::Step;
use crate::{EntryRole, Fault, FaultKind, FaultStage, Forget, Translation};

/// Input addresses, both included: an aligned range whose size is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    /// The one around `address` of as many bytes as `within` and one.
    const fn around(address: u64, within: u64) -> Self {
        Self { first: address & !within, last: address | within }
    }

    const fn within(self) -> u64 {
        self.last - self.first
    }

    const fn overlaps(self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }
}

/// A way through tables that is remembered for a span.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// All entries from the root on, in the order in which they were read.
    pub(super) steps: Rc<[Step]>,
    /// The last entry on the way is a leaf (or ends it); else it leads to a table.
    pub(super) is_leaf: bool,
    /// The last entry's level.
    level: i8,
}

/// What is remembered of one address space.
#[derive(Debug, Default)]
struct Space {
    known: HashMap<Span, Known>,
    /// The sizes that spans have, less one: never fewer than there are.
    sizes: BTreeSet<u64>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Cache {
    spaces: BTreeMap<u16, Space>,
}

impl Space {
    fn insert(&mut self, span: Span, known: Known) {
        self.sizes.insert(span.within());
        self.known.insert(span, known);
    }

    /// What is known for the smallest span around `address`.
    fn find(&self, address: u64) -> Option<&Known> {
        self.sizes.iter().find_map(|&within| self.known.get(&Span::around(address, within)))
    }
}

impl Cache {
    pub(super) fn len(&self) -> usize {
        self.spaces.values().map(|space| space.known.len()).sum()
    }

    /// The deepest way that is known for `address`.
    pub(super) fn find(&self, asid: u16, address: u64) -> Option<Known> {
        self.spaces.get(&asid)?.find(address).cloned()
    }

    /// Keeps what `steps`, a walk for `address` that `found` that, permit to keep.
    pub(super) fn keep(
        &mut self,
        asid: u16,
        address: u64,
        steps: &[Step],
        found: &Result<Translation, Fault>,
        absent_entries: bool,
    ) {
        let Some(end) = steps.iter().rposition(|step| step.read.role == EntryRole::Walk) else {
            return;
        };
        let space = self.spaces.entry(asid).or_default();
        for (index, step) in steps[..end].iter().enumerate() {
            if step.fresh && step.read.role == EntryRole::Walk {
                let span = Span { first: step.read.first, last: step.read.last };
                let steps = steps[..=index].into();
                space.insert(span, Known { steps, is_leaf: false, level: step.read.level });
            }
        }

        let leaf_within = match found {
            Ok(found) => found.leaf_size - 1,
            Err(fault) if fault.stage != FaultStage::First => return,
            Err(fault) => match fault.kind {
                FaultKind::Permission => u64::MAX,
                FaultKind::Translation if absent_entries => u64::MAX,
                _ => return,
            },
        };
        let last = &steps[end];
        if !last.fresh {
            return;
        }
        let known = Known { steps: steps.into(), is_leaf: true, level: last.read.level };
        let within = (last.read.last - last.read.first).min(leaf_within);
        space.insert(Span::around(address, within), known.clone());
        let group = steps.iter().filter(|step| step.read.role == EntryRole::Group);
        let first = group.clone().map(|step| step.read.first).min();
        if let Some((first, last)) = first.zip(group.map(|step| step.read.last).max()) {
            space.insert(Span { first, last }, known);
        }
    }

    /// Forgets the leaves around `address`, so that the next walk reads it.
    pub(super) fn forget_leaves_at(&mut self, asid: u16, address: u64) {
        self.forget(&Forget::Page { asid, address, level: None, leaves_only: true });
    }

    pub(super) fn forget(&mut self, what: &Forget) {
        match *what {
            Forget::Everything => self.spaces.clear(),
            Forget::Space { asid } => {
                self.spaces.remove(&asid);
            }
            Forget::Range { asid, first, last, leaves_only } => {
                self.drop_where(asid, |span, known| {
                    span.overlaps(first, last) && (known.is_leaf || !leaves_only)
                });
            }
            Forget::Page { asid, address, level, leaves_only } => {
                self.drop_where(asid, |span, known| {
                    let hinted = level.is_none_or(|level| {
                        if known.is_leaf { known.level == level } else { known.level < level }
                    });
                    span.overlaps(address, address) && hinted && (known.is_leaf || !leaves_only)
                });
            }
        }
    }

    fn drop_where(&mut self, asid: u16, gone: impl Fn(Span, &Known) -> bool) {
        if let Some(space) = self.spaces.get_mut(&asid) {
            space.known.retain(|&span, known| !gone(span, known));
        }
    }
}
