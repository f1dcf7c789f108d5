//! What the host remembers, and how it is made to forget: tried out with small tables.

use super::list::Outcome;
use super::stub::Loop;
use super::{Forgets, Kvm};
use crate::{
    Access, Forget, Mmu, MmuError, Privilege, Reached, Regime, Request, X86_64Registers, slot,
};

/// Present, writable, for users; accessed and dirty.
const LINK: u64 = 0x67;
/// What is mapped: in the lower half, far from its ends.
const ADDRESS: u64 = 0x1234_5678_9abc;
/// How often the same is tried: what is remembered sometimes is not remembered.
const TIMES: usize = 4;

/// Two trees of tables for one address, with the table of level `l` at index `l` and `l + 4`. They
/// share the root, which is at index 0.
struct Trees<'a>(&'a Kvm);

impl Trees<'_> {
    fn table(&self, level: u64, other: bool) -> u64 {
        self.0.image.trial_table(if level > 0 && other { level + 4 } else { level })
    }

    /// Where leaves lead to: one page for each tree, both of which are no memory.
    fn target(&self, other: bool) -> u64 {
        let reach = self.0.reach();
        reach - if other { 2 << 12 } else { 1 << 12 }
    }

    /// Has the entry at `level` of the tree lead into the same or into the other one.
    fn lead(&self, level: u64, other: bool, into: bool) {
        let at = self.table(level, other) + 8 * (ADDRESS >> (39 - 9 * level) & 511);
        let to = if level == 3 { self.target(into) } else { self.table(level + 1, into) };
        self.0.image.memory().write_u64(at, to | LINK);
    }

    /// Both trees as they should be.
    fn straight(&self) {
        for level in 0..4 {
            self.lead(level, true, true);
            self.lead(level, false, false);
        }
    }
}

impl Kvm {
    /// Finds out what is remembered, and what makes the machine forget.
    pub(super) fn try_out(&mut self) -> Result<(), MmuError> {
        let regime = self.trial_regime();
        // While it does not count as remembering, the root is copied anew for each answer.
        let (mut remembers, mut forgets) = self.change_entries(&regime)?;
        if !forgets {
            self.forgets = Forgets::WithItsMemory;
            (remembers, forgets) = self.change_entries(&regime)?;
        }
        if !forgets {
            return Err(MmuError::Broken("it does not forget".into()));
        }
        // What hardware keeps, it may also lose at any time.
        self.remembers = remembers && self.forgets == Forgets::WithItsMemory;
        self.find_kept(&regime)?;
        self.installed = None;
        Ok(())
    }

    /// Finds out which entries of the root lead nowhere, wherever they should lead.
    fn find_kept(&mut self, regime: &Regime) -> Result<(), MmuError> {
        let trees = Trees(self);
        trees.straight();
        let target = trees.target(false);
        // Every entry of the root leads to a table, and the ends of each table to the next.
        for (level, indices) in [(0, 0..512), (1, 0..1), (1, 511..512), (2, 0..1), (2, 511..512)] {
            for index in indices {
                let at = trees.table(level, false) + 8 * index;
                self.image.memory().write_u64(at, trees.table(level + 1, false) | LINK);
            }
        }
        for index in [0, 511] {
            self.image.memory().write_u64(trees.table(3, false) + 8 * index, target | LINK);
        }
        self.install(regime, 0)?;
        let deadline = super::deadline()?;
        // Not where the guest's own things are; that is asked for with these elsewhere.
        let own = self.image.slot();
        let others: Vec<u64> = (0..512).filter(|slot| *slot != own).collect();
        for (place, slots) in [(own, &others[..]), (u64::from(own == 0), &[own])] {
            if place != own {
                self.place(place, false)?;
            }
            let ends = |slot: &u64| [0, (1 << 39) - 1].map(|at| slot::within(*slot, at, false));
            let addresses: Vec<u64> = slots.iter().flat_map(ends).collect();
            for privilege in [Privilege::Privileged, Privilege::Unprivileged] {
                let outcomes = self.access(&deadline, Loop::Read, privilege, &addresses)?;
                for (slot, outcomes) in slots.iter().zip(outcomes.chunks(2)) {
                    let right = [target, target | 0xfff].map(Outcome::Reached);
                    if outcomes != right {
                        self.kept.push((*slot, privilege));
                    }
                }
            }
        }
        // The guest's own things are not in any of them, so far.
        if self.kept.len() > 16 || self.kept.iter().any(|(slot, _)| *slot == self.image.slot()) {
            return Err(MmuError::Broken(format!("it keeps {:?} to itself", self.kept)));
        }
        Ok(())
    }

    /// What walks the first tree.
    pub(super) fn trial_regime(&self) -> Regime {
        Regime::X86_64(X86_64Registers {
            cr3: self.image.trial_table(0),
            wp: true,
            physical_bits: self.machine.features().physical_bits,
            ..X86_64Registers::default()
        })
    }

    /// Changes the entry of each level, and says whether the old one was always used before the
    /// machine was told to forget it, and whether it was never used afterwards.
    pub(super) fn change_entries(&mut self, regime: &Regime) -> Result<(bool, bool), MmuError> {
        let (mut remembered, mut forgotten) = (true, true);
        let what = Forget::Range { asid: 0, first: ADDRESS, last: ADDRESS, leaves_only: false };
        for privilege in [Privilege::Privileged, Privilege::Unprivileged] {
            for level in (0..4).cycle().take(4 * TIMES) {
                let trees = Trees(self);
                trees.straight();
                let (old, new) = (trees.target(false), trees.target(true));
                self.install(regime, 0)?;
                if self.page(privilege)? != old {
                    return Err(MmuError::Broken("it does not walk".into()));
                }
                Trees(self).lead(level, false, true);
                remembered &= self.page(privilege)? == old;
                self.forget(what)?;
                forgotten &= self.page(privilege)? == new;
            }
        }
        Ok((remembered, forgotten))
    }

    /// Which page the address is mapped to.
    pub(super) fn page(&mut self, privilege: Privilege) -> Result<u64, MmuError> {
        let access = Access { privilege, ..Access::PRIVILEGED_READ };
        let mut answers = Vec::new();
        self.translate(&[Request { address: ADDRESS, access }], &mut answers)?;
        match answers[..] {
            [Ok(Reached { address, .. })] if address & 4095 == ADDRESS & 4095 => {
                Ok(address & !4095)
            }
            _ => Err(MmuError::Broken(format!("{answers:x?} for {ADDRESS:#x}"))),
        }
    }
}
