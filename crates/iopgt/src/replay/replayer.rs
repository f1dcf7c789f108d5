//! One replay: the operations of a trace, one job each, through the machine.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use gpuvm::space::Transition;
use gpuvm::{FenceError, Figures, Op, Point, SubmitError, SubmitReason, Vm};
use iopgtable::{AllocError, Config, CreateError, PhysAddr, Prot, TableLayout, TableMemory as _};
use iopgtable_conformance::machines::{Name, Site};
use iopgtable_conformance::{SharedRegion, Walked};

use walkers::{Mmu, Says};

use super::machine::{Limits, Machine, Probe, Tables, Times};
use super::report::{
    AccountReport, InFlightReport, Latency, PoolReport, Report, TableReport, ratio,
};
use super::shadow::{Change, Memory, Shadow};
use super::verify::Checks;
use super::walk::Walker;
use super::worst_case;
use crate::cli::{ReplayArgs, Verify};
use crate::trace::{self, Frames, Space, Trace};

/// How many jobs may be queued before the submitter waits for them.
const MOST_QUEUED: u64 = 256;

/// Below this, made-up memory does not lie: what CPUs have there is not ordinary memory.
const FIRST_FRAME: u64 = 1 << 30;

/// How much address space the tables' memory takes; memory only as far as tables use it.
const CARVE_OUT: u64 = 4 << 30;

/// A replay under way.
pub(super) struct Replayer<F: Walked> {
    machine: Machine,
    memory: Memory,
    processes: BTreeMap<Space, Process<F>>,
    walker: Walker,
    verify: Verify,
    /// At most about so many pages of a range are checked.
    sample: u64,
    checks: Checks,

    counts: Counts,
    submit_times: Times,
}

struct Process<F: Walked> {
    vm: Vm<F, Tables, Probe>,
    shadow: Shadow,
    last_job: Option<Point>,
    /// Its address space, to the walker.
    asid: u16,
}

impl<F: Walked> Process<F> {
    /// Waits until its jobs have run and cleaned up.
    fn settle(&self) -> Result<(), FenceError> {
        let outcome = self.last_job.as_ref().map_or(Ok(()), Point::wait);
        // A job signals before it cleans up; it holds the table until it has done both.
        self.vm.with_table(|_| ());
        outcome
    }
}

#[derive(Default)]
struct Counts {
    jobs: u64,
    ops: u64,
    pages: u64,
    skipped: u64,
    refused: u64,
    first_refusal: Option<String>,
    worst_case: u64,
    queued: u64,
    /// How many VMs there have been: each is an address space of its own.
    vms: u16,
    /// What VMs that are gone had counted.
    figures: Figures,
}

impl<F: Walked> Replayer<F> {
    /// A machine without any process yet.
    ///
    /// # Errors
    ///
    /// When the machine cannot be had.
    pub(super) fn new(config: Config, trace: &Trace, args: &ReplayArgs) -> anyhow::Result<Self> {
        let geometry = F::geometry(config)?;
        let granule = geometry.granule();
        let coarse = granule > trace.header.page;
        let header = if coarse { trace.header.in_pages_of(granule) } else { trace.header.clone() };
        // The upper half of the physical memory that tables may lie in holds them; what they map
        // lies above it, or else in the lower half. The walker may have a place of its own for both.
        let (last_table, last) = (geometry.last_table_phys().0, geometry.last_phys().0);
        let half = last_table / 2 + 1;
        let is_soft = args.walker == Name::Soft;
        let site = if is_soft {
            let bytes = CARVE_OUT.min(half);
            Site::soft(half, usize::try_from(bytes).context("no address space for tables")?)
        } else {
            Site::open(args.walker)
        };
        let Site { mmu, tables } = site.map_err(anyhow::Error::msg)?;
        let says = says::<F>(config, &*mmu, &tables)?;
        let config = config.largest_leaf(config.largest_leaf.min(says.largest_leaf));
        let (first, last) = if !is_soft {
            (says.targets.0.max(tables.last() + 1), says.targets.1.min(last))
        } else if last > last_table {
            (last_table + 1, last)
        } else {
            (FIRST_FRAME, half - 1)
        };
        let memory = Memory {
            frames: Frames::new(&header, first..=last)?,
            granule,
            last: geometry.last_iova().0,
            real_runs: !coarse && is_soft,
            fetches: F::attributes(config.options, Prot::READ | Prot::EXECUTE).is_ok(),
        };
        let limits = Limits { tables: args.limit, in_flight: args.in_flight };
        Ok(Self {
            machine: Machine::new::<F>(config, tables, limits, !is_soft)?,
            memory,
            processes: BTreeMap::new(),
            checks: Checks { walker: mmu.name(), ..Checks::default() },
            walker: Walker::new(mmu),
            verify: args.verify(),
            sample: args.sample(),
            counts: Counts::default(),
            submit_times: Times::default(),
        })
    }

    /// Replays one operation of the trace.
    ///
    /// # Errors
    ///
    /// What a replay does not survive: a refusal that is not for want of memory, a VM that was
    /// banned. A refusal for want of memory is counted, and the operation has no effect.
    pub(super) fn step(&mut self, op: &trace::Op) -> anyhow::Result<()> {
        let (target, changes) = if let trace::Op::Fork { space, child } = *op {
            let parent = self.processes.get(&space);
            (child, parent.map(|parent| parent.shadow.all()).unwrap_or_default())
        } else {
            let space = op.space();
            let Some(process) =
                Self::process(&mut self.processes, &self.machine, &mut self.counts, space)?
            else {
                return Ok(());
            };
            (space, process.shadow.changes(op, &mut self.memory)?)
        };
        if changes.is_empty() {
            self.counts.skipped += 1;
        } else {
            self.bind(target, changes)?;
        }
        if matches!(op, trace::Op::Exit { .. }) {
            self.exit(target)?;
        }
        Ok(())
    }

    fn process<'p>(
        processes: &'p mut BTreeMap<Space, Process<F>>,
        machine: &Machine,
        counts: &mut Counts,
        space: Space,
    ) -> anyhow::Result<Option<&'p mut Process<F>>> {
        if let std::collections::btree_map::Entry::Vacant(entry) = processes.entry(space) {
            match machine.vm() {
                Ok(vm) => {
                    counts.vms = counts.vms.wrapping_add(1);
                    let (shadow, asid) = (Shadow::new()?, counts.vms);
                    entry.insert(Process { vm, shadow, last_job: None, asid });
                }
                Err(CreateError::Alloc(error)) => {
                    counts.refuse(&describe(space, &error));
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(processes.get_mut(&space))
    }

    /// Submits `changes` as one job.
    fn bind(&mut self, space: Space, changes: Vec<Change>) -> anyhow::Result<()> {
        let Some(process) =
            Self::process(&mut self.processes, &self.machine, &mut self.counts, space)?
        else {
            return Ok(());
        };
        let vm = process.vm.clone();
        let ops: Vec<Op> = changes.iter().map(Change::to_op).collect();
        let geometry = *vm.geometry();
        let worst_case: u64 = ops.iter().map(|op| worst_case::tables(&geometry, op)).sum();
        let pages: u64 = ops
            .iter()
            .map(|op| match op {
                Op::Map { range, .. } => range.bytes() / geometry.granule(),
                _ => 0,
            })
            .sum();
        let count = ops.len() as u64;

        let job = match self.submit(&vm, ops) {
            Err(SubmitError {
                reason: SubmitReason::Memory(_) | SubmitReason::InFlight { .. },
                ..
            }) => {
                // Jobs in flight may be about to free tables, and will not be in flight then.
                self.settle();
                self.submit(&vm, changes.iter().map(Change::to_op).collect())
            }
            outcome => outcome,
        };
        let job = match job {
            Ok(job) => job,
            Err(SubmitError { reason: SubmitReason::Memory(error), .. }) => {
                self.counts.refuse(&describe(space, &error));
                return Ok(());
            }
            Err(error) => bail!("space {}: {error}", space.0),
        };
        self.counts.jobs += 1;
        self.counts.ops += count;
        self.counts.pages += pages;
        self.counts.worst_case += worst_case;
        self.counts.queued += 1;

        let Some(process) = self.processes.get_mut(&space) else {
            return Ok(());
        };
        process.last_job = Some(job);
        let apply = |change| process.shadow.apply(change);
        let transitions: Vec<Transition> = changes.into_iter().map(apply).collect();
        let due = match self.verify {
            Verify::None => false,
            Verify::All => true,
            Verify::Every(interval) => self.counts.jobs % interval == 0,
        };
        if due {
            self.settle();
            if let Some(process) = self.processes.get(&space) {
                let Self { walker, checks, sample, .. } = self;
                let at = (&vm, process.asid);
                checks.check(walker, at, &process.shadow, &transitions, *sample)?;
            }
        } else if self.counts.queued >= MOST_QUEUED {
            self.settle();
        }
        Ok(())
    }

    fn submit(&mut self, vm: &Vm<F, Tables, Probe>, ops: Vec<Op>) -> Result<Point, SubmitError> {
        let start = Instant::now();
        let outcome = vm.submit(ops, [], []);
        self.submit_times.add(start.elapsed());
        outcome
    }

    /// Waits until no job is queued or running.
    fn settle(&mut self) {
        self.counts.queued = 0;
        for process in self.processes.values() {
            // A job that failed is one that is over; `exit` says why.
            let _ = process.settle();
        }
    }

    /// Ends a process, and with it its VM.
    fn exit(&mut self, space: Space) -> anyhow::Result<()> {
        let Some(process) = self.processes.remove(&space) else {
            return Ok(());
        };
        process.settle().with_context(|| match process.vm.ban() {
            Some(ban) => format!("space {}: {ban}", space.0),
            None => format!("space {}", space.0),
        })?;
        self.counts.add(&process.vm.figures());
        Ok(())
    }

    /// Ends all processes and the machine.
    ///
    /// # Errors
    ///
    /// When a VM was banned.
    pub(super) fn finish(mut self, name: &str) -> anyhow::Result<Report> {
        for space in self.processes.keys().copied().collect::<Vec<_>>() {
            self.exit(space)?;
        }
        let Self { machine, memory, checks, counts, submit_times, .. } = self;
        let run_times = machine.run_times();
        let (account, in_flight) = (machine.account(), machine.in_flight());
        let is_limit = |limit: &u64| *limit != u64::MAX;
        let mut account = AccountReport {
            limit: Some(account.limit()).filter(is_limit),
            peak: account.peak(),
            charged: account.charged(),
            refused: account.refusals(),
        };
        let in_flight = InFlightReport {
            limit: Some(in_flight.limit()).filter(is_limit),
            peak: in_flight.peak(),
            refused: in_flight.refused(),
        };
        let (pool, leaked_bytes, charged) = machine.end();
        account.charged = charged;
        let figures = counts.figures;
        let table_bytes = TableLayout::of::<F>().bytes() as u64;
        let busy: Duration = submit_times.sum() + run_times.sum();
        Ok(Report {
            trace: name.to_owned(),
            format: F::NAME,
            granule: memory.granule,
            jobs: counts.jobs,
            ops: counts.ops,
            pages: counts.pages,
            skipped: counts.skipped,
            refused: counts.refused,
            first_refusal: counts.first_refusal,
            tables: TableReport {
                reserved: figures.tables_reserved,
                installed: figures.tables_installed,
                returned: figures.tables_returned,
                freed: figures.tables_freed,
                peak: account.peak / table_bytes,
                worst_case: counts.worst_case,
                leaked: leaked_bytes / table_bytes,
            },
            account,
            in_flight,
            pool: PoolReport::from(pool),
            verify: checks,
            submit_ns: Latency::from(&submit_times),
            run_ns: Latency::from(&run_times),
            ns_per_page: ratio(busy.as_nanos(), u128::from(counts.pages)),
            map_pages_per_s: ratio(u128::from(counts.pages) * 1_000_000_000, busy.as_nanos()),
        })
    }
}

/// What a machine's answers are good for, with tables of this format in `tables`.
fn says<F: Walked>(config: Config, mmu: &dyn Mmu, tables: &SharedRegion) -> anyhow::Result<Says> {
    let root = PhysAddr(tables.ram().first());
    let registers = F::registers(&F::geometry(config)?, config.options, root, tables.is_coherent());
    Ok(mmu.says(&F::regime(registers))?)
}

fn describe(space: Space, error: &AllocError) -> String {
    format!("space {}: {error}", space.0)
}

impl Counts {
    fn refuse(&mut self, why: &str) {
        self.refused += 1;
        self.first_refusal.get_or_insert_with(|| why.to_owned());
    }

    fn add(&mut self, other: &Figures) {
        let sum = &mut self.figures;
        sum.tables_reserved += other.tables_reserved;
        sum.tables_installed += other.tables_installed;
        sum.tables_returned += other.tables_returned;
        sum.tables_freed += other.tables_freed;
    }
}
