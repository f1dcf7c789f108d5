//! What the `log` crate hears of, where the feature `log` is on. Nothing is said in the section
//! that fences wait for.

#[cfg(feature = "log")]
mod imp {
    use core::fmt::Display;

    use crate::ban::Ban;
    use crate::job::Job;

    pub(crate) fn submitted(jobs: usize, tables: u64) {
        log::debug!(target: "gpuvm", "submitted {jobs} jobs, which reserve {tables} tables");
    }

    pub(crate) fn ran(job: &Job, installed: usize, freed: usize) {
        log::debug!(
            target: "gpuvm",
            "ran job {} of queue {}: {} operations, {installed} tables installed, {freed} freed",
            job.number,
            job.queue,
            job.ops,
        );
    }

    pub(crate) fn banned<E: Display>(ban: impl FnOnce() -> Option<Ban<E>>) {
        if let Some(ban) = ban() {
            log::error!(target: "gpuvm", "{ban}");
        }
    }
}

#[cfg(not(feature = "log"))]
mod imp {
    use crate::ban::Ban;
    use crate::job::Job;

    pub(crate) const fn submitted(_: usize, _: u64) {}
    pub(crate) const fn ran(_: &Job, _: usize, _: usize) {}
    pub(crate) fn banned<E>(_: impl FnOnce() -> Option<Ban<E>>) {}
}

pub(crate) use imp::{banned, ran, submitted};
