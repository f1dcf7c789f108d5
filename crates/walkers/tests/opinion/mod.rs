//! What a processor should answer: as written by hand, or as the model says.

use std::sync::Arc;

use walkers::soft::SoftMmu;
use walkers::{Access, Answer, Mmu, Ram, Reached, Refusal, Regime, Request};

/// Asks for each access, and fails where the answer is not the one beside it.
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

#[expect(clippy::unnecessary_wraps, reason = "an answer, as those that are refused")]
pub(crate) fn reached(address: u64) -> Answer {
    Ok(Reached { address, translation: None })
}

/// What the model answers, with the tables of `regime` in `ram`.
pub(crate) fn of_model(ram: &Arc<Ram>, regime: &Regime, requests: &[Request]) -> Vec<Answer> {
    let mut model = SoftMmu::new(Arc::clone(ram));
    model.install(regime, 1).expect("a model walks all of these");
    let mut answers = Vec::new();
    model.translate(requests, &mut answers).expect("a model always answers");
    answers
}

/// Asks what the model has answered, by the tables of `regime` that `mmu` walks, and fails where it
/// answers something else; `alike` compares the model's refusal with its own. Says how many answers
/// were compared, and how many of them were refusals.
pub(crate) fn compare(
    mmu: &mut dyn Mmu,
    regime: &Regime,
    asked: &[(Request, Answer)],
    alike: impl Fn(Refusal, Refusal) -> bool,
) -> (usize, usize) {
    let requests: Vec<Request> = asked.iter().map(|&(request, _)| request).collect();
    let mut answers = Vec::new();
    mmu.translate(&requests, &mut answers).expect("the machine answers");
    assert_eq!(answers.len(), requests.len());
    for ((request, wanted), got) in asked.iter().zip(&answers) {
        let same = match (wanted, got) {
            (Ok(wanted), Ok(got)) => wanted.address == got.address,
            (Err(wanted), Err(got)) => alike(*wanted, *got),
            _ => false,
        };
        assert!(
            same,
            "{:?} at {:#x}: {} says {got:x?}, the model says {wanted:x?}\nwalking {regime:#x?}",
            request.access,
            request.address,
            mmu.name(),
        );
    }
    (asked.len(), asked.iter().filter(|(_, answer)| answer.is_err()).count())
}
