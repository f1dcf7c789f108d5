//! Questions with the answer that a correct machine gives.

use iopgtable::Prot;
use walkers::{AccessKind, Answer, FaultKind, Privilege, Request, Says};

use crate::Walked;

/// What a correct machine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The access reaches this physical address.
    Reached(u64),
    /// The access is refused.
    Refused(FaultKind),
}

/// A request, and what a correct machine answers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub request: Request,
    /// What a correct machine answers.
    pub expected: Expected,
    /// What is allowed there, if anything is mapped.
    pub prot: Option<Prot>,
    /// Where the address leads to, if anything is mapped.
    pub phys: Option<u64>,
}

impl Question {
    /// Where the address leads to `mapped` in a table of format `F`, if anywhere.
    pub fn new<F: Walked>(request: Request, mapped: Option<(u64, Prot)>) -> Self {
        let expected = match mapped {
            Some((phys, prot)) if F::permissions(prot).allow(request.access) => {
                Expected::Reached(phys)
            }
            Some(_) => Expected::Refused(FaultKind::Permission),
            None => Expected::Refused(FaultKind::Translation),
        };
        let (phys, prot) = mapped.unzip();
        Self { request, expected, prot, phys }
    }

    /// Whether a machine of which this is known can be asked, and its answer means something.
    pub fn is_for(&self, says: &Says) -> bool {
        let access = self.request.access;
        let tells_apart = match access.kind {
            AccessKind::Execute => says.execute,
            AccessKind::Read | AccessKind::Write => true,
        };
        let whose = says.privilege || access.privilege == Privilege::Unprivileged;
        let means = match self.expected {
            Expected::Refused(FaultKind::Permission) => says.permissions,
            Expected::Reached(_) | Expected::Refused(_) => true,
        };
        // Also what is refused: to find that out, machines may read there.
        let (first, last) = says.targets;
        let leads_there = self.phys.is_none_or(|phys| (first..=last).contains(&phys));
        tells_apart && whose && means && leads_there
    }

    /// Whether `answer`, as far as the machine says anything, is right.
    pub fn is_answered_by(&self, answer: &Answer, says: &Says) -> bool {
        match (self.expected, answer) {
            (Expected::Reached(phys), Ok(reached)) => reached.address == phys,
            (Expected::Refused(kind), Err(refusal)) => !says.kinds || refusal.kind == Some(kind),
            _ => false,
        }
    }
}
