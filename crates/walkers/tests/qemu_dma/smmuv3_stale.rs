//! `SMMUv3`: what is remembered, and how it is forgotten.

use walkers::qemu::SmmuV3;
use walkers::{Forget, Mmu};

use crate::bed::{Bed, READ, WRITE, machine, place};
use crate::smmuv3_leaves::{stage1, stage2};
use crate::vmsa::{ACCESSED, READ_ONLY, S2_READ, S2_WRITE, Tree};

const ASID: u16 = 9;
const ADDRESS: u64 = 0x1234_5678_9000 & ((1 << 39) - 1);

fn range(first: u64, last: u64) -> Forget {
    Forget::Range { asid: ASID, first, last, leaves_only: true }
}

fn page(address: u64, level: Option<i8>) -> Forget {
    Forget::Page { asid: ASID, address, level, leaves_only: true }
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let mut bed = Bed::new(SmmuV3::RAM);
    let Some(mut mmu) = machine(SmmuV3::locate(), &bed, SmmuV3::start) else { return };
    let tree = Tree::new(&mut bed, 12, 39);
    let (old, new) = (bed.target(0), bed.target(0x8000));
    for (regime, bits) in [(stage1(&tree), 0), (stage2(&tree), S2_READ | S2_WRITE)] {
        assert!(mmu.says(&regime).unwrap().remembers);
        let forgotten = [
            range(ADDRESS, ADDRESS),
            range(ADDRESS - 0x5000, ADDRESS + 0x12_3fff),
            range(0, (1 << 39) - 1),
            Forget::Range { asid: ASID, first: ADDRESS, last: ADDRESS, leaves_only: false },
            page(ADDRESS + 0x123, None),
            page(ADDRESS, Some(3)),
            Forget::Space { asid: ASID },
            Forget::Everything,
        ];
        for forget in forgotten {
            tree.map(&mut bed, ADDRESS, old, 3, ACCESSED | bits);
            mmu.install(&regime, ASID).unwrap();
            for access in [READ, WRITE] {
                assert_eq!(place(&mut mmu, ADDRESS, access), Ok(old));
            }
            let entry = tree.map(&mut bed, ADDRESS, new, 3, ACCESSED | bits);
            for other in [
                range(ADDRESS + 0x1000, ADDRESS + 0xff_ffff),
                range(0, ADDRESS - 1),
                page(ADDRESS - 1, None),
                Forget::Range { asid: ASID + 1, first: ADDRESS, last: ADDRESS, leaves_only: false },
                Forget::Space { asid: ASID - 1 },
            ] {
                mmu.forget(other).unwrap();
            }
            for access in [READ, WRITE] {
                assert_eq!(place(&mut mmu, ADDRESS, access), Ok(old), "nothing was forgotten");
            }
            mmu.forget(forget).unwrap();
            for access in [READ, WRITE] {
                assert_eq!(place(&mut mmu, ADDRESS, access), Ok(new), "{forget:?}");
            }
            bed.write(entry, 0);
            for access in [READ, WRITE] {
                assert_eq!(place(&mut mmu, ADDRESS, access), Ok(new), "stale");
            }
            mmu.forget(forget).unwrap();
            for access in [READ, WRITE] {
                assert!(place(&mut mmu, ADDRESS, access).is_err(), "{forget:?}");
            }
        }
    }
}

#[test]
fn a_large_leaf_is_forgotten_by_any_of_its_addresses() {
    let mut bed = Bed::new(SmmuV3::RAM);
    let Some(mut mmu) = machine(SmmuV3::locate(), &bed, SmmuV3::start) else { return };
    for granule in [12, 14, 16] {
        bed.clear();
        let tree = Tree::new(&mut bed, granule, 42);
        let span = tree.span(2);
        let to = bed.target(0);
        let (from, base) = (span * 3, to & !(span - 1));
        let address = from + (to - base);
        let entry = tree.map(&mut bed, from, base, 2, ACCESSED);
        mmu.install(&stage1(&tree), ASID).unwrap();
        for access in [READ, WRITE] {
            assert_eq!(place(&mut mmu, address, access), Ok(to));
        }
        bed.write(entry, 0);
        assert_eq!(place(&mut mmu, address, READ), Ok(to), "stale");
        mmu.forget(range(from + span, from + 2 * span)).unwrap();
        mmu.forget(page(from + span, Some(2))).unwrap();
        assert_eq!(place(&mut mmu, address, READ), Ok(to), "beside it");
        mmu.forget(if granule == 14 {
            page(from, Some(2))
        } else {
            range(from + span - 1, from + span - 1)
        })
        .unwrap();
        for access in [READ, WRITE] {
            assert!(place(&mut mmu, address, access).is_err());
        }
    }
}

#[test]
fn a_permission_that_is_taken_away_stays_until_it_is_forgotten() {
    let mut bed = Bed::new(SmmuV3::RAM);
    let Some(mut mmu) = machine(SmmuV3::locate(), &bed, SmmuV3::start) else { return };
    let tree = Tree::new(&mut bed, 12, 39);
    let to = bed.target(0);
    tree.map(&mut bed, ADDRESS, to, 3, ACCESSED);
    mmu.install(&stage1(&tree), ASID).unwrap();
    assert_eq!(place(&mut mmu, ADDRESS, WRITE), Ok(to));
    tree.map(&mut bed, ADDRESS, to, 3, ACCESSED | READ_ONLY);
    assert_eq!(place(&mut mmu, ADDRESS, WRITE), Ok(to), "stale");
    mmu.forget(range(ADDRESS, ADDRESS + 0xfff)).unwrap();
    assert!(place(&mut mmu, ADDRESS, WRITE).is_err());
    assert_eq!(place(&mut mmu, ADDRESS, READ), Ok(to));
}

#[test]
fn address_spaces_are_kept_apart() {
    let mut bed = Bed::new(SmmuV3::RAM);
    let Some(mut mmu) = machine(SmmuV3::locate(), &bed, SmmuV3::start) else { return };
    let trees = [0, 1, 2].map(|_| Tree::new(&mut bed, 12, 39));
    let bits = ACCESSED | S2_READ | S2_WRITE;
    let to = [0, 1, 2].map(|index| bed.target(index * 0x1000));
    for (tree, to) in trees.iter().zip(to) {
        // Stage 1 reads S2_WRITE as read-only.
        tree.map(&mut bed, ADDRESS, to, 3, bits);
    }
    for _ in 0..2 {
        for (index, asid) in [(0, 0), (1, 1), (2, 0x7ffe)] {
            mmu.install(&stage1(&trees[index]), asid).unwrap();
            assert_eq!(place(&mut mmu, ADDRESS, READ), Ok(to[index]));
            mmu.install(&stage2(&trees[index]), asid).unwrap();
            assert_eq!(place(&mut mmu, ADDRESS, WRITE), Ok(to[index]));
        }
    }
}
