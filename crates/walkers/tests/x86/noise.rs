//! Entries of noise.

use proptest::prelude::RngCore;
use proptest::test_runner::TestRng;

use super::{ALL, LARGE, NO_EXECUTE};

/// Whose entries they are.
pub(crate) struct Machine {
    /// Whether it has leaves of 1 GiB.
    pub(crate) huge: bool,
    /// Whether it reserves bit 51 of physical addresses.
    pub(crate) narrow: bool,
    /// The physical address of some table of a level.
    pub(crate) table: fn(i8, u64) -> u64,
    /// That of some target.
    pub(crate) target: fn(u64) -> u64,
}

impl Machine {
    /// An entry of `level`: mostly good, mostly permissive, and in each other way now and then.
    pub(crate) fn entry(&self, level: i8, rng: &mut TestRng) -> u64 {
        let mut one_in = |n: u32| rng.next_u32() % n == 0;
        let mut entry = ALL;
        for bit in [0, 1, 2] {
            entry ^= u64::from(one_in(8)) << bit;
        }
        // What is ignored, and what the processor sets. Not bit 8 of links, which Intel's
        // processors ignore, and which AMD's reserve above the last two levels.
        for bit in [3, 4, 5, 6, 9, 11, 52, 58, 62] {
            entry |= u64::from(one_in(2)) << bit;
        }
        if one_in(8) {
            entry |= NO_EXECUTE;
        }
        if self.narrow && one_in(40) {
            entry |= 1 << 51;
        }
        let large = match level {
            ..=0 => one_in(40),
            1 => self.huge && one_in(8),
            2 => one_in(3),
            _ => false,
        };
        let stray = one_in(20);
        if level == 3 && one_in(4) {
            entry |= LARGE; // PAT.
        }
        let random = rng.next_u64();
        let target = (self.target)(random >> 20) & !0xfff;
        match level {
            3 => entry | target,
            1 | 2 if large => {
                let size = 1u64 << if level == 1 { 30 } else { 21 };
                let low = if stray { random & (size - 1) & !0xfff } else { random & 1 << 12 };
                entry | LARGE | target & !(size - 1) | low
            }
            _ => entry | (self.table)(level + 1, random) | if large { LARGE } else { 0 },
        }
    }
}
