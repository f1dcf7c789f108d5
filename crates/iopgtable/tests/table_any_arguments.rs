//! No argument makes an operation panic, and an error that it gets is true of it and changes
//! nothing.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Format, Granule4K,
    Granule16K, Granule64K, Iova, IovaRange, LAST_LEVEL, Lpa2, MediaTek, Options, PhysAddr, Prot,
    Segment, TableError, Unextended, VtdS2, X86_64,
};
use machine::{Table, Walked};
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers near everything that matters, and any others.
fn number() -> impl Strategy<Value = u64> {
    let near = select(vec![
        0u64,
        1 << 21,
        1 << 25,
        1 << 29,
        1 << 30,
        1 << 31,
        1 << 32,
        1 << 33,
        1 << 40,
        1 << 48,
        1 << 50,
        1 << 52,
        // The lower ends of upper halves, and the end of all.
        !0 << 39,
        !0 << 48,
        !0 << 52,
        !0 - (1 << 21),
        !0,
    ]);
    let off = select(vec![0i64, 1, -1, 0x1000, -0x1000, 0x4000, 0x1_0000, -0x1_0000, 1 << 21]);
    prop_oneof![
        3 => (near, off).prop_map(|(near, off)| near.wrapping_add_signed(off)),
        1 => any::<u64>(),
    ]
}

fn any_range() -> impl Strategy<Value = IovaRange> {
    (number(), number()).prop_map(|(one, other)| {
        IovaRange::inclusive(Iova(one.min(other)), Iova(one.max(other))).expect("in order")
    })
}

fn any_prot() -> impl Strategy<Value = Prot> {
    let all =
        [Prot::READ, Prot::WRITE, Prot::EXECUTE, Prot::PRIVILEGED, Prot::CACHED, Prot::DEVICE];
    prop::bits::u8::ANY.prop_map(move |bits| {
        let chosen = all.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.fold(Prot::NONE, |prot, (_, &flag)| prot | flag)
    })
}

/// Whether `error` is true of the arguments.
fn is_true(
    error: TableError,
    table: &Table<'_, impl Format>,
    range: IovaRange,
    segments: &[Segment],
) -> bool {
    let geometry = table.geometry();
    let granule_bits = geometry.granule() - 1;
    match error {
        TableError::UnalignedRange { range: named, .. } => {
            named == range && !range.is_aligned(geometry.granule())
        }
        TableError::InputRange { range: named, whole } => {
            named == range && whole == geometry.whole() && !whole.covers(range)
        }
        TableError::UnalignedSegment { segment, .. } => {
            segments.contains(&segment)
                && (segment.bytes == 0 || (segment.bytes | segment.phys.0) & granule_bits != 0)
        }
        TableError::OutputRange { segment, .. } => {
            let end = u128::from(segment.phys.0) + u128::from(segment.bytes);
            segments.contains(&segment) && end > 1 << geometry.output_bits()
        }
        TableError::SegmentsLength { range: bytes, .. } => {
            bytes == range.bytes()
                && segments.iter().map(|segment| u128::from(segment.bytes)).sum::<u128>()
                    != u128::from(bytes)
        }
        TableError::Overlap { iova, leaf } => {
            range.contains(iova)
                && table.translate(iova).is_some_and(|there| there.leaf_bytes == leaf)
        }
        TableError::Prot { .. } => true,
        _ => false,
    }
}

/// Any arguments at all: no panic, only true errors, and nothing changes where there is one.
fn survives<F: Walked>(
    config: Config,
    wanted: IovaRange,
    hole: IovaRange,
    segments: &[Segment],
    prot: Prot,
) {
    let memory = machine::memory();
    let mut table = machine::populated::<F>(config, &memory);
    let contents = machine::contents(&table);
    let geometry = *table.geometry();
    looks_survive(&table, wanted, hole);
    // A range without an error for its ends, to get further.
    let (lowest, last) = (geometry.first_iova().0, geometry.last_iova().0);
    let bytes = segments.iter().fold(0u64, |sum, segment| sum.saturating_add(segment.bytes));
    let first = Iova(lowest | (wanted.first().0 & (last - lowest) & !(geometry.granule() - 1)));
    let fitting = IovaRange::new(first, bytes).unwrap_or(wanted);
    for range in [wanted, fitting] {
        if range.bytes() > 1 << 34 && geometry.whole().covers(range) {
            continue; // it may be fine, and take long
        }
        match machine::map(&mut table, range, segments, prot) {
            Ok(gather) => {
                assert_eq!(F::attributes(config.options, prot).map(|_| ()), Ok(()));
                machine::finish(&table, gather);
                let protected = table.protect(range, Prot::READ).expect("it was mapped just now");
                machine::finish(&table, protected);
                let gather = table.unmap(range, range).expect("it was mapped just now");
                machine::finish(&table, gather);
            }
            Err(error) => {
                assert!(is_true(error, &table, range, segments), "{error:?} of {range}");
                assert!(machine::contents(&table) == contents, "{error:?}");
            }
        }
        if machine::contents(&table) != contents {
            break;
        }
    }
    names_survive(&mut table, config.options, wanted, segments);
    // What a hole holds may be lost: it need not be true.
    for (range, hole) in [
        (wanted, hole),
        (wanted, wanted),
        (wanted, wanted.hull(hole)),
        (fitting, fitting.hull(hole)),
    ] {
        match table.unmap(range, hole) {
            Ok(gather) => {
                machine::finish(&table, gather);
                assert_eq!(table.translate(range.first()), None);
            }
            Err(TableError::Hole { .. }) => assert!(!hole.covers(range)),
            Err(error) => assert!(is_true(error, &table, range, &[])),
        }
    }
    drop(table);
    assert_eq!(memory.live(), 0);
}

/// What only looks says nothing of addresses that are not translated.
fn looks_survive<F: Walked>(table: &Table<'_, F>, wanted: IovaRange, hole: IovaRange) {
    let geometry = table.geometry();
    let whole = geometry.whole();
    for address in [wanted.first(), wanted.last(), hole.first(), hole.last()] {
        assert!(whole.contains(address) || table.translate(address).is_none());
        assert_eq!(whole.contains(address), geometry.translates(address));
    }
    table.visit(wanted, |seen| {
        let (iopgtable::Visit::Table { span, .. } | iopgtable::Visit::Leaf { span, .. }) = seen
        else {
            return;
        };
        assert!(span.intersection(wanted).is_some());
    });
    assert!(!table.dump(wanted).to_string().is_empty());
    let reaches = |range: IovaRange| {
        let inside = whole.intersection(range).filter(|inside| inside.first() == range.first());
        inside.map_or(0, IovaRange::bytes)
    };
    for level in [i8::MIN, -1, 0, 1, 2, LAST_LEVEL, i8::MAX] {
        // The start is a multiple of a page at the level.
        let level_of_page = level.clamp(geometry.first_level(), LAST_LEVEL);
        let page = 1u64 << geometry.entry_shift(level_of_page);
        let first = Iova(wanted.first().0 & !(page - 1));
        let range = IovaRange::between(first, wanted.last());
        let taken = table.occupied(range, level);
        // Whole pages are taken, also where the range ends inside of one.
        assert!(
            taken <= reaches(range).div_ceil(page).saturating_mul(page),
            "{taken:#x} of {range} at level {level}"
        );
    }
}

/// Leaves that the caller names, of any size anywhere.
fn names_survive<F: Walked>(
    table: &mut Table<'_, F>,
    options: Options,
    wanted: IovaRange,
    segments: &[Segment],
) {
    let attributes = F::attributes(options, Prot::RW).expect("every format has it");
    let whole = table.geometry().whole();
    for (level, segment) in (-2..=4).zip(segments.iter().cycle()) {
        for count in [0, 1, 2, 512, usize::MAX] {
            for iova in [wanted.first(), wanted.last(), Iova(wanted.first().0 & !0x1f_ffff)] {
                let named = table.map_leaves(iova, segment.phys, level, count, attributes);
                if named.expect("there is memory") {
                    assert!(whole.contains(iova));
                    let found = table.translate(iova).map(|found| found.phys);
                    assert_eq!(found, Some(segment.phys));
                }
                if let Some((used, gather)) = table.unmap_leaves(iova, level, count) {
                    assert!(used <= count && whole.contains(iova));
                    machine::finish(table, gather);
                }
            }
        }
    }
}

macro_rules! survivals {
    ($($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    wanted in any_range(), hole in any_range(), prot in any_prot(),
                    segments in prop::collection::vec((number(), number()), 1..4),
                ) {
                    let segments = segments.into_iter().map(|(phys, bytes)| {
                        // Most of them short, as long ones are refused.
                        let bytes = if phys % 7 == 0 { bytes } else { bytes & 0x7f_ffff };
                        Segment::new(PhysAddr(phys), bytes)
                    });
                    let config = Config::new($input, $output)$(.with($options))?;
                    survives::<$format>(config, wanted, hole, &segments.collect::<Vec<_>>(), prot);
                }
            )*
        }
    };
}
const UPPER: Options = Options::UPPER_HALF.with(Options::CONTIGUOUS);

survivals! {
    any_arguments_s1_4k: Arm64S1<Granule4K>, 48, 48;
    any_arguments_s1_16k: Arm64S1<Granule16K>, 40, 48;
    any_arguments_s2_4k: Arm64S2<Granule4K>, 40, 40;
    any_arguments_s2_64k: Arm64S2<Granule64K>, 33, 36;
    any_arguments_mali: ArmMali, 33, 40;
    any_arguments_x86_64: X86_64, 48, 52;
    any_arguments_amd_v1: AmdV1, 64, 52;
    any_arguments_amd_v1_of_one_level: AmdV1, 21, 48;
    any_arguments_arm_v7s: ArmV7s<Unextended>, 32, 32;
    any_arguments_riscv_napot: RiscV<FirstStage>, 39, 56, Options::CONTIGUOUS.with(Options::MEMORY_TYPES);
    any_arguments_riscv_guest_napot: RiscV<GStage>, 50, 48, Options::CONTIGUOUS.with(Options::MEMORY_TYPES);
    any_arguments_x86_64_five_levels: X86_64, 57, 52, Options::UPPER_HALF;
    any_arguments_s1_4k_upper_half: Arm64S1<Granule4K>, 48, 48, Options::UPPER_HALF;
    any_arguments_s1_4k_39_upper_half: Arm64S1<Granule4K>, 39, 40, UPPER;
    any_arguments_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, 52, 52;
    any_arguments_s1_4k_lpa2_upper_half: Arm64S1<Lpa2<Granule4K>>, 52, 52, UPPER;
    any_arguments_s1_16k_lpa2: Arm64S1<Lpa2<Granule16K>>, 52, 52, Options::CONTIGUOUS;
    any_arguments_s1_64k_upper_half: Arm64S1<Granule64K>, 52, 52, UPPER;
    any_arguments_s2_4k_lpa2: Arm64S2<Lpa2<Granule4K>>, 50, 52;
    any_arguments_s2_64k_52: Arm64S2<Granule64K>, 52, 52;
    any_arguments_arm32_s1: Arm32S1, 32, 40;
    any_arguments_arm32_s1_upper_half: Arm32S1, 31, 40, UPPER;
    any_arguments_arm32_s2: Arm32S2, 40, 40, Options::CONTIGUOUS;
    any_arguments_mediatek_v7s: ArmV7s<MediaTek>, 34, 35;
    any_arguments_vtd_s2: VtdS2, 48, 52, Options::FORCE_SNOOP;
    any_arguments_vtd_s2_five_levels: VtdS2, 57, 52;
    any_arguments_riscv_upper_half: RiscV<FirstStage>, 57, 56, Options::UPPER_HALF;
    any_arguments_riscv_guest: RiscV<GStage>, 59, 56;
    any_arguments_dart: Dart<T8020>, 36, 36;
    any_arguments_dart_of_four_roots: Dart<T6000>, 38, 42;
}
