//! QEMU's model of AMD's IOMMU, driven as its specification says.

use std::sync::Arc;

use super::edu::Edu;
use super::edu_iommu::{Iommu, ROLES, Report, Role, identifier};
use super::edu_mailbox::{Areas, Mailbox};
use super::edu_mmu::{EduMmu, Emulator, is_mmu};
use super::edu_pc;
use super::qtest::{Answers, Asked, Script};
use crate::{Forget, MmuError, Ram, Regime, Says, Unsupported};

/// An IOMMU of AMD's that QEMU 10 emulates: it walks the tables, and `edu` devices make the
/// accesses.
///
/// It walks host tables of modes 1 to 6 with leaves of all sizes that an entry can say, skips
/// levels, and takes `IR` and `IW` of every entry on the way. It remembers by pages, and whatever
/// it is told to forget, it forgets the whole domain or everything. It has one address space at a
/// time: what is installed makes it forget the others.
///
/// Of addresses from 2^48 on, QEMU 10.0 confuses what it remembers with that of other devices. They
/// are asked for one by one, and it forgets everything before and after.
///
/// # What is not enforced
///
/// Much. It says of no access why it was refused, and:
///
/// - A leaf without `PR` is one all the same, unless all of it is zero.
/// - Address bits beyond the mode, or in levels that are skipped, are ignored.
/// - Reserved bits, and `NextLevel` fields that do not count down, are taken as they are; tables in
///   which levels do not come to an end hang it.
/// - Accessed and dirty bits are not set. There is one privilege, and nothing is fetched.
///
/// # What is refused
///
/// - Entries of the device table without `V` and `TV`, of modes 0 and 7, and with `HAD` or guest
///   translation.
///
/// # References
///
/// AMD I/O Virtualization Technology (IOMMU) Specification, 48882: 2.2.2 (device table), 2.2.3 (page
/// tables), 2.4 (commands), 3.4 (registers).
#[derive(Debug)]
pub struct AmdVi(EduMmu<Unit>);

is_mmu!(
    AmdVi,
    "qemu-system-x86_64",
    0,
    "The first MiB is the machine's own, and it has at most 2 GiB.",
    machine
);

fn machine(emulator: &Emulator, ram: Arc<Ram>, areas: Areas) -> Result<EduMmu<Unit>, MmuError> {
    // With `pt=on`, QEMU 10.0 never translates.
    edu_pc::start(emulator, ram, areas, "amd-iommu,pt=off", Unit::new)
}

/// Where its registers are, and which there are.
const REGISTERS: u64 = 0xfed8_0000;
const DEVICE_TABLE: u64 = 0x00;
const COMMAND_BUFFER: u64 = 0x08;
const CONTROL: u64 = 0x18;
const COMMAND_TAIL: u64 = 0x2008;

/// `CONTROL`: the IOMMU, and its command buffer.
const ENABLED: u64 = 1;
const COMMANDS_ENABLED: u64 = 1 << 12;

/// An entry of the device table has four words.
const ENTRY_BYTES: u64 = 32;

/// The command buffer has 2^8 commands of 16 bytes.
const COMMAND_BITS: u64 = 8;
const COMMAND_BYTES: u64 = 16 << COMMAND_BITS;

/// Fields of the first word of an entry.
const VALID: u64 = 1;
const TRANSLATES: u64 = 1 << 1;
const ACCESSED_DIRTY: u64 = 0b11 << 7;
const MODE: u64 = 0b111 << 9;
const ROOT: u64 = 0xf_ffff_ffff_f000;
const GUEST: u64 = 1 << 55;
const RIGHTS: u64 = 0b11 << 61;

/// `INVALIDATE_DEVTAB_ENTRY`, `INVALIDATE_IOMMU_PAGES`, `INVALIDATE_IOMMU_ALL`.
const FORGET_ENTRY: u64 = 2 << 60;
const FORGET_PAGES: u64 = 3 << 60;
const FORGET_ALL: u64 = 8 << 60;
/// Of the second word of the second: all pages, tables as well.
const ALL_PAGES: u64 = 0x7fff_ffff_ffff_f000 | 0b11;

/// The driver of the IOMMU.
#[derive(Debug)]
struct Unit {
    devices: Vec<(u16, Role)>,
    entries: u64,
    commands: u64,
    /// Where the next command goes, from the first on.
    tail: u64,
}

impl Unit {
    fn new(
        script: &mut Script,
        mailbox: &mut Mailbox<'_>,
        devices: &[(Edu, Role)],
    ) -> Result<Self, MmuError> {
        let this = Self {
            devices: devices.iter().map(|&(edu, role)| (edu.requester, role)).collect(),
            // 256 devices: two pages, of which the register says one less.
            entries: mailbox.take(256 * ENTRY_BYTES, 4096)?,
            commands: mailbox.take(COMMAND_BYTES, 4096)?,
            tail: 0,
        };
        script.write_u64(REGISTERS + DEVICE_TABLE, this.entries | 1);
        script.write_u64(REGISTERS + COMMAND_BUFFER, this.commands | COMMAND_BITS << 56);
        script.write_u64(REGISTERS + CONTROL, ENABLED | COMMANDS_ENABLED);
        Ok(this)
    }

    fn command(&mut self, script: &mut Script, ram: &Ram, words: [u64; 2]) {
        for (index, word) in (0..).zip(words) {
            ram.write_u64(self.commands + self.tail + 8 * index, word);
        }
        self.tail = (self.tail + 16) % COMMAND_BYTES;
        script.write_u64(REGISTERS + COMMAND_TAIL, self.tail);
    }
}

impl Iommu for Unit {
    const NAME: &'static str = "amdvi";
    const ONE_FAULT: bool = false;
    const INTERRUPTS: Option<(u64, u64)> = Some(edu_pc::INTERRUPTS);
    const CONFUSED_FROM: Option<u64> = Some(1 << 48);

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let Regime::AmdV1(registers) = regime else {
            return Err(Unsupported::new("other tables than AMD's host tables"));
        };
        let entry = registers.device_table_entry[0];
        if entry & (VALID | TRANSLATES) != VALID | TRANSLATES {
            return Err(Unsupported::new("devices without translation"));
        }
        if entry & (ACCESSED_DIRTY | GUEST) != 0 {
            return Err(Unsupported::new("accessed and dirty bits, and guests"));
        }
        let levels = (entry & MODE) >> 9;
        if !(1..=6).contains(&levels) {
            return Err(Unsupported::new(format!("mode {levels}")));
        }
        Ok(Says {
            permissions: true,
            execute: false,
            privilege: false,
            kinds: false,
            levels: false,
            remembers: true,
            // With the entries of the highest level side by side, half of what the mode maps.
            largest_leaf: 1 << (11 + 9 * levels).min(52),
            targets: (0, u64::MAX),
        })
    }

    fn install(&mut self, script: &mut Script, ram: &Ram, regime: &Regime, asid: u16) {
        if let Regime::AmdV1(registers) = regime {
            let kept = VALID | TRANSLATES | MODE | ROOT | RIGHTS;
            let word = registers.device_table_entry[0] & kept;
            for (requester, role) in self.devices.clone() {
                let at = self.entries + ENTRY_BYTES * u64::from(requester);
                ram.write_u64(at, 0);
                ram.write_u64(at + 8, u64::from(identifier(asid, role)));
                ram.write_u64(at, word);
                self.command(script, ram, [FORGET_ENTRY | u64::from(requester), 0]);
            }
        }
        // It remembers by device, so it would take the leaves of another space for these.
        self.forget(script, ram, Forget::Everything);
    }

    fn forget(&mut self, script: &mut Script, ram: &Ram, what: Forget) {
        match what {
            Forget::Everything => self.command(script, ram, [FORGET_ALL, 0]),
            // QEMU forgets a domain, whatever pages of it are named.
            Forget::Space { asid } | Forget::Range { asid, .. } | Forget::Page { asid, .. } => {
                for domain in ROLES.map(|role| identifier(asid, role)) {
                    let first = FORGET_PAGES | u64::from(domain) << 32;
                    self.command(script, ram, [first, ALL_PAGES]);
                }
            }
        }
    }

    fn bypass(&mut self, script: &mut Script, _: &Ram, on: bool) {
        let enabled = if on { 0 } else { ENABLED };
        script.write_u64(REGISTERS + CONTROL, enabled | COMMANDS_ENABLED);
    }

    fn ask_faults(&mut self, _: &mut Script) -> Vec<Asked> {
        // The event log is off: nothing of it would tell more than data that does not arrive.
        Vec::new()
    }

    fn faults(&mut self, _: &Ram, _: &Answers, _: &[Asked]) -> Result<Vec<Report>, String> {
        Ok(Vec::new())
    }
}
