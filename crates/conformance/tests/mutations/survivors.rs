//! Bits that no machine notices, and why.
//!
//! # References
//!
//! Arm DDI 0487, D8.3 (descriptor formats): which bits are ignored and which are `RES0`.

use iopgtable_conformance::mutations::Kind::{self, Block, Page, Table};

/// A run of bits of a kind of entry, and why a flip of them changes no answer.
pub(crate) type Survivors = (Kind, (u32, u32), &'static str);

const IGNORED: &str = "hardware ignores it";
const SOFTWARE: &str = "left to software";
const RES0: &str = "reserved, and ignored by hardware";
const NO_DIRTY: &str = "DBM: the table is not configured for dirty state";
const GUARDED: &str = "GP: matters to branches, and none is made";
const PBHA: &str = "PBHA: left to the implementation";

pub(crate) const STAGE1: &[Survivors] = &[
    (Table, (51, 58), IGNORED),
    (Block, (50, 50), GUARDED),
    (Page, (50, 50), GUARDED),
    (Block, (51, 51), NO_DIRTY),
    (Page, (51, 51), NO_DIRTY),
    (Block, (55, 58), SOFTWARE),
    (Page, (55, 58), SOFTWARE),
    (Block, (59, 63), PBHA),
    (Page, (59, 63), PBHA),
];

pub(crate) const STAGE2: &[Survivors] = &[
    (Table, (51, 63), IGNORED),
    (Block, (11, 11), RES0),
    (Page, (11, 11), RES0),
    (Block, (50, 50), RES0),
    (Page, (50, 50), RES0),
    (Block, (51, 51), NO_DIRTY),
    (Page, (51, 51), NO_DIRTY),
    (Block, (55, 58), SOFTWARE),
    (Page, (55, 58), SOFTWARE),
    (Block, (59, 63), PBHA),
    (Page, (59, 63), PBHA),
];

/// Above an address of 48 bits.
pub(crate) const TO_48_BITS: &[Survivors] =
    &[(Table, (48, 50), RES0), (Block, (48, 49), RES0), (Page, (48, 49), RES0)];

/// Above an address of which 50 bits stand in place.
pub(crate) const TO_50_BITS: &[Survivors] = &[(Table, (50, 50), RES0)];

/// Below the address of a table or a block.
pub(crate) const BELOW_4K: &[Survivors] =
    &[(Table, (2, 11), IGNORED), (Block, (12, 20), "reserved, and nT in bit 16")];

/// The same where bits 8 and 9 are address bits.
pub(crate) const BELOW_4K_LPA2: &[Survivors] = &[
    (Table, (2, 7), IGNORED),
    (Table, (10, 11), IGNORED),
    (Block, (12, 20), "reserved, and nT in bit 16"),
];

pub(crate) const BELOW_16K: &[Survivors] = &[
    (Table, (2, 13), IGNORED),
    (Block, (12, 24), "reserved, and nT in bit 16"),
    (Page, (12, 13), RES0),
];

/// Bits 12 to 15 are address bits.
pub(crate) const BELOW_64K: &[Survivors] =
    &[(Table, (2, 11), IGNORED), (Block, (16, 28), "reserved, and nT in bit 16")];

/// What Mali has not, of what stage 2 has.
pub(crate) const MALI: &[Survivors] = &[
    (Block, (5, 5), IGNORED),
    (Page, (5, 5), IGNORED),
    (Block, (10, 10), "the access flag, which Mali ignores"),
    (Page, (10, 10), "the access flag, which Mali ignores"),
    (Block, (52, 53), IGNORED),
    (Page, (52, 53), IGNORED),
];

const ACCESSED: &str = "accessed, which hardware sets and does not look at";
const PAT_TWICE: &str = "selects the upper half of PAT, which repeats the lower one";

/// Intel SDM volume 3A, tables 4-14 to 4-20.
pub(crate) const X86_64: &[Survivors] = &[
    (Table, (3, 4), "PWT and PCD: how the next table is cached"),
    (Table, (5, 5), ACCESSED),
    (Table, (6, 6), IGNORED),
    (Table, (8, 11), IGNORED),
    (Table, (52, 62), IGNORED),
    (Block, (5, 5), ACCESSED),
    (Block, (9, 11), SOFTWARE),
    (Block, (12, 12), PAT_TWICE),
    (Block, (52, 62), "left to software, and protection keys, which are off"),
    (Page, (5, 5), ACCESSED),
    (Page, (7, 7), PAT_TWICE),
    (Page, (9, 11), SOFTWARE),
    (Page, (52, 62), "left to software, and protection keys, which are off"),
];
