//! Leaves of stage 2, 64-bit and 32-bit, and where a walk may start.
//!
//! # References
//!
//! Arm DDI 0487: D8.2 (start levels and concatenation), D8.3.1 and G5.3 (descriptors), D8.4.2
//! (permissions), D8.5.3 (dirty state), D8.6.6 (forced write-back).

use super::{Attributes, Config, Granule, Options, check_prot, vmsa};
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

const MEMATTR_CACHED: u64 = 0b1111 << 2;
const MEMATTR_NON_CACHED: u64 = 0b0101 << 2;
const MEMATTR_DEVICE: u64 = 0b0001 << 2;
/// Write-back, where stage 2 forces that.
const MEMATTR_FORCED: u64 = 0b0110 << 2;
const MEMATTR: u64 = 0b1111 << 2;

/// See [`Format::LIVE`](super::Format::LIVE).
pub(super) const LIVE: u64 =
    vmsa::ACCESS_PERMISSIONS | vmsa::XN_HIGH | vmsa::XN_LOW | vmsa::AF | vmsa::DBM | vmsa::SOFTWARE;

/// Where the walk starts where it may: at the level that the input size asks for, or one later.
pub(super) fn geometry<G: Granule>(config: Config) -> Geometry {
    let natural = vmsa::Output::<G>::natural_geometry(config);
    let level = natural.first_level();
    if may_start_at::<G>(level, config.output_bits) {
        return natural;
    }
    // The root's tables move up one level: they are concatenated, 2 to 16 of them, because the
    // input is no larger than the output.
    // CAST: an entry count's logarithm.
    let tables_log2 = natural.entries(level).trailing_zeros() as u8;
    vmsa::Output::<G>::geometry(level + 1, G::SHIFT - 3 + tables_log2, config)
}

/// Whether a stage 2 may start at `level` where physical addresses have `output_bits` bits.
const fn may_start_at<G: Granule>(level: i8, output_bits: u8) -> bool {
    match (G::SHIFT, level) {
        (12, -1) => output_bits > 48,
        (12, 0) | (16, 1) => output_bits >= 44,
        (14, 0) => G::LPA2 && output_bits > 48,
        (14, 1) => output_bits >= 42,
        _ => true,
    }
}

#[inline]
pub(super) const fn attributes(
    shareability: bool,
    options: Options,
    prot: Prot,
) -> Result<Attributes, ProtError> {
    if let Err(error) = check_prot(prot) {
        return Err(error);
    }
    if prot.contains(Prot::PRIVILEGED) {
        return Err(ProtError::NoPrivilege);
    }
    let prot = if options.contains(Options::NO_PERMISSIONS) {
        prot.with(Prot::RW).with(Prot::EXECUTE)
    } else {
        prot
    };
    let mut bits = vmsa::AF;
    if prot.contains(Prot::READ) {
        bits |= vmsa::S2AP_READ;
    }
    if prot.contains(Prot::WRITE) {
        bits |= vmsa::S2AP_WRITE;
        if options.contains(Options::HARDWARE_DIRTY) {
            // Writable and, until somebody clears that, dirty.
            bits |= vmsa::DBM;
        }
    }
    if !prot.contains(Prot::EXECUTE) {
        // XN[1:0] = 0b10: never, with FEAT_XNX and without.
        bits |= vmsa::XN_HIGH;
    }
    let (memory, sharing) = if prot.contains(Prot::CACHED) {
        let forced = options.contains(Options::FORCE_WRITE_BACK);
        (if forced { MEMATTR_FORCED } else { MEMATTR_CACHED }, vmsa::SH_INNER)
    } else if prot.contains(Prot::DEVICE) {
        (MEMATTR_DEVICE, vmsa::SH_OUTER)
    } else {
        (MEMATTR_NON_CACHED, vmsa::SH_OUTER)
    };
    bits |= memory;
    if shareability {
        bits |= sharing;
    }
    Ok(vmsa::attributes(bits))
}

#[inline]
pub(super) const fn prot_of(leaf: u64) -> Prot {
    let memory = match leaf & MEMATTR {
        MEMATTR_CACHED | MEMATTR_FORCED => Prot::CACHED,
        MEMATTR_DEVICE => Prot::DEVICE,
        _ => Prot::NONE,
    };
    Prot::READ
        .when(leaf & vmsa::S2AP_READ != 0)
        .with(Prot::WRITE.when(leaf & (vmsa::S2AP_WRITE | vmsa::DBM) != 0))
        .with(Prot::EXECUTE.when(leaf & vmsa::XN_HIGH == 0))
        .with(memory)
}

/// Hardware sets the write permission of a leaf with `DBM` when it is written through.
#[inline]
pub(super) const fn cleaned(leaf: u64) -> Option<u64> {
    const DIRTY: u64 = vmsa::DBM | vmsa::S2AP_WRITE;
    if leaf & DIRTY == DIRTY { Some(leaf & !vmsa::S2AP_WRITE) } else { None }
}

/// A leaf with `DBM` as hardware leaves it when it is written through.
#[inline]
pub(super) const fn dirtied(leaf: u64) -> u64 {
    if leaf & vmsa::DBM == 0 { leaf } else { leaf | vmsa::S2AP_WRITE }
}
