//! VMSAv8-64 stage 1 of the EL1&0 regime.

use super::answer::Meaning;
use super::config::ConfigError;
use super::descriptor::{AP_READ_ONLY, Descriptor, NOT_GLOBAL, NS, NS_TABLE};
use super::layout::AddressLayout;
use super::lookup::{Format, Leaf, Lookup, Shape};
use super::register::{Tcr, TcrHalf};
use super::{attribute, permission};
use crate::{Access, Fault, FaultKind, PhysMemory, Shareability, Translation, Walker};

/// Raw values of the registers that control stage 1.
///
/// # References
///
/// Arm DDI 0487, section D24.2: `TTBR0_EL1`, `TTBR1_EL1`, `TCR_EL1`, `MAIR_EL1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stage1Registers {
    /// Base of the tables for the lower half; `None` acts as `EPD0` set.
    pub ttbr0: Option<u64>,
    /// Base of the tables for the upper half; `None` acts as `EPD1` set.
    pub ttbr1: Option<u64>,
    /// `T0SZ`, `EPD0`, `TG0`, `T1SZ`, `EPD1`, `TG1`, `IPS`, `TBI0`, `TBI1`, `HPD0`, `HPD1`, `HA`,
    /// `HD` and `DS` are obeyed, and `SHn` if `DS` is set. `IRGNn` and `ORGNn` say how tables are
    /// read, which changes no answer.
    pub tcr: u64,
    /// Eight attributes, one a byte.
    pub mair: u64,
}

/// A stage 1 MMU.
///
/// Bit 55 of an address selects the half: `TTBR0` at the bottom, `TTBR1` at the top. An address
/// in neither range is a level 0 translation fault.
///
/// The base in a `TTBR` is aligned to the size of the root table, bits below are read as zero: a
/// root with two entries has 16 bytes. A 52-bit base is aligned to 64 bytes at least.
///
/// # Permissions
///
/// `AP`, `UXN` and `PXN` of the leaf, then `APTable`, `UXNTable` and `PXNTable` of all tables on
/// the way, unless `HPDn` is set. What is writable for unprivileged accesses after that is not
/// executable for privileged ones. `SCTLR_EL1.WXN` and `PSTATE.PAN` are off.
///
/// With `HA` and `HD`, `AP[2]` of a leaf with `DBM` is its dirty state and forbids no write.
///
/// # Not modelled
///
/// `TCR_EL1.E0PDn`, `NFDn`, `TBIDn`; `TCR2_EL1`; `SCR_EL3.SIF`; the `nT` bit of blocks; indirect
/// and overlay permissions; a second physical address space, from which tables below an `NSTable`
/// would be read.
///
/// # References
///
/// Arm DDI 0487: D8.2.3 and D8.2.4 (base registers), D8.2.8 to D8.2.10 (levels and indices),
/// D8.4.1.2 (Direct permissions), D8.6.1 (memory types).
#[derive(Clone, Copy, Debug)]
pub struct Stage1<M> {
    memory: M,
    /// None where every address faults before a lookup.
    lower: Option<Half>,
    upper: Option<Half>,
    mair: u64,
}

#[derive(Clone, Copy, Debug)]
struct Half {
    lookup: Lookup,
    /// Of all leaves, where descriptors have no room for theirs.
    shareability: Option<Shareability>,
    top_byte_ignored: bool,
    hierarchy_disabled: bool,
}

impl Half {
    fn new(
        base: Option<u64>,
        tcr: Tcr,
        half: TcrHalf,
        field: &'static str,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(base) = base.filter(|_| !half.walks_disabled) else {
            return Ok(None);
        };
        let granule = half.granule.ok_or(ConfigError::ReservedGranule { field })?;
        let layout = AddressLayout::new(granule, tcr.ds());
        let lookup = layout.input_bits(half.size_offset).and_then(|input_bits| {
            let shape = Shape {
                format: Format::Vmsa,
                granule,
                layout,
                start_level: granule.start_level(input_bits),
                input_bits,
                output_bits: layout.output_bits(tcr.output_size()),
                managed: tcr.managed(),
            };
            Lookup::new(base, shape)
        });
        Ok(lookup.map(|lookup| Self {
            lookup,
            shareability: (layout == AddressLayout::Lpa2).then_some(half.shareability),
            top_byte_ignored: half.top_byte_ignored,
            hierarchy_disabled: half.hierarchy_disabled,
        }))
    }

    /// The bits of `va` that the tables resolve, if the ones above all equal bit 55.
    fn input(&self, va: u64, upper: bool) -> Option<u64> {
        let above = if upper { u64::MAX } else { 0 };
        let tag = if self.top_byte_ignored { 0xff << 56 } else { 0 };
        let untagged = va & !tag | above & tag;
        let input_bits = self.lookup.shape.input_bits;
        (untagged >> input_bits == above >> input_bits).then_some(va & ((1 << input_bits) - 1))
    }
}

impl<M: PhysMemory> Stage1<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ReservedGranule`] if the granule of a half with walks enabled is reserved.
    pub fn new(memory: M, registers: Stage1Registers) -> Result<Self, ConfigError> {
        let tcr = Tcr(registers.tcr);
        Ok(Self {
            memory,
            lower: Half::new(registers.ttbr0, tcr, tcr.lower(), "TG0")?,
            upper: Half::new(registers.ttbr1, tcr, tcr.upper(), "TG1")?,
            mair: registers.mair,
        })
    }

    /// What it reads its tables from.
    pub(super) const fn memory(&self) -> &M {
        &self.memory
    }
}

impl<M: PhysMemory> Walker for Stage1<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let is_upper = va >> 55 & 1 == 1;
        let half = if is_upper { &self.upper } else { &self.lower };
        let out_of_range = Fault::new(FaultKind::Translation, 0);
        let half = half.as_ref().ok_or(out_of_range)?;
        let input = half.input(va, is_upper).ok_or(out_of_range)?;
        let above = if is_upper { u64::MAX << half.lookup.shape.input_bits } else { 0 };

        let leaf = half.lookup.walk(&self.memory, input, above)?;
        let managed = half.lookup.shape.managed;
        leaf.check_access_flag(managed)?;
        let Leaf { descriptor, tables, .. } = leaf;
        let dirty_state = managed.dirty_state(descriptor, !descriptor.has(AP_READ_ONLY));
        let limits = if half.hierarchy_disabled { Descriptor::default() } else { tables };
        let meaning = Meaning {
            memory: attribute::stage1(self.mair, descriptor),
            shareability: half.shareability.unwrap_or(descriptor.shareability()),
            dirty_state,
            // HPDn does not switch NSTable off.
            non_secure: descriptor.has(NS) || tables.has(NS_TABLE),
            global: !descriptor.has(NOT_GLOBAL),
            permissions: permission::stage1(descriptor, dirty_state, limits),
        };
        leaf.answer(access, meaning)
    }
}
