//! `AArch32` stage 2.

use std::cell::Cell;

use walkers::soft::{Stage2Aarch32, Stage2Aarch32Registers};
use walkers::{Access, FnMemory, MemoryType, Permissions, Rights, Walker};

use crate::tables::{
    Tables, access_flag_fault, address_size_fault, conflict, permission_fault, place,
    translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
/// `T0SZ` -8 with its sign `S`, start at level 1: 40 bits.
const VTCR_40: u32 = 0b01 << 6 | 1 << 4 | 0b1000;
/// `T0SZ` 0, start at level 1: 32 bits.
const VTCR_32: u32 = 0b01 << 6;

fn mmu(vtcr: u32, vttbr: u64, entries: &[(u64, u64)]) -> Stage2Aarch32<Tables> {
    Stage2Aarch32::new(Tables::new(entries), Stage2Aarch32Registers { vttbr, vtcr })
}

#[test]
fn an_ipa_of_40_bits_goes_through_two_concatenated_roots() {
    let entries = [
        (0x2000 + 1023 * 8, 0x4003), // IPA[39:30] = 1023
        (0x4000 + 511 * 8, 0x5003),
        (0x5000 + 510 * 8, 0xff_ffff_f7ff),
    ];
    // A base that is no multiple of 8 KiB is read as one.
    let mmu = mmu(VTCR_40, 0x3000, &entries);
    let ipa = 1023 << 30 | 511 << 21 | 510 << 12 | 0xabc;
    assert_eq!(place(mmu.translate(ipa, READ)), Ok((0xff_ffff_fabc, 4 << 10, 3)));
    for bit in 40..64 {
        assert_eq!(place(mmu.translate(1 << bit, READ)), translation_fault(1), "bit {bit}");
    }
}

#[test]
fn blocks_are_found_at_levels_1_and_2() {
    let entries = [(0x1000, 0x40_8000_07fd), (0x1008, 0x2003), (0x2008, 0x40_4020_07fd)];
    // The VMID is not part of the base: bits 55:48.
    let mmu = mmu(VTCR_32, 0xab_0000_0000_1000, &entries);
    assert_eq!(place(mmu.translate(0x123, READ)), Ok((0x40_8000_0123, 1 << 30, 1)));
    let found = mmu.translate(1 << 30 | 1 << 21 | 0x123, READ);
    assert_eq!(place(found), Ok((0x40_4020_0123, 2 << 20, 2)));
}

/// `AArch32.S2InconsistentSL`: level 1 takes 31 to 40 bits, level 2 takes 25 to 34. Any other
/// combination, and `S` that is not the sign, faults at level 1 without a lookup.
#[test]
fn a_walk_starts_exactly_where_the_manual_permits_it() {
    for sl0 in 0..4 {
        for sign in 0..2 {
            for t0sz in 0..16 {
                let input_bits = if t0sz >= 8 { 48 - t0sz } else { 32 - t0sz };
                let start = match (sl0, input_bits) {
                    _ if (t0sz >= 8) != (sign == 1) => None,
                    (0b01, 31..=40) => Some(1),
                    (0b00, 25..=34) => Some(2),
                    _ => None,
                };
                let lookups = Cell::new(0);
                let memory = FnMemory(|_| {
                    lookups.set(lookups.get() + 1);
                    Some(0)
                });
                let vtcr = sl0 << 6 | sign << 4 | t0sz;
                let registers = Stage2Aarch32Registers { vttbr: 0, vtcr };
                let found = Stage2Aarch32::new(memory, registers).translate(0, READ).map(|_| ());
                let case = format!("SL0 {sl0} S {sign} T0SZ {t0sz}");
                assert_eq!(found, translation_fault(start.unwrap_or(1)), "{case}");
                assert_eq!(lookups.get(), u32::from(start.is_some()), "{case}");
            }
        }
    }
}

/// `AArch32.S2HasPermissionsFault`: as in `AArch64`, but a fetch needs read permission.
#[test]
fn s2ap_and_xn_decide() {
    // XN[1:0], and who may execute then what is readable: PL1, PL0, both without FEAT_XNX.
    for (xn, privileged, unprivileged, without) in [
        (0b00, true, true, true),
        (0b01, false, true, true),
        (0b10, false, false, false),
        (0b11, true, false, false),
    ] {
        for s2ap in 0..4 {
            let (read, write) = (s2ap & 1 != 0, s2ap & 2 != 0);
            let rights = |execute| Rights { read, write, execute: read && execute };
            let mmu = || mmu(VTCR_32, 0x1000, &[(0x1000, xn << 53 | 0x73d | s2ap << 6)]);
            let check = |mmu: &Stage2Aarch32<Tables>, expected: Permissions| {
                for access in Access::ALL {
                    let found = mmu.translate(0, access).map(|found| found.permissions);
                    let refused = permission_fault(1);
                    assert_eq!(found, if expected.allow(access) { Ok(expected) } else { refused });
                }
            };
            let expected =
                Permissions { privileged: rights(privileged), unprivileged: rights(unprivileged) };
            check(&mmu(), expected);
            let both = rights(without);
            check(&mmu().without_xnx(), Permissions { privileged: both, unprivileged: both });
        }
    }
}

#[test]
fn faults_carry_their_level() {
    let with = |leaf| place(mmu(VTCR_32, 0x1000, &[(0x1000, leaf)]).translate(0, READ));
    assert_eq!(with(0x3fd), access_flag_fault(1));
    assert_eq!(with(0x73d), permission_fault(1));
    assert_eq!(with(0x7fd | 1 << 40), address_size_fault(1));
    assert_eq!(with(0x2003 | 1 << 47), address_size_fault(1));
    let base = mmu(VTCR_32, 1 << 40, &[(1 << 40, 0x7fd)]);
    assert_eq!(place(base.translate(0, READ)), address_size_fault(0));
}

#[test]
fn mem_attr_names_the_type_and_dbm_says_nothing() {
    let found = mmu(VTCR_32, 0x1000, &[(0x1000, 1 << 51 | 0x7fd)]).translate(0, READ).unwrap();
    assert_eq!((found.memory, found.dirty_state), (MemoryType::WriteBack, None));
}

#[test]
fn contiguous_blocks_are_checked() {
    let mut entries: Vec<_> =
        (0..16).map(|index| (0x2000 + index * 8, index << 30 | 1 << 52 | 0x7fd)).collect();
    assert!(mmu(VTCR_40, 0x2000, &entries).translate(0, READ).unwrap().contiguous);
    entries[3].1 ^= 1 << 6;
    assert_eq!(place(mmu(VTCR_40, 0x2000, &entries).translate(0, READ)), conflict(1));
}
