//! The machine, its RAM, and trees of tables in it.

use std::sync::Arc;

use walkers::qemu::RiscV;
use walkers::{
    Access, AccessKind, Answer, FaultKind, Mmu, PhysMemory, Ram, Regime, Request,
    RiscVGuestRegisters, RiscVRegisters, require,
};

use crate::opinion::{Tally, compare, of_model};

/// The RAM: what the machine takes, then tables, then targets.
const BYTES: u64 = 64 << 20;
pub(crate) const TABLES: u64 = RiscV::RAM + RiscV::RESERVED;
pub(crate) const TARGETS: u64 = RiscV::RAM + (32 << 20);
pub(crate) const LAST: u64 = RiscV::RAM + (48 << 20) - 1;

pub(crate) const V: u64 = 1;
pub(crate) const R: u64 = 1 << 1;
pub(crate) const W: u64 = 1 << 2;
pub(crate) const X: u64 = 1 << 3;
pub(crate) const U: u64 = 1 << 4;
pub(crate) const A: u64 = 1 << 6;
pub(crate) const D: u64 = 1 << 7;
pub(crate) const NAPOT: u64 = 1 << 63;

/// RAM and a machine that has it, unless there is none.
pub(crate) fn machine() -> Option<(Arc<Ram>, RiscV)> {
    let ram = Arc::new(Ram::new(RiscV::RAM, BYTES as usize).expect("there is memory"));
    let machine = require::machine("qemu-riscv", RiscV::open(&ram, (TARGETS, LAST)))?;
    Some((ram, machine))
}

/// One of the six modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) guest: bool,
    /// `MODE`: 8 to 10.
    pub(crate) number: u64,
}

/// What can be switched on.
#[expect(clippy::struct_excessive_bools, reason = "bits of registers, as these have them")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Switches {
    pub(crate) sum: bool,
    pub(crate) mxr: bool,
    pub(crate) pbmt: bool,
    pub(crate) napot: bool,
    pub(crate) adue: bool,
}

impl Mode {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [false, true]
            .into_iter()
            .flat_map(|guest| (8..=10).map(move |number| Self { guest, number }))
    }

    /// The level of the root: 1 with three levels.
    pub(crate) const fn top(self) -> i8 {
        9 - self.number as i8
    }

    pub(crate) const fn input_bits(self) -> u32 {
        span_bits(self.top()) + 9 + if self.guest { 2 } else { 0 }
    }

    pub(crate) fn regime(self, root: u64, switches: Switches) -> Regime {
        let register = self.number << 60 | root >> 12;
        let Switches { sum, mxr, pbmt, napot, adue } = switches;
        if self.guest {
            Regime::RiscVGuest(RiscVGuestRegisters { hgatp: register, pbmt, napot, adue })
        } else {
            Regime::RiscV(RiscVRegisters { satp: register, sum, mxr, pbmt, napot, adue })
        }
    }
}

pub(crate) const fn span_bits(level: i8) -> u32 {
    12 + 9 * (3 - level).unsigned_abs() as u32
}

/// An entry that leads to `address`.
pub(crate) const fn entry(address: u64, bits: u64) -> u64 {
    address >> 12 << 10 | bits
}

pub(crate) struct Tree<'a> {
    ram: &'a Ram,
    mode: Mode,
    pub(crate) root: u64,
    next: u64,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(ram: &'a Ram, mode: Mode) -> Self {
        let mut tree = Self { ram, mode, root: 0, next: TABLES };
        tree.root = tree.allocate(if mode.guest { 1 << 14 } else { 1 << 12 });
        tree
    }

    pub(crate) fn allocate(&mut self, bytes: u64) -> u64 {
        let at = self.next.next_multiple_of(bytes);
        self.next = at + bytes;
        assert!(self.next <= TARGETS, "the tables have too little room");
        for word in (at..self.next).step_by(8) {
            self.ram.write_u64(word, 0);
        }
        at
    }

    /// Where the entry of `address` at `level` is. Tables on the way are made.
    pub(crate) fn place(&mut self, address: u64, level: i8) -> u64 {
        let input = address & ((1 << self.mode.input_bits()) - 1);
        let mut table = self.root;
        for above in self.mode.top()..=level {
            let index = input >> span_bits(above);
            let index = if above == self.mode.top() { index } else { index & 0x1ff };
            let place = table + 8 * index;
            if above == level {
                return place;
            }
            let found = self.ram.read_u64(place).expect("tables are in the RAM");
            table = if found & V == 0 {
                let below = self.allocate(1 << 12);
                self.ram.write_u64(place, entry(below, V));
                below
            } else {
                found >> 10 << 12
            };
        }
        unreachable!("the level is above the root")
    }

    pub(crate) fn map(&mut self, address: u64, level: i8, to: u64, bits: u64) -> u64 {
        let place = self.place(address, level);
        self.ram.write_u64(place, entry(to, bits) | bits & NAPOT);
        place
    }
}

/// Asks the model and the machine the same, and fails where they disagree. Only what leads to the
/// targets is asked, or nowhere: also what is refused may not be readable elsewhere. Groups of which
/// the entries differ are left out.
pub(crate) fn agree(
    ram: &Arc<Ram>,
    mmu: &mut dyn Mmu,
    regime: &Regime,
    requests: &[Request],
) -> Tally {
    mmu.install(regime, 1).expect("the machine walks such tables");
    let reads: Vec<Request> = requests
        .iter()
        .map(|request| Request {
            access: Access { kind: AccessKind::Read, ..request.access },
            ..*request
        })
        .collect();
    let is_asked = |answer: Answer| match answer {
        Ok(to) => (TARGETS..=LAST).contains(&to.address),
        Err(refusal) => refusal.kind != Some(FaultKind::Conflict),
    };
    let asked: Vec<(Request, Answer)> = requests
        .iter()
        .copied()
        .zip(of_model(ram, regime, requests))
        .zip(of_model(ram, regime, &reads))
        .filter(|((_, answer), read)| is_asked(*answer) && is_asked(*read))
        .map(|(asked, _)| asked)
        .collect();
    compare(mmu, regime, &asked, |_, _, got| got.kind.is_none())
}
