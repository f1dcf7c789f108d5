//! Stage 2: leaves, concatenated roots, permissions, memory types, faults.

use walkers::soft::{ConfigError, Stage2, Stage2Registers};
use walkers::{Access, DeviceType, MemoryType, Permissions, Rights, Walker};

use crate::tables::{
    Tables, access_flag_fault, address_size_fault, external_abort, permission_fault, place, stage2,
    translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;

/// `PS` for 48 bits.
const PS_48: u64 = 0b101 << 16;
/// 4 KiB, 39 bits, start at level 1 (`SL0` 0b01).
const VTCR_4K: u64 = PS_48 | 0b01 << 6 | 25;

#[test]
fn pages_and_blocks_are_found_at_their_levels() {
    // Attributes 0x7fd: AF, inner shareable, read, write, write-back, type 01.
    let entries = [
        (0x1000, 0x2003),
        (0x1008, 0x8000_07fd), // 1 GiB
        (0x2000, 0x3003),
        (0x2008, 0x4020_07fd), // 2 MiB
        (0x3000, 0x5000_07ff), // 4 KiB
    ];
    let mmu = stage2(VTCR_4K, 0x1000, &entries);
    assert_eq!(place(mmu.translate(0x123, READ)), Ok((0x5000_0123, 4 << 10, 3)));
    assert_eq!(place(mmu.translate(0x20_0123, READ)), Ok((0x4020_0123, 2 << 20, 2)));
    assert_eq!(place(mmu.translate(0x4000_0123, READ)), Ok((0x8000_0123, 1 << 30, 1)));
}

#[test]
fn four_levels_are_walked_where_sl0_says_so() {
    // SL0 0b10: level 0, 48 bits.
    let entries = [(0x1ff8, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003), (0x4000, 0x5000_07ff)];
    let mmu = stage2(PS_48 | 0b10 << 6 | 16, 0x1000, &entries);
    assert_eq!(place(mmu.translate(511 << 39, READ)), Ok((0x5000_0000, 4 << 10, 3)));
}

#[test]
fn pages_of_16k_and_64k_are_found() {
    // TG0 0b10, SL0 0b01: level 2, 36 bits.
    let entries = [(0x4008, 0x8003), (0x8010, 0x5000_47ff)];
    let mmu = stage2(PS_48 | 0b10 << 14 | 0b01 << 6 | 28, 0x4000, &entries);
    let ipa = 1 << 25 | 2 << 14 | 0x3abc;
    assert_eq!(place(mmu.translate(ipa, READ)), Ok((0x5000_7abc, 16 << 10, 3)));

    // TG0 0b01, SL0 0b01: level 2, 42 bits.
    let entries = [(0x1_0008, 0x2_0003), (0x2_0010, 0x5001_07ff)];
    let mmu = stage2(PS_48 | 0b01 << 14 | 0b01 << 6 | 22, 0x1_0000, &entries);
    let ipa = 1 << 29 | 2 << 16 | 0xfabc;
    assert_eq!(place(mmu.translate(ipa, READ)), Ok((0x5001_fabc, 64 << 10, 3)));
}

/// For every granule: blocks right under a concatenated root, one in the last entry of each
/// table, so that each lies where the one before ends.
#[test]
fn concatenated_roots_are_one_table() {
    // TG0, SL0, entries a table, log2 of the block, T0SZ of a single full table.
    for (tg0, sl0, entries, block_bits, t0sz) in [
        (0b00, 0b01, 512, 30, 25),
        (0b00, 0b00, 512, 21, 34),
        (0b10, 0b01, 2048, 25, 28),
        (0b01, 0b01, 8192, 29, 22),
    ] {
        for doublings in 0..=4 {
            let tables = 1 << doublings;
            let root = 0x80_0000; // aligned to 16 tables of any granule
            let last_entries = (1..=tables).map(|table| table * entries - 1);
            let written: Vec<_> = last_entries
                .clone()
                .map(|index| (root + index * 8, index << block_bits | 0x7fd))
                .collect();
            let vtcr = PS_48 | tg0 << 14 | sl0 << 6 | (t0sz - doublings);
            // Base bits below the alignment of all tables together are read as zero.
            let mmu = stage2(vtcr, root + tables * entries * 8 - 2, &written);
            for index in last_entries {
                let ipa = index << block_bits | 0x123;
                let expected = (ipa, 1 << block_bits, if tg0 == 0 && sl0 == 1 { 1 } else { 2 });
                assert_eq!(place(mmu.translate(ipa, READ)), Ok(expected), "{tables} tables");
            }
            let above = (tables * entries) << block_bits;
            assert_eq!(place(mmu.translate(above, READ)), translation_fault(0));
        }
    }
}

#[test]
fn concatenated_last_level_roots_hold_pages() {
    // 16 KiB, level 3, 16 tables of 2048 pages: 29 bits.
    let index = 16 * 2048 - 1;
    let mmu = stage2(PS_48 | 0b10 << 14 | 35, 0x40_0000, &[(0x40_0000 + index * 8, 0x47ff)]);
    assert_eq!(place(mmu.translate(index << 14, READ)), Ok((0x4000, 16 << 10, 3)));
    // 64 KiB, level 3, 2 tables of 8192 pages: 30 bits.
    let index = 2 * 8192 - 1;
    let mmu = stage2(PS_48 | 0b01 << 14 | 34, 0x2_0000, &[(0x2_0000 + index * 8, 0x1_07ff)]);
    assert_eq!(place(mmu.translate(index << 16, READ)), Ok((0x1_0000, 64 << 10, 3)));
}

/// Rule `RDXBSH`: 48 bits with 16 KiB start at level 1 with two tables.
#[test]
fn a_16k_space_of_48_bits_has_two_root_tables() {
    let vtcr = PS_48 | 0b10 << 14 | 0b10 << 6 | 16;
    let entries = [(0x8000 + 4095 * 8, 0x1_0003), (0x1_0000, 0x0400_07fd)];
    let mmu = stage2(vtcr, 0x8000, &entries);
    assert_eq!(place(mmu.translate(4095 << 36, READ)), Ok((0x0400_0000, 32 << 20, 2)));
}

#[test]
fn the_vmid_and_cnp_are_not_part_of_the_base() {
    let mmu = stage2(VTCR_4K, 0xabcd_0000_0000_1001, &[(0x1000, 0x8000_07fd)]);
    assert_eq!(place(mmu.translate(0, READ)), Ok((0x8000_0000, 1 << 30, 1)));
}

/// Tables D8-76 and D8-78, and D8-77 for a machine without `FEAT_XNX`.
#[test]
fn s2ap_and_xn_decide_independently() {
    // XN[1:0], and who may execute then: EL1, EL0, and both without the feature.
    for (xn, privileged, unprivileged, without) in [
        (0b00, true, true, true),
        (0b01, false, true, true),
        (0b10, false, false, false),
        (0b11, true, false, false),
    ] {
        for s2ap in 0..4 {
            let rights = |execute| Rights { read: s2ap & 1 != 0, write: s2ap & 2 != 0, execute };
            let mmu = || stage2(VTCR_4K, 0x1000, &[(0x1000, xn << 53 | 0x73d | s2ap << 6)]);

            let expected =
                Permissions { privileged: rights(privileged), unprivileged: rights(unprivileged) };
            check_permissions(&mmu(), expected);
            let expected =
                Permissions { privileged: rights(without), unprivileged: rights(without) };
            check_permissions(&mmu().without_xnx(), expected);
        }
    }
}

/// Tries every access at address 0, a level 1 block.
fn check_permissions(mmu: &Stage2<Tables>, expected: Permissions) {
    for access in Access::ALL {
        let found = mmu.translate(0, access).map(|found| found.permissions);
        let expected = if expected.allow(access) { Ok(expected) } else { permission_fault(1) };
        assert_eq!(found, expected, "{access:?}");
    }
}

#[test]
fn bits_of_a_table_limit_nothing() {
    // Bits 62:59 set, which would take everything away at stage 1.
    let entries = [(0x1000, 0x2003 | 0xf << 59), (0x2000, 0x4020_07fd)];
    let mmu = stage2(VTCR_4K, 0x1000, &entries);
    for access in Access::ALL {
        assert_eq!(place(mmu.translate(0, access)), Ok((0x4020_0000, 2 << 20, 2)));
    }
}

#[test]
fn mem_attr_names_the_type_itself() {
    for (attribute, expected) in [
        (0b0000, MemoryType::Device(DeviceType::NGnRnE)),
        (0b0001, MemoryType::Device(DeviceType::NGnRE)),
        (0b0010, MemoryType::Device(DeviceType::NGRE)),
        (0b0011, MemoryType::Device(DeviceType::GRE)),
        (0b0101, MemoryType::NonCacheable),
        (0b1111, MemoryType::WriteBack),
        (0b1010, MemoryType::Other(0b1010)), // write-through
    ] {
        let mmu = stage2(VTCR_4K, 0x1000, &[(0x1000, 0x7c1 | attribute << 2)]);
        assert_eq!(mmu.translate(0, READ).unwrap().memory, expected);
    }
}

#[test]
fn forced_write_back_has_an_encoding_of_its_own() {
    for (attribute, expected) in [
        (0b0000, MemoryType::Device(DeviceType::NGnRnE)),
        (0b0001, MemoryType::Device(DeviceType::NGnRE)),
        (0b0010, MemoryType::Device(DeviceType::NGRE)),
        (0b0011, MemoryType::Device(DeviceType::GRE)),
        (0b0100, MemoryType::Other(0b0100)), // reserved
        (0b0101, MemoryType::NonCacheable),
        (0b0110, MemoryType::WriteBack),
        (0b0111, MemoryType::AsStage1),
        (0b1111, MemoryType::Other(0b1111)), // write-back in the other encoding
    ] {
        let registers = Stage2Registers { vttbr: 0x1000, vtcr: VTCR_4K, force_write_back: true };
        let memory = Tables::new(&[(0x1000, 0x7c1 | attribute << 2)]);
        let found = Stage2::new(memory, registers).unwrap().translate(0, READ).unwrap();
        assert_eq!(found.memory, expected, "{attribute:#06b}");
    }
}

#[test]
fn faults_carry_the_level_of_the_lookup() {
    let vtcr = 0b001 << 16 | 0b01 << 6 | 28; // 36 bits in and out
    let path = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x7ff)];
    for (index, level) in (1..=3).enumerate() {
        let with = |descriptor| {
            let mut path = path;
            path[index].1 = descriptor;
            stage2(vtcr, 0x1000, &path).translate(0, READ)
        };
        assert_eq!(place(with(!1)), translation_fault(level));
        assert_eq!(place(with(path[index].1 | 1 << 36)), address_size_fault(level));
        let leaf_type = if level == 3 { 0b11 } else { 0b01 };
        assert_eq!(place(with(0x3fc | leaf_type)), access_flag_fault(level)); // no AF
        assert_eq!(place(with(0x73c | leaf_type)), permission_fault(level)); // no S2AP
        let cut = stage2(vtcr, 0x1000, &path[..index]);
        assert_eq!(place(cut.translate(0, READ)), external_abort(level));
    }
    let reserved = stage2(vtcr, 0x1000, &[(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x7fd)]);
    assert_eq!(place(reserved.translate(0, READ)), translation_fault(3));
}

#[test]
fn a_base_beyond_the_output_size_is_an_address_size_fault_at_level_0() {
    let mmu = stage2(0b001 << 16 | 0b01 << 6 | 28, 1 << 36, &[(1 << 36, 0x7fd)]);
    assert_eq!(place(mmu.translate(0, READ)), address_size_fault(0));
}

#[test]
fn an_ipa_above_the_input_size_is_a_translation_fault_at_level_0() {
    let mmu = stage2(VTCR_4K, 0x1000, &[(0x1000, 0x7fd)]);
    for bit in 39..64 {
        assert_eq!(place(mmu.translate(1 << bit, READ)), translation_fault(0));
    }
}

#[test]
fn a_reserved_granule_is_refused() {
    let registers = Stage2Registers { vtcr: VTCR_4K | 0b11 << 14, ..Default::default() };
    let refused = Stage2::new(Tables::new(&[]), registers).map(|_| ());
    assert_eq!(refused, Err(ConfigError::ReservedGranule { field: "TG0" }));
}
