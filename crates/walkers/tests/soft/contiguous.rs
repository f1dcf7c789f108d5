//! The contiguous hint: groups that agree, and all ways in which one does not.

use walkers::{Access, Fault, Translation, Walker};

use crate::tables::{
    IPS_48, conflict, external_abort, lower, permission_fault, place, stage2, translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
const HINT: u64 = 1 << 52;
const AF: u64 = 1 << 10;
const DBM: u64 = 1 << 51;
/// `TCR_EL1.HA`, `HD` and `DS`.
const HA_HD: u64 = 0b11 << 39;
const DS: u64 = 1 << 59;

/// A root, its size and what its entries are, so that each is a leaf: TG0, T0SZ, the level, log2
/// of an entry, entries a group, the type of a leaf.
const ROOTS: [(u64, u64, i8, u32, u64, u64); 6] = [
    (0b00, 25, 1, 30, 16, 0b01),
    (0b00, 34, 2, 21, 16, 0b01),
    (0b10, 28, 2, 25, 32, 0b01),
    (0b10, 39, 3, 14, 128, 0b11),
    (0b01, 22, 2, 29, 32, 0b01),
    (0b01, 35, 3, 16, 32, 0b11),
];

/// A group of leaves in the root, from entry `first` on.
fn group(first: u64, members: u64, bits: u32, leaf: u64) -> Vec<(u64, u64)> {
    (first..first + members)
        .map(|index| (0x1_0000 + index * 8, index << bits | leaf | HINT))
        .collect()
}

/// Every member of the second group of every size, at both stages. Entries next to the group
/// cannot be read.
#[test]
fn a_group_that_agrees_is_found_whole() {
    for (tg0, t0sz, level, bits, members, kind) in ROOTS {
        let entries = group(members, members, bits, 0x400 | kind);
        let mmu = lower(IPS_48 | tg0 << 14 | t0sz, 0x1_0000, &entries);
        for index in members..2 * members {
            let found = mmu.translate(index << bits | 0x12, READ);
            assert_eq!(place(found), Ok((index << bits | 0x12, 1 << bits, level)));
            assert!(found.unwrap().contiguous);
        }

        // SL0 counts from another level with 4 KiB.
        let sl0 = u64::from((3 - level).unsigned_abs()) - u64::from(tg0 == 0b00);
        let entries = group(members, members, bits, 0x4fc | kind);
        let vtcr = 0b101 << 16 | tg0 << 14 | sl0 << 6 | t0sz;
        let mmu = stage2(vtcr, 0x1_0000, &entries);
        let found = mmu.translate(members << bits, READ);
        assert_eq!(place(found), Ok((members << bits, 1 << bits, level)));
        assert!(found.unwrap().contiguous);
    }
}

/// Seen from the first member, so that a group is not taken for a smaller one.
#[test]
fn the_last_member_of_a_group_counts() {
    for (tg0, t0sz, level, bits, members, kind) in ROOTS {
        let mut entries = group(0, members, bits, 0x400 | kind);
        entries.last_mut().unwrap().1 &= !HINT;
        let mmu = lower(IPS_48 | tg0 << 14 | t0sz, 0x1_0000, &entries);
        assert_eq!(mmu.translate(0, READ), conflict(level), "TG0 {tg0}");
    }
}

#[test]
fn pages_of_4k_are_in_groups_of_16() {
    let mut entries = vec![(0x1000, 0x2003)];
    entries.extend((0..16).map(|page| (0x2080 + page * 8, page << 12 | 0x5_0403 | HINT)));
    let found = lower(IPS_48 | 34, 0x1000, &entries).translate(0x1_f123, READ);
    assert_eq!(place(found), Ok((0x5_f123, 4 << 10, 3)));
}

#[test]
fn a_leaf_without_the_hint_is_found_alone() {
    let found = lower(IPS_48 | 25, 0x1_0000, &[(0x1_0000, AF | 0b01)]).translate(0, READ);
    assert!(!found.unwrap().contiguous);
}

/// A walk to the first of 16 level 1 blocks, of which number 5 is changed.
fn changed(tcr: u64, leaf: u64, change: impl FnOnce(&mut u64)) -> Result<Translation, Fault> {
    let mut entries = group(0, 16, 30, leaf);
    change(&mut entries[5].1);
    lower(tcr | IPS_48 | 25, 0x1_0000, &entries).translate(0, READ)
}

#[test]
fn a_member_that_is_no_leaf_with_the_hint_is_a_conflict() {
    let leaf = AF | 0b01;
    assert_eq!(changed(0, leaf, |member| *member = 0), conflict(1));
    assert_eq!(changed(0, leaf, |member| *member &= !1), conflict(1));
    assert_eq!(changed(0, leaf, |member| *member |= 0b10), conflict(1)); // a table
    assert_eq!(changed(0, leaf, |member| *member &= !HINT), conflict(1));
}

#[test]
fn a_member_with_other_attributes_is_a_conflict() {
    // AttrIndx, NS, AP, SH, nG, GP, DBM, PXN, UXN.
    for bit in [2, 3, 4, 5, 6, 7, 8, 9, 11, 50, 51, 53, 54] {
        let found = changed(0, AF | 0b01, |member| *member ^= 1 << bit);
        assert_eq!(found, conflict(1), "bit {bit}");
    }
    // Software's bits, and those that other features have.
    for bit in 55..64 {
        assert!(changed(0, AF | 0b01, |member| *member ^= 1 << bit).is_ok(), "bit {bit}");
    }
}

#[test]
fn a_member_that_leads_elsewhere_is_a_conflict() {
    for bit in 30..48 {
        let found = changed(0, AF | 0b01, |member| *member ^= 1 << bit);
        assert_eq!(found, conflict(1), "bit {bit}");
    }
}

/// Consecutive, but from an address that is no multiple of 16 blocks on.
#[test]
fn a_group_that_is_not_aligned_is_a_conflict() {
    let entries: Vec<_> =
        group(0, 16, 30, 0x401).iter().map(|&(at, leaf)| (at, leaf + (1 << 30))).collect();
    let found = lower(IPS_48 | 25, 0x1_0000, &entries).translate(0, READ);
    assert_eq!(found, conflict(1));
}

#[test]
fn access_flags_may_differ() {
    assert!(changed(0, AF | 0b01, |member| *member ^= AF).is_ok());
    // Managed or not.
    assert!(changed(HA_HD, AF | 0b01, |member| *member ^= AF).is_ok());
}

#[test]
fn managed_dirty_states_may_differ() {
    let other_ap = |member: &mut u64| *member ^= 1 << 7;
    assert!(changed(HA_HD, AF | DBM | 0b01, other_ap).is_ok());
    // Without DBM or without HD, AP[2] is a permission.
    assert_eq!(changed(HA_HD, AF | 0b01, other_ap), conflict(1));
    assert_eq!(changed(0, AF | DBM | 0b01, other_ap), conflict(1));
}

#[test]
fn a_member_that_cannot_be_read_is_an_external_abort() {
    let mut entries = group(0, 16, 30, 0x401);
    entries.remove(5);
    let found = lower(IPS_48 | 25, 0x1_0000, &entries).translate(0, READ);
    assert_eq!(found, external_abort(1));
}

#[test]
fn a_conflict_goes_before_the_permissions() {
    let mut entries = group(0, 16, 30, 0x401);
    let refused = lower(IPS_48 | 25, 0x1_0000, &entries).translate(0, Access::UNPRIVILEGED_READ);
    assert_eq!(refused, permission_fault(1));
    entries[5].1 = 0;
    let found = lower(IPS_48 | 25, 0x1_0000, &entries).translate(0, Access::UNPRIVILEGED_READ);
    assert_eq!(found, conflict(1));
}

/// T0SZ 31: 33 bits, a root of 8 entries.
#[test]
fn a_group_beyond_the_input_range_is_a_translation_fault() {
    let found = lower(IPS_48 | 31, 0x1_0000, &group(0, 8, 30, 0x401)).translate(0, READ);
    assert_eq!(found, translation_fault(1));
    // With 34 bits, the group is the whole root.
    let found = lower(IPS_48 | 30, 0x1_0000, &group(0, 16, 30, 0x401)).translate(0, READ);
    assert!(found.unwrap().contiguous);
}

/// The bit is `RES0` in blocks that exist for large addresses only.
#[test]
fn the_largest_blocks_have_no_hint() {
    let ips_52 = 0b110 << 32;
    for (tcr, size) in [
        (DS | 16, 512 << 30),             // 4 KiB, level 0
        (DS | 0b10 << 14 | 17, 64 << 30), // 16 KiB, level 1
        (0b01 << 14 | 16, 4 << 40),       // 64 KiB, level 1
    ] {
        let found = lower(tcr | ips_52, 0x1_0000, &[(0x1_0000, HINT | 0x401)]).translate(0, READ);
        assert!(!found.unwrap().contiguous);
        assert_eq!(found.unwrap().leaf_size, size);
    }
}

/// With `DS`, bits 9:8 are address bits and no attributes.
#[test]
fn high_address_bits_are_compared_as_such() {
    let leaf = HINT | 0x301 | AF;
    let entries: Vec<_> =
        (0..16).map(|index| (0x1_0000 + index * 8, index << 30 | 0b11 << 48 | leaf)).collect();
    let walk = |entries: &[(u64, u64)]| {
        lower(DS | 0b110 << 32 | 25, 0x1_0000, entries).translate(3 << 30, READ)
    };
    assert_eq!(place(walk(&entries)), Ok((0xf_0000_c000_0000, 1 << 30, 1)));
    for bit in [8, 9, 48, 49] {
        let mut entries = entries.clone();
        entries[5].1 ^= 1 << bit;
        assert_eq!(walk(&entries), conflict(1), "bit {bit}");
    }
}
