//! VT-d's second stage: geometry, words and registers are the manual's (3.7, 9.3, 9.6, 9.8).

#![cfg(feature = "alloc")]

mod machine;
mod words;

use iopgtable::format::{VtdS2, VtdS2Registers};
use iopgtable::{Config, ConfigError, Format, Options, PhysAddr, Prot, ProtError};
use machine::range;
use words::{common_refusal, map, path, registers};

const THREE: Config = Config::new(39, 39);
const FOUR: Config = Config::new(48, 46);
const FIVE: Config = Config::new(57, 52);

fn root(registers: VtdS2Registers) -> u64 {
    registers.pointer
}

/// Bits 51:12.
fn next(entry: u64) -> u64 {
    entry & 0x000f_ffff_ffff_f000
}

#[test]
fn the_input_size_says_how_many_levels_there_are() {
    for input in 0..=u8::MAX {
        let found = VtdS2::geometry(Config::new(input, 52));
        if !(32..=57).contains(&input) {
            assert_eq!(found, Err(ConfigError::InputBits { bits: input, min: 32, max: 57 }));
            continue;
        }
        let geometry = found.expect("good sizes");
        let levels = match input {
            ..=39 => 3,
            40..=48 => 4,
            _ => 5,
        };
        assert_eq!((geometry.levels(), geometry.root_bytes()), (levels, 0x1000));
        assert_eq!(geometry.whole(), range(0, 1 << input));
        let sizes: Vec<u64> = geometry.leaf_sizes().collect();
        assert_eq!(sizes, [1 << 30, 2 << 20, 4 << 10]);
    }
    for output in [0, 31, 53] {
        let found = VtdS2::geometry(Config::new(48, output));
        assert!(matches!(found, Err(ConfigError::OutputBits { bits, .. }) if bits == output));
    }
    let refused = Options::UPPER_HALF | Options::CONTIGUOUS;
    let supported = Options::HARDWARE_DIRTY | Options::FORCE_SNOOP;
    let found = VtdS2::geometry(FOUR.with(refused | supported));
    assert_eq!(found, Err(ConfigError::Options { refused, supported }));
}

fn refusal(prot: Prot) -> Option<ProtError> {
    let execute = prot.contains(Prot::EXECUTE).then_some(ProtError::NoExecute);
    let privileged = prot.contains(Prot::PRIVILEGED).then_some(ProtError::NoPrivilege);
    common_refusal(prot).or(execute).or(privileged)
}

/// R 0, W 1, A 8, D 9, SNP 11 (tables 40 to 46); PS 7 above the last level.
#[test]
fn leaves_of_every_size_have_the_bits_of_their_permissions() {
    for config in [THREE, FOUR, FIVE] {
        for dirty in [false, true] {
            for snoop in [false, true] {
                let bits = |prot: Prot| {
                    let read = u64::from(prot.contains(Prot::READ));
                    let write = u64::from(prot.contains(Prot::WRITE));
                    let managed = if dirty { 0x100 | write << 9 } else { 0 };
                    let snooped = u64::from(snoop && prot.contains(Prot::CACHED)) << 11;
                    read | write << 1 | managed | snooped
                };
                let granted = |prot: Prot| {
                    let prot = prot.without(Prot::DEVICE);
                    if snoop { prot } else { prot.without(Prot::CACHED) }
                };
                let mut config = config;
                for (on, option) in
                    [(dirty, Options::HARDWARE_DIRTY), (snoop, Options::FORCE_SNOOP)]
                {
                    config = if on { config.with(option) } else { config };
                }
                let (place, refusal) = (|phys| phys, &refusal);
                let (bits, granted) = (&bits, &granted);
                let leaves = words::Leaves { config, large: 0x80, place, refusal, bits, granted };
                leaves.check::<VtdS2>(root, next);
            }
        }
    }
}

#[test]
fn tables_and_leaves_are_as_computed_by_hand() {
    let options = Options::HARDWARE_DIRTY | Options::FORCE_SNOOP;
    for (options, leaf, table_bits) in [(Options::NONE, 0x3, 0x3), (options, 0xb03, 0x103)] {
        let memory = machine::memory();
        let mut table = machine::table::<VtdS2>(FIVE.with(options), &memory);
        // Indices 0x155, 0xaa, 0x133, 0x44, 0x111 from the root on.
        let iova = 0x155 << 48 | 0xaa << 39 | 0x133 << 30 | 0x44 << 21 | 0x111 << 12;
        map(&mut table, iova, 0xf_edcb_a987_6000, 0x1000, Prot::RW | Prot::CACHED);
        let root = registers(&table).pointer;
        let found = path(&memory, root, &[0x155, 0xaa, 0x133, 0x44, 0x111], next);
        assert_eq!(found[4], 0xf_edcb_a987_6000 | leaf);
        assert!(found[..4].iter().all(|entry| entry & !next(!0) == table_bits), "{found:x?}");
        // What takes the place of a large leaf is as it was, without PS.
        map(&mut table, 0, 0x4000_0000, 1 << 30, Prot::WRITE);
        let large = path(&memory, root, &[0, 0, 0], next)[2];
        let write = if options.is_empty() { 0x2 } else { 0x302 };
        assert_eq!(large, 0x4000_0080 | write);
        let page = range(0x3000, 0x1000);
        let gather = table.unmap(page, page).expect("there is memory");
        machine::finish(&table, gather);
        assert_eq!(path(&memory, root, &[0, 0, 0, 0, 2], next)[4], 0x4000_2000 | write);
        assert_eq!(path(&memory, root, &[0, 0, 0, 511], next)[3], 0x7fe0_0080 | write);
    }
}

/// Hardware sets D (bit 9) again.
#[test]
fn a_clean_leaf_lacks_the_dirty_bit_alone() {
    let (before, after) = words::cleaned::<VtdS2>(THREE, root, next, &[0, 0, 0]);
    assert_eq!((before, after), (0x1303, 0x1103));
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words::words_without_low_bits_are_empty::<VtdS2>();
}

/// PASID table entry: P 0, AW 4:2, PGTT 8:6 (0b010), SSADE 9, SSPTPTR 63:12, PWSNP 87. Context
/// entry: P 0, TT 3:2 (0b00), SSPTPTR 63:12, AW 66:64.
#[test]
fn registers_are_as_computed_by_hand() {
    let of = |config: Config, coherent| {
        let geometry = VtdS2::geometry(config).expect("good sizes");
        VtdS2::registers(&geometry, config.options, PhysAddr(0x8_8000_0000), coherent)
    };
    for (config, address_width, low) in
        [(THREE, 1, 0x8_8000_0085), (FOUR, 2, 0x8_8000_0089), (FIVE, 3, 0x8_8000_008d)]
    {
        let expected = VtdS2Registers {
            pointer: 0x8_8000_0000,
            address_width,
            pasid_entry: [low, 0x80_0000],
            context_entry: [0x8_8000_0001, address_width.into()],
        };
        assert_eq!(of(config.with(Options::FORCE_SNOOP), true), expected);
        assert_eq!(of(config, false), VtdS2Registers { pasid_entry: [low, 0], ..expected });
        let dirty = of(config.with(Options::HARDWARE_DIRTY), true);
        assert_eq!(dirty, VtdS2Registers { pasid_entry: [low | 0x200, 0x80_0000], ..expected });
    }
    assert_eq!((VtdS2::NAME, VtdS2::GRANULE), ("VTDSS", "4K"));
}
