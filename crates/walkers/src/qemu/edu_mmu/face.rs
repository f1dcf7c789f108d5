//! IOMMUs with devices as what tests ask.

use super::EduMmu;
use crate::qemu::edu_iommu::{Iommu, LAST_ASID};
use crate::qemu::edu_targets::PAGE_WORDS;
use crate::qemu::qtest::Script;
use crate::{Answer, Forget, Mmu, MmuError, Regime, Request, Says, Unsupported};

impl<I: Iommu> Mmu for EduMmu<I> {
    fn name(&self) -> &'static str {
        I::NAME
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        self.iommu.says(regime).map(|says| Says { targets: self.targets.range(), ..says })
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        self.says(regime)?;
        if asid > LAST_ASID {
            return Err(Unsupported::new(format!("address spaces above {LAST_ASID}")).into());
        }
        let mut script = Script::default();
        self.iommu.install(&mut script, &self.ram, regime, asid);
        self.qtest.run(&script)?;
        self.hints.clear();
        self.installed = true;
        Ok(())
    }

    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        if !self.installed {
            return Err(Unsupported::new("no tables are installed").into());
        }
        // CAST: the words of a page.
        requests.chunks(PAGE_WORDS as usize).try_for_each(|some| self.batch(some, answers))
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        let mut script = Script::default();
        self.iommu.forget(&mut script, &self.ram, what);
        self.qtest.run(&script).map(|_| ())
    }
}

/// Has a machine that is an [`EduMmu`] inside be an [`Mmu`] which needs the QEMU `$program`, has RAM
/// from `$ram` on, of which it takes what `$taken` says, and is started by `$start`.
macro_rules! is_mmu {
    ($machine:ty, $program:literal, $ram:expr, $taken:literal, $start:expr) => {
        impl $machine {
            /// The physical address of the first byte of the machine's RAM.
            #[doc = $taken]
            pub const RAM: u64 = $ram;

            /// Where QEMU 10 is.
            ///
            /// # Errors
            ///
            /// [`Absent`](crate::Absent), where it is not.
            pub fn locate() -> Result<crate::qemu::Emulator, crate::Absent> {
                use crate::qemu::locate::{Program, Series};
                Program::locate($program, Series::Ten).map(crate::qemu::Emulator)
            }

            /// Starts the machine with `ram`, whose first byte is at [`RAM`](Self::RAM).
            ///
            /// # Errors
            ///
            /// [`MmuError::Broken`](crate::MmuError::Broken), where it does not start, or `areas`
            /// are not in `ram`.
            pub fn start(
                emulator: &crate::qemu::Emulator,
                ram: std::sync::Arc<crate::Ram>,
                areas: crate::qemu::Areas,
            ) -> Result<Self, crate::MmuError> {
                $start(emulator, ram, areas).map(Self)
            }
        }

        impl crate::Mmu for $machine {
            fn name(&self) -> &'static str {
                self.0.name()
            }

            fn says(&self, regime: &crate::Regime) -> Result<crate::Says, crate::Unsupported> {
                self.0.says(regime)
            }

            fn install(
                &mut self,
                regime: &crate::Regime,
                asid: u16,
            ) -> Result<(), crate::MmuError> {
                self.0.install(regime, asid)
            }

            fn translate(
                &mut self,
                requests: &[crate::Request],
                answers: &mut Vec<crate::Answer>,
            ) -> Result<(), crate::MmuError> {
                self.0.translate(requests, answers)
            }

            fn forget(&mut self, what: crate::Forget) -> Result<(), crate::MmuError> {
                self.0.forget(what)
            }
        }
    };
}
pub(in crate::qemu) use is_mmu;
