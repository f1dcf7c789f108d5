//! `SMMUv3`: stage 1 whose tables and results go through stage 2.

use walkers::qemu::SmmuV3;
use walkers::soft::{Stage1Registers, Stage2Registers};
use walkers::{FaultKind, Mmu, PhysMemory, Regime};

use crate::bed::{READ, WRITE, place, start};
use crate::vmsa::{ACCESSED, S2_READ, S2_WRITE, Tree};

/// How far intermediate addresses are from physical ones.
const AWAY: u64 = 1 << 36;

#[test]
fn both_stages_are_walked() {
    let Some((mut bed, mut mmu)) = start::<SmmuV3>() else { return };
    let outer = Tree::new(&mut bed, 12, 39);
    let inner = Tree::new(&mut bed, 12, 39);
    let (read, write) = (ACCESSED | S2_READ, ACCESSED | S2_WRITE);
    let to = bed.target(0);
    // Four pages that stage 1 maps: stage 2 has them writable, read-only, not at all, elsewhere.
    for (index, output) in [to, to + 0x1000, to + 0x2000, to + 0x3000].into_iter().enumerate() {
        inner.map(&mut bed, index as u64 * 0x1000, output + AWAY, 3, ACCESSED);
    }
    outer.map(&mut bed, to + AWAY, to, 3, read | write);
    outer.map(&mut bed, to + AWAY + 0x1000, to + 0x1000, 3, read);
    outer.map(&mut bed, to + AWAY + 0x3000, to + 0x8000, 3, read | write);
    // Stage 1's tables, which have physical addresses in them until now.
    let mut tables = vec![inner.root];
    let entries = [1, 2].map(|level| inner.entry(&mut bed, 0, level));
    for entry in entries {
        let found = bed.ram.read_u64(entry).unwrap();
        tables.push(found & 0xffff_ffff_f000);
        bed.write(entry, found + AWAY);
    }
    for &table in &tables {
        outer.map(&mut bed, table + AWAY, table, 3, read);
    }
    outer.map(&mut bed, mmu.context_descriptors(), mmu.context_descriptors(), 3, read);
    let regime = Regime::Nested(
        Stage1Registers {
            ttbr0: Some(inner.root + AWAY),
            ttbr1: None,
            tcr: inner.tcr(),
            mair: 0xff,
        },
        Stage2Registers { vttbr: outer.root, vtcr: outer.vtcr(), force_write_back: false },
    );
    mmu.install(&regime, 5).unwrap();
    assert_eq!(place(&mut mmu, 0x10, READ), Ok(to + 0x10));
    assert_eq!(place(&mut mmu, 0x10, WRITE), Ok(to + 0x10));
    assert_eq!(place(&mut mmu, 0x1010, READ), Ok(to + 0x1010));
    assert_eq!(place(&mut mmu, 0x1010, WRITE), Err(Some(FaultKind::Permission)));
    assert_eq!(place(&mut mmu, 0x2010, READ), Err(Some(FaultKind::Translation)));
    assert_eq!(place(&mut mmu, 0x3010, WRITE), Ok(to + 0x8010));
    // Without the last table of stage 1, nothing is found.
    outer.map(&mut bed, tables[2] + AWAY, 0, 3, 0);
    mmu.install(&regime, 5).unwrap();
    assert!(place(&mut mmu, 0x10, READ).is_err());
}
