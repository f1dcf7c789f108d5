//! Both stages together, and stage 1 in `AArch32`.

use walkers::soft::{Stage1Aarch32Registers, Stage1Registers};
use walkers::{Access, AccessKind, FaultKind, Mmu, Regime, Request};

use crate::forest::grow;
use crate::machine::{END, TABLES, TARGETS, agree, expect, machine, reached, refused};
use crate::noise::Noise;
use crate::opinion::Tally;
use crate::random::{Descriptors, Stage, requests};
use crate::stage1::{self, Half};
use crate::stage2::{self, WRITE_BACK};
use crate::tree::{AF, READ_ONLY, Shape, Tree, USER};

/// Stage 2's tables, apart from those of stage 1.
const SECOND: u64 = TABLES + (8 << 20);
const RIGHTS: u64 = 0b11 << 6;

/// A stage 2 of 40 bits in which the RAM behind [`TABLES`] is where it is.
fn identity(ram: &walkers::Ram) -> Tree<'_> {
    let mut tree = Tree::at(ram, Shape::ALL[0], 40, 1, SECOND);
    for block in (TABLES..END).step_by(2 << 20) {
        tree.map(block, 2, block, AF | WRITE_BACK | RIGHTS);
    }
    tree
}

#[test]
fn each_stage_refuses_at_its_own_level_unless_stage1_is_walked() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut second = identity(&ram);
    // An IPA that leads elsewhere, a read-only one, and one that leads nowhere.
    let (moved, read_only, hole) = (0x7_0000_0000, 0x7_0000_1000, 0x7_4000_0000);
    second.map(moved, 3, TARGETS + 0x5000, AF | WRITE_BACK | RIGHTS);
    second.map(read_only, 3, TARGETS + 0x6000, AF | WRITE_BACK | 0b01 << 6);
    let mut first = Tree::new(&ram, Shape::ALL[0], 39);
    first.map(0x1000, 3, moved, AF | USER);
    first.map(0x2000, 3, read_only, AF | USER);
    first.map(0x3000, 3, hole, AF | USER);
    first.map(0x4000, 3, moved, AF | USER | READ_ONLY);
    // A table of stage 1 that stage 2 does not reach.
    let entry = first.entry(1 << 30, 1, 0);
    ram.write_u64(entry, hole | 0b11);

    let regime = Regime::Nested(stage1::registers(&first, Half::Lower), stage2::registers(&second));
    machine.install(&regime, 3).unwrap();
    expect(
        &mut machine,
        &[
            (0x1008, Access::UNPRIVILEGED_READ, reached(TARGETS + 0x5008)),
            (0x1008, Access::UNPRIVILEGED_WRITE, reached(TARGETS + 0x5008)),
            (0x1008, Access::UNPRIVILEGED_EXECUTE, reached(TARGETS + 0x5008)),
            (0x2008, Access::UNPRIVILEGED_READ, reached(TARGETS + 0x6008)),
            (0x2008, Access::PRIVILEGED_WRITE, refused(FaultKind::Permission, 3)),
            (0x3008, Access::PRIVILEGED_READ, refused(FaultKind::Translation, 1)),
            // What EL0 may write, EL1 does not execute: that comes first.
            (0x3008, Access::PRIVILEGED_EXECUTE, refused(FaultKind::Permission, 3)),
            (0x4008, Access::UNPRIVILEGED_WRITE, refused(FaultKind::Permission, 3)),
            (0x5008, Access::PRIVILEGED_READ, refused(FaultKind::Translation, 3)),
            // Stage 2 refuses at level 1 what stage 1 looks for at level 2.
            (1 << 30, Access::PRIVILEGED_READ, refused(FaultKind::Translation, 2)),
        ],
    );
}

#[test]
fn both_stages_agree_with_the_model() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(0x5eed_0004);
    let mut tally = Tally::default();
    for _ in 0..40 {
        let mut second = identity(&ram);
        // A quarter of the targets, page by page, with all kinds of rights.
        for page in (TARGETS..TARGETS + (END - TARGETS) / 4).step_by(1 << 12) {
            if page % (2 << 20) == 0 {
                let block = second.entry(page, 2, 0);
                ram.write_u64(block, 0);
            }
            let to = (TARGETS + noise.below(END - TARGETS)) & !0xfff;
            let bits = noise.bits() & (RIGHTS | 0b11 << 53);
            let flag = if noise.one_in(8) { 0 } else { AF };
            second.map(page, 3, to, flag | WRITE_BACK | bits);
        }
        let shape = noise.pick(&Shape::ALL[..3]);
        let bits = 39;
        let start = shape.start_level(bits);
        let descriptors = Descriptors { shape, stage: Stage::OneOfTwo, output_bits: 40 };
        let tree = grow(&ram, &mut noise, &descriptors, TABLES..SECOND, (start, bits));
        let mut asked = requests(&mut noise, &tree.paths, bits, shape.page_bits, 4000);
        asked.retain(|request| request.address >> 55 & 1 == 0);
        let first = Stage1Registers {
            ttbr0: Some(tree.root),
            ttbr1: None,
            tcr: stage1::tcr(shape, bits) & !(0b111 << 32) | 0b101 << 32,
            mair: stage1::MAIR,
        };
        let regime = Regime::Nested(first, stage2::registers(&second));
        tally += agree(&ram, &mut machine, &regime, &asked);
    }
    tally.check(100_000);
}

#[test]
fn stage1_in_aarch32_agrees_with_the_model() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut noise = Noise(0x5eed_0005);
    let mut tally = Tally::default();
    for _ in 0..30 {
        let shape = Shape::ALL[0];
        let bits = 32 - noise.below(8) as u32;
        let start = shape.start_level(bits);
        let descriptors = Descriptors { shape, stage: Stage::One, output_bits: 40 };
        let tree = grow(&ram, &mut noise, &descriptors, TABLES..TARGETS, (start, bits));
        let asked: Vec<Request> = requests(&mut noise, &tree.paths, bits, 12, 5000)
            .into_iter()
            .filter(|request| request.address >> 32 == 0)
            .filter(|request| request.access.kind != AccessKind::Execute)
            .collect();
        let regime = Regime::Stage1Aarch32(Stage1Aarch32Registers {
            ttbr0: Some(tree.root),
            ttbr1: None,
            ttbcr: 1 << 31 | (32 - bits),
            mair0: 0xff,
            mair1: 0,
        });
        assert!(!machine.says(&regime).unwrap().execute);
        tally += agree(&ram, &mut machine, &regime, &asked);
    }
    tally.check(80_000);
}
