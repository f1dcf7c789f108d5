//! Runs the jobs of a VM, one after the other.

use core::task::{Poll, Waker};

use iopgtable::{Format, TableAllocator};

use crate::ban::Ban;
use crate::device::Device;
use crate::job::{Job, Stop};
use crate::timeline::{FenceError, Point};
use crate::vm::{Inner, Live};

impl<F: Format, A: TableAllocator, D: Device> Inner<F, A, D> {
    /// Makes `waker`'s owner the runner, and runs what is ready.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<()> {
        {
            let mut queue = self.queue.lock();
            if !queue.runner.as_ref().is_some_and(|runner| runner.will_wake(waker)) {
                queue.runner = Some(waker.clone());
            }
        }
        self.run(Some(waker))
    }

    /// Runs jobs until there is none left or the next one waits for a point, which then wakes
    /// `waker`.
    pub(crate) fn run(&self, waker: Option<&Waker>) -> Poll<()> {
        let mut live = self.live.lock();
        loop {
            let banned = self.ban.lock().is_some();
            let job = {
                let mut queue = self.queue.lock();
                let Some(next) = queue.jobs.front() else { return Poll::Ready(()) };
                let reached = |point: &Point| match waker {
                    Some(waker) => point.poll(waker).is_some(),
                    None => point.state().is_some(),
                };
                // A banned VM's jobs will not run, whatever they wait for.
                if !banned && !next.waits.iter().all(reached) {
                    return Poll::Pending;
                }
                queue.jobs.pop_front()
            };
            match job {
                Some(mut job) if banned => {
                    self.counters.dropped(job.reservation.remaining());
                    job.signal(Err(FenceError::VmBanned));
                }
                Some(job) => self.run_job(&mut live, job),
                None => {}
            }
        }
    }

    fn run_job(&self, live: &mut Live<F, A, D>, mut job: Job<A>) {
        let reserved = job.reservation.remaining();
        let outcome = Self::apply(live, &mut job);
        let left = job.reservation.remaining();
        debug_assert!(outcome.is_err() || left == 0, "the plan is exact");
        let good = outcome.is_ok();
        if let Err(stop) = outcome {
            *self.ban.lock() = Some(Ban::new(job.number, stop));
        }
        job.signal(if good { Ok(()) } else { Err(FenceError::VmBanned) });
        // From here on nobody waits: the loose tables and the references go.
        let freed: usize = job.forgotten.drain(..).map(|loose| live.table.free(loose)).sum();
        debug_assert!(
            !good || freed as u64 == job.freed.total(),
            "the plan is exact: {freed} tables came loose, {:?} planned",
            job.freed
        );
        for unforgotten in job.gathers.drain(..) {
            live.table.quarantine(unforgotten);
        }
        self.counters.ran(reserved - left, left, freed);
    }

    /// The section that the job's fences wait for.
    fn apply(live: &mut Live<F, A, D>, job: &mut Job<A>) -> Result<(), Stop<D::Error>> {
        let Some(footprint) = job.footprint else { return Ok(()) };
        live.device.begin(job.number, footprint).map_err(Stop::Device)?;
        if let Some(mut table) = live.table.reserved(&mut job.reservation) {
            Job::run::<F, D>(&job.steps, &mut table, &mut job.gathers)?;
        }
        Job::<A>::invalidate(&mut job.gathers, &mut job.forgotten, &mut live.device)?;
        live.device.end(job.number).map_err(Stop::Device)
    }
}
