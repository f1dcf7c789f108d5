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
    pub(super) permissions: Permissions,
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
        let Meaning { memory, shareability, dirty_state, non_secure, permissions } = meaning;
        if !permissions.allow(access) {
            return Err(Fault::new(FaultKind::Permission, self.level));
        }
        Ok(Translation {
            address: self.address,
            leaf_size: self.size,
            level: self.level,
            memory,
            shareability,
            contiguous: self.contiguous,
            dirty_state,
            non_secure,
            permissions,
        })
    }
}
