//! `ARM_32_LPAE_S2`: Arm's 32-bit stage 2.
//!
//! # References
//!
//! Arm DDI 0487: G5.3 and G5.5 (long descriptors), `VTCR`, `VTTBR`.

use super::vmsa::{self, Output};
use super::{
    Attributes, Config, ConfigError, Format, Granule, Granule4K, Options, Sealed, check,
    output_bits_to, stage2,
};
use crate::addr::PhysAddr;
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

/// Arm's 32-bit stage 2: up to 40 bits of input and of output, 4 KiB granule.
///
/// A fetch takes the right to read, too: [`Prot::EXECUTE`] without [`Prot::READ`] lets nothing be
/// fetched.
#[derive(Clone, Copy, Debug)]
pub enum Arm32S2 {}

/// What a driver programs for [`Arm32S2`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2Registers32 {
    /// `VTTBR`: the root's physical address; the VMID field is zero.
    pub vttbr: u64,
    /// `VTCR`: T0SZ with its sign, SL0, IRGN0, ORGN0, SH0, and bit 31, which is RES1.
    pub vtcr: u32,
}

const VTCR_SIGN: u64 = 1 << 4;
/// Walks start at level 1.
const VTCR_SL0_LEVEL_1: u64 = 0b01 << 6;
const VTCR_RES1: u64 = 1 << 31;

impl Sealed for Arm32S2 {}

impl Format for Arm32S2 {
    const NAME: &'static str = "ARM_32_LPAE_S2";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    const MIN_LEVEL: i8 = 1;
    const OPTIONS: Options = Options::NO_PERMISSIONS.with(Options::CONTIGUOUS);
    const LIVE: u64 = stage2::LIVE;
    const PUBLISHED: u64 = vmsa::PUBLISHED;
    type Registers = Stage2Registers32;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let max = config.output_bits.min(40);
        check::<Self>(config, (vmsa::MIN_INPUT_BITS, max), output_bits_to(40))?;
        // Walks start at level 1 for all these sizes; for 40 bits, at two concatenated tables.
        Ok(Output::<Granule4K>::geometry(1, config.input_bits - 30, config))
    }

    fn registers(
        geometry: &Geometry,
        _: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> Stage2Registers32 {
        // T0SZ is 32 less the input size: zero or negative, in four bits and a copy of their sign.
        let t0sz = 32u64.wrapping_sub(geometry.input_bits().into()) & 0b1111;
        let sign = if t0sz & 0b1000 != 0 { VTCR_SIGN } else { 0 };
        let walks = vmsa::walk_attributes(coherent, false) << 8;
        // CAST: all fields lie in the lower 32 bits.
        let vtcr = (t0sz | sign | VTCR_SL0_LEVEL_1 | walks | VTCR_RES1) as u32;
        Stage2Registers32 { vttbr: root.0, vtcr }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        stage2::attributes(true, options, prot)
    }

    fn table_bits(_: Options) -> u64 {
        vmsa::TABLE_OR_PAGE
    }

    vmsa::entries!(Granule4K);

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        stage2::prot_of(leaf)
    }

    #[inline]
    fn cleaned(_: u64) -> Option<u64> {
        None
    }
}
