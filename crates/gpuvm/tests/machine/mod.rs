//! A VM on memory of its own, and an MMU that nobody derived from it.

use std::sync::Arc;

use gpuvm::{Device, Vm};
use iopgtable::format::{MaliRegisters, Stage1Registers, Stage2Registers};
use iopgtable::memory::Region;
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Format, Granule, Invalidate, Invalidation, PhysAddr,
    Unwalked,
};
use walkers::soft::{Mali, Stage1, Stage2};
use walkers::{Access, Fault, FnMemory, Translation, Walker};

/// Where the tables lie: beyond what the tests map.
pub const TABLES: PhysAddr = PhysAddr(0x80_0000_0000 - (64 << 20));

pub type Memory = Arc<Region>;

pub fn memory() -> Memory {
    Arc::new(Region::with_capacity(TABLES, 64 << 20).unwrap())
}

pub fn vm<F: Format>(config: Config, memory: &Memory) -> Vm<F, Memory, Unwalked> {
    Vm::new(config, Arc::clone(memory), Unwalked).unwrap()
}

/// A format that the soft MMU walks.
pub trait Walked: Format {
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
            ttbr0: Some(registers.ttbr),
            ttbr1: None,
            tcr: registers.tcr,
            mair: registers.mair,
        };
        Stage1::new(FnMemory(read), registers)
            .unwrap()
            .translate(address, access)
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
        };
        Stage2::new(FnMemory(read), registers)
            .unwrap()
            .translate(address, access)
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
        Mali::new(FnMemory(read), registers)
            .unwrap()
            .translate(address, access)
    }
}

/// Has the soft MMU translate `address` by the tables of `vm` as they are now.
pub fn walk<F: Walked, D: Device>(
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

/// A device that says no when told to.
#[derive(Debug, Default)]
pub struct Faulty {
    pub broken: bool,
    pub forgotten: Vec<Invalidation>,
}

// SAFETY: nothing walks the tables but the soft MMU, which remembers nothing.
unsafe impl Invalidate for Faulty {
    type Error = &'static str;
    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), &'static str> {
        if self.broken {
            return Err("the device does not answer");
        }
        self.forgotten.push(*stale);
        Ok(())
    }
}

impl Device for Faulty {}
