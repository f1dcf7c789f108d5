//! What every test needs: RAM, a machine in it, tables, and a second opinion.

use std::sync::Arc;

use walkers::qemu::{AmdVi, Areas, RiscVIommu, SmmuV3, Vtd};
use walkers::{Access, Answer, FaultKind, Mmu, PhysMemory, Ram, Regime, Request, require};

use crate::noise::Noise;
use crate::opinion::{Tally, compare, of_model};

/// How much RAM the machines have.
const BYTES: u64 = 32 << 20;

/// RAM, and what is where in it: the first 4 MiB belong to the machine (2 MiB must), the next 2 to
/// the mailbox, 10 are for tables, and the upper half is where leaves lead.
pub(crate) struct Bed {
    pub(crate) ram: Arc<Ram>,
    pub(crate) areas: Areas,
    next: u64,
    end: u64,
}

impl Bed {
    fn new(first: u64) -> Self {
        let targets = (first + BYTES / 2, first + BYTES / 2 + (4 << 20) - 1);
        Self {
            ram: Arc::new(Ram::new(first, BYTES as usize).unwrap()),
            areas: Areas { mailbox: first + (4 << 20), targets },
            next: first + (6 << 20),
            end: targets.0,
        }
    }

    /// The physical address of a byte of the targets.
    pub(crate) fn target(&self, offset: u64) -> u64 {
        let (first, last) = self.areas.targets;
        assert!(offset <= last - first);
        first + offset
    }

    pub(crate) fn is_target(&self, address: u64) -> bool {
        (self.areas.targets.0..=self.areas.targets.1).contains(&address)
    }

    /// Zeroed memory for a table, aligned to its size.
    pub(crate) fn table(&mut self, bytes: u64) -> u64 {
        let first = self.next.next_multiple_of(bytes);
        self.next = first + bytes;
        assert!(self.next <= self.end, "no room for tables");
        for at in (first..self.next).step_by(8) {
            self.ram.write_u64(at, 0);
        }
        first
    }

    /// Lets go of all tables.
    pub(crate) fn clear(&mut self) {
        self.next = self.ram.first() + (6 << 20);
    }

    pub(crate) fn write(&self, address: u64, entry: u64) {
        assert!(self.ram.write_u64(address, entry));
    }

    /// Makes sure that there is a table at `entry`, which says so in the way of its format.
    pub(crate) fn below(
        &mut self,
        entry: u64,
        bytes: u64,
        address: impl Fn(u64) -> Option<u64>,
        link: impl Fn(u64) -> u64,
    ) -> u64 {
        let found = self.ram.read_u64(entry).unwrap();
        address(found).unwrap_or_else(|| {
            let table = self.table(bytes);
            self.write(entry, link(table));
            table
        })
    }
}

/// An IOMMU that is emulated.
pub(crate) trait Emulated: Mmu + Sized {
    fn new(bed: &Bed) -> Option<Self>;

    /// Where a machine has its RAM.
    const RAM: u64;
}

macro_rules! emulated {
    ($($machine:ident)*) => {$(
        impl Emulated for $machine {
            const RAM: u64 = $machine::RAM;

            fn new(bed: &Bed) -> Option<Self> {
                let emulator = require::machine("qemu", $machine::locate())?;
                Some($machine::start(&emulator, Arc::clone(&bed.ram), bed.areas).unwrap())
            }
        }
    )*};
}
emulated! { AmdVi RiscVIommu SmmuV3 Vtd }

/// A machine and its RAM, if there is a QEMU for it.
pub(crate) fn start<M: Emulated>() -> Option<(Bed, M)> {
    let bed = Bed::new(M::RAM);
    let machine = M::new(&bed)?;
    Some((bed, machine))
}

pub(crate) const READ: Access = Access::PRIVILEGED_READ;
pub(crate) const WRITE: Access = Access::PRIVILEGED_WRITE;
pub(crate) const ACCESSES: [Access; 2] = [READ, WRITE];

pub(crate) fn ask(mmu: &mut dyn Mmu, address: u64, access: Access) -> Answer {
    let mut answers = Vec::new();
    mmu.translate(&[Request { address, access }], &mut answers).unwrap();
    answers[0]
}

/// Where an access arrives, or why it is refused.
pub(crate) fn place(
    mmu: &mut dyn Mmu,
    address: u64,
    access: Access,
) -> Result<u64, Option<FaultKind>> {
    ask(mmu, address, access).map(|reached| reached.address).map_err(|refusal| refusal.kind)
}

/// Where each access arrives, if it is made.
pub(crate) fn places(mmu: &mut dyn Mmu, requests: &[Request]) -> Vec<Option<u64>> {
    let mut answers = Vec::new();
    mmu.translate(requests, &mut answers).unwrap();
    answers.iter().map(|answer| answer.ok().map(|reached| reached.address)).collect()
}

/// Requests for accesses at each address.
pub(crate) fn asked(
    accesses: [Access; 2],
    addresses: impl IntoIterator<Item = u64>,
) -> Vec<Request> {
    let accesses = |address| accesses.map(|access| Request { address, access });
    addresses.into_iter().flat_map(accesses).collect()
}

/// The same for a privileged read and write.
pub(crate) fn both(addresses: impl IntoIterator<Item = u64>) -> Vec<Request> {
    asked(ACCESSES, addresses)
}

/// Each address, one beside it, and one that differs in one of the lower `bits`.
pub(crate) fn around(noise: &mut Noise, addresses: &[u64], bits: u64) -> Vec<u64> {
    let mut near =
        |&address: &u64| [address, address ^ noise.below(0x1000), address ^ 1 << noise.below(bits)];
    addresses.iter().flat_map(&mut near).collect()
}

/// Where a walker may give another class to a refusal than the manual does.
pub(crate) type Lax = dyn Fn(&Request, FaultKind, FaultKind) -> bool;

/// Nowhere.
pub(crate) fn strict(_: &Request, _: FaultKind, _: FaultKind) -> bool {
    false
}

/// Asks `mmu` and the walker in software the same, and fails where they disagree in what the former
/// says. Addresses that lead elsewhere than to the targets are left out. `lax` is asked about
/// classes of refusals: the software's, and the other one's.
pub(crate) fn agree(
    bed: &Bed,
    mmu: &mut dyn Mmu,
    regime: &Regime,
    requests: &[Request],
    lax: &Lax,
) -> Tally {
    let asked: Vec<_> = requests
        .iter()
        .copied()
        .zip(of_model(&bed.ram, regime, requests))
        .filter(|(_, answer)| answer.is_err() || bed.is_target(answer.unwrap().address))
        .collect();
    let kinds = mmu.says(regime).unwrap().kinds;
    compare(mmu, regime, &asked, |request, expected, got| match (expected.kind, got.kind) {
        _ if !kinds => true,
        (Some(expected), Some(got)) => expected == got || lax(request, expected, got),
        _ => false,
    })
}
