//! AMD's host page tables: geometry, words and registers are the manual's (AMD 48882, 2.2.2.1 and
//! 2.2.3).

#![cfg(feature = "alloc")]

mod machine;
mod words;

use iopgtable::format::{AmdV1, AmdV1Registers};
use iopgtable::{
    Config, ConfigError, Format, Iova, IovaRange, Options, PhysAddr, Prot, ProtError, Segment,
    SegmentSlice, TableError, TableMemory,
};
use machine::{finish, range};
use words::{common_refusal, map, path, registers};

const FOUR: Config = Config::new(48, 52);
const SIX: Config = Config::new(64, 52);

/// Bits 51:12.
fn next(entry: u64) -> u64 {
    entry & 0x000f_ffff_ffff_f000
}

fn root(registers: AmdV1Registers) -> u64 {
    next(registers.dte)
}

#[test]
fn nine_bits_a_level_up_to_the_whole_of_64() {
    for input in 0..=u8::MAX {
        for output in [31, 32, 48, 52, 53] {
            let found = AmdV1::geometry(Config::new(input, output));
            if !(32..=52).contains(&output) {
                assert!(matches!(found, Err(ConfigError::OutputBits { .. })), "{found:?}");
                continue;
            }
            if !(21..=64).contains(&input) {
                assert_eq!(found, Err(ConfigError::InputBits { bits: input, min: 21, max: 64 }));
                continue;
            }
            let geometry = found.expect("good sizes");
            let levels = (input - 12).div_ceil(9);
            assert_eq!(geometry.levels(), levels, "{input} bits");
            let root_bits = input - 12 - 9 * (levels - 1);
            assert_eq!(geometry.entries(geometry.first_level()), 1 << root_bits);
            assert_eq!((geometry.root_bytes(), geometry.table_bytes()), (0x1000, 0x1000));
            assert_eq!(geometry.first_iova(), Iova(0));
            assert_eq!(geometry.last_iova(), Iova(u64::MAX >> (64 - input)));
            assert!(geometry.translates(geometry.last_iova()));
            assert_eq!(geometry.translates(Iova(u64::MAX)), input == 64);
            // Every power of two, but for those that do not fit and for 512 GiB and more.
            let largest = match input {
                21 => 20,
                22..=30 => u64::from(input).min(29),
                31..=39 => u64::from(input).min(38),
                _ => 38,
            };
            let sizes: Vec<u64> = (12..=largest).rev().map(|log2| 1 << log2).collect();
            assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), sizes, "{input} bits");
        }
    }
    let limited = AmdV1::geometry(FOUR.largest_leaf(0x1_8000)).expect("good sizes");
    assert_eq!(
        limited.leaf_sizes().collect::<Vec<_>>(),
        [0x1_0000, 0x8000, 0x4000, 0x2000, 0x1000]
    );
}

#[test]
fn other_options_are_refused() {
    let refused = Options::UPPER_HALF | Options::CONTIGUOUS;
    let supported = Options::HARDWARE_DIRTY;
    let found = AmdV1::geometry(FOUR.with(refused | supported));
    assert_eq!(found, Err(ConfigError::Options { refused, supported }));
}

/// PR 0, FC 60, IR 61, IW 62; with host dirty bits A 5 and D 6.
fn bits(prot: Prot) -> u64 {
    let mut bits = 1;
    for (right, bit) in [(Prot::CACHED, 60), (Prot::READ, 61), (Prot::WRITE, 62)] {
        bits |= u64::from(prot.contains(right)) << bit;
    }
    bits
}

fn managed(prot: Prot) -> u64 {
    bits(prot) | 0x20 | if prot.contains(Prot::WRITE) { 0x40 } else { 0 }
}

fn refusal(prot: Prot) -> Option<ProtError> {
    let own = if prot.contains(Prot::PRIVILEGED) {
        Some(ProtError::NoPrivilege)
    } else {
        let fetch = prot.contains(Prot::EXECUTE) && !prot.contains(Prot::READ);
        fetch.then_some(ProtError::ReadImplied)
    };
    common_refusal(prot).or(own)
}

fn granted(prot: Prot) -> Prot {
    let execute = if prot.contains(Prot::READ) { Prot::EXECUTE } else { Prot::NONE };
    prot.without(Prot::EXECUTE | Prot::DEVICE) | execute
}

#[test]
fn leaves_of_every_size_have_the_bits_of_their_permissions() {
    let (refusal, granted) = (&refusal, &granted);
    for config in [FOUR, SIX, Config::new(40, 40), Config::new(57, 48)] {
        let place = |phys| phys;
        let plain = words::Leaves { config, large: 0, place, refusal, bits: &bits, granted };
        plain.check::<AmdV1>(root, next);
        let config = config.with(Options::HARDWARE_DIRTY);
        words::Leaves { config, bits: &managed, ..plain }.check::<AmdV1>(root, next);
    }
}

/// `NextLevel` (bits 11:9) counts down to 1, the level of tables of pages.
#[test]
fn tables_and_leaves_are_as_computed_by_hand() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(SIX, &memory);
    // Indices 0x7f, 0x55, 0xaa, 0x133, 0x44, 0x111 from the root on.
    let iova = 0x7f << 57 | 0x55 << 48 | 0xaa << 39 | 0x133 << 30 | 0x44 << 21 | 0x111 << 12;
    map(&mut table, iova, 0xf_edcb_a987_6000, 0x1000, Prot::RW | Prot::CACHED);
    let root = root(registers(&table));
    let found = path(&memory, root, &[0x7f, 0x55, 0xaa, 0x133, 0x44, 0x111], next);
    assert_eq!(found[5], 0x700f_edcb_a987_6001);
    let links: Vec<u64> = found[..5].iter().map(|entry| entry & !next(!0)).collect();
    let expected = [5u64, 4, 3, 2, 1].map(|level| 0x6000_0000_0000_0001 | level << 9);
    assert_eq!(links, expected);
}

/// The words of the entries from `first` on of the table of pages at address 0.
fn pages(memory: &machine::Memory, root: u64, count: u64) -> Vec<u64> {
    (0..count).map(|page| path(memory, root, &[0, 0, 0, page], next)[3]).collect()
}

/// A page of 2^n bytes: `NextLevel` 7, and ones from bit 12 to n - 2 of the address.
#[test]
fn a_page_of_several_entries_is_one_word_in_all_of_them() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(FOUR, &memory);
    let root = root(registers(&table));
    for (bytes, phys, word) in [
        (0x2000, 0x2000, 0x6000_0000_0000_2e01u64),
        (0x4000, 0x4000, 0x6000_0000_0000_5e01),
        (0x1_0000, 0x1_0000, 0x6000_0000_0001_7e01),
        (0x10_0000, 0x8_0010_0000, 0x6000_0008_0017_fe01),
    ] {
        map(&mut table, 0, phys, bytes, Prot::RW);
        let found = pages(&memory, root, bytes / 0x1000 + 1);
        let (entries, after) = found.split_at(found.len() - 1);
        assert!(entries.iter().all(|&entry| entry == word), "{bytes:#x}: {entries:x?}");
        assert_eq!(after, [0]);
        for at in [0, bytes / 2 + 8, bytes - 1] {
            let found = table.translate(Iova(at)).expect("it is mapped");
            assert_eq!((found.phys.0, found.leaf_bytes), (phys + at, bytes));
        }
        words::empty(&mut table);
    }
    // One level up, in units of 2 MiB, and two.
    map(&mut table, 4 << 20, 8 << 20, 4 << 20, Prot::READ);
    for entry in 2..4 {
        assert_eq!(path(&memory, root, &[0, 0, entry], next)[2], 0x2000_0000_009f_fe01);
    }
    map(&mut table, 4 << 30, 4 << 30, 4 << 30, Prot::WRITE);
    for entry in 4..8 {
        assert_eq!(path(&memory, root, &[0, entry], next)[1], 0x4000_0001_7fff_fe01);
    }
}

#[test]
fn a_cut_page_becomes_the_largest_that_fit_on_both_sides() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(FOUR, &memory);
    let root = root(registers(&table));
    map(&mut table, 0, 0x10_0000, 0x1_0000, Prot::RW);
    let page = range(0x3000, 0x1000);
    let gather = table.unmap(page, page).expect("no table is missing");
    assert_eq!(gather.stale().leaves, Some(range(0, 0x1_0000)), "the whole page");
    assert_eq!(gather.break_before_make().range, Some(range(0, 0x1_0000)));
    finish(&table, gather);
    let (read_write, sized) = (0x6000_0000_0000_0001u64, 0xe00);
    let mut expected = vec![read_write | sized | 0x10_0000; 2];
    expected.extend([read_write | 0x10_2000, 0]);
    expected.extend([read_write | sized | 0x10_5000; 4]);
    expected.extend([read_write | sized | 0x10_b000; 8]);
    assert_eq!(pages(&memory, root, 16), expected.as_slice());
}

/// Segments are mapped as they are: two halves of a page in two segments are two pages.
#[test]
fn no_page_reaches_beyond_its_segment() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(FOUR, &memory);
    let halves = [Segment::new(PhysAddr(0), 0x2000), Segment::new(PhysAddr(0x2000), 0x2000)];
    let mapped = table.map(range(0, 0x4000), SegmentSlice(&halves), Prot::RW);
    finish(&table, mapped.expect("nothing is there"));
    let sizes: Vec<u64> =
        [0, 0x2000].map(|at| table.translate(Iova(at)).expect("it is mapped").leaf_bytes).into();
    assert_eq!(sizes, [0x2000, 0x2000]);
}

/// Hardware notes a write in any of the entries of a page.
#[test]
fn a_page_is_dirty_where_any_of_its_entries_says_so_and_stays_so_when_it_is_cut() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(FOUR.with(Options::HARDWARE_DIRTY), &memory);
    let root = root(registers(&table));
    let all = range(0, 0x1_0000);
    map(&mut table, 0, 0x1_0000, 0x1_0000, Prot::RW);
    let clean = |table: &mut machine::Table<'_, AmdV1>| {
        let mut dirty = Vec::new();
        let gather = table.visit_and_clear_dirty(all, |range| dirty.push(range));
        finish(table, gather.expect("hardware notes writes"));
        dirty
    };
    assert_eq!(clean(&mut table), [all], "what was just mapped counts as written");
    assert_eq!(clean(&mut table), Vec::<IovaRange>::new());
    let set_dirty = |entry: u64| {
        let tables = path(&memory, root, &[0, 0, 0], next);
        let at = PhysAddr(next(tables[2]));
        let entries = memory.cpu_address(at);
        // SAFETY: the table is there, and nobody uses it meanwhile.
        unsafe { *entries.as_ptr().add(usize::try_from(entry).expect("a few")) |= 0x40 };
    };
    set_dirty(11);
    let mut dirty = Vec::new();
    table.visit_dirty(all, |range| dirty.push(range)).expect("hardware notes writes");
    assert_eq!(dirty, [all]);
    // What is left of it was perhaps written, too.
    let page = range(0xb000, 0x1000);
    let gather = table.clear(page).expect("no table is missing");
    finish(&table, gather);
    let left = [(0, 0x8000), (0x8000, 0x2000), (0xa000, 0x1000), (0xc000, 0x4000)];
    assert_eq!(clean(&mut table), left.map(|(first, bytes)| range(first, bytes)));
    assert_eq!(clean(&mut table), Vec::<IovaRange>::new());
}

#[test]
fn a_clean_leaf_lacks_the_dirty_bit_alone() {
    let (before, after) = words::cleaned::<AmdV1>(FOUR, root, next, &[0, 0, 0, 0]);
    assert_eq!((before, after), (0x6000_0000_0000_1061, 0x6000_0000_0000_1021));
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words::words_without_low_bits_are_empty::<AmdV1>();
}

/// The last page of 64 bits, and everything at once.
#[test]
fn all_of_64_bits_can_be_mapped_and_unmapped() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(SIX, &memory);
    let whole = machine::whole(&table);
    assert_eq!((whole.first().0, whole.last().0), (0, u64::MAX));
    for at in [0, 1 << 63, u64::MAX - 0xfff] {
        map(&mut table, at, 0x1000, 0x1000, Prot::RW);
        assert_eq!(table.translate(Iova(at + 8)).expect("it is mapped").phys.0, 0x1008);
    }
    let top = range(u64::MAX - 0xf_ffff, 0x10_0000);
    let gather = table.protect(top, Prot::READ).expect("no table is missing");
    finish(&table, gather);
    assert_eq!(table.count_tables().total(), 15);
    assert_eq!(table.occupied(range(0, 0x2000), 3), 0x1000);
    assert_eq!(table.occupied(whole, -2), 1 << 57);
    let gather = table.clear(whole).expect("nothing is cut");
    finish(&table, gather);
    let gather = table.unmap(whole, whole).expect("nothing is cut");
    assert_eq!(finish(&table, gather), 15);
    assert_eq!(table.count_tables().total(), 0);
}

/// Mode 1: the root holds the pages, and lives as long as its page table.
#[test]
fn a_root_of_pages_is_the_only_table() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(Config::new(21, 52), &memory);
    let whole = machine::whole(&table);
    assert_eq!(whole, range(0, 2 << 20));
    let base = root(registers(&table));
    let entries = |pages: [u64; 3]| pages.map(|page| path(&memory, base, &[page], next)[0]);
    // Of a page, of eight, and of as many as one page can have.
    map(&mut table, 0x1f_f000, 0x1000, 0x1000, Prot::READ);
    map(&mut table, 0x8000, 0x8000, 0x8000, Prot::READ | Prot::WRITE);
    map(&mut table, 0x10_0000, 0x70_0000, 0x8_0000, Prot::WRITE);
    let found = entries([511, 15, 256]);
    assert_eq!(found, [0x2000_0000_0000_1001, 0x6000_0000_0000_be01, 0x4000_0000_0073_fe01]);
    let segment = Segment::new(PhysAddr(0x10_0000), 0x10_0000);
    let exact = table.exact_tables(range(0, 0x10_0000), [segment], Prot::READ);
    let overlap = TableError::Overlap { iova: Iova(0x8000), leaf: 0x8000 };
    assert_eq!(exact, Err(overlap));
    for iova in [0x20_0000, 0x20_8000, 1 << 40] {
        assert_eq!(table.translate(Iova(iova)), None, "beyond the root");
    }
    let mut cursor = table.cursor();
    let beyond = TableError::InputRange { range: range(0x20_0000, 0x1000), whole };
    assert_eq!(cursor.map_page(Iova(0x20_0000), PhysAddr(0), Prot::READ), Err(beyond));
    assert_eq!(cursor.unmap_page(Iova(0x20_0000)), Err(beyond));
    cursor.map_page(Iova(0), PhysAddr(0x5000), Prot::READ).expect("nothing is there");
    cursor.unmap_page(Iova(0x9000)).expect("what it is part of is cut");
    let gather = cursor.finish();
    assert_eq!(gather.stale().leaves, Some(range(0x8000, 0x8000)));
    finish(&table, gather);
    assert_eq!(entries([0, 8, 9]), [0x2000_0000_0000_5001, 0x6000_0000_0000_8001, 0]);
    let attributes = table.attributes(Prot::READ).expect("it can be expressed");
    assert_eq!(table.map_leaves(Iova(0x1000), PhysAddr(0x1000), 3, 3, attributes), Ok(true));
    assert_eq!(table.map_leaves(Iova(0), PhysAddr(0), 2, 1, attributes), Ok(false));
    let (pages, gather) = table.unmap_leaves(Iova(0), 3, 8).expect("no table is among them");
    assert_eq!(pages, 4);
    finish(&table, gather);
    let mut shown = Vec::new();
    table.visit(whole, |seen| shown.push(seen));
    let leaves = [0xa000, 0xc000, 0x8000, 0x10_0000, 0x1f_f000];
    assert_eq!(shown.len(), leaves.len(), "and no table: {shown:?}");
    assert_eq!(table.count_tables().total(), 0);
    let gather = table.unmap(whole, whole).expect("nothing is cut");
    assert_eq!((finish(&table, gather), memory.live()), (0, 1), "the root stays");
}

/// V 0, TV 1, HAD 8:7, Mode 11:9, the root 51:12, IR 61, IW 62.
#[test]
fn registers_are_as_computed_by_hand() {
    let of = |config: Config, coherent| {
        let geometry = AmdV1::geometry(config).expect("good sizes");
        AmdV1::registers(&geometry, config.options, PhysAddr(0x8_8000_0000), coherent)
    };
    let dte = 0x6000_0008_8000_0003u64;
    for (input, mode) in [(21, 1), (22, 2), (30, 2), (31, 3), (48, 4), (57, 5), (64, 6)] {
        let config = Config::new(input, 48);
        let dte = dte | mode << 9;
        assert_eq!(of(config, true), AmdV1Registers { dte, coherent: true });
        let managed = of(config.with(Options::HARDWARE_DIRTY), false);
        assert_eq!(managed, AmdV1Registers { dte: dte | 0x180, coherent: false });
    }
    assert_eq!((AmdV1::NAME, AmdV1::GRANULE), ("AMD_IOMMU_V1", "4K"));
}
