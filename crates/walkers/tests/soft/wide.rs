//! Addresses of 52 bits: `FEAT_LPA` with 64 KiB, `FEAT_LPA2` with 4 KiB and 16 KiB.

use walkers::soft::{Stage1, Stage1Registers};
use walkers::{Access, Shareability, Walker};

use crate::tables::{
    IPS_48, MAIR, Tables, address_size_fault, lower, place, stage2, translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
/// `IPS` and `PS` for 52 bits.
const IPS_52: u64 = 0b110 << 32;
const PS_52: u64 = 0b110 << 16;
/// `TCR_EL1.DS`, `VTCR_EL2.DS` and `VTCR_EL2.SL2`.
const DS: u64 = 1 << 59;
const S2_DS: u64 = 1 << 32;
const SL2: u64 = 1 << 33;

/// `TG0` for 64 KiB, 16 KiB.
const TG0_64K: u64 = 0b01 << 14;
const TG0_16K: u64 = 0b10 << 14;

#[test]
fn bits_15_12_of_a_64k_descriptor_are_address_bits_51_48() {
    // T0SZ 12: IA[51:42] at level 1. The root's bits 51:48 are in bits 5:2 of TTBR.
    let entries = [
        (0x1_0000_0001_0000 + 1023 * 8, 0x0000_0000_0002_2003), // a table at 0x2_0000_0002_0000
        (0x2_0000_0002_0000 + 8191 * 8, 0x0000_0000_0003_3003), // a table at 0x3_0000_0003_0000
        (0x3_0000_0003_0000 + 7 * 8, 0x0000_ffff_abcd_f703),    // a page at 0xf_ffff_abcd_0000
    ];
    let mmu = lower(IPS_52 | TG0_64K | 12, 0x1_0000 | 1 << 2, &entries);
    let va = 1023 << 42 | 8191 << 29 | 7 << 16 | 0xabcd;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xf_ffff_abcd_abcd, 64 << 10, 3)));
}

#[test]
fn a_64k_level_1_has_4t_blocks_where_addresses_have_52_bits() {
    let entries = [(0x1_0008, 0x0000_0400_0000_f701)];
    let mmu = lower(IPS_52 | TG0_64K | 12, 0x1_0000, &entries);
    let found = mmu.translate(1 << 42 | 0x12, READ);
    assert_eq!(place(found), Ok((0xf_0400_0000_0012, 4 << 40, 1)));
    // With 48 bits it is invalid, whatever its address.
    let mmu = lower(IPS_48 | TG0_64K | 12, 0x1_0000, &[(0x1_0008, 0x701)]);
    assert_eq!(place(mmu.translate(1 << 42, READ)), translation_fault(1));
}

#[test]
fn a_64k_base_has_bits_5_2_only_with_52_bits() {
    // T0SZ 22: 42 bits, level 2, a full root of 64 KiB.
    let entries = [(0x1_0000, 0x701)];
    let mmu = lower(IPS_48 | TG0_64K | 22, 0x1_0000 | 0b1111 << 2, &entries);
    assert_eq!(place(mmu.translate(0, READ)), Ok((0, 512 << 20, 2)));
    let vtcr = 0b101 << 16 | TG0_64K | 0b01 << 6 | 22;
    let mmu = stage2(vtcr, 0x1_0000 | 0b1111 << 2, &[(0x1_0000, 0x7fd)]);
    assert_eq!(place(mmu.translate(0, READ)), Ok((0, 512 << 20, 2)));
}

#[test]
fn a_4k_page_is_found_through_five_levels() {
    // T0SZ 12: IA[51:48] at level -1, 16 entries.
    let entries = [
        (0x1_0000_0000_1080 + 15 * 8, 0x0001_0000_0000_2003), // bits 49:48: 0x1_0000_0000_2000
        (0x1_0000_0000_2000 + 5 * 8, 0x0002_0000_0000_3103),  // 49:48, 9:8: 0x6_0000_0000_3000
        (0x6_0000_0000_3000 + 6 * 8, 0x4203),                 // 9:8: 0x8_0000_0000_4000
        (0x8_0000_0000_4000 + 7 * 8, 0x0003_0000_0000_5303),  // 0xf_0000_0000_5000
        (0xf_0000_0000_5000 + 8 * 8, 0x0003_ffff_abcd_e703),  // 0xf_ffff_abcd_e000
    ];
    // A root of 128 bytes may lie at any multiple of them.
    let mmu = lower(DS | IPS_52 | 12, 0x1080 | 1 << 2, &entries);
    let va = 15 << 48 | 5 << 39 | 6 << 30 | 7 << 21 | 8 << 12 | 0x123;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xf_ffff_abcd_e123, 4 << 10, 3)));
}

#[test]
fn a_4k_walk_starts_at_level_minus_1_above_48_bits() {
    for t0sz in 12..=15 {
        let mmu = lower(DS | IPS_52 | t0sz, 0x1000, &[(0x1000, 0)]);
        assert_eq!(place(mmu.translate(0, READ)), translation_fault(-1), "T0SZ {t0sz}");
    }
    let mmu = lower(DS | IPS_52 | 16, 0x1000, &[(0x1000, 0)]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
    let mmu = lower(DS | IPS_52 | 11, 0x1000, &[]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
}

#[test]
fn level_minus_1_has_no_blocks() {
    let mmu = lower(DS | IPS_52 | 12, 0x1000, &[(0x1000, 0x401)]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(-1));
}

#[test]
fn a_512g_block_ends_a_4k_walk_at_level_0_with_ds() {
    let entries = [(0x1008, 0x0003_ff80_0000_0701)];
    let mmu = lower(DS | IPS_52 | 16, 0x1000, &entries);
    let found = mmu.translate(1 << 39 | 0x12, READ);
    assert_eq!(place(found), Ok((0xf_ff80_0000_0012, 512 << 30, 0)));
    // Stage 2, SL0 0b10.
    let mmu = stage2(S2_DS | PS_52 | 0b10 << 6 | 16, 0x1000, &[(0x1008, 0x0003_ff80_0000_07fd)]);
    let found = mmu.translate(1 << 39 | 0x12, READ);
    assert_eq!(place(found), Ok((0xf_ff80_0000_0012, 512 << 30, 0)));
}

#[test]
fn a_16k_walk_of_52_bits_starts_at_level_0() {
    // T0SZ 12: IA[51:47] at level 0, 32 entries.
    let entries = [
        (0x4000 + 31 * 8, 0x0001_0000_0000_8103), // 0x5_0000_0000_8000
        (0x5_0000_0000_8000 + 5 * 8, 0xc003),
        (0xc000 + 6 * 8, 0x1_0003),
        (0x1_0000 + 2047 * 8, 0x0002_0000_abcd_4603), // 0xa_0000_abcd_4000
    ];
    let mmu = lower(DS | IPS_52 | TG0_16K | 12, 0x4000, &entries);
    let va = 31 << 47 | 5 << 36 | 6 << 25 | 2047 << 14 | 0x2abc;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xa_0000_abcd_6abc, 16 << 10, 3)));

    // Stage 2: SL0 0b11.
    let mmu = stage2(S2_DS | PS_52 | TG0_16K | 0b11 << 6 | 12, 0x4000, &[(0x4000, 0)]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
}

#[test]
fn a_64g_block_ends_a_16k_walk_at_level_1_with_ds() {
    // T0SZ 17: 47 bits, level 1.
    let entries = [(0x4008, 0x0003_fff0_0000_0701)];
    let mmu = lower(DS | IPS_52 | TG0_16K | 17, 0x4000, &entries);
    let found = mmu.translate(1 << 36 | 0x12, READ);
    assert_eq!(place(found), Ok((0xf_fff0_0000_0012, 64 << 30, 1)));
    // Level 0 has none.
    let mmu = lower(DS | IPS_52 | TG0_16K | 16, 0x4000, &[(0x4000, 0x401)]);
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
}

#[test]
fn stage_2_starts_at_level_minus_1_where_sl2_says_so() {
    let entries = [
        (0x1000 + 15 * 8, 0x2003),
        (0x2000 + 5 * 8, 0x0003_ff80_0000_07fd), // a block of 512 GiB
    ];
    let mmu = stage2(SL2 | S2_DS | PS_52 | 12, 0x1000, &entries);
    let found = mmu.translate(15 << 48 | 5 << 39 | 0x12, READ);
    assert_eq!(place(found), Ok((0xf_ff80_0000_0012, 512 << 30, 0)));
}

/// Bits 49:48 and 9:8 of every descriptor with `DS`, bits 5:2 of a base.
#[test]
fn high_address_bits_beyond_the_output_size_are_an_address_size_fault() {
    let path = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003), (0x4000, 0x8403)];
    assert!(lower(DS | IPS_48 | 16, 0x1000, &path).translate(0, READ).is_ok());
    for bit in [8, 9, 48, 49] {
        for level in 0..4 {
            let mut path = path;
            path[level].1 |= 1 << bit;
            let found = lower(DS | IPS_48 | 16, 0x1000, &path).translate(0, READ);
            assert_eq!(place(found), address_size_fault(level as i8), "bit {bit}");
            assert!(lower(IPS_48 | 16, 0x1000, &path).translate(0, READ).is_ok(), "without DS");
        }
    }
    for bit in 2..6 {
        let mmu = lower(DS | IPS_48 | 16, 0x1000 | 1 << bit, &path);
        assert_eq!(place(mmu.translate(0, READ)), address_size_fault(0), "bit {bit}");
    }
}

#[test]
fn without_ds_sizes_above_48_bits_are_none() {
    for tg0 in [0, TG0_16K] {
        for t0sz in 12..16 {
            let mmu = lower(IPS_52 | tg0 | t0sz, 0x1000, &[]);
            assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
        }
    }
    // The base has 48 bits, and so has a leaf.
    let entries = [(0x4000, 0x0003_0400_0000_0701)];
    let mmu = lower(IPS_52 | TG0_16K | 28, 0x4000 | 0b1111 << 2, &entries);
    assert_eq!(place(mmu.translate(0, READ)), Ok((0x0400_0000_0000, 32 << 20, 2)));
}

#[test]
fn a_small_root_with_ds_is_aligned_to_64_bytes() {
    // T0SZ 33: two entries. Bit 6 of a base is its own, bits 5:2 are address bits 51:48.
    let mmu = lower(DS | IPS_52 | 33, 0x1040 | 0b0010 << 2, &[(0x2_0000_0000_1048, 0x401)]);
    assert_eq!(place(mmu.translate(1 << 30, READ)), Ok((0, 1 << 30, 1)));
}

#[test]
fn with_ds_the_control_register_says_the_shareability_of_leaves() {
    let shareability = |found: Result<walkers::Translation, _>| found.unwrap().shareability;
    for (sh, expected) in
        [(0b00, Shareability::Non), (0b10, Shareability::Outer), (0b11, Shareability::Inner)]
    {
        // SH0 is bits 13:12, SH1 bits 29:28; TG1 0b10 is 4 KiB.
        let lower = lower(DS | IPS_52 | sh << 12 | 25, 0x1000, &[(0x1000, 0x401)]);
        assert_eq!(shareability(lower.translate(0, READ)), expected);
        let tcr = DS | IPS_52 | 0b10 << 30 | sh << 28 | 25 << 16;
        let registers = Stage1Registers { ttbr0: None, ttbr1: Some(0x1000), tcr, mair: MAIR };
        let upper = Stage1::new(Tables::new(&[(0x1ff8, 0x401)]), registers).unwrap();
        assert_eq!(shareability(upper.translate(!0, READ)), expected);
        let mmu = stage2(S2_DS | PS_52 | sh << 12 | 0b01 << 6 | 25, 0x1000, &[(0x1000, 0x4fd)]);
        assert_eq!(shareability(mmu.translate(0, READ)), expected);
    }
    // With 64 KiB, DS says nothing.
    let mmu = lower(DS | IPS_52 | TG0_64K | 0b10 << 12 | 22, 0x1_0000, &[(0x1_0000, 0x701)]);
    assert_eq!(shareability(mmu.translate(0, READ)), Shareability::Inner);
}
