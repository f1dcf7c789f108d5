//! A VM on memory of its own, and an MMU that nobody derived from it.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::Arc;

use gpuvm::{Device, Vm};
use iopgtable::format::{MaliRegisters, Stage1Registers, Stage2Registers, X86_64Registers};
use iopgtable::memory::Region;
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Format, Granule, Invalidate, Invalidation, IovaRange,
    PhysAddr, Unwalked, X86_64,
};
use walkers::soft::{Mali, Stage1, Stage2};
use walkers::{Access, Fault, FnMemory, Translation, Walker};

/// Where the tables lie: beyond what the tests map.
pub(crate) const TABLES: PhysAddr = PhysAddr(0x80_0000_0000 - (64 << 20));

pub(crate) type Memory = Arc<Region>;

pub(crate) fn memory() -> Memory {
    Arc::new(Region::with_capacity(TABLES, 64 << 20).unwrap())
}

pub(crate) fn vm<F: Format>(config: Config, memory: &Memory) -> Vm<F, Memory, Unwalked> {
    Vm::new(config, Arc::clone(memory), Unwalked).unwrap()
}

/// A format that the soft MMU walks.
pub(crate) trait Walked: Format {
    fn walk(
        registers: Self::Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        address: u64,
        access: Access,
    ) -> Result<Translation, Fault>;
}

impl<G: Granule> Walked for Arm64S1<G> {
    fn walk(
        registers: Stage1Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        address: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let registers = walkers::soft::Stage1Registers {
            // The control register says which half is walked.
            ttbr0: Some(registers.ttbr),
            ttbr1: Some(registers.ttbr),
            tcr: registers.tcr,
            mair: registers.mair,
        };
        Stage1::new(FnMemory(read), registers).unwrap().translate(address, access)
    }
}

impl<G: Granule> Walked for Arm64S2<G> {
    fn walk(
        registers: Stage2Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        address: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let registers = walkers::soft::Stage2Registers {
            vttbr: registers.vttbr,
            vtcr: registers.vtcr,
            force_write_back: registers.force_write_back,
        };
        Stage2::new(FnMemory(read), registers).unwrap().translate(address, access)
    }
}

impl Walked for ArmMali {
    fn walk(
        registers: MaliRegisters,
        read: &dyn Fn(u64) -> Option<u64>,
        address: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let registers = walkers::soft::MaliRegisters {
            transtab: registers.transtab,
            memattr: registers.memattr,
        };
        Mali::new(FnMemory(read), registers).unwrap().translate(address, access)
    }
}

impl Walked for X86_64 {
    fn walk(
        registers: X86_64Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        address: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let registers = walkers::X86_64Registers {
            cr3: registers.cr3,
            la57: registers.levels == 5,
            nxe: true,
            wp: true,
            smep: false,
            pat: registers.pat,
            physical_bits: 52,
        };
        walkers::soft::X86_64::new(FnMemory(read), registers).translate(address, access)
    }
}

/// Has the soft MMU translate `address` by the tables of `vm` as they are now.
pub(crate) fn walk<F: Walked, D: Device>(
    vm: &Vm<F, Memory, D>,
    address: u64,
    access: Access,
) -> Result<Translation, Fault> {
    // SAFETY: the walk ends before this function does, while the VM lives and is not changed.
    let registers = unsafe { vm.registers() };
    vm.with_table(|table| {
        // SAFETY: the table is locked, and each test has its region for itself.
        let read = |phys| unsafe { table.allocator().read(PhysAddr(phys)) };
        F::walk(registers, &read, address, access)
    })
}

/// What a [`Faulty`] device is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Begin(u64, IovaRange),
    Forget(Invalidation),
    End(u64),
}

/// A device that remembers what it is asked to do, and does not answer when it is broken.
#[derive(Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) broken: Option<fn(&Ask) -> bool>,
    pub(crate) asked: Vec<Ask>,
}

impl Faulty {
    fn ask(&mut self, ask: Ask) -> Result<(), &'static str> {
        self.asked.push(ask);
        match self.broken {
            Some(broken) if broken(&ask) => Err("the device does not answer"),
            _ => Ok(()),
        }
    }
}

// SAFETY: nothing walks the tables but the soft MMU, which remembers nothing.
unsafe impl Invalidate for Faulty {
    type Error = &'static str;
    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), &'static str> {
        self.ask(Ask::Forget(*stale))
    }
}

impl Device for Faulty {
    fn begin(&mut self, job: u64, footprint: IovaRange) -> Result<(), &'static str> {
        self.ask(Ask::Begin(job, footprint))
    }

    fn end(&mut self, job: u64) -> Result<(), &'static str> {
        self.ask(Ask::End(job))
    }
}
