//! Runs the jobs of a VM, one after the other.

use alloc::boxed::Box;
use core::task::{Poll, Waker};

use iopgtable::{Format, TableAllocator};

use crate::ban::Ban;
use crate::device::Device;
use crate::events;
use crate::job::{Job, Stop};
use crate::record::Outcome;
use crate::timeline::FenceError;
use crate::vm::{Inner, Live};
use core::sync::atomic::Ordering;

impl<F: Format, A: TableAllocator, D: Device> Inner<F, A, D> {
    pub(crate) fn is_banned(&self) -> bool {
        self.banned.load(Ordering::Acquire)
    }

    /// Makes `waker`'s owner the runner, and runs what is ready.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<()> {
        self.doorbell.set_runner(waker);
        if self.run() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Runs jobs until none is left or none is ready, and says how many are left; the doorbell rings
    /// when one may be ready.
    pub(crate) fn run(&self) -> usize {
        let mut live = self.live.lock();
        // Only who holds the live table bans the VM.
        let mut is_banned = self.is_banned();
        let mut over: Option<(_, Option<Box<Job>>)> = None;
        loop {
            let job = {
                let mut lanes = self.lanes.lock();
                let Live { pool, room, .. } = &mut *live;
                lanes.hand_over(pool, room);
                if let Some((queue, job)) = over.take() {
                    let (held, owed) = (live.pool.remaining() as u64, lanes.owed);
                    let is_less = lanes.overtaken && lanes.queued > 0 && held < owed;
                    debug_assert!(
                        is_banned || held == owed || is_less,
                        "the plan is exact: {held} pages held, {owed} owed"
                    );
                    lanes.over(queue, job);
                }
                // A banned VM's jobs will not run, whatever they wait for.
                let next = if is_banned { lanes.next_any() } else { lanes.next_ready(&self.ring) };
                match next {
                    Some(job) => job,
                    None if lanes.queued == 0 => break,
                    None => return lanes.queued,
                }
            };
            let (queue, mut job) = (job.queue, job);
            if is_banned {
                self.drop_job(&mut job);
            } else {
                is_banned = self.run_job(&mut live, &mut job);
            }
            let again = if is_banned {
                // What it was to unmap is still mapped, or not forgotten.
                job.next = live.stopped.take();
                live.stopped = Some(job);
                None
            } else {
                job.clear();
                Some(job)
            };
            over = Some((queue, again));
        }
        let left = live.pool.free();
        if left > 0 {
            self.counters.returned(left);
            self.freed_some();
        }
        0
    }

    /// Memory went back where it came from.
    #[cfg_attr(not(feature = "std"), expect(clippy::unused_self, reason = "nobody sleeps"))]
    pub(crate) fn freed_some(&self) {
        #[cfg(feature = "std")]
        self.relief.notify();
    }

    fn drop_job(&self, job: &mut Job) {
        job.land();
        job.signal(Err(FenceError::VmBanned));
        self.record.lock().note(job, |_| Outcome::Dropped);
    }

    /// Runs a job; says whether that has banned the VM.
    fn run_job(&self, live: &mut Live<F, A, D>, job: &mut Job) -> bool {
        let reserved = live.pool.remaining();
        let outcome = Self::apply(live, job);
        let stopped_at = outcome.as_ref().err().map(Stop::step);
        if let Err(stop) = outcome {
            let ban = Ban::new(job.number, stop);
            *self.ban.lock() = Some(ban);
            self.banned.store(true, Ordering::Release);
        }
        let is_good = stopped_at.is_none();
        job.signal(if is_good { Ok(()) } else { Err(FenceError::VmBanned) });
        // From here on nobody waits: the loose tables and the references go.
        let installed = reserved - live.pool.remaining();
        let Live { table, room, .. } = live;
        let freed: usize =
            room.forgotten.drain(..).map(|loose| self.spare.free(table, loose)).sum();
        debug_assert!(
            !is_good || freed as u64 == job.freed,
            "the plan is exact: {freed} tables came loose, {} planned",
            job.freed
        );
        for (_, unforgotten) in room.gathers.drain(..) {
            table.quarantine(unforgotten);
        }
        self.counters.ran(installed, freed);
        if freed > 0 {
            self.freed_some();
        }
        job.land();
        self.record.lock().note(job, |op| match stopped_at {
            None => Outcome::Ran,
            Some(step) if step == Some(op) => Outcome::Failed,
            Some(_) => Outcome::Stopped,
        });
        if is_good {
            events::ran(job, installed, freed);
        } else {
            events::banned(|| self.ban.lock().clone());
        }
        !is_good
    }

    /// The section that the job's fences wait for.
    fn apply(live: &mut Live<F, A, D>, job: &Job) -> Result<(), Stop<D::Error>> {
        let Live { table, device, pool, room, .. } = live;
        let Some(footprint) = job.footprint else { return Ok(()) };
        let silent = |error| Stop::Device { step: None, error };
        device.begin(job.number, footprint).map_err(silent)?;
        if let Some(mut table) = table.reserved(pool) {
            room.run::<F, A, D>(&job.steps, &mut table)?;
        }
        room.invalidate(device)?;
        device.end(job.number).map_err(silent)
    }
}
