//! QEMU's x86-64 processor, without any operating system.

mod setup;

use std::sync::Arc;

use setup::{Setup, own_tables};

use super::accesses::{self, Accesses, Made, Make, Place};
use super::batch::{CODE, Entry, Operation, Processor, RESERVED};
use super::engine::{Board, Engine};
use super::locate::{Program, Series};
use super::targets::Targets;
use crate::page_fault::{PRESENT, RESERVED as RESERVED_BIT};
use crate::{
    Absent, Access, Answer, FaultKind, Forget, Mmu, MmuError, PhysMemory, Privilege, Ram, Refusal,
    Regime, Request, Says, Unsupported, X86_64Registers, page_fault, slot,
};

/// What the processor runs, as `stub.s` assembles.
static STUB: &[u8] = include_bytes!("stub.bin");
const _: () = assert!(CODE == 0x20_0000, "`stub.s` says where it lies");

/// How many of its first bytes are the end of the ROM.
const ROM: usize = 64;

/// Its operations.
const LOAD: u64 = 1;
const STORE: u64 = 2;
const FETCH: u64 = 3;
const FORGET_PAGE: u64 = 4;
const FORGET_ALL: u64 = 5;
/// To be added to the first three: with the rights of CPL 3.
const AS_USER: u64 = 1 << 7;

/// More pages than these are not forgotten one by one.
const FEW_PAGES: u64 = 512;

/// What lies at the targets, four times: `int3`. A table that is there by mistake has no entry that
/// is present, so no flag is set in it.
const BREAKPOINTS: u32 = 0xcccc_cccc;

/// Exceptions: breakpoint, general protection, page fault.
const BP: u32 = 3;
const GP: u32 = 13;
const PF: u32 = 14;

/// How many bits a physical address may have.
const PHYSICAL_BITS: core::ops::RangeInclusive<u8> = 32..=52;

/// An x86-64 processor that walks tables, asked with accesses: the walker `qemu-x86`.
///
/// # What is asked
///
/// Every answer is an access of CPL 0 or CPL 3: a load or a store of eight bytes, or a jump there.
/// What is at the targets says where an access led, so leaves must lead to the
/// [targets](Self::open) for answers to be right; anything else is an error.
///
/// # What is walked
///
/// Tables of four and of five levels (`CR4.LA57`), with leaves of 1 GiB; `CR0.WP`, `CR4.SMEP` and
/// `EFER.NXE` as the registers say. `MAXPHYADDR` is what the machine was opened with, and a regime
/// with another one is not supported. Neither are protection keys, `SMAP` and shadow stacks: they
/// are off. QEMU 10.0 or later.
///
/// The program that makes the accesses must be mapped while it does, so the processor walks a
/// *copy* of the root, in which an entry that no address of the batch needs maps that: below the
/// root it walks the very bytes under test. The copy is as new as the last
/// [`translate`](Mmu::translate). The processor sets accessed and dirty flags in the tables under
/// test; for the root's entries, in the copy. The root must lie in the [`Ram`].
///
/// # What is answered
///
/// The class of a fault is the page fault's error code: not present is a
/// [translation](FaultKind::Translation) fault, `RSVD` is [reserved](FaultKind::Reserved), the
/// others are [permission](FaultKind::Permission) faults. The bits for write, user and fetch must
/// be those of the access, and `CR2` the address; `P` is not looked at beside `RSVD`, where QEMU
/// leaves it out. An address that is not canonical is a translation fault; the processor raises a
/// general protection fault. The level is not said, nor the memory type.
///
/// # What is remembered
///
/// QEMU has a TLB, so what was changed without [`forget`](Mmu::forget) is often not seen. It has
/// one address space, and forgets all of it, too, when a batch needs the entry of the root that
/// maps the program. The first write to a page is walked anew, for the dirty flag, though a read of
/// it is remembered.
///
/// # What it does not enforce
///
/// - Bit 8 of entries above page directories that lead to tables may be set, as with Intel's
///   processors.
/// - Global leaves are forgotten like others.
///
/// # References
///
/// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, chapters 4 and 6.
#[derive(Debug)]
pub struct X86 {
    engine: Engine<Microvm>,
    targets: Targets,
    /// What is walked, and for which address space.
    installed: Option<(X86_64Registers, u16)>,
    /// The entry of the root that maps the program.
    slot: u64,
}

/// The machine: one with as little as a PC can have.
#[derive(Debug)]
struct Microvm {
    program: Program,
    physical_bits: u8,
}

impl Board for Microvm {
    type Setup = Setup;
    type Build = ();

    const RAM: u64 = X86::RAM;

    fn build(_: &Setup) {}

    fn start(&self, (): (), ram: &Arc<Ram>) -> Result<Processor, MmuError> {
        let setup = Setup::new(&X86_64Registers::default(), slot::COUNT - 1);
        for (place, word) in own_tables().chain([(setup.own_place(), setup.own_entry())]) {
            ram.write_u64(place, word);
        }
        Processor::set(ram, &setup.words());
        let processor_type = format!("max,la57=on,phys-bits={}", self.physical_bits);
        let arguments =
            ["-machine", "microvm,pit=off,rtc=off,memory-backend=walked", "-cpu", &processor_type];
        Processor::start(&self.program, ram, &arguments, (Entry::Rom(&STUB[..ROM]), STUB))
    }

    fn words(setup: &Setup) -> impl AsRef<[u64]> {
        setup.words()
    }
}

impl X86 {
    /// The physical address at which the machine has its RAM: what a [`Ram`] for it says.
    pub const RAM: u64 = 0;

    /// How many bytes of the RAM, from its first on, the machine takes for itself. Tables and
    /// targets lie behind them.
    pub const RESERVED: u64 = RESERVED;

    /// Starts the machine with `ram`, which begins at [`RAM`](Self::RAM) and is larger than
    /// [`RESERVED`](Self::RESERVED). `physical_bits` is `MAXPHYADDR`, from 32 to 52. `targets` are
    /// the first and the last address of the pages that leaves may lead to: whole pages, in which
    /// every word is overwritten.
    ///
    /// # Errors
    ///
    /// [`Absent`], where there is no QEMU, or it does not start, or the numbers are not as said.
    pub fn open(ram: &Arc<Ram>, physical_bits: u8, targets: (u64, u64)) -> Result<Self, Absent> {
        if !PHYSICAL_BITS.contains(&physical_bits) {
            let bits = format!("{physical_bits} bits");
            return Err(Absent::new(format!("physical addresses of {bits}: there are 32 to 52")));
        }
        let program = Program::locate("qemu-system-x86_64", Series::Ten)?;
        let engine = Engine::open(Microvm { program, physical_bits }, ram, ())?;
        let targets = Targets::new(ram, targets, BREAKPOINTS)?;
        Ok(Self { engine, targets, installed: None, slot: slot::COUNT - 1 })
    }

    /// The registers of a regime that it walks.
    fn registers(&self, regime: &Regime) -> Result<X86_64Registers, Unsupported> {
        let Regime::X86_64(registers) = regime else {
            return Err(Unsupported::new("tables of another kind than x86-64's"));
        };
        let (wanted, there) = (registers.physical_bits, self.engine.board.physical_bits);
        if wanted != there {
            return Err(Unsupported::new(format!(
                "physical addresses of {wanted} bits: the machine was opened with {there}"
            )));
        }
        Ok(*registers)
    }

    fn installed(&self) -> Result<X86_64Registers, Unsupported> {
        let installed = self.installed.map(|(registers, _)| registers);
        installed.ok_or_else(|| Unsupported::new("no tables are installed"))
    }

    /// Has the processor walk a copy of the root, with what is the machine's own in `self.slot`.
    fn load(&mut self, registers: &X86_64Registers) -> Result<Setup, MmuError> {
        let setup = Setup::new(registers, self.slot);
        let ram = Arc::clone(&self.engine.ram);
        // The processor may be in another slot of the same copy, which stays until it has left.
        ram.write_u64(setup.own_place(), setup.own_entry());
        self.engine.run(setup, &mut [])?;
        let root = registers.cr3 & 0x000f_ffff_ffff_f000;
        for index in (0..slot::COUNT).filter(|&index| index != self.slot) {
            let entry = ram
                .read_u64(root + 8 * index)
                .ok_or_else(|| Unsupported::new(format!("a root at {root:#x}: no RAM")))?;
            ram.write_u64(setup.copy() + 8 * index, entry);
        }
        Ok(setup)
    }

    /// Chooses a slot that none of the first of `requests` needs, the same one if it can, and says
    /// how many these are.
    fn make_way(&mut self, requests: &[Request], five: bool) -> usize {
        let mut needed = [false; slot::COUNT as usize];
        let mut left = needed.len() - 1;
        let mut count = 0;
        for request in requests {
            // CAST: below 512.
            let needed = &mut needed[slot::of(request.address, five) as usize];
            if !*needed {
                if left == 0 {
                    break;
                }
                left -= 1;
                *needed = true;
            }
            count += 1;
        }
        let is_free = |slot: &u64| !needed[*slot as usize];
        // There is always one.
        if let Some(free) = [self.slot].into_iter().chain((0..slot::COUNT).rev()).find(is_free) {
            self.slot = free;
        }
        count
    }
}

/// The processor with these registers.
struct Cpu<'a> {
    engine: &'a mut Engine<Microvm>,
    setup: Setup,
    registers: X86_64Registers,
}

impl Accesses for Cpu<'_> {
    fn make(&mut self, what: Make, places: &[Place]) -> Result<Vec<Made>, MmuError> {
        let operation = match what {
            // Whatever can be fetched from can be loaded from.
            Make::Load | Make::LoadCode => LOAD,
            Make::Store => STORE,
            Make::Fetch => FETCH,
        };
        let question = |place: &Place| {
            let whose = match place.privilege {
                Privilege::Privileged => 0,
                Privilege::Unprivileged => AS_USER,
            };
            [place.address, operation | whose, 0, place.value]
        };
        let mut list: Vec<Operation> = places.iter().map(question).collect();
        self.engine.run(self.setup, &mut list)?;
        let made = |(place, &operation): (&Place, &Operation)| self.made(what, place, operation);
        places.iter().zip(&list).map(made).collect()
    }
}

impl Cpu<'_> {
    /// What became of an access.
    fn made(
        &self,
        what: Make,
        place: &Place,
        [_, word, exception, cr2]: Operation,
    ) -> Result<Made, MmuError> {
        let X86_64Registers { nxe, smep, la57, .. } = self.registers;
        let access = Access { kind: what.kind(), privilege: place.privilege };
        // CAST: the number in the low half, the error code in the high one.
        let (exception, code) = (exception as u32, (exception >> 32) as u32);
        // QEMU reports a reserved bit of what is present as one of what is not.
        let code = code | if code & RESERVED_BIT == 0 { 0 } else { PRESENT };
        let kind = match exception {
            BP => return Ok(Ok(word)),
            PF if cr2 == place.address => page_fault::kind(code, access, nxe || smep),
            GP if slot::canonical(place.address, la57) != place.address => {
                Some(FaultKind::Translation)
            }
            _ => None,
        };
        let refused = kind.map(|kind| Err(Refusal { kind: Some(kind), level: None }));
        refused.ok_or_else(|| {
            MmuError::Broken(format!(
                "{what:?} at {place:x?} ended with exception {exception}, {code:#x}, at {cr2:#x}"
            ))
        })
    }
}

impl Mmu for X86 {
    fn name(&self) -> &'static str {
        "qemu-x86"
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        self.registers(regime)?;
        Ok(Says {
            permissions: true,
            execute: true,
            privilege: true,
            kinds: true,
            levels: false,
            remembers: true,
            largest_leaf: 1 << 30,
            targets: (self.targets.first, self.targets.last),
        })
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        let registers = self.registers(regime)?;
        self.installed = Some((registers, asid));
        let setup = self.load(&registers)?;
        self.engine.run(setup, &mut [[0, FORGET_ALL, 0, 0]])
    }

    fn translate(
        &mut self,
        mut requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        let registers = self.installed()?;
        while !requests.is_empty() {
            let (now, later) = requests.split_at(self.make_way(requests, registers.la57));
            requests = later;
            let setup = self.load(&registers)?;
            let mut cpu = Cpu { engine: &mut self.engine, setup, registers };
            answers.append(&mut accesses::answer(&mut cpu, &self.targets, now)?);
        }
        Ok(())
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        let Some((registers, installed)) = self.installed else { return Ok(()) };
        let (asid, range) = match what {
            Forget::Everything => (installed, None),
            Forget::Space { asid } => (asid, None),
            Forget::Range { asid, first, last, .. } => (asid, Some((first, last))),
            Forget::Page { asid, address, .. } => (asid, Some((address, address))),
        };
        if asid != installed {
            return Ok(()); // Other address spaces were forgotten when this one was installed.
        }
        let setup = Setup::new(&registers, self.slot);
        let pages = range.map(|(first, last)| (first & !0xfff, (last >> 12) - (first >> 12)));
        let mut list: Vec<Operation> = match pages {
            Some((first, count)) if count < FEW_PAGES => {
                let pages = (0..=count).map(|page| first.wrapping_add(page << 12));
                pages.map(|page| [page, FORGET_PAGE, 0, 0]).collect()
            }
            _ => vec![[0, FORGET_ALL, 0, 0]],
        };
        self.engine.run(setup, &mut list)
    }
}
