//! What hardware keeps up to date in leaves.

use super::descriptor::{DBM, Descriptor};
use crate::DirtyState;

/// `HA` and `HD` of `TCR_EL1` or `VTCR_EL2` (`FEAT_HAFDBS`).
///
/// # References
///
/// Arm DDI 0487, chapter D8, "Hardware management of the dirty state"; section J1.1, functions
/// `AArch64.S1ApplyOutputPerms`, `AArch64.S2ApplyOutputPerms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Managed {
    /// The access flag: a clear one is set, and no fault.
    pub(super) access_flag: bool,
    /// The dirty state of leaves with `DBM`.
    pub(super) dirty_state: bool,
}

impl Managed {
    /// Formats without such updates.
    pub(super) const NOTHING: Self = Self::new(false, false);

    /// Without `HA`, `HD` has no effect.
    pub(super) const fn new(ha: bool, hd: bool) -> Self {
        Self { access_flag: ha, dirty_state: ha && hd }
    }

    /// The dirty state of `leaf`, whose permission bit alone says whether it is `writable`.
    pub(super) fn dirty_state(self, leaf: Descriptor, writable: bool) -> Option<DirtyState> {
        (self.dirty_state && leaf.has(DBM)).then_some(if writable {
            DirtyState::WritableDirty
        } else {
            DirtyState::WritableClean
        })
    }
}
