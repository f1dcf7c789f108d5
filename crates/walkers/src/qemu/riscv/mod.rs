//! QEMU's RISC-V processor, without any operating system.

mod setup;

use std::sync::Arc;

use setup::{MPRV, MXR, Setup};

use super::accesses::{self, Accesses, Made, Make, Place};
use super::batch::{Entry, Operation, Processor, RESERVED};
use super::engine::{Board, Engine};
use super::locate::{Program, Series};
use super::targets::Targets;
use crate::{
    Absent, Answer, FaultKind, Forget, Mmu, MmuError, PhysMemory, Ram, Refusal, Regime, Request,
    Says, Unsupported,
};

/// What the processor runs, as `stub.s` assembles.
static CODE: &[u8] = include_bytes!("stub.bin");

/// Its operations.
const LOAD: u64 = 1;
const STORE: u64 = 2;
const FETCH: u64 = 3;

/// More pages than these are not forgotten one by one.
const FEW_PAGES: u64 = 512;

/// `mcause` of an `ecall`: from U-mode (or VU-mode), S-mode, VS-mode.
const ECALLS: [u64; 3] = [8, 9, 10];

/// What lies at the targets, `ecall`: whoever fetches it comes back to M-mode.
const ECALL: u32 = 0x73;

/// `mcause`, where there was no exception.
const NOTHING: u64 = u64::MAX;

/// How much of the RAM, at its end, the machine may write to when it starts: its device tree.
const DEVICE_TREE: u64 = 4 << 20;

/// A RISC-V processor that walks tables, asked with accesses: the walker `qemu-riscv`.
///
/// # What is asked
///
/// Every answer is an access: a load or a store of eight bytes with the rights and the translation
/// of another mode (`MPRV`), or a jump there (`MRET`). Loads and stores of S-mode reach pages with
/// `U`, too (`SUM`). What is at the targets says where an access led, so leaves must lead to the
/// [targets](Self::open) for answers to be right; anything else is an error.
///
/// # What is walked
///
/// Sv39, Sv48 and Sv57; Sv39x4, Sv48x4 and Sv57x4 with stage 1 off. Svpbmt, Svnapot and Svadu as
/// the registers say. QEMU 10.0 or later only, since 7.2 knows no Svade and is wrong about guests.
///
/// # What is answered
///
/// The cause of every exception must be the page fault of the access, or the guest's one. RISC-V
/// has no others for a walk: neither the class nor the level of a fault is said.
///
/// # What is remembered
///
/// QEMU has a TLB, so what was changed without [`forget`](Mmu::forget) is often not seen. It has
/// one address space and forgets all of it whatever it is told to forget. It also forgets all when a
/// fetch is made from where no load is let through, or by a guest: so of guests it does not say that
/// it remembers.
///
/// # What it does not enforce
///
/// - The entries of a 64 KiB page need not be the same: each is taken as it stands.
/// - With Svpbmt, the reserved encoding 3 of `PBMT` is accepted. The others change nothing that is
///   seen.
///
/// # References
///
/// The RISC-V Instruction Set Manual, volume II: "Machine-Level ISA" (`mstatus`, `menvcfg`),
/// "Supervisor-Level ISA", "Hypervisor Extension".
#[derive(Debug)]
pub struct RiscV {
    engine: Engine<Virt>,
    targets: Targets,
    installed: Option<Setup>,
}

/// The machine: a generic one, without firmware.
#[derive(Debug)]
struct Virt(Program);

impl Board for Virt {
    type Setup = Setup;
    /// With Svnapot, or without.
    type Build = bool;

    const RAM: u64 = RiscV::RAM;

    fn build(setup: &Setup) -> bool {
        setup.napot
    }

    fn start(&self, napot: bool, ram: &Arc<Ram>) -> Result<Processor, MmuError> {
        // Others may have their tables where the device tree is put.
        let end = ram.first() + ram.bytes() as u64;
        let places = end.saturating_sub(DEVICE_TREE).max(ram.first())..end;
        let before: Vec<_> = places
            .step_by(8)
            .map(|place| (place, ram.read_u64(place).unwrap_or_default()))
            .collect();
        let napot = if napot { "on" } else { "off" };
        let processor_type =
            format!("rv64,h=on,svpbmt=on,svnapot={napot},svade=on,svadu=on,smstateen=off");
        let machine = ["-machine", "virt,memory-backend=walked", "-bios", "none", "-cpu"];
        let arguments: Vec<&str> = machine.into_iter().chain([processor_type.as_str()]).collect();
        let processor = Processor::start(&self.0, ram, &arguments, (Entry::Semihosting, CODE))?;
        for (place, word) in before {
            ram.write_u64(place, word);
        }
        Ok(processor)
    }

    fn words(setup: &Setup) -> impl AsRef<[u64]> {
        setup.words()
    }
}

impl RiscV {
    /// The physical address at which the machine has its RAM: what a [`Ram`] for it says.
    pub const RAM: u64 = 0x8000_0000;

    /// How many bytes of the RAM, from its first on, the machine takes for itself. Tables and
    /// targets lie behind them.
    pub const RESERVED: u64 = RESERVED;

    /// Starts the machine with `ram`, which begins at [`RAM`](Self::RAM) and is larger than
    /// [`RESERVED`](Self::RESERVED). `targets` are the first and the last address of the pages that
    /// leaves may lead to: whole pages, in which every word is overwritten.
    ///
    /// # Errors
    ///
    /// [`Absent`], where there is no QEMU, or it does not start, or the numbers are not as said.
    pub fn open(ram: &Arc<Ram>, targets: (u64, u64)) -> Result<Self, Absent> {
        let board = Virt(Program::locate("qemu-system-riscv64", Series::Ten)?);
        let engine = Engine::open(board, ram, true)?;
        let targets = Targets::new(ram, targets, ECALL)?;
        Ok(Self { engine, targets, installed: None })
    }

    fn installed(&self) -> Result<Setup, Unsupported> {
        self.installed.ok_or_else(|| Unsupported::new("no tables are installed"))
    }
}

/// The processor with these registers.
struct Hart<'a> {
    engine: &'a mut Engine<Virt>,
    setup: Setup,
}

impl Accesses for Hart<'_> {
    fn make(&mut self, what: Make, places: &[Place]) -> Result<Vec<Made>, MmuError> {
        let operation = match what {
            Make::Load => LOAD | MPRV,
            // QEMU forgets everything when this bit changes.
            Make::LoadCode => LOAD | MPRV | MXR,
            Make::Store => STORE | MPRV,
            Make::Fetch => FETCH,
        };
        let question = |place: &Place| {
            [place.address, operation | self.setup.mode(place.privilege), 0, place.value]
        };
        let mut list: Vec<Operation> = places.iter().map(question).collect();
        self.engine.run(self.setup, &mut list)?;
        let made = |(place, &[_, word, cause, _]): (&Place, &Operation)| {
            let let_through = match what {
                Make::Load | Make::LoadCode | Make::Store => cause == NOTHING,
                Make::Fetch => ECALLS.contains(&cause),
            };
            if let_through {
                Ok(Ok(word))
            } else {
                refusal(self.setup, what, place, cause).map(Err)
            }
        };
        places.iter().zip(&list).map(made).collect()
    }
}

impl Mmu for RiscV {
    fn name(&self) -> &'static str {
        "qemu-riscv"
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let setup = Setup::new(regime, 0)?;
        Ok(Says {
            permissions: true,
            execute: true,
            privilege: true,
            kinds: false,
            levels: false,
            remembers: !setup.is_guest(),
            largest_leaf: u64::MAX,
            targets: (self.targets.first, self.targets.last),
        })
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        self.installed = Some(Setup::new(regime, asid)?);
        self.forget(Forget::Space { asid })
    }

    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        let setup = self.installed()?;
        let mut hart = Hart { engine: &mut self.engine, setup };
        *answers = accesses::answer(&mut hart, &self.targets, requests)?;
        Ok(())
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        let Some(setup) = self.installed else { return Ok(()) };
        self.engine.run(setup, &mut forget(setup, what))
    }
}

/// The fences that a [`Forget`] is.
fn forget(setup: Setup, what: Forget) -> Vec<Operation> {
    let (all, space, address, shift) = if setup.is_guest() { (7, 8, 9, 2) } else { (4, 5, 6, 0) };
    let (asid, first, last) = match what {
        Forget::Everything => return vec![[0, all, 0, 0]],
        Forget::Space { asid } => return vec![[0, space, setup.space(asid), 0]],
        Forget::Range { asid, first, last, .. } => (asid, first, last),
        Forget::Page { asid, address, .. } => (asid, address, address),
    };
    // There is no fence for a range.
    let pages = (last >> 12) - (first >> 12);
    if pages >= FEW_PAGES {
        return vec![[0, space, setup.space(asid), 0]];
    }
    let pages = (0..=pages).map(|page| (first & !0xfff).wrapping_add(page << 12));
    pages.map(|page| [page >> shift, address, setup.space(asid), 0]).collect()
}

/// Why an access was refused. An exception that no walk ends in is an error.
fn refusal(setup: Setup, what: Make, place: &Place, cause: u64) -> Result<Refusal, MmuError> {
    if cause == setup.page_fault(what.kind()) {
        Ok(Refusal::default())
    } else if cause == setup::access_fault(what.kind()) {
        Ok(Refusal { kind: Some(FaultKind::ExternalAbort), level: None })
    } else {
        Err(MmuError::Broken(format!("{what:?} at {place:x?} ended with exception {cause}")))
    }
}
