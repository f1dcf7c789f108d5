//! VMSAv8-32 stage 1 with long descriptors.

use super::register::{Ttbcr, TtbcrHalf};
use super::{NO_LOOKUP, shape};
use crate::soft::answer::Meaning;
use crate::soft::config::ConfigError;
use crate::soft::descriptor::{NOT_GLOBAL, NS, NS_TABLE};
use crate::soft::granule::Granule;
use crate::soft::lookup::{Leaf, Lookup};
use crate::soft::{attribute, permission};
use crate::{Access, Fault, PhysMemory, Translation, Walker};

/// Raw values of the registers that control stage 1 in `AArch32`.
///
/// # References
///
/// Arm DDI 0487, section G8.2: `TTBR0`, `TTBR1`, `TTBCR`, `MAIR0`, `MAIR1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stage1Aarch32Registers {
    /// Base of the tables for the lower half; `None` acts as `EPD0` set.
    pub ttbr0: Option<u64>,
    /// Base of the tables for the upper half; `None` acts as `EPD1` set.
    pub ttbr1: Option<u64>,
    /// `T0SZ`, `EPD0`, `T1SZ`, `EPD1` and `EAE` are obeyed. `IRGNn`, `ORGNn`, `SHn` say how tables
    /// are read, which changes no answer.
    pub ttbcr: u32,
    /// Attributes 0 to 3, one a byte.
    pub mair0: u32,
    /// Attributes 4 to 7, one a byte.
    pub mair1: u32,
}

/// A stage 1 MMU of the PL1&0 regime in `AArch32`, with long descriptors (LPAE).
///
/// Addresses have 32 bits; a larger one is a level 1 translation fault, and so is one in neither
/// half, or in a half without walks. With both `T0SZ` and `T1SZ` zero, everything is in the lower
/// half; with one of them zero, that half has what the other leaves. Output addresses have 40
/// bits.
///
/// # Permissions
///
/// `AP`, `XN` and `PXN` of the leaf, then `APTable`, `XNTable` and `PXNTable` of all tables on the
/// way. `XN` is for both privileges, and a fetch needs read permission. `SCTLR.WXN`, `UWXN` and
/// `PSTATE.PAN` are off.
///
/// # Not modelled
///
/// Short descriptors; `TTBCR.T2E` with `TTBCR2` (`HPDn`); `SCR.SIF`; the Hyp mode's registers; a
/// second physical address space, from which tables below an `NSTable` would be read.
///
/// # References
///
/// Arm DDI 0487, chapter G5, "The VMSAv8-32 Long-descriptor translation table format"; section
/// J1.2, functions `AArch32.GetVARange`, `AArch32.VAIsOutOfRange`, `AArch32.S1WalkLD`,
/// `AArch32.S1LDHasPermissionsFault`.
#[derive(Clone, Copy, Debug)]
pub struct Stage1Aarch32<M> {
    memory: M,
    ttbcr: Ttbcr,
    /// None where every address faults before a lookup.
    lower: Option<Lookup>,
    upper: Option<Lookup>,
    /// `MAIR1` above `MAIR0`.
    mair: u64,
}

fn lookup(base: Option<u64>, half: TtbcrHalf) -> Option<Lookup> {
    let base = base.filter(|_| !half.walks_disabled)?;
    Lookup::new(base, shape(Granule::Size4K.start_level(half.input_bits), half.input_bits))
}

impl<M: PhysMemory> Stage1Aarch32<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ShortDescriptors`] if `EAE` is clear.
    pub fn new(memory: M, registers: Stage1Aarch32Registers) -> Result<Self, ConfigError> {
        let ttbcr = Ttbcr(registers.ttbcr);
        if !ttbcr.long_descriptors() {
            return Err(ConfigError::ShortDescriptors);
        }
        Ok(Self {
            memory,
            ttbcr,
            lower: lookup(registers.ttbr0, ttbcr.lower()),
            upper: lookup(registers.ttbr1, ttbcr.upper()),
            mair: u64::from(registers.mair1) << 32 | u64::from(registers.mair0),
        })
    }

    /// The tables for `va`, if it is in a half that has some.
    fn half(&self, va: u32) -> Option<&Lookup> {
        let va = u64::from(va);
        let (lower_bits, upper_bits) =
            (self.ttbcr.lower().input_bits, self.ttbcr.upper().input_bits);
        // Each is trivially so where the size is 32 bits.
        let in_lower = va >> lower_bits == 0;
        let in_upper = va >> upper_bits == u64::from(u32::MAX) >> upper_bits;
        let prefers_upper = lower_bits == 32 && upper_bits < 32;
        match (in_lower, in_upper) {
            (true, true) if prefers_upper => self.upper.as_ref(),
            (true, _) => self.lower.as_ref(),
            (false, true) => self.upper.as_ref(),
            (false, false) => None,
        }
    }
}

impl<M: PhysMemory> Walker for Stage1Aarch32<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let va = u32::try_from(va).map_err(|_| NO_LOOKUP)?;
        let lookup = self.half(va).ok_or(NO_LOOKUP)?;
        let input = u64::from(va) & ((1 << lookup.shape.input_bits) - 1);

        let leaf = lookup.walk(&self.memory, input, u64::from(va) ^ input)?;
        leaf.check_access_flag(lookup.shape.managed)?;
        let Leaf { descriptor, tables, .. } = leaf;
        let meaning = Meaning {
            memory: attribute::stage1(self.mair, descriptor),
            shareability: descriptor.shareability(),
            dirty_state: None,
            non_secure: descriptor.has(NS) || tables.has(NS_TABLE),
            global: !descriptor.has(NOT_GLOBAL),
            permissions: permission::stage1_aarch32(descriptor, tables),
        };
        leaf.answer(access, meaning)
    }
}
