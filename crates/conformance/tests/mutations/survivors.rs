//! Bits that no machine notices, and why.
//!
//! # References
//!
//! Arm DDI 0487, D8.3 (descriptor formats): which bits are ignored and which are `RES0`.

use iopgtable_conformance::mutations::Kind::{self, Block, BlockGroup, Page, PageGroup, Table};

/// A run of bits of some kinds of entries, and why a flip of them changes no answer.
pub(crate) type Survivors = (&'static [Kind], (u32, u32), &'static str);

const IGNORED: &str = "hardware ignores it";
const SOFTWARE: &str = "left to software";
const NT: &str = "reserved, and nT in bit 16";
const RES0: &str = "reserved, and ignored by hardware";
const NO_DIRTY: &str = "DBM: the table is not configured for dirty state";
const GUARDED: &str = "GP: matters to branches, and none is made";
const PBHA: &str = "PBHA: left to the implementation";

pub(crate) const STAGE1: &[Survivors] = &[
    (&[Table], (51, 58), IGNORED),
    (&[Block, Page], (50, 50), GUARDED),
    (&[Block, Page], (51, 51), NO_DIRTY),
    (&[Block, Page], (55, 58), SOFTWARE),
    (&[Block, Page], (59, 63), PBHA),
];

pub(crate) const STAGE2: &[Survivors] = &[
    (&[Table], (51, 63), IGNORED),
    (&[Block, Page], (11, 11), RES0),
    (&[Block, Page], (50, 50), RES0),
    (&[Block, Page], (51, 51), NO_DIRTY),
    (&[Block, Page], (55, 58), SOFTWARE),
    (&[Block, Page], (59, 63), PBHA),
];

/// Above an address of 48 bits.
pub(crate) const TO_48_BITS: &[Survivors] =
    &[(&[Table], (48, 50), RES0), (&[Block, Page], (48, 49), RES0)];

/// Above an address of which 50 bits stand in place.
pub(crate) const TO_50_BITS: &[Survivors] = &[(&[Table], (50, 50), RES0)];

/// Below the address of a table or a block.
pub(crate) const BELOW_4K: &[Survivors] = &[(&[Table], (2, 11), IGNORED), (&[Block], (12, 20), NT)];

/// The same where bits 8 and 9 are address bits.
pub(crate) const BELOW_4K_LPA2: &[Survivors] =
    &[(&[Table], (2, 7), IGNORED), (&[Table], (10, 11), IGNORED), (&[Block], (12, 20), NT)];

pub(crate) const BELOW_16K: &[Survivors] =
    &[(&[Table], (2, 13), IGNORED), (&[Block], (12, 24), NT), (&[Page], (12, 13), RES0)];

/// Bits 12 to 15 are address bits.
pub(crate) const BELOW_64K: &[Survivors] =
    &[(&[Table], (2, 11), IGNORED), (&[Block], (16, 28), NT)];

/// What Mali has not, of what stage 2 has.
pub(crate) const MALI: &[Survivors] = &[
    (&[Block, Page], (5, 5), IGNORED),
    (&[Block, Page], (10, 10), "the access flag, which Mali ignores"),
    (&[Block, Page], (52, 53), IGNORED),
];

const ACCESSED: &str = "accessed, which hardware sets and does not look at";
const PAT_TWICE: &str = "selects the upper half of PAT, which repeats the lower one";

/// Intel SDM volume 3A, tables 4-14 to 4-20. Bit 8 of links above page directories is noticed:
/// AMD's processors reserve it (APM volume 2, 5.3.3).
pub(crate) const X86_64: &[Survivors] = &[
    (&[Table], (3, 4), "PWT and PCD: how the next table is cached"),
    (&[Table, Block, Page], (5, 5), ACCESSED),
    (&[Table], (6, 6), IGNORED),
    (&[Table], (9, 11), IGNORED),
    (&[Table], (52, 62), IGNORED),
    (&[Block, Page], (9, 11), SOFTWARE),
    (&[Block], (12, 12), PAT_TWICE),
    (&[Block, Page], (52, 62), "left to software, and protection keys, which are off"),
    (&[Page], (7, 7), PAT_TWICE),
];

const EXECUTE: &str = "X: requests to execute, which are off";
const EPT: &str = "EMT and IPAT: for processors, which walk the same tables";

/// VT-d 4.1, 9.8.
pub(crate) const VTD_S2: &[Survivors] = &[
    (&[Table, Block, Page], (2, 2), EXECUTE),
    (&[Table], (3, 6), IGNORED),
    (&[Table, Block, Page], (8, 8), ACCESSED),
    (&[Table], (9, 10), IGNORED),
    (&[Table, Block, Page], (52, 61), IGNORED),
    (&[Table, Block, Page], (63, 63), IGNORED),
    (&[Block, Page], (3, 6), EPT),
    (&[Block, Page], (10, 10), IGNORED),
    (&[Page], (7, 7), IGNORED),
];

/// The RISC-V Instruction Set Manual, volume II, 12.3 to 12.6 (Sv32 to Sv57).
pub(crate) const RISCV: &[Survivors] = &[(&[Table, Block, Page], (8, 9), SOFTWARE)];

const NO_GLOBAL: &str = "G: not used in the G-stage";

/// The same, 15.5.1.
pub(crate) const RISCV_G: &[Survivors] = &[(&[Table, Block, Page], (5, 5), NO_GLOBAL)];

const ATS: &str = "U: matters to devices that keep translations";

/// AMD 48882, 2.2.3.
pub(crate) const AMD_V1: &[Survivors] = &[
    (&[Table, Block, BlockGroup, Page, PageGroup], (1, 4), IGNORED),
    (&[Table, Block, BlockGroup, Page, PageGroup], (5, 5), ACCESSED),
    (&[Table], (6, 8), IGNORED),
    (&[Table, Block, BlockGroup, Page, PageGroup], (63, 63), IGNORED),
    (&[Block, BlockGroup, Page, PageGroup], (7, 8), IGNORED),
    (&[Block, BlockGroup, Page, PageGroup], (59, 59), ATS),
];

const NO_HAD: &str = "D: without HAD, nobody looks at it";

/// Where hardware does not manage the dirty flag.
pub(crate) const AMD_V1_WITHOUT_DIRTY: &[Survivors] =
    &[(&[Block, BlockGroup, Page, PageGroup], (6, 6), NO_HAD)];

const DOMAIN: &str = "the domain: all are clients";
const REMAPPED: &str = "TEX[2:1]: left to software where TEX is remapped";

/// Arm DDI 0487, G5.4.
pub(crate) const SHORT: &[Survivors] = &[
    (&[Table, Block], (6, 8), DOMAIN),
    (&[Block, BlockGroup, PageGroup], (13, 14), REMAPPED),
    (&[Page], (7, 8), REMAPPED),
    (&[PageGroup], (6, 8), RES0),
];

const IMPLEMENTATION: &str = "left to the implementation";

/// Where addresses have 32 bits.
pub(crate) const ARM_V7S: &[Survivors] = &[
    (&[Table], (4, 4), RES0),
    (&[Table, Block], (5, 5), DOMAIN),
    (&[Table, Block, BlockGroup], (9, 9), IMPLEMENTATION),
];

const NO_PERMISSIONS: &str = "a permission, of which there are none";

/// Where bits 4, 5 and 9 are bits of addresses.
pub(crate) const MEDIATEK: &[Survivors] = &[
    (&[Table], (2, 2), NO_PERMISSIONS),
    (&[Block, BlockGroup, Page], (0, 0), NO_PERMISSIONS),
    (&[Block, BlockGroup], (10, 11), NO_PERMISSIONS),
    (&[Block, BlockGroup, PageGroup], (15, 15), NO_PERMISSIONS),
    (&[BlockGroup], (6, 8), DOMAIN),
    (&[BlockGroup], (20, 23), "below the address of a supersection"),
];

const UNKNOWN: &str = "of no known meaning";
const WHOLE: &str = "which part of its page a leaf permits, and that it is the whole";

/// Addresses in bits 35:14.
pub(crate) const DART_T8020: &[Survivors] = &[
    (&[Table], (1, 13), UNKNOWN),
    (&[Table], (36, 63), UNKNOWN),
    (&[Page], (1, 1), WHOLE),
    (&[Page], (2, 6), UNKNOWN),
    (&[Page], (9, 13), UNKNOWN),
    (&[Page], (36, 39), UNKNOWN),
    (&[Page], (40, 63), WHOLE),
];

/// Addresses in bits 37:10.
pub(crate) const DART_T6000: &[Survivors] = &[
    (&[Table], (1, 9), UNKNOWN),
    (&[Table], (38, 63), UNKNOWN),
    (&[Page], (4, 9), UNKNOWN),
    (&[Page], (38, 39), UNKNOWN),
];
