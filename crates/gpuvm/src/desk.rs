//! What is on its way into the plan and the queues: how it can be taken back, and what it needs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use iopgtable::{Geometry, Iova, IovaRange, TableAllocator, TableCount};

use crate::backing::Backing;
use crate::job::{Job, Jobs, Step, push};
use crate::plan::Delta;
use crate::space::{Change, Mapping, Placed, Transition};
use crate::vm::Planned;

/// What a draft needs besides what it makes. Empty between drafts.
#[derive(Default)]
pub(crate) struct Desk {
    done: Vec<Done>,
    transitions: Vec<Transition>,
    pub(crate) needs: Vec<Need>,
    /// The job that operations are added to, if there are steps, and what it reaches.
    job: Option<Box<Job>>,
    pub(crate) reach: Vec<IovaRange>,
    pub(crate) jobs: Jobs,
    /// Jobs that have run, to be used again.
    pub(crate) idle: Jobs,
    pub(crate) missing: TableCount,
    pub(crate) freed: TableCount,
}

/// What has been done to the plan, and can be taken back.
enum Done {
    /// By the last of the transitions.
    Changed,
    /// A map has filled the gap from there on.
    Filled(Iova),
    /// Whether this backing was evicted before.
    Marked(Arc<Backing>, bool),
}

impl Desk {
    /// Notes what `transition`, which the plan has made, can be taken back by.
    pub(crate) fn change(&mut self, transition: Transition) {
        self.transitions.push(transition);
        self.done.push(Done::Changed);
    }

    /// Notes that a map has filled the gap from `first` on.
    pub(crate) fn fill(&mut self, first: Iova) {
        push(&mut self.done, Done::Filled(first));
    }

    /// Notes whether `backing` was evicted before.
    pub(crate) fn mark(&mut self, backing: Arc<Backing>, was: bool) {
        self.done.push(Done::Marked(backing, was));
    }

    /// Notes what is in the way of overtaking.
    pub(crate) fn reach(&mut self, reach: IovaRange) {
        if self.reach.last().is_none_or(|last| !last.covers(reach)) {
            push(&mut self.reach, reach);
        }
    }

    /// The steps of the job that operations are added to.
    pub(crate) fn steps(&mut self) -> &mut Vec<Step> {
        let Self { job, idle, .. } = self;
        &mut job.get_or_insert_with(|| next_job(idle)).steps
    }

    /// That job: it has no more operations.
    pub(crate) fn take_job(&mut self) -> Box<Job> {
        self.job.take().unwrap_or_else(|| next_job(&mut self.idle))
    }
}

fn next_job(idle: &mut Jobs) -> Box<Job> {
    idle.pop().unwrap_or_else(|| Box::new(Job::new()))
}

/// The tables that a transition will find missing.
pub(crate) struct Need {
    pub(crate) job: usize,
    pub(crate) op: usize,
    pub(crate) first: Iova,
    pub(crate) missing: TableCount,
    pub(crate) is_unmap: bool,
}

impl<A: TableAllocator> Planned<A> {
    /// What a map that has just filled a gap with `new` does to the tables, found the long way.
    pub(crate) fn delta_of_map(&mut self, geometry: &Geometry, new: &Mapping) -> Delta {
        let Self { space, planner, .. } = self;
        let transition = Transition {
            change: Change::Map,
            range: new.range,
            removed: Vec::new(),
            left: None,
            right: None,
            inserted: Vec::from([Placed::present(new.clone())]),
        };
        planner.delta(geometry, space, &transition)
    }

    /// All that is on the desk is done; the jobs are for the caller to take.
    pub(crate) fn settle(&mut self) {
        let Self { space, desk, added, gone, .. } = self;
        desk.done.clear();
        desk.transitions.drain(..).for_each(|transition| space.settle(transition));
        desk.needs.clear();
        *added += core::mem::take(&mut desk.missing);
        *gone += core::mem::take(&mut desk.freed);
    }

    /// Takes back what is on the desk, the latest first.
    pub(crate) fn take_back(&mut self) {
        let Self { space, desk, pages, .. } = self;
        pages.free();
        for done in desk.done.drain(..).rev() {
            match done {
                Done::Changed => desk.transitions.pop().into_iter().for_each(|one| space.undo(one)),
                Done::Filled(first) => space.empty(first),
                Done::Marked(backing, was) => {
                    space.set_evicted(&backing, was);
                }
            }
        }
        desk.needs.clear();
        if let Some(mut job) = desk.job.take() {
            job.clear();
            desk.idle.push(job);
        }
        desk.reach.clear();
        (desk.missing, desk.freed) = (TableCount::ZERO, TableCount::ZERO);
        // What they would have signalled is the caller's again.
        desk.jobs.drain(..).for_each(|mut job| job.clear());
    }
}
