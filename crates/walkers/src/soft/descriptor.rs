//! The bits of a VMSAv8-64 descriptor.
//!
//! # References
//!
//! Arm DDI 0487, D8.3.1: table D8-50 (stage 1 table descriptors), D8-52 (stage 1 blocks and
//! pages), D8-53 (stage 2 blocks and pages). Where the bits of 52-bit addresses stand hangs on the
//! granule and `DS`, and is not said here.

use crate::Shareability;

/// Bit 0: the descriptor is valid.
pub const VALID: u64 = 1;
/// Bit 1: a table at levels 0 to 2, a page at level 3.
pub const TABLE_OR_PAGE: u64 = 1 << 1;
/// Bits 11:2 of a leaf: all attributes below the address.
pub const LOWER_ATTRIBUTES: u64 = 0x3ff << 2;
/// Bit 10, `AF`: the access flag.
pub const ACCESS_FLAG: u64 = 1 << 10;
/// Bit 11 of a stage 1 leaf, `nG`: it is for one address space.
pub const NOT_GLOBAL: u64 = 1 << 11;
/// Bit 50 of a stage 1 leaf, `GP`: branches into the page are checked.
pub const GUARDED_PAGE: u64 = 1 << 50;
/// Bit 51, `DBM`: hardware may manage the dirty state.
pub const DBM: u64 = 1 << 51;
/// Bit 52: the contiguous hint.
pub const CONTIGUOUS: u64 = 1 << 52;
/// Bits 54:53 of a leaf: who may not execute.
pub const UPPER_ATTRIBUTES: u64 = 0b11 << 53;

/// Bit 5 at stage 1, `NS`: the output address is Non-secure, in walks from Secure state.
pub const NS: u64 = 1 << 5;
/// Bit 6 at stage 1, `AP[1]`: unprivileged accesses have the same data access as privileged ones.
pub const AP_UNPRIVILEGED: u64 = 1 << 6;
/// Bit 7 at stage 1, `AP[2]`: no writes.
pub const AP_READ_ONLY: u64 = 1 << 7;
/// Bit 53 at stage 1, `PXN`: no privileged execution.
pub const PXN: u64 = 1 << 53;
/// Bit 54 at stage 1, `UXN`: no unprivileged execution.
pub const UXN: u64 = 1 << 54;
/// Bit 54 at stage 1 of `AArch32`, `XN`: no execution.
pub const XN: u64 = 1 << 54;

/// Bit 59 of a stage 1 table descriptor, `PXNTable`.
pub const PXN_TABLE: u64 = 1 << 59;
/// Bit 60 of a stage 1 table descriptor, `UXNTable`.
pub const UXN_TABLE: u64 = 1 << 60;
/// Bit 60 of a stage 1 table descriptor of `AArch32`, `XNTable`.
pub const XN_TABLE: u64 = 1 << 60;
/// Bit 61 of a stage 1 table descriptor, `APTable[0]`: no unprivileged data access below.
pub const AP_TABLE_NO_UNPRIVILEGED: u64 = 1 << 61;
/// Bit 62 of a stage 1 table descriptor, `APTable[1]`: no writes below.
pub const AP_TABLE_READ_ONLY: u64 = 1 << 62;
/// Bit 63 of a stage 1 table descriptor, `NSTable`: tables and leaves below are Non-secure, in
/// walks from Secure state.
pub const NS_TABLE: u64 = 1 << 63;

/// Bit 6 at stage 2, `S2AP[0]`: reads.
pub const S2AP_READ: u64 = 1 << 6;
/// Bit 7 at stage 2, `S2AP[1]`: writes.
pub const S2AP_WRITE: u64 = 1 << 7;
/// Bit 53 at stage 2, `XN[0]`, with `FEAT_XNX` only.
pub const S2_XN_0: u64 = 1 << 53;
/// Bit 54 at stage 2, `XN[1]`, or `XN` without `FEAT_XNX`.
pub const S2_XN_1: u64 = 1 << 54;

/// One descriptor, raw, with its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Descriptor(
    /// The eight bytes as a number.
    pub u64,
);

impl Descriptor {
    /// Whether all bits of `mask` are set.
    pub const fn has(self, mask: u64) -> bool {
        self.0 & mask == mask
    }

    /// The address field from bit 47 down to `low_bit`, in place; lower bits are not part of it.
    pub const fn address(self, low_bit: u8) -> u64 {
        let low = if low_bit < 48 { u64::MAX << low_bit } else { 0 };
        self.0 & low & ((1 << 48) - 1)
    }

    /// Stage 1 bits 4:2, `AttrIndx[2:0]`: which byte of MAIR.
    pub const fn attribute_index(self) -> u8 {
        // CAST: masked to three bits.
        (self.0 >> 2 & 0b111) as u8
    }

    /// Stage 2 bits 5:2, `MemAttr[3:0]`.
    pub const fn s2_memory_attribute(self) -> u8 {
        // CAST: masked to four bits.
        (self.0 >> 2 & 0b1111) as u8
    }

    /// Bits 9:8, `SH[1:0]`; bits 51:50 of the address where `DS` is set.
    pub const fn shareability(self) -> Shareability {
        shareability(self.0 >> 8)
    }
}

/// What the two lowest bits say, in the encoding of `SH[1:0]` in descriptors and registers.
pub(super) const fn shareability(bits: u64) -> Shareability {
    match bits & 0b11 {
        0b00 => Shareability::Non,
        0b01 => Shareability::Reserved,
        0b10 => Shareability::Outer,
        _ => Shareability::Inner,
    }
}
