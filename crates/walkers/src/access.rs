//! What the device wants to do.

/// What is done at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// A data read.
    Read,
    /// A data write.
    Write,
    /// An instruction fetch.
    Execute,
}

/// With whose rights it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// EL1, or a transaction that a device marks as privileged.
    Privileged,
    /// EL0, or an ordinary transaction of a device.
    Unprivileged,
}

/// One access: a kind and a privilege.
///
/// ```
/// use walkers::{Access, AccessKind, Privilege};
///
/// let write = Access { kind: AccessKind::Write, privilege: Privilege::Unprivileged };
/// assert_eq!(write, Access::UNPRIVILEGED_WRITE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// What is done at the address.
    pub kind: AccessKind,
    /// With whose rights it is done.
    pub privilege: Privilege,
}

impl Access {
    /// A data read with EL1's rights.
    pub const PRIVILEGED_READ: Self = Self::new(AccessKind::Read, Privilege::Privileged);
    /// A data write with EL1's rights.
    pub const PRIVILEGED_WRITE: Self = Self::new(AccessKind::Write, Privilege::Privileged);
    /// An instruction fetch with EL1's rights.
    pub const PRIVILEGED_EXECUTE: Self = Self::new(AccessKind::Execute, Privilege::Privileged);
    /// A data read with EL0's rights.
    pub const UNPRIVILEGED_READ: Self = Self::new(AccessKind::Read, Privilege::Unprivileged);
    /// A data write with EL0's rights.
    pub const UNPRIVILEGED_WRITE: Self = Self::new(AccessKind::Write, Privilege::Unprivileged);
    /// An instruction fetch with EL0's rights.
    pub const UNPRIVILEGED_EXECUTE: Self = Self::new(AccessKind::Execute, Privilege::Unprivileged);

    /// All six accesses, for tests that try each.
    pub const ALL: [Self; 6] = [
        Self::PRIVILEGED_READ,
        Self::PRIVILEGED_WRITE,
        Self::PRIVILEGED_EXECUTE,
        Self::UNPRIVILEGED_READ,
        Self::UNPRIVILEGED_WRITE,
        Self::UNPRIVILEGED_EXECUTE,
    ];

    const fn new(kind: AccessKind, privilege: Privilege) -> Self {
        Self { kind, privilege }
    }
}
