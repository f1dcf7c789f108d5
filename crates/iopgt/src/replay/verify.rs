//! Checks what a job did, page by page, with a machine that shares no code with the tables.

use gpuvm::space::Transition;
use gpuvm::{Mapping, Vm};
use iopgtable::{Iova, IovaRange, Prot};
use iopgtable_conformance::{Question, Walked};
use serde::Serialize;
use walkers::{Access, Answer, Request, Says};

use super::machine::{Probe, Tables};
use super::shadow::Shadow;
use super::walk::Walker;

/// How many translations were checked, and what was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checks {
    /// The machine that was asked.
    pub walker: &'static str,
    /// Translations: one page, one kind of access.
    pub checked: u64,
    /// Those that led elsewhere than they should, or were allowed or refused wrongly.
    pub mismatches: u64,
    /// The first that went wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// What is asked for each page: who accesses memory for a process is not privileged.
const ACCESSES: [Access; 3] =
    [Access::UNPRIVILEGED_READ, Access::UNPRIVILEGED_WRITE, Access::UNPRIVILEGED_EXECUTE];

/// So many questions are asked at once.
const BATCH: usize = 1 << 14;

impl Checks {
    /// Checks the pages of every range that `transitions` changed, at most about `sample` of each.
    /// `shadow` is the state after them; the jobs have run.
    ///
    /// # Errors
    ///
    /// When the machine has failed, or does not walk such tables.
    pub(super) fn check<F: Walked>(
        &mut self,
        walker: &mut Walker,
        (vm, asid): (&Vm<F, Tables, Probe>, u16),
        shadow: &Shadow,
        transitions: &[Transition],
        sample: u64,
    ) -> anyhow::Result<()> {
        let granule = vm.geometry().granule();
        let says = walker.turn_to(vm, asid)?;
        let mut batch = Batch { checks: self, walker, says, questions: Vec::new() };
        for range in changed(transitions) {
            let mut next = Some(range.first());
            while let Some(first) = next {
                // One mapping, or the gap up to the next one, at a time.
                let mapping = shadow.get(first);
                let last = match mapping {
                    Some(mapping) => mapping.range.last().min(range.last()),
                    None => Iova(first.0 + (granule - 1)),
                };
                batch.ask_part::<F>(mapping, IovaRange::between(first, last), granule, sample)?;
                next = last.0.checked_add(1).map(Iova).filter(|&next| next <= range.last());
            }
        }
        batch.finish()
    }

    fn judge(&mut self, question: &Question, answer: &Answer, says: &Says) {
        self.checked += 1;
        if !question.is_answered_by(answer, says) {
            self.mismatches += 1;
            self.first.get_or_insert_with(|| format!("{question:x?} was answered {answer:x?}"));
        }
    }
}

/// Questions that are to be asked together.
struct Batch<'a> {
    checks: &'a mut Checks,
    walker: &'a mut Walker,
    says: Says,
    questions: Vec<Question>,
}

impl Batch<'_> {
    /// Asks for pages of `range`, which `mapping` covers, or nothing.
    fn ask_part<F: Walked>(
        &mut self,
        mapping: Option<&Mapping>,
        range: IovaRange,
        granule: u64,
        sample: u64,
    ) -> anyhow::Result<()> {
        let Some(mapping) = mapping.filter(|mapping| mapping.prot != Prot::NONE) else {
            return self.ask_page::<F>(range.first().0, None);
        };
        let pages = range.bytes() / granule;
        let step = pages.div_ceil(sample.max(1)) * granule;
        let (first, bytes) = (range.first().0, range.bytes());
        let offset = mapping.offset + (first - mapping.range.first().0);
        // How far into the range the run at hand begins, and the next page to ask for lies.
        let (mut begin, mut next) = (0, 0);
        for run in mapping.backing.runs(offset, bytes) {
            while next < begin + run.bytes {
                let phys = run.phys.0 + (next - begin);
                self.ask_page::<F>(first + next, Some((phys, mapping.prot)))?;
                // The last page is asked for in any case.
                let last = bytes - granule;
                next = if next < last { (next + step).min(last) } else { bytes };
            }
            begin += run.bytes;
        }
        Ok(())
    }

    /// Asks for one page with each kind of access; one that is not mapped is only read.
    fn ask_page<F: Walked>(
        &mut self,
        address: u64,
        mapped: Option<(u64, Prot)>,
    ) -> anyhow::Result<()> {
        for access in &ACCESSES[..if mapped.is_some() { 3 } else { 1 }] {
            let question = Question::new::<F>(Request { address, access: *access }, mapped);
            let excuse = self.walker.excuse(&question);
            if question.is_for(&self.says) && excuse.is_none() {
                self.questions.push(question);
            }
        }
        if self.questions.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let requests: Vec<Request> = self.questions.iter().map(|it| it.request).collect();
        let mut answers = Vec::new();
        self.walker.ask(&requests, &mut answers)?;
        for (question, answer) in self.questions.drain(..).zip(&answers) {
            self.checks.judge(&question, answer, &self.says);
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.flush()
    }
}

/// The ranges that transitions changed, each once, in ascending order. A range that was unmapped
/// counts as far as something was mapped there.
fn changed(transitions: &[Transition]) -> Vec<IovaRange> {
    let mut ranges: Vec<IovaRange> = Vec::new();
    for transition in transitions {
        let removed = transition.removed.iter().map(|old| old.mapping.range);
        ranges.extend(removed.filter_map(|range| range.intersection(transition.range)));
        ranges.extend(transition.inserted.iter().map(|new| new.mapping.range));
    }
    ranges.sort_by_key(|range| range.first());
    let mut apart: Vec<IovaRange> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.first() <= last.last() => *last = last.hull(range),
            _ => apart.push(range),
        }
    }
    apart
}
