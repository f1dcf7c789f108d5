//! `AArch32` stage 1 with long descriptors.

use walkers::soft::{ConfigError, Stage1Aarch32, Stage1Aarch32Registers};
use walkers::{
    Access, DeviceType, FnMemory, MemoryType, Permissions, Rights, Shareability, Walker,
};

use crate::tables::{
    Tables, access_flag_fault, address_size_fault, external_abort, permission_fault, place,
    translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
const EAE: u32 = 1 << 31;
const EPD0: u32 = 1 << 7;
const EPD1: u32 = 1 << 23;

fn mmu(ttbcr: u32, entries: &[(u64, u64)]) -> Stage1Aarch32<Tables> {
    let registers = Stage1Aarch32Registers {
        ttbr0: Some(0x1000),
        ttbr1: Some(0x2000),
        ttbcr: EAE | ttbcr,
        mair0: 0x44_04_ff,
        mair1: 0xff_0c_00_bb,
    };
    Stage1Aarch32::new(Tables::new(entries), registers).expect("descriptors are long")
}

/// The three entries on the way to the page at address 0.
const PATH: [(u64, u64); 3] = [(0x1000, 0x3003), (0x3000, 0x4003), (0x4000, 0x8703)];

fn path_with(level: i8, descriptor: u64) -> [(u64, u64); 3] {
    let mut path = PATH;
    path[usize::from((level - 1).unsigned_abs())].1 = descriptor;
    path
}

#[test]
fn pages_and_blocks_are_found_at_their_levels() {
    let entries = [
        (0x1000 + 3 * 8, 0x3003), // VA[31:30] = 3
        (0x1008, 0xff_c000_0701), // a block of 1 GiB
        (0x3000 + 5 * 8, 0x4003), // VA[29:21] = 5
        (0x3008, 0x12_3460_0701), // a block of 2 MiB
        (0x4000 + 6 * 8, 0xff_ffff_f703),
    ];
    let mmu = mmu(0, &entries);
    let va = 3 << 30 | 5 << 21 | 6 << 12 | 0x123;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0xff_ffff_f123, 4 << 10, 3)));
    let va = 3 << 30 | 1 << 21 | 0x123;
    assert_eq!(place(mmu.translate(va, READ)), Ok((0x12_3460_0123, 2 << 20, 2)));
    assert_eq!(place(mmu.translate(0x4000_0123, READ)), Ok((0xff_c000_0123, 1 << 30, 1)));
}

/// `T0SZ` 0 and 1 start at level 1, with 4 and 2 entries; 2 to 7 at level 2.
#[test]
fn the_input_size_decides_where_a_walk_starts() {
    for t0sz in 0..8 {
        let registers =
            Stage1Aarch32Registers { ttbr0: Some(0), ttbcr: EAE | t0sz, ..Default::default() };
        let mmu = Stage1Aarch32::new(FnMemory(|_| Some(0)), registers).unwrap();
        let level = if t0sz < 2 { 1 } else { 2 };
        assert_eq!(place(mmu.translate(0, READ)), translation_fault(level), "T0SZ {t0sz}");
    }
    // Seven: 25 bits, 16 entries of level 2, at a multiple of 128 bytes.
    let registers =
        Stage1Aarch32Registers { ttbr0: Some(0x10b0), ttbcr: EAE | EPD1 | 7, ..Default::default() };
    let tables = Tables::new(&[(0x1080 + 15 * 8, 0x4020_0701)]);
    let found = Stage1Aarch32::new(tables, registers).unwrap().translate(15 << 21, READ);
    assert_eq!(place(found), Ok((0x4020_0000, 2 << 20, 2)));
}

type Memory = FnMemory<fn(u64) -> Option<u64>>;

/// Both roots filled with blocks, of 1 GiB or 2 MiB, that name their half and entry.
fn halves(ttbcr: u32) -> Stage1Aarch32<Memory> {
    let registers = Stage1Aarch32Registers {
        ttbr0: Some(0),
        ttbr1: Some(1 << 20),
        ttbcr: EAE | ttbcr,
        ..Default::default()
    };
    // Bit 39: the upper half.
    let memory: Memory = FnMemory(|entry| Some(entry >> 20 << 39 | 0x401));
    Stage1Aarch32::new(memory, registers).expect("descriptors are long")
}

/// `AArch32.GetVARange`, `AArch32.VAIsOutOfRange`.
#[test]
fn the_sizes_divide_the_address_space() {
    // T1SZ, T0SZ, then addresses that are in the lower half, the upper one, and in neither.
    type Row = (u32, u32, &'static [u64], &'static [u64], &'static [u64]);
    const ROWS: [Row; 6] = [
        (0, 0, &[0, 0x8000_0000, 0xffff_ffff], &[], &[]),
        (0, 1, &[0, 0x7fff_ffff], &[0x8000_0000, 0xffff_ffff], &[]),
        (0, 7, &[0, 0x01ff_ffff], &[0x0200_0000, 0xffff_ffff], &[]),
        (1, 0, &[0, 0x7fff_ffff], &[0x8000_0000, 0xffff_ffff], &[]),
        (7, 0, &[0, 0xfdff_ffff], &[0xfe00_0000, 0xffff_ffff], &[]),
        (2, 3, &[0, 0x1fff_ffff], &[0xc000_0000, 0xffff_ffff], &[0x2000_0000, 0xbfff_ffff]),
    ];
    for (t1sz, t0sz, lower, upper, neither) in ROWS {
        let is_upper =
            |va| halves(t1sz << 16 | t0sz).translate(va, READ).map(|at| at.address >> 39);
        let sizes = format!("T1SZ {t1sz} T0SZ {t0sz}");
        assert!(lower.iter().all(|&va| is_upper(va) == Ok(0)), "{sizes}");
        assert!(upper.iter().all(|&va| is_upper(va) == Ok(1)), "{sizes}");
        assert!(neither.iter().all(|&va| is_upper(va) == translation_fault(1)), "{sizes}");
    }
}

#[test]
fn the_upper_half_is_indexed_from_its_start() {
    // T1SZ 2: 30 bits, level 2, and T1SZ 0 with T0SZ 1: 32 bits, level 1.
    let mmu_2 = mmu(EPD0 | 2 << 16, &[(0x2000 + 511 * 8, 0x701)]);
    assert_eq!(place(mmu_2.translate(0xffff_ffff, READ)), Ok((0x1f_ffff, 2 << 20, 2)));
    let mmu_0 = mmu(1, &[(0x2000 + 2 * 8, 0x4000_0701)]);
    assert_eq!(place(mmu_0.translate(0x8000_0000, READ)), Ok((0x4000_0000, 1 << 30, 1)));
}

#[test]
fn each_half_can_be_disabled_alone() {
    for (epd, lower, upper) in [(EPD0, false, true), (EPD1, true, false)] {
        let mmu = halves(1 << 16 | 1 | epd);
        for (va, enabled) in [(0, lower), (0xffff_ffff, upper)] {
            let found = mmu.translate(va, READ);
            assert_eq!(found.is_ok(), enabled);
            assert!(enabled || found == translation_fault(1));
        }
    }
}

#[test]
fn an_address_above_32_bits_is_a_translation_fault_at_level_1() {
    for bit in 32..64 {
        assert_eq!(place(mmu(0, &PATH).translate(1 << bit, READ)), translation_fault(1));
    }
}

#[test]
fn faults_carry_the_level_of_the_lookup() {
    for level in 1..=3 {
        let with = |descriptor| place(mmu(0, &path_with(level, descriptor)).translate(0, READ));
        let leaf_type = if level == 3 { 0b11 } else { 0b01 };
        assert_eq!(with(!1), translation_fault(level));
        assert_eq!(with(0x300 | leaf_type), access_flag_fault(level));
        let index = usize::from((level - 1).unsigned_abs());
        for bit in 40..48 {
            assert_eq!(with(PATH[index].1 | 1 << bit), address_size_fault(level));
        }
        let cut = mmu(0, &PATH[..index]);
        assert_eq!(place(cut.translate(0, READ)), external_abort(level));
        let leaf = mmu(0, &path_with(level, 0x700 | leaf_type));
        assert_eq!(place(leaf.translate(0, Access::UNPRIVILEGED_READ)), permission_fault(level));
    }
    let reserved = mmu(0, &path_with(3, 0x8701));
    assert_eq!(place(reserved.translate(0, READ)), translation_fault(3));
}

#[test]
fn a_base_beyond_40_bits_is_an_address_size_fault_at_level_0() {
    for bit in 40..56 {
        let registers = Stage1Aarch32Registers {
            ttbr0: Some(1 << bit | 0x1000),
            ttbcr: EAE,
            ..Default::default()
        };
        let found = Stage1Aarch32::new(Tables::new(&PATH), registers).unwrap().translate(0, READ);
        // Bits 55:48 are the ASID.
        let expected = if bit < 48 { address_size_fault(0) } else { Ok((0x8000, 4 << 10, 3)) };
        assert_eq!(place(found), expected, "bit {bit}");
    }
}

/// Written as `ls` writes them: privileged, then unprivileged.
fn permissions(leaf: u64, table: u64) -> String {
    let entries = [(0x1000, 0x3003 | table), (0x3000, 0x701 | leaf)];
    let mmu = mmu(0, &entries);
    let found = mmu.translate(0, READ).expect("PL1 reads whatever is mapped").permissions;
    for access in Access::ALL {
        assert_eq!(mmu.translate(0, access).is_ok(), found.allow(access), "{access:?}");
    }
    let letters = |rights: Rights| -> String {
        [(rights.read, 'r'), (rights.write, 'w'), (rights.execute, 'x')]
            .map(|(right, letter)| if right { letter } else { '-' })
            .iter()
            .collect()
    };
    let Permissions { privileged, unprivileged } = found;
    format!("{} {}", letters(privileged), letters(unprivileged))
}

/// `AArch32.S1LDHasPermissionsFault`: XN is for both, fetches need reads, and what PL0 writes PL1
/// may execute.
#[test]
fn ap_and_the_execute_never_bits_decide() {
    const PXN: u64 = 1 << 53;
    const XN: u64 = 1 << 54;
    let ap = |bits: u64| bits << 6;
    for (leaf, expected) in [
        (ap(0b00), "rwx ---"),
        (ap(0b01), "rwx rwx"),
        (ap(0b10), "r-x ---"),
        (ap(0b11), "r-x r-x"),
        (ap(0b01) | PXN, "rw- rwx"),
        (ap(0b01) | XN, "rw- rw-"),
        (ap(0b11) | PXN | XN, "r-- r--"),
    ] {
        assert_eq!(permissions(leaf, 0), expected, "leaf {leaf:#x}");
    }
    // PXNTable, XNTable, APTable.
    for (table, expected) in [
        (1 << 59, "rw- rwx"),
        (1 << 60, "rw- rw-"),
        (0b01 << 61, "rwx ---"),
        (0b10 << 61, "r-x r-x"),
        (0b11 << 61, "r-x ---"),
    ] {
        assert_eq!(permissions(ap(0b01), table), expected, "table {table:#x}");
    }
}

#[test]
fn there_is_no_dirty_state() {
    // DBM and AP[2].
    let mmu = mmu(0, &path_with(1, 1 << 51 | 0x781));
    assert_eq!(place(mmu.translate(0, Access::PRIVILEGED_WRITE)), permission_fault(1));
    assert_eq!(mmu.translate(0, READ).unwrap().dirty_state, None);
}

#[test]
fn the_attribute_index_selects_a_byte_of_mair0_or_mair1() {
    for (index, expected) in [
        (0, MemoryType::WriteBack),
        (1, MemoryType::Device(DeviceType::NGnRE)),
        (2, MemoryType::NonCacheable),
        (4, MemoryType::Other(0xbb)),
        (5, MemoryType::Device(DeviceType::NGnRnE)),
        (6, MemoryType::Device(DeviceType::GRE)),
        (7, MemoryType::WriteBack),
    ] {
        let found = mmu(0, &path_with(1, 0x601 | index << 2)).translate(0, READ).unwrap();
        assert_eq!((found.memory, found.shareability), (expected, Shareability::Outer));
    }
}

#[test]
fn ns_and_ns_table_are_reported() {
    let non_secure =
        |entries: &[(u64, u64)]| mmu(0, entries).translate(0, READ).map(|found| found.non_secure);
    assert_eq!(non_secure(&PATH), Ok(false));
    assert_eq!(non_secure(&path_with(3, 0x8703 | 1 << 5)), Ok(true));
    assert_eq!(non_secure(&path_with(1, 0x3003 | 1 << 63)), Ok(true));
}

#[test]
fn contiguous_pages_are_checked() {
    let mut entries = PATH[..2].to_vec();
    entries.extend((0..16).map(|page| (0x4000 + page * 8, page << 12 | 1 << 52 | 0x703)));
    assert!(mmu(0, &entries).translate(0x5000, READ).unwrap().contiguous);
    // A level 1 has no room for 16 blocks of 1 GiB.
    let block = mmu(0, &path_with(1, 1 << 52 | 0x701)).translate(0, READ);
    assert_eq!(place(block), translation_fault(1));
}

#[test]
fn short_descriptors_are_refused() {
    let refused = Stage1Aarch32::new(Tables::new(&[]), Stage1Aarch32Registers::default());
    assert_eq!(refused.map(|_| ()), Err(ConfigError::ShortDescriptors));
}
