//! QEMU's RISC-V processor, without any operating system.

mod setup;
mod targets;

use std::sync::Arc;

use setup::{MPRV, MXR, Setup};
use targets::{Targets, marker};

use super::batch::{Operation, Processor, RESERVED};
use super::engine::{Board, Engine};
use super::locate::{Program, Series};
use crate::{
    Absent, AccessKind, Answer, FaultKind, Forget, Mmu, MmuError, PhysMemory, Ram, Reached,
    Refusal, Regime, Request, Says, Unsupported,
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
        let processor = Processor::start(&self.0, ram, &arguments, CODE)?;
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
        let targets = Targets::new(ram, targets)
            .ok_or_else(|| Absent::new("its targets would have to be pages of the RAM"))?;
        Ok(Self { engine, targets, installed: None })
    }

    fn installed(&self) -> Result<Setup, Unsupported> {
        self.installed.ok_or_else(|| Unsupported::new("no tables are installed"))
    }

    /// Loads from every address with the rights of its access and `more` bits of `mstatus`, and says
    /// where they led to, or with which exception they ended.
    fn load(
        &mut self,
        setup: Setup,
        requests: &[Request],
        more: u64,
    ) -> Result<Vec<Answer>, MmuError> {
        let mut list: Vec<Operation> = requests
            .iter()
            .map(|request| {
                [request.address & !7, LOAD | setup.mode(request.access) | MPRV | more, 0, 0]
            })
            .collect();
        self.engine.run(setup, &mut list)?;
        let answer = |(request, &[_, word, cause, _]): (&Request, &Operation)| {
            if cause != NOTHING {
                return refusal(setup, AccessKind::Read, request, cause).map(Err);
            }
            let place = self.targets.place(word, request.address).ok_or_else(|| {
                MmuError::Broken(format!(
                    "{:#x} leads to no target: there is {word:#x}",
                    request.address
                ))
            })?;
            Ok(Ok(reached(place, request.address)))
        };
        requests.iter().zip(&list).map(answer).collect()
    }

    /// Makes the stores among `requests`. `answers` says where loads led to.
    fn store(
        &mut self,
        setup: Setup,
        requests: &[Request],
        answers: &mut [Answer],
    ) -> Result<(), MmuError> {
        let stores = of_kind(requests, AccessKind::Write);
        let mut list: Vec<Operation> = stores
            .iter()
            .map(|&at| {
                let Request { address, access } = requests[at];
                [address & !7, STORE | setup.mode(access) | MPRV, 0, marker(at)]
            })
            .collect();
        self.engine.run(setup, &mut list)?;

        let mut done = Vec::new();
        for (&at, &[_, _, cause, _]) in stores.iter().zip(&list) {
            let request = &requests[at];
            if cause != NOTHING {
                answers[at] = Err(refusal(setup, AccessKind::Write, request, cause)?);
                continue;
            }
            let Ok(reached) = answers[at] else {
                return Err(MmuError::Broken(format!(
                    "a store is done at {:#x}, where a load is not",
                    request.address
                )));
            };
            done.push((at, reached.address & !7));
        }
        let places = self.targets.written(&self.engine.ram, &done).ok_or_else(|| {
            MmuError::Broken("something was stored where no target is".to_owned())
        })?;
        for (&(at, _), place) in done.iter().zip(places) {
            answers[at] = Ok(reached(place, requests[at].address));
        }
        Ok(())
    }

    /// Makes the fetches among `requests`. `answers` says where loads led to.
    fn fetch(
        &mut self,
        setup: Setup,
        requests: &[Request],
        answers: &mut [Answer],
    ) -> Result<(), MmuError> {
        let fetches = of_kind(requests, AccessKind::Execute);
        let mut list: Vec<Operation> = fetches
            .iter()
            .map(|&at| {
                let Request { address, access } = requests[at];
                [address & !7, FETCH | setup.mode(access), 0, 0]
            })
            .collect();
        self.engine.run(setup, &mut list)?;

        let mut unloaded = Vec::new();
        for (&at, &[_, _, cause, _]) in fetches.iter().zip(&list) {
            if !ECALLS.contains(&cause) {
                answers[at] = Err(refusal(setup, AccessKind::Execute, &requests[at], cause)?);
            } else if answers[at].is_err() {
                unloaded.push(at);
            }
        }
        // What can only be fetched from can be loaded from with a bit whose change makes QEMU forget
        // everything. So this comes last, and only if it has to.
        if unloaded.is_empty() {
            return Ok(());
        }
        let again: Vec<Request> = unloaded.iter().map(|&at| requests[at]).collect();
        for (at, answer) in unloaded.into_iter().zip(self.load(setup, &again, MXR)?) {
            if answer.is_err() {
                return Err(MmuError::Broken(format!(
                    "{:#x} is fetched from, but not loaded from with `MXR`",
                    requests[at].address
                )));
            }
            answers[at] = answer;
        }
        Ok(())
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
        *answers = self.load(setup, requests, 0)?;
        self.store(setup, requests, answers)?;
        self.fetch(setup, requests, answers)
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

/// The numbers of the requests for accesses of a kind.
fn of_kind(requests: &[Request], kind: AccessKind) -> Vec<usize> {
    (0..requests.len()).filter(|&at| requests[at].access.kind == kind).collect()
}

fn reached(place: u64, address: u64) -> Reached {
    Reached { address: place | address & 7, translation: None }
}

/// Why an access was refused. An exception that no walk ends in is an error.
fn refusal(
    setup: Setup,
    kind: AccessKind,
    request: &Request,
    cause: u64,
) -> Result<Refusal, MmuError> {
    if cause == setup.page_fault(kind) {
        Ok(Refusal::default())
    } else if cause == setup::access_fault(kind) {
        Ok(Refusal { kind: Some(FaultKind::ExternalAbort), level: None })
    } else {
        Err(MmuError::Broken(format!(
            "{:?} at {:#x} ended with exception {cause}",
            request.access, request.address
        )))
    }
}
