//! The queued jobs of a VM: in order within a queue, and across queues where they would meet.
//!
//! A job must run after those before it in its queue, and after every earlier one whose reach
//! (see [`Reach`](crate::reach::Reach)) overlaps its own. It is enough that it waits for the latest
//! one at each address (see [`Latest`]), and, as queues are in order, for the last such one of each
//! queue.
//!
//! The pages of all queued jobs are one pool. The tables are a function of the mappings, and the
//! reservations are exact, so the queued jobs hold one page for every table that will be missing,
//! until it is installed: a job that overtakes takes the page that an earlier one has brought for
//! a table which both need, and the earlier one will find that table.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;

use iopgtable::{IovaRange, Reservation, TableAllocator};

use crate::backing::Backing;
use crate::job::{Job, Jobs, Room};
use crate::latest::Latest;
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
    pub(crate) jobs: VecDeque<Box<Job>>,
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
/// reserved. While there are several lanes, `latest` knows every queued job; those that are over may
/// be in it, too.
pub(crate) struct Lanes<A: TableAllocator> {
    all: Vec<Lane>,
    latest: Latest<Blocker>,
    /// With how many pieces it is looked through for those of jobs that are over.
    full: usize,
    /// Pages of jobs that were queued since the runner looked last.
    incoming: Reservation<A>,
    /// A larger room for a job that was queued since then, and how many steps have room.
    room: Option<Room>,
    steps: usize,
    /// Jobs that have run, to be used again.
    pub(crate) idle: Jobs,
    pub(crate) owed: u64,
    pub(crate) queued: usize,
    /// Which lane's turn it is.
    turn: usize,
    /// Whether a job has overtaken another one since the queues were empty.
    pub(crate) overtaken: bool,
}

/// How many jobs that have run are kept to be used again.
const IDLE: usize = 8;
/// The least of `Lanes::full`.
const FULL: usize = 64;

impl<A: TableAllocator> Lanes<A> {
    /// The VM's own queue alone. `nothing` is a reservation of no pages.
    pub(crate) fn new(nothing: Reservation<A>) -> Self {
        Self {
            all: alloc::vec![Lane::new()],
            latest: Latest::new(),
            full: FULL,
            incoming: nothing,
            room: None,
            steps: 0,
            idle: Vec::with_capacity(IDLE),
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
        if let [own] = self.all.as_slice() {
            // INVARIANT: what was queued while nobody could overtake it is entered now.
            self.latest.clear();
            for job in &own.jobs {
                let whose = Blocker { queue: own.id, place: job.place };
                job.reach.parts().iter().for_each(|part| self.latest.give(*part, whose, |_| {}));
            }
        }
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
        index_of(&self.all, id)
    }

    /// The line of the VM's own queue.
    pub(crate) fn own_line(&self) -> Timeline {
        self.all.first().map_or_else(Timeline::new, |lane| lane.line.clone())
    }

    /// Queues `job`, the latest of all, behind those that it may not overtake, and says what its
    /// point on the queue's line is.
    pub(crate) fn push(&mut self, index: usize, mut job: Box<Job>) -> Option<Point> {
        if self.all.len() > 1 {
            self.block(index, &mut job);
        }
        let lane = self.all.get_mut(index)?;
        self.owed += job.missing;
        self.queued += 1;
        lane.submitted += 1;
        (job.queue, job.place) = (lane.id, lane.submitted);
        job.line = Some(lane.line.clone());
        if job.steps.len() > self.steps {
            self.steps = job.steps.len().next_power_of_two();
            self.room = Some(Room::new(self.steps));
        }
        lane.jobs.push_back(job);
        Some(lane.line.point(lane.submitted))
    }

    /// Has `job` wait for the last one of each other queue that it meets.
    fn block(&mut self, index: usize, job: &mut Job) {
        let Self { all, latest, full, queued, .. } = self;
        let Some(lane) = all.get(index) else { return };
        let whose = Blocker { queue: lane.id, place: lane.submitted + 1 };
        if *queued == 0 {
            latest.clear();
        } else if latest.len() > *full {
            latest.retain(|blocker| !is_over(all, blocker));
            *full = FULL.max(2 * latest.len());
        }
        let Job { reach, ties, .. } = job;
        for part in reach.parts() {
            latest.give(*part, whose, |met| {
                if met.queue == whose.queue || is_over(all, met) {
                    return;
                }
                let blockers = &mut ties.get_or_insert_default().blockers;
                match blockers.iter_mut().find(|one| one.queue == met.queue) {
                    Some(one) => one.place = one.place.max(met.place),
                    None => blockers.push(met),
                }
            });
        }
    }

    /// Where queued jobs are still to unmap `backing`.
    pub(crate) fn let_go(&self, backing: &Arc<Backing>, mut tell: impl FnMut(IovaRange)) {
        for job in self.all.iter().flat_map(|lane| &lane.jobs) {
            let gone = job.lets_go().filter(|(_, gone)| Arc::ptr_eq(gone, backing));
            gone.for_each(|(range, _)| tell(range));
        }
    }

    /// Takes the pages of jobs in.
    pub(crate) fn supply(&mut self, pages: &mut Reservation<A>) {
        // Both are this VM's.
        let _ = self.incoming.take_all(pages);
    }

    /// Hands out the pages that came since the last time, and a larger room if one was made.
    pub(crate) fn hand_over(&mut self, pool: &mut Reservation<A>, room: &mut Room) {
        // Both are this VM's.
        let _ = pool.take_all(&mut self.incoming);
        if let Some(larger) = self.room.take() {
            *room = larger;
        }
    }

    /// The next job that may run, taken off its queue; `waker` is woken when an in-point of one
    /// that might be next is reached. Queues take turns.
    pub(crate) fn next_ready(&mut self, waker: &Waker) -> Option<Box<Job>> {
        for step in 0..self.all.len() {
            let index = (self.turn + step) % self.all.len();
            if self.is_ready(index, waker) {
                let job = self.pop(index)?;
                let overtakes = |lane: &Lane| {
                    lane.jobs.front().is_some_and(|earlier| earlier.number < job.number)
                };
                self.overtaken |= self.all.iter().any(overtakes);
                return Some(job);
            }
        }
        None
    }

    /// Any job, ready or not.
    pub(crate) fn next_any(&mut self) -> Option<Box<Job>> {
        let index = self.all.iter().position(|lane| !lane.jobs.is_empty())?;
        self.pop(index)
    }

    fn is_ready(&mut self, index: usize, waker: &Waker) -> bool {
        let front =
            |all: &[Lane]| Some(*all.get(index)?.jobs.front()?.ties.as_ref()?.blockers.last()?);
        // What is over need not be looked at again.
        while let Some(blocker) = front(&self.all) {
            if !is_over(&self.all, blocker) {
                return false;
            }
            let job = self.all.get_mut(index).and_then(|lane| lane.jobs.front_mut());
            if let Some(ties) = job.and_then(|job| job.ties.as_mut()) {
                ties.blockers.pop();
            }
        }
        let Some(job) = self.all.get_mut(index).and_then(|lane| lane.jobs.front_mut()) else {
            return false;
        };
        job.ties.as_mut().is_none_or(|ties| ties.waits.iter_mut().all(|wait| wait.is_over(waker)))
    }

    fn pop(&mut self, index: usize) -> Option<Box<Job>> {
        let job = self.all.get_mut(index)?.jobs.pop_front()?;
        self.owed -= job.missing;
        self.queued -= 1;
        self.turn = index + 1;
        Some(job)
    }

    /// Notes that a job of `queue` has run, or never will. If it is not needed any more, it may be
    /// used again.
    pub(crate) fn over(&mut self, queue: QueueId, job: Option<Box<Job>>) {
        if let Some(index) = self.index_of(queue) {
            if let Some(lane) = self.all.get_mut(index) {
                lane.left += 1;
            }
            self.remove_if_over(index);
        }
        if self.queued == 0 {
            self.overtaken = false;
        }
        if self.idle.len() < IDLE {
            self.idle.extend(job);
        }
    }
}

fn index_of(all: &[Lane], id: QueueId) -> Option<usize> {
    all.binary_search_by_key(&id, |lane| lane.id).ok()
}

/// Whether a job has run; a queue that is gone has none left.
fn is_over(all: &[Lane], job: Blocker) -> bool {
    let lane = index_of(all, job.queue).and_then(|index| all.get(index));
    lane.is_none_or(|lane| lane.left >= job.place)
}
