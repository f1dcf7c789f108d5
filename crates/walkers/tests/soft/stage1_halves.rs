//! Stage 1: the upper half, and tags.

use walkers::soft::{Stage1, Stage1Registers};
use walkers::{Access, Walker};

use crate::tables::{IPS_48, Tables, address_size_fault, place, translation_fault};

const READ: Access = Access::PRIVILEGED_READ;

/// Both halves with 39 bits and 4 KiB: `T0SZ` and `T1SZ` 25, `TG0` 0b00, `TG1` 0b10.
const TCR: u64 = IPS_48 | 0b10 << 30 | 25 << 16 | 25;

/// The lower root at 0x1000 and the upper one at 0x2000, blocks of 1 GiB in both.
const ROOTS: [(u64, u64); 3] = [
    (0x1000, 0x4000_0701),           // lower half, first entry
    (0x2000, 0x8000_0701),           // upper half, first entry
    (0x2000 + 511 * 8, 0xc000_0701), // upper half, last entry
];

fn mmu(tcr: u64) -> Stage1<Tables> {
    let registers = Stage1Registers { ttbr0: Some(0x1000), ttbr1: Some(0x2000), tcr, mair: 0xff };
    Stage1::new(Tables::new(&ROOTS), registers).expect("no granule is reserved")
}

#[test]
fn bit_55_selects_the_half() {
    let mmu = mmu(TCR);
    assert_eq!(place(mmu.translate(0x12, READ)), Ok((0x4000_0012, 1 << 30, 1)));
    let first = 0xffff_ff80_0000_0012;
    assert_eq!(place(mmu.translate(first, READ)), Ok((0x8000_0012, 1 << 30, 1)));
    let last = 0xffff_ffff_ffff_ffff;
    assert_eq!(place(mmu.translate(last, READ)), Ok((0xffff_ffff, 1 << 30, 1)));
}

#[test]
fn the_upper_half_faults_unless_all_bits_above_its_size_are_ones() {
    let mmu = mmu(TCR);
    for bit in (39..55).chain(56..64) {
        let va = !(1 << bit);
        assert_eq!(place(mmu.translate(va, READ)), translation_fault(0), "bit {bit}");
    }
}

#[test]
fn the_upper_half_has_its_own_size_and_granule() {
    // T1SZ 28 with TG1 0b01, 16 KiB: 36 bits, level 2 with 2048 entries.
    let tcr = IPS_48 | 0b01 << 30 | 28 << 16 | 25;
    let registers = Stage1Registers { ttbr1: Some(0x4000), tcr, ..Default::default() };
    let entries = [(0x4000 + 2047 * 8, 0x0400_0701)];
    let mmu = Stage1::new(Tables::new(&entries), registers).unwrap();
    assert_eq!(place(mmu.translate(!0, READ)), Ok((0x05ff_ffff, 32 << 20, 2)));

    // T1SZ 22 with TG1 0b11, 64 KiB: 42 bits, level 2 with 8192 entries.
    let tcr = IPS_48 | 0b11 << 30 | 22 << 16 | 25;
    let registers = Stage1Registers { ttbr1: Some(0x1_0000), tcr, ..Default::default() };
    let entries = [(0x1_0000 + 8191 * 8, 0x4000_0701)];
    let mmu = Stage1::new(Tables::new(&entries), registers).unwrap();
    assert_eq!(place(mmu.translate(!0, READ)), Ok((0x5fff_ffff, 512 << 20, 2)));
}

#[test]
fn each_half_can_be_disabled_alone() {
    let lower_off = mmu(TCR | 1 << 7);
    assert_eq!(place(lower_off.translate(0, READ)), translation_fault(0));
    assert!(lower_off.translate(!0, READ).is_ok());
    let upper_off = mmu(TCR | 1 << 23);
    assert!(upper_off.translate(0, READ).is_ok());
    assert_eq!(place(upper_off.translate(!0, READ)), translation_fault(0));
}

#[test]
fn a_half_without_a_base_faults_at_level_0() {
    let registers = Stage1Registers { tcr: TCR, ..Default::default() };
    let mmu = Stage1::new(Tables::new(&ROOTS), registers).unwrap();
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
    assert_eq!(place(mmu.translate(!0, READ)), translation_fault(0));
}

#[test]
fn an_upper_base_beyond_the_output_size_is_an_address_size_fault_at_level_0() {
    let tcr = TCR & !(0b111 << 32);
    let registers = Stage1Registers { ttbr1: Some(1 << 32), tcr, ..Default::default() };
    let mmu = Stage1::new(Tables::new(&[]), registers).unwrap();
    assert_eq!(place(mmu.translate(!0, READ)), address_size_fault(0));
}

#[test]
fn a_tag_is_ignored_where_tbi_says_so() {
    // TBI0 is bit 37, TBI1 is bit 38.
    let tagged = 0xab << 56 | 0x12;
    assert_eq!(place(mmu(TCR).translate(tagged, READ)), translation_fault(0));
    assert_eq!(place(mmu(TCR | 1 << 38).translate(tagged, READ)), translation_fault(0));
    let found = mmu(TCR | 1 << 37).translate(tagged, READ);
    assert_eq!(place(found), Ok((0x4000_0012, 1 << 30, 1)));

    let tagged = 0xab << 56 | 0x00ff_ff80_0000_0012;
    assert_eq!(place(mmu(TCR | 1 << 37).translate(tagged, READ)), translation_fault(0));
    let found = mmu(TCR | 1 << 38).translate(tagged, READ);
    assert_eq!(place(found), Ok((0x8000_0012, 1 << 30, 1)));
    // Bits 54:39 are no tag.
    let bad = tagged & !(1 << 54);
    assert_eq!(place(mmu(TCR | 1 << 38).translate(bad, READ)), translation_fault(0));
}
