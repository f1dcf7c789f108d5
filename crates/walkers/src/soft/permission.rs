//! What leaves and the tables above them permit.

use super::descriptor::{
    AP_READ_ONLY, AP_TABLE_NO_UNPRIVILEGED, AP_TABLE_READ_ONLY, AP_UNPRIVILEGED, Descriptor, PXN,
    PXN_TABLE, S2_XN_0, S2_XN_1, S2AP_READ, S2AP_WRITE, UXN, UXN_TABLE, XN, XN_TABLE,
};
use crate::{DirtyState, Permissions, Rights};

/// VMSAv8-64 stage 1: what `leaf` permits below `tables` (Arm DDI 0487, D8.4.1.2, tables D8-63
/// and D8-64, rule `RVWLLR`).
pub(super) fn stage1(
    leaf: Descriptor,
    dirty_state: Option<DirtyState>,
    tables: Descriptor,
) -> Permissions {
    let Permissions { mut privileged, mut unprivileged } = stage1_data(leaf, dirty_state, tables);
    unprivileged.execute = !leaf.has(UXN) && !tables.has(UXN_TABLE);
    privileged.execute = !leaf.has(PXN) && !tables.has(PXN_TABLE) && !unprivileged.write;
    Permissions { privileged, unprivileged }
}

/// VMSAv8-32 stage 1: `XN` is for both privileges, `PXN` for privileged accesses too, and a fetch
/// needs read permission (`AArch32.S1LDHasPermissionsFault`).
pub(super) fn stage1_aarch32(leaf: Descriptor, tables: Descriptor) -> Permissions {
    let Permissions { mut privileged, mut unprivileged } = stage1_data(leaf, None, tables);
    let xn = leaf.has(XN) || tables.has(XN_TABLE);
    unprivileged.execute = unprivileged.read && !xn;
    privileged.execute = privileged.read && !xn && !leaf.has(PXN) && !tables.has(PXN_TABLE);
    Permissions { privileged, unprivileged }
}

/// `AP[2:1]` and `APTable[1:0]`, which are the same in both.
fn stage1_data(
    leaf: Descriptor,
    dirty_state: Option<DirtyState>,
    tables: Descriptor,
) -> Permissions {
    // Hardware clears AP[2] on the first write where it manages the dirty state.
    let leaf_read_only = leaf.has(AP_READ_ONLY) && dirty_state.is_none();
    let write = !leaf_read_only && !tables.has(AP_TABLE_READ_ONLY);
    let shared = leaf.has(AP_UNPRIVILEGED) && !tables.has(AP_TABLE_NO_UNPRIVILEGED);
    Permissions {
        privileged: Rights { read: true, write, execute: false },
        unprivileged: Rights { read: shared, write: shared && write, execute: false },
    }
}

/// VMSAv8-64 stage 2: `S2AP` and `XN[1:0]`, of which `xnx` says whether `XN[0]` exists (Arm
/// DDI 0487, tables D8-76 to D8-78).
pub(super) fn stage2(leaf: Descriptor, dirty_state: Option<DirtyState>, xnx: bool) -> Permissions {
    let read = leaf.has(S2AP_READ);
    // Hardware sets S2AP[1] on the first write where it manages the dirty state.
    let write = leaf.has(S2AP_WRITE) || dirty_state.is_some();
    let xn = leaf.has(S2_XN_1);
    let split = xnx && leaf.has(S2_XN_0);
    let rights = |execute| Rights { read, write, execute };
    // Table D8-78. With XN[0], XN[1] says which of the two may execute.
    Permissions { privileged: rights(if split { xn } else { !xn }), unprivileged: rights(!xn) }
}

/// VMSAv8-32 stage 2: the same, but a fetch needs read permission
/// (`AArch32.S2HasPermissionsFault`).
pub(super) fn stage2_aarch32(leaf: Descriptor, xnx: bool) -> Permissions {
    let Permissions { privileged, unprivileged } = stage2(leaf, None, xnx);
    let readable = |rights: Rights| Rights { execute: rights.execute && rights.read, ..rights };
    Permissions { privileged: readable(privileged), unprivileged: readable(unprivileged) }
}
