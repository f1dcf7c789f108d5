//! The RISC-V IOMMU: the first stage, and the second one alone.

use walkers::qemu::RiscVIommu;
use walkers::{
    Access, FaultKind, Forget, Mmu, Regime, Request, RiscVGuestRegisters, RiscVRegisters,
};

use crate::bed::{Bed, agree, machine, place, places, strict};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};

const READ: Access = Access::UNPRIVILEGED_READ;
const WRITE: Access = Access::UNPRIVILEGED_WRITE;

const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
/// `G`, and what is software's.
const IGNORED: u64 = 1 << 5 | 3 << 8;

/// Entries with `U`, which QEMU does not look at, and without bits that it reads as others do not:
/// 63:54, and a clear `A` of a leaf that may be written.
struct Stage;

impl Entries for Stage {
    fn link(&self, table: u64, _: u32) -> u64 {
        table >> 2 | V
    }

    fn table(&self, entry: u64) -> Option<u64> {
        (entry & (V | R | W | X) == V).then_some(entry >> 10 << 12)
    }

    fn leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        let rights = loop {
            // W without R is reserved, and stays in as well.
            let rights = noise.bits() & (R | W | X);
            if level == 1 || rights != 0 {
                break rights;
            }
        };
        let accessed = if rights & W == 0 && noise.one_in(8) { 0 } else { A };
        let dirty = if noise.one_in(4) { 0 } else { D };
        // One in twenty of the large ones is not aligned.
        let askew = if level > 1 && noise.one_in(20) { 1 << 10 } else { 0 };
        output >> 2 | askew | V | U | rights | accessed | dirty | noise.bits() & IGNORED
    }

    fn nothing(&self, noise: &mut Noise) -> u64 {
        noise.bits() & !V
    }
}

fn first(tree: &Tree) -> Regime {
    let mode = u64::from(tree.levels) + 5;
    let satp = mode << 60 | tree.root >> 12;
    Regime::RiscV(RiscVRegisters { satp, ..RiscVRegisters::default() })
}

fn second(tree: &Tree) -> Regime {
    let mode = u64::from(tree.levels) + 5;
    let hgatp = mode << 60 | tree.root >> 12;
    Regime::RiscVGuest(RiscVGuestRegisters { hgatp, ..RiscVGuestRegisters::default() })
}

/// A regime, and whether its upper half is above a gap.
type Stages = [(fn(&Tree) -> Regime, u32); 2];
const STAGES: Stages = [(first, 0), (second, 2)];

/// What an input address is in the first stage: with the sign of its last bit.
fn canonical(tree: &Tree, address: u64) -> u64 {
    let sign = if tree.wider == 0 { 1 << (tree.input_bits() - 1) } else { 0 };
    (address ^ sign).wrapping_sub(sign)
}

fn both(addresses: impl IntoIterator<Item = u64>) -> Vec<Request> {
    let accesses = |address| [READ, WRITE].map(|access| Request { address, access });
    addresses.into_iter().flat_map(accesses).collect()
}

#[test]
fn every_leaf_leads_to_its_bytes_as_far_as_it_permits() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    for (regime, wider) in STAGES {
        for levels in 3..=5 {
            bed.clear();
            let tree = Tree::new(&mut bed, levels, wider);
            let regime = regime(&tree);
            let to = bed.target(0x20_0000);
            for level in 1..=3.min(levels) {
                let below: u64 = (1 << (3 + 9 * level)) - 1;
                let top = canonical(&tree, (1 << tree.input_bits()) - (1 << 30));
                for from in [0, 0x12_3456_7000, top] {
                    let address = from & !below | to & below;
                    for rights in [R, R | W, R | X, X] {
                        let entry = (to & !below) >> 2 | rights | V | U | A | D;
                        tree.map(&mut bed, &Stage, address, level, entry);
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
                    tree.map(&mut bed, &Stage, address, level, 0);
                    for above in level + 1..=levels {
                        tree.map(&mut bed, &Stage, address, above, 0);
                    }
                }
            }
        }
    }
}

#[test]
fn random_trees_are_walked_alike() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    for (regime, wider) in STAGES {
        for levels in 3..=5 {
            bed.clear();
            let mut noise = Noise(u64::from(levels + wider));
            let tree = Tree::new(&mut bed, levels, wider);
            let grown = tree.grow(&mut bed, &mut noise, &Stage, 3);
            let mut addresses = Vec::new();
            for address in grown {
                let address = canonical(&tree, address);
                let near = address ^ noise.below(0x1000);
                addresses.extend([address, near, address ^ 1 << noise.below(55)]);
            }
            let regime = regime(&tree);
            mmu.install(&regime, levels as u16).unwrap();
            let tally = agree(&bed, &mut mmu, &regime, &both(addresses), &strict);
            println!("{tally:?}");
            assert!(tally.reached >= 500 && tally.refused >= 500, "{tally:?}");
            assert!(tally.reached + tally.refused >= 2000, "{tally:?}");
        }
    }
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    for (regime, wider) in STAGES {
        bed.clear();
        let tree = Tree::new(&mut bed, 4, wider);
        let regime = regime(&tree);
        assert!(mmu.says(&regime).unwrap().remembers);
        let leaf = |target: u64| target >> 2 | V | R | W | U | A | D;
        let (old, new) = (bed.target(0x1000), bed.target(0x8000));
        let address = 0x1234_5678_9000;
        let range = |first, last| Forget::Range { asid: 6, first, last, leaves_only: true };
        let page = |address, level| Forget::Page { asid: 6, address, level, leaves_only: false };
        for forget in [
            range(address, address),
            range(address - 0x7000, address + 0x5fff),
            // As many commands as there are for a range; those for the first page must not be lost.
            range(address, address + 0x1f_efff),
            range(0, u64::MAX >> 16),
            page(address + 0x123, Some(3)),
            page(address, None),
            Forget::Space { asid: 6 },
            Forget::Everything,
        ] {
            tree.map(&mut bed, &Stage, address, 1, leaf(old));
            mmu.install(&regime, 6).unwrap();
            assert_eq!(place(&mut mmu, address, READ), Ok(old));
            assert_eq!(place(&mut mmu, address, WRITE), Ok(old));
            let entry = tree.map(&mut bed, &Stage, address, 1, leaf(new));
            for other in [
                range(address + 0x1000, address + 0x9000),
                range(address - 0x9000, address - 1),
                page(address - 1, Some(3)),
                Forget::Space { asid: 7 },
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
fn address_spaces_are_kept_apart() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    let to = [0, 1, 2].map(|index| bed.target(index * 0x1000));
    let trees = STAGES.map(|(_, wider)| [0, 1, 2].map(|_| Tree::new(&mut bed, 3, wider)));
    for (tree, to) in trees.iter().flat_map(|trees| trees.iter().zip(to)) {
        tree.map(&mut bed, &Stage, 0x7000, 1, to >> 2 | V | R | W | U | A | D);
    }
    for _ in 0..2 {
        for (index, asid) in [(0, 0), (1, 1), (2, 0x7ffe)] {
            for ((regime, _), trees) in STAGES.iter().zip(&trees) {
                mmu.install(&regime(&trees[index]), asid).unwrap();
                assert_eq!(place(&mut mmu, 0x7000, READ), Ok(to[index]));
                assert_eq!(place(&mut mmu, 0x7000, WRITE), Ok(to[index]));
            }
        }
    }
}

/// Why Svnapot is refused: `N`, bit 63, is not looked at, nor is what `PPN` then says of the size.
#[test]
fn every_entry_of_a_page_of_64k_leads_to_the_same_page() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    let to = bed.target(0);
    assert_eq!(to % 0x1_0000, 0);
    for (regime, wider) in STAGES {
        let tree = Tree::new(&mut bed, 3, wider);
        let leaf = (to | 0x8000) >> 2 | V | R | W | U | A | D | 1 << 63;
        for page in 0..16 {
            tree.map(&mut bed, &Stage, page << 12, 1, leaf);
        }
        mmu.install(&regime(&tree), 1).unwrap();
        for address in [0, 0x8000, 0xf000] {
            assert_eq!(place(&mut mmu, address, READ), Ok(to | 0x8000));
            assert_eq!(place(&mut mmu, address, WRITE), Ok(to | 0x8000));
        }
    }
}

#[test]
fn accessed_and_dirty_bits_are_asked_for_unless_hardware_sets_them() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    let tree = Tree::new(&mut bed, 3, 0);
    let to = bed.target(0);
    tree.map(&mut bed, &Stage, 0, 1, to >> 2 | V | R | W | U);
    tree.map(&mut bed, &Stage, 0x1000, 1, to >> 2 | V | R | W | U | A);
    let beyond = tree.entry(&mut bed, &Stage, 1 << 30, 2);
    bed.write(beyond, 0x70_0000_0000 >> 2 | V);
    mmu.install(&first(&tree), 1).unwrap();
    let answers = |mmu: &mut RiscVIommu| {
        [(0, READ), (0, WRITE), (0x1000, READ), (0x1000, WRITE)]
            .map(|(address, access)| place(mmu, address, access).is_ok())
    };
    assert_eq!(answers(&mut mmu), [false, false, true, false]);
    assert_eq!(place(&mut mmu, 1 << 30, READ), Err(Some(FaultKind::ExternalAbort)));
    let Regime::RiscV(registers) = first(&tree) else { unreachable!() };
    let managed = RiscVRegisters { adue: true, ..registers };
    mmu.install(&Regime::RiscV(managed), 1).unwrap();
    assert_eq!(answers(&mut mmu), [true; 4]);
    for refused in [
        RiscVRegisters { napot: true, ..registers },
        RiscVRegisters { pbmt: true, ..registers },
        RiscVRegisters { mxr: true, ..registers },
        RiscVRegisters { satp: 0, ..registers },
    ] {
        assert!(mmu.install(&Regime::RiscV(refused), 1).is_err());
    }
}
