//! Mali: leaves at each level, and where the format leaves VMSAv8-64.

use walkers::soft::{ConfigError, Mali, MaliRegisters};
use walkers::{Access, MemoryType, Shareability, Walker};

use crate::tables::{
    Path, Tables, address_size_fault, check_absent, permission_fault, place, replaced,
    translation_fault,
};

const READ: Access = Access::UNPRIVILEGED_READ;

/// The root at 0x1000: `ADRMODE` table, `READ_INNER`, `SHARE_OUTER`.
const TRANSTAB: u64 = 0x1000 | 0b1_0111;

fn mali(entries: &[(u64, u64)]) -> Mali<Tables> {
    let registers = MaliRegisters { transtab: TRANSTAB, memattr: 0x88_8d };
    Mali::new(Tables::new(entries), registers).expect("the mode is table")
}

/// Table, table, table, and a leaf of type 01 at level 3: read, write, outer shareable.
const PATH: Path = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003), (0x4000, 0x5000_02c1)];

fn path_with(level: usize, descriptor: u64) -> Path {
    replaced(PATH, level, descriptor)
}

#[test]
fn leaves_are_blocks_at_every_level_that_has_leaves() {
    let page = mali(&PATH).translate(0xfff, READ);
    assert_eq!(place(page), Ok((0x5000_0fff, 4 << 10, 3)));
    let block = mali(&path_with(2, 0x4020_02c1)).translate(0x1f_ffff, READ);
    assert_eq!(place(block), Ok((0x403f_ffff, 2 << 20, 2)));
    let block = mali(&path_with(1, 0x8000_02c1)).translate(0x3fff_ffff, READ);
    assert_eq!(place(block), Ok((0xbfff_ffff, 1 << 30, 1)));
}

#[test]
fn level_0_has_no_leaves() {
    let found = mali(&path_with(0, 0x2c1)).translate(0, READ);
    assert_eq!(place(found), translation_fault(0));
}

#[test]
fn type_11_at_level_3_is_invalid() {
    let found = mali(&path_with(3, 0x5000_02c3)).translate(0, READ);
    assert_eq!(place(found), translation_fault(3));
}

#[test]
fn each_index_has_nine_bits() {
    let entries = [
        (0x1000 + 511 * 8, 0x2003),
        (0x2000 + 510 * 8, 0x3003),
        (0x3000 + 509 * 8, 0x4003),
        (0x4000 + 508 * 8, 0xff_ffff_f2c1),
    ];
    let va = 511 << 39 | 510 << 30 | 509 << 21 | 508 << 12 | 0xabc;
    let found = mali(&entries).translate(va, READ);
    assert_eq!(place(found), Ok((0xff_ffff_fabc, 4 << 10, 3)));
}

#[test]
fn the_access_flag_is_not_looked_at() {
    for access_flag in [0, 1 << 10] {
        let found = mali(&path_with(3, 0x5000_02c1 | access_flag)).translate(0, READ);
        assert!(found.is_ok());
    }
}

#[test]
fn read_write_and_execute_are_three_bits() {
    for bits in 0..8u64 {
        let (read, write, no_execute) = (bits & 1, bits >> 1 & 1, bits >> 2);
        let leaf = 0x201 | read << 6 | write << 7 | no_execute << 54;
        let mmu = mali(&path_with(3, leaf));
        for (access, permitted) in [
            (Access::PRIVILEGED_READ, read == 1),
            (Access::UNPRIVILEGED_READ, read == 1),
            (Access::PRIVILEGED_WRITE, write == 1),
            (Access::UNPRIVILEGED_WRITE, write == 1),
            (Access::PRIVILEGED_EXECUTE, no_execute == 0),
            (Access::UNPRIVILEGED_EXECUTE, no_execute == 0),
        ] {
            let expected = if permitted { Ok((0, 4 << 10, 3)) } else { permission_fault(3) };
            assert_eq!(place(mmu.translate(0, access)), expected, "{bits:03b} {access:?}");
        }
    }
}

#[test]
fn bits_of_a_table_limit_nothing() {
    let mmu = mali(&path_with(1, 0x3003 | 0xf << 59));
    for access in Access::ALL {
        assert!(mmu.translate(0, access).is_ok());
    }
}

#[test]
fn the_attribute_index_selects_a_byte_of_memattr() {
    // AttrIndx 0 and 1.
    for (index, byte) in [(0, 0x8d), (1, 0x88), (2, 0)] {
        let found = mali(&path_with(3, 0x2c1 | index << 2)).translate(0, READ).unwrap();
        assert_eq!(found.memory, MemoryType::Other(byte));
        assert_eq!(found.shareability, Shareability::Outer);
    }
}

#[test]
fn there_is_no_contiguous_hint() {
    assert!(!mali(&path_with(3, 1 << 52 | 0x2c1)).translate(0, READ).unwrap().contiguous);
}

#[test]
fn an_invalid_or_unreadable_entry_faults_at_its_level() {
    check_absent(PATH, mali);
}

#[test]
fn addresses_have_40_bits() {
    for (level, &(_, good)) in PATH.iter().enumerate() {
        let found = mali(&path_with(level, good | 1 << 40)).translate(0, READ);
        assert_eq!(place(found), address_size_fault(level as i8));
    }
    for bit in 40..64 {
        let registers = MaliRegisters { transtab: TRANSTAB | 1 << bit, memattr: 0 };
        let mmu = Mali::new(Tables::new(&PATH), registers).unwrap();
        assert_eq!(place(mmu.translate(0, READ)), address_size_fault(0), "bit {bit}");
    }
}

#[test]
fn an_address_above_48_bits_is_a_translation_fault_at_level_0() {
    for bit in 48..64 {
        assert_eq!(place(mali(&PATH).translate(1 << bit, READ)), translation_fault(0));
    }
}

#[test]
fn a_mode_without_tables_is_refused() {
    for mode in 0..3 {
        let registers = MaliRegisters { transtab: 0x1000 | u64::from(mode), memattr: 0 };
        let refused = Mali::new(Tables::new(&[]), registers).map(|_| ());
        assert_eq!(refused, Err(ConfigError::NoTable { mode }));
    }
}
