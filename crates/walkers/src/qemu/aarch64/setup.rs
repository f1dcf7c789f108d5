//! What the processor's registers hold for a regime.
//!
//! # References
//!
//! Arm DDI 0487, section D24.2: `HCR_EL2`, `VTCR_EL2`, `VTTBR_EL2`, `TCR_EL1`, `SCTLR_EL1`.

use super::stub::{EL1_VECTORS, Stages};
use crate::soft::{Stage1Aarch32Registers, Stage1Registers, Stage2Registers};
use crate::{Regime, Unsupported};

/// `HCR_EL2`: `VM` (stage 2), `FWB`, `RW` (EL1 is in `AArch64`).
const VM: u64 = 1;
const FWB: u64 = 1 << 46;
const RW: u64 = 1 << 31;

/// `VTCR_EL2`: `VS` (16 bits of VMID), and what is always one.
const VS: u64 = 1 << 19;
const VTCR_RES1: u64 = 1 << 31;

/// `VTCR_EL2`: the start level, and the granule.
const SL0: u64 = 0b11 << 6;
const SL0_LEVEL_0: u64 = 0b11 << 6;
const SL2: u64 = 1 << 33;
const TG0: u64 = 0b11 << 14;
const TG0_16K: u64 = 0b10 << 14;
/// The size of the input, from 64: 52 bits.
const T0SZ: u64 = 0b11_1111;
const T0SZ_52: u64 = 12;

/// `TCR_EL1`, `TTBCR`: no walks in the lower and the upper half.
const EPD0: u64 = 1 << 7;
const EPD1: u64 = 1 << 23;

/// `SCTLR_EL1` with all its `RES1`, `SPAN` among them, and without the MMU; the MMU.
const SCTLR: u64 = 0x30d0_0800;
const M: u64 = 1;

/// Where an ASID stands in a `TTBR`, a VMID in `VTTBR_EL2`.
const SPACE: u32 = 48;

/// Index 39 bits with a granule of 64 KiB, as `TnSZ` and both `TGn` say it: the walker's own half.
/// That granule's descriptors look the same whatever `DS` is.
const OWN_SIZE: u64 = 64 - 39;
const OWN_TG0: u64 = 0b01;
const OWN_TG1: u64 = 0b11;
const OWN_SPAN: u32 = 29;
const OWN_UPPER: u64 = u64::MAX << 39;

/// A half of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Lower,
    Upper,
}

impl Half {
    /// That of an address: bit 55 says it.
    pub(super) const fn of(address: u64) -> Self {
        if address >> 55 & 1 == 1 { Self::Upper } else { Self::Lower }
    }
}

/// The registers, in the order in which the code loads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) hcr: u64,
    pub(super) vtcr: u64,
    pub(super) vttbr: u64,
    pub(super) tcr: u64,
    pub(super) ttbr0: u64,
    pub(super) ttbr1: u64,
    pub(super) mair: u64,
    pub(super) sctlr: u64,
    /// `VBAR_EL1`.
    pub(super) vectors: u64,
}

impl Setup {
    /// For `regime` and the address space `asid`, as it says, with nothing of our own.
    pub(super) fn new(regime: &Regime, asid: u16) -> Result<Self, Unsupported> {
        Ok(match *regime {
            Regime::Stage1(registers) => Self::default().stage1(registers, asid),
            Regime::Stage2(registers) => Self { sctlr: SCTLR, ..Self::stage2(registers, asid)? },
            Regime::Nested(first, second) => Self::stage2(second, asid)?.stage1(first, asid),
            Regime::Stage1Aarch32(registers) => Self::stage1_aarch32(registers, asid)?,
            _ => return Err(Unsupported::new("tables of another kind than Arm's")),
        })
    }

    fn stage1(self, registers: Stage1Registers, asid: u16) -> Self {
        let absent = |base: Option<u64>, bit| if base.is_none() { bit } else { 0 };
        let tcr = registers.tcr | absent(registers.ttbr0, EPD0) | absent(registers.ttbr1, EPD1);
        Self {
            hcr: self.hcr | RW,
            tcr,
            ttbr0: tagged(registers.ttbr0.unwrap_or_default(), asid),
            ttbr1: tagged(registers.ttbr1.unwrap_or_default(), asid),
            mair: registers.mair,
            sctlr: SCTLR | M,
            ..self
        }
    }

    fn stage2(registers: Stage2Registers, vmid: u16) -> Result<Self, Unsupported> {
        if registers.vtcr & (SL0 | TG0) == SL0_LEVEL_0 | TG0_16K {
            return Err(Unsupported::new("stage 2 from level 0 with 16 KiB"));
        }
        if registers.vtcr & SL2 != 0 && registers.vtcr & T0SZ != T0SZ_52 {
            return Err(Unsupported::new("stage 2 from level -1 with less than 52 bits"));
        }
        Ok(Self {
            hcr: RW | VM | if registers.force_write_back { FWB } else { 0 },
            vtcr: registers.vtcr | VS | VTCR_RES1,
            vttbr: tagged(registers.vttbr, vmid),
            ..Self::default()
        })
    }

    /// EL1 in `AArch32`: the same registers under other names.
    fn stage1_aarch32(registers: Stage1Aarch32Registers, asid: u16) -> Result<Self, Unsupported> {
        if registers.ttbcr >> 31 == 0 {
            return Err(Unsupported::new("short descriptors"));
        }
        let first = Stage1Registers {
            ttbr0: registers.ttbr0,
            ttbr1: registers.ttbr1,
            tcr: registers.ttbcr.into(),
            mair: u64::from(registers.mair1) << 32 | u64::from(registers.mair0),
        };
        // An ASID has eight bits there.
        let setup = Self::default().stage1(first, asid & 0xff);
        // Of SCTLR's other bits, one is UWXN there.
        Ok(Self { hcr: 0, sctlr: M, ..setup })
    }

    /// The same for another address space.
    pub(super) fn with_space(self, asid: u16) -> Self {
        Self {
            vttbr: tagged(self.vttbr, asid),
            ttbr0: tagged(self.ttbr0, asid),
            ttbr1: tagged(self.ttbr1, asid),
            ..self
        }
    }

    /// With stage 2.
    pub(super) const fn has_stage2(self) -> bool {
        self.hcr & VM != 0
    }

    /// With stage 1.
    pub(super) const fn has_stage1(self) -> bool {
        self.sctlr & M != 0
    }

    /// EL1 is in `AArch64`.
    pub(super) const fn is_aarch64(self) -> bool {
        self.hcr & RW != 0
    }

    /// Which stages an address translation instruction has to go through.
    pub(super) const fn stages(self) -> Stages {
        if self.has_stage2() { Stages::Both } else { Stages::One }
    }

    /// Bits of an address that stage 2 translates.
    const fn ipa_bits(self) -> u64 {
        64 - (self.vtcr & 0x3f)
    }

    /// The same with the half that is not `tested` for EL1's own use. What takes an exception to
    /// EL1 comes back to EL2 from there.
    ///
    /// Without stage 2, the half has the table `own`, in which `code` is. With it, the half, or all
    /// of EL1's addresses if there is no stage 1, lie where stage 2 has nothing: an exception to
    /// EL1 ends at once in one to EL2, of another address. None where there is no such place.
    pub(super) fn with_own_half(self, tested: Half, own: u64, code: u64) -> Option<Self> {
        let beyond = 1u64.checked_shl(self.ipa_bits() as u32).filter(|&beyond| beyond < 1 << 52);
        let own = match (self.has_stage1(), self.has_stage2()) {
            (true, false) => own,
            // A base beyond the output size would be a fault of stage 1, for EL1.
            (true, true) => beyond.filter(|&beyond| beyond < 1 << self.output_bits())?,
            (false, _) => return Some(Self { vectors: beyond?, ..self }),
        };
        let lower = 0x3f | EPD0 | 0b11 << 14;
        let upper = lower << 16;
        let base = tagged(own, (self.ttbr0 >> SPACE) as u16);
        let vectors = code + EL1_VECTORS;
        Some(match tested {
            Half::Lower => Self {
                tcr: self.tcr & !upper | OWN_SIZE << 16 | OWN_TG1 << 30,
                ttbr1: base,
                vectors: OWN_UPPER | vectors,
                ..self
            },
            Half::Upper => Self {
                tcr: self.tcr & !lower | OWN_SIZE | OWN_TG0 << 14,
                ttbr0: base,
                vectors,
                ..self
            },
        })
    }

    /// Bits of an output of stage 1, at most 48: the widest that each granule has.
    const fn output_bits(self) -> u32 {
        match self.tcr >> 32 & 0b111 {
            0b000 => 32,
            0b001 => 36,
            0b010 => 40,
            0b011 => 42,
            0b100 => 44,
            _ => 48,
        }
    }

    pub(super) const fn words(self) -> [u64; 9] {
        let Self { hcr, vtcr, vttbr, tcr, ttbr0, ttbr1, mair, sctlr, vectors } = self;
        [hcr, vtcr, vttbr, tcr, ttbr0, ttbr1, mair, sctlr, vectors]
    }
}

/// The table of the walker's own half: a block of 512 MiB that leads to itself and has `code` in
/// it, for EL1 only.
pub(super) fn own_table(code: u64) -> impl Iterator<Item = u64> {
    const BLOCK: u64 = 0b01;
    const ACCESS_FLAG: u64 = 1 << 10;
    const UXN: u64 = 1 << 54;
    let index = code >> OWN_SPAN;
    (0..1 << (39 - OWN_SPAN))
        .map(move |at| if at == index { at << OWN_SPAN | UXN | ACCESS_FLAG | BLOCK } else { 0 })
}

fn tagged(base: u64, space: u16) -> u64 {
    base & ((1 << SPACE) - 1) | u64::from(space) << SPACE
}
