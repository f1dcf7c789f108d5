//! What a format does not have is refused.

use std::ops::RangeInclusive;
use std::ptr::NonNull;

use iopgtable::memory::{Publish, Region};
use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, ConfigError, CreateError, Format,
    Granule4K, Granule16K, Granule64K, Lpa2, Options, PageTable, PhysAddr,
};

use crate::kinds::{OUTPUTS, OUTPUTS_40, OUTPUTS_52};

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
        let coherent = crate::machine::memory();
        let refused = PageTable::<F, _>::new(config, &coherent).map(|_| ());
        assert_eq!(refused, Err(CreateError::Config(ConfigError::CoherentOuterWriteBack)));
        assert_eq!(coherent.allocations(), 0);
        let memory = Region::with_capacity_and_publisher(crate::machine::TABLES, 1 << 20, Uncached);
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
    let high = crate::machine::highest_tables(Config::new(52, 52));
    let memory = crate::machine::memory_at(high);
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
