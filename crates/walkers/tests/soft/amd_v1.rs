//! AMD v1: modes, page sizes of every kind, skipped levels, rights, reserved encodings.

use proptest::prelude::*;
use walkers::soft::{AmdV1, ConfigError};
use walkers::{Access, AccessKind, AmdV1Registers, DirtyState, FnMemory, Walker};

use crate::random::noise;
use crate::tables::{
    Path, Tables, check_absent, conflict, external_abort, permission_fault, place, replaced,
    reserved_fault, translation_fault,
};

const READ: Access = Access::UNPRIVILEGED_READ;
/// `IR`, `IW`, and `PR` of an entry or `V` of a device table entry.
const RW: u64 = 0b11 << 61 | 1;
const TV: u64 = 1 << 1;

/// An entry that leads to a table of `level`.
const fn table(level: u64, address: u64) -> u64 {
    RW | level << 9 | address
}

/// Four levels, the root at 0x1000.
const DEVICE: u64 = table(4, 0x1000) | TV;

/// Three tables and a page at 0x5000.
const PATH: Path = [
    (0x1000, table(3, 0x2000)),
    (0x2000, table(2, 0x3000)),
    (0x3000, table(1, 0x4000)),
    (0x4000, RW | 0x5000),
];

fn mmu(device: u64, entries: &[(u64, u64)]) -> AmdV1<Tables> {
    let registers = AmdV1Registers { device_table_entry: [device, 0, 0, 0] };
    AmdV1::new(Tables::new(entries), registers).expect("the device table entry is valid")
}

fn path_with(level: usize, entry: u64) -> Path {
    replaced(PATH, level, entry)
}

fn with(entries: &[(u64, u64)]) -> AmdV1<Tables> {
    mmu(DEVICE, entries)
}

#[test]
fn next_level_0_makes_a_leaf_of_the_size_that_the_entry_spans() {
    for (level, bits) in [(3, 12), (2, 21), (1, 30), (0, 39)] {
        let size = 1 << bits;
        let found = with(&path_with(level, RW | 3 << bits)).translate(size - 1, READ);
        assert_eq!(place(found), Ok(((4 << bits) - 1, size, level as i8)));
    }
    // A page of 256 TiB, at the manual's level 5.
    let found = mmu(table(5, 0x1000) | TV, &[(0x1000 + 8, RW | 1 << 48)]).translate(1 << 48, READ);
    assert_eq!(place(found), Ok((1 << 48, 1 << 48, -1)));
}

#[test]
fn each_mode_resolves_nine_bits_more() {
    for (mode, level) in (1..=6u64).zip([3, 2, 1, 0, -1, -2]) {
        let bits = mode * 9 + 12;
        let root = table(mode, 0x1000) | TV;
        let last = if mode == 6 { u64::MAX } else { (1 << bits) - 1 };
        // Each index is the last one; level 6 resolves seven bits.
        let top_index = if mode == 6 { 127 } else { 511 };
        let mut entries = Vec::new();
        for at in (1..=mode).rev() {
            let here = 0x1000 * (1 + mode - at);
            let index = if at == mode { top_index } else { 511 };
            let entry = if at == 1 { RW | 0x9000 } else { table(at - 1, here + 0x1000) };
            entries.push((here + index * 8, entry));
        }
        assert_eq!(place(mmu(root, &entries).translate(last, READ)), Ok((0x9fff, 4 << 10, 3)));
        assert_eq!(place(mmu(root, &[]).translate(last, READ)), external_abort(level));
        for bit in bits..64 {
            let found = mmu(root, &entries).translate(1 << bit, READ);
            assert_eq!(place(found), translation_fault(0), "mode {mode} bit {bit}");
        }
    }
}

#[test]
fn the_first_zero_in_the_address_of_a_leaf_says_its_size() {
    // By hand: 64 KiB at 0x3_0000 has bits 14:12 set and bit 15 clear.
    let entries: Vec<_> = PATH[..3]
        .iter()
        .copied()
        .chain((0..16).map(|index| (0x4000 + 0x80 + index * 8, RW | 7 << 9 | 0x3_7000)))
        .collect();
    for offset in [0, 0x1000, 0x8abc, 0xffff] {
        let found = with(&entries).translate(0x1_0000 + offset, READ);
        assert_eq!(place(found), Ok((0x3_0000 + offset, 64 << 10, 3)));
    }
    // Every size: from twice the entry's span to half of the table's.
    for (level, span) in [(3, 12), (2, 21), (1, 30), (0, 39)] {
        for size_bits in span + 1..span + 9 {
            let size = 1u64 << size_bits;
            let encoded = RW | 7 << 9 | size | (size / 2 - 1) & !0xfff;
            let members = (0..size >> span).map(|index| (PATH[level].0 + index * 8, encoded));
            let entries: Vec<_> = PATH[..level].iter().copied().chain(members).collect();
            let found = with(&entries).translate(size - 1, READ);
            assert_eq!(place(found), Ok((2 * size - 1, size, level as i8)), "2^{size_bits}");
        }
    }
}

#[test]
fn entries_of_a_leaf_that_disagree_are_a_conflict_but_for_their_flags() {
    for wrong in 0..4u64 {
        for (bit, agrees) in
            [(5, true), (6, true), (61, false), (60, false), (20, false), (0, false)]
        {
            let good = RW | 7 << 9 | 0x3_1000; // 16 KiB at 0x3_0000
            let member = |index| if index == wrong { good ^ 1 << bit } else { good };
            let members = (0..4).map(|index| (0x4000 + index * 8, member(index)));
            let entries: Vec<_> = PATH[..3].iter().copied().chain(members).collect();
            for asked in 0..4 {
                let found = place(with(&entries).translate(asked << 12, READ));
                if agrees {
                    assert_eq!(found, Ok((0x3_0000 + (asked << 12), 16 << 10, 3)));
                } else if asked == wrong && bit == 0 {
                    assert_eq!(found, translation_fault(3));
                } else {
                    assert_eq!(found, conflict(3), "bit {bit} of {wrong}, asked {asked}");
                }
            }
        }
    }
}

#[test]
fn a_size_that_the_level_does_not_have_is_reserved() {
    let at = |level: usize, address| {
        place(with(&path_with(level, RW | 7 << 9 | address)).translate(0, READ))
    };
    // 2 MiB at the last level: bits 19:12 set. 4 GiB there, and all ones.
    for address in [0xf_f000, 0x7fff_f000, 0xf_ffff_ffff_f000] {
        assert_eq!(at(3, address), reserved_fault(3));
    }
    // 1 MiB (bits 18:12), 2 MiB and 1 GiB (bits 28:12) at the level of 2 MiB.
    for address in [0x7_f000, 0xf_f000, 0x1fff_f000] {
        assert_eq!(at(2, address), reserved_fault(2));
    }
    // No zero at all, at the level of 256 TiB.
    let five = mmu(table(5, 0x1000) | TV, &[(0x1000, RW | 7 << 9 | 0xf_ffff_ffff_f000)]);
    assert_eq!(place(five.translate(0, READ)), reserved_fault(-1));
    for next in [0, 7] {
        let six = mmu(table(6, 0x1000) | TV, &[(0x1000, RW | next << 9)]);
        assert_eq!(place(six.translate(0, READ)), reserved_fault(-2));
    }
}

#[test]
fn address_bits_inside_a_leaf_of_its_entrys_size_are_reserved() {
    for (level, bits) in [(0, 39), (1, 30), (2, 21)] {
        for bit in 12..bits {
            let found = with(&path_with(level, RW | 1 << bit)).translate(0, READ);
            assert_eq!(place(found), reserved_fault(level as i8));
        }
    }
}

#[test]
fn levels_are_skipped_where_the_address_has_zeros() {
    // From level 4 to level 1: bits 38:21 are skipped.
    let entries = [(0x1000 + 8, table(1, 0x2000)), (0x2000 + 16, RW | 0x7000)];
    let va = 1 << 39 | 2 << 12 | 5;
    assert_eq!(place(with(&entries).translate(va, READ)), Ok((0x7005, 4 << 10, 3)));
    for bit in 21..39 {
        assert_eq!(place(with(&entries).translate(va | 1 << bit, READ)), translation_fault(0));
    }
    // From level 3 to level 1.
    let mut path = path_with(1, table(1, 0x4000));
    path[2] = (0x4008, RW | 0x6000);
    assert_eq!(place(with(&path).translate(0x1000, READ)), Ok((0x6000, 4 << 10, 3)));
    assert_eq!(place(with(&path).translate(1 << 21, READ)), translation_fault(1));
}

#[test]
fn a_next_level_that_is_not_below_is_reserved() {
    for (level, own) in [(0, 4), (1, 3), (2, 2), (3, 1)] {
        for next in own..7 {
            let found = with(&path_with(level, table(next, 0x2000))).translate(0, READ);
            assert_eq!(place(found), reserved_fault(level as i8), "{next} at {own}");
        }
    }
}

#[test]
fn an_absent_or_unreadable_entry_faults_at_its_level() {
    check_absent(PATH, with);
}

#[test]
fn reserved_bits_fault_at_their_level_and_others_do_not() {
    for (level, &(_, good)) in PATH.iter().enumerate() {
        let found = |bit: u32| place(with(&path_with(level, good ^ 1 << bit)).translate(0, READ));
        for bit in 52..59 {
            assert_eq!(found(bit), reserved_fault(level as i8));
        }
        for bit in [59, 60] {
            assert_eq!(found(bit).is_ok(), level == 3);
        }
        for bit in (1..9).chain([63]) {
            assert!(found(bit).is_ok(), "bit {bit}");
        }
    }
}

#[test]
fn each_level_and_the_device_table_take_rights_away() {
    let both = 0b11 << 61;
    let check = |mmu: AmdV1<Tables>, bits: u64| {
        for access in Access::ALL {
            let bit = if access.kind == AccessKind::Write { 1 << 62 } else { 1 << 61 };
            let expected =
                if bits & bit != 0 { Ok((0x5000, 4 << 10, 3)) } else { permission_fault(3) };
            assert_eq!(place(mmu.translate(0, access)), expected);
        }
    };
    for bits in [0, 1 << 61, 1 << 62, both] {
        for (level, &(_, good)) in PATH.iter().enumerate() {
            check(with(&path_with(level, good & !both | bits)), bits);
        }
        check(mmu(DEVICE & !both | bits, &PATH), bits);
    }
}

#[test]
fn coherence_and_the_dirty_state_are_the_leaf_s() {
    let found = |device, leaf| mmu(device, &path_with(3, leaf)).translate(0, READ).unwrap();
    assert!(found(DEVICE, RW | 1 << 60 | 0x5000).snooped);
    assert!(!found(DEVICE, RW | 1 << 59 | 0x5000).snooped);
    let (had, dirty) = (0b11 << 7, 1 << 6);
    assert_eq!(found(DEVICE, RW | dirty).dirty_state, None);
    assert_eq!(found(DEVICE | 1 << 7, RW | dirty).dirty_state, None);
    assert_eq!(found(DEVICE | had, RW | dirty).dirty_state, Some(DirtyState::WritableDirty));
    assert_eq!(found(DEVICE | had, RW).dirty_state, Some(DirtyState::WritableClean));
    assert_eq!(found(DEVICE | had, RW & !(1 << 62)).dirty_state, None);
}

#[test]
fn a_device_without_tables_is_refused_and_mode_7_is_reserved() {
    for device in [DEVICE & !1, DEVICE & !TV, DEVICE & !(7 << 9)] {
        let registers = AmdV1Registers { device_table_entry: [device, 0, 0, 0] };
        let refused = AmdV1::new(Tables::new(&[]), registers).map(|_| ());
        assert_eq!(refused, Err(ConfigError::NoTable { mode: (device >> 9 & 7) as u8 }));
    }
    assert_eq!(place(mmu(DEVICE | 7 << 9, &PATH).translate(0, READ)), reserved_fault(0));
}

/// The same once more, on the bits of the address still to be resolved. Leaves of encoded sizes
/// do not occur.
fn by_remaining_bits(
    device: u64,
    memory: &dyn Fn(u64) -> u64,
    va: u64,
    write: bool,
) -> Option<u64> {
    let mut entry = device;
    let mut remaining = 64;
    let mut permitted = true;
    loop {
        let next = entry >> 9 & 7;
        let base = entry % (1 << 52) / 4096 * 4096;
        permitted &= entry >> (if write { 62 } else { 61 }) & 1 == 1;
        let offset = if remaining == 64 { va } else { va % (1 << remaining) };
        if next == 0 {
            let aligned = base % (1 << remaining) == 0 && (entry >> 52) % (1 << 7) == 0;
            return (aligned && permitted && remaining < 52).then_some(base + offset);
        }
        let resolved = 12 + 9 * next;
        let sound = entry == device || (entry >> 52) % (1 << 9) == 0;
        if next == 7 || !sound || (entry != device && resolved > remaining) {
            return None;
        }
        if resolved < 64 && offset >> resolved != 0 {
            return None;
        }
        remaining = resolved - 9;
        entry = memory(base + (va >> remaining) % 512 * 8);
        if entry & 1 == 0 {
            return None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn any_memory_is_walked_as_the_remaining_bits_say(
        seed: u64,
        va: u64,
        width in 20..=64u32,
        mode in 1..=6u64,
        access in prop::sample::select(Access::ALL.to_vec()),
        forced in prop::sample::select(vec![
            (0, 0), (RW, 0x1ff << 52), (RW, 0x1ff << 52 | 0b110 << 9),
            (RW, 0x1ff << 52 | 7 << 9 | 0xf_ffff_f000), (RW, 0x1ff << 52 | 4 << 9),
        ]),
    ) {
        // A leaf of an encoded size needs a group, which noise does not make.
        let memory = |address| {
            let entry = noise(seed, address, forced.0, forced.1);
            if entry >> 9 & 7 == 7 { entry & !(1 << 9) } else { entry }
        };
        let device = (RW | TV | mode << 9) ^ (seed & 0xff_ffff) << 12;
        let va = va >> (64 - width);
        let registers = AmdV1Registers { device_table_entry: [device, 0, 0, 0] };
        let mmu = AmdV1::new(FnMemory(|address| Some(memory(address))), registers).unwrap();
        let found = mmu.translate(va, access).ok().map(|found| found.address);
        let write = access.kind == AccessKind::Write;
        prop_assert_eq!(found, by_remaining_bits(device, &memory, va, write));
    }
}
