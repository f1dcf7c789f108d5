//! `ARM_32_LPAE_S1`: Arm's 32-bit stage 1 with long descriptors (LPAE).
//!
//! # References
//!
//! Arm DDI 0487: G5.3 and G5.5 (long descriptors), `TTBCR`, `TTBR0`, `TTBR1`, `MAIR0`, `MAIR1`.

use super::stage1::{self, Kind};
use super::vmsa::{self, Output};
use super::{
    Attributes, Config, ConfigError, Format, Granule, Granule4K, Options, Sealed, check,
    output_bits_to,
};
use crate::addr::PhysAddr;
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

/// Arm's 32-bit stage 1 with long descriptors: 32 bits of input, 40 of output, 4 KiB granule.
///
/// As for [`Arm64S1`](super::Arm64S1), [`Prot::READ`] is required. With
/// [`Options::UPPER_HALF`], the table translates the upper `input_bits` (at most 31) bits' worth
/// of the 32-bit space.
#[derive(Clone, Copy, Debug)]
pub enum Arm32S1 {}

/// What a driver programs for [`Arm32S1`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage1Registers32 {
    /// `TTBR0`, or with [`Options::UPPER_HALF`] `TTBR1`: the root's physical address; the ASID
    /// field is zero.
    pub ttbr: u64,
    /// `TTBCR` for this half (`TnSZ`, `IRGNn`, `ORGNn`, `SHn`), with EAE, and with EPD set for the
    /// other half, which is not walked.
    pub ttbcr: u32,
    /// `MAIR0` and `MAIR1`: index 0 normal non-cached, 1 normal write-back, 2 device.
    pub mair: [u32; 2],
}

const TTBCR_EPD0: u64 = 1 << 7;
const TTBCR_EPD1: u64 = 1 << 23;
const TTBCR_EAE: u64 = 1 << 31;

const KIND: Kind = Kind { unprivileged_xn: false, shareability: true };

impl Sealed for Arm32S1 {}

impl Format for Arm32S1 {
    const NAME: &'static str = "ARM_32_LPAE_S1";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    const MIN_LEVEL: i8 = 1;
    const OPTIONS: Options = Options::UPPER_HALF
        .with(Options::NON_SECURE)
        .with(Options::OUTER_WRITE_BACK)
        .with(Options::NO_PERMISSIONS)
        .with(Options::CONTIGUOUS);
    const LIVE: u64 = stage1::LIVE;
    const PUBLISHED: u64 = vmsa::PUBLISHED;
    type Registers = Stage1Registers32;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let upper = config.options.contains(Options::UPPER_HALF);
        let inputs = (25, if upper { 31 } else { 32 });
        check::<Self>(config, inputs, output_bits_to(40))?;
        let geometry = Output::<Granule4K>::natural_geometry(config);
        let first = (1 << 32) - (1 << config.input_bits);
        Ok(if upper { geometry.starting_at(first) } else { geometry })
    }

    fn registers(
        geometry: &Geometry,
        options: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> Stage1Registers32 {
        let tsz = 32 - u64::from(geometry.input_bits());
        let outer_write_back = options.contains(Options::OUTER_WRITE_BACK);
        let walks = vmsa::walk_attributes(coherent, outer_write_back);
        let half = if options.contains(Options::UPPER_HALF) {
            tsz << 16 | walks << 24 | TTBCR_EPD0
        } else {
            tsz | walks << 8 | TTBCR_EPD1
        };
        // CAST: all fields lie in the lower 32 bits; the MAIR is cut into its halves.
        Stage1Registers32 {
            ttbr: root.0,
            ttbcr: (half | TTBCR_EAE) as u32,
            mair: [stage1::MAIR as u32, (stage1::MAIR >> 32) as u32],
        }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        stage1::attributes(KIND, options, prot)
    }

    fn table_bits(options: Options) -> u64 {
        stage1::table_bits(options)
    }

    vmsa::entries!(Granule4K);

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        stage1::prot_of(KIND, leaf)
    }

    #[inline]
    fn cleaned(_: u64) -> Option<u64> {
        None
    }
}
