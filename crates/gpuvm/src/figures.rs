//! What a VM counts.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a VM has done so far. Tables are those below the root.
///
/// Figures of several VMs add up: those of a device, say, as
/// `vms.iter().map(Vm::figures).sum::<Figures>()`. Peaks do, too, to what the peak of all would
/// have been at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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
    /// Bytes of the pages that queued jobs hold.
    pub bytes_reserved: u64,
    /// Bytes of the tables that are linked, or loose and not freed yet.
    pub bytes_installed: u64,
    /// Bytes of the VM's spare pages.
    pub bytes_spare: u64,
}

impl Figures {
    /// Tables that are linked now.
    pub const fn tables_live(&self) -> u64 {
        self.tables_installed.saturating_sub(self.tables_freed)
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.jobs_submitted += other.jobs_submitted;
        self.jobs_run += other.jobs_run;
        self.ops += other.ops;
        self.tables_reserved += other.tables_reserved;
        self.tables_installed += other.tables_installed;
        self.tables_returned += other.tables_returned;
        self.tables_freed += other.tables_freed;
        self.tables_peak += other.tables_peak;
        self.bytes_reserved += other.bytes_reserved;
        self.bytes_installed += other.bytes_installed;
        self.bytes_spare += other.bytes_spare;
    }
}

impl Add for Figures {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(figures: I) -> Self {
        figures.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs_submitted, jobs_run, ops, bytes_reserved, bytes_installed, .. } = self;
        write!(f, "{jobs_run} of {jobs_submitted} jobs run, {ops} operations; ")?;
        write!(f, "bytes: {bytes_installed} installed, {bytes_reserved} reserved, ")?;
        write!(f, "{} spare; tables: {} live, ", self.bytes_spare, self.tables_live())?;
        write!(f, "{} reserved so far, {} ", self.tables_reserved, self.tables_installed)?;
        write!(f, "installed, {} freed, ", self.tables_freed)?;
        write!(f, "{} returned, {} at most", self.tables_returned, self.tables_peak)
    }
}

/// # Invariants
///
/// Each count has one writer at a time: who holds the plan (the first four), or the live table (the
/// others).
#[derive(Debug, Default)]
pub(crate) struct Counters {
    jobs_submitted: AtomicU64,
    ops: AtomicU64,
    reserved: AtomicU64,
    peak: AtomicU64,
    jobs_run: AtomicU64,
    installed: AtomicU64,
    returned: AtomicU64,
    freed: AtomicU64,
    took: AtomicU64,
}

/// Adds to a count, and says what it is then. Not one atomic operation, as there is one writer.
fn add(count: &AtomicU64, more: u64) -> u64 {
    let sum = count.load(Relaxed) + more;
    count.store(sum, Relaxed);
    sum
}

impl Counters {
    pub(crate) fn submitted(&self, ops: usize, missing: u64) {
        add(&self.jobs_submitted, 1);
        add(&self.ops, ops as u64);
        let reserved = add(&self.reserved, missing);
        let gone = self.returned.load(Relaxed) + self.freed.load(Relaxed);
        let held = reserved.saturating_sub(gone);
        if held > self.peak.load(Relaxed) {
            self.peak.store(held, Relaxed);
        }
    }

    pub(crate) fn ran(&self, installed: usize, freed: usize) {
        add(&self.jobs_run, 1);
        add(&self.installed, installed as u64);
        add(&self.freed, freed as u64);
    }

    pub(crate) fn returned(&self, left: usize) {
        add(&self.returned, left as u64);
    }

    pub(crate) fn freed(&self, freed: usize) {
        add(&self.freed, freed as u64);
    }

    /// The tables that a teardown took beside those that jobs reserve.
    pub(crate) fn took(&self, installed: usize) {
        add(&self.took, installed as u64);
        add(&self.installed, installed as u64);
    }

    pub(crate) fn read(&self, table_bytes: u64, spare: usize) -> Figures {
        // In this order, sums that grow later are not behind those that grow before them.
        let tables_freed = self.freed.load(Relaxed);
        let tables_returned = self.returned.load(Relaxed);
        let tables_installed = self.installed.load(Relaxed);
        let tables_reserved = self.reserved.load(Relaxed) + self.took.load(Relaxed);
        let queued = tables_reserved.saturating_sub(tables_installed + tables_returned);
        Figures {
            jobs_run: self.jobs_run.load(Relaxed),
            jobs_submitted: self.jobs_submitted.load(Relaxed),
            ops: self.ops.load(Relaxed),
            tables_reserved,
            tables_installed,
            tables_returned,
            tables_freed,
            tables_peak: self.peak.load(Relaxed),
            bytes_reserved: queued * table_bytes,
            bytes_installed: tables_installed.saturating_sub(tables_freed) * table_bytes,
            bytes_spare: spare as u64 * table_bytes,
        }
    }
}
