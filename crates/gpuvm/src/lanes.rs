//! The queued jobs of a VM: in order within a queue, and across queues where they would meet.
//!
//! A job must run after those before it in its queue, and after every earlier one whose reach
//! (see [`Reach`](crate::reach::Reach)) overlaps its own. Since queues are in order, it is enough
//! to know the last such job of each other queue.
//!
//! The pages of all queued jobs are one pool. The tables are a function of the mappings, and the
//! reservations are exact, so the queued jobs hold one page for every table that will be missing,
//! until it is installed: a job that overtakes takes the page that an earlier one has brought for
//! a table which both need, and the earlier one will find that table.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;

use iopgtable::{IovaRange, Reservation, TableAllocator};

use crate::job::Job;
use crate::timeline::{Point, Timeline};

/// A bind queue, by name: no two queues of any VMs have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueueId(u64);

impl QueueId {
    pub(crate) const NONE: Self = Self(0);

    fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl core::fmt::Display for QueueId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A job of another queue that must have run before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocker {
    queue: QueueId,
    place: u64,
}

/// One queue.
pub(crate) struct Lane {
    pub(crate) id: QueueId,
    pub(crate) jobs: VecDeque<Job>,
    /// Covers the reach of all jobs that are in it: queues that keep to addresses of their own need
    /// not look at each other's jobs.
    hull: Option<IovaRange>,
    /// How many jobs were ever queued, and how many of them have left.
    pub(crate) submitted: u64,
    pub(crate) left: u64,
    pub(crate) line: Timeline,
    /// Whether somebody can still submit to it.
    open: bool,
}

impl Lane {
    fn new() -> Self {
        Self {
            id: QueueId::unique(),
            jobs: VecDeque::new(),
            hull: None,
            submitted: 0,
            left: 0,
            line: Timeline::new(),
            open: true,
        }
    }
}

/// # Invariants
///
/// Lanes are in the order of their names, the VM's own first. `owed` is what the queued jobs have
/// reserved.
pub(crate) struct Lanes<A: TableAllocator> {
    all: Vec<Lane>,
    /// Pages of jobs that were queued since the runner looked last.
    incoming: Option<Reservation<A>>,
    pub(crate) owed: u64,
    pub(crate) queued: usize,
    /// Which lane's turn it is.
    turn: usize,
    /// Whether a job has overtaken another one since the queues were empty.
    pub(crate) overtaken: bool,
}

impl<A: TableAllocator> Lanes<A> {
    /// The VM's own queue alone.
    pub(crate) fn new() -> Self {
        Self {
            all: alloc::vec![Lane::new()],
            incoming: None,
            owed: 0,
            queued: 0,
            turn: 0,
            overtaken: false,
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Lane> {
        self.all.iter()
    }

    /// A new queue.
    pub(crate) fn open(&mut self) -> (QueueId, Timeline) {
        let lane = Lane::new();
        let opened = (lane.id, lane.line.clone());
        // INVARIANT: names ascend.
        self.all.push(lane);
        opened
    }

    /// Nobody will submit to a queue any more; its jobs run nevertheless.
    pub(crate) fn close(&mut self, id: QueueId) {
        if let Some(index) = self.index_of(id) {
            if let Some(lane) = self.all.get_mut(index) {
                lane.open = false;
            }
            self.remove_if_over(index);
        }
    }

    fn remove_if_over(&mut self, index: usize) {
        if self.all.get(index).is_some_and(|lane| !lane.open && lane.jobs.is_empty()) {
            self.all.remove(index);
        }
    }

    /// Where a queue is; the VM's own if none is named.
    pub(crate) fn find(&self, id: Option<QueueId>) -> Option<usize> {
        match id {
            None => Some(0),
            Some(id) => {
                self.index_of(id).filter(|&index| self.all.get(index).is_some_and(|one| one.open))
            }
        }
    }

    fn index_of(&self, id: QueueId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |lane| lane.id).ok()
    }

    /// The line of the VM's own queue.
    pub(crate) fn own_line(&self) -> Timeline {
        self.all.first().map_or_else(Timeline::new, |lane| lane.line.clone())
    }

    /// Queues `job`, the latest of all, behind those that it may not overtake, and says what its
    /// point on the queue's line is.
    pub(crate) fn push(&mut self, index: usize, mut job: Job) -> Option<Point> {
        for (other, lane) in self.all.iter().enumerate() {
            let hulls = lane.hull.zip(job.reach.hull());
            let meets = hulls.is_some_and(|(one, other)| one.intersection(other).is_some());
            if other == index || !meets {
                continue;
            }
            let met = lane.jobs.iter().rfind(|earlier| earlier.reach.overlaps(&job.reach));
            if let Some(met) = met {
                job.blockers.push(Blocker { queue: lane.id, place: met.place });
            }
        }
        let lane = self.all.get_mut(index)?;
        self.owed += job.missing;
        self.queued += 1;
        lane.submitted += 1;
        lane.hull = match (lane.hull, job.reach.hull()) {
            (Some(one), Some(other)) => Some(one.hull(other)),
            (one, other) => one.or(other),
        };
        let done = lane.line.point(lane.submitted);
        (job.queue, job.place) = (lane.id, lane.submitted);
        job.signals.push(done.clone());
        lane.jobs.push_back(job);
        Some(done)
    }

    /// Takes a job's pages in.
    pub(crate) fn supply(&mut self, pages: Reservation<A>) {
        match &mut self.incoming {
            // Both are this VM's; were they not, dropping the pages would give them back.
            Some(incoming) => drop(incoming.merge(pages)),
            None => self.incoming = Some(pages),
        }
    }

    /// The pages that came since the last time.
    pub(crate) fn take_incoming(&mut self) -> Option<Reservation<A>> {
        self.incoming.take()
    }

    /// The next job that may run, taken off its queue; `waker` is woken when an in-point of one
    /// that might be next is reached. Queues take turns.
    pub(crate) fn next_ready(&mut self, waker: &Waker) -> Option<Job> {
        for step in 0..self.all.len() {
            let index = (self.turn + step) % self.all.len();
            if self.is_ready(index, waker) {
                let job = self.pop(index);
                if let Some(job) = &job {
                    let overtakes = |lane: &Lane| {
                        lane.jobs.front().is_some_and(|earlier| earlier.number < job.number)
                    };
                    self.overtaken |= self.all.iter().any(overtakes);
                }
                return job;
            }
        }
        None
    }

    /// Any job, ready or not.
    pub(crate) fn next_any(&mut self) -> Option<Job> {
        let index = self.all.iter().position(|lane| !lane.jobs.is_empty())?;
        self.pop(index)
    }

    fn is_ready(&mut self, index: usize, waker: &Waker) -> bool {
        // What is over need not be looked at again.
        while let Some(&blocker) = self.front(index).and_then(|job| job.blockers.last()) {
            let is_over = match self.index_of(blocker.queue) {
                Some(other) => self.all.get(other).is_none_or(|one| one.left >= blocker.place),
                None => true,
            };
            if !is_over {
                return false;
            }
            if let Some(job) = self.all.get_mut(index).and_then(|lane| lane.jobs.front_mut()) {
                job.blockers.pop();
            }
        }
        self.front(index).is_some_and(|job| job.waits.iter().all(|wait| wait.is_over(waker)))
    }

    fn front(&self, index: usize) -> Option<&Job> {
        self.all.get(index)?.jobs.front()
    }

    fn pop(&mut self, index: usize) -> Option<Job> {
        let lane = self.all.get_mut(index)?;
        let job = lane.jobs.pop_front()?;
        if lane.jobs.is_empty() {
            lane.hull = None;
        }
        self.owed -= job.missing;
        self.queued -= 1;
        self.turn = index + 1;
        Some(job)
    }

    /// Notes that a job has run, or never will.
    pub(crate) fn over(&mut self, queue: QueueId) {
        if let Some(index) = self.index_of(queue) {
            if let Some(lane) = self.all.get_mut(index) {
                lane.left += 1;
            }
            self.remove_if_over(index);
        }
        if self.queued == 0 {
            self.overtaken = false;
        }
    }
}
