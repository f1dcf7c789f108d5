//! The refusal, a value like any other.

use core::fmt;

/// Why a translation was refused.
///
/// # References
///
/// Arm DDI 0487, section D8.15, "Memory aborts": MMU fault types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No mapping: an invalid descriptor, an address outside the input range, or a
    /// configuration with which no walk can start.
    Translation,
    /// An address in a register or a descriptor does not fit the output size.
    AddressSize,
    /// The mapping's access flag is clear, and hardware does not set it.
    AccessFlag,
    /// The mapping does not permit the access.
    Permission,
    /// The leaf carries the contiguous hint, and its group does not agree: what hardware that
    /// notices reports as a TLB conflict abort.
    Conflict,
    /// The descriptor could not be read: a bus error on the walk itself.
    ExternalAbort,
}

/// A fault and the level of the lookup that it belongs to.
///
/// ```
/// use walkers::{Fault, FaultKind};
///
/// let fault = Fault::new(FaultKind::Permission, 3);
/// assert_eq!(fault.to_string(), "permission fault at level 3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Fault {
    /// Why the translation was refused.
    pub kind: FaultKind,
    /// The lookup level, as Arm counts: 3 for pages, 0 or -1 at the root side. Faults before the
    /// first lookup have level 0, whatever the level that the walk would have started at; in
    /// `AArch32` they have level 1, but for a base beyond the output size.
    pub level: i8,
}

impl Fault {
    /// A fault of `kind` at `level`.
    pub const fn new(kind: FaultKind, level: i8) -> Self {
        Self { kind, level }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Translation => "translation fault",
            Self::AddressSize => "address size fault",
            Self::AccessFlag => "access flag fault",
            Self::Permission => "permission fault",
            Self::Conflict => "TLB conflict",
            Self::ExternalAbort => "external abort on the table walk",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at level {}", self.kind, self.level)
    }
}

impl core::error::Error for Fault {}
