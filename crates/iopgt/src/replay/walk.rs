//! The bridge between two crates that do not know each other: tables made by `iopgtable`, walked
//! by `walkers`.

use gpuvm::{Device, Vm};
use iopgtable::format::{MaliRegisters, Stage1Registers, Stage2Registers, X86_64Registers};
use iopgtable::{Arm64S1, Arm64S2, ArmMali, Format, Granule, PhysAddr, X86_64};
use walkers::soft::{self, ConfigError, Mali, Stage1, Stage2};
use walkers::{FnMemory, Walker};

use super::machine::Tables;

/// A format that an independent MMU walks.
pub(super) trait Walked: Format {
    /// Builds that MMU from the registers that a driver would program, and lends it to `look`.
    ///
    /// # Errors
    ///
    /// When the MMU refuses the registers.
    fn with_walker<R>(
        registers: Self::Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        look: &mut dyn FnMut(&dyn Walker) -> R,
    ) -> Result<R, ConfigError>;
}

impl<G: Granule> Walked for Arm64S1<G> {
    fn with_walker<R>(
        registers: Stage1Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        look: &mut dyn FnMut(&dyn Walker) -> R,
    ) -> Result<R, ConfigError> {
        let Stage1Registers { ttbr, tcr, mair, .. } = registers;
        let registers = soft::Stage1Registers { ttbr0: Some(ttbr), ttbr1: None, tcr, mair };
        Ok(look(&Stage1::new(FnMemory(read), registers)?))
    }
}

impl<G: Granule> Walked for Arm64S2<G> {
    fn with_walker<R>(
        registers: Stage2Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        look: &mut dyn FnMut(&dyn Walker) -> R,
    ) -> Result<R, ConfigError> {
        let Stage2Registers { vttbr, vtcr, force_write_back } = registers;
        let registers = soft::Stage2Registers { vttbr, vtcr, force_write_back };
        Ok(look(&Stage2::new(FnMemory(read), registers)?))
    }
}

impl Walked for ArmMali {
    fn with_walker<R>(
        registers: MaliRegisters,
        read: &dyn Fn(u64) -> Option<u64>,
        look: &mut dyn FnMut(&dyn Walker) -> R,
    ) -> Result<R, ConfigError> {
        let MaliRegisters { transtab, memattr, .. } = registers;
        let registers = soft::MaliRegisters { transtab, memattr };
        Ok(look(&Mali::new(FnMemory(read), registers)?))
    }
}

impl Walked for X86_64 {
    fn with_walker<R>(
        registers: X86_64Registers,
        read: &dyn Fn(u64) -> Option<u64>,
        look: &mut dyn FnMut(&dyn Walker) -> R,
    ) -> Result<R, ConfigError> {
        let registers = walkers::X86_64Registers {
            cr3: registers.cr3,
            la57: registers.levels == 5,
            nxe: true,
            wp: true,
            smep: false,
            pat: registers.pat,
            physical_bits: 52,
        };
        Ok(look(&soft::X86_64::new(FnMemory(read), registers)))
    }
}

/// Lends an MMU that walks the tables of `vm` as they are now. No job of any VM of this machine
/// is queued or running: see `Replayer::settle`.
///
/// # Errors
///
/// When the MMU refuses the registers.
#[expect(unsafe_code, reason = "the MMU reads the tables' memory")]
pub(super) fn with_mmu<F: Walked, D: Device, R>(
    vm: &Vm<F, Tables, D>,
    look: &mut dyn FnMut(&dyn Walker) -> R,
) -> Result<R, ConfigError> {
    // SAFETY: the MMU lives in this function only, and remembers nothing.
    let registers = unsafe { vm.registers() };
    vm.with_table(|table| {
        let memory = table.allocator().upstream().upstream();
        // SAFETY: the region's memory is its own, zeroed at the start; the table is locked, and
        // no other VM of the machine has a job to run.
        let read = |phys| unsafe { memory.read(PhysAddr(phys)) };
        F::with_walker(registers, &read, look)
    })
}
