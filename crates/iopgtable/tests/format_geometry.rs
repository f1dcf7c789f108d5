//! Levels, root sizes and leaf sizes are the architecture's, for every granule and every input and
//! output size; and the soft MMU starts its walks there.

#![cfg(feature = "alloc")]

mod machine;

use std::ops::RangeInclusive;

use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, ConfigError, Format, Geometry, Granule4K, Granule16K,
    Granule64K, Iova, PhysAddr, Prot, Segment,
};
use machine::{Walked, finish, range};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

const OUTPUTS: [u8; 6] = [32, 36, 40, 42, 44, 48];
const OUTPUTS_52: [u8; 7] = [32, 36, 40, 42, 44, 48, 52];
const PAGES: [u64; 3] = [12, 14, 16];

/// At which level a walk of so many input bits starts, by log2 of the granule: the deepest whose
/// one table covers them (Arm DDI 0487, D8.2.8 to D8.2.10).
const STARTS: [(u64, i8, RangeInclusive<u8>); 7] = [
    (12, 0, 40..=48),
    (12, 1, 32..=39),
    (14, 0, 48..=48),
    (14, 1, 37..=47),
    (14, 2, 32..=36),
    (16, 1, 43..=48),
    (16, 2, 32..=42),
];

/// Where stage 2 may not start below so many bits of physical address (`AArch64.S2InvalidSL`; a
/// start at level 0 with 16 KiB takes `FEAT_LPA2`).
const NOT_BELOW: [(u64, i8, u8); 4] = [(12, 0, 44), (14, 0, u8::MAX), (14, 1, 42), (16, 1, 44)];

fn start(page_bits: u64, input: u8) -> i8 {
    let found =
        STARTS.iter().find(|(bits, _, inputs)| *bits == page_bits && inputs.contains(&input));
    found.expect("every size starts somewhere").1
}

fn start_2(page_bits: u64, input: u8, output: u8) -> i8 {
    let level = start(page_bits, input);
    let bar = NOT_BELOW.iter().find(|(bits, at, _)| (*bits, *at) == (page_bits, level));
    // Concatenated tables one level later.
    level + i8::from(bar.is_some_and(|&(.., least)| output < least))
}

/// The geometry against what follows from granule and first level.
fn check(geometry: &Geometry, page_bits: u64, level: i8, config: Config, four_levels: bool) {
    let leaves: &[u64] = match page_bits {
        12 => &[1 << 30, 2 << 20, 4 << 10],
        14 => &[32 << 20, 16 << 10],
        _ => &[512 << 20, 64 << 10],
    };
    assert_eq!(geometry.granule(), 1 << page_bits);
    assert_eq!(geometry.first_level(), level, "{config:?} with {page_bits} page bits");
    assert_eq!(i16::from(geometry.levels()), 4 - i16::from(level));
    assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), leaves, "{config:?}");
    assert_eq!(
        (geometry.input_bits(), geometry.output_bits()),
        (config.input_bits, config.output_bits)
    );
    assert_eq!(geometry.last_iova(), Iova((1 << config.input_bits) - 1));
    assert_eq!(geometry.last_phys(), PhysAddr((1 << config.output_bits) - 1));
    let span_bits = page_bits + u64::from((3 - level).unsigned_abs()) * (page_bits - 3);
    assert_eq!(u64::from(geometry.entry_shift(level)), span_bits);
    let entries = match u64::from(config.input_bits).checked_sub(span_bits) {
        Some(bits) => 1u64 << bits,
        None if four_levels => 1,
        None => panic!("the walk starts too early"),
    };
    assert_eq!(geometry.entries(level) as u64, entries);
    assert_eq!(geometry.root_bytes(), (8 * entries).max(1 << page_bits), "{config:?}");
    for below in level + 1..=3 {
        assert_eq!(geometry.entries(below), 1 << (page_bits - 3));
    }
}

/// The walker starts where the geometry says, and finds the first and the last page.
fn check_walk<F: Walked>(config: Config) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let geometry = *table.geometry();
    let root = machine::root(&table);
    assert_eq!(root % geometry.root_bytes(), 0, "concatenated tables are aligned together");
    let page = geometry.granule();
    let last = geometry.last_iova().0;
    let ends = [0, last - (page - 1)];
    for first in ends {
        let fault = machine::walk(&table, first, Access::UNPRIVILEGED_READ);
        let fault = fault.expect_err("nothing is mapped");
        let start = geometry.first_level();
        assert_eq!((fault.kind, fault.level), (FaultKind::Translation, start));
    }
    for first in ends {
        let leads = PhysAddr((first & geometry.last_phys().0) ^ page);
        let mapped = table.map(range(first, page), [Segment::new(leads, page)], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
        let found = machine::walk(&table, first + 8, Access::UNPRIVILEGED_READ);
        let found = found.unwrap_or_else(|fault| panic!("{config:?} at {first:#x}: {fault}"));
        assert_eq!(found.address, leads.0 + 8, "{config:?}");
    }
    assert!(machine::contents(&table).keys().all(|phys| phys % page == 0));
}

#[test]
fn stage_1_starts_at_the_level_that_the_input_size_asks_for() {
    for (input, output) in (32..=48).flat_map(|input| OUTPUTS.map(|output| (input, output))) {
        let config = Config::new(input, output);
        let geometries = [
            Arm64S1::<Granule4K>::geometry(config).unwrap(),
            Arm64S1::<Granule16K>::geometry(config).unwrap(),
            Arm64S1::<Granule64K>::geometry(config).unwrap(),
        ];
        for (geometry, bits) in geometries.iter().zip(PAGES) {
            check(geometry, bits, start(bits, input), config, false);
        }
        check_walk::<Arm64S1<Granule4K>>(config);
        check_walk::<Arm64S1<Granule16K>>(config);
        check_walk::<Arm64S1<Granule64K>>(config);
    }
}

#[test]
fn stage_2_starts_where_the_physical_address_size_permits_it() {
    for (input, output) in (32..=48).flat_map(|input| OUTPUTS.map(|output| (input, output))) {
        if input > output {
            continue;
        }
        let config = Config::new(input, output);
        let geometries = [
            Arm64S2::<Granule4K>::geometry(config).unwrap(),
            Arm64S2::<Granule16K>::geometry(config).unwrap(),
            Arm64S2::<Granule64K>::geometry(config).unwrap(),
        ];
        for (geometry, bits) in geometries.iter().zip(PAGES) {
            let level = start_2(bits, input, output);
            check(geometry, bits, level, config, false);
            assert!(geometry.entries(level) <= 16 << (bits - 3), "at most 16 tables");
        }
        check_walk::<Arm64S2<Granule4K>>(config);
        check_walk::<Arm64S2<Granule16K>>(config);
        check_walk::<Arm64S2<Granule64K>>(config);
    }
}

#[test]
fn mali_always_has_four_levels() {
    for (input, output) in (32..=48).flat_map(|input| (32..=40).map(move |output| (input, output)))
    {
        let config = Config::new(input, output);
        check(&ArmMali::geometry(config).unwrap(), 12, 0, config, true);
        check_walk::<ArmMali>(config);
    }
}

#[test]
fn concatenated_roots_are_one_table_of_their_sum() {
    let root = |geometry: Result<Geometry, ConfigError>| {
        let geometry = geometry.unwrap();
        (geometry.first_level(), geometry.root_bytes())
    };
    let s2_4k = |input, output| root(Arm64S2::<Granule4K>::geometry(Config::new(input, output)));
    let s2_16k = |input, output| root(Arm64S2::<Granule16K>::geometry(Config::new(input, output)));
    assert_eq!(s2_4k(39, 40), (1, 4 << 10));
    assert_eq!(s2_4k(40, 40), (1, 8 << 10));
    assert_eq!(s2_4k(42, 42), (1, 32 << 10));
    assert_eq!(s2_4k(42, 44), (0, 4 << 10));
    assert_eq!(s2_16k(40, 40), (2, 256 << 10));
    assert_eq!(s2_16k(48, 48), (1, 32 << 10));
}

/// What a format says to sizes that are not both its own.
fn check_config<F: Format>(config: Config, outputs: &'static [u8], most: u8) {
    let Config { input_bits, output_bits, .. } = config;
    let expected = if !outputs.contains(&output_bits) {
        Err(ConfigError::OutputBits { bits: output_bits, supported: outputs })
    } else if !(32..=most).contains(&input_bits) {
        Err(ConfigError::InputBits { bits: input_bits, min: 32, max: most })
    } else {
        Ok(())
    };
    assert_eq!(F::geometry(config).map(|_| ()), expected, "{} {config:?}", F::NAME);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
    #[test]
    fn other_sizes_are_refused(input in any::<u8>(), output in prop_oneof![any::<u8>(), 30u8..50]) {
        let config = Config::new(input, output);
        let most = output.min(48);
        check_config::<Arm64S1<Granule4K>>(config, &OUTPUTS, 48);
        check_config::<Arm64S1<Granule16K>>(config, &OUTPUTS, 48);
        check_config::<Arm64S1<Granule64K>>(config, &OUTPUTS_52, 52);
        check_config::<Arm64S2<Granule4K>>(config, &OUTPUTS, most);
        check_config::<Arm64S2<Granule16K>>(config, &OUTPUTS, most);
        check_config::<Arm64S2<Granule64K>>(config, &OUTPUTS_52, output.min(52));
        check_config::<ArmMali>(config, &[32, 33, 34, 35, 36, 37, 38, 39, 40], 48);
    }

    /// The worst case is never less than what a mapping takes in an empty table.
    #[test]
    fn the_worst_case_is_all_pages(first in 0u64..1 << 20, pages in 1u64..2000) {
        let memory = machine::memory();
        let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
        let wanted = range(first << 12, pages << 12);
        // A page off, so that no block fits.
        let segment = Segment::new(PhysAddr((first + 1) << 12), pages << 12);
        let _ = table.map(wanted, [segment], Prot::RW).unwrap();
        prop_assert_eq!(table.count_tables(), table.geometry().worst_case_tables(wanted));
    }
}
