//! The stage below guests.

use super::entry::{EXECUTE, Extensions, READ, USER, WRITE};
use super::lookup::Lookup;
use crate::soft::config::ConfigError;
use crate::{
    Access, Fault, FaultKind, Permissions, PhysMemory, Rights, RiscVGuestRegisters, Translation,
    Walker,
};

/// G-stage translation alone: Sv39x4, Sv48x4, Sv57x4.
///
/// The root has 16 KiB, and its index two more bits; the lowest two bits of its `PPN` read as
/// zero. An address beyond 41, 50 or 59 bits is a translation fault at level 0.
///
/// Every access is U-mode's here, whoever makes it: a page without `U` is for nobody. `G` says
/// nothing. `MXR` is off.
///
/// # References
///
/// The RISC-V Instruction Set Manual, volume II, "Guest Physical Address Translation".
#[derive(Clone, Copy, Debug)]
pub struct RiscVGuest<M> {
    memory: M,
    lookup: Lookup,
}

impl<M: PhysMemory> RiscVGuest<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoTable`] if the `MODE` of `hgatp` is none of Sv39x4, Sv48x4 and Sv57x4.
    pub fn new(memory: M, registers: RiscVGuestRegisters) -> Result<Self, ConfigError> {
        let RiscVGuestRegisters { hgatp, pbmt, napot, adue } = registers;
        Ok(Self { memory, lookup: Lookup::new(hgatp, 2, Extensions { pbmt, napot, adue })? })
    }
}

impl<M: PhysMemory> Walker for RiscVGuest<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        if va >> self.lookup.input_bits != 0 {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        let mut leaf = self.lookup.walk(&self.memory, va)?;
        leaf.global = false;
        let entry = leaf.entry;
        let user = entry.has(USER);
        let rights = Rights {
            read: user && entry.has(READ),
            write: user && entry.has(WRITE),
            execute: user && entry.has(EXECUTE),
        };
        let permissions = Permissions { privileged: rights, unprivileged: rights };
        leaf.answer(access, permissions, self.lookup.extensions)
    }
}
