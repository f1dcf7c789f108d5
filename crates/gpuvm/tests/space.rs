//! The planned VA map splits as Linux documents it, and is what a page-by-page model says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use gpuvm::space::{Placed, Transition};
use gpuvm::{Backing, Mapping, Space};
use iopgtable::{Iova, IovaRange, PhysAddr, Prot, Segment};
use proptest::prelude::*;

const PAGE: u64 = 4096;

/// Pages from `first` to before `end` of backing `object`, which they show from page `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pages {
    first: u64,
    end: u64,
    object: usize,
    offset: u64,
}

const A: usize = 0;
const B: usize = 1;

const fn pages(first: u64, end: u64, object: usize, offset: u64) -> Pages {
    Pages { first, end, object, offset }
}

/// Backings to tell apart, of 64 pages each.
fn objects() -> [Arc<Backing>; 3] {
    [1, 2, 3].map(|object| Backing::new([Segment::new(PhysAddr(object << 32), 64 * PAGE)]).unwrap())
}

/// The page range that begins `base` bytes into the address space.
fn range(base: u64, first: u64, end: u64) -> IovaRange {
    IovaRange::new(Iova(base + first * PAGE), (end - first) * PAGE).unwrap()
}

fn mapping(objects: &[Arc<Backing>], base: u64, pages: Pages) -> Mapping {
    Mapping {
        range: range(base, pages.first, pages.end),
        backing: Arc::clone(&objects[pages.object]),
        offset: pages.offset * PAGE,
        prot: Prot::RW,
    }
}

fn shown(objects: &[Arc<Backing>], base: u64, mapping: &Mapping) -> Pages {
    let first = (mapping.range.first().0 - base) / PAGE;
    let is_it = |object: &Arc<Backing>| Arc::ptr_eq(object, &mapping.backing);
    Pages {
        first,
        end: first + mapping.range.bytes() / PAGE,
        object: objects.iter().position(is_it).unwrap(),
        offset: mapping.offset / PAGE,
    }
}

/// What a request does to one mapping.
struct Case {
    name: &'static str,
    old: Pages,
    request: Pages,
    left: Option<Pages>,
    right: Option<Pages>,
    keep: bool,
}

/// The cases at the head of Linux's `drivers/gpu/drm/drm_gpuvm.c`, in its order.
#[rustfmt::skip]
const CASES: [Case; 15] = [
    Case { name: "1: identical",
        old: pages(0, 1, A, 5), request: pages(0, 1, A, 5), left: None, right: None, keep: true },
    Case { name: "2: identical but for the offset",
        old: pages(0, 1, A, 5), request: pages(0, 1, A, 9), left: None, right: None, keep: false },
    Case { name: "3: identical but for the object",
        old: pages(0, 1, A, 5), request: pages(0, 1, B, 5), left: None, right: None, keep: false },
    Case { name: "4: the old is a left-aligned subset",
        old: pages(0, 1, A, 5), request: pages(0, 2, A, 5), left: None, right: None, keep: true },
    Case { name: "5: the request is a left-aligned subset of another object",
        old: pages(0, 2, A, 5), request: pages(0, 1, B, 5),
        left: None, right: Some(pages(1, 2, A, 6)), keep: false },
    Case { name: "6: the request is a left-aligned subset of the same object",
        old: pages(0, 2, A, 5), request: pages(0, 1, A, 5),
        left: None, right: Some(pages(1, 2, A, 6)), keep: true },
    Case { name: "7: the request is a right-aligned subset of another object",
        old: pages(0, 2, A, 5), request: pages(1, 2, B, 9),
        left: Some(pages(0, 1, A, 5)), right: None, keep: false },
    Case { name: "8: the request is a right-aligned subset of the same object",
        old: pages(0, 2, A, 5), request: pages(1, 2, A, 6),
        left: Some(pages(0, 1, A, 5)), right: None, keep: true },
    Case { name: "9: the old is overlapped at its end by another object",
        old: pages(0, 2, A, 5), request: pages(1, 3, B, 9),
        left: Some(pages(0, 1, A, 5)), right: None, keep: false },
    Case { name: "10: the old is overlapped at its end by the same object",
        old: pages(0, 2, A, 5), request: pages(1, 3, A, 6),
        left: Some(pages(0, 1, A, 5)), right: None, keep: true },
    Case { name: "11: the request is a centred subset of another object",
        old: pages(0, 3, A, 5), request: pages(1, 2, B, 9),
        left: Some(pages(0, 1, A, 5)), right: Some(pages(2, 3, A, 7)), keep: false },
    Case { name: "12: the request is a centred subset of the same object",
        old: pages(0, 3, A, 5), request: pages(1, 2, A, 6),
        left: Some(pages(0, 1, A, 5)), right: Some(pages(2, 3, A, 7)), keep: true },
    Case { name: "13: the old is a right-aligned subset",
        old: pages(1, 2, A, 6), request: pages(0, 2, A, 5), left: None, right: None, keep: true },
    Case { name: "14: the old is a centred subset",
        old: pages(1, 2, A, 6), request: pages(0, 3, A, 5), left: None, right: None, keep: true },
    Case { name: "15: the old is overlapped at its start by another object",
        old: pages(1, 3, A, 5), request: pages(0, 2, B, 9),
        left: None, right: Some(pages(2, 3, A, 6)), keep: false },
];

#[track_caller]
fn check_transition(case: &Case, transition: &Transition, inserted: Option<Pages>) {
    let (objects, name) = (&OBJECTS.with(Clone::clone), case.name);
    let see = |mapping: &Mapping| shown(objects, 0, mapping);
    let see_placed = |placed: &Placed| see(&placed.mapping);
    let removed: Vec<Pages> = transition.removed.iter().map(see_placed).collect();
    assert_eq!(removed, [case.old], "{name}");
    assert_eq!(transition.left.as_ref().map(see_placed), case.left, "{name}");
    assert_eq!(transition.right.as_ref().map(see_placed), case.right, "{name}");
    assert_eq!(transition.inserted.first().map(see_placed), inserted, "{name}");
    let displaced: Vec<_> = transition.displaced().collect();
    assert_eq!(displaced.len(), 1, "{name}");
    assert_eq!(see(displaced[0].old), case.old, "{name}");
    assert_eq!(displaced[0].left.map(see), case.left, "{name}");
    assert_eq!(displaced[0].right.map(see), case.right, "{name}");
    assert_eq!(displaced[0].keep, case.keep && inserted.is_some(), "{name}");
}

thread_local! {
    static OBJECTS: [Arc<Backing>; 3] = objects();
}

#[test]
fn a_map_splits_what_it_overlaps_as_linux_documents_it() {
    let objects = OBJECTS.with(Clone::clone);
    for case in &CASES {
        let mut space = Space::new();
        space.map(mapping(&objects, 0, case.old));
        let transition = space.map(mapping(&objects, 0, case.request));
        check_transition(case, &transition, Some(case.request));
        let expected: Vec<Pages> =
            [case.left, Some(case.request), case.right].into_iter().flatten().collect();
        let found: Vec<Pages> = space.iter().map(|now| shown(&objects, 0, now)).collect();
        assert_eq!(found, expected, "{}", case.name);
    }
}

#[test]
fn an_unmap_splits_like_a_map_and_adds_nothing() {
    let objects = OBJECTS.with(Clone::clone);
    for case in &CASES {
        let mut space = Space::new();
        space.map(mapping(&objects, 0, case.old));
        let transition = space.unmap(range(0, case.request.first, case.request.end));
        check_transition(case, &transition, None);
        let expected: Vec<Pages> = [case.left, case.right].into_iter().flatten().collect();
        let found: Vec<Pages> = space.iter().map(|now| shown(&objects, 0, now)).collect();
        assert_eq!(found, expected, "{}", case.name);
    }
}

#[test]
fn displaced_gives_the_left_rest_to_the_first_and_the_right_rest_to_the_last() {
    let objects = objects();
    let mut space = Space::new();
    for old in [pages(0, 2, A, 0), pages(3, 4, B, 3), pages(5, 8, A, 4)] {
        space.map(mapping(&objects, 0, old));
    }
    let transition = space.map(mapping(&objects, 0, pages(1, 6, B, 1)));
    let rests: Vec<_> = transition
        .displaced()
        .map(|one| (one.left.is_some(), one.right.is_some(), one.keep))
        .collect();
    let expected = [(true, false, false), (false, false, true), (false, true, false)];
    assert_eq!(rests, expected);
}

const MODEL_PAGES: u64 = 24;

/// One cell per page: which request mapped it, which backing it shows, which page of that. Pages
/// side by side are one mapping if the same request mapped them.
type Cells = [Option<(usize, usize, u64)>; MODEL_PAGES as usize];

#[derive(Clone, Debug)]
enum Request {
    Map(Pages),
    Unmap(u64, u64),
    Undo,
}

fn request() -> impl Strategy<Value = Request> {
    let extent = (0..MODEL_PAGES, 1..=8u64)
        .prop_map(|(first, count)| (first, (first + count).min(MODEL_PAGES)));
    prop_oneof![
        4 => (extent.clone(), 0..3usize, 0..32u64)
            .prop_map(|((first, end), object, offset)| Request::Map(pages(first, end, object, offset))),
        2 => extent.prop_map(|(first, end)| Request::Unmap(first, end)),
        1 => Just(Request::Undo),
    ]
}

fn mappings_of(cells: &Cells) -> Vec<Pages> {
    let mut found: Vec<(usize, Pages)> = Vec::new();
    for (page, cell) in (0..).zip(cells) {
        let &Some((request, object, offset)) = cell else {
            continue;
        };
        match found.last_mut() {
            Some((same, run)) if *same == request && run.end == page => run.end += 1,
            _ => found.push((request, pages(page, page + 1, object, offset))),
        }
    }
    found.into_iter().map(|(_, run)| run).collect()
}

fn check_space(objects: &[Arc<Backing>], base: u64, space: &Space, cells: &Cells) {
    let expected = mappings_of(cells);
    let see = |mapping: &Mapping| shown(objects, base, mapping);
    assert_eq!(space.iter().map(see).collect::<Vec<_>>(), expected);
    assert_eq!((space.len(), space.is_empty()), (expected.len(), expected.is_empty()));
    let is_mapped = |page: u64| cells[usize::try_from(page).unwrap()].is_some();
    for page in 0..MODEL_PAGES {
        let holder = expected.iter().find(|run| run.first <= page && page < run.end);
        let (first, last) = (base + page * PAGE, base + (page * PAGE + PAGE - 1));
        for address in [first, last] {
            assert_eq!(space.get(Iova(address)).map(see).as_ref(), holder);
        }
        let below = (0..page).rev().find(|&page| is_mapped(page));
        let below = below.map(|page| Iova(base + (page * PAGE + PAGE - 1)));
        assert_eq!(space.last_below(Iova(first)), below);
        let within = is_mapped(page).then_some(Iova(last - 1));
        assert_eq!(space.last_below(Iova(last)), within.or(below));
        let above = (page + 1..MODEL_PAGES).find(|&page| is_mapped(page));
        let above = above.map(|page| Iova(base + page * PAGE));
        assert_eq!(space.first_above(Iova(last)), above);
        let within = is_mapped(page).then_some(Iova(first + 1));
        assert_eq!(space.first_above(Iova(first)), within.or(above));
        for end in page + 1..=MODEL_PAGES {
            let found: Vec<Pages> = space.overlapping(range(base, page, end)).map(see).collect();
            let overlap = |run: &&Pages| run.first < end && page < run.end;
            let expected: Vec<Pages> = expected.iter().filter(overlap).copied().collect();
            assert_eq!(found, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// At both ends of the 64-bit space, too.
    #[test]
    fn a_space_is_what_its_pages_say_and_undo_restores_it(
        base in prop::sample::select(vec![
            0, 1 << 40, (u64::MAX - MODEL_PAGES * PAGE) + 1,
        ]),
        requests in prop::collection::vec(request(), 1..40),
    ) {
        let objects = objects();
        let mut space = Space::new();
        let mut cells: Cells = [None; MODEL_PAGES as usize];
        let mut past: Vec<(Cells, Transition)> = Vec::new();
        for (number, request) in requests.into_iter().enumerate() {
            let before = cells;
            let (run, transition) = match request {
                Request::Map(run) => {
                    for page in run.first..run.end {
                        cells[usize::try_from(page).unwrap()] =
                            Some((number, run.object, run.offset + (page - run.first)));
                    }
                    (run, space.map(mapping(&objects, base, run)))
                }
                Request::Unmap(first, end) => {
                    for page in first..end {
                        cells[usize::try_from(page).unwrap()] = None;
                    }
                    (pages(first, end, 0, 0), space.unmap(range(base, first, end)))
                }
                Request::Undo => {
                    if let Some((earlier, transition)) = past.pop() {
                        space.undo(transition);
                        cells = earlier;
                        check_space(&objects, base, &space, &cells);
                    }
                    continue;
                }
            };
            let removed: Vec<Pages> = transition
                .removed
                .iter()
                .map(|old| shown(&objects, base, &old.mapping))
                .collect();
            let overlap = |old: &Pages| old.first < run.end && run.first < old.end;
            let expected: Vec<Pages> = mappings_of(&before).into_iter().filter(overlap).collect();
            prop_assert_eq!(removed, expected);
            past.push((before, transition));
            check_space(&objects, base, &space, &cells);
        }
        for (earlier, transition) in past.into_iter().rev() {
            space.undo(transition);
            check_space(&objects, base, &space, &earlier);
        }
        prop_assert!(space.is_empty());
    }
}
