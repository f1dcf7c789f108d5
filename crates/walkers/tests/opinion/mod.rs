//! What a processor should answer: as written by hand, or as the model says.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::ops::AddAssign;
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

/// What comparisons came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) compared: usize,
    pub(crate) refusals: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.compared += more.compared;
        self.refusals += more.refusals;
    }
}

impl Tally {
    /// Fails where fewer than `least` answers were compared, or hardly any that refuse or do not.
    pub(crate) fn check(self, least: usize) {
        let Self { compared, refusals } = self;
        println!("{compared} answers compared, {refusals} of them refusals");
        assert!(compared >= least, "{compared}");
        assert!(refusals.min(compared - refusals) >= least / 8, "{refusals} of {compared}");
    }
}

/// Asks what the model has answered, by the tables of `regime` that `mmu` walks, and fails where it
/// answers something else; `alike` compares the model's refusal of a request with its own.
pub(crate) fn compare(
    mmu: &mut dyn Mmu,
    regime: &Regime,
    asked: &[(Request, Answer)],
    alike: impl Fn(&Request, Refusal, Refusal) -> bool,
) -> Tally {
    let requests: Vec<Request> = asked.iter().map(|&(request, _)| request).collect();
    let mut answers = Vec::new();
    mmu.translate(&requests, &mut answers).expect("the machine answers");
    assert_eq!(answers.len(), requests.len());
    for ((request, wanted), got) in asked.iter().zip(&answers) {
        let same = match (wanted, got) {
            (Ok(wanted), Ok(got)) => wanted.address == got.address,
            (Err(wanted), Err(got)) => alike(request, *wanted, *got),
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
    let refusals = asked.iter().filter(|(_, answer)| answer.is_err()).count();
    Tally { compared: asked.len(), refusals }
}
