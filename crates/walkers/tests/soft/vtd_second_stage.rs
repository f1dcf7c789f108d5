//! VT-d's second stage: widths, leaves, rights over all levels, reserved bits.

use proptest::prelude::*;
use walkers::soft::VtdSecondStage;
use walkers::{Access, AccessKind, DirtyState, FnMemory, VtdSecondStageRegisters, Walker};

use crate::random::noise;
use crate::tables::{
    Path, Tables, external_abort, permission_fault, place, replaced, reserved_fault,
    translation_fault,
};

const READ: Access = Access::UNPRIVILEGED_READ;
/// Four levels, addresses of 46 bits, the root at 0x1000.
const REGISTERS: VtdSecondStageRegisters = VtdSecondStageRegisters {
    pointer: 0x1000,
    address_width: 2,
    host_bits: 46,
    access_dirty: false,
};

/// Three tables and a page at 0x5000, read and write.
const PATH: Path = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003), (0x4000, 0x5003)];

fn mmu(registers: VtdSecondStageRegisters, entries: &[(u64, u64)]) -> VtdSecondStage<Tables> {
    VtdSecondStage::new(Tables::new(entries), registers)
}

fn path_with(level: usize, entry: u64) -> Path {
    replaced(PATH, level, entry)
}

fn with(entries: &[(u64, u64)]) -> VtdSecondStage<Tables> {
    mmu(REGISTERS, entries)
}

#[test]
fn leaves_are_pages_of_4k_2m_and_1g() {
    assert_eq!(place(with(&PATH).translate(0xabc, READ)), Ok((0x5abc, 4 << 10, 3)));
    let large = with(&path_with(2, 0x20_0083)).translate(0x1f_ffff, READ);
    assert_eq!(place(large), Ok((0x3f_ffff, 2 << 20, 2)));
    let huge = with(&path_with(1, 0x4000_0083)).translate(0x3fff_ffff, READ);
    assert_eq!(place(huge), Ok((0x7fff_ffff, 1 << 30, 1)));
}

#[test]
fn each_width_has_its_levels() {
    for (address_width, level, bits) in [(1, 1, 39), (2, 0, 48), (3, -1, 57)] {
        let registers = VtdSecondStageRegisters { address_width, ..REGISTERS };
        let top: u64 = 1 << bits;
        let index = 511 * 8;
        assert_eq!(place(mmu(registers, &[]).translate(top - 1, READ)), external_abort(level));
        let entries = [
            (0x1000 + index, 0x1003),
            (0x1000 + 510 * 8, 0x3fff_ffff_f003), // The page, and no table before it.
        ];
        // The root is its own child until the last level.
        let found = mmu(registers, &entries).translate(top - 0x2000 + 5, READ);
        assert_eq!(place(found), Ok((0x3fff_ffff_f005, 4 << 10, 3)));
        for bit in bits..64 {
            assert_eq!(
                place(mmu(registers, &entries).translate(1 << bit, READ)),
                translation_fault(0)
            );
        }
    }
}

#[test]
fn a_reserved_width_or_root_is_a_reserved_fault() {
    for address_width in [0, 4, 5, 6, 7, 255] {
        let registers = VtdSecondStageRegisters { address_width, ..REGISTERS };
        assert_eq!(place(mmu(registers, &PATH).translate(0, READ)), reserved_fault(0));
    }
    for bit in 46..64 {
        let registers = VtdSecondStageRegisters { pointer: 0x1000 | 1 << bit, ..REGISTERS };
        assert_eq!(place(mmu(registers, &PATH).translate(0, READ)), reserved_fault(0));
    }
}

#[test]
fn an_entry_without_read_and_write_is_absent_whatever_else_it_holds() {
    for level in 0..4 {
        let found = with(&path_with(level, !3)).translate(0, READ);
        assert_eq!(place(found), translation_fault(level as i8));
        let found = with(&PATH[..level]).translate(0, READ);
        assert_eq!(place(found), external_abort(level as i8));
    }
}

#[test]
fn each_level_takes_rights_away() {
    for (level, &(_, good)) in PATH.iter().enumerate() {
        for bits in 1..4 {
            let mmu = with(&path_with(level, good & !3 | bits));
            for access in Access::ALL {
                let permitted = match access.kind {
                    AccessKind::Read | AccessKind::Execute => bits & 1 != 0,
                    AccessKind::Write => bits & 2 != 0,
                };
                let expected =
                    if permitted { Ok((0x5000, 4 << 10, 3)) } else { permission_fault(3) };
                assert_eq!(place(mmu.translate(0, access)), expected, "level {level} {bits:02b}");
            }
        }
    }
    // Of one only reads are left, of another only writes: nothing.
    let mut path = path_with(0, 0x2001);
    path[1].1 = 0x3002;
    for access in Access::ALL {
        assert_eq!(place(with(&path).translate(0, access)), permission_fault(3));
    }
}

#[test]
fn reserved_bits_fault_at_their_level_and_others_do_not() {
    for (level, &(_, good)) in PATH.iter().enumerate() {
        let found = |bit: u32| place(with(&path_with(level, good | 1 << bit)).translate(0, READ));
        for bit in (46..52).chain([62]) {
            assert_eq!(found(bit), reserved_fault(level as i8), "bit {bit}");
        }
        for bit in [2, 3, 4, 5, 6, 8, 9, 10].into_iter().chain(52..62).chain([63]) {
            assert_eq!(found(bit), Ok((0x5000, 4 << 10, 3)), "level {level} bit {bit}");
        }
        let snoop = found(11);
        assert_eq!(snoop.is_ok(), level == 3);
    }
    assert_eq!(place(with(&path_with(0, 0x2083)).translate(0, READ)), reserved_fault(0));
    for (level, bits) in [(1, 12..30), (2, 12..21)] {
        for bit in bits {
            let found = with(&path_with(level, 0x83 | 1 << bit)).translate(0, READ);
            assert_eq!(place(found), reserved_fault(level as i8), "bit {bit}");
        }
        assert!(with(&path_with(level, 0x883)).translate(0, READ).unwrap().snooped);
    }
    // In a page table, bit 7 is ignored.
    assert!(with(&path_with(3, 0x5083)).translate(0, READ).is_ok());
    let five = VtdSecondStageRegisters { address_width: 3, ..REGISTERS };
    assert_eq!(place(mmu(five, &[(0x1000, 0x83)]).translate(0, READ)), reserved_fault(-1));
}

#[test]
fn snoop_is_the_leaf_s() {
    assert!(with(&path_with(3, 0x5803)).translate(0, READ).unwrap().snooped);
    assert!(!with(&PATH).translate(0, READ).unwrap().snooped);
}

#[test]
fn the_dirty_state_is_told_where_hardware_manages_it() {
    let on = VtdSecondStageRegisters { access_dirty: true, ..REGISTERS };
    let state = |registers, path: &[(u64, u64)]| {
        mmu(registers, path).translate(0, READ).unwrap().dirty_state
    };
    assert_eq!(state(on, &PATH), Some(DirtyState::WritableClean));
    assert_eq!(state(on, &path_with(3, 0x5203)), Some(DirtyState::WritableDirty));
    assert_eq!(state(on, &path_with(3, 0x5201)), None);
    assert_eq!(state(on, &path_with(0, 0x2001)), None);
    assert_eq!(state(REGISTERS, &path_with(3, 0x5203)), None);
}

/// The same once more, on the list of shifts, with fields as numbers.
fn by_fields(
    registers: VtdSecondStageRegisters,
    memory: &dyn Fn(u64) -> u64,
    va: u64,
    kind: AccessKind,
) -> Option<u64> {
    let wanted = if kind == AccessKind::Write { 2 } else { 1 };
    let levels = u32::from(registers.address_width) + 2;
    let mut base = registers.pointer / 4096;
    let mut permitted = 3;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * (level - 1);
        let entry = memory(base * 4096 + (va >> shift) % 512 * 8);
        let frame = entry / 4096 % (1 << 40);
        let large = level > 1 && entry / 128 % 2 == 1;
        let leaf = large || level == 1;
        permitted &= entry % 4;
        if entry % 4 == 0
            || entry >> 62 & 1 == 1
            || frame >> (registers.host_bits.clamp(12, 52) - 12) != 0
            || (!leaf && entry >> 11 & 1 == 1)
            || (large && (level > 3 || frame % (1 << (shift - 12)) != 0))
        {
            return None;
        }
        if leaf {
            return (permitted & wanted != 0).then_some(frame * 4096 + va % (1 << shift));
        }
        base = frame;
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn any_memory_is_walked_as_its_fields_say(
        seed: u64,
        va: u64,
        address_width in 1..=3u8,
        host_bits in 40..=64u8,
        access in prop::sample::select(Access::ALL.to_vec()),
        forced in prop::sample::select(vec![
            (0, 0), (3, 1 << 62 | 0xfff << 40 | 1 << 11), (0x83, 1 << 62 | 0xfff << 40 | 0x3fff_f800),
            (0, 1 << 62 | 0xfff << 40 | 1 << 11 | 1 << 7),
        ]),
    ) {
        let memory = |address| noise(seed, address, forced.0, forced.1);
        let registers = VtdSecondStageRegisters {
            pointer: (seed >> 26) & !0xfff, address_width, host_bits, access_dirty: true,
        };
        let va = va >> (64 - 30 - 9 * u32::from(address_width));
        let mmu = VtdSecondStage::new(FnMemory(|address| Some(memory(address))), registers);
        let found = mmu.translate(va, access).ok().map(|found| found.address);
        prop_assert_eq!(found, by_fields(registers, &memory, va, access.kind));
    }
}
