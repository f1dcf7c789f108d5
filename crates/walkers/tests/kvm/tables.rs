//! Tables built by hand, and a machine that walks them.

use std::sync::Arc;

use walkers::kvm::Kvm;
use walkers::{
    Access, Answer, FaultKind, Mmu, MmuError, PhysMemory, Ram, Reached, Refusal, Regime, Request,
    X86_64Registers, require,
};

pub(crate) use crate::x86::{ALL, LARGE, NO_EXECUTE};

/// Where the RAM begins, and with it the root.
pub(crate) const RAM: u64 = 0x4000_0000;
/// A machine, and tables in its RAM.
pub(crate) struct Tables {
    pub(crate) ram: Arc<Ram>,
    pub(crate) kvm: Kvm,
    next: u64,
}

impl Tables {
    /// An empty root, which is installed with what a 64-bit kernel sets, but for `SMEP`. Nothing
    /// without KVM.
    pub(crate) fn new() -> Option<Self> {
        let ram = Arc::new(Ram::new(RAM, 4 << 20).expect("there is memory"));
        let kvm = require::machine("kvm", Kvm::open(&ram))?;
        let mut tables = Self { ram, kvm, next: RAM + 4096 };
        tables.install(REGISTERS);
        Some(tables)
    }

    pub(crate) fn install(&mut self, registers: X86_64Registers) {
        self.kvm.install(&Regime::X86_64(registers), 7).expect("it walks such tables");
    }

    /// `MAXPHYADDR`: regimes with fewer bits are not supported.
    pub(crate) fn physical_bits(&self) -> u8 {
        let supports = |physical_bits: &u8| {
            let registers = X86_64Registers { physical_bits: *physical_bits, ..REGISTERS };
            self.kvm.says(&Regime::X86_64(registers)).is_ok()
        };
        (0..=52).find(supports).expect("it walks such tables")
    }

    /// A new table, which is empty.
    pub(crate) fn table(&mut self) -> u64 {
        self.next += 4096;
        self.next - 4096
    }

    /// Where the entry for `address` at `level` is; tables that are missing on the way are made,
    /// with links that permit everything.
    pub(crate) fn entry(&mut self, address: u64, level: u32) -> u64 {
        let mut table = RAM;
        for above in 0..level {
            let link = table + 8 * index(address, above);
            if self.read(link) & 1 == 0 {
                let new = self.table();
                self.write(link, new | ALL);
            }
            table = self.read(link) & 0x000f_ffff_ffff_f000;
        }
        table + 8 * index(address, level)
    }

    /// Has the entry for `address` at `level` be `entry`.
    pub(crate) fn put(&mut self, address: u64, level: u32, entry: u64) {
        let at = self.entry(address, level);
        self.write(at, entry);
    }

    pub(crate) fn read(&self, at: u64) -> u64 {
        self.ram.read_u64(at).expect("it is in RAM")
    }

    pub(crate) fn write(&self, at: u64, entry: u64) {
        assert!(self.ram.write_u64(at, entry));
    }

    pub(crate) fn ask_all(&mut self, requests: &[Request]) -> Result<Vec<Answer>, MmuError> {
        let mut answers = Vec::new();
        self.kvm.translate(requests, &mut answers)?;
        assert_eq!(answers.len(), requests.len());
        Ok(answers)
    }

    pub(crate) fn ask(&mut self, address: u64, access: Access) -> Answer {
        self.ask_all(&[Request { address, access }]).expect("it answers")[0]
    }

    /// What all six accesses say, in the order of [`Access::ALL`].
    pub(crate) fn ask_each(&mut self, address: u64) -> Vec<Answer> {
        self.ask_all(&Access::ALL.map(|access| Request { address, access })).expect("it answers")
    }
}

/// With what tables are installed first.
pub(crate) const REGISTERS: X86_64Registers = X86_64Registers {
    cr3: RAM,
    la57: false,
    nxe: true,
    wp: true,
    smep: false,
    pat: 0x0007_0406_0007_0406,
    // Whatever the host has: it may have fewer.
    physical_bits: 52,
};

pub(crate) fn index(address: u64, level: u32) -> u64 {
    address >> (39 - 9 * level) & 511
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with answers")]
pub(crate) fn reached(address: u64) -> Answer {
    Ok(Reached { address, translation: None })
}

pub(crate) fn refused(kind: FaultKind) -> Answer {
    Err(Refusal { kind: Some(kind), level: None })
}
