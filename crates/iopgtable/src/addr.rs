//! Addresses: what the device says ([`Iova`]), what the bus says ([`PhysAddr`]), and ranges.

use core::fmt;

/// An I/O virtual address: what a device puts into a transaction, before translation. In bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iova(pub u64);

/// A physical address (or, for a stage 1 under a stage 2, an intermediate physical one). In bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysAddr(pub u64);

macro_rules! show_as_hex {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    )*};
}
show_as_hex!(Iova, PhysAddr);

/// A range of device addresses that is never empty, held by its first and last byte so that the
/// whole 64-bit space is a range too.
///
/// ```
/// use iopgtable::{Iova, IovaRange};
/// let range = IovaRange::new(Iova(0x1000), 0x2000)?;
/// assert_eq!(range.last(), Iova(0x2fff));
/// assert!(IovaRange::new(Iova(0x1000), 0).is_err());
/// # Ok::<(), iopgtable::RangeError>(())
/// ```
///
/// # Invariants
///
/// `first <= last`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IovaRange {
    first: u64,
    last: u64,
}

impl IovaRange {
    /// `bytes` bytes from `first` on.
    ///
    /// # Errors
    ///
    /// [`RangeError::Empty`] for zero bytes, [`RangeError::Overflow`] where the end would lie
    /// beyond 2^64.
    pub const fn new(first: Iova, bytes: u64) -> Result<Self, RangeError> {
        if bytes == 0 {
            return Err(RangeError::Empty { first });
        }
        match first.0.checked_add(bytes - 1) {
            // INVARIANT: `bytes - 1 >= 0`, so the sum is at least `first`.
            Some(last) => Ok(Self { first: first.0, last }),
            None => Err(RangeError::Overflow { first, bytes }),
        }
    }

    /// From the first byte to the last one, both included; `None` where `last < first`.
    pub const fn inclusive(first: Iova, last: Iova) -> Option<Self> {
        if first.0 <= last.0 { Some(Self { first: first.0, last: last.0 }) } else { None }
    }

    /// From the lower of two bytes to the higher one, both included.
    pub const fn between(one: Iova, other: Iova) -> Self {
        // INVARIANT: they are put in order.
        if one.0 <= other.0 {
            Self { first: one.0, last: other.0 }
        } else {
            Self { first: other.0, last: one.0 }
        }
    }

    /// The first byte's address.
    pub const fn first(self) -> Iova {
        Iova(self.first)
    }

    /// The last byte's address.
    pub const fn last(self) -> Iova {
        Iova(self.last)
    }

    /// How many bytes it spans; the whole 64-bit space, which has one more than fits, says
    /// `u64::MAX`.
    pub const fn bytes(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether `address` lies inside.
    pub const fn contains(self, address: Iova) -> bool {
        self.first <= address.0 && address.0 <= self.last
    }

    /// Whether all of `other` lies inside.
    pub const fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// What both have in common.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::inclusive(Iova(self.first.max(other.first)), Iova(self.last.min(other.last)))
    }

    /// The smallest range that covers both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        // INVARIANT: a minimum of firsts is at most a maximum of lasts.
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// Whether both ends lie on a multiple of `size` bytes, a power of two.
    pub const fn is_aligned(self, size: u64) -> bool {
        (self.first | self.last.wrapping_add(1)) & (size - 1) == 0
    }
}

impl fmt::Debug for IovaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x}", self.first, self.last)
    }
}

impl fmt::Display for IovaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why two numbers are not an [`IovaRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RangeError {
    /// No bytes.
    Empty {
        /// Where it would have begun.
        first: Iova,
    },
    /// The end lies beyond the 64-bit space.
    Overflow {
        /// Where it would have begun.
        first: Iova,
        /// Its bytes.
        bytes: u64,
    },
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { first } => write!(f, "empty range at {first}"),
            Self::Overflow { first, bytes } => {
                write!(f, "{bytes:#x} bytes from {first} end beyond the 64-bit address space")
            }
        }
    }
}

impl core::error::Error for RangeError {}

/// A physically contiguous piece of a scatter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Its first byte.
    pub phys: PhysAddr,
    /// Its length in bytes, a multiple of the granule.
    pub bytes: u64,
}

impl Segment {
    /// `bytes` bytes at `phys`.
    pub const fn new(phys: PhysAddr, bytes: u64) -> Self {
        Self { phys, bytes }
    }
}
