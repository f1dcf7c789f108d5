//! What machines are documented not to do right, or not to do: they are not asked for that.

use iopgtable::Prot;
use walkers::{AccessKind, Regime};

use crate::Question;

/// A question that a machine is not asked, and why.
struct Laxity {
    machine: &'static str,
    applies: fn(&Regime, &Question) -> bool,
    why: &'static str,
}

const LAXITIES: &[Laxity] = &[
    Laxity {
        machine: "qemu-aarch64",
        applies: |regime, question| {
            let only_executable = |prot: Prot| !prot.intersects(Prot::RW);
            let fetches = question.request.access.kind == AccessKind::Execute;
            matches!(regime, Regime::Stage2(_))
                && fetches
                && question.prot.is_some_and(only_executable)
        },
        why: "fetches at stage 2 are only made from where something else is allowed, too",
    },
    Laxity {
        machine: "qemu-aarch64",
        applies: |regime, question| {
            matches!(regime, Regime::Stage2(_)) && question.request.address >> 52 != 0
        },
        why: "stage 1, which is off, refuses what no physical address can be",
    },
    Laxity {
        machine: "smmuv3",
        applies: |_, question| question.prot.is_some_and(|prot| prot.contains(Prot::PRIVILEGED)),
        why: "every access is a privileged one",
    },
    Laxity {
        machine: "riscv-iommu",
        applies: |_, question| question.prot.is_some_and(|prot| prot.contains(Prot::PRIVILEGED)),
        why: "`U` forbids nothing",
    },
    Laxity {
        machine: "riscv-iommu",
        applies: |_, question| {
            let address = question.request.address;
            // Sign-extended or not.
            address >> 56 != 0 && !address >> 56 != 0
        },
        why: "what it remembers it finds by bits 55:12 of an address",
    },
    Laxity {
        machine: "smmuv3",
        applies: |regime, question| {
            matches!(regime, Regime::Stage2(_)) && question.request.address >> 44 != 0
        },
        why: "an address beyond its 44 bits goes nowhere, without an event",
    },
];

/// Why `machine` is not to be asked this, if it is not.
pub fn excuse(machine: &str, regime: &Regime, question: &Question) -> Option<&'static str> {
    let found = LAXITIES
        .iter()
        .find(|laxity| laxity.machine == machine && (laxity.applies)(regime, question));
    found.map(|laxity| laxity.why)
}
