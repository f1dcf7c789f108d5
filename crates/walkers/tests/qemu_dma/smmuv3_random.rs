//! `SMMUv3` and the walker in software, in trees that nobody thought of.

use walkers::qemu::SmmuV3;
use walkers::soft::{Stage1Registers, Stage2Registers};
use walkers::{AccessKind, FaultKind, Mmu, Regime, Request};

use crate::bed::{agree, around, both, start, strict};
use crate::noise::Noise;
use crate::opinion::Tally;
use crate::vmsa::{ACCESSED, Tree};

#[test]
fn random_trees_of_stage_1_are_walked_alike() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    // Anything but the address, the type, AF and AP[2]; no contiguous hint, whose group QEMU does
    // not look at.
    let leaf = |noise: &mut Noise| {
        let accessed = if noise.one_in(10) { 0 } else { ACCESSED };
        accessed | noise.bits() & (0xffe8_0000_0000_0bfc | 1 << 7)
    };
    // APTable, UXNTable, PXNTable, and what is ignored.
    let link = |noise: &mut Noise| {
        let tables = if noise.one_in(8) { 0xf8 << 56 } else { 0x80 << 56 };
        noise.bits() & (tables | 0x07f8_0000_0000_0ffc)
    };
    // QEMU refuses writes as soon as it finds a table that does, whatever there is below it.
    let lax = |request: &Request, _, kind| {
        request.access.kind == AccessKind::Write && kind == FaultKind::Permission
    };
    let sizes = [(12, 48), (12, 39), (12, 33), (14, 48), (14, 36), (16, 48), (16, 42)];
    for (seed, (granule, input_bits)) in (1..).zip(sizes) {
        bed.clear();
        let mut noise = Noise(seed);
        let lower = Tree::new(&mut bed, granule, input_bits);
        let mut addresses = lower.grow(&mut bed, &mut noise, &leaf, &link);
        let (granule, input_bits) = sizes[(seed as usize + 2) % sizes.len()];
        let upper = Tree::new(&mut bed, granule, input_bits);
        let above = u64::MAX << input_bits;
        addresses
            .extend(upper.grow(&mut bed, &mut noise, &leaf, &link).iter().map(|low| above | low));
        // HPD0, HPD1: permissions of tables do not count.
        let hpd = noise.bits() & 3 << 41;
        let tcr = lower.tcr() | u64::from(64 - input_bits) << 16 | upper.tg1() << 30 | hpd;
        let regime = Regime::Stage1(Stage1Registers {
            ttbr0: Some(lower.root),
            ttbr1: Some(upper.root),
            tcr,
            mair: noise.bits(),
        });
        mmu.install(&regime, seed as u16).unwrap();
        let mut tally = Tally::default();
        // And once more, from what it remembers.
        for _ in 0..2 {
            let asked = both(around(&mut noise, &addresses, 56));
            tally += agree(&bed, &mut mmu, &regime, &asked, &lax);
        }
        tally.check(2000);
    }
}

#[test]
fn random_trees_of_stage_2_are_walked_alike() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    // Anything but the address, the type, AF and the contiguous hint.
    let leaf = |noise: &mut Noise| {
        let accessed = if noise.one_in(10) { 0 } else { ACCESSED };
        accessed | noise.bits() & 0xffe8_0000_0000_0bfc
    };
    let link = |noise: &mut Noise| noise.bits() & 0xfff8_0000_0000_0ffc;
    let sizes = [(12, 39), (12, 44), (12, 31), (14, 36), (14, 44), (16, 42), (16, 44)];
    for (seed, (granule, input_bits)) in (100..).zip(sizes) {
        let mut tally = Tally::default();
        for round in 0..2 {
            bed.clear();
            let mut noise = Noise(seed + round * 1000);
            let tree = Tree::new(&mut bed, granule, input_bits);
            let addresses = tree.grow(&mut bed, &mut noise, &leaf, &link);
            let regime = Regime::Stage2(Stage2Registers {
                vttbr: tree.root,
                vtcr: tree.vtcr(),
                force_write_back: false,
            });
            mmu.install(&regime, seed as u16).unwrap();
            let mut asked = both(around(&mut noise, &addresses, 56));
            // Beyond 44 bits QEMU reports a size, and the manual a translation that stage 2 lacks.
            asked.retain(|request| request.address >> 44 == 0);
            for _ in 0..2 {
                tally += agree(&bed, &mut mmu, &regime, &asked, &strict);
            }
        }
        tally.check(2000);
    }
}
