//! The walkers here as one MMU that is told which of them to be.

use super::{
    AmdV1, Dart, Mali, Nested, RiscV, RiscVGuest, ShortDescriptors, Stage1, Stage1Aarch32, Stage2,
    Stage2Aarch32, VtdSecondStage, X86_64,
};
use crate::{
    Access, Answer, Fault, FaultKind, Forget, Mmu, MmuError, PhysMemory, Reached, Refusal, Regime,
    Request, Says, Translation, Unsupported, Walker,
};

/// An MMU in software. It remembers nothing: every translation reads the tables again.
#[derive(Debug)]
pub struct SoftMmu<M> {
    memory: M,
    regime: Option<Regime>,
}

impl<M: PhysMemory> SoftMmu<M> {
    /// One that reads its tables from `memory`.
    pub const fn new(memory: M) -> Self {
        Self { memory, regime: None }
    }
}

impl<M: PhysMemory> Mmu for SoftMmu<M> {
    fn name(&self) -> &'static str {
        "soft"
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        with_walker(&self.memory, regime, &mut |_| ())?;
        Ok(Says {
            permissions: true,
            execute: true,
            privilege: true,
            kinds: true,
            levels: true,
            remembers: false,
            largest_leaf: u64::MAX,
            targets: (0, u64::MAX),
        })
    }

    fn install(&mut self, regime: &Regime, _: u16) -> Result<(), MmuError> {
        self.says(regime)?;
        self.regime = Some(*regime);
        Ok(())
    }

    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        let regime = self.regime.ok_or_else(|| Unsupported::new("no tables are installed"))?;
        with_walker(&self.memory, &regime, &mut |walker| {
            for request in requests {
                let answer = walker.translate(request.address, request.access);
                answers.push(answer.map(Reached::from).map_err(Refusal::from));
            }
        })?;
        Ok(())
    }

    fn forget(&mut self, _: Forget) -> Result<(), MmuError> {
        Ok(())
    }
}

/// Translates once with the walker that `regime` is for.
///
/// # Errors
///
/// [`Unsupported`], where there is no such walker, or it refuses the registers; within, the fault.
pub fn walk<M: PhysMemory>(
    memory: M,
    regime: &Regime,
    address: u64,
    access: Access,
) -> Result<Result<Translation, Fault>, Unsupported> {
    let mut answer = Err(Fault::new(FaultKind::Translation, 0));
    with_walker(&memory, regime, &mut |walker| answer = walker.translate(address, access))?;
    Ok(answer)
}

/// Lends the walker that `regime` is for.
pub(crate) fn with_walker<M: PhysMemory>(
    memory: &M,
    regime: &Regime,
    look: &mut dyn FnMut(&dyn Walker),
) -> Result<(), Unsupported> {
    let refused = |why| Unsupported::new(format!("{why}"));
    match *regime {
        Regime::Stage1(registers) => look(&Stage1::new(memory, registers).map_err(refused)?),
        Regime::Stage2(registers) => look(&Stage2::new(memory, registers).map_err(refused)?),
        Regime::Stage1Aarch32(registers) => {
            look(&Stage1Aarch32::new(memory, registers).map_err(refused)?);
        }
        Regime::Stage2Aarch32(registers) => look(&Stage2Aarch32::new(memory, registers)),
        Regime::Mali(registers) => look(&Mali::new(memory, registers).map_err(refused)?),
        Regime::X86_64(registers) => look(&X86_64::new(memory, registers)),
        Regime::RiscV(registers) => look(&RiscV::new(memory, registers).map_err(refused)?),
        Regime::RiscVGuest(registers) => {
            look(&RiscVGuest::new(memory, registers).map_err(refused)?);
        }
        Regime::Nested(first, second) => {
            look(&Nested::new(memory, first, second).map_err(refused)?);
        }
        Regime::VtdSecondStage(registers) => look(&VtdSecondStage::new(memory, registers)),
        Regime::AmdV1(registers) => look(&AmdV1::new(memory, registers).map_err(refused)?),
        Regime::ShortDescriptors(registers) => {
            look(&ShortDescriptors::new(memory, registers).map_err(refused)?);
        }
        Regime::Dart(registers) => look(&Dart::new(memory, registers)),
    }
    Ok(())
}
