//! Where walks start, how large roots and leaves are.

use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Format, Granule4K, Granule16K, Granule64K,
    Iova, IovaRange, Lpa2, Options, PhysAddr, Prot, Segment,
};
use proptest::prelude::*;

use crate::kinds::{
    K4, K4_LPA2, K16, K16_LPA2, K64, Kind, OUTPUTS, OUTPUTS_40, OUTPUTS_52, check, check_walk,
    geometry, lower, sizes, start, start_2,
};
use crate::machine::{Walked, range};

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]
    /// The worst case is never less than what a mapping takes in an empty table.
    #[test]
    fn the_worst_case_is_all_pages(first in 0u64..1 << 20, pages in 1u64..2000) {
        let memory = crate::machine::memory();
        let mut table = crate::machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
        let wanted = range(first << 12, pages << 12);
        // A page off, so that no block fits.
        let segment = Segment::new(PhysAddr((first + 1) << 12), pages << 12);
        let _ = table.map(wanted, [segment], Prot::RW).unwrap();
        prop_assert_eq!(table.count_tables(), table.geometry().worst_case_tables(wanted));
    }

    /// The same at the top of 64 bits, and from level -1 on.
    #[test]
    fn the_worst_case_is_all_pages_at_the_top(below in 0u64..1 << 20, pages in 1u64..2000) {
        let memory = crate::machine::memory();
        let config = Config::new(52, 52).with(Options::UPPER_HALF);
        let mut table = crate::machine::table::<Arm64S1<Lpa2<Granule4K>>>(config, &memory);
        let bytes = pages << 12;
        let wanted = range((below << 12).wrapping_add(bytes).wrapping_neg(), bytes);
        // A page off, and across the end of the address field where the range lies highest.
        let phys = (wanted.first().0 & ((1 << 50) - 1)) ^ 0x1000;
        let _ = table.map(wanted, [Segment::new(PhysAddr(phys), bytes)], Prot::RW).unwrap();
        prop_assert_eq!(table.count_tables(), table.geometry().worst_case_tables(wanted));
    }
}
