//! The last operations of a VM.

use alloc::vec::Vec;
use core::fmt;

use iopgtable::IovaRange;

use crate::job::{Job, Step};
use crate::lanes::QueueId;

/// An operation that has left its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Entry {
    /// When: how many operations left before it, in all queues.
    pub sequence: u64,
    /// The number of its job in the VM.
    pub job: u64,
    /// The queue of its job.
    pub queue: QueueId,
    /// Which operation of the job, counted from 0.
    pub op: usize,
    /// What was to be done.
    pub what: What,
    /// Where; nothing where it was to change nothing.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::range"))]
    pub range: Option<IovaRange>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What an operation was to do.
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
    /// Nothing: there was nothing to unmap, or it only synchronises.
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
    /// Of all operations so far.
    count: u64,
}

impl Record {
    pub(crate) fn new(room: usize) -> Self {
        Self { ring: Vec::with_capacity(room), room, oldest: 0, count: 0 }
    }

    /// Notes the operations of `job`. Allocates nothing.
    pub(crate) fn note(&mut self, job: &Job, outcome: impl Fn(usize) -> Outcome) {
        let skipped = job.steps.len().saturating_sub(self.room);
        self.count += skipped as u64;
        for (op, step) in job.steps.iter().enumerate().skip(skipped) {
            let (what, range) = match step {
                Step::Map(new) => (What::Map, Some(new.range)),
                Step::Replace(new) => (What::Replace, Some(new.range)),
                Step::Unmap { range, .. } => (What::Unmap, Some(*range)),
                Step::Nothing => (What::Nothing, None),
            };
            let entry = Entry {
                sequence: self.count,
                job: job.number,
                queue: job.queue,
                op,
                what,
                range,
                outcome: outcome(op),
            };
            self.push(entry);
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
