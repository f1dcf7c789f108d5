//! Maps that fill gaps, one behind the other or not, find what others have left there, whatever was
//! undone, unmapped, evicted or restored in between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;

use std::sync::Arc;

use gpuvm::{Backing, Op};
use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment};
use proptest::prelude::*;
use proptest::sample::select;

const PAGE: u64 = 0x1000;
/// The window: pages around an end of a table of pages, and of one above it.
const FIRST: u64 = (1 << 30) - 16 * PAGE;
const PAGES: usize = 48;

#[derive(Clone, Debug)]
enum Act {
    /// As the one before, but right behind it, or some pages further.
    Behind {
        gap: usize,
        pages: usize,
    },
    Map {
        at: usize,
        pages: usize,
    },
    Unmap {
        at: usize,
        pages: usize,
    },
    /// A map, and another one that is refused: both are undone.
    Refused {
        at: usize,
        pages: usize,
    },
    Evict,
    Restore,
}

fn act() -> impl Strategy<Value = Act> {
    let (at, pages) = (0..PAGES, 1usize..6);
    prop_oneof![
        6 => (select(vec![0usize, 0, 1, 3]), pages.clone())
            .prop_map(|(gap, pages)| Act::Behind { gap, pages }),
        2 => (at.clone(), pages.clone()).prop_map(|(at, pages)| Act::Map { at, pages }),
        2 => (at.clone(), pages.clone()).prop_map(|(at, pages)| Act::Unmap { at, pages }),
        2 => (at, pages).prop_map(|(at, pages)| Act::Refused { at, pages }),
        1 => Just(Act::Evict),
        1 => Just(Act::Restore),
    ]
}

fn range(at: usize, pages: usize) -> IovaRange {
    IovaRange::new(Iova(FIRST + at as u64 * PAGE), pages as u64 * PAGE).unwrap()
}

proptest! {
    #[test]
    fn what_is_planned_and_mapped_is_what_was_mapped_last(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let memory = machine::memory();
        let vm = machine::vm::<Arm64S1<Granule4K>>(Config::new(48, 40), &memory);
        // None of its pages follows on another one.
        let backing = |phys: u64| {
            let page = |at: u64| Segment::new(PhysAddr(phys + 2 * at * PAGE), PAGE);
            Backing::new((0..8).map(page)).unwrap()
        };
        let (steady, moving) = (backing(1 << 32), backing(1 << 33));
        let mut is_evicted = false;
        // Each page of the window: which backing it shows, and which page of that.
        let mut model: Vec<Option<(bool, u64)>> = vec![None; PAGES];
        let mut next = 0;
        let map = |at: usize, pages: usize, is_moving: bool| {
            let backing = Arc::clone(if is_moving { &moving } else { &steady });
            Op::Map { range: range(at, pages), backing, offset: PAGE, prot: Prot::RW }
        };
        for (act, number) in acts.into_iter().zip(0..) {
            let is_moving = number % 4 == 3;
            let place = match act {
                Act::Behind { gap, pages } => Some((next + gap, pages)),
                Act::Map { at, pages } => Some((at, pages)),
                _ => None,
            };
            if let Some((at, pages)) = place.filter(|(at, pages)| at + pages <= PAGES) {
                vm.bind([map(at, pages, is_moving)]).unwrap();
                for (page, shows) in (1..).zip(&mut model[at..at + pages]) {
                    *shows = Some((is_moving, page));
                }
                next = at + pages;
            }
            match act {
                Act::Unmap { at, pages } => {
                    vm.bind([Op::Unmap { range: range(at, pages) }]).unwrap();
                    let end = PAGES.min(at + pages);
                    model[at..end].fill(None);
                }
                Act::Refused { at, pages } => {
                    let bad = Op::Unmap { range: IovaRange::new(Iova(1), 1).unwrap() };
                    prop_assert!(vm.submit([map(at, pages, is_moving), bad], [], []).is_err());
                }
                Act::Evict => {
                    vm.bind([Op::Evict { backing: Arc::clone(&moving) }]).unwrap();
                    is_evicted = true;
                }
                Act::Restore if is_evicted => {
                    let (backing, with) = (Arc::clone(&moving), Arc::clone(&moving));
                    vm.bind([Op::Restore { backing, with }]).unwrap();
                    is_evicted = false;
                }
                _ => {}
            }
            for (at, &shows) in model.iter().enumerate() {
                let address = range(at, 1).first();
                let planned = vm.with_plan(|plan| {
                    let mapping = plan.get(address)?;
                    let into = address.0 - mapping.range.first().0;
                    Some((Arc::ptr_eq(&mapping.backing, &moving), (mapping.offset + into) / PAGE))
                });
                prop_assert_eq!(planned, shows, "page {}", at);
                let there = shows.filter(|&(is_moving, _)| !(is_moving && is_evicted));
                let leads = there.map(|(is_moving, page)| {
                    PhysAddr((1 << (32 + u64::from(is_moving))) + 2 * page * PAGE)
                });
                prop_assert_eq!(vm.translate(address).map(|to| to.phys), leads, "page {}", at);
            }
            let figures = vm.figures();
            prop_assert_eq!(figures.tables_reserved, figures.tables_installed);
        }
    }
}
