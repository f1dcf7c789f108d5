//! AMD's host tables. QEMU is lax with them, so what is asked is what a right table says: there is no
//! entry in these that a manual and QEMU read in different ways.

use walkers::qemu::AmdVi;
use walkers::{AmdV1Registers, Forget, Mmu, Regime};

use crate::bed::{Bed, READ, WRITE, agree, both, machine, place, places, strict};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};

const PRESENT: u64 = 1;
const IR: u64 = 1 << 61;
const IW: u64 = 1 << 62;
const FC: u64 = 1 << 60;

/// Entries that permit all.
struct Host;

impl Entries for Host {
    fn link(&self, table: u64, level: u32) -> u64 {
        table | PRESENT | u64::from(level) << 9 | IR | IW
    }

    fn table(&self, entry: u64) -> Option<u64> {
        let level = entry >> 9 & 7;
        (entry & PRESENT != 0 && level != 0 && level != 7).then_some(entry & 0xf_ffff_ffff_f000)
    }

    fn leaf(&self, noise: &mut Noise, output: u64, _: u32) -> u64 {
        output | PRESENT | noise.bits() & (IR | IW | FC)
    }

    fn nothing(&self, _: &mut Noise) -> u64 {
        0
    }
}

fn regime(tree: &Tree) -> Regime {
    let entry = 0b11 | u64::from(tree.levels) << 9 | tree.root | IR | IW;
    Regime::AmdV1(AmdV1Registers { device_table_entry: [entry, 0, 0, 0] })
}

/// A leaf of 2^`bits` bytes: its level, how many entries it takes there, and the entry.
fn leaf(output: u64, bits: u32, rights: u64) -> (u32, u64, u64) {
    let level = (bits - 12) / 9 + 1;
    let base = 12 + 9 * (level - 1);
    if bits == base {
        return (level, 1, output | PRESENT | rights);
    }
    // Address bits from 12 on are ones, and a zero at the last bit that the size has.
    let size = (1 << (bits - 1)) - (1 << 12);
    (level, 1 << (bits - base), output | size | PRESENT | 7 << 9 | rights)
}

fn map(bed: &mut Bed, tree: &Tree, address: u64, (level, count, entry): (u32, u64, u64)) {
    for index in 0..count {
        tree.map(bed, &Host, address + (index << (12 + 9 * (level - 1))), level, entry);
    }
}

#[test]
fn leaves_of_every_size_lead_to_their_bytes_as_far_as_they_permit() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    for levels in 1..=6 {
        bed.clear();
        let tree = Tree::new(&mut bed, levels, 0);
        let regime = regime(&tree);
        let to = bed.target(0x12_3000);
        let most = (11 + 9 * levels).min(38);
        assert!(mmu.says(&regime).unwrap().largest_leaf >= 1 << most);
        for bits in 12..=most {
            let below = (1 << bits) - 1;
            // The second one of its size, and the last one.
            let last = u64::MAX >> (64 - tree.input_bits());
            for from in [1 << bits, last & !below] {
                let address = from | to & below;
                for rights in [0, IR, IW, IR | IW] {
                    map(&mut bed, &tree, from, leaf(to & !below, bits, rights));
                    mmu.install(&regime, 4).unwrap();
                    let requests = both([address + 0x123, address + 0xff8]);
                    for (request, found) in requests.iter().zip(places(&mut mmu, &requests)) {
                        let right = if request.access == WRITE { IW } else { IR };
                        let target = request.address - address + to;
                        assert_eq!(found, (rights & right != 0).then_some(target), "{bits}");
                    }
                }
                let (level, count, _) = leaf(0, bits, 0);
                map(&mut bed, &tree, from, (level, count, 0));
                for above in level + 1..=levels {
                    tree.map(&mut bed, &Host, from, above, 0);
                }
                assert!(place(&mut mmu, 0, READ).is_err());
            }
            bed.clear();
            for at in (tree.root..tree.root + 4096).step_by(8) {
                bed.write(at, 0);
            }
            assert_eq!(bed.table(4096), tree.root);
        }
    }
}

#[test]
fn levels_are_skipped_and_rights_of_tables_count() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    let tree = Tree::new(&mut bed, 5, 0);
    let [pages, read, write] = [0, 1, 2].map(|_| bed.table(4096));
    let to = bed.target(0x5000);
    // From level 5 to pages at once; another way to them that may be read; and one to be written.
    bed.write(tree.root, pages | PRESENT | 1 << 9 | IR | IW);
    bed.write(tree.root + 8, read | PRESENT | 3 << 9 | IR);
    bed.write(tree.root + 16, write | PRESENT | 2 << 9 | IW);
    for table in [read, write] {
        bed.write(table, pages | PRESENT | 1 << 9 | IR | IW);
    }
    bed.write(pages + 8 * 7, to | PRESENT | IR | IW);
    mmu.install(&regime(&tree), 0).unwrap();
    for (index, reads, writes) in [(0, true, true), (1, true, false), (2, false, true)] {
        let address = index << 48 | 7 << 12 | 0x18;
        let expected = |permitted: bool| permitted.then_some(to + 0x18);
        assert_eq!(place(&mut mmu, address, READ).ok(), expected(reads));
        assert_eq!(place(&mut mmu, address, WRITE).ok(), expected(writes));
    }
    assert!(place(&mut mmu, 0xfee0_0000, READ).is_err(), "an interrupt");
}

#[test]
fn random_trees_are_walked_alike() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    for levels in 3..=6 {
        bed.clear();
        let mut noise = Noise(u64::from(levels));
        let tree = Tree::new(&mut bed, levels, 0);
        let mut addresses = tree.grow(&mut bed, &mut noise, &Host, 3);
        for index in 0..addresses.len() {
            let address = addresses[index];
            addresses.push(address ^ noise.below(0x1000));
            // Within the mode: beyond it, QEMU begins again.
            addresses.push(address ^ 1 << noise.below(u64::from(tree.input_bits())));
        }
        addresses.retain(|address| !(0xfee0_0000..0xfef0_0000).contains(address));
        let regime = regime(&tree);
        mmu.install(&regime, 1).unwrap();
        let tally = agree(&bed, &mut mmu, &regime, &both(addresses), &strict);
        println!("{tally:?}");
        assert!(tally.reached >= 500 && tally.refused >= 500, "{tally:?}");
        assert!(tally.reached + tally.refused >= 2000, "{tally:?}");
    }
}

#[test]
fn what_is_installed_makes_other_spaces_forgotten() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    let trees = [0, 1].map(|_| Tree::new(&mut bed, 3, 0));
    let to = [0, 1].map(|index| bed.target(index * 0x1000));
    for (tree, to) in trees.iter().zip(to) {
        tree.map(&mut bed, &Host, 0x7000, 1, to | PRESENT | IR | IW);
    }
    for asid in 0..4 {
        let index = usize::from(asid) % 2;
        mmu.install(&regime(&trees[index]), asid).unwrap();
        assert_eq!(place(&mut mmu, 0x7000, READ), Ok(to[index]));
        assert_eq!(place(&mut mmu, 0x7000, WRITE), Ok(to[index]));
    }
}

#[test]
fn addresses_that_qemu_confuses_are_told_apart() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    let tree = Tree::new(&mut bed, 6, 0);
    let regime = regime(&tree);
    // Bits 48 and up are where QEMU's keys have the device, too.
    let mut asked = Vec::new();
    for high in 0..64 {
        let address = high << 48 | 0x1000;
        let to = bed.target(high << 12);
        tree.map(&mut bed, &Host, address, 1, to | PRESENT | IR | IW);
        asked.push(address);
    }
    mmu.install(&regime, 0).unwrap();
    for _ in 0..2 {
        let tally = agree(&bed, &mut mmu, &regime, &both(asked.iter().copied()), &strict);
        assert_eq!(tally.reached, 128);
    }
}

#[test]
fn a_leaf_is_remembered_until_its_space_is_forgotten() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    let tree = Tree::new(&mut bed, 4, 0);
    let regime = regime(&tree);
    assert!(mmu.says(&regime).unwrap().remembers);
    let (old, new) = (bed.target(0x1000), bed.target(0x8000));
    let address = 0x1234_5678_9000;
    for forget in [
        Forget::Range { asid: 2, first: address, last: address, leaves_only: true },
        Forget::Page { asid: 2, address, level: Some(3), leaves_only: true },
        Forget::Space { asid: 2 },
        Forget::Everything,
    ] {
        tree.map(&mut bed, &Host, address, 1, old | PRESENT | IR | IW);
        mmu.install(&regime, 2).unwrap();
        assert_eq!(place(&mut mmu, address, READ), Ok(old));
        assert_eq!(place(&mut mmu, address, WRITE), Ok(old));
        let entry = tree.map(&mut bed, &Host, address, 1, new | PRESENT | IR | IW);
        mmu.forget(Forget::Space { asid: 3 }).unwrap();
        assert_eq!(place(&mut mmu, address, READ), Ok(old), "nothing was forgotten");
        assert_eq!(place(&mut mmu, address, WRITE), Ok(old), "nothing was forgotten");
        mmu.forget(forget).unwrap();
        assert_eq!(place(&mut mmu, address, READ), Ok(new), "{forget:?}");
        assert_eq!(place(&mut mmu, address, WRITE), Ok(new), "{forget:?}");
        bed.write(entry, 0);
        assert_eq!(place(&mut mmu, address, READ), Ok(new), "stale");
        mmu.forget(forget).unwrap();
        assert!(place(&mut mmu, address, READ).is_err());
        assert!(place(&mut mmu, address, WRITE).is_err());
    }
}
