//! What an access may do, in the caller's terms; each format encodes it in its own way.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// Permissions and memory type of a mapping: a set of the constants below.
///
/// Without [`CACHED`](Self::CACHED) or [`DEVICE`](Self::DEVICE) the memory is normal and not
/// cached; without [`EXECUTE`](Self::EXECUTE) nothing may be fetched from it.
///
/// ```
/// use iopgtable::Prot;
/// let prot = Prot::READ | Prot::WRITE | Prot::CACHED;
/// assert!(prot.contains(Prot::READ));
/// assert_eq!(format!("{prot:?}"), "rw--c");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Prot(u8);

impl Prot {
    /// Nothing is allowed. No format maps this.
    pub const NONE: Self = Self(0);
    /// The device may read.
    pub const READ: Self = Self(1 << 0);
    /// The device may write.
    pub const WRITE: Self = Self(1 << 1);
    /// The device may fetch instructions (shaders). Formats that do not tell fetches from reads
    /// refuse it.
    pub const EXECUTE: Self = Self(1 << 2);
    /// Only privileged transactions may use it (first stages and x86-64; other formats have no such
    /// thing and refuse it).
    pub const PRIVILEGED: Self = Self(1 << 3);
    /// Normal memory that takes part in cache coherency (write-back).
    pub const CACHED: Self = Self(1 << 4);
    /// Device registers: no gathering, no reordering.
    pub const DEVICE: Self = Self(1 << 5);
    /// `READ | WRITE`.
    pub const RW: Self = Self(Self::READ.0 | Self::WRITE.0);

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether anything of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together, where `|` cannot be used (constants).
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// `other` where `condition` holds, else nothing.
    #[must_use]
    pub(crate) const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

impl BitOr for Prot {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Prot {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

impl fmt::Debug for Prot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (flag, letter) in
            [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::EXECUTE, 'x'), (Self::PRIVILEGED, 'p')]
        {
            f.write_char(if self.contains(flag) { letter } else { '-' })?;
        }
        match (self.contains(Self::CACHED), self.contains(Self::DEVICE)) {
            (true, true) => f.write_str("cd"),
            (true, false) => f.write_char('c'),
            (false, true) => f.write_char('d'),
            (false, false) => f.write_char('n'),
        }
    }
}

/// Why a format cannot express a [`Prot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtError {
    /// Neither read nor write nor execute.
    NoPermission,
    /// [`Prot::CACHED`] and [`Prot::DEVICE`] at once.
    CachedDevice,
    /// The format grants reading with every other right (stage 1, x86-64).
    ReadImplied,
    /// What can be written can be read in the format (RISC-V).
    WriteAlone,
    /// The format has no privilege.
    NoPrivilege,
    /// The format does not tell fetches from reads, so there is no right to fetch.
    NoExecute,
}

impl fmt::Display for ProtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermission => "it allows nothing",
            Self::CachedDevice => "memory cannot be both cached and device",
            Self::ReadImplied => "the format cannot forbid reading while it allows anything else",
            Self::WriteAlone => "the format cannot forbid reading while it allows writing",
            Self::NoExecute => "the format does not tell fetches from reads",
            Self::NoPrivilege => "the format does not tell privileged accesses from others",
        })
    }
}

impl core::error::Error for ProtError {}
