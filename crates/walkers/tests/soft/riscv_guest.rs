//! RISC-V, G-stage: the wide root, and accesses that are all U-mode's.

use walkers::soft::{ConfigError, RiscVGuest};
use walkers::{Access, FnMemory, RiscVGuestRegisters, Walker};

use crate::tables::{
    Tables, access_flag_fault, external_abort, permission_fault, place, reserved_fault,
    translation_fault,
};

const READ: Access = Access::UNPRIVILEGED_READ;
/// Sv39x4, some VMID, the root at 0x4000; bits 13:12 of it are not the address.
const REGISTERS: RiscVGuestRegisters = RiscVGuestRegisters {
    hgatp: 8 << 60 | 0x1234 << 44 | 0b0111,
    pbmt: false,
    napot: false,
    adue: false,
};

fn mmu(registers: RiscVGuestRegisters, entries: &[(u64, u64)]) -> RiscVGuest<Tables> {
    RiscVGuest::new(Tables::new(entries), registers).expect("the mode has tables")
}

#[test]
fn the_root_has_four_tables() {
    for (mode, top_span, level) in [(8, 30, 1), (9, 39, 0), (10, 48, -1)] {
        let registers = RiscVGuestRegisters { hgatp: mode << 60 | 0b0111, ..REGISTERS };
        for index in [0, 511, 512, 1023, 1024, 2047] {
            // An aligned leaf with D, A, U, X, W, R, V.
            let entries = [(0x4000 + index * 8, 0xdf)];
            let found = mmu(registers, &entries).translate((index << top_span) + 5, READ);
            assert_eq!(place(found), Ok((5, 1 << top_span, level)), "mode {mode} index {index}");
        }
    }
}

#[test]
fn tables_below_the_root_have_nine_bits() {
    let entries =
        [(0x4000 + 2047 * 8, 0x2001), (0x8000 + 511 * 8, 0x2401), (0x9000 + 510 * 8, 0x2_00df)];
    let found = mmu(REGISTERS, &entries).translate(2047 << 30 | 511 << 21 | 510 << 12, READ);
    assert_eq!(place(found), Ok((0x8_0000, 4 << 10, 3)));
}

#[test]
fn an_address_beyond_the_root_faults_without_a_lookup() {
    for (mode, width) in [(8, 41), (9, 50), (10, 59)] {
        let registers = RiscVGuestRegisters { hgatp: mode << 60, ..REGISTERS };
        let mmu = RiscVGuest::new(FnMemory(|_| unreachable!()), registers).unwrap();
        for bit in width..64 {
            assert_eq!(place(mmu.translate(1 << bit, READ)), translation_fault(0));
        }
        assert_eq!(place(mmu.translate(u64::MAX, READ)), translation_fault(0));
    }
}

#[test]
fn pages_without_u_are_for_nobody() {
    for access in Access::ALL {
        let found = mmu(REGISTERS, &[(0x4000, 0xcf)]).translate(0, access);
        assert_eq!(place(found), permission_fault(1));
        assert!(mmu(REGISTERS, &[(0x4000, 0xdf)]).translate(0, access).is_ok());
    }
    // Read only, execute only.
    for access in Access::ALL {
        let reads = access.kind == walkers::AccessKind::Read;
        assert_eq!(mmu(REGISTERS, &[(0x4000, 0xd3)]).translate(0, access).is_ok(), reads);
        let fetches = access.kind == walkers::AccessKind::Execute;
        assert_eq!(mmu(REGISTERS, &[(0x4000, 0xd9)]).translate(0, access).is_ok(), fetches);
    }
}

#[test]
fn faults_are_those_of_the_other_stage() {
    let found = |entry| place(mmu(REGISTERS, &[(0x4000, entry)]).translate(0, READ));
    assert_eq!(found(0xde), translation_fault(1));
    assert_eq!(found(1 << 54 | 0xdf), reserved_fault(1));
    assert_eq!(found(0x11), reserved_fault(1));
    assert_eq!(found(1 << 10 | 0xdf), reserved_fault(1));
    assert_eq!(found(0x9f), access_flag_fault(1));
    assert_eq!(place(mmu(REGISTERS, &[]).translate(0, READ)), external_abort(1));
}

#[test]
fn nothing_is_global() {
    assert!(!mmu(REGISTERS, &[(0x4000, 0xff)]).translate(0, READ).unwrap().global);
}

#[test]
fn modes_without_tables_are_refused() {
    for mode in (0..16u8).filter(|mode| !(8..11).contains(mode)) {
        let registers = RiscVGuestRegisters { hgatp: u64::from(mode) << 60, ..REGISTERS };
        let refused = RiscVGuest::new(Tables::new(&[]), registers).map(|_| ());
        assert_eq!(refused, Err(ConfigError::NoTable { mode }));
    }
}
