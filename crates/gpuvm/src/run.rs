//! Runs the jobs of a VM, one after the other.

use core::task::{Poll, Waker};

use iopgtable::{Format, TableAllocator};

use crate::ban::Ban;
use crate::device::Device;
use crate::events;
use crate::job::{Job, Stop};
use crate::record::Outcome;
use crate::timeline::FenceError;
use crate::vm::{Inner, Live};

impl<F: Format, A: TableAllocator, D: Device> Inner<F, A, D> {
    /// Makes `waker`'s owner the runner, and runs what is ready.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<()> {
        self.doorbell.set_runner(waker);
        self.run()
    }

    /// Runs jobs until none is left or none is ready; the doorbell rings when one may be.
    pub(crate) fn run(&self) -> Poll<()> {
        let mut live = self.live.lock();
        // Only who holds the live table bans the VM.
        let mut is_banned = self.ban.lock().is_some();
        let mut over = None;
        loop {
            let job = {
                let mut lanes = self.lanes.lock();
                if let Some(pages) = lanes.take_incoming() {
                    // Both are this VM's; were they not, dropping the pages would give them back.
                    drop(live.pool.merge(pages));
                }
                if let Some(queue) = over.take() {
                    let (held, owed) = (live.pool.remaining() as u64, lanes.owed);
                    let is_less = lanes.overtaken && lanes.queued > 0 && held < owed;
                    debug_assert!(
                        is_banned || held == owed || is_less,
                        "the plan is exact: {held} pages held, {owed} owed"
                    );
                    lanes.over(queue);
                }
                // A banned VM's jobs will not run, whatever they wait for.
                let next = if is_banned { lanes.next_any() } else { lanes.next_ready(&self.ring) };
                match next {
                    Some(job) => job,
                    None if lanes.queued == 0 => break,
                    None => return Poll::Pending,
                }
            };
            over = Some(job.queue);
            if is_banned {
                self.drop_job(job);
            } else {
                is_banned = self.run_job(&mut live, job);
            }
        }
        self.counters.returned(live.pool.free());
        Poll::Ready(())
    }

    fn drop_job(&self, mut job: Job) {
        job.land();
        job.signal(Err(FenceError::VmBanned));
        self.record.lock().note(&job, |_| Outcome::Dropped);
    }

    /// Runs a job; says whether that has banned the VM.
    fn run_job(&self, live: &mut Live<F, A, D>, mut job: Job) -> bool {
        let reserved = live.pool.remaining();
        let outcome = Self::apply(live, &mut job);
        let stopped_at = outcome.as_ref().err().map(Stop::step);
        if let Err(stop) = outcome {
            let ban = Ban::new(job.number, stop);
            *self.ban.lock() = Some(ban);
        }
        let is_good = stopped_at.is_none();
        job.signal(if is_good { Ok(()) } else { Err(FenceError::VmBanned) });
        // From here on nobody waits: the loose tables and the references go.
        let installed = reserved - live.pool.remaining();
        let freed: usize =
            job.forgotten.drain(..).map(|loose| self.spare.free(&live.table, loose)).sum();
        debug_assert!(
            !is_good || freed as u64 == job.freed,
            "the plan is exact: {freed} tables came loose, {} planned",
            job.freed
        );
        for (_, unforgotten) in job.gathers.drain(..) {
            live.table.quarantine(unforgotten);
        }
        self.counters.ran(installed, freed);
        job.land();
        self.record.lock().note(&job, |op| match stopped_at {
            None => Outcome::Ran,
            Some(step) if step == Some(op) => Outcome::Failed,
            Some(_) => Outcome::Stopped,
        });
        if is_good {
            events::ran(&job, installed, freed);
        } else {
            events::banned(|| self.ban.lock().clone());
        }
        !is_good
    }

    /// The section that the job's fences wait for.
    fn apply(live: &mut Live<F, A, D>, job: &mut Job) -> Result<(), Stop<D::Error>> {
        let Live { table, device, pool } = live;
        let Some(footprint) = job.footprint else { return Ok(()) };
        let silent = |error| Stop::Device { step: None, error };
        device.begin(job.number, footprint).map_err(silent)?;
        if let Some(mut table) = table.reserved(pool) {
            Job::run::<F, A, D>(&job.steps, &mut table, &mut job.gathers)?;
        }
        Job::invalidate(&mut job.gathers, &mut job.forgotten, device)?;
        device.end(job.number).map_err(silent)
    }
}
