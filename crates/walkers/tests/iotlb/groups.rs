//! Groups of entries that stand for one leaf: kept as one, and as each that was walked.

use walkers::iotlb::{Invalidations, Iotlb};
use walkers::soft::Stage1Registers;
use walkers::{AmdV1Registers, Mmu, Regime, RiscVRegisters, ShortDescriptorRegisters};

use crate::memory::{ASID, Memory, forget_range, read};

/// Installs `regime` over sixteen entries from `first_entry` on that map 64 KiB, each `leaf(index)`.
fn sixteen(
    regime: &Regime,
    above: &[(u64, u64)],
    first_entry: u64,
    leaf: impl Fn(u64) -> u64,
) -> (Memory, Iotlb<Memory>) {
    let memory = Memory::new(above);
    for index in 0..16 {
        memory.write(first_entry + 8 * index, leaf(index));
    }
    let mut mmu = Iotlb::new(memory.clone(), Invalidations::Ranges);
    mmu.install(regime, ASID).expect("the regime is walked");
    (memory, mmu)
}

/// With 4 KiB, the hint, and pages from 1 MiB on. Bit 6: for both privileges.
fn contiguous() -> (Memory, Iotlb<Memory>) {
    let registers =
        Stage1Registers { ttbr0: Some(0x1000), ttbr1: None, tcr: 25 | 0b101 << 32, mair: 0xff };
    sixteen(&Regime::Stage1(registers), &[(0x1000, 0x2003), (0x2000, 0x3003)], 0x3000, |index| {
        1 << 52 | 0x10_0743 | index << 12
    })
}

/// The same without the hint, elsewhere.
const ELSEWHERE: u64 = 0x20_0743;

#[test]
fn a_group_is_kept_as_one_leaf() {
    let (memory, mut mmu) = contiguous();
    read(&mut mmu, 0);
    for index in 0..16 {
        memory.write(0x3000 + 8 * index, ELSEWHERE);
    }
    assert_eq!(read(&mut mmu, 0xfabc), Some(0x10_fabc), "stale, though it was never walked");
    forget_range(&mut mmu, 0x5000, 0x5fff, true);
    assert_eq!(read(&mut mmu, 0xfabc), Some(0x20_0abc), "any member will do for the others");
    assert_eq!(read(&mut mmu, 0), Some(0x10_0000), "but this one is kept on its own, too");
}

#[test]
fn a_member_that_was_walked_goes_on_its_own() {
    let (memory, mut mmu) = contiguous();
    for index in 0..16 {
        read(&mut mmu, index << 12);
        memory.write(0x3000 + 8 * index, ELSEWHERE);
        forget_range(&mut mmu, index << 12, (index << 12) + 0xfff, true);
        assert_eq!(read(&mut mmu, index << 12), Some(0x20_0000));
        // Put back, so that the next one finds a group.
        memory.write(0x3000 + 8 * index, 1 << 52 | 0x10_0743 | index << 12);
        forget_range(&mut mmu, index << 12, (index << 12) + 0xfff, true);
    }
}

#[test]
fn each_format_s_groups_are_kept_as_one() {
    let napot = RiscVRegisters { satp: 8 << 60 | 1, napot: true, ..Default::default() };
    let riscv = Regime::RiscV(napot);
    // Pages of 64 KiB at 0x10_0000: U, and all rights.
    let (memory, mut mmu) = sixteen(&riscv, &[(0x1000, 0x801), (0x2000, 0xc01)], 0x3000, |_| {
        1 << 63 | 0x108 << 10 | 0xdf
    });
    check_as_one(&memory, &mut mmu);

    let rw = 0b11 << 61 | 1;
    let device = rw | 1 << 1 | 2 << 9 | 0x1000;
    let amd = Regime::AmdV1(AmdV1Registers { device_table_entry: [device, 0, 0, 0] });
    let (memory, mut mmu) =
        sixteen(&amd, &[(0x1000, rw | 1 << 9 | 0x3000)], 0x3000, |_| rw | 7 << 9 | 0x10_7000);
    check_as_one(&memory, &mut mmu);

    // Two descriptors of four bytes in a word: eight words are a large page.
    let short = Regime::ShortDescriptors(ShortDescriptorRegisters {
        ttbr0: 0x4000,
        ..ShortDescriptorRegisters::default()
    });
    let (memory, mut mmu) =
        sixteen(&short, &[(0x4000, 0x3001)], 0x3000, |_| 0x10_0031 << 32 | 0x10_0031);
    check_as_one(&memory, &mut mmu);
}

fn check_as_one(memory: &Memory, mmu: &mut Iotlb<Memory>) {
    assert_eq!(read(mmu, 0x2005), Some(0x10_2005));
    for index in 0..16 {
        memory.write(0x3000 + 8 * index, 0);
    }
    assert_eq!(read(mmu, 0xfabc), Some(0x10_fabc), "stale");
    forget_range(mmu, 0, 0xfff, true);
    assert_eq!(read(mmu, 0xfabc), None);
    assert_eq!(read(mmu, 0x2005), Some(0x10_2005), "kept as the member that was walked");
    forget_range(mmu, 0x2000, 0x2000, true);
    assert_eq!(read(mmu, 0x2005), None);
}
