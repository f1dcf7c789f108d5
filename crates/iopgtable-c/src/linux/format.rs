//! What differs between the formats from Linux's point of view: rights and registers.

use core::ffi::c_int;

use iopgtable::format::{Attributes, MaliRegisters, Stage1Registers, Stage2Registers};
use iopgtable::{Arm64S1, Arm64S2, ArmMali, Format, Granule, Options, Prot};

use super::abi::{Cfg, MaliOutput, Output, Stage1Output, Stage2Output, prot, quirk};

/// How many values the bits of `prot` that mean something take.
pub(super) const PROTS: usize = 64;

/// A format that Linux has, too.
pub(super) trait LinuxFormat: Format {
    /// What each value of `prot` asks for.
    const PROTS: [Prot; PROTS];
    /// The quirks that are understood.
    const QUIRKS: u64;

    /// Stores what the driver programs.
    fn store(registers: Self::Registers, cfg: &mut Cfg);

    /// What `prot` asks for; nothing where it neither reads nor writes.
    fn prot(prot: c_int) -> Option<Prot> {
        // Bits that are not known here are ignored, as Linux does.
        #[expect(clippy::cast_sign_loss, reason = "bits, of which six are kept")]
        let known = prot as usize & (PROTS - 1);
        (prot & (prot::READ | prot::WRITE) != 0).then(|| Self::PROTS[known])
    }
}

/// What leaves look like, for each value of `prot` that the format can express.
pub(super) fn attributes<F: LinuxFormat>() -> [Option<Attributes>; PROTS] {
    F::PROTS.map(|prot| F::attributes(Options::NONE, prot).ok())
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

/// The bits of a register from `shift` on.
const fn field(register: u64, shift: u32, bits: u32) -> u32 {
    // CAST: a few bits.
    (register >> shift) as u32 & ((1 << bits) - 1)
}

impl<G: Granule> LinuxFormat for Arm64S1<G> {
    const PROTS: [Prot; PROTS] = prots(true);
    const QUIRKS: u64 = quirk::ARM_OUTER_WBWA;

    fn store(registers: Stage1Registers, cfg: &mut Cfg) {
        let Stage1Registers { ttbr, tcr, mair, .. } = registers;
        let orgn = if cfg.quirks & quirk::ARM_OUTER_WBWA != 0 { 0b01 } else { field(tcr, 10, 2) };
        let packed = field(tcr, 32, 3)
            | field(tcr, 14, 2) << 3
            | field(tcr, 12, 2) << 5
            | orgn << 7
            | field(tcr, 8, 2) << 9
            | field(tcr, 0, 6) << 11;
        // Byte 3: normal memory, inner non-cached, outer write-back. No leaf names it, but drivers
        // that hand the register on to a device's firmware expect it.
        let mair = mair | 0xf4 << 24;
        cfg.out = Output { largest: [0; 5] };
        cfg.out.s1 = Stage1Output { ttbr, tcr: packed, mair };
    }
}

impl<G: Granule> LinuxFormat for Arm64S2<G> {
    const PROTS: [Prot; PROTS] = prots(false);
    const QUIRKS: u64 = 0;

    fn store(registers: Stage2Registers, cfg: &mut Cfg) {
        let Stage2Registers { vttbr, vtcr, .. } = registers;
        let packed = field(vtcr, 16, 3)
            | field(vtcr, 14, 2) << 3
            | field(vtcr, 12, 2) << 5
            | field(vtcr, 10, 2) << 7
            | field(vtcr, 8, 2) << 9
            | field(vtcr, 6, 2) << 11
            | field(vtcr, 0, 6) << 13;
        cfg.out = Output { largest: [0; 5] };
        cfg.out.s2 = Stage2Output { vttbr, vtcr: packed };
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
