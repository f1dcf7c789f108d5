//! The face: an address space that is changed by jobs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "std")]
use core::future::Future;
use core::sync::atomic::AtomicBool;
use core::task::{Poll, Waker};

use iopgtable::{
    Config, CreateError, Format, Geometry, Iova, IovaRange, PageTable, Prot, Reservation, Reserver,
    TableAllocator, TableCount,
};

use crate::backing::Backing;
use crate::ban::Ban;
use crate::desk::Desk;
use crate::device::Device;
use crate::doorbell::Doorbell;
use crate::figures::{Counters, Figures};
use crate::flight::InFlight;
use crate::job::{Job, Room};
use crate::lanes::Lanes;
use crate::options::{Charged, VmOptions};
use crate::plan::Planner;
use crate::queue::Queue;
use crate::record::Record;
#[cfg(feature = "std")]
use crate::refusal::BindError;
use crate::space::{Mapping, Space};
use crate::spare::Spare;
use crate::sync::Mutex;
use crate::timeline::Timeline;
#[cfg(feature = "std")]
use crate::timeline::{FenceError, Point};

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
/// [`queue`](Self::queue) makes further queues beside the VM's own.
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

/// # Lock order
///
/// `planned`, then `lanes`; `live`, then `lanes` or `ban`. While either is held (or any other
/// lock of a VM) only these may be taken, and nothing is locked under them: those of timelines,
/// the doorbell, the spare pages, the record, `ban`, an [`InFlight`], and whatever the allocator
/// has. Wakers are called under `live` at most, and under none of the others.
pub(crate) struct Inner<F: Format, A: TableAllocator, D: Device> {
    pub(crate) config: Config,
    pub(crate) geometry: Geometry,
    pub(crate) reserver: Reserver<A>,
    pub(crate) planned: Mutex<Planned<A>>,
    pub(crate) lanes: Mutex<Lanes<A>>,
    pub(crate) live: Mutex<Live<F, A, D>>,
    /// The line of the VM's own queue.
    pub(crate) timeline: Timeline,
    pub(crate) ban: Mutex<Option<Ban<D::Error>>>,
    /// Whether there is one.
    pub(crate) banned: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) doorbell: Arc<Doorbell>,
    /// Rings the doorbell.
    pub(crate) ring: Waker,
    pub(crate) spare: Spare<A>,
    pub(crate) in_flight: Option<Arc<InFlight>>,
    pub(crate) charged: Option<Charged>,
    pub(crate) record: Mutex<Record>,
    /// Whom to tell that memory is free. The last field: tables go before it.
    #[cfg(feature = "std")]
    pub(crate) relief: crate::relief::Share,
}

/// The state after all jobs that have been submitted.
pub(crate) struct Planned<A: TableAllocator> {
    pub(crate) space: Space,
    pub(crate) planner: Planner,
    pub(crate) jobs: u64,
    /// The tables that all jobs together made and let go.
    pub(crate) added: TableCount,
    pub(crate) gone: TableCount,
    pub(crate) desk: Desk,
    /// Pages for jobs that are on the desk.
    pub(crate) pages: Reservation<A>,
}

/// The state after all jobs that have run.
pub(crate) struct Live<F: Format, A: TableAllocator, D: Device> {
    pub(crate) table: PageTable<F, A>,
    pub(crate) device: D,
    /// The pages that queued jobs have reserved.
    pub(crate) pool: Reservation<A>,
    pub(crate) room: Room,
    /// The job that has banned the VM, and those that were dropped then. They hold what they were to
    /// unmap.
    pub(crate) stopped: Option<Box<Job>>,
    /// What teardowns have not had forgotten, or not reached yet, of what those held and of what was
    /// planned.
    pub(crate) held: Vec<Mapping>,
}

impl<F: Format, A: TableAllocator + Clone, D: Device> Vm<F, A, D> {
    /// An empty address space whose tables come from `allocator`.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::new`].
    pub fn new(config: Config, allocator: A, device: D) -> Result<Self, CreateError> {
        Self::with_options(config, allocator, device, VmOptions::new())
    }

    /// The same with `options`.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::new`]; [`CreateError::Alloc`] also where there is no memory for
    /// spare pages.
    pub fn with_options(
        config: Config,
        allocator: A,
        device: D,
        options: VmOptions,
    ) -> Result<Self, CreateError> {
        let table = PageTable::new(config, allocator)?;
        let (geometry, reserver) = (*table.geometry(), table.reserver());
        let pool = reserver.nothing();
        let spare = if options.spare { Spare::new(&geometry, &reserver)? } else { Spare::none() };
        let lanes = Lanes::new(reserver.nothing());
        let live =
            Live { table, device, pool, room: Room::default(), stopped: None, held: Vec::new() };
        let doorbell = Arc::new(Doorbell::default());
        let planned = Planned {
            space: Space::new(),
            planner: Planner::new(),
            jobs: 0,
            added: TableCount::ZERO,
            gone: TableCount::ZERO,
            desk: Desk::default(),
            pages: reserver.nothing(),
        };
        #[cfg(feature = "std")]
        let relief = options.in_flight.as_ref().map(|shared| Arc::clone(&shared.relief));
        Ok(Self(Arc::new(Inner {
            config,
            geometry,
            reserver,
            planned: Mutex::new(planned),
            timeline: lanes.own_line(),
            lanes: Mutex::new(lanes),
            live: Mutex::new(live),
            ban: Mutex::new(None),
            banned: AtomicBool::new(false),
            counters: Counters::default(),
            ring: Waker::from(Arc::clone(&doorbell)),
            doorbell,
            spare,
            in_flight: options.in_flight,
            charged: options.charged,
            record: Mutex::new(Record::new(options.record)),
            #[cfg(feature = "std")]
            relief: crate::relief::Share::new(relief.unwrap_or_default()),
        })))
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
        self.wait_for(&done).map_err(BindError::Failed)
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
        self.0.run()
    }

    /// Waits for a job of this VM, and runs what is ready meanwhile.
    #[cfg(feature = "std")]
    pub(crate) fn wait_for(&self, done: &Point) -> Result<(), FenceError> {
        let mut binder = None;
        let mut done = done.clone();
        crate::wait::block_on(core::future::poll_fn(|context| {
            // Before it looks: no wake is lost.
            binder.get_or_insert_with(|| self.0.doorbell.enter(context.waker().clone()));
            let _ = self.0.run();
            core::pin::Pin::new(&mut done).poll(context)
        }))
    }

    /// A further bind queue.
    pub fn queue(&self) -> Queue<F, A, D> {
        Queue::new(self.clone())
    }

    /// The line of the VM's own queue, on which its `n`-th job signals point `n`, counted from 1.
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
        let table_bytes = self.0.geometry.table_bytes();
        self.0.counters.read(table_bytes, self.0.spare.len())
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
