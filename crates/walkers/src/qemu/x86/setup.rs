//! What the processor's registers hold for a regime, and the tables that map what is the machine's
//! own.
//!
//! # References
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A: 2.2.1 (`EFER`), 2.5
//! (`CR0`, `CR4`), 4.5 (4-level and 5-level paging).

use super::super::batch::{CODE, RESERVED, SPARE};
use crate::{X86_64Registers, slot};

/// `CR0`: `PE`, `ET`, `NE`, `PG`; `WP`.
const PAGING: u64 = 1 | 1 << 4 | 1 << 5 | 1 << 31;
const WP: u64 = 1 << 16;
/// `CR4`: `PAE`, `LA57`, `SMEP`.
const PAE: u64 = 1 << 5;
const LA57: u64 = 1 << 12;
const SMEP: u64 = 1 << 20;
/// `EFER`: `LME`, `NXE`.
const LME: u64 = 1 << 8;
const NXE: u64 = 1 << 11;

/// `P`, `R/W` of an entry; `U/S`; `PS`.
const MAPPED: u64 = 1 | 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;

/// What a large page spans.
const LARGE_BYTES: u64 = 2 << 20;

/// Our own tables, from the root of five levels on. In both roots all entries are the same, so that
/// what is ours lies in every slot.
const OWN: u64 = CODE + SPARE;
const FIVE: u64 = OWN;
const FOUR: u64 = OWN + 0x1000;
const THREE: u64 = OWN + 0x2000;
const TWO: u64 = OWN + 0x3000;
/// Copies of the root that is walked: of five levels, of four.
const COPY_OF_FIVE: u64 = OWN + 0x4000;
const COPY_OF_FOUR: u64 = OWN + 0x5000;

/// The words of our own tables, by their physical addresses.
///
/// The part of the RAM that is the machine's own is mapped twice: for CPL 0, and behind that for
/// CPL 3, since `SMEP` keeps CPL 0 from fetching where users may.
pub(super) fn own_tables() -> impl Iterator<Item = (u64, u64)> {
    const PAGES: u64 = RESERVED / LARGE_BYTES;
    let all = |table: u64, entry: u64| (0..slot::COUNT).map(move |at| (table + 8 * at, entry));
    let large = |at: u64, bits: u64| (at * LARGE_BYTES) | bits | MAPPED | LARGE;
    all(FIVE, FOUR | MAPPED | USER)
        .chain(all(FOUR, THREE | MAPPED | USER))
        .chain([(THREE, TWO | MAPPED | USER)])
        .chain((0..PAGES).map(move |at| (TWO + 8 * at, large(at, 0))))
        .chain((0..PAGES).map(move |at| (TWO + 8 * (PAGES + at), large(at, USER))))
}

/// The registers, and the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    cr0: u64,
    cr4: u64,
    efer: u64,
    pub(super) slot: u64,
}

impl Setup {
    pub(super) const fn new(registers: &X86_64Registers, slot: u64) -> Self {
        Self {
            cr0: PAGING | if registers.wp { WP } else { 0 },
            cr4: PAE
                | if registers.la57 { LA57 } else { 0 }
                | if registers.smep { SMEP } else { 0 },
            efer: LME | if registers.nxe { NXE } else { 0 },
            slot,
        }
    }

    /// Five levels.
    pub(super) const fn five(self) -> bool {
        self.cr4 & LA57 != 0
    }

    /// Where the copy of the root is.
    pub(super) const fn copy(self) -> u64 {
        if self.five() { COPY_OF_FIVE } else { COPY_OF_FOUR }
    }

    /// Where the entry of the slot is in it.
    pub(super) const fn own_place(self) -> u64 {
        self.copy() + 8 * self.slot
    }

    /// That entry.
    pub(super) const fn own_entry(self) -> u64 {
        (if self.five() { FOUR } else { THREE }) | MAPPED | USER
    }

    pub(super) const fn words(self) -> [u64; 6] {
        let own = if self.five() { FIVE } else { FOUR };
        let first = slot::within(self.slot, 0, self.five());
        [self.cr0, self.cr4, self.efer, own, first, self.copy()]
    }
}
