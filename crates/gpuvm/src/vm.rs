//! The face: an address space that is changed by jobs.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::task::{Poll, Waker};

use iopgtable::{
    Config, CreateError, Format, Geometry, Iova, IovaRange, PageTable, Prot, Reserver,
    TableAllocator,
};

use crate::backing::Backing;
use crate::ban::Ban;
use crate::device::Device;
use crate::draft::Draft;
use crate::figures::{Counters, Figures};
use crate::job::Job;
use crate::plan::Planner;
#[cfg(feature = "std")]
use crate::refusal::BindError;
use crate::refusal::{SubmitError, SubmitReason};
use crate::space::Space;
use crate::sync::Mutex;
use crate::timeline::{Point, Timeline};

/// One operation of a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Map a part of a backing, in place of whatever the range maps. There is no null mapping, for
    /// no Arm format has one: see [`Backing::repeating`].
    Map {
        /// Where.
        range: IovaRange,
        /// What.
        backing: Arc<Backing>,
        /// From which byte of the backing on; modulo its period, if it repeats.
        offset: u64,
        /// What is allowed.
        prot: Prot,
    },
    /// Unmap whatever the range maps, which may be nothing.
    Unmap {
        /// Where.
        range: IovaRange,
    },
    /// Change what the range allows, and its memory type, where it maps anything. Mappings that
    /// reach over its ends are split there; what lies inside of it are mappings of their own.
    /// Mappings that allow just that already stay whole, and a protect that finds no other needs
    /// nothing.
    ///
    /// Leaves that reach over an end are cut, which takes tables. Flags that hardware has set in
    /// leaves of the range (dirty) are as in a new mapping then.
    Protect {
        /// Where.
        range: IovaRange,
        /// What is allowed from then on.
        prot: Prot,
    },
    /// Split the mappings that reach over an end of the range there, and change nothing of what
    /// they map: what lies inside can be protected, or given to somebody, without a cut then. The
    /// leaves are cut now, as far as they reach over an end.
    Split {
        /// Where.
        range: IovaRange,
    },
    /// Take the memory of a backing away, as [`Vm::evict`] does.
    Evict {
        /// Whose memory goes.
        backing: Arc<Backing>,
    },
    /// Give an evicted backing memory again, as [`Vm::restore`] does.
    Restore {
        /// What was evicted.
        backing: Arc<Backing>,
        /// Where its contents are now: itself, or another one of the same length.
        with: Arc<Backing>,
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
    pub(crate) config: Config,
    pub(crate) geometry: Geometry,
    pub(crate) reserver: Reserver<A>,
    pub(crate) planned: Mutex<Planned>,
    pub(crate) queue: Mutex<Queue<A>>,
    pub(crate) live: Mutex<Live<F, A, D>>,
    pub(crate) timeline: Timeline,
    pub(crate) ban: Mutex<Option<Ban<D::Error>>>,
    pub(crate) counters: Counters,
}

/// The state after all jobs that have been submitted.
pub(crate) struct Planned {
    pub(crate) space: Space,
    pub(crate) planner: Planner,
    pub(crate) jobs: u64,
}

pub(crate) struct Queue<A: TableAllocator> {
    pub(crate) jobs: VecDeque<Job<A>>,
    /// Who runs the jobs: woken when there is a new one.
    pub(crate) runner: Option<Waker>,
}

/// The state after all jobs that have run.
pub(crate) struct Live<F: Format, A: TableAllocator, D: Device> {
    pub(crate) table: PageTable<F, A>,
    pub(crate) device: D,
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
            config,
            geometry: *table.geometry(),
            reserver: table.reserver(),
            planned: Mutex::new(Planned { space: Space::new(), planner: Planner::new(), jobs: 0 }),
            queue: Mutex::new(Queue { jobs: VecDeque::new(), runner: None }),
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
            return Err(SubmitError { op: None, reason: SubmitReason::Banned });
        }
        // The caller's iterators may use this VM, and may panic: they are done before the lock.
        let ops: Vec<Op> = ops.into_iter().collect();
        let waits: Vec<Point> = waits.into_iter().collect();
        let mut signals: Vec<Point> = signals.into_iter().collect();
        let mut planned = inner.planned.lock();
        let mut draft = Draft::new(inner, &mut planned)?;
        for (index, op) in ops.into_iter().enumerate() {
            if let Err(reason) = draft.add(op) {
                draft.undo();
                return Err(SubmitError { op: Some(index), reason });
            }
        }
        let Draft { ops, steps, reservation, delta, .. } = draft;
        planned.jobs += 1;
        let number = planned.jobs;
        let done = inner.timeline.point(number);
        signals.push(done.clone());
        let count = steps.len();
        inner.counters.submitted(ops, &delta.missing);
        let job = Job {
            number,
            reservation,
            freed: delta.freed,
            footprint: delta.footprint,
            waits,
            signals,
            gathers: Vec::with_capacity(count),
            forgotten: Vec::with_capacity(count),
            steps,
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
        Ok(done)
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
            done.poll(context.waker()).map_or(Poll::Pending, Poll::Ready)
        }))
        .map_err(BindError::Failed)
    }
}

impl<F: Format, A: TableAllocator, D: Device> Vm<F, A, D> {
    /// Runs every job that is ready. Ready where none is left; otherwise `waker` is woken when
    /// the next one may run. Either way it is also woken when a job is submitted, until another
    /// waker takes its place: there is one runner.
    ///
    /// Jobs signal while the VM's table is locked. So the wakers of those who wait for a job may
    /// schedule something, but must not call into the VM themselves.
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

    /// What has been submitted, reserved, installed and freed so far. A job signals before its
    /// loose tables are freed and counted.
    pub fn figures(&self) -> Figures {
        self.0.counters.read()
    }

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
