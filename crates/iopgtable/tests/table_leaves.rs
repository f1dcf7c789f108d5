//! Leaves that the caller names: they do what `map` and `unmap` would do, or nothing, and no table
//! is used through the cursor once it may have gone.

#![cfg(feature = "alloc")]

mod machine;

use std::collections::BTreeMap;

use iopgtable::{
    Arm64S1, Config, Format, Granule4K, Iova, IovaRange, Options, PhysAddr, Prot, Segment, Unwalked,
};
use machine::{Memory, Table, memory, table};
use proptest::prelude::*;
use proptest::sample::select;

type F = Arm64S1<Granule4K>;

const PAGE: u64 = 4096;
const BLOCK: u64 = 512 * PAGE;
/// Four blocks on either side of a GiB: two tables of blocks, eight of pages.
const WINDOW: IovaRange = match IovaRange::new(Iova((1 << 30) - 4 * BLOCK), 8 * BLOCK) {
    Ok(window) => window,
    Err(_) => panic!("a window"),
};

#[derive(Clone, Debug)]
enum Act {
    MapLeaves { level: i8, at: u64, count: usize, phys: u64 },
    UnmapLeaves { level: i8, at: u64, count: usize },
    Map { at: u64, pages: u64, phys: u64 },
    Unmap { at: u64, pages: u64, exact: bool },
    Clear { at: u64, pages: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    // Mostly in the two blocks in the middle, so that the acts meet.
    let block = || select(vec![3u64, 3, 3, 4, 4, 0, 7]);
    let at = || (block(), select(vec![0u64, 0, 1, 2, 511])).prop_map(|(b, p)| b * 512 + p);
    let pages = || select(vec![1u64, 1, 2, 3, 511, 512, 513, 1024]);
    let level = || select(vec![3i8, 3, 3, 2, 1, 0]);
    let count = || select(vec![1usize, 1, 2, 3, 512, 0]);
    prop_oneof![
        3 => (level(), at(), count(), 0u64..1 << 20)
            .prop_map(|(level, at, count, phys)| Act::MapLeaves { level, at, count, phys }),
        3 => (level(), at(), count())
            .prop_map(|(level, at, count)| Act::UnmapLeaves { level, at, count }),
        2 => (at(), pages(), 0u64..1 << 20).prop_map(|(at, pages, phys)| Act::Map { at, pages, phys }),
        2 => (at(), pages(), any::<bool>())
            .prop_map(|(at, pages, exact)| Act::Unmap { at, pages, exact }),
        1 => (at(), pages()).prop_map(|(at, pages)| Act::Clear { at, pages }),
    ]
}

/// Where each page of the window leads.
type Model = BTreeMap<u64, u64>;

fn address(page: u64) -> u64 {
    WINDOW.first().0 + page * PAGE
}

/// The part of the window that a range of pages takes.
fn range(at: u64, pages: u64) -> Option<IovaRange> {
    IovaRange::new(Iova(address(at)), pages * PAGE).ok()?.intersection(WINDOW)
}

/// What is not mapped around `range`.
fn hole(model: &Model, range: IovaRange) -> IovaRange {
    let below = model.range(..range.first().0).next_back().map_or(0, |(page, _)| page + PAGE);
    let above = model.range(range.last().0..).next().map_or((1 << 48) - 1, |(page, _)| page - 1);
    IovaRange::inclusive(Iova(below), Iova(above)).expect("a hole holds its range")
}

fn step(table: &mut Table<'_, F>, model: &mut Model, act: &Act) {
    let attributes = F::attributes(Options::NONE, Prot::RW).expect("stage 1 has it");
    let gather = match *act {
        Act::MapLeaves { level, at, count, phys } => {
            let bytes = PAGE << (9 * (3 - level));
            let phys = (phys * PAGE) & !(bytes - 1);
            let (iova, phys_at) = (Iova(address(at)), PhysAddr(phys));
            let done = table.map_leaves(iova, phys_at, level, count, attributes);
            if done.expect("there is memory") {
                for into in (0..bytes * count as u64).step_by(PAGE as usize) {
                    let before = model.insert(address(at) + into, phys + into);
                    assert_eq!(before, None, "nothing is overwritten");
                }
            }
            return;
        }
        Act::UnmapLeaves { level, at, count } => {
            let Some((used, gather)) = table.unmap_leaves(Iova(address(at)), level, count) else {
                return;
            };
            let bytes = (PAGE << (9 * (3 - level))) * used as u64;
            for into in (0..bytes).step_by(PAGE as usize) {
                assert!(model.remove(&(address(at) + into)).is_some(), "it was mapped");
                let stale = gather.stale().leaves.expect("leaves are gone");
                assert!(stale.contains(Iova(address(at) + into)));
            }
            gather
        }
        Act::Map { at, pages, phys } => {
            let Some(range) = range(at, pages) else { return };
            let segment = Segment::new(PhysAddr(phys * PAGE), range.bytes());
            let taken = model.range(range.first().0..=range.last().0).next().is_some();
            match table.map(range, Some(segment), Prot::RW) {
                Ok(gather) => {
                    assert!(!taken);
                    for into in (0..range.bytes()).step_by(PAGE as usize) {
                        model.insert(range.first().0 + into, phys * PAGE + into);
                    }
                    gather
                }
                Err(error) => return assert!(taken, "{error}"),
            }
        }
        Act::Unmap { at, pages, exact } => {
            let Some(range) = range(at, pages) else { return };
            model.retain(|&page, _| !range.contains(Iova(page)));
            let hole = if exact { hole(model, range) } else { range };
            table.unmap(range, hole).expect("there is memory")
        }
        Act::Clear { at, pages } => {
            let Some(range) = range(at, pages) else { return };
            model.retain(|&page, _| !range.contains(Iova(page)));
            table.clear(range).expect("there is memory")
        }
    };
    // What is freed is overwritten, so that a table which is used all the same shows.
    table.finish(gather, &mut Unwalked).expect("nobody can refuse");
}

fn check(table: &Table<'_, F>, model: &Model) {
    for page in 0..WINDOW.bytes() / PAGE {
        let found = table.translate(Iova(address(page))).map(|found| found.phys.0);
        assert_eq!(found, model.get(&address(page)).copied(), "page {page}");
    }
    for level in [2, 3] {
        let unit = PAGE << (9 * (3 - level));
        for first in (WINDOW.first().0..=WINDOW.last().0).step_by(37 * unit as usize) {
            let range = IovaRange::inclusive(Iova(first), WINDOW.last()).expect("not empty");
            let taken = table.occupied(range, level);
            assert_eq!(taken % unit, 0);
            let mapped = (first..first + taken).step_by(PAGE as usize);
            if level == 3 {
                assert!(mapped.clone().all(|page| model.contains_key(&page)), "no hole before it");
                assert!(taken == range.bytes() || !model.contains_key(&(first + taken)), "a hole");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn named_leaves_agree_with_maps_and_unmaps(acts in prop::collection::vec(act(), 1..60)) {
        let memory: Memory = memory();
        let mut table = table::<F>(Config::new(48, 48), &memory);
        let mut model = Model::new();
        for act in &acts {
            step(&mut table, &mut model, act);
            check(&table, &model);
        }
        drop(table);
        prop_assert_eq!(memory.live(), 0);
    }
}

#[test]
fn a_cursor_is_forgotten_when_its_table_comes_loose() {
    let memory = memory();
    let mut table = table::<F>(Config::new(48, 48), &memory);
    let attributes = F::attributes(Options::NONE, Prot::RW).expect("stage 1 has it");
    let page = IovaRange::new(Iova(1 << 30), PAGE).expect("a page");
    let map = |table: &mut Table<'_, F>| {
        let gather = table.map(page, Some(Segment::new(PhysAddr(0), PAGE)), Prot::RW);
        table.finish(gather.expect("it is free"), &mut Unwalked).expect("nobody can refuse");
    };
    map(&mut table);
    // The cursor leads to the table of pages now.
    let next = Iova((1 << 30) + PAGE);
    assert_eq!(table.map_leaves(next, PhysAddr(PAGE), 3, 1, attributes), Ok(true));
    let whole = machine::whole(&table);
    let gather = table.unmap(whole, whole).expect("all can be unmapped");
    assert_eq!(table.finish(gather, &mut Unwalked).expect("nobody can refuse"), 3);
    // A page that has never been mapped, and so is empty in the table that went.
    let other = Iova((1 << 30) + 7 * PAGE);
    assert_eq!(table.map_leaves(other, PhysAddr(PAGE), 3, 1, attributes), Ok(true));
    assert_eq!(table.translate(other).map(|found| found.phys), Some(PhysAddr(PAGE)));
    assert_eq!(memory.live(), 4, "in a table of its own");
}

#[test]
fn a_cursor_is_forgotten_when_a_block_takes_the_place_of_its_table() {
    let memory = memory();
    let mut table = table::<F>(Config::new(48, 48), &memory);
    let attributes = F::attributes(Options::NONE, Prot::RW).expect("stage 1 has it");
    let page = IovaRange::new(Iova(1 << 30), PAGE).expect("a page");
    let block = IovaRange::new(Iova(1 << 30), BLOCK).expect("a block");
    let gather = table.map(page, Some(Segment::new(PhysAddr(0), PAGE)), Prot::RW);
    table.finish(gather.expect("it is free"), &mut Unwalked).expect("nobody can refuse");
    // The table stays, empty, and the cursor leads to it.
    let (used, gather) = table.unmap_leaves(page.first(), 3, 1).expect("it is there");
    assert_eq!(used, 1);
    table.finish(gather, &mut Unwalked).expect("nobody can refuse");
    let gather = table.map(block, Some(Segment::new(PhysAddr(0), BLOCK)), Prot::RW);
    let gather = gather.expect("it is free");
    assert_eq!(table.finish(gather, &mut Unwalked).expect("nobody can refuse"), 1);
    let other = Iova((1 << 30) + 7 * PAGE);
    let named = table.map_leaves(other, PhysAddr(0), 3, 1, attributes);
    assert_eq!(named, Ok(false), "a block is there");
    assert!(table.unmap_leaves(other, 3, 1).is_none(), "it is not a leaf of that size");
    assert_eq!(table.translate(other).map(|found| found.leaf_bytes), Some(BLOCK));
}

/// Entries do not tell addresses apart that differ above what a table translates.
#[test]
fn an_address_that_is_not_translated_is_not_occupied() {
    let memory = memory();
    for config in [Config::new(39, 48), Config::new(39, 48).with(Options::UPPER_HALF)] {
        let mut table = table::<F>(config, &memory);
        let page = IovaRange::new(table.geometry().first_iova(), PAGE).expect("a page");
        let gather = table.map(page, [Segment::new(PhysAddr(0), PAGE)], Prot::RW);
        table.finish(gather.expect("it is free"), &mut Unwalked).expect("nobody can refuse");
        for level in 1..=3 {
            assert!(table.occupied(page, level) > 0);
            for bit in 39..64 {
                let other = IovaRange::new(Iova(page.first().0 ^ 1 << bit), PAGE).expect("a page");
                assert_eq!(table.occupied(other, level), 0, "{other} at level {level}");
            }
        }
    }
}
