//! What a VM counts.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use iopgtable::TableCount;

/// What a VM has done so far. Tables are pages of one granule; the root is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Jobs that were accepted.
    pub jobs_submitted: u64,
    /// Jobs that have run, one that was stopped by an error included.
    pub jobs_run: u64,
    /// Operations in the jobs that were accepted.
    pub ops: u64,
    /// Tables that submissions took.
    pub tables_reserved: u64,
    /// Tables that jobs linked.
    pub tables_installed: u64,
    /// Tables that jobs did not need after all: none, as long as no job is dropped.
    pub tables_returned: u64,
    /// Tables that came loose, were forgotten by the device, and went back.
    pub tables_freed: u64,
    /// The most tables that were held at once: reserved, linked, or loose.
    pub tables_peak: u64,
}

impl Figures {
    /// Tables that are linked now.
    pub const fn tables_live(&self) -> u64 {
        self.tables_installed.saturating_sub(self.tables_freed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    jobs_submitted: AtomicU64,
    jobs_run: AtomicU64,
    ops: AtomicU64,
    reserved: AtomicU64,
    installed: AtomicU64,
    returned: AtomicU64,
    freed: AtomicU64,
    peak: AtomicU64,
}

impl Counters {
    pub(crate) fn submitted(&self, ops: usize, missing: &TableCount) {
        self.jobs_submitted.fetch_add(1, Relaxed);
        self.ops.fetch_add(ops as u64, Relaxed);
        let reserved = self.reserved.fetch_add(missing.total(), Relaxed) + missing.total();
        let gone = self.returned.load(Relaxed) + self.freed.load(Relaxed);
        self.peak.fetch_max(reserved.saturating_sub(gone), Relaxed);
    }

    pub(crate) fn ran(&self, installed: usize, left: usize, freed: usize) {
        self.jobs_run.fetch_add(1, Relaxed);
        self.installed.fetch_add(installed as u64, Relaxed);
        self.returned.fetch_add(left as u64, Relaxed);
        self.freed.fetch_add(freed as u64, Relaxed);
    }

    pub(crate) fn dropped(&self, left: usize) {
        self.returned.fetch_add(left as u64, Relaxed);
    }

    pub(crate) fn read(&self) -> Figures {
        Figures {
            jobs_submitted: self.jobs_submitted.load(Relaxed),
            jobs_run: self.jobs_run.load(Relaxed),
            ops: self.ops.load(Relaxed),
            tables_reserved: self.reserved.load(Relaxed),
            tables_installed: self.installed.load(Relaxed),
            tables_returned: self.returned.load(Relaxed),
            tables_freed: self.freed.load(Relaxed),
            tables_peak: self.peak.load(Relaxed),
        }
    }
}
