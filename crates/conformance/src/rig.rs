//! A page table, what it should map, and the machines that walk it.

use core::fmt;

use iopgtable::{
    Config, CreateError, Gather, Geometry, Invalidate, Invalidation, Iova, IovaRange, PageTable,
    Prot, Segment, TableError,
};
use walkers::{
    Access, AccessKind, Answer, Forget, Mmu, MmuError, Privilege, Regime, Request, Says,
};

use crate::{Mapped, Model, Question, SharedRegion, Walked, laxity};

/// The address space that machines are told they walk.
pub(crate) const ASID: u16 = 7;

/// What one machine was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers that were compared with what they should be.
    pub checked: u64,
}

struct Machine {
    mmu: Box<dyn Mmu>,
    says: Says,
    tally: Tally,
}

/// A page table of format `F`, a model of what it maps, and machines that walk it.
pub struct Rig<'m, F: Walked> {
    table: PageTable<F, &'m SharedRegion>,
    model: Model,
    regime: Regime,
    machines: Vec<Machine>,
    /// Whether machines are told what to forget.
    tells: bool,
}

/// An answer that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Whose answer it is.
    pub machine: &'static str,
    /// What was asked.
    pub request: Request,
    /// What it answered.
    pub answer: Answer,
    /// What it should have answered, and who says so.
    pub expected: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, request, answer, expected } = self;
        let Request { address, access } = request;
        let Access { kind, privilege } = access;
        write!(f, "{machine} answers a {privilege:?} {kind:?} at {address:#x} with {answer:x?}, ")?;
        write!(f, "not with {expected}")
    }
}

impl<'m, F: Walked> Rig<'m, F> {
    /// An empty table in `memory`, without machines.
    ///
    /// # Errors
    ///
    /// [`PageTable::new`]'s.
    pub fn new(memory: &'m SharedRegion, config: Config) -> Result<Self, CreateError> {
        let table = PageTable::<F, _>::new(config, memory)?;
        #[expect(unsafe_code, reason = "machines walk the table")]
        // SAFETY: the machines are this rig's and go with it; they only reach what the model maps,
        // which lies in windows that the tests leave to them; every gather goes to all of them,
        // and where a test says that it does not (`tell_nothing`), no table is freed.
        let registers = unsafe { table.registers() };
        let regime = F::regime(registers);
        Ok(Self { table, model: Model::default(), regime, machines: Vec::new(), tells: true })
    }

    /// Has a machine walk the table, too.
    ///
    /// # Errors
    ///
    /// [`MmuError::Unsupported`] where it does not walk such tables.
    pub fn attach(&mut self, mut mmu: Box<dyn Mmu>) -> Result<(), MmuError> {
        let says = mmu.says(&self.regime)?;
        mmu.install(&self.regime, ASID)?;
        self.machines.push(Machine { mmu, says, tally: Tally::default() });
        Ok(())
    }

    /// Gives the machines back, in the order in which they were attached, with what they were
    /// asked.
    pub fn into_machines(self) -> Vec<(Box<dyn Mmu>, Tally)> {
        let machines = self.machines.into_iter();
        machines.map(|machine| (machine.mmu, machine.tally)).collect()
    }

    /// What machines are programmed with.
    pub const fn regime(&self) -> &Regime {
        &self.regime
    }

    /// The page table.
    pub const fn table(&self) -> &PageTable<F, &'m SharedRegion> {
        &self.table
    }

    /// The shape of the page table.
    pub const fn geometry(&self) -> &Geometry {
        self.table.geometry()
    }

    /// What it should map.
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The leaf sizes that all machines walk, smallest first.
    pub fn leaf_sizes(&self) -> Vec<u64> {
        let largest = self.machines.iter().map(|machine| machine.says.largest_leaf).min();
        let mut sizes: Vec<u64> = self.geometry().leaf_sizes().collect();
        sizes.retain(|&size| largest.is_none_or(|largest| size <= largest));
        sizes.sort_unstable();
        sizes
    }

    /// The physical addresses, first and last, that leaves may lead to for the answers of all
    /// machines to be right, above the tables.
    pub fn window(&self) -> (u64, u64) {
        self.window_in(self.table.allocator().last() + 1, self.geometry().last_narrow_phys().0)
    }

    /// The same for leaves of `size` bytes: where only they lead, if there is such a place.
    pub fn window_of(&self, size: u64) -> (u64, u64) {
        let geometry = self.geometry();
        if geometry.wide_leaf().is_none_or(|wide| size < wide) {
            return self.window();
        }
        // Far up, where all upper bits are set.
        let last = geometry.last_phys().0;
        self.window_in(last - (last >> 4), last)
    }

    fn window_in(&self, first: u64, last: u64) -> (u64, u64) {
        let whole = (first, last);
        self.machines.iter().fold(whole, |(first, last), machine| {
            let (low, high) = machine.says.targets;
            (first.max(low), last.min(high))
        })
    }

    /// Every set of permissions that the format expresses.
    pub fn prots(&self, config: Config) -> Vec<Prot> {
        let flags =
            [Prot::READ, Prot::WRITE, Prot::EXECUTE, Prot::PRIVILEGED, Prot::CACHED, Prot::DEVICE];
        let all = (0..1u32 << flags.len()).map(|bits| {
            let chosen = flags.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            chosen.fold(Prot::NONE, |prot, (_, &flag)| prot | flag)
        });
        all.filter(|&prot| F::attributes(config.options, prot).is_ok()).collect()
    }

    /// Maps `segments` at `range`, where nothing is mapped.
    ///
    /// # Errors
    ///
    /// The table's, which a test takes for a failure.
    pub fn map(
        &mut self,
        range: IovaRange,
        segments: &[Segment],
        prot: Prot,
    ) -> Result<(), TableError> {
        let gather = self.table.map(range, segments.iter().copied(), prot)?;
        let mut first = range.first().0;
        for segment in segments {
            let last = first.wrapping_add(segment.bytes - 1);
            let range = IovaRange::between(Iova(first), Iova(last));
            self.model.map(Mapped { range, phys: segment.phys.0, prot });
            first = last.wrapping_add(1);
        }
        self.finish(gather);
        Ok(())
    }

    /// Unmaps `range`; all that is free around it is its hole if `exact`, else itself.
    ///
    /// # Errors
    ///
    /// The table's, which a test takes for a failure.
    pub fn unmap(&mut self, range: IovaRange, exact: bool) -> Result<(), TableError> {
        let whole = self.geometry().whole();
        self.model.unmap(range);
        let hole = if exact { self.model.hole(range, whole) } else { range };
        let gather = self.table.unmap(range, hole)?;
        self.finish(gather);
        Ok(())
    }

    /// Clears `range` and keeps its tables.
    ///
    /// # Errors
    ///
    /// The table's, which a test takes for a failure.
    pub fn clear(&mut self, range: IovaRange) -> Result<(), TableError> {
        let gather = self.table.clear(range)?;
        self.model.unmap(range);
        self.finish(gather);
        Ok(())
    }

    /// Changes what `range` allows.
    ///
    /// # Errors
    ///
    /// The table's, which a test takes for a failure.
    pub fn protect(&mut self, range: IovaRange, prot: Prot) -> Result<(), TableError> {
        let gather = self.table.protect(range, prot)?;
        self.model.protect(range, prot);
        self.finish(gather);
        Ok(())
    }

    /// What every machine answers to the requests that it is to be asked, by its name. Those that
    /// it does not tell from others are left out. A machine that finds what it cannot answer for, or
    /// has failed, says that.
    pub fn answers<'a>(
        &mut self,
        asked: impl Fn(&'static str) -> &'a [Request],
    ) -> Vec<(&'static str, Result<Vec<Answer>, MmuError>)> {
        let machines = self.machines.iter_mut().map(|Machine { mmu, says, .. }| {
            let tells_apart = |request: &&Request| {
                (says.execute || request.access.kind != AccessKind::Execute)
                    && (says.privilege || request.access.privilege == Privilege::Unprivileged)
            };
            let requests: Vec<Request> =
                asked(mmu.name()).iter().filter(tells_apart).copied().collect();
            let mut answers = Vec::new();
            let outcome = mmu.translate(&requests, &mut answers);
            (mmu.name(), outcome.map(|()| answers))
        });
        machines.collect()
    }

    /// Has every machine forget everything.
    ///
    /// # Panics
    ///
    /// Where a machine does not do so.
    pub fn forget_everything(&mut self) {
        for Machine { mmu, .. } in &mut self.machines {
            if let Err(error) = mmu.forget(Forget::Everything) {
                panic!("{}: {error}", mmu.name());
            }
        }
    }

    /// Whether any machine remembers what it has walked.
    pub fn remember(&self) -> bool {
        self.machines.iter().any(|machine| machine.says.remembers)
    }

    /// From now on, tells machines nothing of what they should forget. Loose tables are kept.
    pub fn tell_nothing(&mut self) {
        self.tells = false;
    }

    fn finish(&mut self, gather: Gather) {
        if !self.tells {
            // The loose tables are leaked with it: machines may still walk them.
            return;
        }
        let finished = self.table.finish(gather, &mut Told(&mut self.machines));
        assert!(finished.is_ok(), "a machine does not forget: {finished:?}");
    }

    /// Asks every machine for `addresses`, with each access that it tells apart.
    ///
    /// # Errors
    ///
    /// The first answer that is not what it should be.
    ///
    /// # Panics
    ///
    /// Where a machine does not answer.
    pub fn ask(&mut self, addresses: &[u64]) -> Result<(), Box<Disagreement>> {
        let has = |address: &u64| F::ADDRESS_BITS == 64 || address >> F::ADDRESS_BITS == 0;
        let questions = addresses.iter().filter(|address| has(address)).flat_map(|&address| {
            let mapped = self.model.translate(address);
            let question = move |access| Question::new::<F>(Request { address, access }, mapped);
            Access::ALL.into_iter().map(question)
        });
        let questions: Vec<Question> = questions.collect();
        // Who first said at which level a fault is.
        let mut levels: Vec<Option<(&'static str, i8)>> = vec![None; questions.len()];
        let mut answers = Vec::new();
        for machine in &mut self.machines {
            let Machine { mmu, says, tally } = machine;
            let is_asked = |question: &Question| {
                let excuse = laxity::excuse(mmu.name(), &self.regime, question);
                question.is_for(says) && excuse.is_none()
            };
            let asked: Vec<usize> =
                (0..questions.len()).filter(|&at| is_asked(&questions[at])).collect();
            let requests: Vec<Request> = asked.iter().map(|&at| questions[at].request).collect();
            if let Err(error) = mmu.translate(&requests, &mut answers) {
                panic!("{}: {error}", mmu.name());
            }
            assert_eq!(answers.len(), requests.len(), "{}: one answer each", mmu.name());
            for (&at, &answer) in asked.iter().zip(&answers) {
                let question = questions[at];
                let wrong = |expected: String| {
                    let (machine, request) = (mmu.name(), question.request);
                    Box::new(Disagreement { machine, request, answer, expected })
                };
                if !question.is_answered_by(&answer, says) {
                    return Err(wrong(format!("{:x?}, as the model does", question.expected)));
                }
                if let (true, Err(refusal)) = (says.levels, answer) {
                    match (levels[at], refusal.level) {
                        (Some((who, level)), found) if found != Some(level) => {
                            return Err(wrong(format!("level {level}, as {who} does")));
                        }
                        (None, Some(level)) => levels[at] = Some((mmu.name(), level)),
                        _ => {}
                    }
                }
                tally.checked += 1;
            }
        }
        Ok(())
    }
}

/// Tells all machines what to forget.
struct Told<'a>(&'a mut [Machine]);

#[expect(unsafe_code, reason = "the promise of `Invalidate`")]
// SAFETY: every machine that was given the root is told, and has forgotten when it returns; none
// has an access in flight, since they are only asked by whoever calls this.
unsafe impl Invalidate for Told<'_> {
    type Error = MmuError;

    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), MmuError> {
        let forget = |range: IovaRange, leaves_only| {
            let (first, last) = (range.first().0, range.last().0);
            Forget::Range { asid: ASID, first, last, leaves_only }
        };
        for Machine { mmu, .. } in &mut *self.0 {
            if let Some(range) = stale.leaves {
                mmu.forget(forget(range, true))?;
            }
            if let Some(range) = stale.walks {
                mmu.forget(forget(range, false))?;
            }
        }
        Ok(())
    }
}
