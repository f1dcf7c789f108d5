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
    /// No mapping: an invalid descriptor, an address outside the input range (a non-canonical
    /// one), or a configuration with which no walk can start.
    Translation,
    /// An address in a register or a descriptor does not fit the output size.
    AddressSize,
    /// The mapping's access flag is clear, and hardware does not set it. RISC-V: or the dirty flag
    /// is, and the access is a write.
    AccessFlag,
    /// The mapping does not permit the access.
    Permission,
    /// The leaf carries the contiguous hint, and its group does not agree: what hardware that
    /// notices reports as a TLB conflict abort.
    Conflict,
    /// A descriptor sets a bit that must be clear, or has an encoding that means nothing, on a
    /// machine that says so: x86-64's `RSVD`, and formats like it.
    Reserved,
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
    /// `AArch32` they have level 1 (2 with short descriptors, which start there), but for a base
    /// beyond the output size. Six levels of AMD's tables reach up to -2.
    pub level: i8,
    /// Whose lookup it is, where there are two stages.
    pub stage: FaultStage,
}

/// Which of two stages a fault belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FaultStage {
    /// The only stage that is walked, or stage 1 of two.
    #[default]
    First,
    /// Stage 2, asked for where stage 1 leads.
    Second,
    /// Stage 2, asked for an entry of stage 1 (`S1PTW`).
    SecondOnWalk,
}

impl Fault {
    /// A fault of `kind` at `level`, of the only stage or of stage 1.
    pub const fn new(kind: FaultKind, level: i8) -> Self {
        Self { kind, level, stage: FaultStage::First }
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
            Self::Reserved => "reserved bit",
            Self::ExternalAbort => "external abort on the table walk",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at level {}", self.kind, self.level)?;
        f.write_str(match self.stage {
            FaultStage::First => "",
            FaultStage::Second => " of stage 2",
            FaultStage::SecondOnWalk => " of stage 2, on the way of stage 1",
        })
    }
}

impl core::error::Error for Fault {}
