//! What a replay tells: as one JSON object, or as text.

use std::fmt;

use iopgtable::memory::PoolFigures;
use serde::Serialize;

use super::machine::Times;
use super::verify::Checks;

/// The outcome of a replay. Sizes are in bytes, tables are pages of one granule.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The trace.
    pub trace: String,
    /// Linux's name of the format.
    pub format: &'static str,
    /// The granule.
    pub granule: u64,
    /// Jobs that were accepted: one for each operation of the trace that changes something.
    pub jobs: u64,
    /// Map and unmap operations in those jobs.
    pub ops: u64,
    /// Pages that they map.
    pub pages: u64,
    /// Operations of the trace that found nothing to change.
    pub skipped: u64,
    /// Binds that were refused for want of memory.
    pub refused: u64,
    /// Why the first was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_refusal: Option<String>,
    /// What tables were charged to.
    pub account: AccountReport,
    /// What queued jobs held.
    pub in_flight: InFlightReport,
    /// Page tables.
    pub tables: TableReport,
    /// The pool that they come from.
    pub pool: PoolReport,
    /// Translations that an independent MMU checked.
    pub verify: Checks,
    /// Time to submit a job, in ns: plan, reserve, queue.
    pub submit_ns: Latency,
    /// Time to run a job, in ns: the section that its fences wait for.
    pub run_ns: Latency,
    /// Both together, per page mapped.
    pub ns_per_page: f64,
    /// Pages mapped, by the time of submitting and running all jobs.
    pub map_pages_per_s: f64,
}

/// Numbers of tables.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// Taken at submission.
    pub reserved: u64,
    /// Linked by jobs.
    pub installed: u64,
    /// Reserved in vain.
    pub returned: u64,
    /// Come loose and given back while VMs lived.
    pub freed: u64,
    /// The most that the account was charged at once, roots included.
    pub peak: u64,
    /// What drivers reserve that do not know which tables a job will find.
    pub worst_case: u64,
    /// Never given back.
    pub leaked: u64,
}

/// What the account of all tables saw, in bytes but for `refused`.
#[derive(Clone, Debug, Serialize)]
pub struct AccountReport {
    /// Its limit, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The most that it was charged at once: roots, linked tables, what queued jobs had reserved.
    pub peak: u64,
    /// What it is still charged when all is over.
    pub charged: u64,
    /// Charges that it refused. Some may have gone through when they were tried again, when jobs that
    /// were in flight had run.
    pub refused: u64,
}

/// What queued jobs held of table pages, in bytes but for `refused`.
#[derive(Clone, Debug, Serialize)]
pub struct InFlightReport {
    /// The limit, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The most at once.
    pub peak: u64,
    /// Submissions that found too much in flight. They go through when jobs that were have run.
    pub refused: u64,
}

/// What the pool did, in pages but for `refills`.
#[derive(Clone, Debug, Serialize)]
pub struct PoolReport {
    /// Handed out at once.
    pub hits: u64,
    /// Handed out after asking upstream.
    pub misses: u64,
    /// How often upstream was asked.
    pub refills: u64,
    /// Free at the end.
    pub free: usize,
}

impl From<PoolFigures> for PoolReport {
    fn from(figures: PoolFigures) -> Self {
        let PoolFigures { hits, misses, refills, free, .. } = figures;
        Self { hits, misses, refills, free }
    }
}

/// Quantiles of durations, in ns.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Half of all took no longer.
    pub p50: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl From<&Times> for Latency {
    fn from(times: &Times) -> Self {
        Self { p50: times.quantile(0.5), p99: times.quantile(0.99), max: times.max() }
    }
}

impl Report {
    /// Whether everything held that must hold: no translation was wrong, nothing was reserved in
    /// vain, nothing leaked.
    pub fn is_good(&self) -> bool {
        self.verify.mismatches == 0
            && self.tables.leaked == 0
            && self.account.charged == 0
            && self.tables.returned == 0
            && self.tables.reserved == self.tables.installed
    }
}

/// `count` over `of`, for people to read; over 1 where `of` is nothing.
#[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
pub(super) fn ratio(count: u128, of: u128) -> f64 {
    count as f64 / of.max(1) as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tables, pool, verify, .. } = self;
        let granule = self.granule >> 10;
        writeln!(f, "{} as {}, granule {granule}K", self.trace, self.format)?;
        write!(f, "  jobs            {} of {} operations", self.jobs, self.ops)?;
        writeln!(
            f,
            ", {} pages mapped ({} trace lines changed nothing)",
            self.pages, self.skipped
        )?;
        write!(
            f,
            "  tables          {} reserved, {} installed",
            tables.reserved, tables.installed
        )?;
        write!(f, ", {} returned, {} freed", tables.returned, tables.freed)?;
        writeln!(f, ", {} at the peak, {} leaked", tables.peak, tables.leaked)?;
        let times = ratio(tables.worst_case.into(), tables.reserved.into());
        writeln!(f, "  worst case      {} tables ({times:.1} times as many)", tables.worst_case)?;
        let limited = |limit: Option<u64>| match limit {
            Some(limit) => format!("of {limit} allowed"),
            None => "and no limit".to_owned(),
        };
        write!(f, "  account         {} bytes at the peak ", self.account.peak)?;
        write!(f, "{}, {} charges refused", limited(self.account.limit), self.account.refused)?;
        writeln!(f, ", {} bytes charged at the end", self.account.charged)?;
        write!(f, "  in flight       {} bytes at the peak ", self.in_flight.peak)?;
        let waits = self.in_flight.refused;
        writeln!(f, "{}, {waits} submissions had to wait", limited(self.in_flight.limit))?;
        write!(f, "  pool            {} pages at once, {} after a refill", pool.hits, pool.misses)?;
        writeln!(f, ", {} refills, {} free at the end", pool.refills, pool.free)?;
        for (name, latency) in [("submit", &self.submit_ns), ("run", &self.run_ns)] {
            write!(f, "  {name:<15} p50 {} ns, p99 {} ns", latency.p50, latency.p99)?;
            writeln!(f, ", max {} ns a job", latency.max)?;
        }
        write!(f, "  speed           {:.1} ns a page", self.ns_per_page)?;
        writeln!(f, ", {:.1} million pages/s", self.map_pages_per_s / 1e6)?;
        write!(
            f,
            "  verified        {} translations by the walker `{}`",
            verify.checked, verify.walker
        )?;
        writeln!(f, ", {} mismatches", verify.mismatches)?;
        if let Some(first) = &verify.first {
            writeln!(f, "                  first: {first}")?;
        }
        if let Some(first) = &self.first_refusal {
            writeln!(f, "  refused         {} binds; the first: {first}", self.refused)?;
        }
        Ok(())
    }
}
