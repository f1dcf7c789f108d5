//! The machine, its RAM, and what both are asked.

use std::sync::Arc;

use walkers::qemu::Aarch64;
use walkers::{Access, AccessKind, Answer, FaultKind, Mmu, Ram, Refusal, Regime, Request, require};

use crate::opinion::{Tally, compare, of_model};
pub(crate) use crate::opinion::{expect, reached};

/// The RAM: what the machine takes, then tables, then targets.
pub(crate) const BYTES: u64 = 64 << 20;
/// Where tables begin.
pub(crate) const TABLES: u64 = Aarch64::RAM + Aarch64::RESERVED;
/// Where targets begin, and end.
pub(crate) const TARGETS: u64 = Aarch64::RAM + (32 << 20);
pub(crate) const END: u64 = Aarch64::RAM + BYTES;

pub(crate) fn ram() -> Arc<Ram> {
    Arc::new(Ram::new(Aarch64::RAM, BYTES as usize).expect("there is memory"))
}

/// RAM and a machine that has it, unless there is none.
pub(crate) fn machine() -> Option<(Arc<Ram>, Aarch64)> {
    let ram = ram();
    let machine = require::machine("qemu-aarch64", Aarch64::open(&ram))?;
    Some((ram, machine))
}

pub(crate) fn refused(kind: FaultKind, level: i8) -> Answer {
    Err(Refusal { kind: Some(kind), level: Some(level) })
}

/// Asks the model and the machine the same, and fails where they disagree.
///
/// Fetches that the model lets through into the RAM before the targets are not made: they would
/// change tables. With both stages, those from where reads are forbidden are not made, either.
pub(crate) fn agree(
    ram: &Arc<Ram>,
    mmu: &mut dyn Mmu,
    regime: &Regime,
    requests: &[Request],
) -> Tally {
    mmu.install(regime, 1).expect("the machine walks such tables");
    let says = mmu.says(regime).expect("the machine walks such tables");
    let reads: Vec<Request> = requests
        .iter()
        .map(|request| Request { access: Access::PRIVILEGED_READ, ..*request })
        .collect();
    let nested = matches!(regime, Regime::Nested(..));
    let is_permission_fault =
        |answer: &Answer| matches!(answer, Err(Refusal { kind: Some(FaultKind::Permission), .. }));
    let asked: Vec<(Request, Answer)> = requests
        .iter()
        .copied()
        .zip(of_model(ram, regime, requests))
        .zip(of_model(ram, regime, &reads))
        .filter(|((request, answer), read)| {
            let fetch = request.access.kind == AccessKind::Execute;
            let safe = answer.is_err() || answer.is_ok_and(|to| to.address >= TARGETS);
            // The machine makes no fetch from where stage 2 allows no data access.
            let data = answer.is_err()
                || answer.is_ok_and(|to| {
                    let rights = to.translation.expect("a model knows all").permissions.privileged;
                    rights.read || rights.write
                });
            !fetch || says.execute && safe && data && (!nested || !is_permission_fault(read))
        })
        .map(|(asked, _)| asked)
        .collect();
    compare(mmu, regime, &asked, |_, wanted, got| wanted == got)
}
