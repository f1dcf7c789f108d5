//! Two stages: what is kept is kept for the addresses of stage 1.

use walkers::iotlb::{Invalidations, Iotlb};
use walkers::soft::{Stage1Registers, Stage2Registers};
use walkers::{Forget, Mmu, Regime};

use crate::memory::{ASID, Memory, forget_range, read};

/// Stage 1: a page table for its input at the intermediate address 0x3000; pages 0 and 1 lead to 5
/// and 6. Stage 2: from the pages 1 to 3 and 5 to 6, to 1 MiB above.
fn two_stages() -> (Memory, Iotlb<Memory>) {
    let memory = Memory::new(&[
        (0x10_1000, 0x2003),
        (0x10_2000, 0x3003),
        (0x10_3000, 0x5743),
        (0x10_3008, 0x6743),
        (0x8_0000, 0x8_1003),
        (0x8_1000, 0x8_2003),
    ]);
    for page in [1, 2, 3, 5, 6] {
        memory.write(0x8_2000 + page * 8, 0x10_07ff + (page << 12));
    }
    let first =
        Stage1Registers { ttbr0: Some(0x1000), ttbr1: None, tcr: 25 | 0b101 << 32, mair: 0xff };
    let second = Stage2Registers {
        vttbr: 0x8_0000,
        vtcr: 25 | 1 << 6 | 0b101 << 16,
        force_write_back: false,
    };
    let mut mmu = Iotlb::new(memory.clone(), Invalidations::Ranges);
    mmu.install(&Regime::Nested(first, second), ASID).expect("both are walked");
    (memory, mmu)
}

#[test]
fn both_stages_of_a_leaf_are_kept() {
    for change in [(0x10_3000, 0x6743), (0x8_2028, 0x10_67ff)] {
        let (memory, mut mmu) = two_stages();
        assert_eq!(read(&mut mmu, 0xabc), Some(0x10_5abc));
        memory.write(change.0, change.1);
        assert_eq!(read(&mut mmu, 0xabc), Some(0x10_5abc), "stale");
        forget_range(&mut mmu, 0, 0, true);
        assert_eq!(read(&mut mmu, 0xabc), Some(0x10_6abc));
    }
}

#[test]
fn the_way_through_stage_2_to_tables_is_kept_with_them() {
    let (memory, mut mmu) = two_stages();
    read(&mut mmu, 0);
    // The page table of stage 1 is not mapped any more.
    memory.write(0x8_2018, 0);
    memory.write(0x10_3008, 0x5743);
    assert_eq!(read(&mut mmu, 0), Some(0x10_5000), "its leaf was walked");
    assert_eq!(read(&mut mmu, 0x1000), None, "what lies in it is read through stage 2");
    // The root is not mapped any more: below the table that is known, nobody asks.
    let (memory, mut mmu) = two_stages();
    read(&mut mmu, 0);
    memory.write(0x8_2008, 0);
    assert_eq!(read(&mut mmu, 0x1000), Some(0x10_6000), "stale");
    mmu.forget(Forget::Everything).unwrap();
    assert_eq!(read(&mut mmu, 0x1000), None);
}
