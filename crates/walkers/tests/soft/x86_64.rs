//! x86-64: leaves of each size, rights over all levels, reserved bits, types.

use proptest::prelude::*;
use walkers::soft::X86_64;
use walkers::{Access, DirtyState, FnMemory, MemoryType, Walker, X86_64Registers};

use crate::random::noise;
use crate::tables::{
    Path, Tables, check_absent, check_sign, external_abort, permission_fault, place, replaced,
    reserved_fault, translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
/// The PAT after reset: WB, WT, UC-, UC, twice.
const PAT: u64 = 0x0007_0406_0007_0406;
/// A processor with all protections on, and addresses of 46 bits; the root is at 0x1000.
const REGISTERS: X86_64Registers = X86_64Registers {
    cr3: 0x1000,
    la57: false,
    nxe: true,
    wp: true,
    smep: true,
    pat: PAT,
    physical_bits: 46,
};

/// PML4, PDPT, page directory, page table: present, writable, user; a page at 0x5000.
const PATH: Path = [(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007), (0x4000, 0x5007)];

fn mmu(registers: X86_64Registers, entries: &[(u64, u64)]) -> X86_64<Tables> {
    X86_64::new(Tables::new(entries), registers)
}

fn path_with(level: usize, entry: u64) -> Path {
    replaced(PATH, level, entry)
}

fn with(entries: &[(u64, u64)]) -> X86_64<Tables> {
    mmu(REGISTERS, entries)
}

#[test]
fn leaves_are_pages_of_4k_2m_and_1g() {
    let page = with(&PATH).translate(0xabc, READ);
    assert_eq!(place(page), Ok((0x5abc, 4 << 10, 3)));
    let large = with(&path_with(2, 0x20_0087)).translate(0x1f_ffff, READ);
    assert_eq!(place(large), Ok((0x3f_ffff, 2 << 20, 2)));
    let huge = with(&path_with(1, 0x8000_0087)).translate(0x3fff_fffe, READ);
    assert_eq!(place(huge), Ok((0xbfff_fffe, 1 << 30, 1)));
}

#[test]
fn each_index_has_nine_bits() {
    let entries = [
        (0x1000 + 255 * 8, 0x2007),
        (0x2000 + 510 * 8, 0x3007),
        (0x3000 + 509 * 8, 0x4007),
        (0x4000 + 508 * 8, 0x3fff_ffff_f007),
    ];
    let va = 255 << 39 | 510 << 30 | 509 << 21 | 508 << 12 | 0xabc;
    assert_eq!(place(with(&entries).translate(va, READ)), Ok((0x3fff_ffff_fabc, 4 << 10, 3)));
}

#[test]
fn the_upper_half_is_sign_extended() {
    let entries = [(0x1000 + 511 * 8, 0x2007), (0x2000 + 511 * 8, 0x4000_0087)];
    let found = with(&entries).translate(u64::MAX, READ);
    assert_eq!(place(found), Ok((0x7fff_ffff, 1 << 30, 1)));
}

#[test]
fn five_levels_start_at_level_minus_1() {
    let registers = X86_64Registers { la57: true, ..REGISTERS };
    let entries = [
        (0x1000 + 255 * 8, 0x2007),
        (0x2000 + 256 * 8, 0x3007),
        (0x3000, 0x4007),
        (0x4000, 0x5007),
        (0x5000, 0x6007),
    ];
    let va = 255 << 48 | 256 << 39;
    assert_eq!(place(mmu(registers, &entries).translate(va, READ)), Ok((0x6000, 4 << 10, 3)));
    assert_eq!(place(mmu(registers, &entries).translate(0, READ)), external_abort(-1));
    let absent = [(0x1000, 0)];
    assert_eq!(place(mmu(registers, &absent).translate(0, READ)), translation_fault(-1));
    let large = [(0x1000, 0x87)];
    assert_eq!(place(mmu(registers, &large).translate(0, READ)), reserved_fault(-1));
}

#[test]
fn an_address_that_is_not_canonical_faults_without_a_lookup() {
    for (la57, width) in [(false, 48), (true, 57)] {
        let registers = X86_64Registers { la57, ..REGISTERS };
        let mmu = X86_64::new(FnMemory(|_| unreachable!()), registers);
        check_sign(&mmu, width);
    }
}

#[test]
fn an_absent_entry_faults_at_its_level_whatever_else_it_holds() {
    check_absent(PATH, with);
}

#[test]
fn address_bits_from_the_physical_size_on_are_reserved() {
    for (level, &(_, good)) in PATH.iter().enumerate() {
        for bit in 46..52 {
            let found = with(&path_with(level, good | 1 << bit)).translate(0, READ);
            assert_eq!(place(found), reserved_fault(level as i8), "bit {bit}");
        }
        // Bits that are software's, or protection keys.
        for bit in [9, 10, 11, 52, 58, 59, 62] {
            assert!(with(&path_with(level, good | 1 << bit)).translate(0, READ).is_ok());
        }
    }
    let full = X86_64Registers { physical_bits: 52, ..REGISTERS };
    let found = mmu(full, &path_with(3, 1 << 51 | 7)).translate(0, READ);
    assert_eq!(place(found), Ok((1 << 51, 4 << 10, 3)));
    let beyond = X86_64Registers { cr3: 1 << 46, ..REGISTERS };
    assert_eq!(place(mmu(beyond, &PATH).translate(0, READ)), reserved_fault(0));
}

#[test]
fn address_bits_inside_a_large_page_are_reserved() {
    for (level, bits) in [(1, 13..30), (2, 13..21)] {
        for bit in bits {
            let found = with(&path_with(level, 0x87 | 1 << bit)).translate(0, READ);
            assert_eq!(place(found), reserved_fault(level as i8), "bit {bit}");
        }
        assert!(with(&path_with(level, 0x87 | 1 << 12)).translate(0, READ).is_ok());
    }
}

#[test]
fn a_large_page_in_the_pml4_is_reserved() {
    assert_eq!(place(with(&path_with(0, 0x2087)).translate(0, READ)), reserved_fault(0));
}

#[test]
fn bit_63_is_reserved_without_nxe() {
    let registers = X86_64Registers { nxe: false, ..REGISTERS };
    for (level, &(_, good)) in PATH.iter().enumerate() {
        let found = mmu(registers, &path_with(level, good | 1 << 63)).translate(0, READ);
        assert_eq!(place(found), reserved_fault(level as i8));
    }
}

/// `G`, of what is no leaf: AMD's processors want it clear above page directories.
#[test]
fn bit_8_is_reserved_in_what_leads_to_page_directories_and_above() {
    for (level, &(_, good)) in PATH.iter().enumerate() {
        let found = with(&path_with(level, good | 1 << 8)).translate(0, READ);
        match level {
            0 | 1 => assert_eq!(place(found), reserved_fault(level as i8)),
            _ => assert!(found.is_ok(), "level {level}"),
        }
    }
}

#[test]
fn low_bits_of_cr3_are_not_the_address() {
    let registers = X86_64Registers { cr3: 0x1fff, ..REGISTERS };
    assert!(mmu(registers, &PATH).translate(0, READ).is_ok());
}

#[test]
fn each_level_takes_rights_away() {
    // In words: of write, user and execute, what all levels give.
    for (level, &(_, good)) in PATH.iter().enumerate() {
        for bits in 0..8u64 {
            let (write, user, no_execute) = (bits & 1, bits >> 1 & 1, bits >> 2);
            let entry = good & !6 | write << 1 | user << 2 | no_execute << 63;
            let (write, user, execute) = (write == 1, user == 1, no_execute == 0);
            for (wp, smep) in [(false, false), (false, true), (true, false), (true, true)] {
                let registers = X86_64Registers { wp, smep, ..REGISTERS };
                let mmu = mmu(registers, &path_with(level, entry));
                for (access, permitted) in [
                    (Access::PRIVILEGED_READ, true),
                    (Access::PRIVILEGED_WRITE, write || !wp),
                    (Access::PRIVILEGED_EXECUTE, execute && (!user || !smep)),
                    (Access::UNPRIVILEGED_READ, user),
                    (Access::UNPRIVILEGED_WRITE, user && write),
                    (Access::UNPRIVILEGED_EXECUTE, user && execute),
                ] {
                    let expected =
                        if permitted { Ok((0x5000, 4 << 10, 3)) } else { permission_fault(3) };
                    let found = place(mmu.translate(0, access));
                    assert_eq!(found, expected, "level {level} {bits:03b} {access:?} {wp} {smep}");
                }
            }
        }
    }
}

#[test]
fn a_reserved_bit_goes_before_a_permission() {
    let found = with(&path_with(3, 1 << 46 | 1)).translate(0, Access::UNPRIVILEGED_WRITE);
    assert_eq!(place(found), reserved_fault(3));
}

#[test]
fn three_bits_select_the_memory_type() {
    let types = [
        MemoryType::Uncached,
        MemoryType::WriteCombining,
        MemoryType::Other(2),
        MemoryType::WriteThrough,
        MemoryType::WriteProtect,
        MemoryType::WriteBack,
        MemoryType::UncachedMinus,
        MemoryType::Other(0xff),
    ];
    let registers = X86_64Registers { pat: 0xff07_0605_0402_0100, ..REGISTERS };
    for (index, memory) in (0..).zip(types) {
        let low: u64 = (index & 1) << 3 | (index >> 1 & 1) << 4;
        for (level, leaf) in [(3, 0x5007 | index >> 2 << 7), (2, 0x87 | index >> 2 << 12)] {
            let found = mmu(registers, &path_with(level, leaf | low)).translate(0, READ).unwrap();
            assert_eq!(found.memory, memory, "index {index} level {level}");
        }
    }
}

#[test]
fn the_dirty_flag_and_the_global_flag_are_told() {
    let found = |leaf| with(&path_with(3, leaf)).translate(0, READ).unwrap();
    assert_eq!(found(0x5007).dirty_state, Some(DirtyState::WritableClean));
    assert_eq!(found(0x5047).dirty_state, Some(DirtyState::WritableDirty));
    assert_eq!(found(0x5045).dirty_state, None);
    assert!(found(0x5107).global);
    assert!(!found(0x5007).global);
    // G means nothing in a table's entry.
    assert!(!with(&path_with(2, 0x4107)).translate(0, READ).unwrap().global);
}

/// The manual's tables said once more, as arithmetic on the list of all entries: none where
/// `X86_64` faults before permissions.
fn leaf_by_list(registers: X86_64Registers, memory: &dyn Fn(u64) -> u64, va: u64) -> Option<u64> {
    let widths: &[u32] = if registers.la57 { &[48, 39, 30, 21, 12] } else { &[39, 30, 21, 12] };
    let mut base = registers.cr3 >> 12 << 12;
    let physical = (1u128 << registers.physical_bits.min(52)) - 1;
    for &width in widths {
        let entry = memory(base + 8 * ((va >> width) % 512));
        let large = entry >> 7 & 1 == 1 && width > 12;
        let fits = u128::from(entry % (1 << 52)) <= physical;
        let aligned = !large || (entry % (1 << width)) >> 13 == 0;
        let marked = !large && width > 21 && entry >> 8 & 1 == 1;
        let is_sound = fits && aligned && !marked && !(large && width > 30);
        if entry & 1 == 0 || !is_sound || (entry >> 63 == 1 && !registers.nxe) {
            return None;
        }
        if large || width == 12 {
            return Some(entry % (1 << 52) / (1 << width) * (1 << width) + va % (1 << width));
        }
        base = entry % (1 << 52) / 4096 * 4096;
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn any_memory_is_walked_as_the_list_of_its_entries_says(
        seed: u64,
        va: u64,
        (la57, nxe, wp, smep) in any::<(bool, bool, bool, bool)>(),
        physical_bits in 0..=64u8,
        forced in prop::sample::select(vec![
            (0, 0), (7, 0), (7, 1 << 7), (7, 0xfff8_001f_ffff_e000), (7, 0x7ff8_0000_3fff_e080),
        ]),
    ) {
        let above = if la57 { 7 } else { 16 };
        let sign = if va >> 63 == 1 { u64::MAX << (63 - above) } else { 0 };
        let va = va >> (above + 1) | sign;
        let memory = |address| noise(seed, address, forced.0, forced.1);
        let registers = X86_64Registers {
            cr3: noise(seed, 1, 0, !((1 << 40) - 1)),
            la57, nxe, wp, smep, pat: seed, physical_bits,
        };
        let mmu = X86_64::new(FnMemory(|address| Some(memory(address))), registers);
        let found = mmu.translate(va, READ).ok().map(|found| found.address);
        let root_fits = u128::from(registers.cr3) >> physical_bits.min(52) == 0;
        let expected = leaf_by_list(registers, &memory, va).filter(|_| root_fits);
        prop_assert_eq!(found, expected);
    }
}
