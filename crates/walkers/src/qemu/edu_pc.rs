//! A PC whose processor does nothing.

use std::sync::Arc;

use super::edu::Edu;
use super::edu_iommu::{Iommu, Role};
use super::edu_mailbox::{Areas, Mailbox};
use super::edu_mmu::{DEVICES, EduMmu, Emulator, Machine};
use super::edu_pci::{Configuration, Slots};
use super::qtest::Script;
use super::rom::{Rom, START};
use crate::{MmuError, Ram};

/// Where the devices have their registers: in the hole below 4 GiB.
const BARS: u64 = 0xe000_0000;

/// Slots that no device of the machine, and no IOMMU, is in.
const SLOTS: Slots = Slots { first: 4, count: DEVICES, bars: BARS };

/// What the processor does: `cli; hlt; jmp` back.
const SLEEP: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd];

/// Addresses that the IOMMUs of a PC take for interrupts.
pub(super) const INTERRUPTS: (u64, u64) = (0xfee0_0000, 0xfeef_ffff);

/// Starts a PC with the IOMMU that is called `device`.
pub(super) fn start<I: Iommu>(
    emulator: &Emulator,
    ram: Arc<Ram>,
    areas: Areas,
    device: &str,
    iommu: impl FnOnce(&mut Script, &mut Mailbox<'_>, &[(Edu, Role)]) -> Result<I, MmuError>,
) -> Result<EduMmu<I>, MmuError> {
    let mut end = [0; START];
    end[..SLEEP.len()].copy_from_slice(&SLEEP);
    let rom =
        Rom::new(&end).map_err(|why| MmuError::Broken(format!("there is no memory: {why}")))?;
    let machine = Machine {
        emulator,
        arguments: &[
            "-machine",
            // Timers that go off all the time would keep the processor's thread busy.
            "q35,hpet=off,pit=off,memory-backend=walked",
            "-bios",
            &rom.path(),
            "-device",
            device,
        ],
        configuration: Configuration::Ports,
        slots: SLOTS,
        targets: areas.targets,
    };
    let memory = Arc::clone(&ram);
    EduMmu::start(&machine, ram, &mut Mailbox::new(&memory, areas.mailbox), iommu)
}
