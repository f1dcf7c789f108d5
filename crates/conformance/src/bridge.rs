//! What a driver would program, and what it may expect, format by format.

use iopgtable::format::{
    AmdV1Registers, ArmV7sRegisters, Dart, DartRegisters, Extension, FirstStage, GStage,
    MaliRegisters, RiscV, RiscVRegisters, Stage1Registers, Stage1Registers32, Stage2Registers,
    Stage2Registers32, T6000, T8020, VtdS2, VtdS2Registers, X86_64, X86_64Registers,
};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Format, Granule, Prot,
};
use walkers::{Access, Fault, FnMemory, Permissions, Regime, Rights, Translation, soft};

/// `MAXPHYADDR` of x86-64 processors: as many bits as an entry has room for.
pub(crate) const PHYSICAL_BITS: u8 = 52;

/// A format that MMUs walk.
pub trait Walked: Format {
    /// How many bits an address has, whether they are translated or not.
    const ADDRESS_BITS: u32 = 64;

    /// The registers of an MMU, from what a driver would program.
    fn regime(registers: Self::Registers) -> Regime;

    /// What a mapping with `prot` permits, as the format's manual says.
    fn permissions(prot: Prot) -> Permissions;

    /// What a leaf says that was to say `prot`: that, where the format can.
    fn granted(prot: Prot) -> Prot {
        prot
    }
}

/// Has the model of the format translate `address` by tables that `read` reads, with the registers
/// of a driver: without a machine, for tests that walk once.
///
/// # Errors
///
/// The fault that a device would report.
///
/// # Panics
///
/// Where the registers are not those of any device.
pub fn walk<F: Walked>(
    registers: F::Registers,
    read: &dyn Fn(u64) -> Option<u64>,
    address: u64,
    access: Access,
) -> Result<Translation, Fault> {
    let outcome = soft::walk(FnMemory(read), &F::regime(registers), address, access);
    outcome.unwrap_or_else(|why| panic!("the registers of {}: {why}", F::NAME))
}

/// The rights of those whom `prot` is for.
fn rights(prot: Prot) -> Rights {
    Rights {
        read: prot.contains(Prot::READ),
        write: prot.contains(Prot::WRITE),
        execute: prot.contains(Prot::EXECUTE),
    }
}

/// Nobody is told from anybody else.
fn for_all(prot: Prot) -> Permissions {
    Permissions { privileged: rights(prot), unprivileged: rights(prot) }
}

/// Unprivileged accesses may do the same, unless the mapping is for privileged ones only.
fn by_privilege(prot: Prot) -> Permissions {
    let privileged_only = prot.contains(Prot::PRIVILEGED);
    let unprivileged = if privileged_only { Rights::default() } else { rights(prot) };
    Permissions { privileged: rights(prot), unprivileged }
}

/// Nobody is told from anybody else, nor fetches from reads.
fn fetches_are_reads(prot: Prot) -> Permissions {
    let read = prot.contains(Prot::READ);
    let rights = Rights { execute: read, ..rights(prot) };
    Permissions { privileged: rights, unprivileged: rights }
}

impl<G: Granule> Walked for Arm64S1<G> {
    fn regime(registers: Stage1Registers) -> Regime {
        let Stage1Registers { ttbr, tcr, mair } = registers;
        // The control register says which half is walked.
        Regime::Stage1(soft::Stage1Registers { ttbr0: Some(ttbr), ttbr1: Some(ttbr), tcr, mair })
    }

    /// What unprivileged accesses may write, privileged ones cannot execute (D8.4.1.2).
    fn permissions(prot: Prot) -> Permissions {
        let mut permissions = by_privilege(prot);
        permissions.privileged.execute &= !permissions.unprivileged.write;
        permissions
    }
}

impl<G: Granule> Walked for Arm64S2<G> {
    fn regime(registers: Stage2Registers) -> Regime {
        let Stage2Registers { vttbr, vtcr, force_write_back } = registers;
        Regime::Stage2(soft::Stage2Registers { vttbr, vtcr, force_write_back })
    }

    fn permissions(prot: Prot) -> Permissions {
        for_all(prot)
    }
}

impl Walked for Arm32S1 {
    const ADDRESS_BITS: u32 = 32;

    fn regime(registers: Stage1Registers32) -> Regime {
        let Stage1Registers32 { ttbr, ttbcr, mair: [mair0, mair1] } = registers;
        let (ttbr0, ttbr1) = (Some(ttbr), Some(ttbr));
        Regime::Stage1Aarch32(soft::Stage1Aarch32Registers { ttbr0, ttbr1, ttbcr, mair0, mair1 })
    }

    fn permissions(prot: Prot) -> Permissions {
        by_privilege(prot)
    }
}

impl Walked for Arm32S2 {
    fn regime(registers: Stage2Registers32) -> Regime {
        let Stage2Registers32 { vttbr, vtcr } = registers;
        Regime::Stage2Aarch32(soft::Stage2Aarch32Registers { vttbr, vtcr })
    }

    /// A fetch needs the right to read (`AArch32.S2HasPermissionsFault`).
    fn permissions(prot: Prot) -> Permissions {
        let mut permissions = for_all(prot);
        for rights in [&mut permissions.privileged, &mut permissions.unprivileged] {
            rights.execute &= rights.read;
        }
        permissions
    }
}

impl Walked for ArmMali {
    fn regime(registers: MaliRegisters) -> Regime {
        let MaliRegisters { transtab, memattr, .. } = registers;
        Regime::Mali(soft::MaliRegisters { transtab, memattr })
    }

    fn permissions(prot: Prot) -> Permissions {
        for_all(prot)
    }
}

impl Walked for X86_64 {
    fn regime(registers: X86_64Registers) -> Regime {
        let X86_64Registers { cr3, levels, efer, pat, .. } = registers;
        Regime::X86_64(walkers::X86_64Registers {
            cr3,
            la57: levels == 5,
            nxe: efer >> 11 & 1 == 1,
            wp: true,
            smep: false,
            pat,
            physical_bits: PHYSICAL_BITS,
        })
    }

    fn permissions(prot: Prot) -> Permissions {
        by_privilege(prot)
    }
}

impl Walked for VtdS2 {
    fn regime(registers: VtdS2Registers) -> Regime {
        let VtdS2Registers { pointer, address_width, pasid_entry, .. } = registers;
        Regime::VtdSecondStage(walkers::VtdSecondStageRegisters {
            pointer,
            address_width,
            host_bits: 52,
            access_dirty: pasid_entry[0] >> 9 & 1 == 1,
        })
    }

    fn permissions(prot: Prot) -> Permissions {
        fetches_are_reads(prot)
    }

    /// There is no right to fetch, nor device memory.
    fn granted(prot: Prot) -> Prot {
        prot.without(Prot::EXECUTE | Prot::DEVICE)
    }
}

impl Walked for RiscV<FirstStage> {
    fn regime(registers: RiscVRegisters) -> Regime {
        let RiscVRegisters { atp, hardware_updates, memory_types, napot } = registers;
        Regime::RiscV(walkers::RiscVRegisters {
            satp: atp,
            sum: true,
            mxr: false,
            pbmt: memory_types,
            napot,
            adue: hardware_updates,
        })
    }

    /// Each page is for one of the modes, but that S-mode may load and store in U-mode's.
    fn permissions(prot: Prot) -> Permissions {
        let mut permissions = by_privilege(prot);
        permissions.privileged.execute &= prot.contains(Prot::PRIVILEGED);
        permissions
    }
}

impl Walked for RiscV<GStage> {
    fn regime(registers: RiscVRegisters) -> Regime {
        let RiscVRegisters { atp, hardware_updates, memory_types, napot } = registers;
        Regime::RiscVGuest(walkers::RiscVGuestRegisters {
            hgatp: atp,
            pbmt: memory_types,
            napot,
            adue: hardware_updates,
        })
    }

    fn permissions(prot: Prot) -> Permissions {
        for_all(prot)
    }
}

impl Walked for Dart<T8020> {
    fn regime(DartRegisters { ttbr }: DartRegisters) -> Regime {
        Regime::Dart(walkers::DartRegisters { ttbr, variant: walkers::DartVariant::T8020 })
    }

    fn permissions(prot: Prot) -> Permissions {
        fetches_are_reads(prot)
    }

    /// There is no right to fetch, and only the platform says how memory is cached.
    fn granted(prot: Prot) -> Prot {
        prot.without(Prot::EXECUTE | Prot::DEVICE) | Prot::CACHED
    }
}

impl Walked for Dart<T6000> {
    fn regime(DartRegisters { ttbr }: DartRegisters) -> Regime {
        Regime::Dart(walkers::DartRegisters { ttbr, variant: walkers::DartVariant::T6000 })
    }

    fn permissions(prot: Prot) -> Permissions {
        fetches_are_reads(prot)
    }

    /// There is no right to fetch, nor device memory.
    fn granted(prot: Prot) -> Prot {
        prot.without(Prot::EXECUTE | Prot::DEVICE)
    }
}

impl Walked for AmdV1 {
    fn regime(registers: AmdV1Registers) -> Regime {
        let device_table_entry = [registers.dte, 0, 0, 0];
        Regime::AmdV1(walkers::AmdV1Registers { device_table_entry })
    }

    fn permissions(prot: Prot) -> Permissions {
        for_all(Self::granted(prot))
    }

    /// Fetches are reads, and there is no device memory.
    fn granted(prot: Prot) -> Prot {
        let execute = if prot.contains(Prot::READ) { Prot::EXECUTE } else { Prot::NONE };
        prot.without(Prot::DEVICE) | execute
    }
}

impl<E: Extension> Walked for ArmV7s<E> {
    fn regime(registers: ArmV7sRegisters) -> Regime {
        let ArmV7sRegisters { ttbr, ttbcr, prrr, nmrr, input_bits } = registers;
        Regime::ShortDescriptors(walkers::ShortDescriptorRegisters {
            ttbr0: ttbr,
            ttbcr,
            prrr,
            nmrr,
            afe: true,
            mediatek: E::MEDIATEK.then_some(input_bits),
        })
    }

    fn permissions(prot: Prot) -> Permissions {
        let granted = Self::granted(prot);
        if E::MEDIATEK { for_all(granted) } else { by_privilege(granted) }
    }

    /// MediaTek's leaves allow everything.
    fn granted(prot: Prot) -> Prot {
        if E::MEDIATEK { prot.without(Prot::PRIVILEGED) | Prot::RW | Prot::EXECUTE } else { prot }
    }
}
