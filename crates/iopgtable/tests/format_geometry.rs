//! Levels, root sizes and leaf sizes are the architecture's, for every format and every input and
//! output size; the soft MMU starts its walks there; and what a format does not have is refused.

#![cfg(feature = "alloc")]

mod machine;

use std::ops::RangeInclusive;
use std::ptr::NonNull;

use iopgtable::memory::{Publish, Region};
use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, ConfigError, CreateError, Format,
    Geometry, Granule4K, Granule16K, Granule64K, Iova, IovaRange, Lpa2, Options, PageTable,
    PhysAddr, Prot, Segment,
};
use machine::{Walked, finish, range};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

/// What `IPS` and `PS` can say.
const OUTPUTS: &[u8] = &[32, 36, 40, 42, 44, 48];
const OUTPUTS_52: &[u8] = &[32, 36, 40, 42, 44, 48, 52];
/// Formats without such a field.
const OUTPUTS_40: &[u8] = &[32, 33, 34, 35, 36, 37, 38, 39, 40];

/// A granule, and whether its descriptors are those of `FEAT_LPA2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    page_bits: u64,
    lpa2: bool,
}

const K4: Kind = Kind { page_bits: 12, lpa2: false };
const K16: Kind = Kind { page_bits: 14, lpa2: false };
const K64: Kind = Kind { page_bits: 16, lpa2: false };
const K4_LPA2: Kind = Kind { page_bits: 12, lpa2: true };
const K16_LPA2: Kind = Kind { page_bits: 14, lpa2: true };

/// At which level a walk of so many input bits starts, by log2 of the granule: the deepest whose
/// one table covers them (Arm DDI 0487, D8.2.8 to D8.2.10; G5.5 for less than 32 bits).
const STARTS: [(u64, i8, RangeInclusive<u8>); 9] = [
    (12, -1, 49..=52),
    (12, 0, 40..=48),
    (12, 1, 31..=39),
    (12, 2, 25..=30),
    (14, 0, 48..=52),
    (14, 1, 37..=47),
    (14, 2, 32..=36),
    (16, 1, 43..=52),
    (16, 2, 32..=42),
];

/// Where stage 2 may not start below so many bits of physical address (`AArch64.S2InvalidSL`; a
/// start at level 0 with 16 KiB takes `FEAT_LPA2`).
const NOT_BELOW: [(Kind, i8, u8); 8] = [
    (K4, 0, 44),
    (K16, 0, u8::MAX),
    (K16, 1, 42),
    (K64, 1, 44),
    (K4_LPA2, -1, 52),
    (K4_LPA2, 0, 44),
    (K16_LPA2, 0, 52),
    (K16_LPA2, 1, 42),
];

/// The blocks of each granule by level, largest first (`AArch64.BlockDescSupported`).
fn blocks(kind: Kind, output: u8) -> &'static [(i8, u64)] {
    match (kind.page_bits, kind.lpa2) {
        (12, false) => &[(1, 1 << 30), (2, 2 << 20)],
        (12, true) => &[(0, 512 << 30), (1, 1 << 30), (2, 2 << 20)],
        (14, false) => &[(2, 32 << 20)],
        (14, true) => &[(1, 64 << 30), (2, 32 << 20)],
        _ if output == 52 => &[(1, 4 << 40), (2, 512 << 20)],
        _ => &[(2, 512 << 20)],
    }
}

fn geometry<F: Format>(config: Config) -> Geometry {
    F::geometry(config).expect("a good configuration")
}

fn start(kind: Kind, input: u8) -> i8 {
    let found =
        STARTS.iter().find(|(bits, _, inputs)| *bits == kind.page_bits && inputs.contains(&input));
    found.expect("every size starts somewhere").1
}

fn start_2(kind: Kind, input: u8, output: u8) -> i8 {
    let level = start(kind, input);
    let bar = NOT_BELOW.iter().find(|(of, at, _)| (*of, *at) == (kind, level));
    // Concatenated tables one level later.
    level + i8::from(bar.is_some_and(|&(.., least)| output < least))
}

/// The geometry against what follows from granule and first level.
fn check(geometry: &Geometry, kind: Kind, level: i8, config: Config, whole: IovaRange) {
    let page_bits = kind.page_bits;
    let blocks = blocks(kind, config.output_bits).iter().filter(|(at, _)| *at >= level);
    let leaves: Vec<_> = blocks.map(|&(_, bytes)| bytes).chain([1 << page_bits]).collect();
    assert_eq!(geometry.granule(), 1 << page_bits);
    assert_eq!(geometry.first_level(), level, "{config:?} with {kind:?}");
    assert_eq!(i16::from(geometry.levels()), 4 - i16::from(level));
    assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), leaves, "{config:?}");
    assert_eq!(
        (geometry.input_bits(), geometry.output_bits()),
        (config.input_bits, config.output_bits)
    );
    assert_eq!(geometry.whole(), whole);
    assert_eq!((geometry.first_iova(), geometry.last_iova()), (whole.first(), whole.last()));
    assert_eq!(geometry.last_phys(), PhysAddr((1 << config.output_bits) - 1));
    let span_bits = page_bits + u64::from((3 - level).unsigned_abs()) * (page_bits - 3);
    assert_eq!(u64::from(geometry.entry_shift(level)), span_bits);
    let entries = match u64::from(config.input_bits).checked_sub(span_bits) {
        Some(bits) => 1u64 << bits,
        // Mali has four levels, whatever the input size is.
        None => 1,
    };
    assert_eq!(geometry.entries(level) as u64, entries);
    assert_eq!(geometry.root_bytes(), (8 * entries).max(1 << page_bits), "{config:?}");
    for below in level + 1..=3 {
        assert_eq!(geometry.entries(below), 1 << (page_bits - 3));
    }
    // The ends are translated, what lies next to them is not.
    for (end, next) in [
        (whole.first(), whole.first().0.checked_sub(1)),
        (whole.last(), whole.last().0.checked_add(1)),
    ] {
        assert!(geometry.translates(end));
        assert!(next.is_none_or(|next| !geometry.translates(Iova(next))));
    }
}

/// The addresses of a lower half.
fn lower(config: Config) -> IovaRange {
    range(0, 1 << config.input_bits)
}

/// The walker starts where the geometry says, and finds the first and the last page, wherever they
/// lead, with tables low and high.
fn check_walk<F: Walked>(config: Config) {
    for tables in [machine::TABLES, machine::highest_tables(config)] {
        let memory = machine::memory_at(tables);
        let mut table = machine::table::<F>(config, &memory);
        let geometry = *table.geometry();
        let root = machine::root(&table);
        assert_eq!(root % geometry.root_bytes(), 0, "concatenated tables are aligned together");
        let page = geometry.granule();
        let (first, last) = (geometry.first_iova().0, geometry.last_iova().0);
        let ends = [first, last - (page - 1)];
        for at in ends {
            let fault = machine::walk(&table, at, Access::UNPRIVILEGED_READ);
            let fault = fault.expect_err("nothing is mapped");
            let start = geometry.first_level();
            assert_eq!((fault.kind, fault.level), (FaultKind::Translation, start));
        }
        let highest = geometry.last_phys().0 - (page - 1);
        let high_bits = (48..u32::from(config.output_bits)).map(|bit| 1 << bit);
        let leads: Vec<u64> = high_bits.chain([page, highest, highest & !(page << 5)]).collect();
        for &leads in &leads {
            for (at, leads) in ends.into_iter().zip([leads, leads ^ page]) {
                let segment = Segment::new(PhysAddr(leads), page);
                let mapped = table.map(range(at, page), [segment], Prot::RW);
                finish(&table, mapped.expect("nothing is there"));
                let found = machine::walk(&table, at + 8, Access::UNPRIVILEGED_READ);
                let found = found.unwrap_or_else(|fault| panic!("{config:?} at {at:#x}: {fault}"));
                assert_eq!((found.address, found.level), (leads + 8, 3), "{config:?}");
            }
            for (at, next) in [(first, first.checked_sub(8)), (last, last.checked_add(8))] {
                let next = next.map(|next| machine::walk(&table, next, Access::UNPRIVILEGED_READ));
                assert!(next.is_none_or(|found| found.is_err()), "beyond {at:#x}");
            }
            assert!(machine::contents(&table).keys().all(|phys| phys % page == 0));
            let whole = geometry.whole();
            let gather = table.unmap(whole, whole).expect("all can be unmapped");
            finish(&table, gather);
        }
    }
}

fn sizes(
    inputs: RangeInclusive<u8>,
    outputs: &'static [u8],
) -> impl Iterator<Item = (u8, u8)> + use<> {
    inputs.flat_map(|input| outputs.iter().map(move |&output| (input, output)))
}

fn stage_1<F: Walked>(kind: Kind, most: u8, outputs: &'static [u8]) {
    for (input, output) in sizes(32..=most, outputs) {
        let config = Config::new(input, output);
        check(&geometry::<F>(config), kind, start(kind, input), config, lower(config));
        let upper = config.with(Options::UPPER_HALF);
        let whole = IovaRange::inclusive(Iova(u64::MAX << input), Iova(u64::MAX));
        let whole = whole.expect("in order");
        check(&geometry::<F>(upper), kind, start(kind, input), upper, whole);
        check_walk::<F>(config);
        check_walk::<F>(upper);
    }
}

#[test]
fn stage_1_starts_at_the_level_that_the_input_size_asks_for() {
    stage_1::<Arm64S1<Granule4K>>(K4, 48, OUTPUTS);
    stage_1::<Arm64S1<Granule16K>>(K16, 48, OUTPUTS);
}

#[test]
fn stage_1_with_52_bits_starts_at_the_level_that_the_input_size_asks_for() {
    stage_1::<Arm64S1<Granule64K>>(K64, 52, OUTPUTS_52);
    stage_1::<Arm64S1<Lpa2<Granule4K>>>(K4_LPA2, 52, OUTPUTS_52);
    stage_1::<Arm64S1<Lpa2<Granule16K>>>(K16_LPA2, 52, OUTPUTS_52);
}

fn stage_2<F: Walked>(kind: Kind, most: u8, outputs: &'static [u8]) {
    for (input, output) in sizes(32..=most, outputs).filter(|(input, output)| input <= output) {
        let config = Config::new(input, output);
        let geometry = geometry::<F>(config);
        let level = start_2(kind, input, output);
        check(&geometry, kind, level, config, lower(config));
        assert!(geometry.entries(level) <= 16 << (kind.page_bits - 3), "at most 16 tables");
        check_walk::<F>(config);
    }
}

#[test]
fn stage_2_starts_where_the_physical_address_size_permits_it() {
    stage_2::<Arm64S2<Granule4K>>(K4, 48, OUTPUTS);
    stage_2::<Arm64S2<Granule16K>>(K16, 48, OUTPUTS);
    stage_2::<Arm64S2<Granule64K>>(K64, 52, OUTPUTS_52);
    stage_2::<Arm64S2<Lpa2<Granule4K>>>(K4_LPA2, 52, OUTPUTS_52);
    stage_2::<Arm64S2<Lpa2<Granule16K>>>(K16_LPA2, 52, OUTPUTS_52);
}

#[test]
fn stage_1_of_32_bits_starts_at_level_1_or_2() {
    for (input, output) in sizes(25..=32, OUTPUTS_40) {
        let config = Config::new(input, output);
        let level = start(K4, input);
        check(&Arm32S1::geometry(config).unwrap(), K4, level, config, lower(config));
        check_walk::<Arm32S1>(config);
        if input < 32 {
            let upper = config.with(Options::UPPER_HALF);
            let whole = range((1 << 32) - (1 << input), 1 << input);
            check(&Arm32S1::geometry(upper).unwrap(), K4, level, upper, whole);
            check_walk::<Arm32S1>(upper);
        }
    }
}

#[test]
fn stage_2_of_32_bits_starts_at_level_1() {
    for (input, output) in sizes(32..=40, OUTPUTS_40).filter(|(input, output)| input <= output) {
        let config = Config::new(input, output);
        check(&Arm32S2::geometry(config).unwrap(), K4, 1, config, lower(config));
        check_walk::<Arm32S2>(config);
    }
}

#[test]
fn mali_always_has_four_levels() {
    for (input, output) in sizes(32..=48, OUTPUTS_40) {
        let config = Config::new(input, output);
        check(&ArmMali::geometry(config).unwrap(), K4, 0, config, lower(config));
        check_walk::<ArmMali>(config);
    }
}

#[test]
fn concatenated_roots_are_one_table_of_their_sum() {
    fn root<F: Format>(input: u8, output: u8) -> (i8, u64) {
        let geometry = F::geometry(Config::new(input, output)).unwrap();
        (geometry.first_level(), geometry.root_bytes())
    }
    assert_eq!(root::<Arm64S2<Granule4K>>(39, 40), (1, 4 << 10));
    assert_eq!(root::<Arm64S2<Granule4K>>(40, 40), (1, 8 << 10));
    assert_eq!(root::<Arm64S2<Granule4K>>(42, 42), (1, 32 << 10));
    assert_eq!(root::<Arm64S2<Granule4K>>(42, 44), (0, 4 << 10));
    assert_eq!(root::<Arm64S2<Granule16K>>(40, 40), (2, 256 << 10));
    assert_eq!(root::<Arm64S2<Granule16K>>(48, 48), (1, 32 << 10));
    // Level -1 takes a physical address size of 52 bits, and so does level 0 with 16 KiB.
    assert_eq!(root::<Arm64S2<Lpa2<Granule4K>>>(52, 52), (-1, 4 << 10));
    assert_eq!(root::<Arm64S2<Lpa2<Granule4K>>>(48, 48), (0, 4 << 10));
    assert_eq!(root::<Arm64S2<Lpa2<Granule16K>>>(48, 48), (1, 32 << 10));
    assert_eq!(root::<Arm64S2<Lpa2<Granule16K>>>(48, 52), (0, 16 << 10));
    assert_eq!(root::<Arm64S2<Lpa2<Granule16K>>>(52, 52), (0, 16 << 10));
    assert_eq!(root::<Arm64S2<Granule64K>>(52, 52), (1, 64 << 10));
    assert_eq!(root::<Arm32S2>(39, 40), (1, 4 << 10));
    assert_eq!(root::<Arm32S2>(40, 40), (1, 8 << 10));
}

/// D8.7.1, and `AArch64.ContiguousBit`: bit 52 is RES0 in the blocks that 52-bit addresses add.
#[test]
fn groups_with_the_hint_are_as_large_as_the_manual_says() {
    fn groups<F: Format>(config: Config) -> Vec<u64> {
        let geometry = F::geometry(config.with(Options::CONTIGUOUS)).unwrap();
        let plain = F::geometry(config).unwrap();
        let alone = |level| plain.group_shift(level) == plain.entry_shift(level);
        assert!(plain.leaf_levels().all(alone));
        geometry.leaf_levels().map(|level| 1 << geometry.group_shift(level)).collect()
    }
    let (config, wide) = (Config::new(48, 48), Config::new(52, 52));
    assert_eq!(groups::<Arm64S1<Granule4K>>(config), [16 << 30, 32 << 20, 64 << 10]);
    assert_eq!(groups::<Arm64S1<Granule16K>>(config), [1 << 30, 2 << 20]);
    assert_eq!(groups::<Arm64S2<Granule64K>>(config), [16 << 30, 2 << 20]);
    assert_eq!(groups::<Arm64S2<Lpa2<Granule4K>>>(wide), [512 << 30, 16 << 30, 32 << 20, 64 << 10]);
    assert_eq!(groups::<Arm64S1<Lpa2<Granule16K>>>(wide), [64 << 30, 1 << 30, 2 << 20]);
    assert_eq!(groups::<Arm64S1<Granule64K>>(wide), [4 << 40, 16 << 30, 2 << 20]);
    assert_eq!(groups::<Arm32S2>(Config::new(40, 40)), [16 << 30, 32 << 20, 64 << 10]);
}

/// What a format says to sizes that are not both its own. A stage 2's input is at most its output.
fn check_sizes<F: Format>(
    config: Config,
    inputs: RangeInclusive<u8>,
    outputs: &'static [u8],
    is_stage_2: bool,
) {
    let Config { input_bits, output_bits, .. } = config;
    let (min, mut max) = inputs.into_inner();
    if is_stage_2 {
        max = max.min(output_bits);
    }
    let expected = if !outputs.contains(&output_bits) {
        Err(ConfigError::OutputBits { bits: output_bits, supported: outputs })
    } else if !(min..=max).contains(&input_bits) {
        Err(ConfigError::InputBits { bits: input_bits, min, max })
    } else {
        Ok(())
    };
    assert_eq!(F::geometry(config).map(|_| ()), expected, "{} {config:?}", F::NAME);
}

#[test]
fn other_sizes_are_refused() {
    for (input, output) in (0..=u8::MAX).flat_map(|input| (0..70).map(move |out| (input, out))) {
        let config = Config::new(input, output);
        let upper = config.with(Options::UPPER_HALF);
        for config in [config, upper] {
            check_sizes::<Arm64S1<Granule4K>>(config, 32..=48, OUTPUTS, false);
            check_sizes::<Arm64S1<Granule16K>>(config, 32..=48, OUTPUTS, false);
            check_sizes::<Arm64S1<Granule64K>>(config, 32..=52, OUTPUTS_52, false);
            check_sizes::<Arm64S1<Lpa2<Granule4K>>>(config, 32..=52, OUTPUTS_52, false);
            check_sizes::<Arm64S1<Lpa2<Granule16K>>>(config, 32..=52, OUTPUTS_52, false);
        }
        check_sizes::<Arm64S2<Granule4K>>(config, 32..=48, OUTPUTS, true);
        check_sizes::<Arm64S2<Granule16K>>(config, 32..=48, OUTPUTS, true);
        check_sizes::<Arm64S2<Granule64K>>(config, 32..=52, OUTPUTS_52, true);
        check_sizes::<Arm64S2<Lpa2<Granule4K>>>(config, 32..=52, OUTPUTS_52, true);
        check_sizes::<Arm64S2<Lpa2<Granule16K>>>(config, 32..=52, OUTPUTS_52, true);
        check_sizes::<Arm32S1>(config, 25..=32, OUTPUTS_40, false);
        check_sizes::<Arm32S1>(upper, 25..=31, OUTPUTS_40, false);
        check_sizes::<Arm32S2>(config, 32..=40, OUTPUTS_40, true);
        check_sizes::<ArmMali>(config, 32..=48, OUTPUTS_40, false);
    }
}

const ALL: [Options; 7] = [
    Options::UPPER_HALF,
    Options::NON_SECURE,
    Options::OUTER_WRITE_BACK,
    Options::NO_PERMISSIONS,
    Options::FORCE_WRITE_BACK,
    Options::HARDWARE_DIRTY,
    Options::CONTIGUOUS,
];

fn union(options: impl IntoIterator<Item = Options>) -> Options {
    options.into_iter().fold(Options::NONE, Options::with)
}

/// A format takes any of its options together, and names all that it does not have.
fn check_options<F: Format>(config: Config, has: &[Options]) {
    for chosen in 0..1 << ALL.len() {
        let options = ALL.into_iter().enumerate().filter(|(bit, _)| chosen >> bit & 1 == 1);
        let options: Vec<Options> = options.map(|(_, option)| option).collect();
        let refused = union(options.iter().copied().filter(|option| !has.contains(option)));
        let found = F::geometry(config.with(union(options.iter().copied()))).map(|_| ());
        let expected = if refused.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Options { refused, supported: union(has.iter().copied()) })
        };
        assert_eq!(found, expected, "{} with {options:?}", F::NAME);
    }
    assert_eq!(F::OPTIONS, union(has.iter().copied()));
}

#[test]
fn every_format_refuses_exactly_the_options_that_it_lacks() {
    let stage_1 = [
        Options::UPPER_HALF,
        Options::NON_SECURE,
        Options::OUTER_WRITE_BACK,
        Options::NO_PERMISSIONS,
        Options::CONTIGUOUS,
    ];
    let stage_1_64 = [&stage_1[..], &[Options::HARDWARE_DIRTY]].concat();
    let stage_2 = [Options::NO_PERMISSIONS, Options::CONTIGUOUS];
    let stage_2_64 = [&stage_2[..], &[Options::FORCE_WRITE_BACK, Options::HARDWARE_DIRTY]].concat();
    let (config, wide) = (Config::new(40, 40), Config::new(52, 52));
    check_options::<Arm64S1<Granule4K>>(config, &stage_1_64);
    check_options::<Arm64S1<Granule16K>>(config, &stage_1_64);
    check_options::<Arm64S1<Granule64K>>(wide, &stage_1_64);
    check_options::<Arm64S1<Lpa2<Granule4K>>>(wide, &stage_1_64);
    check_options::<Arm64S1<Lpa2<Granule16K>>>(wide, &stage_1_64);
    check_options::<Arm64S2<Granule4K>>(config, &stage_2_64);
    check_options::<Arm64S2<Granule16K>>(config, &stage_2_64);
    check_options::<Arm64S2<Granule64K>>(wide, &stage_2_64);
    check_options::<Arm64S2<Lpa2<Granule4K>>>(wide, &stage_2_64);
    check_options::<Arm64S2<Lpa2<Granule16K>>>(wide, &stage_2_64);
    check_options::<Arm32S1>(Config::new(31, 40), &stage_1);
    check_options::<Arm32S2>(config, &stage_2);
    check_options::<ArmMali>(config, &[]);
}

#[test]
fn a_refusal_names_the_options() {
    let config = Config::new(40, 40).with(Options::UPPER_HALF | Options::FORCE_WRITE_BACK);
    let error = Arm64S1::<Granule4K>::geometry(config).unwrap_err().to_string();
    assert!(error.contains("no {\"forced write-back\"}, only {\"upper half\""), "{error}");
    let error = ArmMali::geometry(config).unwrap_err().to_string();
    assert!(error.contains("{\"upper half\", \"forced write-back\"}, only {}"), "{error}");
}

/// Walkers see what was written, but not through the CPU's caches.
struct Uncached;

// SAFETY: the soft MMU reads what the CPU wrote.
unsafe impl Publish for Uncached {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
}

#[test]
fn outer_write_back_walks_of_coherent_memory_are_refused() {
    fn check<F: Format>(config: Config) {
        let config = config.with(Options::OUTER_WRITE_BACK);
        let coherent = machine::memory();
        let refused = PageTable::<F, _>::new(config, &coherent).map(|_| ());
        assert_eq!(refused, Err(CreateError::Config(ConfigError::CoherentOuterWriteBack)));
        assert_eq!(coherent.allocations(), 0);
        let memory = Region::with_capacity_and_publisher(machine::TABLES, 1 << 20, Uncached);
        let memory = memory.expect("the numbers make a region");
        assert!(PageTable::<F, _>::new(config, &memory).is_ok());
    }
    check::<Arm64S1<Granule4K>>(Config::new(48, 48));
    check::<Arm64S1<Granule64K>>(Config::new(52, 52));
    check::<Arm64S1<Lpa2<Granule16K>>>(Config::new(48, 52));
    check::<Arm32S1>(Config::new(32, 40));
}

#[test]
fn tables_that_lie_beyond_the_output_size_are_refused() {
    let high = machine::highest_tables(Config::new(52, 52));
    let memory = machine::memory_at(high);
    let last_phys = PhysAddr((1 << 52) - 1);
    let refused = |config| {
        let made = PageTable::<Arm64S1<Lpa2<Granule4K>>, _>::new(config, &memory);
        made.map(|_| ())
    };
    let reach = PhysAddr((1 << 48) - 1);
    let error = ConfigError::TablesOutOfReach { last_phys, reach };
    assert_eq!(refused(Config::new(48, 48)), Err(CreateError::Config(error)));
    assert_eq!(refused(Config::new(48, 52)), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]
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

    /// The same at the top of 64 bits, and from level -1 on.
    #[test]
    fn the_worst_case_is_all_pages_at_the_top(below in 0u64..1 << 20, pages in 1u64..2000) {
        let memory = machine::memory();
        let config = Config::new(52, 52).with(Options::UPPER_HALF);
        let mut table = machine::table::<Arm64S1<Lpa2<Granule4K>>>(config, &memory);
        let bytes = pages << 12;
        let wanted = range((below << 12).wrapping_add(bytes).wrapping_neg(), bytes);
        // A page off, and across the end of the address field where the range lies highest.
        let phys = (wanted.first().0 & ((1 << 50) - 1)) ^ 0x1000;
        let _ = table.map(wanted, [Segment::new(PhysAddr(phys), bytes)], Prot::RW).unwrap();
        prop_assert_eq!(table.count_tables(), table.geometry().worst_case_tables(wanted));
    }
}
