//! x86-64: geometry, words and registers are the manuals' (Intel SDM 3A, 4.5; AMD APM 2, 5.3).

#![cfg(feature = "alloc")]

mod machine;
mod words;

use iopgtable::format::{X86_64, X86_64Registers};
use iopgtable::{Config, ConfigError, Format, Options, PhysAddr, Prot, ProtError};
use machine::range;
use words::{common_refusal, map, path, registers};

const FOUR: Config = Config::new(48, 52);
const FIVE: Config = Config::new(57, 52);

fn root(registers: X86_64Registers) -> u64 {
    registers.cr3
}

/// Bits 51:12.
fn next(entry: u64) -> u64 {
    entry & 0x000f_ffff_ffff_f000
}

#[test]
fn the_input_size_counts_the_sign_and_says_how_many_levels_there_are() {
    for input in 0..=u8::MAX {
        for output in 0..70 {
            let config = Config::new(input, output);
            let found = X86_64::geometry(config);
            if !(32..=52).contains(&output) {
                let supported = match found {
                    Err(ConfigError::OutputBits { bits, supported }) if bits == output => supported,
                    other => panic!("{other:?}"),
                };
                assert_eq!(supported, (32..=52).collect::<Vec<u8>>());
                continue;
            }
            if !(32..=57).contains(&input) {
                assert_eq!(found, Err(ConfigError::InputBits { bits: input, min: 32, max: 57 }));
                continue;
            }
            let lower = found.expect("good sizes");
            let upper = X86_64::geometry(config.with(Options::UPPER_HALF)).expect("good sizes");
            let half = 1u64 << (input - 1);
            assert_eq!(lower.whole(), range(0, half));
            assert_eq!(upper.whole(), range(half.wrapping_neg(), half));
            for geometry in [lower, upper] {
                assert_eq!(geometry.levels(), if input > 48 { 5 } else { 4 });
                assert_eq!((geometry.root_bytes(), geometry.granule()), (0x1000, 0x1000));
                assert_eq!(geometry.entries(geometry.first_level()), 512);
                let sizes: Vec<u64> = geometry.leaf_sizes().collect();
                assert_eq!(sizes, [1 << 30, 2 << 20, 4 << 10]);
                assert_eq!(geometry.last_phys(), PhysAddr((1 << output) - 1));
            }
        }
    }
    let whole = |config: Config| X86_64::geometry(config).expect("good sizes").whole();
    assert_eq!(whole(FOUR).last().0, 0x7fff_ffff_ffff);
    assert_eq!(whole(FOUR.with(Options::UPPER_HALF)).first().0, 0xffff_8000_0000_0000);
    assert_eq!(whole(FIVE.with(Options::UPPER_HALF)).first().0, 0xff00_0000_0000_0000);
}

#[test]
fn other_options_are_refused() {
    let refused = Options::NON_SECURE | Options::CONTIGUOUS | Options::NO_PERMISSIONS;
    let supported = Options::UPPER_HALF | Options::HARDWARE_DIRTY;
    let found = X86_64::geometry(FOUR.with(refused | supported));
    assert_eq!(found, Err(ConfigError::Options { refused, supported }));
    assert!(X86_64::geometry(FOUR.with(supported)).is_ok());
}

/// P 0, R/W 1, U/S 2, PWT 3, PCD 4, A 5, D 6, XD 63 (tables 4-15 to 4-20), and PS 7 above the last
/// level. PAT index 0 is write-back, 2 (PCD) UC-, 3 (PCD and PWT) uncached.
fn bits(prot: Prot) -> u64 {
    let mut bits = 0x21;
    if prot.contains(Prot::WRITE) {
        bits |= 0x42;
    }
    if !prot.contains(Prot::PRIVILEGED) {
        bits |= 0x4;
    }
    if !prot.contains(Prot::EXECUTE) {
        bits |= 0x8000_0000_0000_0000;
    }
    if prot.contains(Prot::DEVICE) {
        bits |= 0x18;
    } else if !prot.contains(Prot::CACHED) {
        bits |= 0x10;
    }
    bits
}

fn refusal(prot: Prot) -> Option<ProtError> {
    let read = prot.contains(Prot::READ);
    common_refusal(prot).or((!read).then_some(ProtError::ReadImplied))
}

#[test]
fn leaves_of_every_size_have_the_bits_of_their_permissions() {
    for config in [FOUR, FIVE, Config::new(40, 40)] {
        for options in [Options::NONE, Options::UPPER_HALF, Options::HARDWARE_DIRTY] {
            let config = config.with(options);
            let (refusal, bits, granted) = (&refusal, &bits, &|prot| prot);
            let leaves =
                words::Leaves { config, large: 0x80, place: |phys| phys, refusal, bits, granted };
            leaves.check::<X86_64>(root, next);
        }
    }
}

/// A table entry: present, writable, user, accessed; all that the levels allow together counts.
#[test]
fn tables_and_leaves_are_as_computed_by_hand() {
    let memory = machine::memory();
    let mut table = machine::table::<X86_64>(FIVE, &memory);
    // Indices 0x55, 0xaa, 0x133, 0x44, 0x111 from the root on.
    let iova = 0x55 << 48 | 0xaa << 39 | 0x133 << 30 | 0x44 << 21 | 0x111 << 12;
    map(&mut table, iova, 0xf_edcb_a987_6000, 0x1000, Prot::RW | Prot::CACHED);
    let cr3 = registers(&table).cr3;
    let found = path(&memory, cr3, &[0x55, 0xaa, 0x133, 0x44, 0x111], next);
    assert_eq!(found[4], 0x800f_edcb_a987_6067);
    assert!(found[..4].iter().all(|entry| entry & !next(!0) == 0x27), "{found:x?}");
    // Code of the privileged, and registers of a device.
    map(&mut table, 0, 0x4000_0000, 1 << 30, Prot::READ | Prot::EXECUTE | Prot::PRIVILEGED);
    map(&mut table, 1 << 30, 0x20_0000, 2 << 20, Prot::RW | Prot::DEVICE);
    assert_eq!(path(&memory, cr3, &[0, 0, 0], next)[2], 0x4000_00b1);
    assert_eq!(path(&memory, cr3, &[0, 0, 1, 0], next)[3], 0x8000_0000_0020_00ff);
    // What takes the place of a large leaf is as it was, without PS.
    let page = range(0x3000, 0x1000);
    let gather = table.unmap(page, page).expect("there is memory");
    machine::finish(&table, gather);
    assert_eq!(path(&memory, cr3, &[0, 0, 0, 0, 2], next)[4], 0x4000_2031);
    assert_eq!(path(&memory, cr3, &[0, 0, 0, 0, 3], next)[4], 0);
    assert_eq!(path(&memory, cr3, &[0, 0, 0, 511], next)[3], 0x7fe0_00b1);
}

/// The root's entries span more than such a half, below it and above it.
#[test]
fn a_narrow_half_gives_all_its_tables_back() {
    for options in [Options::NONE, Options::UPPER_HALF] {
        for input in [32, 40, 49] {
            let memory = machine::memory();
            let mut table = machine::table::<X86_64>(Config::new(input, 40).with(options), &memory);
            let whole = machine::whole(&table);
            map(&mut table, whole.first().0, 0x1000, 0x1000, Prot::RW);
            map(&mut table, whole.last().0 - 0xfff, 0x1000, 0x1000, Prot::RW);
            assert!(table.count_tables().total() > 3);
            words::empty(&mut table);
            assert_eq!(table.count_tables().total(), 0, "{input} bits, {options:?}");
        }
    }
}

/// Hardware sets D (bit 6) again.
#[test]
fn a_clean_leaf_lacks_the_dirty_bit_alone() {
    let (before, after) = words::cleaned::<X86_64>(FOUR, root, next, &[0, 0, 0, 0]);
    assert_eq!((before, after), (0x8000_0000_0000_1077, 0x8000_0000_0000_1037));
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words::words_without_low_bits_are_empty::<X86_64>();
}

/// CR4: PAE 5, LA57 12. EFER: LME 8, NXE 11. PAT at reset: 6 (WB), 4 (WT), 7 (UC-), 0 (UC), twice.
#[test]
fn registers_are_as_computed_by_hand() {
    let of = |config: Config| {
        let geometry = X86_64::geometry(config).expect("good sizes");
        X86_64::registers(&geometry, config.options, PhysAddr(0x8_8000_0000), true)
    };
    let (efer, pat) = (0x900, 0x0007_0406_0007_0406);
    let four = X86_64Registers { cr3: 0x8_8000_0000, levels: 4, cr4: 0x20, efer, pat };
    let five = X86_64Registers { levels: 5, cr4: 0x1020, ..four };
    for options in [Options::NONE, Options::UPPER_HALF | Options::HARDWARE_DIRTY] {
        assert_eq!((of(FOUR.with(options)), of(FIVE.with(options))), (four, five));
    }
    assert_eq!((X86_64::NAME, X86_64::GRANULE), ("AMD_IOMMU_V2", "4K"));
}
