//! What an MMU is programmed with, by the kind of tables that it is to walk.

use crate::soft::{
    MaliRegisters, Stage1Aarch32Registers, Stage1Registers, Stage2Aarch32Registers, Stage2Registers,
};

/// The raw values of the registers that lead to a root, and say how its tables are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Regime {
    /// `VMSAv8-64` stage 1.
    Stage1(Stage1Registers),
    /// `VMSAv8-64` stage 2 alone: stage 1 is off.
    Stage2(Stage2Registers),
    /// `VMSAv8-64` stage 1, whose tables and results are translated by stage 2.
    Nested(Stage1Registers, Stage2Registers),
    /// `VMSAv8-32` stage 1 with long descriptors.
    Stage1Aarch32(Stage1Aarch32Registers),
    /// `VMSAv8-32` stage 2.
    Stage2Aarch32(Stage2Aarch32Registers),
    /// A Mali GPU's address space.
    Mali(MaliRegisters),
    /// x86-64 paging.
    X86_64(X86_64Registers),
    /// VT-d second-stage translation.
    VtdSecondStage(VtdSecondStageRegisters),
    /// AMD IOMMU host tables.
    AmdV1(AmdV1Registers),
    /// RISC-V single-stage (or VS-stage) translation.
    RiscV(RiscVRegisters),
    /// RISC-V G-stage translation alone.
    RiscVGuest(RiscVGuestRegisters),
    /// Arm short descriptors.
    ShortDescriptors(ShortDescriptorRegisters),
    /// Apple's DART.
    Dart(DartRegisters),
}

/// What controls x86-64 paging.
///
/// # References
///
/// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, 4.5.
#[expect(clippy::struct_excessive_bools, reason = "bits of control registers")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct X86_64Registers {
    /// `CR3`: the root's address in bits 51:12. A process-context identifier is not looked at.
    pub cr3: u64,
    /// `CR4.LA57`: five levels.
    pub la57: bool,
    /// `EFER.NXE`: bit 63 of an entry forbids fetches; reserved otherwise.
    pub nxe: bool,
    /// `CR0.WP`: read-only pages are read-only for supervisor accesses, too.
    pub wp: bool,
    /// `CR4.SMEP`: supervisors do not fetch from user pages.
    pub smep: bool,
    /// `IA32_PAT`: eight memory types, one a byte.
    pub pat: u64,
    /// `MAXPHYADDR`: how many bits a physical address has; bits from there on are reserved.
    pub physical_bits: u8,
}

/// What controls VT-d second-stage translation.
///
/// # References
///
/// Intel Virtualization Technology for Directed I/O, 9.1 to 9.6 (context and PASID entries), 9.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VtdSecondStageRegisters {
    /// `SLPTPTR` (`SSPTPTR`): the root's address in bits 63:12, the rest zero.
    pub pointer: u64,
    /// `AW`: 1 for 39 bits and three levels, 2 for 48 and four, 3 for 57 and five.
    pub address_width: u8,
    /// `HAW`: how many bits a host physical address has; bits from there on are reserved.
    pub host_bits: u8,
    /// `SSADE`: hardware sets accessed and dirty bits.
    pub access_dirty: bool,
}

/// What controls AMD's host tables: the first four quadwords of a device table entry.
///
/// # References
///
/// AMD I/O Virtualization Technology (IOMMU) Specification, 48882, 2.2.2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AmdV1Registers {
    /// `V`, `TV`, `HAD`, `Mode`, the host page table root, `IR` and `IW` are obeyed.
    pub device_table_entry: [u64; 4],
}

/// What controls RISC-V single-stage translation.
///
/// # References
///
/// The RISC-V Instruction Set Manual, volume II, "Supervisor-Level ISA": `satp`, Sv39 to Sv57,
/// Svnapot, Svpbmt, Svade and Svadu.
#[expect(clippy::struct_excessive_bools, reason = "bits of control registers")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RiscVRegisters {
    /// `satp`: `MODE` 8, 9 or 10; `ASID`; `PPN`.
    pub satp: u64,
    /// `sstatus.SUM`: supervisors read and write user pages; a fault otherwise.
    pub sum: bool,
    /// `sstatus.MXR`: what can be executed can be read.
    pub mxr: bool,
    /// `menvcfg.PBMTE`: bits 62:61 of a leaf are its memory type; reserved otherwise.
    pub pbmt: bool,
    /// Svnapot: bit 63 of a leaf makes a group; reserved otherwise.
    pub napot: bool,
    /// `menvcfg.ADUE`: hardware sets accessed and dirty bits; a fault otherwise.
    pub adue: bool,
}

/// What controls RISC-V G-stage translation.
///
/// # References
///
/// The RISC-V Instruction Set Manual, volume II, "H" extension: `hgatp`, Sv39x4 to Sv57x4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RiscVGuestRegisters {
    /// `hgatp`: `MODE` 8, 9 or 10; `VMID`; `PPN` of the root of 16 KiB.
    pub hgatp: u64,
    /// As [`RiscVRegisters::pbmt`].
    pub pbmt: bool,
    /// As [`RiscVRegisters::napot`].
    pub napot: bool,
    /// As [`RiscVRegisters::adue`].
    pub adue: bool,
}

/// What controls stage 1 with short descriptors.
///
/// # References
///
/// Arm DDI 0487, G5.4 (the short-descriptor format), G8.2: `TTBR0`, `TTBCR`, `PRRR`, `NMRR`,
/// `SCTLR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShortDescriptorRegisters {
    /// Base of the first-level table. For `MediaTek`, bits 2:0 are bits 34:32 of the address.
    pub ttbr0: u32,
    /// `N` and `PD0` are obeyed.
    pub ttbcr: u32,
    /// `PRRR`, with `SCTLR.TRE` set.
    pub prrr: u32,
    /// `NMRR`.
    pub nmrr: u32,
    /// `SCTLR.AFE`: `AP[0]` is the access flag.
    pub afe: bool,
    /// The extension of `MediaTek`'s IOMMUs: address bits 32 and 33 stand in bits 9 and 4 of a
    /// descriptor, and 34 in bit 5, as far as the IOMMU has them, and there are no permissions. This
    /// says how many bits it translates: 32, or 34 with a first-level table of up to 64 KiB.
    pub mediatek: Option<u8>,
}

/// What controls Apple's DART.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DartRegisters {
    /// `TTBR`: valid in bit 31, the root's address in units of 4 KiB from bit 0 on.
    pub ttbr: [u32; 4],
    /// The variant, which says how entries look.
    pub variant: DartVariant,
}

/// The variants of the DART.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DartVariant {
    /// As in the T8020 and the T8103 (M1): 36 bits of output.
    #[default]
    T8020,
    /// As in the T6000 (M1 Pro): 42 bits of output.
    T6000,
}
