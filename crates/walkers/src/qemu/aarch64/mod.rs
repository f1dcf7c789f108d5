//! QEMU's Arm processor, without any operating system.

mod fetch;
mod forget;
mod setup;
mod stub;
mod syndrome;

use std::sync::Arc;

use fetch::Planted;
use setup::{Half, Setup};
use syndrome::Par;

use super::batch::{Entry, Operation, Processor, RESERVED};
use super::engine::{Board, Engine};
use super::locate::{Program, Series};
use crate::{
    Absent, Access, AccessKind, Answer, FaultKind, Forget, MemoryType, Mmu, MmuError, Ram, Reached,
    Refusal, Regime, Request, Says, Shareability, Unsupported,
};

/// The program for both series.
const QEMU: &str = "qemu-system-aarch64";

/// The machine: a generic one with EL2, and nothing above the RAM.
const MACHINE: [&str; 4] = [
    "-machine",
    "virt,virtualization=on,gic-version=3,highmem=off,memory-backend=walked",
    "-cpu",
    "max",
];

/// An Arm processor that walks tables, asked with `AT`: the walker `qemu-aarch64`.
///
/// # What is asked
///
/// Reads and writes are asked with address translation instructions (`AT`), which tell the
/// physical address or the fault without an access, so leaves may lead anywhere. Fetches are made:
/// the address is found with `AT` first, an instruction is put there where it lies in the RAM (and
/// what was there comes back), and the processor jumps there at EL1 or EL0. Where there is no
/// memory, an external abort says that the fetch was let through.
///
/// # What is walked
///
/// - `VMSAv8-64` stage 1 with both halves; stage 2 with concatenated root tables; both together.
///   Granules of 4, 16 and 64 KiB, 52-bit addresses with all of them (`FEAT_LPA`, `FEAT_LPA2`),
///   hardware management of the access flag and the dirty state.
/// - `VMSAv8-32` stage 1 with long descriptors: reads and writes only.
///
/// Stage 2 is walked by QEMU 7.2, since 10.0 fails an assertion of its own when `AT` meets a
/// permission fault of stage 2; everything else by 10.0 or later.
///
/// 7.2 does not start a stage 2 walk at level 0 with 16 KiB, nor at level -1 unless the input has 52
/// bits, so such tables are not supported.
///
/// # What it does not enforce
///
/// - Addresses of 52 bits are implemented. Where the output size in a register is less, the bits of
///   an address that stand apart in a descriptor (51:48 with 64 KiB, 51:50 with `DS`) are ignored if
///   it is 48 bits or less; and level 1 has blocks with 64 KiB whatever it is.
/// - At stage 2, and with both, a block is accepted at every level above the pages'.
/// - Where hardware manages the dirty state, a clean leaf that EL0 may write can be executed at EL1.
/// - The contiguous hint is ignored: each descriptor is taken as it stands.
/// - `AT` walks anew each time: nothing is remembered, so a forgotten invalidation does not show.
///   Fetches begin with nothing remembered, too.
/// - A fetch at stage 2 from where neither reads nor writes are allowed is not made: it counts as
///   refused, though the architecture allows it.
/// - Likewise with both stages, where the level is that of the stage which refuses reads or writes.
/// - A fault of stage 2 on the walk of stage 1 has the level of stage 1's walk, not its own.
/// - `AT` for writes does not set a leaf's dirty state. Access flags are set, with `HA`.
/// - Reads and writes are not aligned or not: no alignment fault, no watchpoint, no tag check.
///
/// # References
///
/// Arm DDI 0487, D8 "The `AArch64` Virtual Memory System Architecture", C5.4 (`AT`).
#[derive(Debug)]
pub struct Aarch64 {
    engine: Engine<Virt>,
    installed: Option<Setup>,
}

/// The machine, in the two versions.
#[derive(Debug)]
struct Virt {
    ten: Program,
    /// Where there is one.
    seven: Result<Program, Absent>,
}

impl Virt {
    fn seven(&self) -> Result<&Program, Unsupported> {
        self.seven.as_ref().map_err(|why| Unsupported::new(format!("stage 2: {why}")))
    }
}

impl Board for Virt {
    type Setup = Setup;
    type Build = Series;

    const RAM: u64 = Aarch64::RAM;

    fn build(setup: &Setup) -> Series {
        if setup.has_stage2() { Series::Seven } else { Series::Ten }
    }

    fn start(&self, series: Series, ram: &Arc<Ram>) -> Result<Processor, MmuError> {
        let program = match series {
            Series::Ten => &self.ten,
            Series::Seven => self.seven()?,
        };
        let (own, code) = (Processor::spare(ram), Processor::code(ram));
        for (place, word) in (own..).step_by(8).zip(setup::own_table(code)) {
            ram.write_u64(place, word);
        }
        Processor::start(program, ram, &MACHINE, (Entry::Semihosting, stub::CODE))
    }

    fn words(setup: &Setup) -> impl AsRef<[u64]> {
        setup.words()
    }
}

impl Aarch64 {
    /// The physical address at which the machine has its RAM: what a [`Ram`] for it says.
    pub const RAM: u64 = 0x4000_0000;

    /// How many bytes of the RAM, from its first on, the machine takes for itself. Tables and
    /// targets lie behind them. Several machines may share them, one at a time.
    pub const RESERVED: u64 = RESERVED;

    /// Starts the machine with `ram`, which begins at [`RAM`](Self::RAM) and is larger than
    /// [`RESERVED`](Self::RESERVED).
    ///
    /// # Errors
    ///
    /// [`Absent`], where there is no QEMU, or it does not start.
    pub fn open(ram: &Arc<Ram>) -> Result<Self, Absent> {
        let ten = Program::locate(QEMU, Series::Ten)?;
        let board = Virt { ten, seven: Program::locate(QEMU, Series::Seven) };
        Ok(Self { engine: Engine::open(board, ram, Series::Ten)?, installed: None })
    }

    /// The memory type and the shareability that a read with EL1's rights has at each of
    /// `addresses`, in the tables that were installed last: with both stages, what these combine
    /// to. Device and non-cacheable memory is outer shareable, whatever the tables say. None where
    /// there is a fault.
    ///
    /// # Errors
    ///
    /// [`MmuError::Unsupported`] if no tables are installed, [`MmuError::Broken`] as for
    /// [`translate`](Mmu::translate).
    pub fn memory_types(
        &mut self,
        addresses: &[u64],
    ) -> Result<Vec<Option<(MemoryType, Shareability)>>, MmuError> {
        let pars = self.ask(addresses.iter().map(|&address| (address, Access::PRIVILEGED_READ)))?;
        let types =
            pars.into_iter().map(|par| par.page().ok().map(|_| (par.memory(), par.shareability())));
        Ok(types.collect())
    }

    fn installed(&self) -> Result<Setup, Unsupported> {
        self.installed.ok_or_else(|| Unsupported::new("no tables are installed"))
    }

    /// Has the processor forget something of what `setup` is for.
    fn tell(&mut self, setup: Setup, what: Forget) -> Result<(), MmuError> {
        let setup = forget::space(what).map_or(setup, |asid| setup.with_space(asid));
        self.engine.run(setup, &mut forget::operations(setup, what))
    }

    /// Asks with `AT`.
    fn ask(
        &mut self,
        questions: impl Iterator<Item = (u64, Access)>,
    ) -> Result<Vec<Par>, MmuError> {
        let setup = self.installed()?;
        let mut list: Vec<Operation> = questions
            .map(|(address, access)| [address, stub::translate(setup.stages(), access), 0, 0])
            .collect();
        self.engine.run(setup, &mut list)?;
        Ok(list.into_iter().map(|[_, par, ..]| Par(par)).collect())
    }

    /// Makes the fetches among `requests`, which `answers` says the ends of as far as `AT` knows.
    fn fetch(&mut self, requests: &[Request], answers: &mut [Answer]) -> Result<(), MmuError> {
        let setup = self.installed()?;
        let fetches = |&at: &usize| requests[at].access.kind == AccessKind::Execute;
        let mut fetches: Vec<usize> = (0..requests.len()).filter(fetches).collect();
        if setup.has_stage2() {
            // Where stage 2 allows writes only, AT for writes tells the address.
            let refused = |&at: &usize| is_permission_fault(answers[at]);
            let unread: Vec<usize> = fetches.iter().copied().filter(refused).collect();
            let ask = unread.iter().map(|&at| (requests[at].address, Access::PRIVILEGED_WRITE));
            for (&at, par) in unread.iter().zip(self.ask(ask)?) {
                answers[at] = answer(requests[at].address, par);
            }
        }
        fetches.retain(|&at| !is_permission_fault(answers[at]));

        let ram = Arc::clone(&self.engine.ram);
        let mut planted = Planted::new(&ram);
        for &at in &fetches {
            let Ok(reached) = answers[at] else { continue };
            if reached.address < ram.first() + RESERVED {
                return Err(MmuError::Broken(format!(
                    "fetches from {:#x} cannot be made: the machine has something there",
                    reached.address
                )));
            }
            planted.put(reached.address & !3);
        }
        for half in [Half::Lower, Half::Upper] {
            let those: Vec<usize> = fetches
                .iter()
                .copied()
                .filter(|&at| !setup.has_stage1() || Half::of(requests[at].address) == half)
                .collect();
            if those.is_empty() || !setup.has_stage1() && half == Half::Upper {
                continue;
            }
            let setup = setup
                .with_own_half(half, Processor::spare(&ram), Processor::code(&ram))
                .ok_or_else(no_fetches)?;
            let mut list: Vec<Operation> = those
                .iter()
                .map(|&at| {
                    [requests[at].address & !3, stub::fetch(requests[at].access.privilege), 0, 0]
                })
                .collect();
            // What other words were put there before must not be run.
            self.tell(setup, Forget::Everything)?;
            self.engine.run(setup, &mut list)?;
            for (&at, &operation) in those.iter().zip(&list) {
                match (fetch::outcome(operation)?, answers[at]) {
                    (Ok(()), Ok(_)) => {}
                    (Err(refusal), _) => answers[at] = Err(refusal),
                    (Ok(()), Err(refusal)) => {
                        return Err(MmuError::Broken(format!(
                            "{:#x} can be fetched from, but AT says {refusal:?}",
                            requests[at].address
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Mmu for Aarch64 {
    fn name(&self) -> &'static str {
        "qemu-aarch64"
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let setup = Setup::new(regime, 0)?;
        if setup.has_stage2() {
            self.engine.board.seven()?;
        }
        Ok(Says {
            permissions: true,
            execute: fetches(setup),
            privilege: true,
            kinds: true,
            levels: true,
            remembers: false,
            largest_leaf: u64::MAX,
            targets: (self.engine.ram.first() + RESERVED, (1 << 52) - 1),
        })
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        self.says(regime)?;
        let setup = Setup::new(regime, asid)?;
        self.installed = Some(setup);
        self.tell(setup, Forget::Space { asid })
    }

    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        let setup = self.installed()?;
        let has_fetches = requests.iter().any(|request| request.access.kind == AccessKind::Execute);
        if has_fetches && !fetches(setup) {
            return Err(no_fetches().into());
        }
        let pars = self.ask(requests.iter().map(|request| (request.address, request.access)))?;
        let pairs = requests.iter().zip(pars);
        answers.extend(pairs.map(|(request, par)| answer(request.address, par)));
        if has_fetches { self.fetch(requests, answers) } else { Ok(()) }
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        let Some(setup) = self.installed else { return Ok(()) };
        self.tell(setup, what)
    }
}

fn no_fetches() -> Unsupported {
    Unsupported::new("fetches through such tables")
}

/// Whether fetches can be made through such tables: in `AArch64`, and with a place for exceptions.
fn fetches(setup: Setup) -> bool {
    setup.is_aarch64() && setup.with_own_half(Half::Lower, 0, 0).is_some()
}

fn is_permission_fault(answer: Answer) -> bool {
    matches!(answer, Err(Refusal { kind: Some(FaultKind::Permission), .. }))
}

fn answer(address: u64, par: Par) -> Answer {
    let page = par.page()?;
    Ok(Reached { address: page | address & 0xfff, translation: None })
}
