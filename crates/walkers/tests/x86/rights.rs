//! Rights, as the manual has them.

use walkers::{Access, AccessKind, Privilege, X86_64Registers};

use super::NO_EXECUTE;

/// What is taken from an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Less {
    Nothing,
    Write,
    User,
    Execute,
}

impl Less {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Write, Self::User, Self::Execute];

    /// What is left of `entry`.
    pub(crate) const fn of(self, entry: u64) -> u64 {
        match self {
            Self::Nothing => entry,
            Self::Write => entry & !2,
            Self::User => entry & !4,
            Self::Execute => entry | NO_EXECUTE,
        }
    }

    /// Whether `access` is permitted where all entries together lack this: SDM volume 3A, 4.6.1.
    pub(crate) fn permits(self, registers: X86_64Registers, access: Access) -> bool {
        let user = access.privilege == Privilege::Unprivileged;
        let granted = match access.kind {
            AccessKind::Read => true,
            AccessKind::Write => self != Self::Write || !user && !registers.wp,
            AccessKind::Execute => {
                let smep = registers.smep && !user && self != Self::User;
                self != Self::Execute && !smep
            }
        };
        granted && !(user && self == Self::User)
    }
}
