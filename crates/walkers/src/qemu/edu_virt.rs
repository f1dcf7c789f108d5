//! The boards called `virt`, Arm's and RISC-V's, whose processor does nothing.

use std::sync::Arc;

use super::edu::Edu;
use super::edu_iommu::{Iommu, Role};
use super::edu_mailbox::{Areas, Mailbox};
use super::edu_mmu::{DEVICES, EduMmu, Emulator, Machine};
use super::edu_pci::{Configuration, Slots};
use super::qtest::Script;
use crate::{MmuError, Ram};

/// The first slot that no device of the board, and no IOMMU, is in.
const FIRST_SLOT: u8 = 2;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Virt<'a> {
    pub(super) arguments: &'a [&'a str],
    /// Where its configuration space is, and room for the devices' registers.
    pub(super) configuration: u64,
    pub(super) bars: u64,
    /// An instruction that waits for interrupts, and the way back to it.
    pub(super) sleep: u64,
}

impl Virt<'_> {
    /// Starts it, and has `iommu` make its IOMMU ready.
    pub(super) fn start<I: Iommu>(
        self,
        emulator: &Emulator,
        ram: Arc<Ram>,
        areas: Areas,
        iommu: impl FnOnce(&mut Script, &mut Mailbox<'_>, &[(Edu, Role)]) -> Result<I, MmuError>,
    ) -> Result<EduMmu<I>, MmuError> {
        let memory = Arc::clone(&ram);
        let mut mailbox = Mailbox::new(&memory, areas.mailbox);
        let code = mailbox.take(4096, 4096)?;
        mailbox.write(code, self.sleep);
        let entry = format!("loader,addr={code:#x},cpu-num=0");
        let arguments = [self.arguments, &["-device", &entry]].concat();
        let machine = Machine {
            emulator,
            arguments: &arguments,
            configuration: Configuration::Memory(self.configuration),
            slots: Slots { first: FIRST_SLOT, count: DEVICES, bars: self.bars },
            targets: areas.targets,
        };
        EduMmu::start(&machine, ram, &mut mailbox, iommu)
    }
}
