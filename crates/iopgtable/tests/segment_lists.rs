//! A list that was looked at once is its segments in their order, whole and in parts, however it
//! keeps them and finds them; and it is mapped as they would be.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::{
    Arm64S1, ArmV7s, Config, Granule4K, Granule16K, Granule64K, Iova, Listed, Lpa2, Options,
    PackedSegment, PhysAddr, Prot, Segment, SegmentList, SegmentSlice, SegmentsError, SegmentsPart,
    Unextended, X86_64,
};
use machine::{Walked, range};
use proptest::prelude::*;
use proptest::sample::select;

/// Segments of one length in pages, but for the last and perhaps one that is odd; in no order that
/// could be mistaken for a run.
#[derive(Clone, Debug)]
struct Shape {
    piece: u64,
    count: u64,
    last: u64,
    odd: Option<(prop::sample::Index, u64)>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let piece = select(vec![1u64, 2, 7, 8, 16, 24, 32, 256, 512]);
    let odd = prop::option::of((any::<prop::sample::Index>(), 1u64..20));
    (piece, 1u64..40, 1u64..33, odd).prop_map(|(piece, count, last, odd)| Shape {
        piece,
        count,
        last,
        odd,
    })
}

fn segments(shape: &Shape, page: u64) -> Vec<Segment> {
    let Shape { piece, count, last, odd } = shape;
    let mut lengths = vec![*piece; usize::try_from(*count).expect("a few")];
    if let Some((place, length)) = odd {
        let place = place.index(lengths.len());
        lengths[place] = *length;
    }
    lengths.push(*last);
    let place = |at: u64| PhysAddr((at * 7919 % 0x700) * 512 * page);
    let segment = |(length, at): (u64, u64)| Segment::new(place(at), length * page);
    lengths.into_iter().zip(0..).map(segment).collect()
}

fn packed(segments: &[Segment]) -> Vec<PackedSegment> {
    let pack = |&segment| PackedSegment::new(segment).expect("whole pages");
    segments.iter().map(pack).collect()
}

/// The pages of some segments, by their addresses.
fn pages(segments: impl Iterator<Item = Segment>) -> Vec<u64> {
    let pages = |one: Segment| (0..one.bytes >> 12).map(move |page| one.phys.0 + (page << 12));
    segments.flat_map(pages).collect()
}

proptest! {
    #[test]
    fn a_part_is_a_part_of_the_segments(shape in shape(), offset in 0u64..2000, count in 0u64..900) {
        let segments = segments(&shape, 0x1000);
        let (offset, bytes) = (offset << 12, count << 12);
        let all = pages(segments.iter().copied());
        let from = usize::try_from(offset >> 12).unwrap().min(all.len());
        let to = usize::try_from((offset + bytes) >> 12).unwrap().min(all.len());

        let room = |count| vec![u64::MAX; count];
        let found = SegmentList::searchable(packed(&segments), room).unwrap();
        let walked = SegmentList::new(&segments[..]).unwrap();
        let starts = vec![0; segments.len()];
        let listed = SegmentList::with_starts(&segments[..], starts).unwrap();
        prop_assert_eq!(found.find(offset), listed.find(offset));
        prop_assert_eq!(walked.find(offset), listed.find(offset));
        let (index, start) = listed.find(offset);
        prop_assert_eq!(start, segments[..index].iter().map(|one| one.bytes).sum::<u64>());
        prop_assert!(start <= offset);
        prop_assert!(index + 1 == segments.len() || offset < start + segments[index].bytes);

        let expected = &all[from..to];
        prop_assert_eq!(pages(found.part(offset, bytes).segments()), expected);
        prop_assert_eq!(pages(walked.part(offset, bytes).segments()), expected);
        prop_assert_eq!(pages(listed.part(offset, bytes).segments()), expected);
        let longest = segments.iter().map(|one| one.bytes).max();
        prop_assert_eq!((Some(found.longest()), found.bytes()), (longest, walked.bytes()));
        prop_assert_eq!(found.last_phys(), walked.last_phys());
    }

    #[test]
    fn only_lists_of_unequal_segments_take_starts(shape in shape()) {
        let segments = segments(&shape, 0x1000);
        let (last, rest) = segments.split_last().unwrap();
        let is_even = rest.iter().all(|one| one.bytes == rest[0].bytes) && last.bytes <= rest[0].bytes;
        let mut asked = None;
        SegmentList::searchable(&segments[..], |count| {
            asked = Some(count);
            vec![0; count]
        })
        .unwrap();
        prop_assert_eq!(asked, Some(if is_even { 0 } else { segments.len() }));
        let wrong = SegmentList::searchable(&segments[..], |count| vec![0; count + 1]);
        let starts = segments.len() + 1;
        if !is_even {
            let error = SegmentsError::Starts { segments: segments.len(), starts };
            prop_assert_eq!(wrong.map(drop).unwrap_err(), error);
        }
    }
}

#[test]
fn a_segment_is_packed_if_it_fits() {
    let page = 0x1000;
    let largest = Segment::new(PhysAddr((1 << 52) - page), ((1 << 24) - 1) * page);
    for segment in [Segment::new(PhysAddr(0), page), largest] {
        let packed = PackedSegment::new(segment).unwrap();
        assert_eq!(packed.segment(), segment);
        assert_eq!(format!("{packed:?}"), format!("{segment:?}"));
    }
    for (phys, bytes) in [(1 << 52, page), (0, page << 24), (0x800, page), (0, 0x800)] {
        assert_eq!(PackedSegment::new(Segment::new(PhysAddr(phys), bytes)), None);
    }
}

/// A part of a list is mapped as its segments are, one by one, and so is a slice of them.
fn compare<F: Walked>(
    config: Config,
    shape: &Shape,
    first: u64,
    (skip, count): (u64, u64),
    is_linked: bool,
) {
    let memories = [machine::memory(), machine::memory(), machine::memory()];
    let mut tables = memories.each_ref().map(|memory| machine::table::<F>(config, memory));
    let [table, sliced, twin] = &mut tables;
    let page = table.geometry().granule();
    let segments = segments(shape, page);
    let list = SegmentList::searchable(packed(&segments), |count| vec![0; count]);
    let list = list.expect("good segments");
    let offset = skip * page % list.bytes();
    let part: SegmentsPart<'_, _> = list.part(offset, count * page);
    let whole = range(first * page, part.bytes());
    if is_linked {
        for table in [&mut *table, &mut *sliced, &mut *twin] {
            let ends = [whole.first(), Iova(whole.last().0 - (page - 1))];
            for page in ends.map(|end| range(end.0, page)) {
                let gather = table.map(page, Segment::new(PhysAddr(0), page.bytes()), Prot::READ);
                machine::finish(table, gather.expect("there is room"));
                let gather = table.unmap(page, page);
                machine::finish(table, gather.expect("it is mapped"));
            }
        }
    }
    let one_by_one: Vec<Segment> = part.segments().collect();
    let gather = table.map(whole, part, Prot::RW).expect("there is room");
    machine::finish(table, gather);
    let gather = sliced.map(whole, SegmentSlice(&one_by_one), Prot::RW).expect("there is room");
    machine::finish(sliced, gather);
    let gather = twin.map(whole, one_by_one.iter().copied(), Prot::RW).expect("there is room");
    machine::finish(twin, gather);
    let expected = machine::dump(twin);
    assert_eq!(machine::dump(table), expected);
    assert_eq!(machine::dump(sliced), expected);
}

macro_rules! mapped_alike {
    ($($name:ident: $format:ty, $config:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    shape in shape(), first in select(vec![0u64, 1, 8, 500, 512, 1000]),
                    skip in 0u64..100, count in 1u64..2000, is_linked: bool,
                ) {
                    compare::<$format>($config, &shape, first, (skip, count), is_linked);
                }
            )*
        }
    };
}

mapped_alike! {
    in_stage_1: Arm64S1<Granule4K>, Config::new(48, 48);
    with_groups: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::CONTIGUOUS);
    in_large_pages: Arm64S1<Granule16K>, Config::new(47, 48);
    in_large_pages_with_groups: Arm64S1<Granule16K>, Config::new(47, 48).with(Options::CONTIGUOUS);
    with_packed_addresses: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52);
    with_packed_addresses_that_are_short: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 48);
    in_the_largest_pages_with_packed_addresses: Arm64S1<Granule64K>, Config::new(48, 52);
    in_the_largest_pages: Arm64S1<Granule64K>, Config::new(48, 48);
    in_short_descriptors: ArmV7s<Unextended>, Config::new(32, 32);
    for_x86: X86_64, Config::new(48, 48);
}
