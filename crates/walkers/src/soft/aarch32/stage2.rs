//! VMSAv8-32 stage 2.

use super::register::Vtcr;
use super::{NO_LOOKUP, shape};
use crate::soft::answer::Meaning;
use crate::soft::lookup::Lookup;
use crate::soft::{attribute, permission};
use crate::{Access, Fault, PhysMemory, Translation, Walker};

/// Raw values of the registers that control stage 2 in `AArch32`.
///
/// # References
///
/// Arm DDI 0487, section G8.2: `VTTBR`, `VTCR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stage2Aarch32Registers {
    /// Base of the root table, or of the first of up to 16 concatenated ones.
    pub vttbr: u64,
    /// `T0SZ`, `S` and `SL0` are obeyed. `IRGN0`, `ORGN0`, `SH0` say how tables are read, which
    /// changes no answer.
    pub vtcr: u32,
}

/// A stage 2 MMU in `AArch32`: the address it is asked for is an IPA of 25 to 40 bits. Output
/// addresses have 40 bits.
///
/// # Configurations that fault
///
/// With these, every address is a level 1 translation fault: `SL0` reserved; `SL0` and `T0SZ` that
/// contradict each other (level 1 takes 31 to 40 bits, level 2 takes 25 to 34); `S` that is not
/// the sign of `T0SZ`, for which hardware takes an unknown size.
///
/// # Permissions
///
/// `S2AP`, and `XN[1:0]` with the meaning of `FEAT_XNX`
/// ([`without_xnx`](Self::without_xnx) reads bit 54 only). A fetch needs read permission, other
/// than in [`Stage2`](crate::soft::Stage2).
///
/// # Not modelled
///
/// `HCR.PTW` and `VM`; `HCR2.CD` and `ID`.
///
/// # References
///
/// Arm DDI 0487, chapter G5, "The VMSAv8-32 Long-descriptor translation table format"; section
/// J1.2, functions `AArch32.S2IASize`, `AArch32.S2InconsistentSL`, `AArch32.S2Walk`,
/// `AArch32.S2HasPermissionsFault`.
#[derive(Clone, Copy, Debug)]
pub struct Stage2Aarch32<M> {
    memory: M,
    /// None where every address faults before a lookup.
    lookup: Option<Lookup>,
    xnx: bool,
}

impl<M: PhysMemory> Stage2Aarch32<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    pub fn new(memory: M, registers: Stage2Aarch32Registers) -> Self {
        let vtcr = Vtcr(registers.vtcr);
        let lookup =
            vtcr.start_level().zip(vtcr.input_bits()).and_then(|(start_level, input_bits)| {
                Lookup::new(registers.vttbr, shape(start_level, input_bits))
            });
        Self { memory, lookup, xnx: true }
    }

    /// The same on a machine without `FEAT_XNX`: bit 54 forbids execution at both privileges, and
    /// bit 53 says nothing.
    #[must_use]
    pub fn without_xnx(self) -> Self {
        Self { xnx: false, ..self }
    }
}

impl<M: PhysMemory> Walker for Stage2Aarch32<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let lookup = self
            .lookup
            .as_ref()
            .filter(|lookup| va >> lookup.shape.input_bits == 0)
            .ok_or(NO_LOOKUP)?;

        let leaf = lookup.walk(&self.memory, va, 0)?;
        leaf.check_access_flag(lookup.shape.managed)?;
        let meaning = Meaning {
            memory: attribute::stage2(leaf.descriptor),
            shareability: leaf.descriptor.shareability(),
            dirty_state: None,
            non_secure: false,
            global: false,
            permissions: permission::stage2_aarch32(leaf.descriptor, self.xnx),
        };
        leaf.answer(access, meaning)
    }
}
