//! `SMMUv3`: what is remembered, and how it is forgotten.

use walkers::qemu::SmmuV3;
use walkers::{Forget, Mmu};

use crate::bed::{ACCESSES, READ, WRITE, place, start};
use crate::remembered::{Page, spaces_are_kept_apart};
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
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    let tree = Tree::new(&mut bed, 12, 39);
    for (regime, bits) in [(stage1(&tree), 0), (stage2(&tree), S2_READ | S2_WRITE)] {
        let leaf = Page {
            regime: &regime,
            asid: ASID,
            address: ADDRESS,
            old: bed.target(0),
            new: bed.target(0x8000),
            accesses: ACCESSES,
            map: &|bed, to| tree.map(bed, ADDRESS, to, 3, ACCESSED | bits),
        };
        let forgets = [
            range(ADDRESS, ADDRESS),
            range(ADDRESS - 0x5000, ADDRESS + 0x12_3fff),
            range(0, (1 << 39) - 1),
            Forget::Range { asid: ASID, first: ADDRESS, last: ADDRESS, leaves_only: false },
            page(ADDRESS + 0x123, None),
            page(ADDRESS, Some(3)),
            Forget::Space { asid: ASID },
            Forget::Everything,
        ];
        let others = [
            range(ADDRESS + 0x1000, ADDRESS + 0xff_ffff),
            range(0, ADDRESS - 1),
            page(ADDRESS - 1, None),
            Forget::Range { asid: ASID + 1, first: ADDRESS, last: ADDRESS, leaves_only: false },
            Forget::Space { asid: ASID - 1 },
        ];
        leaf.is_remembered_until(&mut bed, &mut mmu, &forgets, &others);
    }
}

#[test]
fn a_large_leaf_is_forgotten_by_any_of_its_addresses() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    for granule in [12, 14, 16] {
        bed.clear();
        let tree = Tree::new(&mut bed, granule, 42);
        let span = tree.span(2);
        let to = bed.target(0);
        let (from, base) = (span * 3, to & !(span - 1));
        let address = from + (to - base);
        let entry = tree.map(&mut bed, from, base, 2, ACCESSED);
        mmu.install(&stage1(&tree), ASID).unwrap();
        for access in ACCESSES {
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
        for access in ACCESSES {
            assert!(place(&mut mmu, address, access).is_err());
        }
    }
}

#[test]
fn a_permission_that_is_taken_away_stays_until_it_is_forgotten() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
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
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    let spaces = [(0, 0), (1, 1), (2, 0x7ffe)].map(|(index, asid)| {
        let [one, two] = [0, 1].map(|_| Tree::new(&mut bed, 12, 39));
        let to = bed.target(index * 0x1000);
        one.map(&mut bed, ADDRESS, to, 3, ACCESSED);
        two.map(&mut bed, ADDRESS, to, 3, ACCESSED | S2_READ | S2_WRITE);
        [(stage1(&one), asid, to), (stage2(&two), asid, to)]
    });
    spaces_are_kept_apart(&mut mmu, ADDRESS, ACCESSES, spaces.as_flattened());
}
