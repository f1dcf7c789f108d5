//! From a leaf to the answer.

use super::descriptor::ACCESS_FLAG;
use super::lookup::Leaf;
use super::managed::Managed;
use crate::{
    Access, DirtyState, Fault, FaultKind, MemoryType, Permissions, Shareability, Translation,
};

/// What a leaf says, as its format has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    pub(super) memory: MemoryType,
    pub(super) shareability: Shareability,
    pub(super) dirty_state: Option<DirtyState>,
    pub(super) non_secure: bool,
    pub(super) global: bool,
    pub(super) permissions: Permissions,
}

impl Translation {
    /// A leaf of which nothing more is to say than where it leads, and on which terms.
    pub(super) const fn plain(
        (address, leaf_size): (u64, u64),
        level: i8,
        permissions: Permissions,
    ) -> Self {
        Self {
            address,
            leaf_size,
            level,
            memory: MemoryType::AsPlatform,
            shareability: Shareability::Non,
            contiguous: false,
            dirty_state: None,
            non_secure: false,
            global: false,
            snooped: false,
            permissions,
        }
    }

    /// The answer to `access`: this, if it is permitted.
    pub(super) const fn granted(self, access: Access) -> Result<Self, Fault> {
        if self.permissions.allow(access) {
            Ok(self)
        } else {
            Err(Fault::new(FaultKind::Permission, self.level))
        }
    }
}

impl Leaf {
    /// Refuses a clear access flag, unless hardware sets it.
    pub(super) fn check_access_flag(&self, managed: Managed) -> Result<(), Fault> {
        if managed.access_flag || self.descriptor.has(ACCESS_FLAG) {
            Ok(())
        } else {
            Err(Fault::new(FaultKind::AccessFlag, self.level))
        }
    }

    /// The answer to `access`, if it is permitted.
    pub(super) fn answer(&self, access: Access, meaning: Meaning) -> Result<Translation, Fault> {
        let Meaning { memory, shareability, dirty_state, non_secure, global, permissions } =
            meaning;
        Translation {
            memory,
            shareability,
            contiguous: self.contiguous,
            dirty_state,
            non_secure,
            global,
            ..Translation::plain((self.address, self.size), self.level, permissions)
        }
        .granted(access)
    }
}
