//! What an operation refuses, with the values that it refuses.

use core::fmt;

use crate::addr::{Iova, IovaRange, Segment};
use crate::format::ConfigError;
use crate::gather::Gather;
use crate::memory::AllocError;
use crate::prot::{Prot, ProtError};

/// Why [`PageTable::new`](crate::PageTable::new) made no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateError {
    /// The format cannot be configured so.
    Config(ConfigError),
    /// There is no memory for the root.
    Alloc(AllocError),
}

/// Why an operation was refused; the table is as it was before (but for [`Raced`](Self::Raced)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// The range does not start and end on a multiple of the granule.
    UnalignedRange {
        /// The range.
        range: IovaRange,
        /// The granule in bytes.
        granule: u64,
    },
    /// The range lies outside of what the table translates.
    InputRange {
        /// The range.
        range: IovaRange,
        /// What the table translates.
        whole: IovaRange,
    },
    /// The hole does not cover the range.
    Hole {
        /// The range.
        range: IovaRange,
        /// The hole.
        hole: IovaRange,
    },
    /// A segment is empty, or does not start and end on a multiple of the granule.
    UnalignedSegment {
        /// The segment.
        segment: Segment,
        /// The granule in bytes.
        granule: u64,
    },
    /// A segment does not lie below 2^output bits.
    OutputRange {
        /// The segment.
        segment: Segment,
        /// The output size in bits: the configuration's, or that of the leaves which the segment
        /// would take, where only [wide ones](crate::Geometry::wide_leaf) lead farther.
        output_bits: u8,
    },
    /// The segments are not as long as the range.
    SegmentsLength {
        /// The bytes of the range.
        range: u64,
        /// The bytes of the segments, or of as many as were looked at when they were too many.
        segments: u64,
    },
    /// The format cannot express the permissions.
    Prot {
        /// The permissions.
        prot: Prot,
        /// Why not.
        reason: ProtError,
    },
    /// Something is mapped in the range.
    Overlap {
        /// The first address in the range that is mapped.
        iova: Iova,
        /// The bytes of the leaf that maps it.
        leaf: u64,
    },
    /// The operation would cut a leaf, or a group of leaves with the contiguous hint, and
    /// [`Splits::Forbidden`](crate::Splits::Forbidden) stands against it, or the leaf leads to where
    /// none that is smaller does ([`Geometry::wide_leaf`](crate::Geometry::wide_leaf)).
    Split {
        /// What the leaf, or the group, translates.
        block: IovaRange,
    },
    /// Hardware does not note writes:
    /// [`Options::HARDWARE_DIRTY`](crate::Options::HARDWARE_DIRTY) is not set.
    NoDirtyState,
    /// The bitmap is too short for the range.
    Bitmap {
        /// How many words of 64 bits it takes.
        needed: u64,
        /// How many there are.
        given: usize,
    },
    /// Another thread changed the same range of a [`SharedPageTable`](crate::SharedPageTable) at
    /// the same time, against its contract. The only refusal that comes late: parts of the range
    /// are done, also beyond `iova`.
    Raced {
        /// Where that was noticed first.
        iova: Iova,
    },
    /// There is no memory for a table.
    Alloc(AllocError),
}

/// Why an operation on a [`Reserved`](crate::Reserved) table stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReservedError {
    /// An argument was refused; the table is as it was before.
    Refused(TableError),
    /// The reservation did not have the pages that the operation took: it was made for another
    /// state of the table. What lies below `at` is done, the rest is not.
    Exhausted {
        /// Where a table was wanted.
        at: Iova,
        /// What the part that is done has made stale.
        gather: Gather,
    },
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Alloc(error) => write!(f, "no root table: {error}"),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnalignedRange { range, granule } => {
                write!(f, "range {range} is not aligned to the granule of {granule:#x} bytes")
            }
            Self::InputRange { range, whole } => {
                write!(f, "range {range} does not lie in {whole}, which is translated")
            }
            Self::Hole { range, hole } => write!(f, "hole {hole} does not cover range {range}"),
            Self::UnalignedSegment { segment, granule } => write!(
                f,
                "segment of {:#x} bytes at {} is empty or not aligned to the granule of \
                 {granule:#x} bytes",
                segment.bytes, segment.phys
            ),
            Self::OutputRange { segment, output_bits } => write!(
                f,
                "segment of {:#x} bytes at {} does not fit into {output_bits} output bits",
                segment.bytes, segment.phys
            ),
            Self::SegmentsLength { range, segments } => {
                write!(f, "segments of {segments:#x} bytes for a range of {range:#x}")
            }
            Self::Prot { prot, reason } => write!(f, "protection {prot:?}: {reason}"),
            Self::Overlap { iova, leaf } => {
                write!(f, "{iova} is mapped already, by a leaf of {leaf:#x} bytes")
            }
            Self::Split { block } => {
                write!(f, "{block} is one block, which must not be split")
            }
            Self::NoDirtyState => {
                f.write_str("the table is not configured for hardware dirty state")
            }
            Self::Bitmap { needed, given } => {
                write!(f, "a bitmap of {given} words for a range that takes {needed}")
            }
            Self::Raced { iova } => {
                write!(f, "another thread changed the same range at the same time, at {iova}")
            }
            Self::Alloc(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for ReservedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Exhausted { at, .. } => write!(f, "no reserved page left for a table at {at}"),
        }
    }
}

impl core::error::Error for CreateError {}
impl core::error::Error for TableError {}
impl core::error::Error for ReservedError {}

impl From<ConfigError> for CreateError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<AllocError> for CreateError {
    fn from(error: AllocError) -> Self {
        Self::Alloc(error)
    }
}

impl From<AllocError> for TableError {
    fn from(error: AllocError) -> Self {
        Self::Alloc(error)
    }
}

impl From<TableError> for ReservedError {
    fn from(error: TableError) -> Self {
        Self::Refused(error)
    }
}
