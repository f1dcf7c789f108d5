//! Trees of noise, walked by the machine and by the model.

use std::sync::Arc;

use walkers::soft::{Stage1Registers, Stage2Registers};
use walkers::{Access, Mmu, Ram, Regime, Request};

use crate::machine::{END, TABLES, TARGETS, agree, machine};
use crate::tree::{CONTIGUOUS, Shape};

/// `xorshift64*`.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 8) % end
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Whose bits leaves have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    One,
    /// Stage 1 on top of stage 2.
    OneOfTwo,
    Two,
}

/// What a random tree looks like.
pub(crate) struct Forest<'a> {
    pub(crate) ram: &'a Ram,
    pub(crate) noise: &'a mut Noise,
    pub(crate) shape: Shape,
    pub(crate) stage: Stage,
    pub(crate) output_bits: u32,
    pub(crate) next: u64,
    /// Where something is mapped, or might be: input addresses.
    pub(crate) paths: Vec<u64>,
}

impl Forest<'_> {
    /// A table with random entries: `index_bits` of them, at `level`, for the input from `base` on.
    pub(crate) fn grow(&mut self, level: i8, index_bits: u32, base: u64) -> Option<u64> {
        let bytes = (8u64 << index_bits).max(64);
        let table = self.next.next_multiple_of(bytes);
        if table + bytes > TARGETS {
            return None;
        }
        self.next = table + bytes;
        for word in (table..self.next).step_by(8) {
            self.ram.write_u64(word, 0);
        }
        let span_bits = self.shape.span_bits(level);
        let count = if level == 3 { 24 } else { 5 };
        for _ in 0..count {
            let last = (1u64 << index_bits) - 1;
            let index = match self.noise.below(4) {
                0 => last,
                1 => self.noise.below(4).min(last),
                _ => self.noise.below(last + 1),
            };
            let at = base | index << span_bits;
            let entry = table + 8 * index;
            let descriptor = if level < 3 && !self.noise.one_in(5) {
                let Some(below) = self.grow(level + 1, self.shape.stride(), at) else { continue };
                // Restrictions in table descriptors.
                let limits = if self.noise.one_in(3) { self.noise.next() & 0x1f << 59 } else { 0 };
                self.shape.descriptor(below) | 0b11 | limits
            } else {
                self.leaf(level, span_bits)
            };
            self.ram.write_u64(entry, descriptor);
            self.paths.push(at);
        }
        Some(table)
    }

    fn leaf(&mut self, level: i8, span_bits: u32) -> u64 {
        let noise = self.noise.next();
        // Reserved ones, once in a while.
        let kind = match (self.noise.below(16), level) {
            (0, _) => noise & 0b10,
            // The machine accepts any block at stage 2, and with both.
            _ if self.stage != Stage::One && !self.shape.leaf_levels().contains(&level) => 0b00,
            (1, 3) => 0b01,
            (_, 3) => 0b11,
            // Whether level 1 has blocks of 4 TiB hangs on the size of the implementation.
            (_, 1) if self.shape.page_bits == 16 && self.output_bits < 52 => 0b00,
            _ => 0b01,
        };
        let address = self.target(span_bits);
        // All attributes, but for those where the address has bits.
        let upper = self.noise.next() & 0x3ff << 50 & !CONTIGUOUS;
        let lower = noise & 0xffc;
        let flag = if self.noise.one_in(8) { 0 } else { 1 << 10 };
        let readable = match self.stage {
            Stage::Two if !self.noise.one_in(4) => 0b11 << 6,
            _ => 0,
        };
        let attributes = upper | lower & !(1 << 10) | flag | readable;
        let attributes = match self.shape {
            Shape { wide: true, .. } => attributes & !(0b11 << 50 | 0b11 << 8),
            Shape { page_bits: 16, .. } => attributes & !(0b11 << 50),
            _ => attributes,
        };
        self.shape.descriptor(address) | attributes | kind
    }

    /// Where a leaf leads: into the RAM's part for targets, or where nothing is; sometimes beyond
    /// the output size.
    fn target(&mut self, span_bits: u32) -> u64 {
        let widest = self.shape.widest();
        // Bits that stand apart from the others are ignored if they are beyond the output size.
        let checked = match self.shape {
            Shape { page_bits: 16, .. } => 48,
            Shape { wide: true, .. } => 50,
            _ => widest,
        };
        let beyond = checked.max(self.output_bits);
        let bits = if self.noise.one_in(12) { beyond } else { self.output_bits };
        // With stage 2 behind, there is little outside of the RAM.
        let inside = self.stage == Stage::OneOfTwo || self.noise.one_in(3);
        let address = if inside && span_bits < 20 {
            TARGETS + self.noise.below(END - TARGETS)
        } else {
            (self.noise.next() & ((1 << bits) - 1)).max(END.next_multiple_of(1 << span_bits))
        };
        address & ((1 << widest) - 1) & !((1 << span_bits) - 1)
    }
}

const SIZES: [(u64, u32); 7] = [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48), (6, 52)];

/// Requests for what a forest has, and for what lies beside.
pub(crate) fn requests(
    noise: &mut Noise,
    paths: &[u64],
    bits: u32,
    page_bits: u32,
    count: usize,
) -> Vec<Request> {
    let mut requests = Vec::with_capacity(count);
    while requests.len() < count {
        let mut address = noise.pick(paths) | noise.next() & ((1 << page_bits) - 1);
        match noise.below(24) {
            0 => address ^= 1 << noise.below(bits.into()),
            1 => address ^= 1 << noise.below(64),
            2 => address |= noise.next() << 56,
            3 => address = address.wrapping_add(1 << page_bits),
            _ => {}
        }
        requests.push(Request { address, access: noise.pick(&Access::ALL) });
    }
    requests
}

fn stage1(ram: &Arc<Ram>, machine: &mut dyn Mmu, noise: &mut Noise) -> (usize, usize) {
    let lower = noise.pick(&Shape::ALL);
    let upper = Shape { page_bits: noise.pick(&[12, 14, 16]), wide: lower.wide };
    let (ips, output_bits) = noise.pick(&SIZES);
    let mut next = TABLES;
    let mut roots = [None; 2];
    let mut sizes = [0; 2];
    let mut asked = Vec::new();
    for (number, shape) in [(0, lower), (1, upper)] {
        let bits = 25 + noise.below(u64::from(shape.widest()) - 24) as u32;
        let start = shape.start_level(bits);
        let mut forest = Forest {
            ram,
            noise,
            shape,
            stage: Stage::One,
            output_bits: output_bits.min(shape.widest()),
            next,
            paths: vec![],
        };
        let root = forest.grow(start, bits - shape.span_bits(start), 0).expect("a root has room");
        let (paths, end) = (forest.paths, forest.next);
        next = end;
        sizes[number] = u64::from(64 - bits);
        roots[number] = (!noise.one_in(16)).then_some(root);
        let above = if number == 1 { u64::MAX << bits } else { 0 };
        let paths: Vec<u64> = paths.iter().map(|path| path | above).collect();
        asked.extend(requests(noise, &paths, bits, shape.page_bits, 2000));
    }
    let switches = [37, 38, 39, 40, 41, 42].map(|bit| noise.below(2) << bit).iter().sum::<u64>();
    let tcr = sizes[0]
        | sizes[1] << 16
        | lower.tg0() << 14
        | upper.tg1() << 30
        | noise.next() & (0b11_1111 << 8 | 0b11_1111 << 24) & !(0b11 << 14 | 0b11 << 30)
        | ips << 32
        | switches
        | u64::from(lower.wide) << 59;
    if switches >> 39 & 0b11 == 0b11 {
        // Clean leaves are executable at EL1 there, though EL0 may write them.
        asked.retain(|request| request.access != Access::PRIVILEGED_EXECUTE);
    }
    let regime = Regime::Stage1(Stage1Registers {
        ttbr0: roots[0],
        ttbr1: roots[1],
        tcr,
        mair: noise.next(),
    });
    agree(ram, machine, &regime, &asked)
}

fn stage2(ram: &Arc<Ram>, machine: &mut dyn Mmu, noise: &mut Noise) -> (usize, usize) {
    let (shape, start) = noise.pick(&[
        (Shape::ALL[0], 0),
        (Shape::ALL[0], 1),
        (Shape::ALL[0], 2),
        (Shape::ALL[1], 1),
        (Shape::ALL[1], 2),
        (Shape::ALL[1], 3),
        (Shape::ALL[2], 1),
        (Shape::ALL[2], 2),
        (Shape::ALL[2], 3),
        (Shape::ALL[3], -1),
        (Shape::ALL[3], 0),
        (Shape::ALL[4], 1),
    ]);
    // From an index of one bit to sixteen tables.
    let fewest = match start {
        // The machine has no others.
        -1 => 52,
        _ => (shape.span_bits(start) + 1).max(25),
    };
    let most = (shape.span_bits(start) + shape.stride() + 4).min(shape.widest());
    let bits = fewest + noise.below(u64::from(most - fewest) + 1) as u32;
    let (ps, output_bits) = noise.pick(&SIZES);
    let mut forest = Forest {
        ram,
        noise,
        shape,
        stage: Stage::Two,
        output_bits: output_bits.min(shape.widest()),
        next: TABLES,
        paths: vec![],
    };
    let vttbr = forest.grow(start, bits - shape.span_bits(start), 0).expect("a root has room");
    let paths = forest.paths;
    let mut asked = requests(noise, &paths, bits, shape.page_bits, 4000);
    // An IPA has no more bits.
    asked.retain(|request| request.address >> 52 == 0);
    let regime = Regime::Stage2(Stage2Registers {
        vttbr,
        vtcr: crate::stage2::vtcr(shape, bits, start, ps)
            | noise.next() & 0b11_1111 << 8 & !(0b11 << 14)
            | noise.below(4) << 21,
        force_write_back: noise.one_in(2),
    });
    agree(ram, machine, &regime, &asked)
}

#[test]
fn stage2_agrees_with_the_model() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(0x5eed_0002);
    let (mut compared, mut refusals) = (0, 0);
    for _ in 0..60 {
        let (all, refused) = stage2(&ram, &mut machine, &mut noise);
        compared += all;
        refusals += refused;
    }
    assert!(compared >= 200_000, "{compared}");
    assert!(refusals > compared / 10 && refusals < compared * 9 / 10, "{refusals} of {compared}");
    eprintln!("{compared} answers compared, {refusals} of them refusals");
}

#[test]
fn stage1_agrees_with_the_model() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(0x5eed_0001);
    let (mut compared, mut refusals) = (0, 0);
    for _ in 0..60 {
        let (all, refused) = stage1(&ram, &mut machine, &mut noise);
        compared += all;
        refusals += refused;
    }
    assert!(compared >= 200_000, "{compared}");
    assert!(refusals > compared / 10 && refusals < compared * 9 / 10, "{refusals} of {compared}");
    eprintln!("{compared} answers compared, {refusals} of them refusals");
}
