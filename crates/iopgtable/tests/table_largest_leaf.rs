//! No leaf is larger than the configuration permits, whichever way it comes into the table.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, ConfigError, Format,
    Granule4K, Granule16K, Granule64K, LAST_LEVEL, Lpa2, MediaTek, Options, PhysAddr, Prot,
    Segment, Unextended, Visit, VtdS2, X86_64,
};
use machine::{Walked, finish, range};
use walkers::Access;

/// Maps, names leaves and cuts, with every limit that makes a difference and one below each.
fn leaves_stay_within<F: Walked>(config: Config) {
    let full = F::geometry(config).expect("a good configuration");
    let sizes: Vec<u64> = full.leaf_sizes().collect();
    let bytes = sizes[0];
    for limit in sizes.iter().flat_map(|&size| [size, size - 1]).chain([u64::MAX]) {
        let config = config.largest_leaf(limit);
        let granule = full.granule();
        if limit < granule {
            let refused = F::geometry(config);
            assert_eq!(refused, Err(ConfigError::LargestLeaf { bytes: limit, granule }));
            continue;
        }
        let within: Vec<u64> = sizes.iter().copied().filter(|&size| size <= limit).collect();
        let memory = machine::memory();
        let mut table = machine::table::<F>(config, &memory);
        let geometry = *table.geometry();
        assert_eq!(geometry.leaf_sizes().collect::<Vec<_>>(), within, "{limit:#x}");
        assert_eq!(geometry.first_level(), full.first_level(), "the walk is the same");

        // A few of the largest leaves that there may be, as far as the input goes.
        let bytes = bytes.min(within[0] * 4);
        let at = range(geometry.last_iova().0 - (bytes - 1), bytes);
        let missing = table.exact_tables(at, [Segment::new(PhysAddr(0), bytes)], Prot::RW);
        let mapped = table.map(at, [Segment::new(PhysAddr(0), bytes)], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
        assert_eq!(missing, Ok(table.count_tables()));
        for leaf in machine::dump(&table) {
            let Visit::Leaf { span, .. } = leaf else { continue };
            assert_eq!(span.bytes(), within[0]);
        }
        let found = machine::walk(&table, at.last().0 - 7, Access::UNPRIVILEGED_READ);
        let found = found.expect("it is mapped");
        assert_eq!((found.address, found.leaf_size), (bytes - 8, within[0]));

        // A cut makes smaller ones yet.
        let page = range(at.first().0, granule);
        let gather = table.unmap(page, page).expect("there is memory");
        finish(&table, gather);
        assert!(machine::walk(&table, page.first().0, Access::UNPRIVILEGED_READ).is_err());
        let next = machine::walk(&table, page.last().0 + 1, Access::UNPRIVILEGED_READ);
        if bytes > granule {
            assert_eq!(next.map(|next| next.address), Ok(granule));
        }
        let whole = machine::whole(&table);
        let gather = table.unmap(whole, whole).expect("all can be unmapped");
        finish(&table, gather);

        // Who names a leaf is not given one that there may not be.
        let attributes = table.attributes(Prot::RW).expect("every format reads and writes");
        for level in full.first_level()..=LAST_LEVEL {
            let leaf = 1u64 << geometry.entry_shift(level);
            let first = geometry.last_iova().0 & !(leaf - 1);
            let named = table.map_leaves(iopgtable::Iova(first), PhysAddr(0), level, 1, attributes);
            assert!(
                !named.expect("there is memory") || leaf <= limit,
                "{leaf:#x} bytes within {limit:#x}"
            );
        }
    }
}

#[test]
fn no_leaf_is_larger_than_the_configuration_permits() {
    leaves_stay_within::<Arm64S1<Granule4K>>(Config::new(48, 48));
    leaves_stay_within::<Arm64S1<Granule4K>>(Config::new(48, 48).with(Options::UPPER_HALF));
    leaves_stay_within::<Arm64S1<Granule4K>>(Config::new(48, 48).with(Options::CONTIGUOUS));
    leaves_stay_within::<Arm64S2<Granule16K>>(Config::new(40, 40));
    leaves_stay_within::<Arm64S2<Granule64K>>(Config::new(52, 52));
    leaves_stay_within::<Arm64S1<Lpa2<Granule4K>>>(Config::new(52, 52));
    leaves_stay_within::<Arm32S1>(Config::new(32, 40));
    leaves_stay_within::<ArmMali>(Config::new(48, 40));
    leaves_stay_within::<X86_64>(Config::new(57, 52));
    leaves_stay_within::<AmdV1>(Config::new(48, 48));
    leaves_stay_within::<ArmV7s<Unextended>>(Config::new(32, 32));
    leaves_stay_within::<ArmV7s<MediaTek>>(Config::new(34, 35));
    leaves_stay_within::<Arm32S2>(Config::new(40, 40));
    leaves_stay_within::<VtdS2>(Config::new(57, 52));
    leaves_stay_within::<RiscV<FirstStage>>(Config::new(57, 56).with(Options::UPPER_HALF));
    leaves_stay_within::<RiscV<GStage>>(Config::new(50, 56));
    leaves_stay_within::<Dart<T8020>>(Config::new(36, 36));
    leaves_stay_within::<Dart<T6000>>(Config::new(38, 42));
    leaves_stay_within::<X86_64>(Config::new(48, 48).with(Options::UPPER_HALF));
}

#[test]
fn a_refusal_names_the_smallest_leaf() {
    let refused = ArmMali::geometry(Config::new(48, 40).largest_leaf(0x800));
    let message = refused.expect_err("a page has 4 KiB").to_string();
    assert_eq!(message, "leaves of at most 0x800 bytes: the smallest has 0x1000");
}
