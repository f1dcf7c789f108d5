//! Trees of noise, walked by the machine and by the model.

use std::sync::Arc;

use walkers::soft::{Stage1Registers, Stage2Registers};
use walkers::{Access, Mmu, Ram, Regime, Request};

use crate::forest::{self, grow};
use crate::machine::{END, TABLES, TARGETS, agree, machine};
use crate::noise::Noise;
use crate::opinion::Tally;
use crate::tree::{CONTIGUOUS, Shape};

/// Whose bits leaves have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    One,
    /// Stage 1 on top of stage 2.
    OneOfTwo,
    Two,
}

/// How the descriptors of a random tree look.
pub(crate) struct Descriptors {
    pub(crate) shape: Shape,
    pub(crate) stage: Stage,
    pub(crate) output_bits: u32,
}

impl forest::Entries for Descriptors {
    fn index_bits(&self) -> u32 {
        self.shape.stride()
    }

    fn span_bits(&self, level: i8) -> u32 {
        self.shape.span_bits(level)
    }

    fn link(&self, noise: &mut Noise, table: u64) -> u64 {
        // Restrictions in table descriptors.
        let limits = if noise.one_in(3) { noise.bits() & 0x1f << 59 } else { 0 };
        self.shape.descriptor(table) | 0b11 | limits
    }

    fn leaf(&self, noise: &mut Noise, level: i8) -> u64 {
        let span_bits = self.shape.span_bits(level);
        let bits = noise.bits();
        // Reserved ones, once in a while.
        let kind = match (noise.below(16), level) {
            (0, _) => bits & 0b10,
            // The machine accepts any block at stage 2, and with both.
            _ if self.stage != Stage::One && !self.shape.leaf_levels().contains(&level) => 0b00,
            (1, 3) => 0b01,
            (_, 3) => 0b11,
            // Whether level 1 has blocks of 4 TiB hangs on the size of the implementation.
            (_, 1) if self.shape.page_bits == 16 && self.output_bits < 52 => 0b00,
            _ => 0b01,
        };
        let address = self.target(noise, span_bits);
        // All attributes, but for those where the address has bits.
        let upper = noise.bits() & 0x3ff << 50 & !CONTIGUOUS;
        let lower = bits & 0xffc;
        let flag = if noise.one_in(8) { 0 } else { 1 << 10 };
        let readable = match self.stage {
            Stage::Two if !noise.one_in(4) => 0b11 << 6,
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
}

impl Descriptors {
    /// Where a leaf leads: into the RAM's part for targets, or where nothing is; sometimes beyond
    /// the output size.
    fn target(&self, noise: &mut Noise, span_bits: u32) -> u64 {
        let widest = self.shape.widest();
        // Bits that stand apart from the others are ignored if they are beyond the output size.
        let checked = match self.shape {
            Shape { page_bits: 16, .. } => 48,
            Shape { wide: true, .. } => 50,
            _ => widest,
        };
        let beyond = checked.max(self.output_bits);
        let bits = if noise.one_in(12) { beyond } else { self.output_bits };
        // With stage 2 behind, there is little outside of the RAM.
        let inside = self.stage == Stage::OneOfTwo || noise.one_in(3);
        let address = if inside && span_bits < 20 {
            TARGETS + noise.below(END - TARGETS)
        } else {
            (noise.bits() & ((1 << bits) - 1)).max(END.next_multiple_of(1 << span_bits))
        };
        address & ((1 << widest) - 1) & !((1 << span_bits) - 1)
    }
}

const SIZES: [(u64, u32); 7] = [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48), (6, 52)];

/// Requests for what a forest has, and for what lies beside.
pub(crate) fn requests(
    noise: &mut Noise,
    paths: &[(u64, u32)],
    bits: u32,
    page_bits: u32,
    count: usize,
) -> Vec<Request> {
    let mut requests = Vec::with_capacity(count);
    while requests.len() < count {
        let mut address = noise.pick(paths).0 | noise.bits() & ((1 << page_bits) - 1);
        match noise.below(24) {
            0 => address ^= 1 << noise.below(bits.into()),
            1 => address ^= 1 << noise.below(64),
            2 => address |= noise.bits() << 56,
            3 => address = address.wrapping_add(1 << page_bits),
            _ => {}
        }
        requests.push(Request { address, access: noise.pick(&Access::ALL) });
    }
    requests
}

fn stage1(ram: &Arc<Ram>, machine: &mut dyn Mmu, noise: &mut Noise) -> Tally {
    let lower = noise.pick(&Shape::ALL);
    let upper = Shape { page_bits: noise.pick(&[12, 14, 16]), wide: lower.wide };
    let (ips, output_bits) = noise.pick(&SIZES);
    let middle = TABLES.midpoint(TARGETS).next_multiple_of(1 << 20);
    let mut roots = [None; 2];
    let mut sizes = [0; 2];
    let mut asked = Vec::new();
    for (number, shape, room) in [(0, lower, TABLES..middle), (1, upper, middle..TARGETS)] {
        let bits = 25 + noise.below(u64::from(shape.widest()) - 24) as u32;
        let start = shape.start_level(bits);
        let descriptors =
            Descriptors { shape, stage: Stage::One, output_bits: output_bits.min(shape.widest()) };
        let mut tree = grow(ram, noise, &descriptors, room, (start, bits));
        sizes[number] = u64::from(64 - bits);
        roots[number] = (!noise.one_in(16)).then_some(tree.root);
        let above = if number == 1 { u64::MAX << bits } else { 0 };
        for (address, _) in &mut tree.paths {
            *address |= above;
        }
        asked.extend(requests(noise, &tree.paths, bits, shape.page_bits, 2000));
    }
    let switches = [37, 38, 39, 40, 41, 42].map(|bit| noise.below(2) << bit).iter().sum::<u64>();
    let tcr = sizes[0]
        | sizes[1] << 16
        | lower.tg0() << 14
        | upper.tg1() << 30
        | noise.bits() & (0b11_1111 << 8 | 0b11_1111 << 24) & !(0b11 << 14 | 0b11 << 30)
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
        mair: noise.bits(),
    });
    agree(ram, machine, &regime, &asked)
}

fn stage2(ram: &Arc<Ram>, machine: &mut dyn Mmu, noise: &mut Noise) -> Tally {
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
    let output_bits = output_bits.min(shape.widest());
    let descriptors = Descriptors { shape, stage: Stage::Two, output_bits };
    let tree = grow(ram, noise, &descriptors, TABLES..TARGETS, (start, bits));
    let mut asked = requests(noise, &tree.paths, bits, shape.page_bits, 4000);
    // An IPA has no more bits.
    asked.retain(|request| request.address >> 52 == 0);
    let regime = Regime::Stage2(Stage2Registers {
        vttbr: tree.root,
        vtcr: crate::stage2::vtcr(shape, bits, start, ps)
            | noise.bits() & 0b11_1111 << 8 & !(0b11 << 14)
            | noise.below(4) << 21,
        force_write_back: noise.one_in(2),
    });
    agree(ram, machine, &regime, &asked)
}

/// What many such trees come to.
fn all(seed: u64, one: fn(&Arc<Ram>, &mut dyn Mmu, &mut Noise) -> Tally) {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(seed);
    let mut tally = Tally::default();
    for _ in 0..60 {
        tally += one(&ram, &mut machine, &mut noise);
    }
    tally.check(200_000);
}

#[test]
fn stage1_agrees_with_the_model() {
    all(0x5eed_0001, stage1);
}

#[test]
fn stage2_agrees_with_the_model() {
    all(0x5eed_0002, stage2);
}
