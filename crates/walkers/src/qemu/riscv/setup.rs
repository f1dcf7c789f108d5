//! What the processor's registers hold for a regime.
//!
//! # References
//!
//! The RISC-V Instruction Set Manual, volume II: `satp`, `hgatp`, `menvcfg`, `mstatus`.

use crate::{AccessKind, Privilege, Regime, Unsupported};

/// `menvcfg`: `PBMTE` and `ADUE`.
const PBMTE: u64 = 1 << 62;
const ADUE: u64 = 1 << 61;

/// `mstatus`: `MPRV`, `SUM`, `MXR`, `MPV`, and S-mode in `MPP`.
pub(super) const MPRV: u64 = 1 << 17;
const SUM: u64 = 1 << 18;
pub(super) const MXR: u64 = 1 << 19;
const MPV: u64 = 1 << 39;
const MPP_S: u64 = 1 << 11;

/// Where `ASID` and `VMID` stand, and their bits.
const SPACE: u32 = 44;
const ASID: u64 = 0xffff;
const VMID: u64 = 0x3fff;

/// The registers, and what else a regime says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    satp: u64,
    hgatp: u64,
    menvcfg: u64,
    /// Svnapot.
    pub(super) napot: bool,
    /// Bits of `mstatus` for every access.
    flags: u64,
}

impl Setup {
    pub(super) fn new(regime: &Regime, space: u16) -> Result<Self, Unsupported> {
        let environment = |pbmt, adue| if pbmt { PBMTE } else { 0 } | if adue { ADUE } else { 0 };
        let tagged = |register: u64, mask: u64| {
            register & !(mask << SPACE) | (u64::from(space) & mask) << SPACE
        };
        let setup = match *regime {
            Regime::RiscV(registers) => Self {
                satp: tagged(registers.satp, ASID),
                hgatp: 0,
                menvcfg: environment(registers.pbmt, registers.adue),
                napot: registers.napot,
                flags: if registers.sum { SUM } else { 0 } | if registers.mxr { MXR } else { 0 },
            },
            Regime::RiscVGuest(registers) => Self {
                satp: 0,
                // The root has four pages.
                hgatp: tagged(registers.hgatp, VMID) & !0b11,
                menvcfg: environment(registers.pbmt, registers.adue),
                napot: registers.napot,
                flags: MPV,
            },
            _ => return Err(Unsupported::new("tables of another kind than RISC-V's")),
        };
        match (setup.satp | setup.hgatp) >> 60 {
            8..=10 => Ok(setup),
            mode => Err(Unsupported::new(format!("mode {mode}"))),
        }
    }

    /// Only the second stage is walked.
    pub(super) const fn is_guest(self) -> bool {
        self.hgatp != 0
    }

    /// Bits of `mstatus` for an access with the rights of `privilege`. `MPRV` is to be added for loads and stores.
    pub(super) const fn mode(self, privilege: Privilege) -> u64 {
        self.flags
            | match privilege {
                Privilege::Privileged => MPP_S,
                Privilege::Unprivileged => 0,
            }
    }

    /// The page fault of an access.
    pub(super) const fn page_fault(self, kind: AccessKind) -> u64 {
        let cause = match kind {
            AccessKind::Execute => 12,
            AccessKind::Read => 13,
            AccessKind::Write => 15,
        };
        // The guest's page faults are eight numbers further.
        if self.is_guest() { cause + 8 } else { cause }
    }

    /// As operands have them.
    pub(super) fn space(self, space: u16) -> u64 {
        u64::from(space) & if self.is_guest() { VMID } else { ASID }
    }

    pub(super) const fn words(self) -> [u64; 3] {
        [self.satp, self.hgatp, self.menvcfg]
    }
}

/// The access fault of an access: what was walked, or led to, is no memory.
pub(super) const fn access_fault(kind: AccessKind) -> u64 {
    match kind {
        AccessKind::Execute => 1,
        AccessKind::Read => 5,
        AccessKind::Write => 7,
    }
}
