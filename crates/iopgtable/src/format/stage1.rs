//! Leaves of stage 1, 64-bit and 32-bit.
//!
//! # References
//!
//! Arm DDI 0487: D8.3.1 and G5.3 (descriptors), D8.4.1 (direct permissions), D8.5.3 (dirty state).

use super::{Attributes, Options, check_prot, vmsa};
use crate::prot::{Prot, ProtError};

const NON_GLOBAL: u64 = 1 << 11;
const NON_SECURE: u64 = 1 << 5;
const AP_UNPRIVILEGED: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
/// `UXN`; in 32 bits, `XN` for all.
const UXN: u64 = vmsa::XN_HIGH;
const PXN: u64 = vmsa::XN_LOW;

/// `NSTable`.
const NON_SECURE_TABLE: u64 = 1 << 63;

/// Index 0 normal non-cached, 1 normal write-back, 2 device (nGnRE).
pub(super) const MAIR: u64 = 0x44 | 0xff << 8 | 0x04 << 16;

/// See [`Format::LIVE`](super::Format::LIVE).
pub(super) const LIVE: u64 =
    vmsa::ACCESS_PERMISSIONS | UXN | PXN | vmsa::AF | vmsa::DBM | vmsa::SOFTWARE;

/// What differs between the stages 1.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Whether `UXN` is for unprivileged accesses alone (64 bits).
    pub(super) unprivileged_xn: bool,
    /// Whether leaves say how the memory is shared.
    pub(super) shareability: bool,
}

#[inline]
pub(super) const fn attributes(
    kind: Kind,
    options: Options,
    prot: Prot,
) -> Result<Attributes, ProtError> {
    if let Err(error) = check_prot(prot) {
        return Err(error);
    }
    let mut bits = NON_GLOBAL | vmsa::AF;
    if options.contains(Options::NO_PERMISSIONS) {
        bits |= AP_UNPRIVILEGED;
    } else {
        if !prot.contains(Prot::READ) {
            return Err(ProtError::ReadImplied);
        }
        if !prot.contains(Prot::WRITE) {
            bits |= AP_READ_ONLY;
        }
        if !prot.contains(Prot::PRIVILEGED) {
            bits |= AP_UNPRIVILEGED;
        }
        if !prot.contains(Prot::EXECUTE) {
            bits |= UXN | PXN;
        } else if prot.contains(Prot::PRIVILEGED) && kind.unprivileged_xn {
            // AP is for data only: without this, unprivileged fetches would be allowed. (In 32
            // bits, what cannot be read cannot be fetched.)
            bits |= UXN;
        }
    }
    if options.contains(Options::HARDWARE_DIRTY) && bits & AP_READ_ONLY == 0 {
        // Writable and, until somebody clears that, dirty.
        bits |= vmsa::DBM;
    }
    if options.contains(Options::NON_SECURE) {
        bits |= NON_SECURE;
    }
    let (index, sharing) = if prot.contains(Prot::CACHED) {
        (vmsa::ATTR_CACHED, vmsa::SH_INNER)
    } else if prot.contains(Prot::DEVICE) {
        (vmsa::ATTR_DEVICE, vmsa::SH_OUTER)
    } else {
        (vmsa::ATTR_NON_CACHED, vmsa::SH_OUTER)
    };
    bits |= index << vmsa::ATTR_INDEX_SHIFT;
    if kind.shareability {
        bits |= sharing;
    }
    Ok(vmsa::attributes(bits))
}

#[inline]
pub(super) const fn table_bits(options: Options) -> u64 {
    let non_secure = if options.contains(Options::NON_SECURE) { NON_SECURE_TABLE } else { 0 };
    vmsa::TABLE_OR_PAGE | non_secure
}

#[inline]
pub(super) const fn prot_of(kind: Kind, leaf: u64) -> Prot {
    let execute = if kind.unprivileged_xn { leaf & PXN == 0 } else { leaf & UXN == 0 };
    Prot::READ
        .with(Prot::WRITE.when(leaf & AP_READ_ONLY == 0 || leaf & vmsa::DBM != 0))
        .with(Prot::PRIVILEGED.when(leaf & AP_UNPRIVILEGED == 0))
        .with(Prot::EXECUTE.when(execute))
        .with(memory_type(leaf))
}

/// What the index into MAIR says. (Mali's is the same.)
#[inline]
pub(super) const fn memory_type(leaf: u64) -> Prot {
    match (leaf & vmsa::ATTR_INDEX) >> vmsa::ATTR_INDEX_SHIFT {
        vmsa::ATTR_CACHED => Prot::CACHED,
        vmsa::ATTR_DEVICE => Prot::DEVICE,
        _ => Prot::NONE,
    }
}

/// Hardware clears the read-only bit of a leaf with `DBM` when it is written through.
#[inline]
pub(super) const fn cleaned(leaf: u64) -> Option<u64> {
    if leaf & (vmsa::DBM | AP_READ_ONLY) == vmsa::DBM { Some(leaf | AP_READ_ONLY) } else { None }
}

/// A leaf with `DBM` as hardware leaves it when it is written through.
#[inline]
pub(super) const fn dirtied(leaf: u64) -> u64 {
    if leaf & vmsa::DBM == 0 { leaf } else { leaf & !AP_READ_ONLY }
}
