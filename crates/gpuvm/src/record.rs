//! The last operations of a VM.

use alloc::vec::Vec;
use core::fmt;

use iopgtable::IovaRange;

use crate::job::{Act, Job, Step};
use crate::lanes::QueueId;

/// A part of an operation that has left its queue: an operation that changes the tables in several
/// places has an entry for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Entry {
    /// When: how many entries there were before it, in all queues.
    pub sequence: u64,
    /// The number of its job in the VM.
    pub job: u64,
    /// The queue of its job.
    pub queue: QueueId,
    /// Which operation of the job, counted from 0.
    pub op: usize,
    /// What was to be done.
    pub what: What,
    /// What was to change of its range; nothing where nothing was.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::range"))]
    pub range: Option<IovaRange>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What was to be done to the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum What {
    /// Map where nothing was mapped.
    Map,
    /// Map in place of what was mapped.
    Replace,
    /// Unmap.
    Unmap,
    /// Change what is allowed, or cut a leaf and change nothing of what it maps.
    Protect,
    /// Remove leaves and keep their tables: an eviction.
    Clear,
    /// Nothing: it found nothing to change, or only synchronises.
    Nothing,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Outcome {
    /// It ran.
    Ran,
    /// It stopped in the middle, or the device did not forget what it changed: the VM is banned.
    Failed,
    /// It belongs to a job that stopped somewhere else, before or after it ran.
    Stopped,
    /// It did not run: the VM was banned before.
    Dropped,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, job, queue, op, what, range, outcome } = self;
        write!(f, "#{sequence} queue {queue} job {job} operation {op}: {what:?}")?;
        if let Some(range) = range {
            write!(f, " {range}")?;
        }
        write!(f, ", {outcome:?}")
    }
}

/// The last operations, in a ring that is made with the VM.
pub(crate) struct Record {
    /// Full, or not yet, but with room for all.
    ring: Vec<Entry>,
    room: usize,
    /// Where the oldest one is.
    oldest: usize,
    /// Of all entries so far.
    count: u64,
}

impl Record {
    pub(crate) fn new(room: usize) -> Self {
        Self { ring: Vec::with_capacity(room), room, oldest: 0, count: 0 }
    }

    /// Notes the operations of `job`. Allocates nothing.
    pub(crate) fn note(&mut self, job: &Job, outcome: impl Fn(usize) -> Outcome) {
        let seen = |step: &Step| match &step.act {
            Act::Map(new) => Some((What::Map, new.range)),
            Act::Replace(new) => Some((What::Replace, new.range)),
            Act::Unmap { range, .. } => Some((What::Unmap, *range)),
            Act::Protect { range, .. } => Some((What::Protect, *range)),
            Act::Clear(range) => Some((What::Clear, *range)),
            Act::LetGo(_) => None,
        };
        let mut steps = job.steps.iter().peekable();
        for op in 0..job.ops {
            let mut note = |what, range| {
                let (job, queue, outcome) = (job.number, job.queue, outcome(op));
                let sequence = self.count;
                self.push(Entry { sequence, job, queue, op, what, range, outcome });
            };
            let mut is_noted = false;
            while let Some(step) = steps.next_if(|step| step.op == op) {
                if let Some((what, range)) = seen(step) {
                    note(what, Some(range));
                    is_noted = true;
                }
            }
            if !is_noted {
                note(What::Nothing, None);
            }
        }
    }

    fn push(&mut self, entry: Entry) {
        self.count += 1;
        if self.ring.len() < self.room {
            self.ring.push(entry);
        } else if let Some(oldest) = self.ring.get_mut(self.oldest) {
            *oldest = entry;
            self.oldest = (self.oldest + 1) % self.room;
        }
    }

    /// What is remembered, the oldest first.
    pub(crate) fn read(&self) -> Vec<Entry> {
        let (newer, older) = self.ring.split_at(self.oldest);
        older.iter().chain(newer).copied().collect()
    }
}
