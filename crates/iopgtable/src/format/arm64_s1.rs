//! `ARM_64_LPAE_S1`: Arm's 64-bit stage 1, as CPUs, SMMUs and many GPUs walk it.
//!
//! # References
//!
//! Arm DDI 0487: D8.3 (descriptors), D8.4 (permissions), `TCR_EL1`, `MAIR_EL1`, `TTBR0_EL1`,
//! `TTBR1_EL1`.

use core::marker::PhantomData;

use super::stage1::{self, Kind};
use super::vmsa::{self, Output};
use super::{Attributes, Config, ConfigError, Format, Granule, Options, Sealed, check};
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
    /// `TTBR0`, or with [`Options::UPPER_HALF`] `TTBR1`: the root's physical address; the ASID
    /// field is zero.
    pub ttbr: u64,
    /// `TCR_EL1` for this half (`TnSZ`, `IRGNn`, `ORGNn`, `SHn`, `TGn`), with IPS, DS, HA and HD,
    /// and with EPD set for the other half, which is not walked. An SMMU's context descriptor
    /// takes the same fields.
    pub tcr: u64,
    /// `MAIR`: index 0 normal non-cached, 1 normal write-back, 2 device (nGnRE).
    pub mair: u64,
}

const TCR_EPD0: u64 = 1 << 7;
const TCR_EPD1: u64 = 1 << 23;
const TCR_HA: u64 = 1 << 39;
const TCR_HD: u64 = 1 << 40;
const TCR_DS: u64 = 1 << 59;

impl<G: Granule> Arm64S1<G> {
    const KIND: Kind = Kind { unprivileged_xn: true, shareability: !G::LPA2 };
}

impl<G: Granule> Sealed for Arm64S1<G> {}

impl<G: Granule> Format for Arm64S1<G> {
    const NAME: &'static str = "ARM_64_LPAE_S1";
    const GRANULE: &'static str = G::NAME;
    const PAGE_SHIFT: u8 = G::SHIFT;
    const MIN_LEVEL: i8 = vmsa::min_level::<G>();
    const OPTIONS: Options = Options::UPPER_HALF
        .with(Options::NON_SECURE)
        .with(Options::OUTER_WRITE_BACK)
        .with(Options::NO_PERMISSIONS)
        .with(Options::HARDWARE_DIRTY)
        .with(Options::CONTIGUOUS);
    const LIVE: u64 = stage1::LIVE;
    const PUBLISHED: u64 = vmsa::PUBLISHED;
    type Registers = Stage1Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let inputs = (vmsa::MIN_INPUT_BITS, Output::<G>::MAX_INPUT_BITS);
        check::<Self>(config, inputs, Output::<G>::sizes())?;
        let geometry = Output::<G>::natural_geometry(config);
        let upper = config.options.contains(Options::UPPER_HALF);
        Ok(if upper { geometry.starting_at(u64::MAX << config.input_bits) } else { geometry })
    }

    fn registers(
        geometry: &Geometry,
        options: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> Stage1Registers {
        let tsz = 64 - u64::from(geometry.input_bits());
        let outer_write_back = options.contains(Options::OUTER_WRITE_BACK);
        let walks = vmsa::walk_attributes(coherent, outer_write_back);
        let half = if options.contains(Options::UPPER_HALF) {
            let tg1 = match G::SHIFT {
                14 => 0b01,
                16 => 0b11,
                _ => 0b10,
            };
            tsz << 16 | walks << 24 | tg1 << 30 | TCR_EPD0
        } else {
            tsz | walks << 8 | vmsa::granule_field_0(G::SHIFT) << 14 | TCR_EPD1
        };
        let ips = vmsa::output_size_field(geometry.output_bits());
        let dirty = options.contains(Options::HARDWARE_DIRTY);
        let managed = if dirty { TCR_HA | TCR_HD } else { 0 };
        let lpa2 = if G::LPA2 { TCR_DS } else { 0 };
        Stage1Registers {
            ttbr: Output::<G>::base(root),
            tcr: half | ips << 32 | managed | lpa2,
            mair: stage1::MAIR,
        }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        stage1::attributes(Self::KIND, options, prot)
    }

    fn table_bits(options: Options) -> u64 {
        stage1::table_bits(options)
    }

    vmsa::entries!(G);

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        stage1::prot_of(Self::KIND, leaf)
    }

    #[inline]
    fn cleaned(leaf: u64) -> Option<u64> {
        stage1::cleaned(leaf)
    }

    #[inline]
    fn dirtied(leaf: u64) -> u64 {
        stage1::dirtied(leaf)
    }
}
