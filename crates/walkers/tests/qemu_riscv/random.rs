//! Trees of noise, walked by the machine and by the model.

use std::sync::Arc;

use walkers::{Access, Mmu, Ram, Request};

use crate::forest::{self, grow};
use crate::machine::{
    A, D, LAST, Mode, NAPOT, R, Switches, TABLES, TARGETS, U, V, W, X, agree, entry, machine,
    span_bits,
};
use crate::noise::Noise;
use crate::opinion::Tally;

struct Entries {
    /// Whether leaves may have the reserved memory type, which the machine accepts with Svpbmt.
    reserved_type: bool,
}

impl forest::Entries for Entries {
    fn index_bits(&self) -> u32 {
        9
    }

    fn span_bits(&self, level: i8) -> u32 {
        span_bits(level)
    }

    fn link(&self, noise: &mut Noise, table: u64) -> u64 {
        // Bits that pointers may not have, once in a while.
        let more = if noise.one_in(16) { noise.bits() & (A | D | U) } else { 0 };
        let global = noise.bits() & 1 << 5;
        entry(table, V | more | global)
    }

    /// A page of 64 KiB is one leaf, and its entries are the same.
    fn group(&self, entry: u64, level: i8) -> u64 {
        if entry & NAPOT != 0 && level == 3 { 16 } else { 1 }
    }

    fn leaf(&self, noise: &mut Noise, level: i8) -> u64 {
        let span = 1u64 << span_bits(level);
        let to = (TARGETS + noise.below(LAST - TARGETS)) & !(span - 1);
        let kind = noise.pick(&[R, R | W, R | W | X, R | X, X, W, W | X]);
        let flags = if noise.one_in(4) { noise.bits() & (A | D) } else { A | D };
        let valid = if noise.one_in(16) { 0 } else { V };
        let others = noise.bits() & (U | 0b11 << 8 | 1 << 5);
        let mut word = entry(to, kind | flags | valid | others);
        match noise.below(24) {
            0 => word |= 1 << (54 + noise.below(7)),
            1 => word |= 1 << 61,
            2 => word |= 1 << 62,
            3 if self.reserved_type => word |= 0b11 << 61,
            4 => word |= NAPOT,
            5 => word |= 1 << 10,
            6 | 7 if level == 3 => word = word & !(0xf << 10) | 8 << 10 | NAPOT,
            _ => {}
        }
        word
    }
}

fn tree(ram: &Arc<Ram>, machine: &mut dyn Mmu, noise: &mut Noise, mode: Mode) -> Tally {
    let bits = noise.bits();
    let on = |bit: u32| bits >> bit & 1 == 1;
    let switches = Switches { sum: on(20), mxr: on(21), pbmt: on(22), napot: on(23), adue: on(24) };
    let entries = Entries { reserved_type: !switches.pbmt };
    let shape = (mode.top(), mode.input_bits());
    let tree = grow(ram, noise, &entries, TABLES..TARGETS, shape);
    let sign = mode.input_bits() - 1;
    let mut requests = Vec::new();
    for _ in 0..4000 {
        let (mut address, span) = noise.pick(&tree.paths);
        address |= noise.bits() & 0xfff;
        if span > 12 {
            // Where a large leaf has the targets.
            address |= (TARGETS + noise.below(LAST - TARGETS)) & ((1 << span) - 1) & !0xfff;
        }
        if !mode.guest && address >> sign != 0 {
            address |= u64::MAX << sign;
        }
        match noise.below(24) {
            0 => address ^= 1 << noise.below(mode.input_bits().into()),
            1 => address ^= 1 << noise.below(64),
            2 => address = address.wrapping_add(1 << 12),
            _ => {}
        }
        requests.push(Request { address, access: noise.pick(&Access::ALL) });
    }
    agree(ram, machine, &mode.regime(tree.root, switches), &requests)
}

#[test]
fn all_modes_agree_with_the_model() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(0x5eed_0003);
    let mut tally = Tally::default();
    for _ in 0..16 {
        for mode in Mode::all() {
            tally += tree(&ram, &mut machine, &mut noise, mode);
        }
    }
    tally.check(200_000);
}
