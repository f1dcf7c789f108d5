//! The face: an address space that is changed by jobs.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::task::{Poll, Waker};

use iopgtable::{
    AllocError, Config, CreateError, Format, Geometry, Iova, IovaRange, PageTable, Prot,
    ReservedError, Reserver, TableAllocator, TableCount, TableError,
};

use crate::backing::Backing;
use crate::device::Device;
use crate::figures::{Counters, Figures};
use crate::job::{Job, Step, Stop};
use crate::plan::{Delta, Planner};
use crate::space::{Mapping, Space, Transition};
use crate::sync::{Guard, Mutex};
use crate::timeline::{FenceError, Point, Timeline};

/// One operation of a job.
#[derive(Clone, Debug)]
pub enum Op {
    /// Map a part of a backing, in place of whatever the range maps.
    Map {
        /// Where.
        range: IovaRange,
        /// What.
        backing: Arc<Backing>,
        /// From which byte of the backing on.
        offset: u64,
        /// What is allowed.
        prot: Prot,
    },
    /// Unmap whatever the range maps, which may be nothing.
    Unmap {
        /// Where.
        range: IovaRange,
    },
    /// Change nothing: the job's points are all there is to it. A job without operations does
    /// the same; this is for callers that translate lists one to one.
    SyncOnly,
}

/// A GPU address space: page tables, the plan for them, and a queue of jobs that carry it out.
///
/// [`submit`](Self::submit) plans, reserves and queues; it may block and fail, and leaves nothing
/// behind when it fails. [`poll`](Self::poll) (or a [`Worker`](crate::Worker) that calls it) runs
/// the jobs whose in-points are reached, one after the other, in the order of their submission;
/// running allocates nothing and does not fail for want of memory. Clones are the same space.
///
/// ```
/// use gpuvm::{Backing, Op, Vm};
/// use iopgtable::memory::Heap;
/// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment, Unwalked};
///
/// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
/// let backing = Backing::new([Segment::new(PhysAddr(0x8000_0000), 0x20_0000)])?;
/// let range = IovaRange::new(Iova(0x20_0000), 0x20_0000)?;
/// let done = vm.submit([Op::Map { range, backing, offset: 0, prot: Prot::RW }], [], [])?;
/// vm.run_ready(); // or let a worker do it
/// assert_eq!(done.state(), Some(Ok(())));
/// assert_eq!(vm.translate(Iova(0x20_0042)).unwrap().phys, PhysAddr(0x8000_0042));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Vm<F: Format, A: TableAllocator, D: Device>(Arc<Inner<F, A, D>>);

impl<F: Format, A: TableAllocator, D: Device> Clone for Vm<F, A, D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Lock order: `planned`, then `queue`; `live`, then `queue`. No two others are held at once.
pub(crate) struct Inner<F: Format, A: TableAllocator, D: Device> {
    geometry: Geometry,
    reserver: Reserver<A>,
    planned: Mutex<Planned>,
    queue: Mutex<Queue<A>>,
    live: Mutex<Live<F, A, D>>,
    timeline: Timeline,
    ban: Mutex<Option<Ban<D::Error>>>,
    counters: Counters,
}

/// The state after all jobs that have been submitted.
struct Planned {
    space: Space,
    planner: Planner,
    jobs: u64,
}

struct Queue<A: TableAllocator> {
    jobs: VecDeque<Job<A>>,
    /// Who runs the jobs: woken when there is a new one.
    runner: Option<Waker>,
}

/// The state after all jobs that have run.
struct Live<F: Format, A: TableAllocator, D: Device> {
    table: PageTable<F, A>,
    device: D,
}

impl<F: Format, A: TableAllocator + Clone, D: Device> Vm<F, A, D> {
    /// An empty address space whose tables come from `allocator`.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::new`].
    pub fn new(config: Config, allocator: A, device: D) -> Result<Self, CreateError> {
        let table = PageTable::new(config, allocator)?;
        Ok(Self(Arc::new(Inner {
            geometry: *table.geometry(),
            reserver: table.reserver(),
            planned: Mutex::new(Planned {
                space: Space::new(),
                planner: Planner::new(),
                jobs: 0,
            }),
            queue: Mutex::new(Queue {
                jobs: VecDeque::new(),
                runner: None,
            }),
            live: Mutex::new(Live { table, device }),
            timeline: Timeline::new(),
            ban: Mutex::new(None),
            counters: Counters::default(),
        })))
    }

    /// Plans `ops` in their order, takes the tables that they will need, and queues them as one
    /// job that runs when all `waits` are reached and every earlier job has run. When it has, it
    /// signals `signals` and the point that is returned, which is the job's number on
    /// [`timeline`](Self::timeline).
    ///
    /// A wait that is reached in error counts as reached: the plan of later jobs stands on this
    /// one.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] names the operation. Nothing has changed then: no plan, no reservation.
    pub fn submit(
        &self,
        ops: impl IntoIterator<Item = Op>,
        waits: impl IntoIterator<Item = Point>,
        signals: impl IntoIterator<Item = Point>,
    ) -> Result<Point, SubmitError> {
        let inner = &*self.0;
        if inner.ban.lock().is_some() {
            return Err(SubmitError {
                op: None,
                reason: SubmitReason::Banned,
            });
        }
        // The caller's iterators may use this VM, and may panic: they are done before the lock.
        let ops: Vec<Op> = ops.into_iter().collect();
        let waits: Vec<Point> = waits.into_iter().collect();
        let signals: Vec<Point> = signals.into_iter().collect();
        let mut planned = inner.planned.lock();
        let mut draft = Draft::new(inner, &mut planned)?;
        for (index, op) in ops.into_iter().enumerate() {
            if let Err(reason) = draft.add(op) {
                draft.undo();
                return Err(SubmitError {
                    op: Some(index),
                    reason,
                });
            }
        }
        let (steps, reservation, delta) = draft.finish();
        planned.jobs += 1;
        let number = planned.jobs;
        let count = steps.len();
        inner.counters.submitted(count, &delta.missing);
        let job = Job {
            number,
            steps,
            reservation,
            freed: delta.freed,
            waits,
            signals,
            gathers: Vec::with_capacity(count),
            forgotten: Vec::with_capacity(count),
        };
        // The queue takes the job before the plan is unlocked: jobs run in the order of planning.
        let runner = {
            let mut queue = inner.queue.lock();
            queue.jobs.push_back(job);
            queue.runner.clone()
        };
        drop(planned);
        if let Some(runner) = runner {
            runner.wake();
        }
        Ok(inner.timeline.point(number))
    }

    /// Submits `ops` and waits until they are done: a synchronous bind. Jobs that are ready are
    /// run on this thread.
    ///
    /// # Errors
    ///
    /// [`BindError::Refused`] as for [`submit`](Self::submit); [`BindError::Failed`] where the
    /// job did not run.
    #[cfg(feature = "std")]
    pub fn bind(&self, ops: impl IntoIterator<Item = Op>) -> Result<(), BindError> {
        let done = self.submit(ops, [], [])?;
        crate::wait::block_on(core::future::poll_fn(|context| {
            let _ = self.0.run(Some(context.waker()));
            done.poll(context.waker())
                .map_or(Poll::Pending, Poll::Ready)
        }))
        .map_err(BindError::Failed)
    }
}

impl<F: Format, A: TableAllocator, D: Device> Vm<F, A, D> {
    /// Runs every job that is ready. Ready where none is left; otherwise `waker` is woken when
    /// the next one may run. Either way it is also woken when a job is submitted, until another
    /// waker takes its place: there is one runner.
    pub fn poll(&self, waker: &Waker) -> Poll<()> {
        self.0.poll(waker)
    }

    /// Runs every job that is ready, and returns how many are left, which wait for something.
    pub fn run_ready(&self) -> usize {
        let _ = self.0.run(None);
        self.0.queue.lock().jobs.len()
    }

    /// The line on which job `n` signals point `n`, counted from 1.
    pub fn timeline(&self) -> &Timeline {
        &self.0.timeline
    }

    /// Levels, leaf sizes, address sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.0.geometry
    }

    /// Where the tables come from.
    pub fn allocator(&self) -> &A
    where
        A: Clone,
    {
        self.0.reserver.allocator()
    }

    /// What to program so that the device walks this address space.
    ///
    /// # Safety
    ///
    /// As for [`PageTable::registers`]: from then on, this VM's device must be one that makes
    /// that walker forget, and the last clone of the VM must not be dropped before the walker
    /// has forgotten these values.
    #[expect(unsafe_code, reason = "the root is handed to hardware")]
    pub unsafe fn registers(&self) -> F::Registers {
        // SAFETY: the caller's promise; the VM invalidates through its device alone.
        unsafe { self.0.live.lock().table.registers() }
    }

    /// Where `iova` leads by the jobs that have run so far.
    pub fn translate(&self, iova: Iova) -> Option<iopgtable::Translation> {
        self.0.live.lock().table.translate(iova)
    }

    /// Looks at the tables as they are now. No job runs meanwhile.
    pub fn with_table<R>(&self, look: impl FnOnce(&PageTable<F, A>) -> R) -> R {
        look(&self.0.live.lock().table)
    }

    /// Looks at the mappings that there will be when all jobs have run. No job is submitted
    /// meanwhile.
    pub fn with_plan<R>(&self, look: impl FnOnce(&Space) -> R) -> R {
        look(&self.0.planned.lock().space)
    }

    /// Talks to the device between jobs.
    pub fn with_device<R>(&self, talk: impl FnOnce(&mut D) -> R) -> R {
        talk(&mut self.0.live.lock().device)
    }

    /// Why the VM accepts no more jobs, if it does not.
    pub fn ban(&self) -> Option<Ban<D::Error>> {
        self.0.ban.lock().clone()
    }

    /// What has been submitted, reserved, installed and freed so far.
    pub fn figures(&self) -> Figures {
        self.0.counters.read()
    }

    #[cfg(feature = "std")]
    pub(crate) const fn inner(&self) -> &Arc<Inner<F, A, D>> {
        &self.0
    }
}

impl<F: Format, A: TableAllocator, D: Device> fmt::Debug for Vm<F, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm")
            .field("format", &F::NAME)
            .field("geometry", &self.0.geometry)
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

/// A job on its way from operations to steps.
struct Draft<'v, F: Format, A: TableAllocator, D: Device> {
    inner: &'v Inner<F, A, D>,
    planned: &'v mut Planned,
    done: Vec<Transition>,
    steps: Vec<Step>,
    reservation: iopgtable::Reservation<A>,
    delta: Delta,
}

impl<'v, F: Format, A: TableAllocator + Clone, D: Device> Draft<'v, F, A, D> {
    fn new(
        inner: &'v Inner<F, A, D>,
        planned: &'v mut Guard<'_, Planned>,
    ) -> Result<Self, SubmitError> {
        let reservation = inner
            .reserver
            .reserve(&TableCount::ZERO, Iova(0), false)
            .map_err(|error| SubmitError {
                op: None,
                reason: SubmitReason::Memory(error),
            })?;
        Ok(Self {
            inner,
            planned,
            done: Vec::new(),
            steps: Vec::new(),
            reservation,
            delta: Delta::default(),
        })
    }

    /// Plans one operation and takes its tables.
    fn add(&mut self, op: Op) -> Result<(), SubmitReason> {
        let space = &mut self.planned.space;
        let (range, transition) = match op {
            Op::Map {
                range,
                backing,
                offset,
                prot,
            } => {
                let new = Mapping {
                    range,
                    backing,
                    offset,
                    prot,
                };
                check_map::<F>(&self.inner.geometry, &new)?;
                (range, space.map(new))
            }
            Op::Unmap { range } => {
                check_range(&self.inner.geometry, range)?;
                (range, space.unmap(range))
            }
            Op::SyncOnly => {
                self.steps.push(Step::Nothing);
                return Ok(());
            }
        };
        let delta = self
            .planned
            .planner
            .delta(&self.inner.geometry, space, &transition);
        let step = match &transition {
            Transition {
                inserted: Some(new),
                removed,
                ..
            } if removed.is_empty() => Step::Map(new.clone()),
            Transition {
                inserted: Some(new),
                ..
            } => Step::Replace(new.clone()),
            Transition { removed, .. } if removed.is_empty() => Step::Nothing,
            _ => Step::Unmap {
                range,
                hole: hole(&self.inner.geometry, space, range),
            },
        };
        self.done.push(transition);
        let pages = self
            .inner
            .reserver
            .reserve(&delta.missing, range.first(), true)
            .map_err(SubmitReason::Memory)?;
        // Both are this VM's; were they not, dropping the pages would give them back.
        drop(self.reservation.merge(pages));
        self.delta.missing += delta.missing;
        self.delta.freed += delta.freed;
        self.steps.push(step);
        Ok(())
    }

    fn undo(self) {
        for transition in self.done.into_iter().rev() {
            self.planned.space.undo(transition);
        }
    }

    fn finish(self) -> (Vec<Step>, iopgtable::Reservation<A>, Delta) {
        (self.steps, self.reservation, self.delta)
    }
}

fn check_range(geometry: &Geometry, range: IovaRange) -> Result<(), SubmitReason> {
    let (granule, last) = (geometry.granule(), geometry.last_iova());
    if !range.is_aligned(granule) {
        return Err(TableError::UnalignedRange { range, granule }.into());
    }
    if range.last() > last {
        return Err(TableError::InputRange { range, last }.into());
    }
    Ok(())
}

fn check_map<F: Format>(geometry: &Geometry, new: &Mapping) -> Result<(), SubmitReason> {
    let Mapping {
        range,
        backing,
        offset,
        prot,
    } = new;
    check_range(geometry, *range)?;
    F::attributes(*prot).map_err(|reason| TableError::Prot {
        prot: *prot,
        reason,
    })?;
    let granule = geometry.granule();
    if offset & (granule - 1) != 0 || !backing.is_aligned(granule) {
        return Err(SubmitReason::BackingAlignment {
            offset: *offset,
            granule,
        });
    }
    if offset
        .checked_add(range.bytes())
        .is_none_or(|end| end > backing.bytes())
    {
        return Err(SubmitReason::BackingBounds {
            offset: *offset,
            bytes: range.bytes(),
            backing: backing.bytes(),
        });
    }
    if backing.last_phys() > geometry.last_phys() {
        return Err(SubmitReason::BackingReach {
            last: backing.last_phys(),
            reach: geometry.last_phys(),
        });
    }
    Ok(())
}

/// The addresses around `range` that `space`, which maps nothing in it, does not map either.
fn hole(geometry: &Geometry, space: &Space, range: IovaRange) -> IovaRange {
    let first = space.last_below(range.first()).map_or(0, |last| last.0 + 1);
    let last = space
        .first_above(range.last())
        .map_or(geometry.last_iova().0, |first| first.0 - 1);
    IovaRange::inclusive(Iova(first), Iova(last)).unwrap_or(range)
}

impl<F: Format, A: TableAllocator, D: Device> Inner<F, A, D> {
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<()> {
        {
            let mut queue = self.queue.lock();
            if !queue
                .runner
                .as_ref()
                .is_some_and(|runner| runner.will_wake(waker))
            {
                queue.runner = Some(waker.clone());
            }
        }
        self.run(Some(waker))
    }

    /// Runs jobs until there is none left or the next one waits for a point, which then wakes
    /// `waker`.
    fn run(&self, waker: Option<&Waker>) -> Poll<()> {
        let mut live = self.live.lock();
        loop {
            let job = {
                let mut queue = self.queue.lock();
                let Some(next) = queue.jobs.front() else {
                    return Poll::Ready(());
                };
                let reached = |point: &Point| match waker {
                    Some(waker) => point.poll(waker).is_some(),
                    None => point.state().is_some(),
                };
                if !next.waits.iter().all(reached) {
                    return Poll::Pending;
                }
                queue.jobs.pop_front()
            };
            if let Some(job) = job {
                self.run_job(&mut live, job);
            }
        }
    }

    fn run_job(&self, live: &mut Live<F, A, D>, mut job: Job<A>) {
        if self.ban.lock().is_some() {
            self.timeline.fail(job.number, FenceError::VmBanned);
            job.signal(Err(FenceError::VmBanned));
            self.counters.dropped(job.reservation.remaining());
            return;
        }
        let reserved = job.reservation.remaining();
        let outcome = Self::apply(live, &mut job);
        let left = job.reservation.remaining();
        debug_assert!(outcome.is_err() || left == 0, "the plan is exact");
        let stopped = outcome.err();
        match stopped {
            None => {
                job.signal(Ok(()));
                self.timeline.signal(job.number);
            }
            Some(stop) => {
                *self.ban.lock() = Some(Ban::new(job.number, stop));
                job.signal(Err(FenceError::VmBanned));
                self.timeline.fail(job.number, FenceError::VmBanned);
            }
        }
        // From here on nobody waits: the loose tables and the references go.
        let freed: usize = job
            .forgotten
            .drain(..)
            .map(|loose| live.table.free(loose))
            .sum();
        debug_assert!(
            self.ban.lock().is_some() || freed as u64 == job.freed.total(),
            "the plan is exact: {freed} tables came loose, {:?} planned",
            job.freed
        );
        self.counters.ran(reserved - left, left, freed);
    }

    /// The section that the job's fences wait for.
    fn apply(live: &mut Live<F, A, D>, job: &mut Job<A>) -> Result<(), Stop<D::Error>> {
        let device_stop = |error| Stop::Device { step: None, error };
        let Some(footprint) = job.footprint() else {
            return Ok(());
        };
        live.device
            .begin(job.number, footprint)
            .map_err(device_stop)?;
        if let Some(mut table) = live.table.reserved(&mut job.reservation) {
            Job::run::<F, D>(&job.steps, &mut table, &mut job.gathers)?;
        }
        Job::<A>::invalidate(&mut job.gathers, &mut job.forgotten, &mut live.device)?;
        live.device.end(job.number).map_err(device_stop)
    }
}

impl<F: Format, A: TableAllocator, D: Device> Drop for Inner<F, A, D> {
    /// Jobs that have not run are cancelled; their reservations go back, then all tables.
    fn drop(&mut self) {
        let jobs = core::mem::take(&mut self.queue.lock().jobs);
        for job in jobs {
            self.timeline.fail(job.number, FenceError::Cancelled);
            job.signal(Err(FenceError::Cancelled));
        }
    }
}

/// Why a VM accepts no more jobs: an earlier one stopped in the middle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ban<E> {
    /// The job's number.
    pub job: u64,
    /// The operation, where one can be named.
    pub op: Option<usize>,
    /// What happened.
    pub reason: BanReason<E>,
}

/// What banned a VM.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BanReason<E> {
    /// The device reported an error: it could not be locked, made to forget, or unlocked.
    Device(E),
    /// A reservation did not suffice at this address. This is a bug in `gpuvm`.
    Exhausted(Iova),
    /// The table refused what the plan had accepted. This is a bug in `gpuvm`.
    Refused(TableError),
}

impl<E> Ban<E> {
    fn new(job: u64, stop: Stop<E>) -> Self {
        let (op, reason) = match stop {
            Stop::Device { step, error } => (step, BanReason::Device(error)),
            Stop::Plan {
                step,
                error: ReservedError::Refused(error),
            } => (Some(step), BanReason::Refused(error)),
            Stop::Plan {
                step,
                error: ReservedError::Exhausted { at, .. },
            } => (Some(step), BanReason::Exhausted(at)),
            Stop::Plan { step, .. } => (Some(step), BanReason::Exhausted(Iova(0))),
        };
        Self { job, op, reason }
    }
}

impl<E: fmt::Display> fmt::Display for Ban<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "banned by job {}", self.job)?;
        if let Some(op) = self.op {
            write!(f, ", operation {op}")?;
        }
        match &self.reason {
            BanReason::Device(error) => write!(f, ": {error}"),
            BanReason::Exhausted(at) => write!(f, ": no reserved page left at {at}"),
            BanReason::Refused(error) => write!(f, ": {error}"),
        }
    }
}

/// Why a submission was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmitError {
    /// Which operation is to blame, counted from 0; none where it is not an operation.
    pub op: Option<usize>,
    /// What is wrong.
    pub reason: SubmitReason,
}

/// What is wrong with a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitReason {
    /// The VM is banned.
    Banned,
    /// The range or the protection is not one that the tables can have.
    Argument(TableError),
    /// The offset, or a segment of the backing, is not aligned to the granule.
    BackingAlignment {
        /// The offset.
        offset: u64,
        /// The granule in bytes.
        granule: u64,
    },
    /// The backing ends before the range does.
    BackingBounds {
        /// The offset.
        offset: u64,
        /// The range's length in bytes.
        bytes: u64,
        /// The backing's length in bytes.
        backing: u64,
    },
    /// The backing lies beyond the output size.
    BackingReach {
        /// Its highest address.
        last: iopgtable::PhysAddr,
        /// The highest address that can be mapped.
        reach: iopgtable::PhysAddr,
    },
    /// There is no memory for the tables that it needs.
    Memory(AllocError),
}

impl From<TableError> for SubmitReason {
    fn from(error: TableError) -> Self {
        Self::Argument(error)
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(op) = self.op {
            write!(f, "operation {op}: ")?;
        }
        self.reason.fmt(f)
    }
}

impl fmt::Display for SubmitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Banned => f.write_str("the VM is banned"),
            Self::Argument(error) => error.fmt(f),
            Self::BackingAlignment { offset, granule } => write!(
                f,
                "offset {offset:#x} or a segment is not aligned to the granule of {granule:#x} bytes"
            ),
            Self::BackingBounds {
                offset,
                bytes,
                backing,
            } => write!(
                f,
                "{bytes:#x} bytes from offset {offset:#x} of a backing of {backing:#x} bytes"
            ),
            Self::BackingReach { last, reach } => {
                write!(
                    f,
                    "the backing ends at {last}; what can be mapped ends at {reach}"
                )
            }
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SubmitError {}

/// Why a synchronous bind did not come about.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// It was refused; nothing has changed.
    Refused(SubmitError),
    /// Its job did not run.
    Failed(FenceError),
}

#[cfg(feature = "std")]
impl From<SubmitError> for BindError {
    fn from(error: SubmitError) -> Self {
        Self::Refused(error)
    }
}

#[cfg(feature = "std")]
impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

#[cfg(feature = "std")]
impl core::error::Error for BindError {}
