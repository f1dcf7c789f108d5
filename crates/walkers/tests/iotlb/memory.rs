//! Tables that change under an MMU, and the shortest way to ask it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use walkers::iotlb::{Invalidations, Iotlb};
use walkers::{
    Access, Answer, FnMemory, Forget, Mmu, PhysMemory, Regime, Request, X86_64Registers,
};

/// Zeroed memory that tests write to while an MMU reads it.
#[derive(Clone, Default)]
pub(crate) struct Memory(Rc<RefCell<HashMap<u64, u64>>>);

impl Memory {
    pub(crate) fn new(entries: &[(u64, u64)]) -> Self {
        Self(Rc::new(RefCell::new(entries.iter().copied().collect())))
    }

    pub(crate) fn write(&self, address: u64, value: u64) {
        self.0.borrow_mut().insert(address, value);
    }
}

impl PhysMemory for Memory {
    fn read_u64(&self, address: u64) -> Option<u64> {
        Some(self.0.borrow().get(&address).copied().unwrap_or(0))
    }
}

pub(crate) const READ: Access = Access::UNPRIVILEGED_READ;

/// Where one access leads, if anywhere.
pub(crate) fn ask(mmu: &mut impl Mmu, address: u64, access: Access) -> Option<u64> {
    let mut answers: Vec<Answer> = Vec::new();
    mmu.translate(&[Request { address, access }], &mut answers).expect("tables are installed");
    answers[0].ok().map(|reached| reached.address)
}

/// The same for a read.
pub(crate) fn read(mmu: &mut impl Mmu, address: u64) -> Option<u64> {
    ask(mmu, address, READ)
}

/// The address space that tests use.
pub(crate) const ASID: u16 = 7;

/// x86-64 tables: a root at 0x1000 and three tables, with pages at 0x5000 and 0x6000.
pub(crate) const PATH: [(u64, u64); 5] =
    [(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007), (0x4000, 0x5007), (0x4008, 0x6007)];

pub(crate) fn x86_64(cr3: u64) -> Regime {
    Regime::X86_64(X86_64Registers { cr3, physical_bits: 46, ..Default::default() })
}

/// [`PATH`], and an MMU that was told of it.
pub(crate) fn path(invalidations: Invalidations) -> (Memory, Iotlb<Memory>) {
    let memory = Memory::new(&PATH);
    let mut mmu = Iotlb::new(memory.clone(), invalidations);
    mmu.install(&x86_64(0x1000), ASID).expect("x86-64 is walked");
    (memory, mmu)
}

pub(crate) fn forget_range(
    mmu: &mut Iotlb<impl PhysMemory>,
    first: u64,
    last: u64,
    leaves_only: bool,
) {
    let what = Forget::Range { asid: ASID, first, last, leaves_only };
    mmu.forget(what).expect("nothing breaks");
}

pub(crate) fn forget_page(
    mmu: &mut Iotlb<impl PhysMemory>,
    address: u64,
    level: Option<i8>,
    leaves_only: bool,
) {
    let what = Forget::Page { asid: ASID, address, level, leaves_only };
    mmu.forget(what).expect("nothing breaks");
}

/// Memory that cannot be read: nothing is walked again.
pub(crate) fn nowhere() -> impl PhysMemory {
    FnMemory(|_| None)
}
