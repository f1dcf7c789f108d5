//! The stage of supervisors.

use super::entry::{EXECUTE, Extensions, READ, USER, WRITE};
use super::lookup::Lookup;
use crate::soft::config::ConfigError;
use crate::{
    Access, Fault, FaultKind, Permissions, PhysMemory, Rights, RiscVRegisters, Translation, Walker,
};

/// Single-stage translation (or VS-stage translation, where stage 2 is off): Sv39, Sv48, Sv57.
///
/// Privileged accesses are S-mode's, the others U-mode's. A page with `U` is for U-mode, and for
/// loads and stores of S-mode with `SUM`; S-mode never fetches from it. A page without is for
/// S-mode alone.
///
/// An address that is not the sign extension of what the tables resolve is a translation fault at
/// level 0.
///
/// # References
///
/// The RISC-V Instruction Set Manual, volume II, "Virtual Address Translation Process".
#[derive(Clone, Copy, Debug)]
pub struct RiscV<M> {
    memory: M,
    lookup: Lookup,
    sum: bool,
    mxr: bool,
}

impl<M: PhysMemory> RiscV<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoTable`] if the `MODE` of `satp` is none of Sv39, Sv48 and Sv57.
    pub fn new(memory: M, registers: RiscVRegisters) -> Result<Self, ConfigError> {
        let RiscVRegisters { satp, sum, mxr, pbmt, napot, adue } = registers;
        let lookup = Lookup::new(satp, 0, Extensions { pbmt, napot, adue })?;
        Ok(Self { memory, lookup, sum, mxr })
    }
}

impl<M: PhysMemory> Walker for RiscV<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let sign = self.lookup.input_bits - 1;
        if va >> sign != 0 && va >> sign != u64::MAX >> sign {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        let leaf = self.lookup.walk(&self.memory, va)?;
        let entry = leaf.entry;
        let data = Rights {
            read: entry.has(READ) || self.mxr && entry.has(EXECUTE),
            write: entry.has(WRITE),
            execute: false,
        };
        let all = Rights { execute: entry.has(EXECUTE), ..data };
        let permissions = match (entry.has(USER), self.sum) {
            (false, _) => Permissions { privileged: all, unprivileged: Rights::default() },
            (true, false) => Permissions { privileged: Rights::default(), unprivileged: all },
            (true, true) => Permissions { privileged: data, unprivileged: all },
        };
        leaf.answer(access, permissions, self.lookup.extensions)
    }
}
