//! What a trace says, as types.

use std::fmt;

use super::Histogram;

/// Page size of a trace whose header names none.
pub const DEFAULT_PAGE: u64 = 4096;

/// The history of one or more address spaces.
///
/// ```
/// use iopgt::trace::{Op, Prot, Space, Trace};
///
/// let text = "iopgt-trace 1\nmap 0 0x7f0000 0x2000 rw-\n";
/// let trace = Trace::parse("example.trace", text)?;
/// assert_eq!(
///     trace.ops,
///     [Op::Map {
///         space: Space(0),
///         addr: 0x7f_0000,
///         len: 0x2000,
///         prot: Prot { read: true, write: true, exec: false },
///         runs: vec![],
///     }],
/// );
/// assert_eq!(Trace::parse("again", &trace.to_string())?, trace);
/// # Ok::<(), iopgt::trace::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// What holds for the whole trace.
    pub header: Header,
    /// The operations, in the order in which they took effect.
    pub ops: Vec<Op>,
}

/// What holds for a whole trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Page size in bytes.
    pub page: u64,
    /// What was run.
    pub command: Option<String>,
    /// Lengths of the physical runs that the memory was made of; empty when unknown.
    pub runs: Histogram,
}

impl Default for Header {
    fn default() -> Self {
        Self { page: DEFAULT_PAGE, command: None, runs: Histogram::default() }
    }
}

impl Header {
    /// The header that this memory would have with larger pages: shorter runs are one page then,
    /// longer ones are rounded up to pages.
    #[must_use]
    pub fn in_pages_of(&self, page: u64) -> Self {
        let mut runs = Histogram::default();
        for (len, count) in self.runs.iter() {
            // The counts are the same, so their total still fits.
            let _ = runs.add(len.next_multiple_of(page), count);
        }
        Self { page, command: self.command.clone(), runs }
    }
}

/// Index of an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(pub u32);

/// What accesses a mapping allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Prot {
    /// Reads.
    pub read: bool,
    /// Writes.
    pub write: bool,
    /// Instruction fetches.
    pub exec: bool,
}

impl Prot {
    /// Reads and writes: what the heap has.
    pub const READ_WRITE: Self = Self { read: true, write: true, exec: false };

    /// Whether no access at all is allowed.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// A physically contiguous piece of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// Physical address of the first byte.
    pub addr: u64,
    /// Length in bytes.
    pub len: u64,
}

/// An operation on an address space. Addresses and lengths are in bytes, multiples of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Map a range, replacing what is mapped there.
    Map {
        /// The address space.
        space: Space,
        /// Start of the range.
        addr: u64,
        /// Length of the range.
        len: u64,
        /// Accesses that are allowed.
        prot: Prot,
        /// The physical runs in order, or none where they are not known.
        runs: Vec<Run>,
    },
    /// Unmap a range, parts of which may be unmapped already.
    Unmap {
        /// The address space.
        space: Space,
        /// Start of the range.
        addr: u64,
        /// Length of the range.
        len: u64,
    },
    /// Change the protection of what is mapped in a range.
    Protect {
        /// The address space.
        space: Space,
        /// Start of the range.
        addr: u64,
        /// Length of the range.
        len: u64,
        /// Accesses that are allowed from now on.
        prot: Prot,
    },
    /// Move or resize a mapping, as `mremap` does; the physical memory stays the same.
    Remap {
        /// The address space.
        space: Space,
        /// Start of the old range.
        old: u64,
        /// Length of the old range.
        old_len: u64,
        /// Start of the new range, in which whatever was mapped is replaced.
        new: u64,
        /// Length of the new range.
        new_len: u64,
    },
    /// Make a copy of an address space.
    Fork {
        /// The address space that is copied.
        space: Space,
        /// The copy, not named before.
        child: Space,
    },
    /// Unmap everything; the space goes on.
    Clear {
        /// The address space.
        space: Space,
    },
    /// Unmap everything; the space is gone.
    Exit {
        /// The address space.
        space: Space,
    },
}

impl Op {
    /// The address space that the operation works on; for a fork, the one that is copied.
    pub fn space(&self) -> Space {
        match *self {
            Self::Map { space, .. }
            | Self::Unmap { space, .. }
            | Self::Protect { space, .. }
            | Self::Remap { space, .. }
            | Self::Fork { space, .. }
            | Self::Clear { space }
            | Self::Exit { space } => space,
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
