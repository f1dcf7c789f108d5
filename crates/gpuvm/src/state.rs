//! What a VM tells about itself.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use iopgtable::{Format, TableAllocator, TableCount};

use crate::device::Device;
use crate::figures::Figures;
use crate::lanes::QueueId;
use crate::record::Entry;
use crate::vm::Vm;

/// What a VM tells about itself, as a structure and, by `Display`, as text.
///
/// It is read while jobs run, piece by piece: no single moment may have had all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct State {
    /// The format of its tables.
    pub format: &'static str,
    /// How many mappings there will be when all jobs have run.
    pub mappings: usize,
    /// The tables that there will be then, by level.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::tables"))]
    pub tables: TableCount,
    /// What it has done so far, and what it holds.
    pub figures: Figures,
    /// What is charged for it in bytes, where it was told whom to ask
    /// ([`VmOptions::charged`](crate::VmOptions::charged)).
    pub charged: Option<u64>,
    /// Its queues, its own first.
    pub queues: Vec<QueueState>,
    /// Why it is banned, if it is.
    pub ban: Option<String>,
    /// The last operations, the oldest first.
    pub record: Vec<Entry>,
}

/// What a queue has done and has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct QueueState {
    /// Its name.
    pub id: QueueId,
    /// Jobs that were ever submitted to it.
    pub submitted: u64,
    /// Jobs that have left it: that have run, or were dropped by a ban.
    pub left: u64,
    /// Jobs that are in it.
    pub queued: usize,
}

impl<F: Format, A: TableAllocator, D: Device> Vm<F, A, D> {
    /// What there is to tell. Waits for no job that runs; submissions wait for it for a moment.
    pub fn state(&self) -> State {
        let inner = self.inner();
        let (mappings, tables) = {
            let planned = inner.planned.lock();
            let mut tables = TableCount::ZERO;
            for (level, added) in planned.added.levels() {
                tables.increase(level, added - planned.gone.at(level));
            }
            (planned.space.len(), tables)
        };
        let queues = {
            let lanes = inner.lanes.lock();
            let queue = |lane: &crate::lanes::Lane| QueueState {
                id: lane.id,
                submitted: lane.submitted,
                left: lane.left,
                queued: lane.jobs.len(),
            };
            lanes.iter().map(queue).collect()
        };
        State {
            format: F::NAME,
            mappings,
            tables,
            figures: self.figures(),
            charged: inner.charged.as_ref().map(|charged| charged()),
            queues,
            ban: self.ban().map(|ban| ban.to_string()),
            record: inner.record.lock().read(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} mappings", self.format, self.mappings)?;
        for (level, count) in self.tables.levels().filter(|(_, count)| *count > 0) {
            write!(f, ", {count} tables at level {level}")?;
        }
        writeln!(f)?;
        writeln!(f, "{}", self.figures)?;
        if let Some(charged) = self.charged {
            writeln!(f, "{charged} bytes charged")?;
        }
        if let Some(ban) = &self.ban {
            writeln!(f, "{ban}")?;
        }
        for QueueState { id, submitted, left, queued } in &self.queues {
            writeln!(f, "queue {id}: {submitted} jobs submitted, {left} left, {queued} queued")?;
        }
        for entry in &self.record {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    }
}
