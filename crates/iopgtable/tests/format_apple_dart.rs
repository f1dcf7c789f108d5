//! Apple's DART: geometry, words and registers are those that Linux and the Asahi project know.

#![cfg(feature = "alloc")]

mod machine;
mod words;

use iopgtable::format::{Dart, DartRegisters, T6000, T8020};
use iopgtable::{Config, ConfigError, Format, Options, PhysAddr, Prot, ProtError};
use machine::range;
use words::{common_refusal, map, path, registers};

type Dart1 = Dart<T8020>;
type Dart2 = Dart<T6000>;

/// Where the first root lies; the others follow.
fn root(registers: DartRegisters) -> u64 {
    u64::from(registers.ttbr[0] & 0x7fff_ffff) << 12
}

/// Bits 35:14 in place.
fn next_1(entry: u64) -> u64 {
    entry & 0xf_ffff_c000
}

/// Bits 41:14 in bits 37:10.
fn next_2(entry: u64) -> u64 {
    (entry & 0x3f_ffff_fc00) << 4
}

#[test]
fn up_to_four_roots_translate_38_bits() {
    fn check<F: Format>(most: u8) {
        for input in 0..=u8::MAX {
            let found = F::geometry(Config::new(input, most));
            if !(32..=38).contains(&input) {
                assert_eq!(found, Err(ConfigError::InputBits { bits: input, min: 32, max: 38 }));
                continue;
            }
            let geometry = found.expect("good sizes");
            assert_eq!((geometry.first_level(), geometry.levels()), (2, 2));
            assert_eq!(geometry.root_bytes(), 0x4000 << input.saturating_sub(36));
            assert_eq!(geometry.whole(), range(0, 1 << input));
            assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), [16 << 10]);
        }
        for output in [0, 31, most + 1] {
            let found = F::geometry(Config::new(32, output));
            assert!(matches!(found, Err(ConfigError::OutputBits { bits, .. }) if bits == output));
        }
        let refused = Options::HARDWARE_DIRTY;
        let found = F::geometry(Config::new(32, most).with(refused));
        assert_eq!(found, Err(ConfigError::Options { refused, supported: Options::NONE }));
    }
    check::<Dart1>(36);
    check::<Dart2>(42);
}

fn refusal(prot: Prot) -> Option<ProtError> {
    let execute = prot.contains(Prot::EXECUTE).then_some(ProtError::NoExecute);
    let privileged = prot.contains(Prot::PRIVILEGED).then_some(ProtError::NoPrivilege);
    common_refusal(prot).or(execute).or(privileged)
}

/// Valid 0, the end of what is allowed 51:40. T8020: no part 1, no writing 7, no reading 8. T6000:
/// no caching 1, no writing 2, no reading 3.
#[test]
fn leaves_have_the_bits_of_their_permissions() {
    let lacks = |prot: Prot, flag| u64::from(!prot.contains(flag));
    for input in [32, 36, 37, 38] {
        let leaves = words::Leaves {
            config: Config::new(input, 36),
            large: 0,
            place: |phys| phys,
            refusal: &refusal,
            bits: &|prot| {
                0x000f_ff00_0000_0003 | lacks(prot, Prot::WRITE) << 7 | lacks(prot, Prot::READ) << 8
            },
            granted: &|prot: Prot| prot.without(Prot::DEVICE) | Prot::CACHED,
        };
        leaves.check::<Dart1>(root, next_1);
        let leaves = words::Leaves {
            config: Config::new(input, 42),
            place: |phys| phys >> 4,
            bits: &|prot| {
                0x000f_ff00_0000_0001
                    | lacks(prot, Prot::CACHED) << 1
                    | lacks(prot, Prot::WRITE) << 2
                    | lacks(prot, Prot::READ) << 3
            },
            granted: &|prot: Prot| prot.without(Prot::DEVICE),
            ..leaves
        };
        leaves.check::<Dart2>(root, next_2);
    }
}

#[test]
fn tables_and_leaves_are_as_computed_by_hand() {
    let memory = machine::memory();
    let mut table = machine::table::<Dart2>(Config::new(38, 42), &memory);
    // The third root's entry 0x123, and of its table 0x456.
    let iova = 2 << 36 | 0x123 << 25 | 0x456 << 14;
    map(&mut table, iova, 0x312_3456_4000, 2 << 14, Prot::RW | Prot::CACHED);
    let first = root(registers(&table));
    let found = path(&memory, first, &[2 << 11 | 0x123, 0x456], next_2);
    assert_eq!(found[1], 0x000f_ff31_2345_6401);
    assert_eq!(found[0] & !0x3f_ffff_fc00, 1, "a table has nothing but its address");
    let after = path(&memory, first, &[2 << 11 | 0x123, 0x457], next_2)[1];
    assert_eq!(after, 0x000f_ff31_2345_6801, "leaves count through the field");
}

/// TTBR: valid 31, the page number in units of 4 KiB from 0 on.
#[test]
fn registers_are_as_computed_by_hand() {
    let of = |input| {
        let geometry = Dart2::geometry(Config::new(input, 42)).expect("good sizes");
        Dart2::registers(&geometry, Options::NONE, PhysAddr(0x3f8_8001_0000), true)
    };
    let one = [0xbf88_0010, 0, 0, 0];
    assert_eq!((of(32).ttbr, of(36).ttbr), (one, one));
    assert_eq!(of(37).ttbr, [0xbf88_0010, 0xbf88_0014, 0, 0]);
    assert_eq!(of(38).ttbr, [0xbf88_0010, 0xbf88_0014, 0xbf88_0018, 0xbf88_001c]);
    let roots: Vec<u64> = of(37).roots().map(|root| root.0).collect();
    assert_eq!(roots, [0x3f8_8001_0000, 0x3f8_8001_4000]);
    assert_eq!((Dart1::NAME, Dart2::NAME), ("APPLE_DART", "APPLE_DART2"));
    assert_eq!((Dart1::GRANULE, Dart2::GRANULE), ("16K", "16K"));
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words::words_without_low_bits_are_empty::<Dart1>();
    words::words_without_low_bits_are_empty::<Dart2>();
}
