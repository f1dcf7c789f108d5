//! RISC-V, single stage: leaves of each size, rights, flags, reserved encodings, 64 KiB pages.

use proptest::prelude::*;
use walkers::soft::{ConfigError, RiscV};
use walkers::{Access, DirtyState, FnMemory, MemoryType, RiscVRegisters, Walker};

use crate::random::noise;
use crate::tables::{
    Path, Tables, access_flag_fault, check_absent, check_sign, conflict, external_abort,
    permission_fault, place, replaced, reserved_fault, translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
const SV39: u64 = 8 << 60;
const SV48: u64 = 9 << 60;
const SV57: u64 = 10 << 60;
/// Sv48, some ASID, the root at 0x1000; pages have types, sizes and flags as software left them.
const REGISTERS: RiscVRegisters = RiscVRegisters {
    satp: SV48 | 0xabcd << 44 | 1,
    sum: false,
    mxr: false,
    pbmt: true,
    napot: true,
    adue: false,
};

/// Three pointers, and a page at 0x5000: D, A, X, W, R, V.
const PATH: Path = [(0x1000, 0x801), (0x2000, 0xc01), (0x3000, 0x1001), (0x4000, 0x14cf)];

fn mmu(registers: RiscVRegisters, entries: &[(u64, u64)]) -> RiscV<Tables> {
    RiscV::new(Tables::new(entries), registers).expect("the mode has tables")
}

fn path_with(level: usize, entry: u64) -> Path {
    replaced(PATH, level, entry)
}

fn with(entries: &[(u64, u64)]) -> RiscV<Tables> {
    mmu(REGISTERS, entries)
}

#[test]
fn each_level_has_leaves() {
    let page = with(&PATH).translate(0xabc, READ);
    assert_eq!(place(page), Ok((0x5abc, 4 << 10, 3)));
    // PPN 0x200, 0x40000 and 0x8000000.
    let mega = with(&path_with(2, 0x200 << 10 | 0xcf)).translate(0x1f_ffff, READ);
    assert_eq!(place(mega), Ok((0x3f_ffff, 2 << 20, 2)));
    let giga = with(&path_with(1, 0x4_0000 << 10 | 0xcf)).translate(0x3fff_ffff, READ);
    assert_eq!(place(giga), Ok((0x7fff_ffff, 1 << 30, 1)));
    let tera = with(&path_with(0, 0x800_0000 << 10 | 0xcf)).translate(0x7f_ffff_ffff, READ);
    assert_eq!(place(tera), Ok((0xff_ffff_ffff, 512 << 30, 0)));
}

#[test]
fn sv39_starts_at_level_1_and_sv57_at_level_minus_1() {
    let sv39 = RiscVRegisters { satp: SV39 | 1, ..REGISTERS };
    let entries = [(0x1000 + 255 * 8, 0xc01), (0x3000 + 8, 0x1001), (0x4000 + 16, 0x14cf)];
    let va = 255 << 30 | 1 << 21 | 2 << 12;
    assert_eq!(place(mmu(sv39, &entries).translate(va, READ)), Ok((0x5000, 4 << 10, 3)));
    assert_eq!(place(mmu(sv39, &entries).translate(0, READ)), external_abort(1));

    let sv57 = RiscVRegisters { satp: SV57 | 1, ..REGISTERS };
    // 256 TiB at the top: PPN 0x10_0000_0000.
    let entries = [(0x1000 + 511 * 8, 0x10_0000_0000 << 10 | 0xcf)];
    let found = mmu(sv57, &entries).translate(u64::MAX, READ);
    assert_eq!(place(found), Ok((0x1_ffff_ffff_ffff, 1 << 48, -1)));
}

#[test]
fn an_address_that_is_not_sign_extended_faults_without_a_lookup() {
    for (satp, width) in [(SV39, 39), (SV48, 48), (SV57, 57)] {
        let registers = RiscVRegisters { satp, ..REGISTERS };
        let mmu = RiscV::new(FnMemory(|_| unreachable!()), registers).unwrap();
        check_sign(&mmu, width);
    }
}

#[test]
fn an_invalid_or_unreadable_entry_faults_at_its_level() {
    check_absent(PATH, with);
}

#[test]
fn a_pointer_at_the_last_level_leads_nowhere() {
    assert_eq!(place(with(&path_with(3, 0x1401)).translate(0, READ)), translation_fault(3));
}

#[test]
fn reserved_bits_and_encodings_fault_at_their_level() {
    let reserved = |level: usize, entry| {
        let found = with(&path_with(level, entry)).translate(0, READ);
        assert_eq!(place(found), reserved_fault(level as i8), "{entry:#x}");
    };
    for (level, &(_, good)) in PATH.iter().enumerate() {
        for bit in 54..61 {
            reserved(level, good | 1 << bit);
        }
        // RSW is software's.
        assert!(with(&path_with(level, good | 0b11 << 8)).translate(0, READ).is_ok());
        // W without R, with and without X.
        reserved(level, 0xc5);
        reserved(level, 0xcd);
        // PBMT 3.
        reserved(level, good | 0b11 << 61);
    }
    for (level, &(_, pointer)) in PATH[..3].iter().enumerate() {
        // U, A, D, each bit of PBMT, N.
        for bit in [4, 6, 7, 61, 62, 63] {
            reserved(level, pointer | 1 << bit);
        }
    }
    // PPN bits below the size: 4 KiB, half a superpage.
    for (level, bits) in [(2, 9), (1, 18), (0, 27)] {
        reserved(level, 1 << 10 | 0xcf);
        reserved(level, 1 << (10 + bits - 1) | 0xcf);
    }
}

#[test]
fn types_are_reserved_without_the_extension() {
    for bits in 1..3u64 {
        let registers = RiscVRegisters { pbmt: false, ..REGISTERS };
        let found = mmu(registers, &path_with(3, 0x14cf | bits << 61)).translate(0, READ);
        assert_eq!(place(found), reserved_fault(3));
    }
}

#[test]
fn a_leaf_says_its_memory_type() {
    let types = [MemoryType::AsPlatform, MemoryType::NonCacheable, MemoryType::Uncached];
    for (bits, memory) in (0..).zip(types) {
        for (level, leaf) in [(3, 0x14cf), (1, 0xcf)] {
            let found = with(&path_with(level, leaf | bits << 61)).translate(0, READ).unwrap();
            assert_eq!(found.memory, memory);
        }
    }
}

#[test]
fn user_pages_are_for_users_and_for_supervisors_data_with_sum() {
    for bits in 0..8u64 {
        let (read, write, execute) = (bits & 1 == 1, bits & 2 == 2, bits & 4 == 4);
        if !read && (write || !execute) {
            continue; // Reserved, or a pointer.
        }
        for (user, sum, mxr) in (0..8).map(|n| (n & 1 == 1, n & 2 == 2, n & 4 == 4)) {
            let registers = RiscVRegisters { sum, mxr, ..REGISTERS };
            let leaf = 0x14c1 | bits << 1 | u64::from(user) << 4;
            let mmu = mmu(registers, &path_with(3, leaf));
            let readable = read || (mxr && execute);
            for (access, permitted) in [
                (Access::PRIVILEGED_READ, readable && (!user || sum)),
                (Access::PRIVILEGED_WRITE, write && (!user || sum)),
                (Access::PRIVILEGED_EXECUTE, execute && !user),
                (Access::UNPRIVILEGED_READ, readable && user),
                (Access::UNPRIVILEGED_WRITE, write && user),
                (Access::UNPRIVILEGED_EXECUTE, execute && user),
            ] {
                let expected =
                    if permitted { Ok((0x5000, 4 << 10, 3)) } else { permission_fault(3) };
                let found = place(mmu.translate(0, access));
                assert_eq!(found, expected, "{bits:03b} {access:?} {user} {sum} {mxr}");
            }
        }
    }
}

#[test]
fn clear_flags_fault_unless_hardware_sets_them() {
    let (accessed, dirty) = (1 << 6, 1 << 7);
    for (clear, access, faults) in [
        (accessed, READ, true),
        (accessed, Access::PRIVILEGED_EXECUTE, true),
        (dirty, READ, false),
        (dirty, Access::PRIVILEGED_WRITE, true),
        (accessed | dirty, Access::PRIVILEGED_WRITE, true),
    ] {
        let path = path_with(3, 0x14cf & !clear);
        let expected = if faults { access_flag_fault(3) } else { Ok((0x5000, 4 << 10, 3)) };
        assert_eq!(place(with(&path).translate(0, access)), expected);
        let registers = RiscVRegisters { adue: true, ..REGISTERS };
        assert!(mmu(registers, &path).translate(0, access).is_ok());
    }
}

#[test]
fn a_permission_goes_before_a_flag() {
    // R, V.
    let found = with(&path_with(3, 0x1403)).translate(0, Access::PRIVILEGED_WRITE);
    assert_eq!(place(found), permission_fault(3));
}

#[test]
fn the_dirty_state_is_told_where_hardware_manages_it() {
    let registers = RiscVRegisters { adue: true, ..REGISTERS };
    let found = |leaf| mmu(registers, &path_with(3, leaf)).translate(0, READ).unwrap().dirty_state;
    assert_eq!(found(0x14cf), Some(DirtyState::WritableDirty));
    assert_eq!(found(0x144f), Some(DirtyState::WritableClean));
    assert_eq!(found(0x144b), None);
    assert_eq!(with(&PATH).translate(0, READ).unwrap().dirty_state, None);
}

#[test]
fn a_leaf_is_global_if_it_or_a_pointer_above_says_so() {
    assert!(!with(&PATH).translate(0, READ).unwrap().global);
    for (level, &(_, entry)) in PATH.iter().enumerate() {
        assert!(with(&path_with(level, entry | 1 << 5)).translate(0, READ).unwrap().global);
    }
}

/// 64 KiB at 1152 KiB, in the second group of the table: `N`, and `PPN[3:0]` 0b1000.
const NAPOT: u64 = 1 << 63 | 0x128 << 10 | 0xcf;

fn group(member: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
    let members = (0..16).map(|index| (0x4000 + 0x80 + index * 8, member(index)));
    PATH[..3].iter().copied().chain(members).collect()
}

#[test]
fn sixteen_entries_make_a_page_of_64k() {
    let mmu = with(&group(|_| NAPOT));
    for address in [0, 0xfff, 0x1000, 0x7fff, 0xffff] {
        let found = mmu.translate(0x1_0000 + address, READ);
        assert_eq!(place(found), Ok((0x12_0000 + address, 64 << 10, 3)));
    }
}

#[test]
fn entries_of_a_64k_page_that_disagree_are_a_conflict_but_for_their_flags() {
    for wrong in 0..16 {
        for (bits, agrees) in [(1 << 6, true), (1 << 7, true), (1 << 2, false), (1 << 14, false)] {
            let entries = group(|index| if index == wrong { NAPOT ^ bits } else { NAPOT });
            for asked in 0..16 {
                let found = with(&entries).translate(0x1_0000 + (asked << 12), READ);
                if agrees && bits == 1 << 6 && asked == wrong {
                    assert_eq!(place(found), access_flag_fault(3));
                } else if agrees {
                    assert!(found.is_ok());
                } else {
                    assert_eq!(place(found), conflict(3));
                }
            }
        }
    }
}

#[test]
fn other_sizes_and_other_levels_are_reserved() {
    for low in (0..16).filter(|&low| low != 8) {
        let entries = group(|_| 1 << 63 | (0x120 | low) << 10 | 0xcf);
        assert_eq!(place(with(&entries).translate(0x1_0000, READ)), reserved_fault(3));
    }
    for level in 0..3 {
        let found = with(&path_with(level, 1 << 63 | 0xcf)).translate(0, READ);
        assert_eq!(place(found), reserved_fault(level as i8));
    }
    let registers = RiscVRegisters { napot: false, ..REGISTERS };
    let found = mmu(registers, &group(|_| NAPOT)).translate(0x1_0000, READ);
    assert_eq!(place(found), reserved_fault(3));
}

#[test]
fn modes_without_tables_are_refused() {
    for mode in (0..16u8).filter(|mode| !(8..11).contains(mode)) {
        let registers = RiscVRegisters { satp: u64::from(mode) << 60 | 1, ..REGISTERS };
        let refused = RiscV::new(Tables::new(&[]), registers).map(|_| ());
        assert_eq!(refused, Err(ConfigError::NoTable { mode }));
    }
}

/// The manual's algorithm, step by step in its own terms, without Svnapot: the address that is
/// reached.
#[allow(clippy::many_single_char_names)]
fn by_the_algorithm(
    registers: RiscVRegisters,
    memory: &dyn Fn(u64) -> u64,
    va: u64,
    access: Access,
) -> Option<u64> {
    let bits = |word: u64, high: u32, low: u32| (word >> low) & ((1u64 << (high - low + 1)) - 1);
    let mut a = bits(registers.satp, 43, 0) * 4096;
    let mut i = registers.satp >> 60 & 0xf;
    i -= 6;
    loop {
        let vpn = bits(va, 12 + 9 * i as u32 + 8, 12 + 9 * i as u32);
        let pte = memory(a + vpn * 8);
        let flag = |bit| bits(pte, bit, bit) == 1;
        let [v, r, w, x, u] = [0, 1, 2, 3, 4].map(flag);
        let pbmt = bits(pte, 62, 61);
        if !v || (!r && w) || bits(pte, 60, 54) != 0 || pbmt == 3 || (pbmt > 0 && !registers.pbmt) {
            return None;
        }
        let ppn = bits(pte, 53, 10);
        if !r && !x {
            if flag(4) || flag(6) || flag(7) || pbmt > 0 || i == 0 {
                return None;
            }
            a = ppn * 4096;
            i -= 1;
            continue;
        }
        if ppn % (1 << (9 * i)) != 0 {
            return None;
        }
        let supervisor = access.privilege == walkers::Privilege::Privileged;
        let permitted = match access.kind {
            walkers::AccessKind::Read => {
                (r || (x && registers.mxr)) && (!supervisor || !u || registers.sum)
            }
            walkers::AccessKind::Write => w && (!supervisor || !u || registers.sum),
            walkers::AccessKind::Execute => x && (!supervisor || !u),
        };
        let dirty = access.kind != walkers::AccessKind::Write || flag(7);
        if !permitted || (!supervisor && !u) || !(registers.adue || (flag(6) && dirty)) {
            return None;
        }
        let size = 4096 << (9 * i);
        return Some(ppn * 4096 / size * size + va % size);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn any_memory_is_walked_as_the_algorithm_says(
        seed: u64,
        va: u64,
        mode in 8..=10u64,
        (sum, mxr, pbmt, adue) in any::<(bool, bool, bool, bool)>(),
        access in prop::sample::select(Access::ALL.to_vec()),
        forced in prop::sample::select(vec![
            (0, 0),
            (1, 0x7f << 54),
            (0xcf, 0xfff << 52 | 0x0f_ffff_fc00 << 10),
            // Pointers.
            (1, 0x3ff << 54 | 0xde),
            (1, 0xff << 54 | 0x1fc),
        ]),
    ) {
        // Without N: no group that agrees is made of noise.
        let memory = |address| noise(seed, address, forced.0, forced.1 | 1 << 63);
        let bits = 12 + 9 * (mode - 5);
        let sign = if va >> 63 == 1 { u64::MAX << (bits - 1) } else { 0 };
        let va = va >> (65 - bits) | sign;
        let registers =
            RiscVRegisters { satp: mode << 60 | seed >> 20, sum, mxr, pbmt, adue, napot: true };
        let mmu = RiscV::new(FnMemory(|address| Some(memory(address))), registers).unwrap();
        let found = mmu.translate(va, access).ok().map(|found| found.address);
        prop_assert_eq!(found, by_the_algorithm(registers, &memory, va, access));
    }
}
