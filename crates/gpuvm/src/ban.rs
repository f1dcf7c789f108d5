//! Why a VM accepts no more jobs.

use core::fmt;

use iopgtable::{Iova, TableError};

use crate::job::Stop;

/// Why a VM accepts no more jobs: an earlier one stopped in the middle. What is mapped can still
/// be torn down ([`Vm::teardown`](crate::Vm::teardown)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ban<E> {
    /// The job's number in the VM.
    pub job: u64,
    /// The operation that stopped, or that the device did not forget; none where the device failed
    /// at the beginning or the end of the job.
    pub op: Option<usize>,
    /// What happened.
    pub reason: BanReason<E>,
}

/// What banned a VM.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BanReason<E> {
    /// The device reported an error: it could not be locked, made to forget, or unlocked.
    Device(E),
    /// A reservation did not suffice at this address. This is a bug in `gpuvm`.
    Exhausted(Iova),
    /// The table refused what the plan had accepted. This is a bug in `gpuvm`.
    Refused(TableError),
}

impl<E> Ban<E> {
    pub(crate) fn new(job: u64, stop: Stop<E>) -> Self {
        let op = stop.step();
        let reason = match stop {
            Stop::Device { error, .. } => BanReason::Device(error),
            Stop::Refused { error, .. } => BanReason::Refused(error),
            Stop::Exhausted { at, .. } => BanReason::Exhausted(at),
        };
        Self { job, op, reason }
    }
}

impl<E: fmt::Display> fmt::Display for Ban<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "banned by job {}", self.job)?;
        if let Some(op) = self.op {
            write!(f, ", operation {op}")?;
        }
        match &self.reason {
            BanReason::Device(error) => write!(f, ": {error}"),
            BanReason::Exhausted(at) => write!(f, ": no reserved page left at {at}"),
            BanReason::Refused(error) => write!(f, ": {error}"),
        }
    }
}
