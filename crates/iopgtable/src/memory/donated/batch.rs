//! The pages that the party is asked for at once, and its answer.

use super::super::{BulkError, PageList, PartyError, TablePage};
use crate::addr::{PhysAddr, Segment};

/// How many pages the party is asked for at once: as many as are kept on the stack.
pub(super) const BATCH: usize = 16;

/// Pages outside of any list: the party may take away the CPU's access to a list's links.
pub(super) struct Batch {
    pages: [Option<TablePage>; BATCH],
    segments: [Segment; BATCH],
    count: usize,
}

impl Batch {
    pub(super) fn take(list: &mut PageList) -> Self {
        let mut batch = Self {
            pages: [const { None }; BATCH],
            segments: [Segment::new(PhysAddr(0), 0); BATCH],
            count: 0,
        };
        for (slot, segment) in batch.pages.iter_mut().zip(&mut batch.segments) {
            let Some(page) = list.pop() else { break };
            *segment = Segment::new(page.phys(), page.layout().bytes() as u64);
            *slot = Some(page);
            batch.count += 1;
        }
        batch
    }

    /// Has `call` name the pages to the party.
    pub(super) fn ask(&self, call: impl FnOnce(&[Segment]) -> Result<(), BulkError>) -> Answer {
        match call(&self.segments[..self.count]) {
            Ok(()) => Answer { done: self.count, lost: 0, error: None },
            Err(BulkError { done, unknown, error }) => {
                let done = done.min(self.count);
                let unknown = unknown.max(usize::from(matches!(error, PartyError::Unknown { .. })));
                Answer { done, lost: unknown.min(self.count - done), error: Some(error) }
            }
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn pages_mut(&mut self) -> impl Iterator<Item = &mut TablePage> {
        self.pages.iter_mut().flatten()
    }

    /// The pages, each with its index.
    pub(super) fn pages(self) -> impl Iterator<Item = (usize, TablePage)> {
        self.pages.into_iter().flatten().enumerate()
    }
}

/// The party's answer for a batch: the first `done` pages are done, the `lost` ones after them in
/// quarantine, and the rest as before.
pub(super) struct Answer {
    pub(super) done: usize,
    pub(super) lost: usize,
    pub(super) error: Option<PartyError>,
}

impl Answer {
    pub(super) const fn would_block(&self) -> bool {
        matches!(self.error, Some(PartyError::WouldBlock))
    }

    /// Whether the party did not do it though it need not sleep.
    pub(super) const fn failed(&self) -> bool {
        self.error.is_some() && !self.would_block()
    }
}
