//! RISC-V, both stages: geometry, words and registers are the manual's (volume II: "Sv39" to
//! "Sv57", "Svnapot", "Svpbmt", "H" extension).

#![cfg(feature = "alloc")]

mod machine;
mod words;

use iopgtable::format::{FirstStage, GStage, RiscV, RiscVRegisters};
use iopgtable::{
    Config, ConfigError, Format, Geometry, Iova, IovaRange, Options, PhysAddr, Prot, ProtError,
    TableMemory,
};
use machine::range;
use words::{common_refusal, map, path, registers};

type First = RiscV<FirstStage>;
type Guest = RiscV<GStage>;

/// `PPN` 43:0 of `satp` and `hgatp`.
fn root(registers: RiscVRegisters) -> u64 {
    (registers.atp & 0xfff_ffff_ffff) << 12
}

/// `PPN` 53:10 of an entry.
fn next(entry: u64) -> u64 {
    (entry >> 10 & 0xfff_ffff_ffff) << 12
}

/// An address in its place in an entry.
fn place(phys: u64) -> u64 {
    phys >> 12 << 10
}

const SIZES: [u64; 5] = [256 << 40, 512 << 30, 1 << 30, 2 << 20, 4 << 10];

#[test]
fn the_input_size_says_which_mode_it_is() {
    let check = |geometry: &Geometry, levels: u8, root_bytes, whole| {
        assert_eq!((geometry.levels(), geometry.root_bytes()), (levels, root_bytes));
        assert_eq!(geometry.entries(geometry.first_level()) as u64, root_bytes / 8);
        assert_eq!(geometry.whole(), whole);
        let sizes: Vec<u64> = geometry.leaf_sizes().collect();
        assert_eq!(sizes, &SIZES[5 - usize::from(levels)..]);
    };
    let levels_of = |input| match input {
        ..=39 => 3,
        40..=48 => 4,
        _ => 5,
    };
    for input in 0..=u8::MAX {
        let config = Config::new(input, 56);
        let (first, guest) = (First::geometry(config), Guest::geometry(config));
        if (32..=57).contains(&input) {
            let half = 1u64 << (input - 1);
            let upper = First::geometry(config.with(Options::UPPER_HALF)).expect("good sizes");
            check(&first.expect("good sizes"), levels_of(input), 0x1000, range(0, half));
            check(&upper, levels_of(input), 0x1000, range(half.wrapping_neg(), half));
        } else {
            assert_eq!(first, Err(ConfigError::InputBits { bits: input, min: 32, max: 57 }));
        }
        if (32..=59).contains(&input) {
            let guest = guest.expect("good sizes");
            check(&guest, levels_of(input - 2), 0x4000, range(0, 1 << input));
        } else {
            assert_eq!(guest, Err(ConfigError::InputBits { bits: input, min: 32, max: 59 }));
        }
    }
    for output in [0, 31, 57] {
        let found = First::geometry(Config::new(48, output));
        assert!(matches!(found, Err(ConfigError::OutputBits { bits, .. }) if bits == output));
    }
    let all = Options::HARDWARE_DIRTY | Options::MEMORY_TYPES | Options::CONTIGUOUS;
    assert_eq!(First::OPTIONS, all | Options::UPPER_HALF);
    let refused = Options::UPPER_HALF;
    let found = Guest::geometry(Config::new(50, 56).with(refused));
    assert_eq!(found, Err(ConfigError::Options { refused, supported: all }));
}

fn refusal(prot: Prot, guest: bool) -> Option<ProtError> {
    let alone = prot.contains(Prot::WRITE) && !prot.contains(Prot::READ);
    let privileged = guest && prot.contains(Prot::PRIVILEGED);
    let refusal = common_refusal(prot).or(alone.then_some(ProtError::WriteAlone));
    refusal.or(privileged.then_some(ProtError::NoPrivilege))
}

/// V 0, R 1, W 2, X 3, U 4, G 5, A 6, D 7, and PBMT 62:61: 1 is NC, 2 is IO.
fn bits(prot: Prot, types: bool) -> u64 {
    let flag = |flag, bit: u32| u64::from(prot.contains(flag)) << bit;
    let rights = flag(Prot::READ, 1) | flag(Prot::WRITE, 2) | flag(Prot::EXECUTE, 3);
    let user = if prot.contains(Prot::PRIVILEGED) { 0 } else { 0x10 };
    let kind = match (types, prot.contains(Prot::CACHED), prot.contains(Prot::DEVICE)) {
        (true, false, false) => 0x2000_0000_0000_0000,
        (true, false, true) => 0x4000_0000_0000_0000,
        _ => 0,
    };
    0x41 | rights | user | flag(Prot::WRITE, 7) | kind
}

fn leaves_have_their_bits<F: Format<Registers = RiscVRegisters>>(config: Config, guest: bool) {
    for types in [false, true] {
        let config = if types { config.with(Options::MEMORY_TYPES) } else { config };
        let granted = |prot: Prot| {
            if types { prot } else { prot.without(Prot::DEVICE) | Prot::CACHED }
        };
        let leaves = words::Leaves {
            config,
            large: 0,
            place,
            refusal: &|prot| refusal(prot, guest),
            bits: &|prot| bits(prot, types),
            granted: &granted,
        };
        leaves.check::<F>(root, next);
    }
}

#[test]
fn leaves_of_every_size_have_the_bits_of_their_permissions() {
    for input in [39, 48, 57] {
        let config = Config::new(input, 56);
        leaves_have_their_bits::<First>(config, false);
        leaves_have_their_bits::<First>(config.with(Options::UPPER_HALF), false);
        leaves_have_their_bits::<First>(config.with(Options::HARDWARE_DIRTY), false);
        leaves_have_their_bits::<Guest>(Config::new(input + 2, 56), true);
    }
    leaves_have_their_bits::<First>(Config::new(39, 34), false);
}

/// A pointer is V alone: A, D and U are reserved there.
#[test]
fn tables_and_leaves_are_as_computed_by_hand() {
    let memory = machine::memory();
    let mut table = machine::table::<Guest>(Config::new(59, 56), &memory);
    // Indices 0x6aa (of the root of 2048), 0xaa, 0x133, 0x44, 0x111.
    let iova = 0x6aa << 48 | 0xaa << 39 | 0x133 << 30 | 0x44 << 21 | 0x111 << 12;
    map(&mut table, iova, 0xfe_dcba_9876_5000, 0x1000, Prot::RW | Prot::EXECUTE);
    let base = root(registers(&table));
    let found = path(&memory, base, &[0x6aa, 0xaa, 0x133, 0x44, 0x111], next);
    assert_eq!(found[4], 0x003f_b72e_a61d_94df);
    assert!(found[..4].iter().all(|entry| entry & !place(!0 >> 8) == 0x1), "{found:x?}");
    // Leaves side by side count through the field.
    map(&mut table, 0, 0x8000_0000, 0x3000, Prot::READ);
    let page = |index| path(&memory, base, &[0, 0, 0, 0, index], next)[4];
    assert_eq!([page(0), page(1), page(2), page(3)], [0x2000_0053, 0x2000_0453, 0x2000_0853, 0]);
    // What takes the place of a large leaf is as it was.
    map(&mut table, 1 << 30, 0x4000_0000, 1 << 30, Prot::EXECUTE);
    assert_eq!(path(&memory, base, &[0, 0, 1], next)[2], 0x1000_0059);
    let hole = range((1 << 30) + 0x3000, 0x1000);
    let gather = table.unmap(hole, hole).expect("there is memory");
    machine::finish(&table, gather);
    assert_eq!(path(&memory, base, &[0, 0, 1, 0, 2], next)[4], 0x1000_0859);
    assert_eq!(path(&memory, base, &[0, 0, 1, 511], next)[3], 0x1ff8_0059);
}

#[test]
fn pages_of_64k_are_there_if_asked_for_and_not_too_large() {
    let sizes = |config: Config| -> Vec<u64> {
        First::geometry(config).expect("good sizes").leaf_sizes().collect()
    };
    let plain = Config::new(39, 56);
    let napot = plain.with(Options::CONTIGUOUS);
    assert_eq!(sizes(plain), [1 << 30, 2 << 20, 0x1000]);
    assert_eq!(sizes(napot), [1 << 30, 2 << 20, 0x1_0000, 0x1000]);
    assert_eq!(sizes(napot.largest_leaf(0x1_0000)), [0x1_0000, 0x1000]);
    assert_eq!(sizes(napot.largest_leaf(0xffff)), [0x1000]);
}

/// N is bit 63, and `PPN[3:0]`, bits 13:10, are 1000, which is all that is left of the lower bits
/// of the address. The same word stands in sixteen entries.
#[test]
fn a_page_of_64k_is_one_word_in_sixteen_entries() {
    fn words<F: Format<Registers = RiscVRegisters>>(
        memory: &machine::Memory,
        table: &machine::Table<'_, F>,
        pages: core::ops::Range<u64>,
    ) -> Vec<u64> {
        let base = root(registers(table));
        pages.map(|page| path(memory, base, &[0, 0, page], next)[2]).collect()
    }
    let (first, guest) = (Config::new(39, 56), Config::new(41, 56));
    let memory = machine::memory();
    let napot = first.with(Options::CONTIGUOUS).with(Options::MEMORY_TYPES);
    let mut table = machine::table::<First>(napot, &memory);
    // A page before, and two behind.
    map(&mut table, 0xf000, 0x8000_f000, 0x1_3000, Prot::RW | Prot::CACHED);
    assert_eq!(words(&memory, &table, 15..16), [0x2000_3cd7]);
    assert_eq!(words(&memory, &table, 16..32), [0x8000_0000_2000_60d7; 16]);
    assert_eq!(words(&memory, &table, 32..35), [0x2000_80d7, 0x2000_84d7, 0]);
    let own = table.translate(Iova(0x1_8765)).expect("it is mapped");
    assert_eq!((own.phys.0, own.leaf_bytes), (0x8001_8765, 0x1_0000));
    // Uncached memory, to be read by the supervisor.
    map(&mut table, 0x4_0000, 0xff_ffff_ffff_0000, 0x1_0000, Prot::READ | Prot::PRIVILEGED);
    assert_eq!(words(&memory, &table, 64..80), [0xa03f_ffff_ffff_e043; 16]);

    let mut table = machine::table::<Guest>(guest.with(Options::CONTIGUOUS), &memory);
    map(&mut table, 0, 0x1_0000, 0x1_0000, Prot::READ | Prot::EXECUTE);
    assert_eq!(words(&memory, &table, 0..16), [0x8000_0000_0000_605b; 16]);
    // What is left of it is single pages.
    let hole = range(0x3000, 0x1000);
    let gather = table.unmap(hole, hole).expect("no table is missing");
    assert_eq!(gather.stale().leaves, Some(range(0, 0x1_0000)));
    machine::finish(&table, gather);
    let single = |page: u64| if page == 3 { 0 } else { 0x405b + (page << 10) };
    assert_eq!(words(&memory, &table, 0..16), (0..16).map(single).collect::<Vec<_>>());

    // Without Svnapot, and where only one of the spaces is aligned, there are none.
    let mut table = machine::table::<First>(first, &memory);
    map(&mut table, 0, 0, 0x1_0000, Prot::READ);
    let mut odd = machine::table::<First>(napot, &memory);
    map(&mut odd, 0, 0x1000, 0x1_0000, Prot::READ);
    for words in [words(&memory, &table, 0..16), words(&memory, &odd, 0..16)] {
        assert!(words.iter().all(|word| word >> 63 == 0), "{words:x?}");
    }
}

/// Hardware sets D (bit 7) again, in any one of the entries.
#[test]
fn a_page_of_64k_that_was_written_in_one_of_its_entries_was_written() {
    let memory = machine::memory();
    let config = Config::new(39, 40).with(Options::HARDWARE_DIRTY | Options::CONTIGUOUS);
    let mut table = machine::table::<First>(config, &memory);
    let all = range(0, 0x1_0000);
    map(&mut table, 0, 0x1_0000, 0x1_0000, Prot::RW);
    let clean = |table: &mut machine::Table<'_, First>| {
        let mut dirty = Vec::new();
        let gather = table.visit_and_clear_dirty(all, |range| dirty.push(range));
        machine::finish(table, gather.expect("hardware notes writes"));
        dirty
    };
    assert_eq!(clean(&mut table), [all], "what was just mapped counts as written");
    assert_eq!(clean(&mut table), Vec::<IovaRange>::new());
    let tables = path(&memory, root(registers(&table)), &[0, 0, 11], next);
    assert_eq!(tables[2], 0x8000_0000_0000_6057, "D alone is gone");
    let entries = memory.cpu_address(PhysAddr(next(tables[1])));
    // SAFETY: the table is there, and nobody uses it meanwhile.
    unsafe { *entries.as_ptr().add(11) |= 1 << 7 };
    // What is left of it was perhaps written, too.
    let page = range(0x5000, 0x1000);
    let gather = table.clear(page).expect("no table is missing");
    machine::finish(&table, gather);
    let left = (0..16).filter(|&page| page != 5).map(|page| range(page << 12, 0x1000));
    assert_eq!(clean(&mut table), left.collect::<Vec<_>>());
    assert_eq!(clean(&mut table), Vec::<IovaRange>::new());
}

/// Hardware sets D (bit 7) again.
#[test]
fn a_clean_leaf_lacks_the_dirty_bit_alone() {
    let (before, after) = words::cleaned::<First>(Config::new(39, 40), root, next, &[0, 0, 0]);
    assert_eq!((before, after), (0x4d7, 0x457));
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words::words_without_low_bits_are_empty::<First>();
    words::words_without_low_bits_are_empty::<Guest>();
}

/// MODE 63:60: 8, 9 and 10 for three, four and five levels, in either register.
#[test]
fn registers_are_as_computed_by_hand() {
    fn of<F: Format<Registers = RiscVRegisters>>(config: Config) -> RiscVRegisters {
        let geometry = F::geometry(config).expect("good sizes");
        F::registers(&geometry, config.options, PhysAddr(0x8_8000_4000), true)
    }
    for (input, mode) in [(39, 8), (48, 9), (57, 10)] {
        let atp = mode << 60 | 0x88_0004;
        let plain =
            RiscVRegisters { atp, hardware_updates: false, memory_types: false, napot: false };
        let config = Config::new(input, 56);
        assert_eq!(of::<First>(config), plain);
        assert_eq!(of::<First>(config.with(Options::UPPER_HALF)), plain);
        let guest = Config::new(input + 2, 56);
        assert_eq!(of::<Guest>(guest), plain);
        let found = of::<Guest>(guest.with(Options::HARDWARE_DIRTY));
        assert_eq!(found, RiscVRegisters { hardware_updates: true, ..plain });
        let found = of::<First>(config.with(Options::MEMORY_TYPES));
        assert_eq!(found, RiscVRegisters { memory_types: true, ..plain });
        let found = of::<First>(config.with(Options::CONTIGUOUS));
        assert_eq!(found, RiscVRegisters { napot: true, ..plain });
    }
    assert_eq!((First::NAME, Guest::NAME, Guest::GRANULE), ("RISCV_64", "RISCV_64_G", "4K"));
}
