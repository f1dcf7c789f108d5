//! A VM on memory of its own, and an MMU that nobody derived from it.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::Arc;

use gpuvm::{Device, Vm};
use iopgtable::memory::Region;
use iopgtable::{Config, Format, Invalidate, Invalidation, IovaRange, PhysAddr, Unwalked};
pub(crate) use iopgtable_conformance::Walked;
use walkers::{Access, Fault, Translation};

/// Where the tables lie: beyond what the tests map.
pub(crate) const TABLES: PhysAddr = PhysAddr(0x80_0000_0000 - (64 << 20));

pub(crate) type Memory = Arc<Region>;

pub(crate) fn memory() -> Memory {
    Arc::new(Region::with_capacity(TABLES, 64 << 20).unwrap())
}

pub(crate) fn vm<F: Format>(config: Config, memory: &Memory) -> Vm<F, Memory, Unwalked> {
    Vm::new(config, Arc::clone(memory), Unwalked).unwrap()
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
        iopgtable_conformance::walk::<F>(registers, &read, address, access)
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
