//! What differs between the formats from Linux's point of view: rights and registers.

use core::ffi::c_int;

use iopgtable::format::{
    AmdV1Registers, ArmV7sRegisters, Attributes, Dart, DartRegisters, DartVariant, Extension,
    MaliRegisters, Stage1Registers, Stage1Registers32, Stage2Registers, Stage2Registers32,
    X86_64Registers,
};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Format, Granule, PageTable, Prot,
    TableAllocator, X86_64,
};

use super::abi::{
    AmdOutput, Cfg, DartOutput, MaliOutput, Output, Stage1Output, Stage2Output, V7sOutput, prot,
    quirk,
};

/// How many values the bits of `prot` that mean something take.
pub(super) const PROTS: usize = 64;

/// A format that Linux has, too.
pub(super) trait LinuxFormat: Format {
    /// What each value of `prot` asks for.
    const PROTS: [Prot; PROTS];
    /// The quirks that are understood.
    const QUIRKS: u64;
    /// How many bits of a table's address entries hold, whatever the output size is.
    const ADDRESS_BITS: u32 = 48;

    /// How many bits of a table's address its entries hold.
    fn table_address_bits(_: &Cfg) -> u32 {
        Self::ADDRESS_BITS
    }

    /// Stores what the driver programs.
    fn store(registers: Self::Registers, cfg: &mut Cfg);

    /// What `prot` asks for; nothing where it neither reads nor writes.
    fn prot(prot: c_int) -> Option<Prot> {
        (prot & (prot::READ | prot::WRITE) != 0).then(|| Self::PROTS[known_bits(prot)])
    }
}

/// The bits of `prot` that mean something. Others are ignored, as Linux does.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "bits, of which six are kept")]
pub(super) const fn known_bits(prot: c_int) -> usize {
    prot as usize & (PROTS - 1)
}

/// What leaves look like, for each value of `prot` that allows something and that the format can
/// express.
pub(super) fn attributes<F: LinuxFormat, A: TableAllocator>(
    table: &PageTable<F, A>,
) -> [Option<Attributes>; PROTS] {
    // CAST: below 64.
    #[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "below 64")]
    let encoded = |bits: usize| table.attributes(F::prot(bits as c_int)?).ok();
    core::array::from_fn(encoded)
}

/// Rights as a format sees them: stage 1 reads whatever else it may, and only stage 1 tells
/// privileged accesses from others.
const fn prots(stage1: bool) -> [Prot; PROTS] {
    let mut table = [Prot::NONE; PROTS];
    let mut bits = 0;
    while bits < PROTS {
        // CAST: below 64.
        #[expect(clippy::cast_possible_wrap, reason = "below 64")]
        let wanted = bits as c_int;
        let mut prot = Prot::NONE;
        if stage1 || wanted & prot::READ != 0 {
            prot = prot.with(Prot::READ);
        }
        if wanted & prot::WRITE != 0 {
            prot = prot.with(Prot::WRITE);
        }
        if wanted & prot::NOEXEC == 0 {
            prot = prot.with(Prot::EXECUTE);
        }
        if stage1 && wanted & prot::PRIV != 0 {
            prot = prot.with(Prot::PRIVILEGED);
        }
        // Device memory stays device memory, cached or not.
        if wanted & prot::MMIO != 0 {
            prot = prot.with(Prot::DEVICE);
        } else if wanted & prot::CACHE != 0 {
            prot = prot.with(Prot::CACHED);
        }
        table[bits] = prot;
        bits += 1;
    }
    table
}

/// The same without a right that the format does not have.
const fn without(prots: [Prot; PROTS], right: Prot) -> [Prot; PROTS] {
    let mut prots = prots;
    let mut bits = 0;
    while bits < PROTS {
        prots[bits] = prots[bits].without(right);
        bits += 1;
    }
    prots
}

/// The same where normal memory is cached whatever is asked for, as on x86.
const fn coherent(prots: [Prot; PROTS]) -> [Prot; PROTS] {
    let mut prots = prots;
    let mut bits = 0;
    while bits < PROTS {
        if !prots[bits].contains(Prot::DEVICE) {
            prots[bits] = prots[bits].with(Prot::CACHED);
        }
        bits += 1;
    }
    prots
}

/// The bits of a register from `shift` on.
const fn field(register: u64, shift: u32, bits: u32) -> u32 {
    // CAST: a few bits.
    (register >> shift) as u32 & ((1 << bits) - 1)
}

/// What Linux packs of a control register, whose fields begin at bit 0, or at bit 16 for the upper
/// half: `SH`, `ORGN` and `IRGN`, from bit 5 on.
const fn walks(control: u64) -> u32 {
    field(control, 12, 2) << 5 | field(control, 10, 2) << 7 | field(control, 8, 2) << 9
}

/// Stores what the driver programs for stage 1: `ips` and `tg` apart, as not every control register
/// has them, and so the size of the input, whose field Linux takes from 64 also in 32 bits.
fn store_stage1(cfg: &mut Cfg, ttbr: u64, half: u64, (ips, tg): (u32, u32), mair: u64) {
    let tcr = ips | tg << 3 | walks(half) | (64 - cfg.ias) << 11;
    // Byte 3: normal memory, inner non-cached, outer write-back. No leaf names it, but drivers
    // that hand the register on to a device's firmware expect it.
    let mair = mair | 0xf4 << 24;
    cfg.out = Output { largest: [0; 5] };
    cfg.out.s1 = Stage1Output { ttbr, tcr, mair };
}

/// The same for stage 2.
fn store_stage2(cfg: &mut Cfg, vttbr: u64, control: u64, (ps, tg): (u32, u32)) {
    let sl = field(control, 6, 2);
    let vtcr = ps | tg << 3 | walks(control) | sl << 11 | (64 - cfg.ias) << 13;
    cfg.out = Output { largest: [0; 5] };
    cfg.out.s2 = Stage2Output { vttbr, vtcr };
}

/// The encoding of a physical address size of the 32-bit formats, which have no field for it.
const fn output_size(cfg: &Cfg) -> u32 {
    match cfg.oas {
        32 => 0,
        36 => 1,
        _ => 2,
    }
}

impl<G: Granule> LinuxFormat for Arm64S1<G> {
    const PROTS: [Prot; PROTS] = prots(true);
    const QUIRKS: u64 = quirk::ARM_NS | quirk::ARM_TTBR1 | quirk::ARM_OUTER_WBWA | quirk::ARM_HD;

    fn store(registers: Stage1Registers, cfg: &mut Cfg) {
        let Stage1Registers { ttbr, tcr, mair, .. } = registers;
        let upper = cfg.quirks & quirk::ARM_TTBR1 != 0;
        let half = if upper { tcr >> 16 } else { tcr };
        store_stage1(cfg, ttbr, half, (field(tcr, 32, 3), field(half, 14, 2)), mair);
    }
}

impl LinuxFormat for Arm32S1 {
    const PROTS: [Prot; PROTS] = prots(true);
    const QUIRKS: u64 = quirk::ARM_NS | quirk::ARM_OUTER_WBWA;

    fn store(registers: Stage1Registers32, cfg: &mut Cfg) {
        let Stage1Registers32 { ttbr, ttbcr, mair: [low, high], .. } = registers;
        let mair = u64::from(low) | u64::from(high) << 32;
        store_stage1(cfg, ttbr, ttbcr.into(), (output_size(cfg), 0), mair);
    }
}

impl LinuxFormat for Arm32S2 {
    const PROTS: [Prot; PROTS] = prots(false);
    const QUIRKS: u64 = 0;

    fn store(registers: Stage2Registers32, cfg: &mut Cfg) {
        let Stage2Registers32 { vttbr, vtcr, .. } = registers;
        store_stage2(cfg, vttbr, vtcr.into(), (output_size(cfg), 0));
    }
}

impl<G: Granule> LinuxFormat for Arm64S2<G> {
    const PROTS: [Prot; PROTS] = prots(false);
    const QUIRKS: u64 = 0;

    fn store(registers: Stage2Registers, cfg: &mut Cfg) {
        let Stage2Registers { vttbr, vtcr, .. } = registers;
        store_stage2(cfg, vttbr, vtcr, (field(vtcr, 16, 3), field(vtcr, 14, 2)));
    }
}

impl LinuxFormat for ArmMali {
    const PROTS: [Prot; PROTS] = prots(false);
    const QUIRKS: u64 = 0;

    fn store(registers: MaliRegisters, cfg: &mut Cfg) {
        let MaliRegisters { transtab, memattr, .. } = registers;
        cfg.out = Output { largest: [0; 5] };
        cfg.out.mali = MaliOutput { transtab, memattr };
    }
}

impl LinuxFormat for X86_64 {
    const PROTS: [Prot; PROTS] = coherent(prots(true));
    const QUIRKS: u64 = 0;

    fn store(registers: X86_64Registers, cfg: &mut Cfg) {
        cfg.out = Output { largest: [0; 5] };
        cfg.out.amd = AmdOutput { root: registers.cr3, mode: registers.levels.into() };
    }
}

/// What AMD's v1 tables are asked for: they have no execution and no memory types, and force
/// coherence everywhere, as Linux does.
const fn amd_v1(prots: [Prot; PROTS]) -> [Prot; PROTS] {
    let mut prots = prots;
    let mut bits = 0;
    while bits < PROTS {
        prots[bits] = prots[bits].without(Prot::EXECUTE.with(Prot::DEVICE)).with(Prot::CACHED);
        bits += 1;
    }
    prots
}

impl LinuxFormat for AmdV1 {
    const PROTS: [Prot; PROTS] = amd_v1(prots(false));
    const QUIRKS: u64 = 0;

    fn store(registers: AmdV1Registers, cfg: &mut Cfg) {
        cfg.out = Output { largest: [0; 5] };
        let root = registers.dte & 0x000f_ffff_ffff_f000;
        cfg.out.amd = AmdOutput { root, mode: field(registers.dte, 9, 3) };
    }
}

impl<E: Extension> LinuxFormat for ArmV7s<E> {
    const PROTS: [Prot; PROTS] = prots(true);
    const QUIRKS: u64 = if E::MEDIATEK {
        quirk::ARM_NS | quirk::NO_PERMS | quirk::ARM_MTK_EXT | quirk::ARM_MTK_TTBR_EXT
    } else {
        quirk::ARM_NS
    };

    fn table_address_bits(cfg: &Cfg) -> u32 {
        if cfg.quirks & quirk::ARM_MTK_TTBR_EXT == 0 { 32 } else { 35 }
    }

    fn store(registers: ArmV7sRegisters, cfg: &mut Cfg) {
        let ArmV7sRegisters { ttbr, ttbcr: tcr, prrr, nmrr, .. } = registers;
        cfg.out = Output { largest: [0; 5] };
        cfg.out.v7s = V7sOutput { ttbr, tcr, nmrr, prrr };
    }
}

impl<V: DartVariant> LinuxFormat for Dart<V> {
    const PROTS: [Prot; PROTS] = without(prots(false), Prot::EXECUTE);
    const QUIRKS: u64 = 0;
    const ADDRESS_BITS: u32 = V::OUTPUT_BITS as u32;

    fn store(registers: DartRegisters, cfg: &mut Cfg) {
        let mut ttbr = [0; 4];
        let mut n_ttbrs = 0;
        for (ttbr, root) in ttbr.iter_mut().zip(registers.roots()) {
            *ttbr = root.0;
            n_ttbrs += 1;
        }
        cfg.out = Output { largest: [0; 5] };
        cfg.out.dart = DartOutput { ttbr, n_ttbrs };
    }
}
