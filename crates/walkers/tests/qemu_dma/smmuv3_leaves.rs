//! `SMMUv3`, leaf by leaf.

use walkers::qemu::SmmuV3;
use walkers::soft::{Stage1Registers, Stage2Registers};
use walkers::{Access, FaultKind, Mmu, MmuError, Regime, Request};

use crate::bed::{READ, WRITE, agree, both, place, start, strict};
use crate::vmsa::{ACCESSED, READ_ONLY, S2_READ, S2_WRITE, Tree};

/// What each granule maps 48 or 47 bits with: the granule, the input size, leaves by level.
const GRANULES: [(u32, u32, &[u32]); 3] =
    [(12, 48, &[3, 2, 1]), (14, 48, &[3, 2]), (16, 48, &[3, 2])];

pub(crate) fn stage1(tree: &Tree) -> Regime {
    let tcr = tree.tcr();
    Regime::Stage1(Stage1Registers { ttbr0: Some(tree.root), ttbr1: None, tcr, mair: 0xff })
}

pub(crate) fn stage2(tree: &Tree) -> Regime {
    let vtcr = tree.vtcr();
    Regime::Stage2(Stage2Registers { vttbr: tree.root, vtcr, force_write_back: false })
}

#[test]
fn every_leaf_of_stage_1_leads_to_its_bytes() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    for (granule, input_bits, levels) in GRANULES {
        bed.clear();
        let tree = Tree::new(&mut bed, granule, input_bits);
        let mut asked = Vec::new();
        for (&level, at) in levels.iter().zip([0, 0x1234_0000_0000, 0xffff_0000_0000]) {
            let span = tree.span(level);
            let (from, to) = (at & !(span - 1), bed.target(0x2_0000) & !(span - 1));
            tree.map(&mut bed, from, to, level, ACCESSED);
            let (first, last) = (bed.target(0).max(to), bed.areas.targets.1.min(to + span - 1));
            for target in [first, first + 1, first + 0x123, last - 8, last] {
                asked.push((from + (target - to), target));
            }
        }
        let regime = stage1(&tree);
        mmu.install(&regime, 3).unwrap();
        assert_eq!(mmu.says(&regime).unwrap().largest_leaf, tree.span(*levels.last().unwrap()));
        for &(address, target) in &asked {
            assert_eq!(place(&mut mmu, address, READ), Ok(target));
            assert_eq!(place(&mut mmu, address, WRITE), Ok(target));
        }
        agree(&bed, &mut mmu, &regime, &both(asked.iter().map(|&(address, _)| address)), &strict);
    }
}

#[test]
fn stage_1_faults_have_their_class() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    for (granule, ..) in GRANULES {
        bed.clear();
        let tree = Tree::new(&mut bed, granule, 39);
        let page = 1 << granule;
        let to = bed.target(0);
        tree.map(&mut bed, 0, to, 3, ACCESSED | READ_ONLY);
        tree.map(&mut bed, page, to, 3, 0);
        tree.map(&mut bed, 2 * page, 1 << 44, 3, ACCESSED);
        // A table beyond RAM.
        let beyond = tree.entry(&mut bed, 1 << 36, 2);
        bed.write(beyond, 0x20_0000_0003);
        mmu.install(&stage1(&tree), 3).unwrap();
        assert_eq!(place(&mut mmu, 8, READ), Ok(to + 8));
        assert_eq!(place(&mut mmu, 8, WRITE), Err(Some(FaultKind::Permission)));
        for access in [READ, WRITE] {
            let mut class = |address| place(&mut mmu, address, access).unwrap_err().unwrap();
            assert_eq!(class(page), FaultKind::AccessFlag);
            assert_eq!(class(2 * page), FaultKind::AddressSize);
            assert_eq!(class(3 * page), FaultKind::Translation);
            assert_eq!(class(1 << 38), FaultKind::Translation);
            assert_eq!(class(1 << 39), FaultKind::Translation, "beyond the input size");
            assert_eq!(class(u64::MAX), FaultKind::Translation, "the upper half is off");
            assert_eq!(class(1 << 36), FaultKind::ExternalAbort);
        }
    }
}

#[test]
fn stage_2_permissions_are_those_of_s2ap() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    // Roots of one table: 4 KiB at levels 1 and 0, 16 KiB at 2 and 1, 64 KiB at 2 and 1.
    for (granule, input_bits) in [(12, 39), (12, 44), (14, 36), (14, 44), (16, 42), (16, 44)] {
        bed.clear();
        let tree = Tree::new(&mut bed, granule, input_bits);
        let page = 1 << granule;
        let to = bed.target(0x1_0000);
        for (index, bits) in [0, S2_READ, S2_WRITE, S2_READ | S2_WRITE].into_iter().enumerate() {
            tree.map(&mut bed, index as u64 * page, to, 3, ACCESSED | bits);
        }
        let top = (1 << input_bits) - page;
        tree.map(&mut bed, top, to, 3, ACCESSED | S2_READ | S2_WRITE);
        mmu.install(&stage2(&tree), 7).unwrap();
        let refused = Err(Some(FaultKind::Permission));
        let mut read = |page_index| place(&mut mmu, page_index * page + 16, READ);
        assert_eq!([0, 1, 2, 3].map(&mut read), [refused, Ok(to + 16), refused, Ok(to + 16)]);
        let mut write = |page_index| place(&mut mmu, page_index * page + 16, WRITE);
        assert_eq!([0, 1, 2, 3].map(&mut write), [refused, refused, Ok(to + 16), Ok(to + 16)]);
        // Writes that went through do not let reads through.
        assert_eq!(place(&mut mmu, 2 * page + 16, READ), refused);
        assert_eq!(place(&mut mmu, top + 8, READ), Ok(to + 8));
        assert_eq!(place(&mut mmu, 4 * page, READ), Err(Some(FaultKind::Translation)));
        assert_eq!(
            place(&mut mmu, top + page, READ),
            match input_bits {
                // Beyond what any input may be: a fault of stage 1, which is not there to say so.
                44 => Err(None),
                _ => Err(Some(FaultKind::Translation)),
            }
        );
    }
}

#[test]
fn requests_of_a_batch_do_not_get_in_each_others_way() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    // All addresses lead to one page; every third is read-only, every fifth not mapped.
    let tree = Tree::new(&mut bed, 12, 48);
    let to = bed.target(0x3_0000);
    for index in 0..512 {
        let bits = if index % 3 == 0 { ACCESSED | READ_ONLY } else { ACCESSED };
        if index % 5 != 0 {
            tree.map(&mut bed, index << 12, to, 3, bits);
        }
    }
    let regime = stage1(&tree);
    mmu.install(&regime, 0).unwrap();
    let requests = both((0..512).chain(0..512).map(|index| index << 12 | 0xabc));
    let tally = agree(&bed, &mut mmu, &regime, &requests, &strict);
    assert_eq!((tally.compared, tally.refusals), (2048, 2 * (2 * 103 + 136)));
}

#[test]
fn what_is_not_done_is_said() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    let tree = Tree::new(&mut bed, 12, 39);
    let mut answers = Vec::new();
    let request = Request { address: 0, access: READ };
    let early = mmu.translate(&[request], &mut answers).unwrap_err();
    assert!(matches!(early, MmuError::Unsupported(_)), "{early}");
    mmu.install(&stage1(&tree), 0).unwrap();
    let request = Request { address: 0, access: Access::PRIVILEGED_EXECUTE };
    let fetch = mmu.translate(&[request], &mut answers).unwrap_err();
    assert!(fetch.to_string().contains("fetches"), "{fetch}");
    let last = mmu.install(&stage1(&tree), 0x7fff).unwrap_err();
    assert!(last.to_string().contains("address spaces"), "{last}");
    let concatenated = Tree { input_bits: 40, ..tree };
    let vtcr = concatenated.vtcr() & !(3 << 6) | 1 << 6;
    let registers = Stage2Registers { vttbr: 0, vtcr, force_write_back: false };
    let why = mmu.install(&Regime::Stage2(registers), 0).unwrap_err();
    assert!(why.to_string().contains("concatenated"), "{why}");
}
