//! From lists of operations to queued jobs.

use alloc::vec::Vec;

#[cfg(feature = "std")]
use std::time::{Duration, Instant};

use iopgtable::{Format, TableAllocator};

use crate::device::Device;
use crate::draft::{Blame, Draft};
use crate::events;
use crate::flight::Flight;
use crate::lanes::QueueId;
#[cfg(feature = "std")]
use crate::refusal::BindError;
use crate::refusal::{SubmitError, SubmitReason};
use crate::timeline::Point;
use crate::vm::{Inner, Op, Planned, Vm};

/// One job of a list that is submitted at once.
///
/// ```
/// use gpuvm::{Backing, Op, Submission, Timeline, Vm};
/// use iopgtable::memory::Heap;
/// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment, Unwalked};
///
/// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
/// let queue = vm.queue();
/// let line = Timeline::new();
/// let backing = Backing::new([Segment::new(PhysAddr(0x8000_0000), 0x1000)])?;
/// let range = IovaRange::new(Iova(0x1000), 0x1000)?;
/// let points = vm.submit_list([
///     Submission::new([Op::Map { range, backing, offset: 0, prot: Prot::RW }])
///         .signalling([line.point(1)]),
///     Submission::new([Op::Unmap { range }]).on(queue.id()).after([line.point(1)]),
/// ])?;
/// vm.run_ready();
/// assert_eq!(points[1].state(), Some(Ok(())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Submission {
    queue: Option<QueueId>,
    /// The first operation lies here: most jobs have no other.
    first: Option<Op>,
    rest: Vec<Op>,
    waits: Vec<Point>,
    signals: Vec<Point>,
}

impl Submission {
    /// A job that does `ops`, in their order, on the VM's own queue.
    pub fn new(ops: impl IntoIterator<Item = Op>) -> Self {
        let mut ops = ops.into_iter();
        Self { first: ops.next(), rest: ops.collect(), ..Self::default() }
    }

    /// Passes the operations on: copies of them, or they themselves. Says which one was refused.
    fn pass<E>(
        &mut self,
        copied: bool,
        mut to: impl FnMut(Op) -> Result<(), E>,
    ) -> Result<(), (usize, E)> {
        let first = if copied { self.first.clone() } else { self.first.take() };
        let Some(first) = first else { return Ok(()) };
        to(first).map_err(|error| (0, error))?;
        for (op, place) in self.rest.iter_mut().zip(1..) {
            let op = if copied { op.clone() } else { core::mem::replace(op, Op::SyncOnly) };
            to(op).map_err(|error| (place, error))?;
        }
        Ok(())
    }

    /// The same on a queue of its VM.
    #[must_use]
    pub const fn on(mut self, queue: QueueId) -> Self {
        self.queue = Some(queue);
        self
    }

    /// The same when `points` are reached, too.
    #[must_use]
    pub fn after(mut self, points: impl IntoIterator<Item = Point>) -> Self {
        self.waits.extend(points);
        self
    }

    /// The same with `points` to signal when it is done.
    #[must_use]
    pub fn signalling(mut self, points: impl IntoIterator<Item = Point>) -> Self {
        self.signals.extend(points);
        self
    }
}

impl<F: Format, A: TableAllocator + Clone, D: Device> Vm<F, A, D> {
    /// Plans `ops` in their order, takes the tables that they will need, and queues them as one
    /// job that runs when all `waits` are reached and every earlier job of the VM's own queue has
    /// run. When it has, it signals `signals` and the point that is returned, which is the job's
    /// number on [`timeline`](Self::timeline).
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
        self.submit_one(Submission::new(ops).after(waits).signalling(signals))
    }

    pub(crate) fn submit_one(&self, submission: Submission) -> Result<Point, SubmitError> {
        let mut point = None;
        let outcome = self.inner().attempt(&mut [submission], false, None, |done| point = done);
        let blame = match (outcome, point) {
            (Ok(()), Some(point)) => return Ok(point),
            (Err(blame), _) => blame,
            (Ok(()), None) => Blame { job: 0, op: None, reason: SubmitReason::UnknownQueue },
        };
        Err(SubmitError { job: None, op: blame.op, reason: blame.reason })
    }

    /// Submits a list of jobs: all of them, in their order, or none. Each may wait for points that
    /// an earlier one signals. Returns a point for each, on the line of its queue.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] names the job and the operation. Nothing has changed then.
    pub fn submit_list(
        &self,
        jobs: impl IntoIterator<Item = Submission>,
    ) -> Result<Vec<Point>, SubmitError> {
        let mut jobs: Vec<Submission> = jobs.into_iter().collect();
        let mut points = Vec::with_capacity(jobs.len());
        self.inner()
            .attempt(&mut jobs, false, None, |point| points.extend(point))
            .map_err(SubmitError::in_list)?;
        Ok(points)
    }

    /// The same, but what can change by itself does not refuse the list before `deadline`: where
    /// there is no memory, an account is full, or too much is in flight
    /// ([`InFlight`](crate::InFlight)), this thread sleeps and tries again: when this VM, or one that
    /// shares its limit in flight, frees tables, and now and then, as others may have.
    ///
    /// The VM's jobs must be run by somebody else meanwhile: a [`Worker`](crate::Worker), say.
    /// Others may submit to the VM, also what will come before the list.
    ///
    /// # Errors
    ///
    /// As for [`submit_list`](Self::submit_list); at the deadline, the last reason.
    #[cfg(feature = "std")]
    pub fn submit_until(
        &self,
        jobs: impl IntoIterator<Item = Submission>,
        deadline: Instant,
    ) -> Result<Vec<Point>, SubmitError> {
        self.submit_patiently(jobs.into_iter().collect(), deadline, || {})
    }

    /// As [`bind`](Self::bind), with the patience of [`submit_until`](Self::submit_until): an
    /// unmap that finds no memory to cut a block waits for some. Jobs that are ready are run on
    /// this thread; others must be run by somebody else until the bind is admitted.
    ///
    /// # Errors
    ///
    /// As for `bind`.
    #[cfg(feature = "std")]
    pub fn bind_until(
        &self,
        ops: impl IntoIterator<Item = Op>,
        deadline: Instant,
    ) -> Result<(), BindError> {
        let jobs = alloc::vec![Submission::new(ops)];
        let points = self.submit_patiently(jobs, deadline, || {
            self.run_ready();
        })?;
        points.iter().try_for_each(|done| self.wait_for(done)).map_err(BindError::Failed)
    }

    #[cfg(feature = "std")]
    fn submit_patiently(
        &self,
        mut jobs: Vec<Submission>,
        deadline: Instant,
        meanwhile: impl Fn(),
    ) -> Result<Vec<Point>, SubmitError> {
        let mut points = Vec::with_capacity(jobs.len());
        let (mut granted, mut pause) = (None, SHORTEST);
        let mut waiting = self.inner().relief.enter();
        loop {
            meanwhile();
            let outcome =
                self.inner().attempt(&mut jobs, true, granted.take(), |one| points.extend(one));
            let Err(blame) = outcome else { return Ok(points) };
            let left = deadline.saturating_duration_since(Instant::now());
            match (blame.reason, self.inner().in_flight.as_ref()) {
                _ if left.is_zero() => return Err(SubmitError::in_list(blame)),
                (SubmitReason::InFlight { need, .. }, Some(in_flight)) => {
                    granted = in_flight.take_until(need, deadline);
                }
                (SubmitReason::Memory(_), _) => {
                    // VMs tell when they free memory; who else does, or raises a limit, does not.
                    waiting.sleep(pause.min(left));
                    pause = (pause * 2).min(LONGEST);
                }
                _ => return Err(SubmitError::in_list(blame)),
            }
        }
    }
}

/// How long a submission sleeps at least and at most before it asks for memory again, if no VM frees
/// some.
#[cfg(feature = "std")]
const SHORTEST: Duration = Duration::from_micros(100);
#[cfg(feature = "std")]
const LONGEST: Duration = Duration::from_millis(10);

impl<F: Format, A: TableAllocator + Clone, D: Device> Inner<F, A, D> {
    /// Plans, supplies and queues `list`, or changes nothing. `again`: the list is still needed
    /// after a refusal. `granted`: what has been waited for. Tells `each` the jobs' points.
    fn attempt(
        &self,
        list: &mut [Submission],
        again: bool,
        granted: Option<Flight>,
        each: impl FnMut(Option<Point>),
    ) -> Result<(), Blame> {
        let nobody = |reason| Blame { job: 0, op: None, reason };
        if self.is_banned() {
            return Err(nobody(SubmitReason::Banned));
        }
        let mut planned = self.planned.lock();
        let mut draft = Draft::new(self, &mut planned);
        for (job, submission) in list.iter_mut().enumerate() {
            if let Err((op, reason)) = submission.pass(again, |op| draft.add(op)) {
                draft.undo();
                return Err(Blame { job, op: Some(op), reason });
            }
            draft.end_job(&submission.waits, &submission.signals);
        }
        let missing = draft.all_missing();
        let flight = match self.admit(missing, granted) {
            Ok(flight) => flight,
            Err(reason) => {
                draft.undo();
                return Err(nobody(reason));
            }
        };
        if let Err(blame) = draft.supply() {
            draft.undo();
            return Err(blame);
        }
        self.queue(draft, list, flight, each)?;
        drop(planned);
        events::submitted(list.len(), missing);
        self.doorbell.wake_runner();
        Ok(())
    }

    /// Has the pages for `missing` tables fly, if there is a limit.
    fn admit(&self, missing: u64, granted: Option<Flight>) -> Result<Option<Flight>, SubmitReason> {
        let Some(in_flight) = &self.in_flight else { return Ok(None) };
        let need = missing.saturating_mul(self.geometry.table_bytes());
        #[cfg(feature = "std")]
        if let Some(mut granted) = granted {
            if granted.shrink(need) {
                return Ok(Some(granted));
            }
        }
        #[cfg(not(feature = "std"))]
        drop(granted);
        let full = match in_flight.try_take(need) {
            Ok(flight) => return Ok(Some(flight)),
            Err(full) => full,
        };
        Err(SubmitReason::InFlight { limit: full.limit, used: full.used, need })
    }

    /// Queues what `draft` has planned and supplied. The queue takes the jobs before the plan is
    /// unlocked: jobs that meet run in the order of planning.
    fn queue(
        &self,
        draft: Draft<'_, F, A, D>,
        list: &[Submission],
        mut flight: Option<Flight>,
        mut each: impl FnMut(Option<Point>),
    ) -> Result<(), Blame> {
        let table_bytes = self.geometry.table_bytes();
        let mut lanes = self.lanes.lock();
        let unknown = |one: &Submission| lanes.find(one.queue).is_none();
        if let Some(job) = list.iter().position(unknown) {
            drop(lanes);
            draft.undo();
            return Err(Blame { job, op: None, reason: SubmitReason::UnknownQueue });
        }
        let Planned { desk, jobs: number, .. } = &mut *draft.planned;
        for job in &mut desk.jobs {
            *number += 1;
            job.number = *number;
            let bytes = job.missing.saturating_mul(table_bytes);
            job.flight = flight.as_mut().map(|flight| flight.split(bytes));
            self.counters.submitted(job.ops, job.missing);
        }
        // What has run since the last time is used for the next ones.
        if desk.idle.is_empty() {
            desk.idle.append(&mut lanes.idle);
        }
        for (job, submission) in desk.jobs.drain(..).zip(list) {
            let done = lanes.find(submission.queue).and_then(|index| lanes.push(index, job));
            each(done);
        }
        lanes.supply(draft.finish());
        Ok(())
    }
}
