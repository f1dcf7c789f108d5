//! The machine, its RAM, and what both are asked.

use std::sync::Arc;

use walkers::qemu::Aarch64;
use walkers::soft::SoftMmu;
use walkers::{Access, Answer, FaultKind, Mmu, Ram, Refusal, Regime, Request, require};

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

/// The first answer that is not as expected, for people.
pub(crate) fn expect(mmu: &mut dyn Mmu, wanted: &[(u64, Access, Answer)]) {
    let requests: Vec<_> =
        wanted.iter().map(|&(address, access, _)| Request { address, access }).collect();
    let mut answers = Vec::new();
    mmu.translate(&requests, &mut answers).expect("the machine answers");
    assert_eq!(answers.len(), requests.len());
    for (&(address, access, wanted), got) in wanted.iter().zip(answers) {
        assert_eq!(got, wanted, "{}: {access:?} at {address:#x}", mmu.name());
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer like `refused`")]
pub(crate) fn reached(address: u64) -> Answer {
    Ok(walkers::Reached { address, translation: None })
}

pub(crate) fn refused(kind: FaultKind, level: i8) -> Answer {
    Err(Refusal { kind: Some(kind), level: Some(level) })
}

/// Asks the model and the machine the same, and fails where they disagree. Says how many answers
/// were compared, and how many of them were refusals.
///
/// Fetches that the model lets through into the RAM before the targets are not made: they would
/// change tables. With both stages, those from where reads are forbidden are not made, either.
pub(crate) fn agree(
    ram: &Arc<Ram>,
    mmu: &mut dyn Mmu,
    regime: &Regime,
    requests: &[Request],
) -> (usize, usize) {
    let mut model = SoftMmu::new(Arc::clone(ram));
    model.install(regime, 1).expect("a model walks all of Arm's tables");
    mmu.install(regime, 1).expect("the machine walks them, too");
    let says = mmu.says(regime).expect("the machine walks them, too");
    let mut expected = Vec::new();
    model.translate(requests, &mut expected).expect("a model always answers");
    let reads: Vec<Request> = requests
        .iter()
        .map(|request| Request { access: Access::PRIVILEGED_READ, ..*request })
        .collect();
    let mut read = Vec::new();
    model.translate(&reads, &mut read).expect("a model always answers");
    let nested = matches!(regime, Regime::Nested(..));
    let is_permission_fault =
        |answer: &Answer| matches!(answer, Err(Refusal { kind: Some(FaultKind::Permission), .. }));
    let (requests, expected): (Vec<Request>, Vec<Answer>) = requests
        .iter()
        .zip(expected)
        .zip(read)
        .filter(|((request, answer), read)| {
            let fetch = request.access.kind == walkers::AccessKind::Execute;
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
        .unzip();
    let mut answers = Vec::new();
    mmu.translate(&requests, &mut answers).expect("the machine answers");
    assert_eq!(answers.len(), requests.len());
    for ((request, wanted), got) in requests.iter().zip(&expected).zip(&answers) {
        let same = match (wanted, got) {
            (Ok(wanted), Ok(got)) => wanted.address == got.address,
            (Err(wanted), Err(got)) => wanted == got,
            _ => false,
        };
        assert!(
            same,
            "{:?} at {:#x}: {} says {got:x?}, {} says {wanted:x?}\nwalking {regime:#x?}",
            request.access,
            request.address,
            mmu.name(),
            model.name(),
        );
    }
    (requests.len(), expected.iter().filter(|answer| answer.is_err()).count())
}
