//! `ARM_64_LPAE_S1`: Arm's 64-bit stage 1, as CPUs, SMMUs and many GPUs walk it.
//!
//! # References
//!
//! Arm DDI 0487: D8.3 (descriptors), D8.4 (permissions), `TCR_EL1`, `MAIR_EL1`, `TTBR0_EL1`.

use core::marker::PhantomData;

use super::{Attributes, Config, ConfigError, Entry, Format, Granule, Sealed, vmsa};
use crate::addr::PhysAddr;
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

/// Arm's 64-bit stage 1 with granule `G`.
///
/// Mappings are non-global (`nG`) with the access flag set. Stage 1 has no way to forbid reading
/// alone, so [`Prot::READ`] is required.
#[derive(Clone, Copy, Debug)]
pub struct Arm64S1<G: Granule>(PhantomData<G>);

/// What a driver programs for [`Arm64S1`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage1Registers {
    /// `TTBR0`: the root's physical address; the ASID field is zero.
    pub ttbr: u64,
    /// The lower half of `TCR_EL1` (T0SZ, IRGN0, ORGN0, SH0, TG0) with IPS, and with EPD1 set:
    /// the upper half of the address space is not walked. An SMMU's context descriptor takes the
    /// same fields.
    pub tcr: u64,
    /// `MAIR`: index 0 normal non-cached, 1 normal write-back, 2 device (nGnRE).
    pub mair: u64,
}

const NON_GLOBAL: u64 = 1 << 11;
const AP_UNPRIVILEGED: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const UXN: u64 = vmsa::XN_HIGH;
const PXN: u64 = vmsa::XN_LOW;

const MAIR: u64 = 0x44 | 0xff << 8 | 0x04 << 16;

impl<G: Granule> Sealed for Arm64S1<G> {}

impl<G: Granule> Format for Arm64S1<G> {
    const NAME: &'static str = "ARM_64_LPAE_S1";
    const PAGE_SHIFT: u8 = G::SHIFT;
    type Registers = Stage1Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        vmsa::check_sizes(config, vmsa::MAX_INPUT_BITS, vmsa::OUTPUT_BITS)?;
        Ok(vmsa::natural_geometry(G::SHIFT, config))
    }

    fn registers(geometry: &Geometry, root: PhysAddr, coherent: bool) -> Stage1Registers {
        let t0sz = 64 - u64::from(geometry.input_bits());
        // Walks are inner shareable and write-back cacheable, or bypass the caches.
        let (irgn0, orgn0, sh0) = if coherent { (0b01, 0b01, 0b11) } else { (0b00, 0b00, 0b10) };
        let tg0 = match G::SHIFT {
            14 => 0b10,
            16 => 0b01,
            _ => 0b00,
        };
        let ips = vmsa::output_size_field(geometry.output_bits()).unwrap_or(0);
        let epd1 = 1;
        Stage1Registers {
            ttbr: root.0,
            tcr: t0sz | irgn0 << 8 | orgn0 << 10 | sh0 << 12 | tg0 << 14 | epd1 << 23 | ips << 32,
            mair: MAIR,
        }
    }

    #[inline]
    fn attributes(prot: Prot) -> Result<Attributes, ProtError> {
        vmsa::check_prot(prot)?;
        if !prot.contains(Prot::READ) {
            return Err(ProtError::ReadImplied);
        }
        let mut bits = NON_GLOBAL | vmsa::AF;
        if !prot.contains(Prot::WRITE) {
            bits |= AP_READ_ONLY;
        }
        if !prot.contains(Prot::PRIVILEGED) {
            bits |= AP_UNPRIVILEGED;
        }
        if !prot.contains(Prot::EXECUTE) {
            bits |= UXN | PXN;
        } else if prot.contains(Prot::PRIVILEGED) {
            // AP is for data only: without this, unprivileged fetches would be allowed.
            bits |= UXN;
        }
        bits |= if prot.contains(Prot::CACHED) {
            vmsa::ATTR_CACHED << vmsa::ATTR_INDEX_SHIFT | vmsa::SH_INNER
        } else if prot.contains(Prot::DEVICE) {
            vmsa::ATTR_DEVICE << vmsa::ATTR_INDEX_SHIFT | vmsa::SH_OUTER
        } else {
            vmsa::ATTR_NON_CACHED << vmsa::ATTR_INDEX_SHIFT | vmsa::SH_OUTER
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
        Prot::READ
            | Prot::WRITE.when(leaf & AP_READ_ONLY == 0)
            | Prot::PRIVILEGED.when(leaf & AP_UNPRIVILEGED == 0)
            | Prot::EXECUTE.when(leaf & PXN == 0)
            | match (leaf & vmsa::ATTR_INDEX) >> vmsa::ATTR_INDEX_SHIFT {
                vmsa::ATTR_CACHED => Prot::CACHED,
                vmsa::ATTR_DEVICE => Prot::DEVICE,
                _ => Prot::NONE,
            }
    }
}
