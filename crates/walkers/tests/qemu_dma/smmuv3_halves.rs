//! `SMMUv3`: both halves of the address space.

use walkers::qemu::SmmuV3;
use walkers::soft::Stage1Registers;
use walkers::{FaultKind, Mmu, Regime};

use crate::bed::{READ, WRITE, place, start};
use crate::vmsa::{ACCESSED, Tree};

#[test]
fn halves_have_tables_granules_and_sizes_of_their_own() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    for (lower, upper) in [((12, 48), (12, 48)), ((12, 39), (16, 42)), ((16, 48), (14, 36))] {
        bed.clear();
        let lower = Tree::new(&mut bed, lower.0, lower.1);
        let upper = Tree::new(&mut bed, upper.0, upper.1);
        let (low, high) = (bed.target(0), bed.target(0x10_0000));
        let up = u64::MAX << upper.input_bits;
        lower.map(&mut bed, 0, low, 3, ACCESSED);
        upper.map(&mut bed, 0, high, 3, ACCESSED);
        upper.map(&mut bed, 0xffff_0000_0000, high + 0x1_0000, 3, ACCESSED);
        let last = !0xffff_ffff;
        let tcr = lower.tcr() | u64::from(64 - upper.input_bits) << 16 | upper.tg1() << 30;
        let registers =
            Stage1Registers { ttbr0: Some(lower.root), ttbr1: Some(upper.root), tcr, mair: 0xff };
        mmu.install(&Regime::Stage1(registers), 1).unwrap();
        for access in [READ, WRITE] {
            assert_eq!(place(&mut mmu, 0x18, access), Ok(low + 0x18));
            assert_eq!(place(&mut mmu, up + 0x18, access), Ok(high + 0x18));
            assert_eq!(place(&mut mmu, last + 8, access), Ok(high + 0x1_0008));
            let between = place(&mut mmu, 1 << 52, access);
            assert_eq!(between, Err(Some(FaultKind::Translation)));
        }
        // Without the lower half, and without the upper.
        let registers = Stage1Registers { ttbr0: None, ..registers };
        mmu.install(&Regime::Stage1(registers), 1).unwrap();
        assert_eq!(place(&mut mmu, 0x18, READ), Err(Some(FaultKind::Translation)));
        assert_eq!(place(&mut mmu, up, READ), Ok(high));
        let tcr = tcr | 1 << 23;
        let registers = Stage1Registers { ttbr0: Some(lower.root), tcr, ..registers };
        mmu.install(&Regime::Stage1(registers), 1).unwrap();
        assert_eq!(place(&mut mmu, 0x18, READ), Ok(low + 0x18));
        assert_eq!(place(&mut mmu, up, READ), Err(Some(FaultKind::Translation)));
    }
}
