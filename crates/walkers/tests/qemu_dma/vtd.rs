//! VT-d's second stage.

use std::cell::RefCell;
use std::sync::Arc;

use walkers::qemu::Vtd;
use walkers::{FaultKind, Forget, Mmu, Regime, VtdSecondStageRegisters};

use crate::bed::{Bed, READ, WRITE, agree, ask, both, machine, place, places, strict};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};

const R: u64 = 1;
const W: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const SNOOP: u64 = 1 << 11;
/// Bits that are software's: 63, 61:52, 10:8 (A and D among them, where they are not set), 6:2.
const IGNORED: u64 = 0xbff0_0000_0000_077c;

/// Entries that permit all.
struct Plain;

impl Entries for Plain {
    fn link(&self, table: u64, _: u32) -> u64 {
        table | R | W
    }

    fn table(&self, entry: u64) -> Option<u64> {
        (entry & (R | W) != 0 && entry & LARGE == 0).then_some(entry & 0xf_ffff_ffff_f000)
    }

    fn leaf(&self, _: &mut Noise, output: u64, level: u32) -> u64 {
        output | R | W | if level > 1 { LARGE } else { 0 }
    }

    fn nothing(&self, _: &mut Noise) -> u64 {
        0
    }
}

const PLAIN: Plain = Plain;

/// Entries that permit what luck has.
struct Second(RefCell<Noise>);

impl Entries for Second {
    fn link(&self, table: u64, level: u32) -> u64 {
        let noise = self.0.borrow_mut().bits();
        let taken = if noise % 5 == 0 { W & noise >> 8 } else { 0 };
        PLAIN.link(table, level) & !taken | noise & IGNORED
    }

    fn table(&self, entry: u64) -> Option<u64> {
        PLAIN.table(entry)
    }

    fn leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        let large = if level > 1 { LARGE } else { 0 };
        let reserved = if noise.one_in(12) { 1 << 62 } else { 0 };
        output | large | reserved | noise.bits() & (IGNORED | SNOOP | R | W)
    }

    fn nothing(&self, noise: &mut Noise) -> u64 {
        noise.bits() & !(R | W)
    }
}

fn regime(tree: &Tree) -> Regime {
    Regime::VtdSecondStage(VtdSecondStageRegisters {
        pointer: tree.root,
        address_width: tree.levels as u8 - 2,
        host_bits: 48,
        access_dirty: false,
    })
}

#[test]
fn every_leaf_leads_to_its_bytes_as_far_as_it_permits() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    for levels in [3, 4] {
        bed.clear();
        let tree = Tree::new(&mut bed, levels, 0);
        let to = bed.target(0x20_0000);
        let top = (1 << tree.input_bits()) - (1 << 30);
        let regime = regime(&tree);
        for (level, large) in [(1, 0), (2, LARGE), (3, LARGE)] {
            let below: u64 = (1 << (3 + 9 * level)) - 1;
            for from in [0, (1 << 33) + (0x1234_5678 & !below), top] {
                let address = from & !below | to & below;
                for rights in [0, R, W, R | W] {
                    let entry = to & !below | large | rights | SNOOP;
                    tree.map(&mut bed, &PLAIN, address, level, entry);
                    mmu.install(&regime, 4).unwrap();
                    let requests = both([address + 0x123, address + 0xff8]);
                    for (request, found) in requests.iter().zip(places(&mut mmu, &requests)) {
                        let right = if request.access == WRITE { W } else { R };
                        let target = request.address - address + to;
                        assert_eq!(found, (rights & right != 0).then_some(target));
                    }
                    let asked = both([address, address + 8, address ^ 0x1000]);
                    agree(&bed, &mut mmu, &regime, &asked, &strict);
                }
                // Not there for the sizes that come.
                tree.map(&mut bed, &PLAIN, address, level, 0);
                for above in level + 1..levels {
                    tree.map(&mut bed, &PLAIN, address, above, 0);
                }
            }
        }
    }
}

#[test]
fn reserved_bits_widths_and_lost_tables_have_their_class() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let tree = Tree::new(&mut bed, 3, 0);
    let to = bed.target(0);
    tree.map(&mut bed, &PLAIN, 0, 1, to | R | W | 1 << 62);
    tree.map(&mut bed, &PLAIN, 0x1000, 1, to | R | W | 1 << 50);
    tree.map(&mut bed, &PLAIN, 0x20_0000, 2, (to + 0x1000) | R | W | LARGE);
    tree.map(&mut bed, &PLAIN, 0x40_0000, 2, to | R | W | SNOOP);
    tree.map(&mut bed, &PLAIN, 0x60_0000, 2, 0x70_0000_0000 | R | W);
    mmu.install(&regime(&tree), 4).unwrap();
    for access in [READ, WRITE] {
        for address in [0, 0x1000, 0x20_0000, 0x40_0000] {
            let refusal = ask(&mut mmu, address, access).unwrap_err();
            assert_eq!(refusal.kind, Some(FaultKind::Reserved), "{address:x}");
        }
        assert_eq!(place(&mut mmu, 1 << 39, access), Err(Some(FaultKind::Translation)));
        assert_eq!(place(&mut mmu, 0x60_0000, access), Err(Some(FaultKind::ExternalAbort)));
        assert_eq!(place(&mut mmu, 0x80_0000, access), Err(None));
        assert_eq!(place(&mut mmu, 0xfee0_0000, access), Err(None), "an interrupt");
    }
}

#[test]
fn random_trees_are_walked_alike() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    for seed in 0..2 {
        bed.clear();
        let mut noise = Noise(seed);
        let tree = Tree::new(&mut bed, 3 + seed as u32 % 2, 0);
        let entries = Second(RefCell::new(Noise(!seed)));
        let mut addresses = tree.grow(&mut bed, &mut noise, &entries, 3);
        for index in 0..addresses.len() {
            let address = addresses[index];
            addresses.push(address ^ noise.below(0x1000));
            addresses.push(address ^ 1 << noise.below(50));
        }
        addresses.retain(|address| !(0xfee0_0000..0xfef0_0000).contains(address));
        let regime = regime(&tree);
        mmu.install(&regime, seed as u16).unwrap();
        let tally = agree(&bed, &mut mmu, &regime, &both(addresses), &strict);
        println!("{tally:?}");
        assert!(tally.reached >= 500 && tally.refused >= 500, "{tally:?}");
        assert!(tally.reached + tally.refused >= 2000, "{tally:?}");
    }
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let tree = Tree::new(&mut bed, 4, 0);
    let regime = regime(&tree);
    assert!(mmu.says(&regime).unwrap().remembers);
    let (old, new) = (bed.target(0x20_0000), bed.target(0));
    for (level, large, span) in [(1, 0, 0x1000), (2, LARGE, 0x20_0000)] {
        let address = 0x1234_5640_0000 & ((1 << 47) - 1);
        let range = |first, last| Forget::Range { asid: 2, first, last, leaves_only: true };
        let page = |address| Forget::Page { asid: 2, address, level: None, leaves_only: false };
        for forget in [
            range(address, address + span - 1),
            range(address + span - 1, address + span - 1),
            range(address - 0x7000, address + 3 * span),
            range(0, u64::MAX >> 16),
            page(address + 0x123),
            Forget::Space { asid: 2 },
            Forget::Everything,
        ] {
            tree.map(&mut bed, &PLAIN, address, level, old | large | R | W);
            mmu.install(&regime, 2).unwrap();
            assert_eq!(place(&mut mmu, address, READ), Ok(old));
            assert_eq!(place(&mut mmu, address, WRITE), Ok(old));
            let entry = tree.map(&mut bed, &PLAIN, address, level, new | large | R | W);
            for other in [
                range(address + span, address + 9 * span),
                range(address - 0x9000, address - 1),
                page(address - 1),
                Forget::Space { asid: 3 },
            ] {
                mmu.forget(other).unwrap();
            }
            assert_eq!(place(&mut mmu, address, READ), Ok(old), "nothing was forgotten");
            assert_eq!(place(&mut mmu, address, WRITE), Ok(old), "nothing was forgotten");
            mmu.forget(forget).unwrap();
            assert_eq!(place(&mut mmu, address, READ), Ok(new), "{forget:?}");
            assert_eq!(place(&mut mmu, address, WRITE), Ok(new), "{forget:?}");
            bed.write(entry, 0);
            assert_eq!(place(&mut mmu, address, WRITE), Ok(new), "stale");
            mmu.forget(forget).unwrap();
            assert!(place(&mut mmu, address, READ).is_err());
            assert!(place(&mut mmu, address, WRITE).is_err());
        }
    }
}

#[test]
fn what_is_installed_makes_other_spaces_forgotten() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let trees = [0, 1].map(|_| Tree::new(&mut bed, 3, 0));
    let to = [0, 1].map(|index| bed.target(index * 0x1000));
    for (tree, to) in trees.iter().zip(to) {
        tree.map(&mut bed, &PLAIN, 0x7000, 1, to | R | W);
    }
    for asid in 0..4 {
        let index = usize::from(asid) % 2;
        mmu.install(&regime(&trees[index]), asid).unwrap();
        assert_eq!(place(&mut mmu, 0x7000, READ), Ok(to[index]));
        assert_eq!(place(&mut mmu, 0x7000, WRITE), Ok(to[index]));
    }
}

#[test]
fn five_levels_and_far_roots_are_refused() {
    let bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    assert_eq!(Arc::strong_count(&bed.ram), 2);
    for (pointer, address_width) in [(0, 3), (0, 0), (1 << 48, 2)] {
        let registers =
            VtdSecondStageRegisters { pointer, address_width, host_bits: 48, access_dirty: false };
        assert!(mmu.install(&Regime::VtdSecondStage(registers), 0).is_err());
    }
}
