//! What the architecture says of levels and leaves, and how it is compared.

use std::ops::RangeInclusive;

use iopgtable::{Config, Format, Geometry, Iova, IovaRange, PhysAddr, Prot, Segment};
use walkers::{Access, FaultKind};

use crate::machine::{Walked, finish, range};

/// What `IPS` and `PS` can say.
pub(crate) const OUTPUTS: &[u8] = &[32, 36, 40, 42, 44, 48];
pub(crate) const OUTPUTS_52: &[u8] = &[32, 36, 40, 42, 44, 48, 52];

/// Formats without such a field.
pub(crate) const OUTPUTS_40: &[u8] = &[32, 33, 34, 35, 36, 37, 38, 39, 40];

/// A granule, and whether its descriptors are those of `FEAT_LPA2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) page_bits: u64,
    pub(crate) lpa2: bool,
}

pub(crate) const K4: Kind = Kind { page_bits: 12, lpa2: false };
pub(crate) const K16: Kind = Kind { page_bits: 14, lpa2: false };
pub(crate) const K64: Kind = Kind { page_bits: 16, lpa2: false };
pub(crate) const K4_LPA2: Kind = Kind { page_bits: 12, lpa2: true };
pub(crate) const K16_LPA2: Kind = Kind { page_bits: 14, lpa2: true };

/// At which level a walk of so many input bits starts, by log2 of the granule: the deepest whose
/// one table covers them (Arm DDI 0487, D8.2.8 to D8.2.10; G5.5 for less than 32 bits).
pub(crate) const STARTS: [(u64, i8, RangeInclusive<u8>); 9] = [
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
pub(crate) const NOT_BELOW: [(Kind, i8, u8); 8] = [
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
pub(crate) fn blocks(kind: Kind, output: u8) -> &'static [(i8, u64)] {
    match (kind.page_bits, kind.lpa2) {
        (12, false) => &[(1, 1 << 30), (2, 2 << 20)],
        (12, true) => &[(0, 512 << 30), (1, 1 << 30), (2, 2 << 20)],
        (14, false) => &[(2, 32 << 20)],
        (14, true) => &[(1, 64 << 30), (2, 32 << 20)],
        _ if output == 52 => &[(1, 4 << 40), (2, 512 << 20)],
        _ => &[(2, 512 << 20)],
    }
}

pub(crate) fn geometry<F: Format>(config: Config) -> Geometry {
    F::geometry(config).expect("a good configuration")
}

pub(crate) fn start(kind: Kind, input: u8) -> i8 {
    let found =
        STARTS.iter().find(|(bits, _, inputs)| *bits == kind.page_bits && inputs.contains(&input));
    found.expect("every size starts somewhere").1
}

pub(crate) fn start_2(kind: Kind, input: u8, output: u8) -> i8 {
    let level = start(kind, input);
    let bar = NOT_BELOW.iter().find(|(of, at, _)| (*of, *at) == (kind, level));
    // Concatenated tables one level later.
    level + i8::from(bar.is_some_and(|&(.., least)| output < least))
}

/// The geometry against what follows from granule and first level.
pub(crate) fn check(geometry: &Geometry, kind: Kind, level: i8, config: Config, whole: IovaRange) {
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
pub(crate) fn lower(config: Config) -> IovaRange {
    range(0, 1 << config.input_bits)
}

/// The walker starts where the geometry says, and finds the first and the last page, wherever they
/// lead, with tables low and high.
pub(crate) fn check_walk<F: Walked>(config: Config) {
    for tables in [crate::machine::TABLES, crate::machine::highest_tables(config)] {
        let memory = crate::machine::memory_at(tables);
        let mut table = crate::machine::table::<F>(config, &memory);
        let geometry = *table.geometry();
        let root = crate::machine::root(&table);
        assert_eq!(root % geometry.root_bytes(), 0, "concatenated tables are aligned together");
        let page = geometry.granule();
        let (first, last) = (geometry.first_iova().0, geometry.last_iova().0);
        let ends = [first, last - (page - 1)];
        for at in ends {
            let fault = crate::machine::walk(&table, at, Access::UNPRIVILEGED_READ);
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
                let found = crate::machine::walk(&table, at + 8, Access::UNPRIVILEGED_READ);
                let found = found.unwrap_or_else(|fault| panic!("{config:?} at {at:#x}: {fault}"));
                assert_eq!((found.address, found.level), (leads + 8, 3), "{config:?}");
            }
            for (at, next) in [(first, first.checked_sub(8)), (last, last.checked_add(8))] {
                let next =
                    next.map(|next| crate::machine::walk(&table, next, Access::UNPRIVILEGED_READ));
                assert!(next.is_none_or(|found| found.is_err()), "beyond {at:#x}");
            }
            assert!(crate::machine::contents(&table).keys().all(|phys| phys % page == 0));
            let whole = geometry.whole();
            let gather = table.unmap(whole, whole).expect("all can be unmapped");
            finish(&table, gather);
        }
    }
}

pub(crate) fn sizes(
    inputs: RangeInclusive<u8>,
    outputs: &'static [u8],
) -> impl Iterator<Item = (u8, u8)> + use<> {
    inputs.flat_map(|input| outputs.iter().map(move |&output| (input, output)))
}
