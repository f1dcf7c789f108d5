//! `ARM_64_LPAE_S2`: Arm's 64-bit stage 2, as hypervisors and SMMUs walk it.
//!
//! # References
//!
//! Arm DDI 0487: D8.2 (start levels and concatenation), D8.3 (descriptors), D8.4 (permissions),
//! `VTCR_EL2`, `VTTBR_EL2`.

use core::marker::PhantomData;

use super::vmsa::{self, Output};
use super::{Attributes, Config, ConfigError, Format, Granule, Options, Sealed, check, stage2};
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
    /// `VTCR_EL2`: T0SZ, SL0, SL2, IRGN0, ORGN0, SH0, TG0, PS, DS, HA, HD, and bit 31, which is
    /// RES1.
    pub vtcr: u64,
    /// Whether stage 2 overrides how stage 1 has memory cached: `HCR_EL2.FWB`, or `S2FWB` in an
    /// SMMU's stream table entry.
    pub force_write_back: bool,
}

const VTCR_HA: u64 = 1 << 21;
const VTCR_HD: u64 = 1 << 22;
const VTCR_RES1: u64 = 1 << 31;
const VTCR_DS: u64 = 1 << 32;
const VTCR_SL2: u64 = 1 << 33;

impl<G: Granule> Sealed for Arm64S2<G> {}

impl<G: Granule> Format for Arm64S2<G> {
    const NAME: &'static str = "ARM_64_LPAE_S2";
    const GRANULE: &'static str = G::NAME;
    const PAGE_SHIFT: u8 = G::SHIFT;
    const MIN_LEVEL: i8 = vmsa::min_level::<G>();
    const OPTIONS: Options = Options::NO_PERMISSIONS
        .with(Options::FORCE_WRITE_BACK)
        .with(Options::HARDWARE_DIRTY)
        .with(Options::CONTIGUOUS);
    const LIVE: u64 = stage2::LIVE;
    const PUBLISHED: u64 = vmsa::PUBLISHED;
    type Registers = Stage2Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let max = Output::<G>::MAX_INPUT_BITS.min(config.output_bits);
        check::<Self>(config, (vmsa::MIN_INPUT_BITS, max), Output::<G>::sizes())?;
        Ok(stage2::geometry::<G>(config))
    }

    fn registers(
        geometry: &Geometry,
        options: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> Stage2Registers {
        let t0sz = 64 - u64::from(geometry.input_bits());
        // SL0 counts from the last level that a walk may start at: 2 with 4 KiB, 3 otherwise.
        let sl = match (G::SHIFT, geometry.first_level()) {
            (12, -1) => VTCR_SL2,
            (12, level) => field(2 - level) << 6,
            (_, level) => field(3 - level) << 6,
        };
        let managed = options.contains(Options::HARDWARE_DIRTY);
        Stage2Registers {
            vttbr: Output::<G>::base(root),
            vtcr: t0sz
                | sl
                | vmsa::walk_attributes(coherent, false) << 8
                | vmsa::granule_field_0(G::SHIFT) << 14
                | vmsa::output_size_field(geometry.output_bits()) << 16
                | if managed { VTCR_HA | VTCR_HD } else { 0 }
                | if G::LPA2 { VTCR_DS } else { 0 }
                | VTCR_RES1,
            force_write_back: options.contains(Options::FORCE_WRITE_BACK),
        }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        stage2::attributes(!G::LPA2, options, prot)
    }

    fn table_bits(_: Options) -> u64 {
        vmsa::TABLE_OR_PAGE
    }

    vmsa::entries!(G);

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        stage2::prot_of(leaf)
    }

    #[inline]
    fn cleaned(leaf: u64) -> Option<u64> {
        stage2::cleaned(leaf)
    }

    #[inline]
    fn dirtied(leaf: u64) -> u64 {
        stage2::dirtied(leaf)
    }
}

/// A start level's distance, as a field.
const fn field(levels: i8) -> u64 {
    // CAST: zero to three.
    #[expect(clippy::cast_sign_loss, reason = "zero to three")]
    let field = levels as u64;
    field
}
