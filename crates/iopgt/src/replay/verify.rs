//! Checks what a job did, page by page, with an MMU that shares no code with the tables.

use gpuvm::space::Transition;
use gpuvm::{Mapping, Vm};
use iopgtable::{Iova, IovaRange, Prot};
use serde::Serialize;
use walkers::{Access, FaultKind, Walker};

use super::machine::{Probe, Tables};
use super::shadow::Shadow;
use super::walk::{Walked, with_mmu};

/// How many translations were checked, and what was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checks {
    /// Translations: one page, one kind of access.
    pub checked: u64,
    /// Those that led elsewhere than they should, or were allowed or refused wrongly.
    pub mismatches: u64,
    /// The first that went wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl Checks {
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.mismatches += 1;
        self.first.get_or_insert_with(what);
    }

    /// Checks every page of every range that `transitions` changed. `shadow` is the state after
    /// them; the jobs have run.
    ///
    /// # Errors
    ///
    /// When the MMU refuses the registers.
    pub(super) fn check<F: Walked>(
        &mut self,
        vm: &Vm<F, Tables, Probe>,
        shadow: &Shadow,
        transitions: &[Transition],
    ) -> anyhow::Result<()> {
        let granule = vm.geometry().granule();
        let ranges = changed(transitions);
        with_mmu(vm, &mut |mmu| {
            for range in &ranges {
                self.check_range(mmu, shadow, *range, granule);
            }
        })?;
        Ok(())
    }

    fn check_range(&mut self, mmu: &dyn Walker, shadow: &Shadow, range: IovaRange, granule: u64) {
        let mut next = Some(range.first());
        while let Some(address) = next {
            // One mapping, or the gap up to the next page, at a time.
            let last = if let Some(mapping) = shadow.get(address) {
                let last = mapping.range.last().min(range.last());
                self.check_mapping(mmu, mapping, address, last, granule);
                last
            } else {
                self.check_page(mmu, address, None);
                Iova(address.0 + (granule - 1))
            };
            next = last.0.checked_add(1).map(Iova).filter(|&next| next <= range.last());
        }
    }

    fn check_mapping(
        &mut self,
        mmu: &dyn Walker,
        mapping: &Mapping,
        first: Iova,
        last: Iova,
        granule: u64,
    ) {
        let mut address = first.0;
        let offset = mapping.offset + (first.0 - mapping.range.first().0);
        for run in mapping.backing.runs(offset, last.0 - first.0 + 1) {
            for into in (0..run.bytes).step_by(granule as usize) {
                let expected =
                    (mapping.prot != Prot::NONE).then_some((run.phys.0 + into, mapping.prot));
                self.check_page(mmu, Iova(address), expected);
                address += granule;
            }
        }
    }

    /// Checks one page with each kind of access. `expected` is where it leads, and what is
    /// allowed; nothing where it must not be mapped.
    fn check_page(&mut self, mmu: &dyn Walker, address: Iova, expected: Option<(u64, Prot)>) {
        let Some((phys, prot)) = expected else {
            self.checked += 1;
            match mmu.translate(address.0, Access::UNPRIVILEGED_READ) {
                Err(fault) if fault.kind == FaultKind::Translation => {}
                other => self.wrong(|| format!("{address} should not be mapped: {other:?}")),
            }
            return;
        };
        for (access, right) in [
            (Access::UNPRIVILEGED_READ, Prot::READ),
            (Access::UNPRIVILEGED_WRITE, Prot::WRITE),
            (Access::UNPRIVILEGED_EXECUTE, Prot::EXECUTE),
        ] {
            self.checked += 1;
            match mmu.translate(address.0, access) {
                Ok(found) if prot.contains(right) && found.address == phys => {}
                Err(fault) if !prot.contains(right) && fault.kind == FaultKind::Permission => {}
                other => self.wrong(|| {
                    format!(
                        "{address} should lead to {phys:#x} with {prot:?}: {access:?} {other:?}"
                    )
                }),
            }
        }
    }
}

/// The ranges that transitions changed, each once, in ascending order. A range that was unmapped
/// counts as far as something was mapped there.
fn changed(transitions: &[Transition]) -> Vec<IovaRange> {
    let mut ranges: Vec<IovaRange> = Vec::new();
    for transition in transitions {
        let removed = transition.removed.iter().map(|old| old.mapping.range);
        ranges.extend(removed.filter_map(|range| range.intersection(transition.range)));
        ranges.extend(transition.inserted.iter().map(|new| new.mapping.range));
    }
    ranges.sort_by_key(|range| range.first());
    let mut apart: Vec<IovaRange> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.first() <= last.last() => *last = last.hull(range),
            _ => apart.push(range),
        }
    }
    apart
}
