//! After every step of random histories, in every format, the table holds the leaves and the
//! tables that the naive model says, and no others; an independent MMU finds what is mapped; groups
//! with the contiguous hint are whole; the gather names every leaf that is not what it was; and
//! exactly the missing tables were allocated.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod ops;

use std::collections::{BTreeMap, BTreeSet};

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Gather, Geometry,
    Granule4K, Granule16K, Granule64K, Iova, IovaRange, Lpa2, MediaTek, Options, PhysAddr, Segment,
    TableCount, TableError, Unextended, Visit, VtdS2, X86_64,
};
use machine::{Memory, Table, Walked};
use model::{Change, Model, Seen};
use ops::{Kind, Mapping, Raw};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

/// The soft MMU and the table's own face find what the model has at `address`.
fn check_address<F: Walked>(table: &Table<'_, F>, model: &Model, address: u64) {
    let found = machine::walk(table, address, Access::UNPRIVILEGED_READ);
    let own = table.translate(Iova(address));
    let Some((first, leaf)) = model.leaf_at(address) else {
        assert_eq!(found.map_err(|fault| fault.kind), Err(FaultKind::Translation));
        assert_eq!(own, None, "{address:#x} is not mapped");
        return;
    };
    let phys = leaf.phys + (address - first);
    let found = found.unwrap_or_else(|fault| panic!("{address:#x}: {fault}"));
    assert_eq!((found.address, found.leaf_size), (phys, leaf.bytes), "at {address:#x}");
    let own = own.map(|own| (own.phys.0, own.leaf_bytes, own.prot));
    assert_eq!(own, Some((phys, leaf.bytes, leaf.prot)), "at {address:#x}");
    for access in [Access::UNPRIVILEGED_WRITE, Access::UNPRIVILEGED_EXECUTE] {
        let allowed = machine::walk(table, address, access).is_ok();
        let right = F::permissions(leaf.prot).allow(access);
        assert_eq!(allowed, right, "{access:?} at {address:#x}");
    }
}

/// Checks the table against the model; says what it holds.
fn check<F: Walked>(table: &Table<'_, F>, model: &Model, touched: IovaRange) -> Vec<Visit> {
    let geometry = *table.geometry();
    let visits = machine::dump(table);
    let seen = model::seen(&geometry, &visits);
    assert_eq!(seen, model.seen(), "tables and leaves");
    assert_eq!(table.count_tables(), model.count_tables());

    // A visit of a part shows what translates a part of it.
    let meets = |visit: &&Visit| match visit {
        Visit::Table { span, .. } | Visit::Leaf { span, .. } => {
            span.intersection(touched).is_some()
        }
        _ => false,
    };
    let expected: Vec<Visit> = visits.iter().filter(meets).copied().collect();
    let mut part = Vec::new();
    table.visit(touched, |visit| part.push(visit));
    assert_eq!(part, expected);

    for address in model.addresses(touched, 50) {
        check_address(table, model, address);
    }
    visits
}

/// The bytes of a group of leaves that may carry the contiguous hint together (Arm DDI 0487,
/// D8.7.1: 16 leaves with 4 KiB, 32 or 128 with 16 KiB, 32 with 64 KiB; no others).
fn group_bytes(geometry: &Geometry, leaf: u64) -> Option<u64> {
    match (geometry.granule() >> 10, leaf >> 10) {
        (4, 4 | 0x800 | 0x10_0000) => Some(16 * leaf),
        (16, 16) => Some(128 * leaf),
        (16, 0x8000) | (64, 64 | 0x8_0000) => Some(32 * leaf),
        _ => None,
    }
}

/// The aligned group around the leaf of so many bytes at `first`, or that leaf alone.
fn group(geometry: &Geometry, first: u64, leaf: u64) -> IovaRange {
    let bytes = group_bytes(geometry, leaf).unwrap_or(leaf);
    let first = first & !(bytes - 1);
    IovaRange::inclusive(Iova(first), Iova(first + (bytes - 1))).expect("in order")
}

/// The leaves that carry the contiguous hint, by their first address, with their bytes.
fn hinted(visits: &[Visit]) -> BTreeMap<u64, u64> {
    let hinted = visits.iter().filter_map(|visit| match visit {
        Visit::Leaf { span, contiguous: true, .. } => Some((span.first().0, span.bytes())),
        _ => None,
    });
    hinted.collect()
}

/// The walker, which reads the whole of each group, finds nothing wrong with any.
fn check_groups<F: Walked>(table: &Table<'_, F>, visits: &[Visit]) {
    let geometry = table.geometry();
    let hinted = hinted(visits);
    let groups: BTreeSet<u64> =
        hinted.iter().map(|(&first, &leaf)| group(geometry, first, leaf).first().0).collect();
    for first in groups {
        let found = machine::walk(table, first, Access::UNPRIVILEGED_READ);
        let found = found.unwrap_or_else(|fault| panic!("the group at {first:#x}: {fault}"));
        assert!(found.contiguous, "the group at {first:#x}");
    }
}

/// What was just mapped carries the hint, if leaves are to have one, where a whole group lies in a
/// segment, aligned there, too.
fn check_hints(contiguous: bool, model: &Model, mapping: &Mapping, visits: &[Visit]) {
    let geometry = model.geometry();
    let hinted = hinted(visits);
    let mut first = mapping.range.first().0;
    for &Segment { phys: PhysAddr(phys), bytes } in &mapping.segments {
        let last = first + (bytes - 1);
        let span = IovaRange::inclusive(Iova(first), Iova(last)).expect("in order");
        for (&at, leaf) in model.leaves.range(first..=last) {
            let expected = group_bytes(geometry, leaf.bytes).is_some_and(|bytes| {
                span.covers(group(geometry, at, leaf.bytes)) && (first ^ phys) & (bytes - 1) == 0
            });
            let expected = expected && contiguous;
            assert_eq!(hinted.contains_key(&at), expected, "the hint at {at:#x} of {span}");
        }
        // At the very top, the next address would be 2^64.
        first = last.wrapping_add(1);
    }
}

/// What an operation may name as stale besides what it changes: what its ends cut.
fn cut_groups(model: &Model, range: IovaRange) -> IovaRange {
    let ends = [range.first(), range.last()];
    let cut = ends.iter().filter_map(|end| {
        let (first, leaf) = model.leaf_at(end.0)?;
        Some(group(model.geometry(), first, leaf.bytes))
    });
    cut.fold(range, IovaRange::hull)
}

/// The gather names all that is gone, and little more.
fn check_stale(gather: &Gather, change: &Change, range: IovaRange) {
    let stale = gather.stale();
    if let Some(gone) = change.leaves {
        let told = stale.leaves.expect("leaves are gone");
        assert!(told.covers(gone), "{told} does not cover {gone}");
    }
    let most = [change.leaves, change.walks].into_iter().flatten().fold(range, IovaRange::hull);
    assert!(stale.leaves.is_none_or(|told| most.covers(told)), "{stale:?} is more than {most}");
    assert_eq!(stale.walks, change.walks);
}

/// The gather names every leaf that is not what it was: its hint may be all that it has lost.
fn check_changed(told: Option<IovaRange>, before: &[Visit], after: &[Visit]) {
    // Both are in order.
    let mut after = after.iter().filter(|visit| matches!(visit, Visit::Leaf { .. })).peekable();
    for leaf in before {
        let Visit::Leaf { span, .. } = *leaf else { continue };
        let starts_below = |other: &&&Visit| match other {
            Visit::Leaf { span: other, .. } => other.first() < span.first(),
            _ => false,
        };
        while after.next_if(|other| starts_below(&other)).is_some() {}
        if after.peek() != Some(&leaf) {
            assert!(told.is_some_and(|told| told.covers(span)), "{told:?}: {leaf:?} has changed");
        }
    }
}

fn pages(count: TableCount) -> usize {
    usize::try_from(count.total()).expect("not so many")
}

fn step<F: Walked>(
    config: Config,
    memory: &Memory,
    table: &mut Table<'_, F>,
    model: &mut Model,
    visits: &mut Vec<Visit>,
    raw: &Raw,
) {
    let mapping = raw.mapping(model.geometry());
    let Mapping { range, segments, prot } = mapping.clone();
    let prot = F::granted(prot);
    let before = (memory.allocations(), memory.live());
    let groups = cut_groups(model, range);
    let is_map = matches!(raw.kind, Kind::Map | Kind::Replace);
    let (outcome, change) = match raw.kind {
        Kind::Map | Kind::Replace => {
            if let Some((iova, leaf)) = model.first_mapped(range) {
                let contents = machine::contents(table);
                let refused = machine::map(table, range, &segments, prot).map(|_| ());
                assert_eq!(refused, Err(TableError::Overlap { iova, leaf }));
                assert!(machine::contents(table) == contents, "not a byte has changed");
                assert_eq!((memory.allocations(), memory.live()), before);
                return;
            }
            let change = model.map(range, &segments, prot);
            let exact = table.exact_tables(range, segments.iter().copied(), prot);
            assert_eq!(exact, Ok(change.made));
            (machine::map(table, range, &segments, prot), change)
        }
        Kind::Unmap(_) => {
            let hole = raw.hole(model, range);
            let change = model.unmap(range, hole);
            (table.unmap(range, hole), change)
        }
        Kind::Clear => (table.clear(range), model.zap(range)),
        Kind::Protect => (table.protect(range, prot), model.protect(range, prot)),
    };
    let gather = outcome.expect("nothing is wrong with it");
    let contiguous = config.options.contains(Options::CONTIGUOUS) && !F::GROUPS.are_pages();
    check_stale(&gather, &change, if contiguous && !is_map { groups } else { range });
    let told = gather.stale().leaves;
    assert_eq!(memory.allocations() - before.0, change.made.total(), "the missing tables only");
    assert_eq!(memory.live() - before.1, pages(change.made));
    assert_eq!(machine::finish(table, gather), change.loose);
    let after = check(table, model, range);
    check_changed(told, visits, &after);
    check_groups(table, &after);
    if is_map {
        check_hints(contiguous, model, &mapping, &after);
    }
    *visits = after;
    let tables = pages(model.count_tables());
    assert_eq!(memory.live(), tables + 1, "the tables and the root");
}

fn history<F: Walked>(config: Config, tables: PhysAddr, raw: &[Raw]) {
    let memory = machine::memory_at(tables);
    let mut table = machine::table::<F>(config, &memory);
    let mut model = Model::new(*table.geometry());
    let mut visits = Vec::new();
    for raw in raw {
        step(config, &memory, &mut table, &mut model, &mut visits, raw);
    }
    let whole = machine::whole(&table);
    let mapped: Vec<Seen> = model.seen();
    let gather = table.unmap(whole, whole).expect("the whole space can be unmapped");
    let tables = mapped.iter().filter(|(.., leaf)| leaf.is_none()).count();
    assert_eq!(machine::finish(&table, gather), tables);
    assert_eq!(table.count_tables().total(), 0);
    assert_eq!(machine::dump(&table), []);
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0), "every page is back");
}

/// `$cases` histories of fewer than `$steps` steps in each configuration; with large addresses, the tables lie high, too.
macro_rules! histories {
    ($cases:literal, $steps:literal: $($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: $cases, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(raw in prop::collection::vec(ops::plain(), 1..$steps)) {
                    let config = Config::new($input, $output)$(.with($options))?;
                    let tables =
                        if $output > 48 { machine::highest_tables(config) } else { machine::TABLES };
                    history::<$format>(config, tables, &raw);
                }
            )*
        }
    };
}
histories! { 20, 16:
    s1_4k_48: Arm64S1<Granule4K>, 48, 48;
    riscv_39: RiscV<FirstStage>, 39, 56, Options::MEMORY_TYPES;
    riscv_50_guest: RiscV<GStage>, 50, 48, Options::MEMORY_TYPES;
    riscv_57_upper_half: RiscV<FirstStage>, 57, 56, Options::MEMORY_TYPES.with(Options::UPPER_HALF);
    vtd_s2_48: VtdS2, 48, 52, Options::FORCE_SNOOP;
    vtd_s2_39: VtdS2, 39, 39, Options::FORCE_SNOOP.with(Options::HARDWARE_DIRTY);
    vtd_s2_57: VtdS2, 57, 52, Options::FORCE_SNOOP;
    dart_36: Dart<T8020>, 36, 36;
    dart_38_has_four_roots: Dart<T6000>, 38, 42;
    mediatek_v7s_34: ArmV7s<MediaTek>, 34, 35;
    s1_4k_39: Arm64S1<Granule4K>, 39, 40;
    s1_4k_32: Arm64S1<Granule4K>, 32, 32;
    s1_16k_48_has_a_root_of_two_entries: Arm64S1<Granule16K>, 48, 48;
    s1_16k_36: Arm64S1<Granule16K>, 36, 42;
    s1_64k_48: Arm64S1<Granule64K>, 48, 48;
    s1_64k_40: Arm64S1<Granule64K>, 40, 36;
    s2_4k_48: Arm64S2<Granule4K>, 48, 48;
    s2_4k_40_concatenates_2: Arm64S2<Granule4K>, 40, 40;
    s2_4k_42_concatenates_8: Arm64S2<Granule4K>, 42, 42;
    s2_16k_40_concatenates_16: Arm64S2<Granule16K>, 40, 40;
    s2_16k_48_concatenates_2: Arm64S2<Granule16K>, 48, 48;
    s2_64k_44: Arm64S2<Granule64K>, 44, 44;
    s2_64k_42: Arm64S2<Granule64K>, 42, 42;
    mali_48: ArmMali, 48, 40;
    mali_40: ArmMali, 40, 32;
    mali_33_uses_one_entry_of_the_root: ArmMali, 33, 40;
    s1_4k_48_upper_half: Arm64S1<Granule4K>, 48, 48, Options::UPPER_HALF;
    s1_4k_39_upper_half: Arm64S1<Granule4K>, 39, 40, Options::UPPER_HALF;
    s1_4k_52_lpa2: Arm64S1<Lpa2<Granule4K>>, 52, 52;
    s2_4k_52_lpa2: Arm64S2<Lpa2<Granule4K>>, 52, 52;
    arm32_s1_32: Arm32S1, 32, 40;
    arm32_s1_31_upper_half: Arm32S1, 31, 40, Options::UPPER_HALF;
    arm32_s1_28_has_a_root_of_blocks: Arm32S1, 28, 40;
    arm32_s2_40_concatenates_2: Arm32S2, 40, 40;
    arm_v7s_32: ArmV7s<Unextended>, 32, 32;
    arm_v7s_27: ArmV7s<Unextended>, 27, 32;
    mediatek_v7s_35: ArmV7s<MediaTek>, 32, 35;
    amd_v1_48: AmdV1, 48, 52;
    amd_v1_64: AmdV1, 64, 48;
    amd_v1_57: AmdV1, 57, 40, Options::HARDWARE_DIRTY;
    amd_v1_33: AmdV1, 33, 36;
    amd_v1_21_has_a_root_of_pages: AmdV1, 21, 52, Options::HARDWARE_DIRTY;
    x86_64_48: X86_64, 48, 52;
    x86_64_48_upper_half: X86_64, 48, 48, Options::UPPER_HALF;
    x86_64_57: X86_64, 57, 52, Options::HARDWARE_DIRTY;
    x86_64_57_upper_half: X86_64, 57, 52, Options::UPPER_HALF;
    x86_64_37_upper_half_is_less_than_an_entry_of_the_root: X86_64, 37, 40, Options::UPPER_HALF;
}

/// The same where whole groups of leaves carry the contiguous hint, or are pages of their own.
mod contiguous {
    use super::*;

    const CONTIGUOUS: Options = Options::CONTIGUOUS;
    const UPPER: Options = Options::CONTIGUOUS.with(Options::UPPER_HALF);
    // Sixteen pages are one; and leaves say the memory type, so that what they say is read back.
    const NAPOT: Options = Options::CONTIGUOUS.with(Options::MEMORY_TYPES);

    histories! { 16, 16:
        s1_4k_48: Arm64S1<Granule4K>, 48, 48, CONTIGUOUS;
        s1_4k_48_upper_half: Arm64S1<Granule4K>, 48, 48, UPPER;
        s1_4k_39_upper_half: Arm64S1<Granule4K>, 39, 40, UPPER;
        s1_16k_47: Arm64S1<Granule16K>, 47, 48, CONTIGUOUS;
        s1_4k_52_lpa2: Arm64S1<Lpa2<Granule4K>>, 52, 52, CONTIGUOUS;
        s2_4k_52_lpa2: Arm64S2<Lpa2<Granule4K>>, 52, 52, CONTIGUOUS;
        arm32_s1_32: Arm32S1, 32, 40, CONTIGUOUS;
        arm32_s1_31_upper_half: Arm32S1, 31, 40, UPPER;
        arm32_s2_40: Arm32S2, 40, 40, CONTIGUOUS;
        riscv_39: RiscV<FirstStage>, 39, 56, NAPOT;
        riscv_48_upper_half: RiscV<FirstStage>, 48, 48, NAPOT.with(Options::UPPER_HALF);
        riscv_57: RiscV<FirstStage>, 57, 56, NAPOT.with(Options::HARDWARE_DIRTY);
        riscv_41_guest: RiscV<GStage>, 41, 56, NAPOT;
        riscv_59_guest: RiscV<GStage>, 59, 48, NAPOT;
    }
}

/// One block becomes thousands of others: fewer and shorter histories.
mod large {
    use super::*;

    histories! { 10, 6:
        s1_64k_52: Arm64S1<Granule64K>, 52, 52;
        s1_64k_52_contiguous: Arm64S1<Granule64K>, 52, 52, Options::CONTIGUOUS;
        s2_64k_52: Arm64S2<Granule64K>, 52, 52;
        s2_64k_52_contiguous: Arm64S2<Granule64K>, 52, 52, Options::CONTIGUOUS;
        s1_16k_52_lpa2: Arm64S1<Lpa2<Granule16K>>, 52, 52;
        s1_16k_52_lpa2_contiguous: Arm64S1<Lpa2<Granule16K>>, 52, 52, Options::CONTIGUOUS;
        s2_16k_52_lpa2: Arm64S2<Lpa2<Granule16K>>, 52, 52;
        s2_16k_52_lpa2_contiguous: Arm64S2<Lpa2<Granule16K>>, 52, 52, Options::CONTIGUOUS;
        s2_16k_48_lpa2_concatenates_2: Arm64S2<Lpa2<Granule16K>>, 48, 48;
    }
}
