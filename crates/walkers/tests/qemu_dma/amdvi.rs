//! AMD's host tables. QEMU is lax with them, so what is asked is what a right table says: there is no
//! entry in these that a manual and QEMU read in different ways.

use walkers::qemu::AmdVi;
use walkers::{AmdV1Registers, Forget, Mmu, Regime};

use crate::bed::{Bed, agree, place, start, strict};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};
use crate::remembered::{Page, spaces_are_kept_apart};
use crate::stage::{ACCESSES, READ, Stage, WRITE, both};

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

    fn any_leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        self.leaf(output, level, noise.bits() & (IR | IW | FC))
    }

    fn nothing(&self, _: &mut Noise) -> u64 {
        0
    }
}

impl Stage for Host {
    const RIGHTS: [u64; 4] = [0, IR, IW, IR | IW];

    fn permits(rights: u64) -> (bool, bool) {
        (rights & IR != 0, rights & IW != 0)
    }

    fn leaf(&self, output: u64, _: u32, rights: u64) -> u64 {
        output | PRESENT | rights
    }

    fn regime(&self, tree: &Tree) -> Regime {
        let entry = 0b11 | u64::from(tree.levels) << 9 | tree.root | IR | IW;
        Regime::AmdV1(AmdV1Registers { device_table_entry: [entry, 0, 0, 0] })
    }

    /// Within the mode: beyond it, QEMU begins again.
    fn changeable(&self, tree: &Tree) -> u64 {
        tree.input_bits().into()
    }
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
    let Some((mut bed, mut mmu)) = start::<AmdVi>() else { return };
    for levels in 1..=6 {
        bed.clear();
        let tree = Host.tree(&mut bed, levels);
        let regime = Host.regime(&tree);
        let to = bed.target(0x12_3000);
        let most = (11 + 9 * levels).min(38);
        assert!(mmu.says(&regime).unwrap().largest_leaf >= 1 << most);
        for bits in 12..=most {
            let below = (1 << bits) - 1;
            // The second one of its size, and the last one.
            let last = u64::MAX >> (64 - tree.input_bits());
            for from in [1 << bits, last & !below] {
                let address = from | to & below;
                for rights in Host::RIGHTS {
                    map(&mut bed, &tree, from, leaf(to & !below, bits, rights));
                    mmu.install(&regime, 4).unwrap();
                    Host::check_leaf(&mut mmu, address, to, rights);
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
    let Some((mut bed, mut mmu)) = start::<AmdVi>() else { return };
    let tree = Host.tree(&mut bed, 5);
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
    mmu.install(&Host.regime(&tree), 0).unwrap();
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
    let Some((mut bed, mut mmu)) = start::<AmdVi>() else { return };
    Host.check_random_trees(&mut bed, &mut mmu, 3..=6);
}

#[test]
fn what_is_installed_makes_other_spaces_forgotten() {
    let Some((mut bed, mut mmu)) = start::<AmdVi>() else { return };
    let spaces = [0, 1].map(|index| {
        let (tree, to) = (Host.tree(&mut bed, 3), bed.target(index * 0x1000));
        tree.map(&mut bed, &Host, 0x7000, 1, Host.whole(to, 1));
        (Host.regime(&tree), to)
    });
    let spaces = [0, 1, 2, 3].map(|asid| {
        let (regime, to) = spaces[usize::from(asid) % 2];
        (regime, asid, to)
    });
    spaces_are_kept_apart(&mut mmu, 0x7000, ACCESSES, &spaces);
}

#[test]
fn addresses_that_qemu_confuses_are_told_apart() {
    let Some((mut bed, mut mmu)) = start::<AmdVi>() else { return };
    let tree = Host.tree(&mut bed, 6);
    let regime = Host.regime(&tree);
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
        assert_eq!((tally.compared, tally.refusals), (128, 0));
    }
}

#[test]
fn a_leaf_is_remembered_until_its_space_is_forgotten() {
    let Some((mut bed, mut mmu)) = start::<AmdVi>() else { return };
    let tree = Host.tree(&mut bed, 4);
    let address = 0x1234_5678_9000;
    let leaf = Page {
        regime: &Host.regime(&tree),
        asid: 2,
        address,
        old: bed.target(0x1000),
        new: bed.target(0x8000),
        accesses: ACCESSES,
        map: &|bed, to| tree.map(bed, &Host, address, 1, Host.whole(to, 1)),
    };
    let forgets = [
        Forget::Range { asid: 2, first: address, last: address, leaves_only: true },
        Forget::Page { asid: 2, address, level: Some(3), leaves_only: true },
        Forget::Space { asid: 2 },
        Forget::Everything,
    ];
    leaf.is_remembered_until(&mut bed, &mut mmu, &forgets, &[Forget::Space { asid: 3 }]);
}
