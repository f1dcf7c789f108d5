//! The GPU that a replay drives: memory for tables, accounts, VMs, a worker.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gpuvm::{Device, InFlight, Vm, VmOptions, Worker};
use hdrhistogram::Histogram;
use iopgtable::memory::{Account, Accounted, Pool, PoolFigures, Watermarks};
use iopgtable::{Config, Format, Invalidate, Invalidation, IovaRange, TableLayout};
use iopgtable_conformance::SharedRegion;

/// Where tables come from: a carve-out, behind a pool, charged to an account.
pub(super) type Tables = Accounted<Arc<Pool<Arc<SharedRegion>>>, Arc<Account>>;

/// How many bytes tables may take, and those of queued jobs alone; as many as there are, if nothing
/// is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) tables: Option<u64>,
    pub(super) in_flight: Option<u64>,
}

/// The machine of one replay.
pub(super) struct Machine {
    config: Config,
    table_bytes: usize,
    memory: Arc<SharedRegion>,
    pool: Arc<Pool<Arc<SharedRegion>>>,
    account: Arc<Account>,
    in_flight: Arc<InFlight>,
    worker: Worker,
    run_times: Arc<Mutex<Times>>,
    /// Whether what walks the tables remembers anything.
    walker_remembers: bool,
}

impl Machine {
    /// A machine for `format`, whose tables lie in `memory` and stay within `limits`.
    ///
    /// # Errors
    ///
    /// When the system has no thread to spare.
    pub(super) fn new<F: Format>(
        config: Config,
        memory: SharedRegion,
        limits: Limits,
        walker_remembers: bool,
    ) -> anyhow::Result<Self> {
        let memory = Arc::new(memory);
        let pool = Pool::new(Arc::clone(&memory), TableLayout::of::<F>(), Watermarks::default());
        Ok(Self {
            config,
            table_bytes: TableLayout::of::<F>().bytes(),
            memory,
            pool: Arc::new(pool),
            account: Arc::new(Account::new("replay", limits.tables.unwrap_or(Account::UNLIMITED))),
            in_flight: InFlight::new(limits.in_flight.unwrap_or(u64::MAX)),
            worker: Worker::new(1).context("cannot start the thread that runs jobs")?,
            run_times: Arc::default(),
            walker_remembers,
        })
    }

    /// A new address space.
    ///
    /// # Errors
    ///
    /// When the limit leaves no room for its root.
    pub(super) fn vm<F: Format>(&self) -> Result<Vm<F, Tables, Probe>, iopgtable::CreateError> {
        let tables = Accounted::new(Arc::clone(&self.pool), Arc::clone(&self.account));
        let remembers = self.walker_remembers;
        let times = Arc::clone(&self.run_times);
        let probe = Probe { times, began: None, remembers, stale: Vec::new() };
        let options = VmOptions::new().in_flight(Arc::clone(&self.in_flight));
        let vm = Vm::with_options(self.config, tables, probe, options)?;
        self.worker.attach(&vm);
        Ok(vm)
    }

    /// The account that tables are charged to.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// The limit on what queued jobs hold.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// How long jobs ran.
    pub(super) fn run_times(&self) -> Times {
        self.run_times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the machine, whose VMs are gone: the pool's figures, the bytes that never came back from
    /// its users, and those that the account is still charged.
    pub(super) fn end(self) -> (PoolFigures, u64, u64) {
        let Self { memory, pool, account, worker, table_bytes, .. } = self;
        // It may be about to let go of the last VM that it has run.
        drop(worker);
        let figures = pool.figures();
        let out = memory.in_use().saturating_sub(figures.free * table_bytes);
        (figures, out as u64, account.charged())
    }
}

/// Durations, as a histogram and a sum.
#[derive(Clone, Debug)]
pub(super) struct Times {
    histogram: Histogram<u64>,
    sum: Duration,
}

impl Default for Times {
    fn default() -> Self {
        // From one nanosecond to ten minutes, to three digits: bounds that are always accepted.
        let bounded = Histogram::new_with_bounds(1, 600_000_000_000, 3);
        let histogram = bounded.unwrap_or_else(|_| unreachable!("the bounds are in order"));
        Self { histogram, sum: Duration::ZERO }
    }
}

impl Times {
    /// Adds one duration. Allocates nothing.
    pub(super) fn add(&mut self, time: Duration) {
        self.sum += time;
        self.histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The sum of all.
    pub(super) fn sum(&self) -> Duration {
        self.sum
    }

    /// The duration in ns that this share of all does not exceed.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// The longest, in ns.
    pub(super) fn max(&self) -> u64 {
        self.histogram.max()
    }
}

/// The device: a machine walks the tables between jobs, and is told first what those made stale.
/// During them nobody does, so this looks at the clock and takes notes.
#[derive(Debug)]
pub(super) struct Probe {
    times: Arc<Mutex<Times>>,
    began: Option<Instant>,
    /// Whether the machine remembers anything.
    remembers: bool,
    /// What the machine is yet to be told.
    pub(super) stale: Vec<Invalidation>,
}

#[expect(unsafe_code, reason = "the promise of `Invalidate`")]
// SAFETY: nobody walks the tables before `Walker::turn_to` has passed on what is noted here; a
// machine for which nothing is noted remembers nothing.
unsafe impl Invalidate for Probe {
    type Error = Infallible;

    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), Infallible> {
        if self.remembers {
            self.stale.push(*stale);
        }
        Ok(())
    }
}

impl Device for Probe {
    fn begin(&mut self, _: u64, _: IovaRange) -> Result<(), Infallible> {
        self.began = Some(Instant::now());
        Ok(())
    }

    fn end(&mut self, _: u64) -> Result<(), Infallible> {
        if let Some(began) = self.began.take() {
            let time = began.elapsed();
            self.times.lock().unwrap_or_else(PoisonError::into_inner).add(time);
        }
        Ok(())
    }
}
