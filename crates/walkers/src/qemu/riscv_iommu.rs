//! QEMU's RISC-V IOMMU, driven as its specification says.

use std::sync::Arc;

use super::edu::Edu;
use super::edu_iommu::{Iommu, ROLES, Report, Role, identifier};
use super::edu_mailbox::{Areas, Mailbox};
use super::edu_mmu::{EduMmu, Emulator, is_mmu};
use super::edu_pci::Configuration;
use super::edu_virt::Virt;
use super::qtest::{Answers, Asked, Script};
use super::riscv_iommu_queue::{Command, CommandQueue, FaultQueue};
use crate::{Forget, MmuError, Ram, Regime, Says, Unsupported};

/// A RISC-V IOMMU that QEMU 10 emulates: it walks the tables, and `edu` devices make the accesses.
///
/// It walks the first stage (Sv39, Sv48, Sv57), and the second stage alone (Sv39x4, Sv48x4,
/// Sv57x4), with leaves at all levels. It remembers by pages of 4 KiB, and forgets all, a space, or
/// pages; a range of 512 pages or more, and a page whose level is not that of pages, is a whole
/// space, since QEMU 10.0 takes the address of a large leaf for one of its pages.
///
/// # What is not enforced
///
/// - `U` forbids nothing. There is one privilege, and nothing is fetched.
/// - Reads need `A` and writes need `D`, but writes do not need `A`. With `adue`, neither is needed,
///   and nothing is set.
/// - Bits 61:54 of an entry are taken for address bits, so where one is set, an access goes nowhere
///   or, in an entry that leads to a table, is an external abort. `U`, `A` and `D` of such an entry
///   are ignored. Bits 63:62 are not looked at: with Svnapot, each entry of a 64 KiB page leads to
///   the one page of 4 KiB that its address says.
/// - What it remembers, it finds by bits 55:12 of an address.
/// - Page faults of all kinds are one, and have no class here; nor have accesses that go nowhere.
///
/// # What is refused
///
/// - Svnapot and Svpbmt, and `MXR`, which an IOMMU has not.
///
/// # References
///
/// The RISC-V IOMMU Architecture Specification, 1.0: 3 (data structures), 4 (queues), 6 (registers).
#[derive(Debug)]
pub struct RiscVIommu(EduMmu<Unit>);

is_mmu!(
    RiscVIommu,
    "qemu-system-riscv64",
    0x8000_0000,
    "The first and the last 2 MiB are the machine's own.",
    machine
);

/// Where the machine has its configuration space, and room for registers.
const CONFIGURATION: u64 = 0x3000_0000;
const REGISTERS: u64 = 0x4000_0000;
const BARS: u64 = 0x4010_0000;

/// The slot of the IOMMU.
const SLOT: u8 = 1;

/// `wfi`, and back to it.
const SLEEP: u64 = 0xffdf_f06f_1050_0073;

/// Registers, as offsets.
const DDTP: u64 = 0x10;
const CQB: u64 = 0x18;
const CQT: u64 = 0x24;
const FQB: u64 = 0x28;
const FQH: u64 = 0x30;
const FQT: u64 = 0x34;
const CQCSR: u64 = 0x48;
const FQCSR: u64 = 0x4c;

/// Of `CQCSR` and `FQCSR`: enables, and what may be wrong.
const QUEUE_ENABLED: u32 = 1;
const QUEUE_ERRORS: u64 = 0b111 << 8;

/// `DDTP` modes: all passes, and a directory of two levels.
const BARE: u64 = 1;
const TWO_LEVELS: u64 = 3;

/// A device context: valid; accessed and dirty bits are not asked for, in the second stage and in
/// the first.
const VALID: u64 = 1;
const GADE: u64 = 1 << 7;
const SADE: u64 = 1 << 8;

/// `MODE` and `PPN` of `satp` and `hgatp`.
const MODE_AND_PAGE: u64 = 0xf << 60 | ((1 << 44) - 1);

/// The size of a device context of the extended format, and how many are in a page.
const CONTEXT_BYTES: u64 = 64;
const CONTEXTS: u64 = 64;

/// A range of so many pages may be one of a large leaf; smaller ones are forgotten page by page.
const MOST_PAGES: u64 = 512;

// Commands lie in the queue before the script runs that has the IOMMU read them, so all commands of
// a script must have room at once: those for the pages of readers and of writers, and a few more.
const _: () = assert!(2 * (MOST_PAGES as usize) < CommandQueue::ROOM - 64);

fn machine(emulator: &Emulator, ram: Arc<Ram>, areas: Areas) -> Result<EduMmu<Unit>, MmuError> {
    let virt = Virt {
        arguments: &[
            "-machine",
            "virt,memory-backend=walked",
            "-bios",
            "none",
            "-device",
            &format!("riscv-iommu-pci,addr={SLOT:#x}"),
        ],
        configuration: CONFIGURATION,
        bars: BARS,
        sleep: SLEEP,
    };
    virt.start(emulator, ram, areas, Unit::new)
}

/// The driver of the IOMMU.
#[derive(Debug)]
struct Unit {
    devices: Vec<(u16, Role)>,
    /// The device directory: a page that leads to the pages of `contexts`, one after the other.
    directory: u64,
    contexts: u64,
    commands: CommandQueue,
    faults: FaultQueue,
    /// Which address spaces are of the second stage.
    guests: Vec<u16>,
}

/// The page number in a register or an entry of the directory, bits 53:10.
const fn page(address: u64) -> u64 {
    address >> 12 << 10
}

impl Unit {
    fn new(
        script: &mut Script,
        mailbox: &mut Mailbox<'_>,
        devices: &[(Edu, Role)],
    ) -> Result<Self, MmuError> {
        let pages = 256 / CONTEXTS;
        let this = Self {
            devices: devices.iter().map(|&(edu, role)| (edu.requester, role)).collect(),
            directory: mailbox.take(4096, 4096)?,
            contexts: mailbox.take(4096 * pages, 4096)?,
            commands: CommandQueue::new(mailbox)?,
            faults: FaultQueue::new(mailbox)?,
            guests: Vec::new(),
        };
        for index in 0..pages {
            mailbox.write(this.directory + 8 * index, page(this.contexts + 4096 * index) | VALID);
        }
        Configuration::Memory(CONFIGURATION).enable(script, SLOT, REGISTERS);
        script.write_u64(REGISTERS + CQB, page(this.commands.first()) | CommandQueue::SIZE);
        script.write_u32(REGISTERS + CQCSR, QUEUE_ENABLED);
        script.write_u64(REGISTERS + FQB, page(this.faults.first()) | FaultQueue::SIZE);
        script.write_u32(REGISTERS + FQCSR, QUEUE_ENABLED);
        script.write_u64(REGISTERS + DDTP, page(this.directory) | TWO_LEVELS);
        Ok(this)
    }

    fn command(&mut self, script: &mut Script, ram: &Ram, commands: &[Command]) {
        for &command in commands {
            self.commands.push(ram, command);
        }
        script.write_u32(REGISTERS + CQT, self.commands.tail());
    }
}

/// `MODE` of `satp` and `hgatp`: how many levels, if it is one that there is.
fn levels(register: u64) -> Result<u32, Unsupported> {
    match register >> 60 {
        8 => Ok(3),
        9 => Ok(4),
        10 => Ok(5),
        mode => Err(Unsupported::new(format!("translation mode {mode}"))),
    }
}

impl Iommu for Unit {
    const NAME: &'static str = "riscv-iommu";
    const ONE_FAULT: bool = false;
    const INTERRUPTS: Option<(u64, u64)> = None;
    const CONFUSED_FROM: Option<u64> = None;

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let (levels, napot, pbmt) = match regime {
            Regime::RiscV(one) => (levels(one.satp)?, one.napot, one.pbmt),
            Regime::RiscVGuest(two) => (levels(two.hgatp)?, two.napot, two.pbmt),
            _ => return Err(Unsupported::new("other tables than RISC-V's")),
        };
        if napot || pbmt {
            return Err(Unsupported::new("Svnapot and Svpbmt"));
        }
        if matches!(regime, Regime::RiscV(one) if one.mxr) {
            return Err(Unsupported::new("reads of what may be executed (MXR)"));
        }
        Ok(Says {
            permissions: true,
            execute: false,
            privilege: false,
            kinds: false,
            levels: false,
            remembers: true,
            largest_leaf: 1 << (12 + 9 * (levels - 1)),
            targets: (0, u64::MAX),
        })
    }

    fn install(&mut self, script: &mut Script, ram: &Ram, regime: &Regime, asid: u16) {
        self.guests.retain(|&guest| guest != asid);
        if matches!(regime, Regime::RiscVGuest(_)) {
            self.guests.push(asid);
        }
        for &(requester, role) in &self.devices {
            let id = u64::from(identifier(asid, role));
            let (control, second, first) = match regime {
                Regime::RiscV(one) => {
                    (if one.adue { SADE } else { 0 }, 0, one.satp & MODE_AND_PAGE)
                }
                Regime::RiscVGuest(two) => {
                    (if two.adue { GADE } else { 0 }, two.hgatp & MODE_AND_PAGE | id << 44, 0)
                }
                _ => (0, 0, 0),
            };
            let at = self.contexts + CONTEXT_BYTES * u64::from(requester);
            ram.write_u64(at, 0);
            // `iohgatp`, `ta` with the process's identifier, `fsc`.
            for (index, word) in [(1, second), (2, id << 12), (3, first)] {
                ram.write_u64(at + 8 * index, word);
            }
            ram.write_u64(at, control | VALID);
        }
        self.command(script, ram, &[Command::all_contexts()]);
        self.forget(script, ram, Forget::Space { asid });
    }

    fn forget(&mut self, script: &mut Script, ram: &Ram, what: Forget) {
        let (asid, pages) = match what {
            Forget::Everything => {
                self.command(script, ram, &[Command::all_first(), Command::all_second()]);
                return;
            }
            Forget::Space { asid } => (asid, None),
            Forget::Range { asid, first, last, .. } => (asid, Some((first >> 12, last >> 12))),
            Forget::Page { asid, address, level, .. } => {
                (asid, (level == Some(3)).then_some((address >> 12, address >> 12)))
            }
        };
        let pages = pages.filter(|&(first, last)| last.saturating_sub(first) < MOST_PAGES - 1);
        let is_guest = self.guests.contains(&asid);
        let mut commands = Vec::new();
        for id in ROLES.map(|role| identifier(asid, role)) {
            let space = if is_guest { Command::second(id) } else { Command::first(id) };
            match pages {
                Some((first, last)) => {
                    commands.extend((first..=last).map(|page| space.page(page)));
                }
                // It may have been of the other stage before.
                None => commands.extend([Command::first(id), Command::second(id)]),
            }
        }
        self.command(script, ram, &commands);
    }

    fn bypass(&mut self, script: &mut Script, ram: &Ram, on: bool) {
        let mode = if on { BARE } else { TWO_LEVELS };
        script.write_u64(REGISTERS + DDTP, page(self.directory) | mode);
        // Contexts are remembered, too, and obeyed whatever the mode is.
        self.command(script, ram, &[Command::all_contexts()]);
    }

    fn ask_faults(&mut self, script: &mut Script) -> Vec<Asked> {
        script.write_u32(REGISTERS + FQH, self.faults.head());
        [FQT, FQCSR, CQCSR].map(|register| script.read_u32(REGISTERS + register)).to_vec()
    }

    fn faults(
        &mut self,
        ram: &Ram,
        answers: &Answers,
        asked: &[Asked],
    ) -> Result<Vec<Report>, String> {
        let &[tail, faults, commands] = asked else { return Ok(Vec::new()) };
        for (name, register) in [("FQCSR", faults), ("CQCSR", commands)] {
            let state = answers.get(register);
            if state & QUEUE_ERRORS != 0 {
                return Err(format!("its IOMMU has {name} {state:#x}"));
            }
        }
        // CAST: a register of 32 bits.
        self.faults.until(ram, answers.get(tail) as u32)
    }
}
