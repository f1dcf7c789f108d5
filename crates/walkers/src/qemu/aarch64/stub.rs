//! What the processor runs (`stub.s`), and its operations.

use crate::{Access, AccessKind, Privilege};

/// The bytes, as `stub.s` assembles.
pub(super) static CODE: &[u8] = include_bytes!("stub.bin");

/// How far into the code EL1's vectors are.
pub(super) const EL1_VECTORS: u64 = 0x1000;

/// The number in the `HVC` of EL1's vectors.
pub(super) const FROM_VECTOR: u16 = 1;

/// Forgets everything of the EL1&0 regime.
pub(super) const FORGET_ALL: u64 = 11;
/// Forgets what the current VMID has, of both stages.
pub(super) const FORGET_VMID: u64 = 12;
/// Forgets an ASID.
pub(super) const FORGET_ASID: u64 = 13;
/// Forgets an address of stage 1, an ASID above it.
pub(super) const FORGET_ADDRESS: u64 = 14;
/// Forgets a range of stage 1.
pub(super) const FORGET_RANGE: u64 = 16;
/// Forgets an address of stage 2.
pub(super) const FORGET_IPA: u64 = 18;
/// Forgets a range of stage 2.
pub(super) const FORGET_IPA_RANGE: u64 = 20;
/// To be added to the last four: leaves only.
pub(super) const LEAVES_ONLY: u64 = 1;

/// Which stages an address translation instruction goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stages {
    /// `AT S1E…`
    One,
    /// `AT S12E…`
    Both,
}

/// The address translation instruction for a data access; for a fetch, that for a read with EL1's
/// rights, which finds out where the address leads.
pub(super) const fn translate(stages: Stages, access: Access) -> u64 {
    let first = match stages {
        Stages::One => 1,
        Stages::Both => 5,
    };
    first
        + match (access.kind, access.privilege) {
            (AccessKind::Read, Privilege::Privileged) | (AccessKind::Execute, _) => 0,
            (AccessKind::Write, Privilege::Privileged) => 1,
            (AccessKind::Read, Privilege::Unprivileged) => 2,
            (AccessKind::Write, Privilege::Unprivileged) => 3,
        }
}

/// The fetch itself.
pub(super) const fn fetch(privilege: Privilege) -> u64 {
    match privilege {
        Privilege::Privileged => 9,
        Privilege::Unprivileged => 10,
    }
}
