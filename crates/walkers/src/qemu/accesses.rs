//! Answers that are accesses: loads, stores and fetches of eight bytes, made by a processor where
//! leaves lead to [`Targets`].
//!
//! Everything is loaded from first: what is stored or run would do harm anywhere else.

use std::collections::BTreeSet;

use super::targets::Targets;
use crate::{AccessKind, Answer, MmuError, Privilege, Reached, Refusal, Request};

/// An access that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    /// A load.
    Load,
    /// A load from where a fetch is let through and a [`Load`](Self::Load) is not, with whatever
    /// lets it through.
    LoadCode,
    /// A store.
    Store,
    /// A jump.
    Fetch,
}

impl Make {
    /// What it is to the MMU.
    pub(super) const fn kind(self) -> AccessKind {
        match self {
            Self::Load | Self::LoadCode => AccessKind::Read,
            Self::Store => AccessKind::Write,
            Self::Fetch => AccessKind::Execute,
        }
    }
}

/// Where an access is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// A multiple of eight.
    pub(super) address: u64,
    /// With whose rights.
    pub(super) privilege: Privilege,
    /// What is stored.
    pub(super) value: u64,
}

/// The word that was loaded by a load, or why an access was refused.
pub(super) type Made = Result<u64, Refusal>;

/// A processor that makes accesses.
pub(super) trait Accesses {
    /// Makes an access at each place, in order.
    fn make(&mut self, what: Make, places: &[Place]) -> Result<Vec<Made>, MmuError>;
}

/// Makes what is requested.
///
/// # Errors
///
/// [`MmuError::Broken`], where a load leads to no target, and where the accesses that are let
/// through do not fit together.
pub(super) fn answer(
    processor: &mut impl Accesses,
    targets: &Targets,
    requests: &[Request],
) -> Result<Vec<Answer>, MmuError> {
    let all: Vec<usize> = (0..requests.len()).collect();
    let mut session = Session { processor, targets, requests, answers: Vec::new() };
    session.answers = session.load(Make::Load, &all)?;
    session.store()?;
    session.fetch()?;
    Ok(session.answers)
}

/// Accesses, and what is known of them so far.
struct Session<'a, P> {
    processor: &'a mut P,
    targets: &'a Targets,
    requests: &'a [Request],
    /// Where loads led to, until something else is known.
    answers: Vec<Answer>,
}

impl<P: Accesses> Session<'_, P> {
    /// Makes an access for each of these requests.
    fn make(&mut self, what: Make, which: &[usize]) -> Result<Vec<Made>, MmuError> {
        let place = |&at: &usize| {
            let Request { address, access } = self.requests[at];
            let value = self.targets.marker(at);
            Place { address: address & !7, privilege: access.privilege, value }
        };
        let places: Vec<Place> = which.iter().map(place).collect();
        self.processor.make(what, &places)
    }

    /// The numbers of the requests for accesses of a kind.
    fn of_kind(&self, kind: AccessKind) -> Vec<usize> {
        (0..self.requests.len()).filter(|&at| self.requests[at].access.kind == kind).collect()
    }

    fn load(&mut self, what: Make, which: &[usize]) -> Result<Vec<Answer>, MmuError> {
        let loaded = self.make(what, which)?;
        let answer = |(&at, made): (&usize, Made)| {
            let address = self.requests[at].address;
            let Ok(word) = made else { return Ok(made.map(|_| reached(0, address))) };
            let place = self.targets.place(word, address).ok_or_else(|| {
                MmuError::Broken(format!("{address:#x} leads to no target: there is {word:#x}"))
            })?;
            Ok(Ok(reached(place, address)))
        };
        which.iter().zip(loaded).map(answer).collect()
    }

    fn store(&mut self) -> Result<(), MmuError> {
        let mut stores = self.of_kind(AccessKind::Write);
        while !stores.is_empty() {
            // One for each place at a time: none overwrites what another one has left there.
            let mut places = BTreeSet::new();
            let (now, later): (Vec<usize>, Vec<usize>) = stores.into_iter().partition(|&at| {
                self.answers[at].is_err()
                    || self.answers[at].is_ok_and(|reached| places.insert(reached.address & !7))
            });
            self.store_apart(&now)?;
            stores = later;
        }
        Ok(())
    }

    /// Makes stores, no two of which are to the same place as far as loads have told.
    fn store_apart(&mut self, stores: &[usize]) -> Result<(), MmuError> {
        let mut done = Vec::new();
        for (&at, made) in stores.iter().zip(self.make(Make::Store, stores)?) {
            match (made, self.answers[at]) {
                (Err(refusal), _) => self.answers[at] = Err(refusal),
                (Ok(_), Ok(reached)) => done.push((at, reached.address & !7)),
                (Ok(_), Err(_)) => {
                    let address = self.requests[at].address;
                    return Err(MmuError::Broken(format!(
                        "a store is done at {address:#x}, where a load is not"
                    )));
                }
            }
        }
        let places = self.targets.written(&done).ok_or_else(|| {
            MmuError::Broken("something was stored where no target is".to_owned())
        })?;
        for (&(at, _), place) in done.iter().zip(places) {
            self.answers[at] = Ok(reached(place, self.requests[at].address));
        }
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), MmuError> {
        let fetches = self.of_kind(AccessKind::Execute);
        let mut unloaded = Vec::new();
        for (&at, made) in fetches.iter().zip(self.make(Make::Fetch, &fetches)?) {
            match made {
                Err(refusal) => self.answers[at] = Err(refusal),
                Ok(_) if self.answers[at].is_err() => unloaded.push(at),
                Ok(_) => {}
            }
        }
        // This comes last, and only if it has to: it may make the processor forget everything.
        if unloaded.is_empty() {
            return Ok(());
        }
        let answers = self.load(Make::LoadCode, &unloaded)?;
        for (at, answer) in unloaded.into_iter().zip(answers) {
            if answer.is_err() {
                let address = self.requests[at].address;
                return Err(MmuError::Broken(format!(
                    "{address:#x} is fetched from, but not loaded from"
                )));
            }
            self.answers[at] = answer;
        }
        Ok(())
    }
}

fn reached(place: u64, address: u64) -> Reached {
    Reached { address: place | address & 7, translation: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Accesses, Made, Make, Place, answer};
    use crate::qemu::targets::Targets;
    use crate::{Access, MmuError, PhysMemory, Privilege, Ram, Request};

    const FIRST: u64 = 0x8000_0000;
    const OLD: u64 = FIRST + 0x1000;
    const NEW: u64 = FIRST + 0x2000;

    /// What leads to a new place, and a processor that remembers the old one but for stores of one
    /// privilege.
    struct Forgetful {
        ram: Arc<Ram>,
        anew: Privilege,
    }

    impl Accesses for Forgetful {
        fn make(&mut self, what: Make, places: &[Place]) -> Result<Vec<Made>, MmuError> {
            let made = places.iter().map(|place| {
                let page =
                    if what == Make::Store && place.privilege == self.anew { NEW } else { OLD };
                let to = page | place.address & 0xff8;
                if what == Make::Store {
                    self.ram.write_u64(to, place.value);
                }
                Ok(self.ram.read_u64(to).unwrap())
            });
            Ok(made.collect())
        }
    }

    #[test]
    fn a_store_that_leads_elsewhere_than_its_load_is_found_and_undone() {
        let ram = Arc::new(Ram::new(FIRST, 1 << 16).unwrap());
        let targets = Targets::new(&ram, (FIRST, FIRST + 0xffff), 0x73).unwrap();
        let words = || (FIRST..FIRST + 0x1_0000).step_by(8).map(|at| ram.read_u64(at));
        let before: Vec<_> = words().collect();
        let requests = Access::ALL.map(|access| Request { address: 0x5018, access });
        for anew in [Privilege::Privileged, Privilege::Unprivileged] {
            let mut processor = Forgetful { ram: Arc::clone(&ram), anew };
            let answers = answer(&mut processor, &targets, &requests).unwrap();
            for (request, answer) in requests.iter().zip(answers) {
                let stored = request.access.kind == Make::Store.kind();
                let fresh = stored && request.access.privilege == anew;
                let page = if fresh { NEW } else { OLD };
                assert_eq!(answer.map(|reached| reached.address), Ok(page + 0x18), "{request:?}");
            }
            assert!(before == words().collect::<Vec<_>>(), "something is left behind");
        }
    }
}
