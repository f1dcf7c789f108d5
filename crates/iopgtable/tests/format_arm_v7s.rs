//! Arm's short descriptors: geometry, words and registers are the manual's (Arm DDI 0487, G5.4 and
//! G5.7.2), and MediaTek's.

#![cfg(feature = "alloc")]

mod machine;
mod words;

use iopgtable::format::{ArmV7s, ArmV7sRegisters, Extension, MediaTek, Unextended};
use iopgtable::memory::Region;
use iopgtable::{
    Config, ConfigError, CreateError, Format, Iova, Options, PageTable, PhysAddr, Prot, ProtError,
    TableLayout,
};
use machine::{finish, range};
use words::{common_refusal, map, path_of, registers};

type Plain = ArmV7s<Unextended>;
type Wide = ArmV7s<MediaTek>;

const PLAIN: Config = Config::new(32, 32);
const WIDE: Config = Config::new(34, 35);

const K64: u64 = 64 << 10;
const M1: u64 = 1 << 20;
const M16: u64 = 16 << 20;

/// Bits 31:10.
fn next(entry: u64) -> u64 {
    entry & 0xffff_fc00
}

/// The word for `iova`.
fn entry<E: Extension>(
    memory: &machine::Memory,
    table: &machine::Table<'_, ArmV7s<E>>,
    iova: u64,
) -> u64 {
    let root = u64::from(registers(table).ttbr) & 0xffff_c000;
    let first = path_of(memory, 4, root, &[iova >> 20], next)[0];
    if first & 0b11 == 0b01 {
        path_of(memory, 4, root, &[iova >> 20, iova >> 12 & 0xff], next)[1]
    } else {
        first
    }
}

#[test]
fn a_root_of_a_mebibyte_an_entry_and_tables_of_1_kib() {
    for input in 0..=u8::MAX {
        let found = Plain::geometry(Config::new(input, 32));
        if !(25..=32).contains(&input) {
            assert_eq!(found, Err(ConfigError::InputBits { bits: input, min: 25, max: 32 }));
            continue;
        }
        let geometry = found.expect("good sizes");
        assert_eq!((geometry.first_level(), geometry.levels()), (2, 2));
        assert_eq!(geometry.entries(2) as u64, 1 << (input - 20));
        assert_eq!(geometry.root_bytes(), (4u64 << (input - 20)).max(1024));
        assert_eq!((geometry.entries(3), geometry.table_bytes()), (256, 1024));
        assert_eq!((geometry.granule(), geometry.entry_bytes()), (4096, 4));
        assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), [M16, M1, K64, 4096]);
    }
    let supported = match Plain::geometry(Config::new(32, 33)) {
        Err(ConfigError::OutputBits { bits: 33, supported }) => supported,
        other => panic!("{other:?}"),
    };
    assert_eq!(supported, [32, 40]);
    let wide = Wide::geometry(WIDE).expect("good sizes");
    assert_eq!((wide.entries(2), wide.root_bytes()), (1 << 14, 64 << 10));
    assert!(Wide::geometry(Config::new(34, 36)).is_err());
    assert_eq!(TableLayout::of::<Plain>().bytes(), 1024);
    // Without supersections.
    let narrow = Plain::geometry(PLAIN.largest_leaf(M1)).expect("good sizes");
    assert_eq!(narrow.leaf_sizes().collect::<Vec<_>>(), [M1, K64, 4096]);
}

/// A small page: XN 0, its type 1, B 2, C 3, AP[1:0] 5:4, TEX 8:6, AP[2] 9, S 10, nG 11.
fn small(prot: Prot) -> u64 {
    let mut bits = 0xc12;
    if !prot.contains(Prot::EXECUTE) {
        bits |= 0x1;
    }
    if !prot.contains(Prot::PRIVILEGED) {
        bits |= 0x20;
    }
    if !prot.contains(Prot::WRITE) {
        bits |= 0x200;
    }
    bits | if prot.contains(Prot::CACHED) {
        0x4c
    } else if prot.contains(Prot::DEVICE) {
        0x4
    } else {
        0x40
    }
}

/// A large page has TEX in 14:12, XN in 15, and another type.
fn large(prot: Prot) -> u64 {
    let small = small(prot);
    small & 0xe3c | (small & 0x1c0) << 6 | (small & 1) << 15 | 0b01
}

/// A section has AP[1:0] in 11:10, TEX in 14:12, AP[2] in 15, S in 16, nG in 17, XN in 4.
fn section(prot: Prot) -> u64 {
    let small = small(prot);
    small & 0xe | (small & 0xff0) << 6 | (small & 1) << 4
}

#[test]
fn pages_of_every_size_have_the_bits_of_their_permissions() {
    for prot in words::all_prots() {
        let read = prot.contains(Prot::READ);
        let refusal = common_refusal(prot).or((!read).then_some(ProtError::ReadImplied));
        assert_eq!(Plain::attributes(Options::NONE, prot).err(), refusal, "{prot:?}");
        if refusal.is_some() {
            continue;
        }
        let memory = machine::memory();
        let mut table = machine::table::<Plain>(PLAIN, &memory);
        for (bytes, bits) in [
            (0x1000, small(prot)),
            (K64, large(prot)),
            (M1, section(prot)),
            (M16, section(prot) | 1 << 18),
        ] {
            let first = 0x1_0000_0000 - bytes;
            map(&mut table, first, first, bytes, prot);
            let unit = if bytes < M1 { 0x1000 } else { M1 };
            for at in (first..first + bytes).step_by(unit as usize) {
                assert_eq!(entry(&memory, &table, at), first | bits, "{prot:?}, {bytes:#x}");
            }
            let found = table.translate(Iova(first + bytes - 4)).expect("it is mapped");
            assert_eq!((found.phys.0, found.leaf_bytes), (first + bytes - 4, bytes));
            assert_eq!(found.prot, prot, "read back");
            words::empty(&mut table);
        }
    }
}

#[test]
fn words_are_as_computed_by_hand() {
    let memory = machine::memory();
    let mut table = machine::table::<Plain>(PLAIN.with(Options::NON_SECURE), &memory);
    let cached = Prot::RW | Prot::CACHED;
    map(&mut table, 0x8000_0000, 0x1234_5000, 0x1000, cached);
    map(&mut table, 0x8001_0000, 0x1235_0000, K64, cached);
    map(&mut table, 0x8010_0000, 0x1230_0000, M1, cached);
    map(&mut table, 0x8100_0000, 0x2100_0000, M16, cached);
    assert_eq!(entry(&memory, &table, 0x8000_0000), 0x1234_5c7f);
    assert_eq!(entry(&memory, &table, 0x8001_f000), 0x1235_9c3d);
    assert_eq!(entry(&memory, &table, 0x8010_0000), 0x123b_1c1e);
    assert_eq!(entry(&memory, &table, 0x81f0_0000), 0x210f_1c1e);
    // NS of a table is bit 3.
    let root = u64::from(registers(&table).ttbr) & !0x3fff;
    assert_eq!(path_of(&memory, 4, root, &[0x800], next)[0] & 0x3ff, 0x9);
    map(&mut table, 0, 0x4000_0000, 0x1000, Prot::READ | Prot::DEVICE);
    assert_eq!(entry(&memory, &table, 0), 0x4000_0e37);
}

#[test]
fn what_is_cut_is_made_of_the_largest_pages_that_fit() {
    let memory = machine::memory();
    let mut table = machine::table::<Plain>(PLAIN, &memory);
    map(&mut table, 0, M16, M16, Prot::RW);
    let page = range(5 * M1 + K64 + 0x2000, 0x1000);
    let gather = table.unmap(page, page).expect("there is memory");
    assert_eq!(gather.stale().leaves, Some(range(0, M16)));
    finish(&table, gather);
    for (at, bytes) in [
        (0, M1),
        (4 * M1, M1),
        (6 * M1, M1),
        (5 * M1, K64),
        (5 * M1 + K64, 0x1000),
        (5 * M1 + K64 + 0x3000, 0x1000),
        (5 * M1 + 2 * K64, K64),
    ] {
        let found = table.translate(Iova(at)).expect("it is left");
        assert_eq!((found.phys.0, found.leaf_bytes), (M16 + at, bytes), "{at:#x}");
    }
    assert_eq!(table.translate(page.first()), None);
    assert_eq!(table.count_tables().total(), 1);
}

/// PA[35:32] in bits 23:20, PA[39:36] in bits 8:5, where other sections have their domain.
#[test]
fn a_supersection_holds_40_bits() {
    let memory = machine::memory();
    let mut table = machine::table::<Plain>(Config::new(32, 40), &memory);
    map(&mut table, 2 * M16, 0xba_1200_0000, M16, Prot::RW | Prot::CACHED);
    for at in (2 * M16..3 * M16).step_by(1 << 20) {
        assert_eq!(entry(&memory, &table, at), 0x12a7_1d7e, "the same word sixteen times");
    }
    let found = table.translate(Iova(2 * M16 + 5)).expect("it is mapped");
    assert_eq!((found.phys.0, found.leaf_bytes), (0xba_1200_0005, M16));
    assert_eq!(found.prot, Prot::RW | Prot::CACHED);
    let gather = table.protect(range(2 * M16, M16), Prot::READ | Prot::CACHED).expect("whole");
    assert!(!gather.break_before_make().rewritten);
    finish(&table, gather);
    assert_eq!(entry(&memory, &table, 2 * M16), 0x12a7_9d7e);
}

/// Permissions may change while walkers look, in every kind of leaf; memory types may not.
#[test]
fn a_change_of_permissions_alone_needs_no_break() {
    let memory = machine::memory();
    let mut table = machine::table::<Plain>(PLAIN, &memory);
    for (first, bytes) in [(0, 0x1000), (K64, K64), (M1, M1), (M16, M16)] {
        map(&mut table, first, first, bytes, Prot::RW);
        let at = range(first, bytes);
        for (prot, rewritten) in [
            (Prot::READ, false),
            (Prot::RW | Prot::EXECUTE | Prot::PRIVILEGED, false),
            (Prot::RW | Prot::CACHED, true),
            (Prot::READ | Prot::DEVICE, true),
        ] {
            let gather = table.protect(at, prot).expect("no table is missing");
            assert_eq!(gather.break_before_make().rewritten, rewritten, "{bytes:#x} {prot:?}");
            assert!(!gather.break_before_make().resized);
            finish(&table, gather);
            let found = table.translate(Iova(first + bytes - 8)).expect("it is mapped");
            assert_eq!((found.prot, found.leaf_bytes), (prot, bytes));
        }
    }
}

/// Bits 9, 4 and 5 are bits 32, 33 and 34 of the address; there are no permissions.
#[test]
fn mediatek_holds_35_bits_in_the_place_of_permissions() {
    let memory = machine::memory();
    let mut table = machine::table::<Wide>(WIDE, &memory);
    let places = [(0x1_0000_0000, 0x200), (0x2_0000_0000, 0x10), (0x4_0000_0000, 0x20)];
    for (phys, place) in places.into_iter().chain([(0, 0), (0x7_0000_0000, 0x230)]) {
        for (bytes, bits) in [(0x1000, 0xc42), (K64, 0x1c01), (M1, 0x3_1002), (M16, 0x7_1002)] {
            let iova = 0x3_0000_0000;
            map(&mut table, iova, phys, bytes, Prot::READ);
            let found = entry(&memory, &table, iova + bytes / 2);
            assert_eq!(found, bits | place, "{phys:#x}, {bytes:#x}");
            let own = table.translate(Iova(iova + bytes - 1)).expect("it is mapped");
            assert_eq!((own.phys.0, own.leaf_bytes), (phys + bytes - 1, bytes));
            assert_eq!(own.prot, Prot::RW | Prot::EXECUTE, "whatever was asked for");
            words::empty(&mut table);
        }
    }
    // A run goes over such a bit.
    map(&mut table, 0, 0xffff_0000, 2 * K64, Prot::RW);
    assert_eq!(table.translate(Iova(K64)).expect("it is mapped").phys.0, 0x1_0000_0000);
    // And a cut leaf keeps it.
    words::empty(&mut table);
    map(&mut table, 0, 0x5_0000_0000, M16, Prot::RW);
    let page = range(0, 0x1000);
    let gather = table.unmap(page, page).expect("there is memory");
    finish(&table, gather);
    for at in [0x1000, K64, M1, M16 - 1] {
        assert_eq!(table.translate(Iova(at)).expect("it is left").phys.0, 0x5_0000_0000 + at);
    }
}

#[test]
fn tables_lie_where_their_descriptors_reach() {
    let refused = |last_phys: u64, reach: u64| {
        let (last_phys, reach) = (PhysAddr(last_phys), PhysAddr(reach));
        CreateError::Config(ConfigError::TablesOutOfReach { last_phys, reach })
    };
    let high = Region::with_capacity(PhysAddr(0x5_0000_0000), 1 << 20).expect("a region");
    let last = 0x5_000f_ffff;
    let found = PageTable::<Plain, _>::new(PLAIN, &high).map(|_| ());
    assert_eq!(found, Err(refused(last, 0xffff_ffff)));
    let found = PageTable::<Wide, _>::new(WIDE, &high).map(|_| ());
    assert_eq!(found, Err(refused(last, 0xffff_ffff)));
    let config = WIDE.with(Options::WIDE_TABLES);
    let mut table = PageTable::<Wide, _>::new(config, &high).expect("it reaches them");
    let pages = [0, 0x2_0000_0000, 0x3_fff0_0000];
    for iova in pages {
        let segment = iopgtable::Segment::new(PhysAddr(0x6_0000_0000), 0x1000);
        let mapped = table.map(range(iova, 0x1000), [segment], Prot::RW);
        finish(&table, mapped.expect("there is memory"));
    }
    // SAFETY: no walker is given them.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.ttbr & 0x7f, 0x5, "bits 34:32");
    for iova in pages {
        let found = table.translate(Iova(iova + 4)).expect("it is mapped");
        assert_eq!(found.phys, PhysAddr(0x6_0000_0004));
    }
    let whole = table.geometry().whole();
    let gather = table.unmap(whole, whole).expect("nothing is cut");
    assert_eq!(finish(&table, gather), pages.len(), "loose tables are found again");
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words::words_without_low_bits_are_empty::<Plain>();
    words::words_without_low_bits_are_empty::<Wide>();
}

/// TTBR0: S 1, RGN 4:3, NOS 5, IRGN 0 and 6. TTBCR: N 2:0, PD1 5.
#[test]
fn registers_are_as_computed_by_hand() {
    let of = |config: Config, coherent| {
        let geometry = Plain::geometry(config).expect("good sizes");
        Plain::registers(&geometry, config.options, PhysAddr(0x8000_4000), coherent)
    };
    let (prrr, nmrr) = (0x800b_8204, 0x4000_4000);
    let coherent = ArmV7sRegisters { ttbr: 0x8000_406a, ttbcr: 0, prrr, nmrr, input_bits: 32 };
    assert_eq!(of(PLAIN, true), coherent);
    assert_eq!(of(PLAIN, false), ArmV7sRegisters { ttbr: 0x8000_4002, ..coherent });
    let smaller = of(Config::new(29, 32), false);
    assert_eq!(
        smaller,
        ArmV7sRegisters { ttbr: 0x8000_4002, ttbcr: 0x23, input_bits: 29, ..coherent }
    );
    let geometry = Wide::geometry(WIDE).expect("good sizes");
    let wide = Wide::registers(&geometry, Options::NONE, PhysAddr(0x7_8000_0000), true);
    assert_eq!((wide.ttbr, wide.ttbcr, wide.input_bits), (0x8000_0007, 0, 34));
    assert_eq!((Plain::NAME, Wide::NAME), ("ARM_V7S", "ARM_V7S"));
}
