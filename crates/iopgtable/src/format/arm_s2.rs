//! `ARM_64_LPAE_S2`: Arm's 64-bit stage 2, as hypervisors and SMMUs walk it.
//!
//! # References
//!
//! Arm DDI 0487: D8.2 (start levels and concatenation), D8.3 (descriptors), D8.4 (permissions),
//! `VTCR_EL2`, `VTTBR_EL2`.

use core::marker::PhantomData;

use super::{Attributes, Config, ConfigError, Entry, Format, Granule, Sealed, vmsa};
use crate::addr::PhysAddr;
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

/// Arm's 64-bit stage 2 with granule `G`.
///
/// Where the architecture does not let a walk of this physical address size start at the level
/// that the input size asks for, the walk starts one level later at up to 16 concatenated root
/// tables: one allocation, aligned to its size.
#[derive(Clone, Copy, Debug)]
pub struct Arm64S2<G: Granule>(PhantomData<G>);

/// What a driver programs for [`Arm64S2`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2Registers {
    /// `VTTBR_EL2`: the root's physical address; the VMID field is zero.
    pub vttbr: u64,
    /// `VTCR_EL2`: T0SZ, SL0, IRGN0, ORGN0, SH0, TG0, PS, and bit 31, which is RES1.
    pub vtcr: u64,
}

const MEMATTR_CACHED: u64 = 0b1111 << 2;
const MEMATTR_NON_CACHED: u64 = 0b0101 << 2;
const MEMATTR_DEVICE: u64 = 0b0001 << 2;
const MEMATTR: u64 = 0b1111 << 2;

/// Whether a stage 2 may start at `level` where physical addresses have `output_bits` bits.
fn may_start_at(page_shift: u8, level: u8, output_bits: u8) -> bool {
    match (page_shift, level) {
        (12, 0) | (16, 1) => output_bits >= 44,
        (14, 0) => false,
        (14, 1) => output_bits >= 42,
        _ => true,
    }
}

impl<G: Granule> Sealed for Arm64S2<G> {}

impl<G: Granule> Format for Arm64S2<G> {
    const NAME: &'static str = "ARM_64_LPAE_S2";
    const PAGE_SHIFT: u8 = G::SHIFT;
    type Registers = Stage2Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        vmsa::check_sizes(config, vmsa::MAX_INPUT_BITS.min(config.output_bits), vmsa::OUTPUT_BITS)?;
        let natural = vmsa::natural_geometry(G::SHIFT, config);
        let level = natural.first_level();
        if may_start_at(G::SHIFT, level, config.output_bits) {
            return Ok(natural);
        }
        // The root's tables move up one level: they are concatenated, 2 to 16 of them, because
        // the input is no larger than the output.
        // CAST: an entry count's logarithm.
        let tables_log2 = natural.entries(level).trailing_zeros() as u8;
        Ok(vmsa::geometry(G::SHIFT, level + 1, G::SHIFT - 3 + tables_log2, config))
    }

    fn registers(geometry: &Geometry, root: PhysAddr, coherent: bool) -> Stage2Registers {
        let t0sz = 64 - u64::from(geometry.input_bits());
        let (irgn0, orgn0, sh0) = if coherent { (0b01, 0b01, 0b11) } else { (0b00, 0b00, 0b10) };
        // SL0 counts from the last level that a walk may start at: 2 with 4 KiB, 3 otherwise.
        let (tg0, last_start) = match G::SHIFT {
            14 => (0b10, 3),
            16 => (0b01, 3),
            _ => (0b00, 2),
        };
        let sl0 = u64::from(last_start - geometry.first_level());
        let ps = vmsa::output_size_field(geometry.output_bits()).unwrap_or(0);
        Stage2Registers {
            vttbr: root.0,
            vtcr: t0sz
                | sl0 << 6
                | irgn0 << 8
                | orgn0 << 10
                | sh0 << 12
                | tg0 << 14
                | ps << 16
                | 1 << 31,
        }
    }

    #[inline]
    fn attributes(prot: Prot) -> Result<Attributes, ProtError> {
        vmsa::check_prot(prot)?;
        if prot.contains(Prot::PRIVILEGED) {
            return Err(ProtError::NoPrivilege);
        }
        let mut bits = vmsa::AF;
        if prot.contains(Prot::READ) {
            bits |= vmsa::S2AP_READ;
        }
        if prot.contains(Prot::WRITE) {
            bits |= vmsa::S2AP_WRITE;
        }
        if !prot.contains(Prot::EXECUTE) {
            // XN[1:0] = 0b10: never, with FEAT_XNX and without.
            bits |= vmsa::XN_HIGH;
        }
        bits |= if prot.contains(Prot::CACHED) {
            MEMATTR_CACHED | vmsa::SH_INNER
        } else if prot.contains(Prot::DEVICE) {
            MEMATTR_DEVICE | vmsa::SH_OUTER
        } else {
            MEMATTR_NON_CACHED | vmsa::SH_OUTER
        };
        Ok(vmsa::attributes(bits))
    }

    #[inline]
    fn table(table: PhysAddr) -> u64 {
        table.0 | vmsa::TABLE_OR_PAGE
    }

    #[inline]
    fn decode(entry: u64, level: u8) -> Entry {
        vmsa::decode(entry, level)
    }

    #[inline]
    fn attributes_of(leaf: u64) -> Attributes {
        vmsa::attributes_of(leaf)
    }

    #[inline]
    fn prot_of(leaf: u64) -> Prot {
        Prot::READ.when(leaf & vmsa::S2AP_READ != 0)
            | Prot::WRITE.when(leaf & vmsa::S2AP_WRITE != 0)
            | Prot::EXECUTE.when(leaf & vmsa::XN_HIGH == 0)
            | match leaf & MEMATTR {
                MEMATTR_CACHED => Prot::CACHED,
                MEMATTR_DEVICE => Prot::DEVICE,
                _ => Prot::NONE,
            }
    }
}
