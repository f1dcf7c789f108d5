//! Trees of noise, walked by the machine and by the model.

use std::sync::Arc;

use walkers::{Access, Mmu, Ram, Request};

use crate::machine::{
    A, D, LAST, Mode, NAPOT, R, Switches, TABLES, TARGETS, U, V, W, X, agree, entry, machine,
    span_bits,
};

/// `xorshift64*`.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 8) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Tables with random entries, and the addresses that these are for.
struct Forest<'a> {
    ram: &'a Ram,
    noise: &'a mut Noise,
    next: u64,
    /// Whether leaves may have the reserved memory type, which the machine accepts with Svpbmt.
    reserved_type: bool,
    /// With how many bytes there lie targets behind.
    paths: Vec<(u64, u32)>,
}

impl Forest<'_> {
    fn grow(&mut self, level: i8, index_bits: u32, base: u64) -> Option<u64> {
        let bytes = 8u64 << index_bits;
        let table = self.next.next_multiple_of(bytes);
        if table + bytes > TARGETS {
            return None;
        }
        self.next = table + bytes;
        for word in (table..self.next).step_by(8) {
            self.ram.write_u64(word, 0);
        }
        for _ in 0..if level == 3 { 24 } else { 5 } {
            let last = (1u64 << index_bits) - 1;
            let index = match self.noise.below(4) {
                0 => last,
                1 => self.noise.below(4),
                _ => self.noise.below(last + 1),
            };
            let at = base | index << span_bits(level);
            let word = if level < 3 && !self.noise.one_in(4) {
                let Some(below) = self.grow(level + 1, 9, at) else { continue };
                // Bits that pointers may not have, once in a while.
                let more = if self.noise.one_in(16) { self.noise.next() & (A | D | U) } else { 0 };
                let global = self.noise.next() & 1 << 5;
                entry(below, V | more | global)
            } else {
                self.leaf(level)
            };
            // A group is one leaf, and its entries are the same.
            if word & NAPOT != 0 && level == 3 {
                for member in 0..16 {
                    self.ram.write_u64(table + 8 * (index & !15 | member), word);
                }
            }
            self.ram.write_u64(table + 8 * index, word);
            self.paths.push((at, span_bits(level)));
        }
        Some(table)
    }

    fn leaf(&mut self, level: i8) -> u64 {
        let span = 1u64 << span_bits(level);
        let to = (TARGETS + self.noise.below(LAST - TARGETS)) & !(span - 1);
        let kind = self.noise.pick(&[R, R | W, R | W | X, R | X, X, W, W | X]);
        let flags = if self.noise.one_in(4) { self.noise.next() & (A | D) } else { A | D };
        let valid = if self.noise.one_in(16) { 0 } else { V };
        let others = self.noise.next() & (U | 0b11 << 8 | 1 << 5);
        let mut word = entry(to, kind | flags | valid | others);
        match self.noise.below(24) {
            0 => word |= 1 << (54 + self.noise.below(7)),
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

fn tree(ram: &Arc<Ram>, machine: &mut dyn Mmu, noise: &mut Noise, mode: Mode) -> (usize, usize) {
    let bits = noise.next();
    let on = |bit: u32| bits >> bit & 1 == 1;
    let switches = Switches { sum: on(20), mxr: on(21), pbmt: on(22), napot: on(23), adue: on(24) };
    let index_bits = if mode.guest { 11 } else { 9 };
    let mut forest =
        Forest { ram, noise, next: TABLES, reserved_type: !switches.pbmt, paths: vec![] };
    let root = forest.grow(mode.top(), index_bits, 0).expect("a root has room");
    let paths = forest.paths;
    let sign = mode.input_bits() - 1;
    let mut requests = Vec::new();
    for _ in 0..4000 {
        let (mut address, span) = noise.pick(&paths);
        address |= noise.next() & 0xfff;
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
    agree(ram, machine, &mode.regime(root, switches), &requests)
}

#[test]
fn all_modes_agree_with_the_model() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(0x5eed_0003);
    let (mut compared, mut refusals) = (0, 0);
    for _ in 0..16 {
        for mode in Mode::all() {
            let (all, refused) = tree(&ram, &mut machine, &mut noise, mode);
            compared += all;
            refusals += refused;
        }
    }
    assert!(compared >= 200_000, "{compared}");
    assert!(refusals > compared / 10 && refusals < compared * 19 / 20, "{refusals} of {compared}");
    eprintln!("{compared} answers compared, {refusals} of them refusals");
}
