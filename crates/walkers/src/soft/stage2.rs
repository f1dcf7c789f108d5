//! VMSAv8-64 stage 2.

use super::answer::Meaning;
use super::config::ConfigError;
use super::descriptor::S2AP_WRITE;
use super::granule::Granule;
use super::layout::AddressLayout;
use super::lookup::{Format, Lookup, Shape};
use super::register::Vtcr;
use super::{attribute, permission};
use crate::{Access, Fault, FaultKind, PhysMemory, Shareability, Translation, Walker};

/// What controls stage 2: raw values of its registers, and one bit of another.
///
/// # References
///
/// Arm DDI 0487, section D24.2: `VTTBR_EL2`, `VTCR_EL2`, `HCR_EL2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stage2Registers {
    /// Base of the root table, or of the first of up to 16 concatenated ones.
    pub vttbr: u64,
    /// `T0SZ`, `SL0`, `SL2`, `TG0`, `PS`, `HA`, `HD` and `DS` are obeyed, and `SH0` if `DS` is set.
    /// `IRGN0` and `ORGN0` say how tables are read, which changes no answer.
    pub vtcr: u64,
    /// `HCR_EL2.FWB`, or `S2FWB` of an SMMU's stream table entry: `MemAttr` has the encoding of
    /// `FEAT_S2FWB`.
    pub force_write_back: bool,
}

/// A stage 2 MMU: the address it is asked for is an IPA.
///
/// The base in `VTTBR` is aligned to the size of all concatenated root tables together, bits
/// below are read as zero. A 52-bit base is aligned to 64 bytes at least.
///
/// # Configurations that fault
///
/// With these, every address is a level 0 translation fault:
///
/// - `T0SZ` outside 16 to 39 (12 to 39 with 64 KiB or `DS`), or an input size larger than the
///   output size. The manual asks that the input fits the implemented physical address size; `PS`
///   is taken for that size, as a library that writes tables knows no other.
/// - `SL0` and `SL2` reserved, or a start level that the physical address size does not permit:
///   level -1 with 4 KiB and level 0 with 16 KiB below 52 bits (both need `DS`), level 0 with
///   4 KiB and level 1 with 64 KiB below 44 bits, level 1 with 16 KiB below 42 bits; level 3 with
///   4 KiB (`FEAT_TTST`).
/// - A start level and `T0SZ` that contradict each other: no bit is left for the lookup at the
///   start level, or so many that more than 16 tables were concatenated.
///
/// # Permissions
///
/// `S2AP` for data, `XN[1:0]` with the meaning of `FEAT_XNX` for instructions
/// ([`without_xnx`](Self::without_xnx) reads bit 54 only). The two are independent: a page
/// without read permission can be executed. The manual's tables give `S2AP` data access only,
/// and say of `XN` that it does "not forbid" execution with no word of reads; the rule that
/// fetches need read permission is `AArch32`'s. Table descriptors restrict nothing at stage 2.
///
/// With `HA` and `HD`, `S2AP[1]` of a leaf with `DBM` is its dirty state and forbids no write.
///
/// # Not modelled
///
/// `VTCR_EL2.S2PIE`, `NSA`, `NSW`, `HAFT`, `AssuredOnly`; `HCR_EL2.PTW` and `VM`; the `nT` bit of
/// blocks; what stage 1 and stage 2 combine to.
///
/// # References
///
/// Arm DDI 0487: D8.2.2 (concatenated tables), D8.2.8 to D8.2.10 (levels, `SL0`), D8.4.2.1
/// (Direct permissions, tables D8-76 to D8-78), D8.6.5 (memory types); section J1.1, functions
/// `AArch64.S2InvalidSL`, `AArch64.S2InconsistentSL`, `AArch64.S2MinTxSZ`.
#[derive(Clone, Copy, Debug)]
pub struct Stage2<M> {
    memory: M,
    /// None where every address faults before a lookup.
    lookup: Option<Lookup>,
    /// Of all leaves, where descriptors have no room for theirs.
    shareability: Option<Shareability>,
    force_write_back: bool,
    xnx: bool,
}

/// The walk that the registers ask for, if any does start.
fn lookup(vttbr: u64, vtcr: Vtcr, granule: Granule, layout: AddressLayout) -> Option<Lookup> {
    let output_bits = layout.output_bits(vtcr.output_size());
    let input_bits =
        layout.input_bits(vtcr.size_offset()).filter(|&input_bits| input_bits <= output_bits)?;
    let start_level = vtcr.start_level(granule, layout)?;

    let smallest_output = match (granule, start_level) {
        (Granule::Size4K, -1) | (Granule::Size16K, 0) => 52,
        (Granule::Size4K, 0) | (Granule::Size64K, 1) => 44,
        (Granule::Size16K, 1) => 42,
        _ => 0,
    };
    if output_bits < smallest_output {
        return None;
    }
    let shape = Shape {
        format: Format::Vmsa,
        granule,
        layout,
        start_level,
        input_bits,
        output_bits,
        managed: vtcr.managed(),
    };
    Lookup::new(vttbr, shape)
}

impl<M: PhysMemory> Stage2<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ReservedGranule`] if `TG0` is reserved.
    pub fn new(memory: M, registers: Stage2Registers) -> Result<Self, ConfigError> {
        let vtcr = Vtcr(registers.vtcr);
        let granule = vtcr.granule().ok_or(ConfigError::ReservedGranule { field: "TG0" })?;
        let layout = AddressLayout::new(granule, vtcr.ds());
        Ok(Self {
            memory,
            lookup: lookup(registers.vttbr, vtcr, granule, layout),
            shareability: (layout == AddressLayout::Lpa2).then_some(vtcr.shareability()),
            force_write_back: registers.force_write_back,
            xnx: true,
        })
    }

    /// The same on a machine without `FEAT_XNX`: bit 54 forbids execution at both privileges, and
    /// bit 53 says nothing.
    #[must_use]
    pub fn without_xnx(self) -> Self {
        Self { xnx: false, ..self }
    }

    /// What it reads its tables from.
    pub(super) const fn memory(&self) -> &M {
        &self.memory
    }

    pub(super) const fn forces_write_back(&self) -> bool {
        self.force_write_back
    }
}

impl<M: PhysMemory> Walker for Stage2<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let lookup = self
            .lookup
            .as_ref()
            .filter(|lookup| va >> lookup.shape.input_bits == 0)
            .ok_or(Fault::new(FaultKind::Translation, 0))?;

        let leaf = lookup.walk(&self.memory, va, 0)?;
        let managed = lookup.shape.managed;
        leaf.check_access_flag(managed)?;
        let descriptor = leaf.descriptor;
        let dirty_state = managed.dirty_state(descriptor, descriptor.has(S2AP_WRITE));
        let meaning = Meaning {
            memory: if self.force_write_back {
                attribute::stage2_forced_write_back(descriptor)
            } else {
                attribute::stage2(descriptor)
            },
            shareability: self.shareability.unwrap_or(descriptor.shareability()),
            dirty_state,
            non_secure: false,
            global: false,
            permissions: permission::stage2(descriptor, dirty_state, self.xnx),
        };
        leaf.answer(access, meaning)
    }
}
