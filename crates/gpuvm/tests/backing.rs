//! The runs of a backing are its bytes in their order, cut at its segments.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use gpuvm::{Backing, BackingError};
use iopgtable::{PhysAddr, Segment};
use proptest::prelude::*;
use proptest::sample::select;

const fn segment(phys: u64, bytes: u64) -> Segment {
    Segment::new(PhysAddr(phys), bytes)
}

/// Segments of a few units each; many follow physically on the one before.
fn segments(unit: u64) -> impl Strategy<Value = Vec<Segment>> {
    prop::collection::vec((select(vec![0u64, 0, 1, 3]), 1u64..6), 1..12).prop_map(move |raw| {
        let mut phys = 7 * unit;
        raw.into_iter()
            .map(|(gap, length)| {
                let segment = segment(phys + gap * unit, length * unit);
                phys += (gap + length) * unit;
                segment
            })
            .collect()
    })
}

/// The physical address of each unit.
fn units(segments: impl IntoIterator<Item = Segment>, unit: u64) -> Vec<u64> {
    segments
        .into_iter()
        .flat_map(|segment| (0..segment.bytes / unit).map(move |n| segment.phys.0 + n * unit))
        .collect()
}

fn is_coalesced(segments: &[Segment]) -> bool {
    segments.windows(2).all(|pair| pair[0].phys.0 + pair[0].bytes != pair[1].phys.0)
}

proptest! {
    #[test]
    fn runs_are_the_bytes_of_the_segments_in_order(
        unit in select(vec![1u64, 4096]),
        seed in any::<prop::sample::Index>(),
        raw in segments(1),
        bytes in 0u64..80,
    ) {
        let raw: Vec<Segment> = raw
            .into_iter()
            .map(|one| segment(one.phys.0 * unit, one.bytes * unit))
            .collect();
        let backing = Backing::new(raw.clone()).unwrap();
        let all = units(raw.iter().copied(), unit);
        prop_assert_eq!(backing.bytes(), all.len() as u64 * unit);
        prop_assert_eq!(units(backing.segments(), unit), all.clone());
        prop_assert!(is_coalesced(&backing.segments().collect::<Vec<_>>()));
        let longest = backing.segments().map(|one| one.bytes).max();
        prop_assert_eq!(Some(backing.longest()), longest);
        prop_assert_eq!(backing.last_phys().0, all.iter().max().unwrap() + (unit - 1));
        prop_assert!(backing.is_aligned(unit));

        // From within, from the end, from beyond it.
        let offset = seed.index(all.len() + 3);
        let runs: Vec<Segment> = backing.runs(offset as u64 * unit, bytes * unit).collect();
        let expected: Vec<u64> = all
            .iter()
            .skip(offset)
            .take(usize::try_from(bytes).unwrap())
            .copied()
            .collect();
        prop_assert_eq!(units(runs.clone(), unit), expected);
        prop_assert!(is_coalesced(&runs));
        prop_assert!(runs.iter().all(|run| run.bytes > 0));
    }

    #[test]
    fn a_backing_is_aligned_to_what_all_its_segments_are(raw in segments(4096), shift in 0u32..20) {
        let backing = Backing::new(raw.clone()).unwrap();
        let size = 1u64 << shift;
        let mut joined = backing.segments();
        let expected = joined.all(|one| one.phys.0 % size == 0 && one.bytes % size == 0);
        prop_assert_eq!(backing.is_aligned(size), expected);
    }
}

#[test]
fn adjacent_segments_become_one_and_others_stay_apart() {
    let backing = Backing::new([
        segment(0x1000, 0x1000),
        segment(0x2000, 0x1000),
        segment(0x3000, 0x1000),
        segment(0x1000, 0x1000), // the same memory again, not adjacent
        segment(0x9000, 0x1000),
    ])
    .unwrap();
    let expected = [segment(0x1000, 0x3000), segment(0x1000, 0x1000), segment(0x9000, 0x1000)];
    assert_eq!(backing.segments().collect::<Vec<_>>(), expected);
    assert_eq!(backing.longest(), 0x3000);
}

#[test]
fn a_backing_without_memory_is_refused() {
    assert_eq!(Backing::new([]).unwrap_err(), BackingError::Empty);
    let empty = segment(0x1000, 0);
    let refused = Backing::new([segment(0, 0x1000), empty]).unwrap_err();
    assert_eq!(refused, BackingError::Segment(empty));
}

#[test]
fn memory_may_end_at_the_end_of_the_physical_space_but_not_beyond() {
    let to_the_end = segment(u64::MAX - 0xfff, 0x1000);
    let backing = Backing::new([to_the_end]).unwrap();
    assert_eq!(backing.last_phys(), PhysAddr(u64::MAX));
    assert_eq!(backing.runs(0x800, 0x1000).collect::<Vec<_>>(), [segment(u64::MAX - 0x7ff, 0x800)]);
    let beyond = segment(u64::MAX - 0xfff, 0x1001);
    assert_eq!(Backing::new([beyond]).unwrap_err(), BackingError::Segment(beyond));
}

#[test]
fn a_backing_of_2_to_the_64_bytes_is_refused() {
    let half = 1 << 63;
    for second in [0, half] {
        let segments = [segment(0, half), segment(second, half)];
        let refused = Backing::new(segments).unwrap_err();
        assert_eq!(refused, BackingError::Segment(segments[1]));
    }
    let backing = Backing::new([segment(0, half), segment(half, half - 1)]).unwrap();
    assert_eq!(backing.bytes(), u64::MAX);
    assert_eq!(backing.segments().count(), 1);
}
