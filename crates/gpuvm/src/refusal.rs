//! Why a submission was refused.

use core::fmt;

use iopgtable::{AllocError, PhysAddr, TableError};

use crate::draft::Blame;
#[cfg(feature = "std")]
use crate::timeline::FenceError;

/// Why a submission was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmitError {
    /// Which job of a list is to blame, counted from 0; none where no list was submitted.
    pub job: Option<usize>,
    /// Which operation is to blame, counted from 0; none where it is not an operation.
    pub op: Option<usize>,
    /// What is wrong.
    pub reason: SubmitReason,
}

/// What is wrong with a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitReason {
    /// The VM is banned.
    Banned,
    /// The range or the protection is not one that the tables can have.
    Argument(TableError),
    /// The offset, or a segment of the backing, is not aligned to the granule.
    BackingAlignment {
        /// The offset.
        offset: u64,
        /// The granule in bytes.
        granule: u64,
    },
    /// The backing ends before the range does.
    BackingBounds {
        /// The offset.
        offset: u64,
        /// The range's length in bytes.
        bytes: u64,
        /// The backing's length in bytes.
        backing: u64,
    },
    /// The backing lies beyond what leaves of every size lead to: the output size, but for formats with
    /// [wide leaves](iopgtable::Geometry::wide_leaf).
    BackingReach {
        /// Its highest address.
        last: PhysAddr,
        /// The highest address that can be mapped.
        reach: PhysAddr,
    },
    /// What is to be restored is not evicted.
    NotEvicted,
    /// The backing to restore it with has another length, or only one of the two repeats.
    RestoreLength {
        /// The length of what is evicted, in bytes.
        old: u64,
        /// The length of what is to take its place, in bytes.
        new: u64,
    },
    /// There is no memory for the tables that it needs.
    Memory(AllocError),
    /// Queued jobs hold so much that this one must wait ([`InFlight`](crate::InFlight)). All
    /// amounts are in bytes.
    InFlight {
        /// The limit.
        limit: u64,
        /// What queued jobs held.
        used: u64,
        /// What this submission needs.
        need: u64,
    },
    /// The VM has no such queue (any more).
    UnknownQueue,
}

impl SubmitError {
    pub(crate) const fn in_list(blame: Blame) -> Self {
        let Blame { job, op, reason } = blame;
        // Nobody in particular is to blame for these.
        let job = match reason {
            SubmitReason::Banned | SubmitReason::InFlight { .. } => None,
            _ => Some(job),
        };
        Self { job, op, reason }
    }
}

impl From<TableError> for SubmitReason {
    fn from(error: TableError) -> Self {
        Self::Argument(error)
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.job, self.op) {
            (Some(job), Some(op)) => write!(f, "job {job}, operation {op}: ")?,
            (Some(job), None) => write!(f, "job {job}: ")?,
            (None, Some(op)) => write!(f, "operation {op}: ")?,
            (None, None) => {}
        }
        self.reason.fmt(f)
    }
}

impl fmt::Display for SubmitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Banned => f.write_str("the VM is banned"),
            Self::Argument(error) => error.fmt(f),
            Self::BackingAlignment { offset, granule } => write!(
                f,
                "offset {offset:#x} or a segment is not aligned to the granule of {granule:#x} bytes"
            ),
            Self::BackingBounds { offset, bytes, backing } => write!(
                f,
                "{bytes:#x} bytes from offset {offset:#x} of a backing of {backing:#x} bytes"
            ),
            Self::BackingReach { last, reach } => {
                write!(f, "the backing ends at {last}; what can be mapped ends at {reach}")
            }
            Self::NotEvicted => f.write_str("the backing is not evicted"),
            Self::RestoreLength { old, new } => write!(
                f,
                "a backing of {new:#x} bytes cannot take the place of one of {old:#x} bytes"
            ),
            Self::Memory(error) => error.fmt(f),
            Self::InFlight { limit, used, need } => write!(
                f,
                "{need} more bytes of queued jobs exceed {used} in flight of {limit} allowed"
            ),
            Self::UnknownQueue => f.write_str("the VM has no such queue"),
        }
    }
}

impl core::error::Error for SubmitError {}

/// Why a synchronous bind did not come about.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// It was refused; nothing has changed.
    Refused(SubmitError),
    /// Its job did not run.
    Failed(FenceError),
}

#[cfg(feature = "std")]
impl From<SubmitError> for BindError {
    fn from(error: SubmitError) -> Self {
        Self::Refused(error)
    }
}

#[cfg(feature = "std")]
impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

#[cfg(feature = "std")]
impl core::error::Error for BindError {}
