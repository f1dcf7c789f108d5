//! Stage 1: every granule, every leaf size, where walks start, memory types.

use walkers::soft::{Stage1, Stage1Registers};
use walkers::{Access, DeviceType, FnMemory, MemoryType, Shareability, Walker};

use crate::tables::{IPS_48, lower, place, translation_fault};

const READ: Access = Access::PRIVILEGED_READ;

/// `T0SZ` 16 with the three values of `TG0`.
const TCR_4K: u64 = IPS_48 | 16;
const TCR_16K: u64 = IPS_48 | 0b10 << 14 | 16;
const TCR_64K: u64 = IPS_48 | 0b01 << 14 | 16;

#[test]
fn a_4k_page_is_found_through_four_levels() {
    let mmu = lower(
        TCR_4K,
        0x1000,
        &[
            (0x1000 + 5 * 8, 0x2003),      // IA[47:39] = 5: a table at 0x2000
            (0x2000 + 6 * 8, 0x3003),      // IA[38:30] = 6
            (0x3000 + 7 * 8, 0x4003),      // IA[29:21] = 7
            (0x4000 + 8 * 8, 0xabcd_e703), // IA[20:12] = 8: AF, inner shareable, page
        ],
    );
    let va = 5 << 39 | 6 << 30 | 7 << 21 | 8 << 12 | 0x123;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xabcd_e123, 0x1000, 3)));
}

#[test]
fn a_2m_block_ends_a_4k_walk_at_level_2() {
    let mmu = lower(
        TCR_4K,
        0x1000,
        &[
            (0x1000, 0x2003),
            (0x2000, 0x3003),
            (0x3000 + 511 * 8, 0x4020_0701), // AF, inner shareable, block
        ],
    );
    let va = 511 << 21 | 0x1f_fff8;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0x403f_fff8, 2 << 20, 2)));
}

#[test]
fn a_1g_block_ends_a_4k_walk_at_level_1() {
    let mmu = lower(TCR_4K, 0x1000, &[(0x1000, 0x2003), (0x2008, 0xffff_c000_0701)]);
    let va = 1 << 30 | 0x3fff_ffff;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xffff_ffff_ffff, 1 << 30, 1)));
}

#[test]
fn a_4k_table_of_level_0_has_no_blocks() {
    let mmu = lower(TCR_4K, 0x1000, &[(0x1000, 0x701)]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
}

#[test]
fn a_16k_page_is_found_through_four_levels() {
    let mmu = lower(
        TCR_16K,
        0x4000,
        &[
            (0x4008, 0x8003),                   // IA[47] = 1: the root has two entries
            (0x8000 + 5 * 8, 0xc003),           // IA[46:36] = 5
            (0xc000 + 6 * 8, 0x1_0003),         // IA[35:25] = 6
            (0x1_0000 + 2047 * 8, 0xabcd_4703), // IA[24:14] = 2047: a page of 16 KiB
        ],
    );
    let va = 1 << 47 | 5 << 36 | 6 << 25 | 2047 << 14 | 0x2abc;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xabcd_6abc, 0x4000, 3)));
}

#[test]
fn a_32m_block_ends_a_16k_walk_at_level_2() {
    let mmu = lower(TCR_16K, 0x4000, &[(0x4000, 0x8003), (0x8000, 0xc003), (0xc008, 0x0400_0701)]);
    let va = 1 << 25 | 0x1ff_ffff;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0x05ff_ffff, 32 << 20, 2)));
}

#[test]
fn a_16k_walk_has_no_blocks_above_level_2() {
    let at_0 = lower(TCR_16K, 0x4000, &[(0x4000, 0x701)]);
    assert_eq!(place(at_0.translate(0, READ)), translation_fault(0));
    let at_1 = lower(TCR_16K, 0x4000, &[(0x4000, 0x8003), (0x8000, 0x701)]);
    assert_eq!(place(at_1.translate(0, READ)), translation_fault(1));
}

#[test]
fn a_64k_page_is_found_through_three_levels() {
    let mmu = lower(
        TCR_64K,
        0x1_0000,
        &[
            (0x1_0000 + 63 * 8, 0x2_0003), // IA[47:42] = 63: the root has 64 entries
            (0x2_0000 + 8191 * 8, 0x3_0003), // IA[41:29] = 8191
            (0x3_0000 + 7 * 8, 0xabcd_0703), // IA[28:16] = 7: a page of 64 KiB
        ],
    );
    let va = 63 << 42 | 8191 << 29 | 7 << 16 | 0xabcd;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xabcd_abcd, 0x1_0000, 3)));
}

#[test]
fn a_512m_block_ends_a_64k_walk_at_level_2() {
    let mmu = lower(TCR_64K, 0x1_0000, &[(0x1_0000, 0x2_0003), (0x2_0008, 0x4000_0701)]);
    let va = 1 << 29 | 0x1234_5678;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0x5234_5678, 512 << 20, 2)));
}

#[test]
fn a_64k_walk_has_no_blocks_at_level_1() {
    let mmu = lower(TCR_64K, 0x1_0000, &[(0x1_0000, 0x701)]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(1));
}

/// Tables D8-18, D8-28 and D8-37: the initial lookup level for each `T0SZ`.
#[test]
fn the_input_size_decides_where_a_walk_starts() {
    let expected = |tg0: u64, t0sz: u64| match (tg0, t0sz) {
        (0b00, 16..=24) | (0b10, 16) => 0,
        (0b00, 25..=33) | (0b10, 17..=27) | (0b01, 16..=21) => 1,
        (0b00, 34..=39) | (0b10, 28..=38) | (0b01, 22..=34) => 2,
        _ => 3,
    };
    for tg0 in [0b00, 0b01, 0b10] {
        for t0sz in 16..=39 {
            let registers = Stage1Registers {
                ttbr0: Some(0),
                ttbr1: None,
                tcr: IPS_48 | tg0 << 14 | t0sz,
                mair: 0,
            };
            let mmu = Stage1::new(FnMemory(|_| Some(0)), registers).unwrap();
            let found = mmu.translate(0, READ).map(|_| ());
            assert_eq!(found, translation_fault(expected(tg0, t0sz)), "TG0 {tg0}, T0SZ {t0sz}");
        }
    }
}

#[test]
fn a_reduced_root_is_aligned_to_its_own_size() {
    // T0SZ 33: 31 bits, of which level 1 resolves one. Two entries are 16 bytes.
    let mmu = lower(IPS_48 | 33, 0x1010, &[(0x1018, 0x8000_0701)]);
    assert_eq!(place(mmu.translate(0x4000_0000, READ)), Ok((0x8000_0000, 1 << 30, 1)));
}

#[test]
fn base_bits_below_the_alignment_are_read_as_zero() {
    // T0SZ 25: 39 bits, a full root of 4 KiB at level 1.
    let mmu = lower(IPS_48 | 25, 0x1ff0, &[(0x1008, 0x8000_0701)]);
    assert_eq!(place(mmu.translate(0x4000_0000, READ)), Ok((0x8000_0000, 1 << 30, 1)));
}

#[test]
fn the_asid_and_cnp_are_not_part_of_the_base() {
    let mmu = lower(IPS_48 | 25, 0xabcd_0000_0000_1001, &[(0x1000, 0x8000_0701)]);
    assert_eq!(place(mmu.translate(0, READ)), Ok((0x8000_0000, 1 << 30, 1)));
}

#[test]
fn low_address_bits_of_a_block_are_ignored() {
    // Bits 29:12 of a 1 GiB block are RES0.
    let mmu = lower(IPS_48 | 25, 0x1000, &[(0x1000, 0xbfff_f701)]);
    assert_eq!(place(mmu.translate(0x1234, READ)), Ok((0x8000_1234, 1 << 30, 1)));
}

#[test]
fn bits_51_48_are_no_address_bits() {
    // DBM, GP and two RES0 bits in the leaf, four ignored or RES0 bits in the table.
    let entries = [(0x1000, 0xf_0000_0000_2003), (0x2000, 0xf_0000_8000_0701)];
    let mmu = lower(TCR_4K, 0x1000, &entries);
    assert_eq!(place(mmu.translate(0x1234, READ)), Ok((0x8000_1234, 1 << 30, 1)));
}

#[test]
fn software_bits_and_not_global_change_no_address() {
    // Bits 63:55 and nG, bit 11.
    let mmu = lower(IPS_48 | 25, 0x1000, &[(0x1000, 0xff80_0000_8000_0f01)]);
    assert_eq!(place(mmu.translate(0x1234, READ)), Ok((0x8000_1234, 1 << 30, 1)));
}

#[test]
fn attribute_bits_of_tables_change_no_address() {
    // Bits 58:51 and 11:2 of a table descriptor are ignored.
    let mmu = lower(TCR_4K, 0x1000, &[(0x1000, 0x07f8_0000_0000_2fff), (0x2000, 0x8000_0701)]);
    assert_eq!(place(mmu.translate(0, READ)), Ok((0x8000_0000, 1 << 30, 1)));
}

#[test]
fn the_attribute_index_selects_a_byte_of_mair() {
    let types = [
        (0xff, MemoryType::WriteBack),
        (0xf4, MemoryType::Other(0xf4)), // inner non-cacheable, outer write-back
        (0x44, MemoryType::NonCacheable),
        (0x00, MemoryType::Device(DeviceType::NGnRnE)),
        (0x04, MemoryType::Device(DeviceType::NGnRE)),
        (0x08, MemoryType::Device(DeviceType::NGRE)),
        (0x0c, MemoryType::Device(DeviceType::GRE)),
        (0xbb, MemoryType::Other(0xbb)), // write-through
    ];
    let mair = types.iter().rev().fold(0, |mair, (byte, _)| mair << 8 | byte);
    for (index, (_, expected)) in (0u64..).zip(types) {
        let registers =
            Stage1Registers { ttbr0: Some(0x1000), ttbr1: None, tcr: IPS_48 | 25, mair };
        // A 1 GiB block with AF and AttrIndx.
        let memory = FnMemory(|_| Some(0x401 | index << 2));
        let found = Stage1::new(memory, registers).unwrap().translate(0, READ).unwrap();
        assert_eq!(found.memory, expected, "attribute {index}");
    }
}

#[test]
fn shareability_is_reported_and_not_acted_on() {
    for (sh, expected) in [
        (0b00, Shareability::Non),
        (0b01, Shareability::Reserved),
        (0b10, Shareability::Outer),
        (0b11, Shareability::Inner),
    ] {
        let found = lower(IPS_48 | 25, 0x1000, &[(0x1000, 0x401 | sh << 8)]).translate(0, READ);
        assert_eq!(found.unwrap().shareability, expected);
    }
}
