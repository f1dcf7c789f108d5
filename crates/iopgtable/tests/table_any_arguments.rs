//! No argument makes an operation panic, and an error that it gets is true of it and changes
//! nothing.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Format, Granule4K, Granule16K, Granule64K, Iova, IovaRange,
    PhysAddr, Prot, Segment, TableError,
};
use machine::{Table, Walked};
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers near everything that matters, and any others.
fn number() -> impl Strategy<Value = u64> {
    let near =
        select(vec![0u64, 1 << 21, 1 << 25, 1 << 29, 1 << 30, 1 << 33, 1 << 40, 1 << 48, !0]);
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
    let _ = table.translate(wanted.first());
    let _ = table.translate(hole.last());
    table.visit(wanted, |_| ());
    // A range without an error for its ends, to get further.
    let granule = table.geometry().granule();
    let bytes = segments.iter().fold(0u64, |sum, segment| sum.saturating_add(segment.bytes));
    let first = Iova(wanted.first().0 & table.geometry().last_iova().0 & !(granule - 1));
    let fitting = IovaRange::new(first, bytes).unwrap_or(wanted);
    for range in [wanted, fitting] {
        if range.bytes() > 1 << 34 && range.last() <= table.geometry().last_iova() {
            continue; // it may be fine, and take long
        }
        match table.map(range, segments.to_vec(), prot) {
            Ok(gather) => {
                assert_eq!(F::attributes(iopgtable::Options::NONE, prot).map(|_| ()), Ok(()));
                machine::finish(&table, gather);
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

macro_rules! survivals {
    ($($name:ident: $format:ty, $input:literal, $output:literal;)*) => {
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
                    survives::<$format>(Config::new($input, $output), wanted, hole, &segments.collect::<Vec<_>>(), prot);
                }
            )*
        }
    };
}
survivals! {
    any_arguments_s1_4k: Arm64S1<Granule4K>, 48, 48;
    any_arguments_s1_16k: Arm64S1<Granule16K>, 40, 48;
    any_arguments_s2_4k: Arm64S2<Granule4K>, 40, 40;
    any_arguments_s2_64k: Arm64S2<Granule64K>, 33, 36;
    any_arguments_mali: ArmMali, 33, 40;
}
