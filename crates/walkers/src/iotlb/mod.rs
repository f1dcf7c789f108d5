//! An MMU that remembers all that it may, and forgets only what it is told to.
//!
//! [`Iotlb`] wraps the walkers of [`soft`](crate::soft). What it remembers are values of table
//! entries, and it walks with them instead of those in memory: with the leaf, and the entries on
//! the way to it as they were when it was walked, or with as many of these entries as there are.
//! So what stands in memory by now shows only where something was forgotten, and a change of tables
//! that is not followed by the right invalidation shows as a stale answer.
//!
//! # As greedily as the architectures permit
//!
//! - Every leaf is kept that was walked successfully, or refused for its permissions. Where a group
//!   of entries stands for one leaf, or carries the contiguous hint, it is kept twice: as the one
//!   entry and as all of the group, and each goes on its own when it is told to. There is no
//!   capacity: nothing is ever displaced.
//! - Every entry that leads to a table is kept, with all on its way (walk caches). A walk begins at
//!   the deepest one that is for its address, and does not look at anything above.
//! - What is kept is for the address space in which it was walked; leaves that are global, too
//!   (`G`, and `nG` clear). Installing or [`switching`](Iotlb::switch_to) to another space keeps it.
//! - A write through a leaf that was clean when it was walked walks again for the leaf, as hardware
//!   does, which has to make the leaf dirty in memory.
//!
//! # What is not there
//!
//! Entries that make a walk fault are not kept, because most architectures forbid it:
//!
//! | format | may absent entries be kept? |
//! |---|---|
//! | Arm, all | no: none that gives a translation, address size or access flag fault (DDI 0487, chapter D8, "Translation Lookaside Buffers") |
//! | x86-64 | no: none that is not present or has a reserved bit set (SDM volume 3A, 4.10.2 and 4.10.3) |
//! | VT-d | where `CAP.CM` (caching mode) is set, which emulated ones have (6.1) |
//! | AMD v1 | where `NpCache` is set in the capability header, which emulated ones have |
//! | RISC-V | yes, unless there is Svvptc: making an entry valid needs an `SFENCE.VMA`, too ("Supervisor Memory-Management Fence Instruction") |
//! | Mali, DART | not known; drivers do not invalidate when they map |
//!
//! [`Iotlb::with_absent_entries`] makes one that does.

mod cache;
mod replay;

use std::collections::BTreeMap;

use cache::Cache;
use replay::{Replay, Step};

use crate::soft::with_walker;
use crate::{
    AccessKind, Answer, DirtyState, EntryRole, Fault, Forget, Mmu, MmuError, PhysMemory, Reached,
    Refusal, Regime, Request, Says, Translation, Unsupported, Walker,
};

/// Which invalidations a machine has. It does nothing on others, like hardware that has no such
/// command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalidations {
    /// All: of ranges, of pages with a level hint, of everything.
    Ranges,
    /// Of pages with a level hint, and of everything.
    Pages,
    /// Of everything, or everything of one address space.
    Everything,
}

/// An MMU with a TLB that never displaces anything.
///
/// See the [module](self) for what it keeps.
///
/// ```
/// use std::cell::Cell;
/// use walkers::iotlb::{Invalidations, Iotlb};
/// use walkers::{Access, FnMemory, Forget, Mmu, Regime, Request, X86_64Registers};
///
/// // A gibibyte at 1 GiB.
/// let leaf = Cell::new(0x4000_0083);
/// let memory = FnMemory(|address| Some(if address < 0x2000 { 0x2003 } else { leaf.get() }));
/// let registers = X86_64Registers { cr3: 0x1000, physical_bits: 46, ..Default::default() };
/// let mut mmu = Iotlb::new(memory, Invalidations::Ranges);
/// mmu.install(&Regime::X86_64(registers), 7)?;
///
/// let request = Request { address: 5, access: Access::PRIVILEGED_READ };
/// let mut answers = Vec::new();
/// mmu.translate(&[request], &mut answers)?;
/// assert_eq!(answers[0].unwrap().address, 0x4000_0005);
///
/// leaf.set(0);
/// mmu.translate(&[request], &mut answers)?;
/// assert!(answers[0].is_ok(), "stale");
/// mmu.forget(Forget::Range { asid: 7, first: 0, last: 5, leaves_only: true })?;
/// mmu.translate(&[request], &mut answers)?;
/// assert!(answers[0].is_err());
/// # Ok::<(), walkers::MmuError>(())
/// ```
#[derive(Debug)]
pub struct Iotlb<M> {
    memory: M,
    invalidations: Invalidations,
    absent_entries: bool,
    regimes: BTreeMap<u16, Regime>,
    current: Option<u16>,
    cache: Cache,
}

impl<M: PhysMemory> Iotlb<M> {
    /// One that reads tables from `memory`, and has `invalidations`.
    pub fn new(memory: M, invalidations: Invalidations) -> Self {
        Self {
            memory,
            invalidations,
            absent_entries: false,
            regimes: BTreeMap::new(),
            current: None,
            cache: Cache::default(),
        }
    }

    /// The same, which keeps absent entries, too: those that end a walk in a translation fault.
    #[must_use]
    pub fn with_absent_entries(self) -> Self {
        Self { absent_entries: true, ..self }
    }

    /// Translates in the address space `asid` from now on, which was installed before, and
    /// remembers what it knows of it, which [`install`](Mmu::install) does not.
    ///
    /// # Errors
    ///
    /// [`MmuError::Unsupported`] if no tables were installed for `asid`.
    pub fn switch_to(&mut self, asid: u16) -> Result<(), MmuError> {
        if !self.regimes.contains_key(&asid) {
            let why = format!("nothing is installed for address space {asid}");
            return Err(Unsupported::new(why).into());
        }
        self.current = Some(asid);
        Ok(())
    }

    /// How many things it remembers: leaves, groups of leaves, and entries that lead to tables.
    pub fn remembered(&self) -> usize {
        self.cache.len()
    }
}

/// `address` as the entries have it that were read for it: without a tag in its top byte, say, where
/// these are ignored.
fn untagged(steps: &[Step], address: u64) -> Option<u64> {
    let last = steps.iter().rfind(|step| step.read.role == EntryRole::Walk)?.read;
    Some(last.first | address & (last.last - last.first))
}

/// Answers `request` with `walker`, which reads through `replay`, and remembers the way in `cache`.
fn answer(
    walker: &dyn Walker,
    replay: &Replay<'_, impl PhysMemory>,
    cache: &mut Cache,
    (asid, absent_entries): (u16, bool),
    request: &Request,
) -> Result<Translation, Fault> {
    // The address without what the walk ignores of it, which shows only when it is walked.
    let mut address = request.address;
    loop {
        let known = cache.find(asid, address);
        let by_leaf = known.as_ref().is_some_and(|known| known.is_leaf);
        replay.start(known.map(|known| known.steps));
        let found = walker.translate(request.address, request.access);
        let steps = replay.finish();
        if let Some(untagged) = untagged(&steps, request.address).filter(|&to| to != address) {
            address = untagged;
            continue;
        }
        let clean = found.is_ok_and(|found| found.dirty_state == Some(DirtyState::WritableClean));
        if by_leaf && clean && request.access.kind == AccessKind::Write {
            // Hardware would have to update the leaf in memory, and reads it for that.
            cache.forget_leaves_at(asid, address);
            continue;
        }
        cache.keep(asid, address, &steps, &found, absent_entries);
        return found;
    }
}

impl<M: PhysMemory> Mmu for Iotlb<M> {
    fn name(&self) -> &'static str {
        "iotlb"
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let says = crate::soft::SoftMmu::new(&self.memory).says(regime)?;
        Ok(Says { remembers: true, ..says })
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        self.says(regime)?;
        self.cache.forget(&Forget::Space { asid });
        self.regimes.insert(asid, *regime);
        self.current = Some(asid);
        Ok(())
    }

    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        let installed = self.current.and_then(|asid| Some((asid, self.regimes.get(&asid)?)));
        let (asid, regime) =
            installed.ok_or_else(|| Unsupported::new("no tables are installed"))?;
        let (cache, how) = (&mut self.cache, (asid, self.absent_entries));
        let replay = Replay::new(&self.memory);
        with_walker(&replay, regime, &mut |walker| {
            answers.extend(requests.iter().map(|request| {
                let found = answer(walker, &replay, cache, how, request);
                found.map(Reached::from).map_err(Refusal::from)
            }));
        })?;
        Ok(())
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        let obeyed = match what {
            Forget::Everything | Forget::Space { .. } => true,
            Forget::Page { .. } => self.invalidations != Invalidations::Everything,
            Forget::Range { .. } => self.invalidations == Invalidations::Ranges,
        };
        if obeyed {
            self.cache.forget(&what);
        }
        Ok(())
    }
}
