//! The machine that checks translations: it walks the tables of one VM at a time.

use std::mem;

use anyhow::Context as _;
use gpuvm::Vm;
use iopgtable::Invalidation;
use iopgtable_conformance::{Question, Walked, laxity};
use walkers::{Answer, Forget, Mmu, Regime, Request, Says};

use super::machine::{Probe, Tables};

/// A machine, and whose tables it walks at the moment.
pub(super) struct Walker {
    mmu: Box<dyn Mmu>,
    /// The address space, and what leads to its tables.
    walked: Option<(u16, Regime)>,
}

impl Walker {
    pub(super) fn new(mmu: Box<dyn Mmu>) -> Self {
        Self { mmu, walked: None }
    }

    /// Turns to the tables of `vm`, whose address space is `asid`. No job of any VM is queued or
    /// running: see `Replayer::settle`. Says what its answers are good for.
    ///
    /// # Errors
    ///
    /// When it does not walk such tables, or has failed.
    #[expect(unsafe_code, reason = "the machine walks the tables")]
    pub(super) fn turn_to<F: Walked>(
        &mut self,
        vm: &Vm<F, Tables, Probe>,
        asid: u16,
    ) -> anyhow::Result<Says> {
        // SAFETY: the machine is only asked between jobs, and after it has been told what those
        // made stale (here); no VM is walked after it is gone, since another one is turned to
        // first. It reaches what the VM maps: memory that is made up, or that nobody uses.
        let regime = F::regime(unsafe { vm.registers() });
        let says = self.mmu.says(&regime)?;
        let stale = vm.with_device(|probe| mem::take(&mut probe.stale));
        if self.walked != Some((asid, regime)) {
            self.mmu.install(&regime, asid)?;
            self.walked = Some((asid, regime));
            return Ok(says);
        }
        for Invalidation { leaves, walks, .. } in stale {
            for (range, leaves_only) in [(leaves, true), (walks, false)] {
                let Some(range) = range else { continue };
                let (first, last) = (range.first().0, range.last().0);
                self.mmu.forget(Forget::Range { asid, first, last, leaves_only })?;
            }
        }
        Ok(says)
    }

    /// Why it is not to be asked this, about the VM that it turned to last, if it is not.
    pub(super) fn excuse(&self, question: &Question) -> Option<&'static str> {
        let (_, regime) = self.walked.as_ref()?;
        laxity::excuse(self.mmu.name(), regime, question)
    }

    /// Asks it, about the VM that it turned to last.
    ///
    /// # Errors
    ///
    /// When it has failed.
    pub(super) fn ask(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> anyhow::Result<()> {
        self.mmu.translate(requests, answers)?;
        let complete = (answers.len() == requests.len()).then_some(());
        complete.with_context(|| format!("{} leaves questions open", self.mmu.name()))
    }
}
