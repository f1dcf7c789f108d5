//! The machine, its RAM, and trees of tables in it.

use std::sync::Arc;

use walkers::qemu::X86;
use walkers::{
    Access, Answer, FaultKind, Mmu, PhysMemory, Ram, Refusal, Regime, X86_64Registers, require,
};

use crate::opinion::expect;
pub(crate) use crate::x86::{ALL, LARGE, NO_EXECUTE};

/// The RAM: what the machine takes, then tables, then targets.
const BYTES: u64 = 64 << 20;
pub(crate) const TABLES: u64 = X86::RAM + X86::RESERVED;
pub(crate) const TARGETS: u64 = X86::RAM + (32 << 20);
pub(crate) const LAST: u64 = X86::RAM + (48 << 20) - 1;

pub(crate) const ACCESSED: u64 = 1 << 5;
pub(crate) const DIRTY: u64 = 1 << 6;

/// How many bits physical addresses have, if nothing else is said.
pub(crate) const BITS: u8 = 46;

pub(crate) const fn span_bits(level: i8) -> u32 {
    12 + 9 * (3 - level).unsigned_abs() as u32
}

/// The canonical address with the low bits of `address`: the sign of bit 56, or 47.
pub(crate) const fn canonical(address: u64, five: bool) -> u64 {
    let sign = 1 << if five { 56 } else { 47 };
    ((address & (2 * sign - 1)) ^ sign).wrapping_sub(sign)
}

/// What a 64-bit kernel sets, but for `SMEP`; the root is said later.
pub(crate) const fn registers(five: bool) -> X86_64Registers {
    X86_64Registers {
        cr3: 0,
        la57: five,
        nxe: true,
        wp: true,
        smep: false,
        pat: 0x0007_0406_0007_0406,
        physical_bits: BITS,
    }
}

pub(crate) const fn refused(kind: FaultKind) -> Answer {
    Err(Refusal { kind: Some(kind), level: None })
}

/// RAM and a machine that has it, unless there is none.
pub(crate) fn machine(bits: u8) -> Option<(Arc<Ram>, X86)> {
    let ram = Arc::new(Ram::new(X86::RAM, BYTES as usize).expect("there is memory"));
    let machine = require::machine("qemu-x86", X86::open(&ram, bits, (TARGETS, LAST)))?;
    Some((ram, machine))
}

/// A machine, and tables in its RAM.
pub(crate) struct Tables {
    pub(crate) ram: Arc<Ram>,
    pub(crate) machine: X86,
    pub(crate) root: u64,
    five: bool,
    next: u64,
}

impl Tables {
    /// Nothing without QEMU.
    pub(crate) fn new() -> Option<Self> {
        let (ram, machine) = machine(BITS)?;
        Some(Self { ram, machine, root: 0, five: false, next: TABLES })
    }

    /// Begins with an empty root.
    pub(crate) fn clear(&mut self, five: bool) {
        (self.five, self.next) = (five, TABLES);
        self.root = self.table();
    }

    pub(crate) fn install(&mut self, registers: X86_64Registers) {
        let regime = Regime::X86_64(X86_64Registers { cr3: self.root, ..registers });
        self.machine.install(&regime, 7).expect("it walks such tables");
    }

    /// The level of the root.
    pub(crate) const fn top(&self) -> i8 {
        if self.five { -1 } else { 0 }
    }

    /// The canonical address with these low bits.
    pub(crate) const fn canonical(&self, address: u64) -> u64 {
        canonical(address, self.five)
    }

    pub(crate) fn table(&mut self) -> u64 {
        let at = self.next;
        self.next += 4096;
        assert!(self.next <= TARGETS, "the tables have too little room");
        for word in (at..self.next).step_by(8) {
            self.ram.write_u64(word, 0);
        }
        at
    }

    /// Where the entry for `address` at `level` is; tables that are missing on the way are made,
    /// with links that permit everything.
    pub(crate) fn place(&mut self, address: u64, level: i8) -> u64 {
        let mut table = self.root;
        for above in self.top()..=level {
            let place = table + 8 * (address >> span_bits(above) & 511);
            if above == level {
                return place;
            }
            if self.read(place) & 1 == 0 {
                let below = self.table();
                self.write(place, below | ALL);
            }
            table = self.read(place) & 0x000f_ffff_ffff_f000;
        }
        unreachable!("the level is above the root")
    }

    /// Has the entry for `address` at `level` be `entry`, and says where it is.
    pub(crate) fn put(&mut self, address: u64, level: i8, entry: u64) -> u64 {
        let place = self.place(address, level);
        self.write(place, entry);
        place
    }

    pub(crate) fn read(&self, place: u64) -> u64 {
        self.ram.read_u64(place).expect("it is in RAM")
    }

    pub(crate) fn write(&self, place: u64, entry: u64) {
        assert!(self.ram.write_u64(place, entry));
    }

    /// Fails unless every access at `address` gets the same answer.
    pub(crate) fn expect_all(&mut self, address: u64, answer: Answer) {
        expect(&mut self.machine, &Access::ALL.map(|access| (address, access, answer)));
    }
}
