//! QEMU's `SMMUv3`, driven as its specification says.

use std::sync::Arc;

use super::edu::Edu;
use super::edu_iommu::{Iommu, ROLES, Report, Role, identifier};
use super::edu_mailbox::{Areas, Mailbox};
use super::edu_mmu::{EduMmu, Emulator, is_mmu};
use super::edu_virt::Virt;
use super::qtest::{Answers, Asked, Script};
use super::smmuv3_config::{
    ContextDescriptor, STREAM_TABLE_ENTRY_BYTES, StreamTableEntry, supported,
};
use super::smmuv3_queue::{Command, Event, EventQueue, Queue};
use crate::{Forget, MmuError, Ram, Regime, Says, Unsupported};

/// An `SMMUv3` that QEMU 10 emulates: it walks the tables, and `edu` devices make the accesses.
///
/// It walks `VMSAv8-64` stage 1 with all granules and both halves, stage 2, and both nested. For
/// [`Regime::Nested`], stage 2 must map the page [`context_descriptors`](Self::context_descriptors)
/// to itself: an SMMU finds there what it knows of stage 1.
///
/// What it remembers, it forgets by commands: all, by ASID or VMID, or by ranges of addresses.
/// `Forget::Range` in a nested space is one of stage 1's addresses; after a change of stage 2,
/// forget the space, and after one of the map of a root table of stage 1, install it again.
///
/// # What is not enforced
///
/// - Every access is a privileged one: `AP[1]` and `APTable[0]` forbid nothing. Nothing is fetched.
/// - The contiguous hint is ignored, and what its group says.
/// - The output size is 44 bits at most. The address of a table is not compared with it: a read
///   beyond RAM is an external abort. With 64 KiB, bits 15:12 of descriptors are ignored.
/// - A leaf's permission is looked at before its output size.
/// - Blocks are taken at every level below 3, also where the granule has none.
/// - A table that forbids writes (`APTable[1]`) makes them permission faults at once, whatever
///   there is below it.
/// - Faults have a class, but no level. Addresses of stage 2 beyond 44 bits are refused without a
///   class.
///
/// # What is refused
///
/// - Hardware updates (`HA`, `HD`) and 52-bit addresses (`DS`), which it does not have.
/// - Roots of stage 2 of several concatenated tables, since QEMU 10.0 walks the first of them for
///   every address.
/// - `TBI1` other than `TBI0`, since QEMU 10.0 looks at the latter for both halves.
///
/// # References
///
/// Arm IHI 0070, "System Memory Management Unit Architecture Specification, version 3".
#[derive(Debug)]
pub struct SmmuV3(EduMmu<Smmu>);

is_mmu!(
    SmmuV3,
    "qemu-system-aarch64",
    0x4000_0000,
    "The first 2 MiB are the machine's own.",
    machine
);

/// Where the machine has its SMMU, its configuration space, and room for devices.
const REGISTERS: u64 = 0x0905_0000;
const CONFIGURATION: u64 = 0x40_1000_0000;
const BARS: u64 = 0x1000_0000;

/// Registers, as offsets (chapter 6.3).
const CR0: u64 = 0x20;
const STRTAB_BASE: u64 = 0x80;
const STRTAB_BASE_CFG: u64 = 0x88;
const GERROR: u64 = 0x60;
const CMDQ_BASE: u64 = 0x90;
const CMDQ_PROD: u64 = 0x98;
const EVENTQ_BASE: u64 = 0xa0;
const EVENTQ_PROD: u64 = 0x1_00a8;
const EVENTQ_CONS: u64 = 0x1_00ac;

/// `CR0`: `SMMUEN`, `EVENTQEN`, `CMDQEN`.
const SMMU_ENABLED: u32 = 1;
const QUEUES_ENABLED: u32 = 1 << 2 | 1 << 3;

/// The stream table is a list of 2^8 entries: the streams of all slots of the first bus.
const STREAM_BITS: u32 = 8;

/// `wfi`, and back to it.
const SLEEP: u64 = 0x17ff_ffff_d503_207f;

impl SmmuV3 {
    /// The page that stage 2 must map to itself, readable, in a nested regime.
    pub fn context_descriptors(&self) -> u64 {
        self.0.iommu().descriptors
    }
}

fn machine(emulator: &Emulator, ram: Arc<Ram>, areas: Areas) -> Result<EduMmu<Smmu>, MmuError> {
    let virt = Virt {
        arguments: &[
            "-machine",
            "virt,iommu=smmuv3,gic-version=3,memory-backend=walked",
            "-cpu",
            "max",
            "-global",
            "arm-smmuv3.stage=nested",
        ],
        configuration: CONFIGURATION,
        bars: BARS,
        sleep: SLEEP,
    };
    virt.start(emulator, ram, areas, Smmu::new)
}

/// The SMMU's driver.
#[derive(Debug)]
struct Smmu {
    streams: Vec<(u16, Role)>,
    stream_table: u64,
    /// A page with the context descriptor of each stream, 64 bytes apart.
    descriptors: u64,
    commands: Queue,
    events: EventQueue,
    /// The granules (as their bits) of stage 1, lower and upper half, and of stage 2, as far as
    /// each address space has them.
    spaces: Vec<(u16, Granules)>,
}

/// The granules of an address space, as the number of their bits.
#[derive(Clone, Copy, Debug)]
struct Granules {
    stage1: Option<(u8, u8)>,
    stage2: Option<u8>,
}

impl Granules {
    const fn of(regime: &Regime) -> Self {
        const fn bits(granule: u64) -> u8 {
            match granule & 3 {
                0b01 => 16,
                0b10 => 14,
                _ => 12,
            }
        }
        const fn upper_bits(granule: u64) -> u8 {
            match granule & 3 {
                0b01 => 14,
                0b11 => 16,
                _ => 12,
            }
        }
        let (stage1, stage2) = match regime {
            Regime::Stage1(one) => (Some(one), None),
            Regime::Stage2(two) => (None, Some(two)),
            Regime::Nested(one, two) => (Some(one), Some(two)),
            _ => (None, None),
        };
        Self {
            stage1: match stage1 {
                Some(one) => Some((bits(one.tcr >> 14), upper_bits(one.tcr >> 30))),
                None => None,
            },
            stage2: match stage2 {
                Some(two) => Some(bits(two.vtcr >> 14)),
                None => None,
            },
        }
    }
}

impl Smmu {
    fn new(
        script: &mut Script,
        mailbox: &mut Mailbox<'_>,
        devices: &[(Edu, Role)],
    ) -> Result<Self, MmuError> {
        let bytes = STREAM_TABLE_ENTRY_BYTES << STREAM_BITS;
        let this = Self {
            streams: devices.iter().map(|&(edu, role)| (edu.requester, role)).collect(),
            stream_table: mailbox.take(bytes, bytes)?,
            descriptors: mailbox.take(4096, 4096)?,
            commands: Queue::new(mailbox)?,
            events: EventQueue::new(mailbox)?,
            spaces: Vec::new(),
        };
        script.write_u64(REGISTERS + STRTAB_BASE, this.stream_table);
        script.write_u32(REGISTERS + STRTAB_BASE_CFG, STREAM_BITS);
        script.write_u64(REGISTERS + CMDQ_BASE, this.commands.base());
        script.write_u64(REGISTERS + EVENTQ_BASE, this.events.base());
        script.write_u32(REGISTERS + CR0, SMMU_ENABLED | QUEUES_ENABLED);
        Ok(this)
    }

    /// What forgets translations near `address` in an address space, as its stages have them, and
    /// with which granule.
    fn translations(&self, asid: u16, address: u64, leaves_only: bool) -> Vec<(Command, u8)> {
        let space = self.spaces.iter().find(|&&(other, _)| other == asid);
        let of_role = |role| {
            let id = identifier(asid, role);
            match space?.1 {
                Granules { stage1: Some((lower, upper)), stage2 } => {
                    let vmid = if stage2.is_some() { id } else { 0 };
                    let granule = if address >> 63 == 0 { lower } else { upper };
                    Some((Command::stage1(id, vmid, leaves_only), granule))
                }
                Granules { stage1: None, stage2 } => {
                    stage2.map(|granule| (Command::stage2(id, leaves_only), granule))
                }
            }
        };
        ROLES.into_iter().filter_map(of_role).collect()
    }

    /// Puts commands, no more than there is room for, into the queue, where they lie before the
    /// script runs that has the SMMU read them.
    fn command(&mut self, script: &mut Script, ram: &Ram, commands: &[Command]) {
        for &command in commands {
            self.commands.push(ram, command);
        }
        self.commands.push(ram, Command::sync());
        script.write_u32(REGISTERS + CMDQ_PROD, self.commands.produced());
    }
}

impl Iommu for Smmu {
    const NAME: &'static str = "smmuv3";
    const ONE_FAULT: bool = false;
    const INTERRUPTS: Option<(u64, u64)> = None;
    const CONFUSED_FROM: Option<u64> = None;

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let largest_leaf = supported(regime)?;
        Ok(Says {
            permissions: true,
            execute: false,
            privilege: false,
            kinds: true,
            levels: false,
            remembers: true,
            largest_leaf,
            targets: (0, u64::MAX),
        })
    }

    fn install(&mut self, script: &mut Script, ram: &Ram, regime: &Regime, asid: u16) {
        let (stage1, stage2) = match regime {
            Regime::Stage1(one) => (Some(one), None),
            Regime::Stage2(two) => (None, Some(two)),
            Regime::Nested(one, two) => (Some(one), Some(two)),
            _ => (None, None),
        };
        self.spaces.retain(|&(other, _)| other != asid);
        self.spaces.push((asid, Granules::of(regime)));
        let mut commands = Vec::new();
        for (&(stream, role), index) in self.streams.iter().zip(0..) {
            let at = self.descriptors + index * ContextDescriptor::BYTES;
            if let Some(registers) = stage1 {
                ContextDescriptor::new(registers, identifier(asid, role)).write(ram, at);
            }
            // Address spaces of stage 1 alone have one VMID, zero.
            let vmid = if stage2.is_some() { identifier(asid, role) } else { 0 };
            let entry = self.stream_table + u64::from(stream) * STREAM_TABLE_ENTRY_BYTES;
            StreamTableEntry::new(stage1.map(|_| at), stage2, vmid).write(ram, entry);
            commands.push(Command::configuration(stream));
        }
        self.command(script, ram, &commands);
        self.forget(script, ram, Forget::Space { asid });
    }

    fn forget(&mut self, script: &mut Script, ram: &Ram, what: Forget) {
        let commands: Vec<_> = match what {
            Forget::Everything => vec![Command::all()],
            Forget::Space { asid } => {
                let both = |id| [Command::asid(id), Command::vmid(id)];
                ROLES.into_iter().flat_map(|role| both(identifier(asid, role))).collect()
            }
            Forget::Range { asid, first, last, leaves_only } => self
                .translations(asid, first, leaves_only)
                .into_iter()
                .flat_map(|(command, granule)| command.range(first, last, granule))
                .collect(),
            Forget::Page { asid, address, level, leaves_only } => self
                .translations(asid, address, leaves_only)
                .into_iter()
                .map(|(command, granule)| command.page(address, granule, level))
                .collect(),
        };
        if commands.len() > Queue::ROOM {
            self.command(script, ram, &[Command::all()]);
        } else {
            self.command(script, ram, &commands);
        }
    }

    fn bypass(&mut self, script: &mut Script, _: &Ram, on: bool) {
        let enabled = if on { 0 } else { SMMU_ENABLED };
        script.write_u32(REGISTERS + CR0, enabled | QUEUES_ENABLED);
    }

    fn ask_faults(&mut self, script: &mut Script) -> Vec<Asked> {
        // What was heard before is done with.
        script.write_u32(REGISTERS + EVENTQ_CONS, self.events.consumed());
        [EVENTQ_PROD, GERROR].map(|register| script.read_u32(REGISTERS + register)).to_vec()
    }

    fn faults(
        &mut self,
        ram: &Ram,
        answers: &Answers,
        asked: &[Asked],
    ) -> Result<Vec<Report>, String> {
        let &[produced, error] = asked else { return Ok(Vec::new()) };
        let error = answers.get(error);
        if error != 0 {
            return Err(format!("its SMMU has GERROR {error:#x}"));
        }
        // CAST: a register of 32 bits.
        let events = self.events.until(ram, answers.get(produced) as u32);
        events
            .into_iter()
            .map(|event| match event {
                Event::Fault { address, kind } => Ok(Report { address, kind: Some(kind) }),
                Event::Other { number } => Err(format!("its SMMU reports event {number:#x}")),
            })
            .collect()
    }
}
