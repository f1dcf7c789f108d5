//! Lists of pages that nobody has looked at are mapped wholly, or not at all, whatever is wrong with
//! them and wherever: with the list, with the range, with the memory, with the iterator.

#![cfg(feature = "alloc")]

mod machine;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use iopgtable::format::{FirstStage, RiscV};
use iopgtable::memory::AllocError;
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Format, Granule4K, Granule16K, Iova,
    IovaRange, Lpa2, MediaTek, Options, PageTable, PhysAddr, Prot, Segment, SegmentList,
    SegmentSlice, TableAllocator, TableError, Unextended, Visit, X86_64,
};
use machine::{Walked, range};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

const FREE: &str = "there is room, and memory";

/// A table whose range of `count` pages from `first` on has the tables of some of its pages already,
/// and nothing mapped; and what the range would need all the same.
fn prepare<F: Format, A: TableAllocator>(
    table: &mut PageTable<F, A>,
    (first, count): (u64, u64),
    linked: &[u64],
) {
    let page = table.geometry().granule();
    for at in linked.iter().map(|at| first + at % count) {
        let page = range(at * page, page);
        let gather =
            table.map(page, Segment::new(PhysAddr(0), page.bytes()), Prot::RW).expect(FREE);
        machine::finish(table, gather);
        let gather = table.unmap(page, page).expect(FREE);
        machine::finish(table, gather);
    }
}

/// Pages in no order that could be mistaken for a run.
fn pages(page: u64, count: u64) -> Vec<Segment> {
    (0..count).map(|at| Segment::new(PhysAddr((at * 7919 % 0x8000) * page), page)).collect()
}

/// What may be wrong with a list at one place.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Unaligned,
    OutOfReach,
    Empty,
    /// Nothing is wrong with it, but it is no page.
    TwoPages,
    TooFew,
    TooMany,
    /// Something is mapped there.
    Taken,
}

const FAULTS: [Fault; 8] = [
    Fault::None,
    Fault::Unaligned,
    Fault::OutOfReach,
    Fault::Empty,
    Fault::TwoPages,
    Fault::TooFew,
    Fault::TooMany,
    Fault::Taken,
];

/// The same list looked at beforehand goes another way through the engine: both have one outcome.
fn compare<F: Walked>(config: Config, (first, count): (u64, u64), linked: &[u64], place: u64) {
    for fault in FAULTS {
        let (one, other) = (machine::memory(), machine::memory());
        let mut table = machine::table::<F>(config, &one);
        let mut twin = machine::table::<F>(config, &other);
        let page = table.geometry().granule();
        let at = usize::try_from(place % count).expect("a short list");
        let mut list = pages(page, count);
        match fault {
            Fault::None | Fault::Taken => {}
            Fault::Unaligned => list[at].phys.0 += 8,
            Fault::OutOfReach => list[at].phys.0 = table.geometry().last_phys().0 + 1,
            Fault::Empty => list[at].bytes = 0,
            Fault::TwoPages => {
                list[at].bytes *= 2;
                list.pop();
            }
            Fault::TooFew => {
                list.pop();
            }
            Fault::TooMany => list.push(list[0]),
        }
        let whole = range(first * page, count * page);
        for table in [&mut table, &mut twin] {
            prepare(table, (first, count), linked);
            if let Fault::Taken = fault {
                let taken = range((first + at as u64) * page, page);
                let _ = table.map(taken, Segment::new(PhysAddr(0), page), Prot::READ).expect(FREE);
            }
        }
        let before = (machine::contents(&table), one.live());
        let done = if place % 2 == 0 {
            table.map(whole, SegmentSlice(&list), Prot::RW)
        } else {
            table.map(whole, list.iter().copied(), Prot::RW)
        };
        let done = done.map(|gather| assert!(gather.is_empty()));
        match SegmentList::new(&list[..]) {
            // A list with an empty segment cannot be looked at beforehand.
            Err(_) => assert!(matches!(done, Err(TableError::UnalignedSegment { .. }))),
            Ok(known) => assert_eq!(done, twin.map(whole, known.all(), Prot::RW).map(|_| ())),
        }
        if done.is_err() {
            assert!(machine::contents(&table) == before.0, "{fault:?}: not a byte has changed");
            assert_eq!(one.live(), before.1, "{fault:?}: no page is lost");
        }
        let leaves = |table| -> Vec<Visit> {
            let is_leaf = |seen: &Visit| !matches!(seen, Visit::Table { .. });
            machine::dump(table).into_iter().filter(is_leaf).collect()
        };
        assert_eq!(leaves(&table), leaves(&twin), "{fault:?}");
        assert_eq!(one.live(), other.live());
        // And nothing is left over that would be in the way.
        let gather = table.unmap(whole, machine::whole(&table)).expect(FREE);
        machine::finish(&table, gather);
        drop((table, twin));
        assert_eq!((one.live(), other.live()), (0, 0));
    }
}

macro_rules! outcomes {
    ($($name:ident: $format:ty, $config:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    first in 0u64..1 << 14, count in 600u64..6000,
                    linked in prop::collection::vec(any::<u64>(), 0..4), place in any::<u64>(),
                ) {
                    compare::<$format>($config, (first, count), &linked, place);
                }
            )*
        }
    };
}

outcomes! {
    in_stage_1: Arm64S1<Granule4K>, Config::new(48, 48);
    with_groups: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::CONTIGUOUS);
    in_stage_2: Arm64S2<Granule16K>, Config::new(40, 40);
    with_packed_addresses: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52);
    for_mali: ArmMali, Config::new(48, 40);
    for_x86: X86_64, Config::new(48, 48);
    for_amd_v1: AmdV1, Config::new(48, 48);
    for_riscv_with_large_pages: RiscV<FirstStage>, Config::new(39, 56).with(Options::CONTIGUOUS);
    for_short_descriptors: ArmV7s<Unextended>, Config::new(32, 32);
}

/// Pages side by side in both address spaces, in a list that looks at each step what a walker that
/// snoops finds where they are to be mapped.
#[derive(Clone)]
struct Watching<'a, F: Walked> {
    rest: &'a [Segment],
    range: IovaRange,
    memory: &'a machine::Memory,
    registers: F::Registers,
    looks: &'a Cell<u32>,
}

impl<F: Walked> Iterator for Watching<'_, F> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.rest.len() % 128 == 1 {
            // SAFETY: this is the only thread, and linked tables are only touched atomically.
            let read = |phys| unsafe { self.memory.upstream().read(PhysAddr(phys)) };
            for address in (self.range.first().0..self.range.last().0).step_by(0x7000) {
                let access = Access::UNPRIVILEGED_READ;
                let found =
                    iopgtable_conformance::walk::<F>(self.registers, &read, address, access);
                let fault =
                    found.map(|found| found.address).expect_err("it is not known to be good");
                assert_eq!(fault.kind, FaultKind::Translation, "{address:#x}");
                self.looks.set(self.looks.get() + 1);
            }
        }
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rest.len(), Some(self.rest.len()))
    }
}

/// With tables in the range that are linked already, and groups that the pages could be taken for.
fn is_watched<F: Walked>(config: Config) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let count = 1 << (F::TABLE_BITS + 2);
    prepare(&mut table, (0, count), &[5, count / 2, count / 2 + 1]);
    let whole = range(0, count << 12);
    // SAFETY: only the list and the checks below walk, and they end while the table lives.
    let registers = unsafe { table.registers() };
    let looks = Cell::new(0);
    let (memory, looks) = (&memory, &looks);
    let good: Vec<Segment> =
        (0..count).map(|page| Segment::new(PhysAddr(0x10_0000 + (page << 12)), 0x1000)).collect();
    let contents = machine::contents(&table);
    let mut refuse = |bad: &[Segment]| {
        let refused = table
            .map(
                whole,
                Watching::<F> { rest: bad, range: whole, memory, registers, looks },
                Prot::RW,
            )
            .map(|_| ())
            .expect_err("it is bad");
        assert!(machine::contents(&table) == contents, "not a byte has changed");
        refused
    };
    // What is no page is so late that nobody expects it.
    let mut bad = good.clone();
    bad[good.len() - 3].bytes = 0x1_0000;
    let refused = refuse(&bad);
    assert!(matches!(refused, TableError::SegmentsLength { .. }), "{refused:?}");
    // An address with the bits of an entry in it, which goes to a table that is linked.
    let mut bad = good.clone();
    bad[7 * 20].phys.0 |= 0xfff;
    let refused = refuse(&bad);
    assert!(matches!(refused, TableError::UnalignedSegment { .. }), "{refused:?}");
    let before = looks.get();
    let gather = table
        .map(whole, Watching::<F> { rest: &good, range: whole, memory, registers, looks }, Prot::RW)
        .expect(FREE);
    machine::finish(&table, gather);
    assert!(before > 0 && looks.get() > before, "somebody has looked");
    for (at, page) in (0u64..).zip(&good) {
        let found = machine::walk(&table, at << 12, Access::UNPRIVILEGED_READ);
        let found = found.expect("it is mapped");
        assert_eq!((found.address, found.leaf_size), (page.phys.0, 0x1000), "each for itself");
    }
}

#[test]
fn walkers_see_nothing_of_a_list_before_all_of_it_is_good() {
    is_watched::<Arm64S1<Granule4K>>(Config::new(48, 48).with(Options::CONTIGUOUS));
    is_watched::<AmdV1>(Config::new(48, 48));
    is_watched::<RiscV<FirstStage>>(Config::new(39, 56).with(Options::CONTIGUOUS));
    is_watched::<ArmV7s<Unextended>>(Config::new(32, 32));
    is_watched::<ArmV7s<MediaTek>>(Config::new(34, 35));
}

#[test]
fn a_refused_allocation_is_not_tried_again_and_changes_nothing() {
    let memory = machine::memory();
    let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    prepare(&mut table, (100, 3000), &[1500]);
    let list = pages(0x1000, 3000);
    let whole = range(100 << 12, 3000 << 12);
    let needed = table.exact_tables(whole, SegmentSlice(&list), Prot::RW).unwrap().total();
    let before = (machine::contents(&table), memory.live());
    for failing in 0..needed {
        memory.fail_nth(failing);
        let asked = memory.allocations();
        let refused = table.map(whole, SegmentSlice(&list), Prot::RW).map(|_| ());
        let pages = usize::try_from(needed).unwrap();
        assert_eq!(refused, Err(TableError::Alloc(AllocError::OutOfMemory { pages })));
        assert_eq!(memory.allocations() - asked, failing + 1);
        assert!(machine::contents(&table) == before.0 && memory.live() == before.1);
        // What is wrong with a list comes first.
        memory.fail_nth(0);
        let mut bad = list.clone();
        bad[2999].phys.0 += 1;
        let refused = table.map(whole, SegmentSlice(&bad), Prot::RW).map(|_| ());
        assert!(matches!(refused, Err(TableError::UnalignedSegment { .. })), "{refused:?}");
        memory.fail_none();
    }
    let _ = table.map(whole, SegmentSlice(&list), Prot::RW).unwrap();
}

/// Yields a list, but misbehaves in the last of its clones after so many segments.
#[derive(Clone)]
struct Odd<'l, M> {
    list: &'l [Segment],
    misbehave: M,
    after: &'l Cell<u64>,
}

impl<M: Fn() -> Option<Segment>> Iterator for Odd<'_, M> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let left = self.after.get().checked_sub(1);
        self.after.set(left.unwrap_or(u64::MAX));
        if left.is_none() {
            return (self.misbehave)();
        }
        let (&first, rest) = self.list.split_first()?;
        self.list = rest;
        Some(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.list.len(), Some(self.list.len()))
    }
}

#[test]
fn an_iterator_that_panics_leaves_nothing_behind() {
    let list = pages(0x1000, 2000);
    let whole = range(300 << 12, 2000 << 12);
    // The sample takes 64; then every table begins or ends somewhere.
    for after in [0, 63, 64, 65, 64 + 200, 64 + 212, 64 + 213, 64 + 800, 64 + 1999, 64 + 2000] {
        let memory = machine::memory();
        let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
        prepare(&mut table, (300, 2000), &[0, 700, 1999]);
        let before = (machine::contents(&table), memory.live());
        let after = Cell::new(after);
        let odd = Odd {
            list: &list,
            misbehave: || -> Option<Segment> { panic!("as it is told to") },
            after: &after,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| table.map(whole, odd, Prot::RW)));
        assert!(outcome.is_err());
        assert!(machine::contents(&table) == before.0, "after {after:?}");
        assert_eq!(memory.live(), before.1);
        let gather = table.map(whole, SegmentSlice(&list), Prot::RW).unwrap();
        machine::finish(&table, gather);
        let last = table.translate(Iova(whole.last().0 - 0xfff)).unwrap();
        assert_eq!(last.phys, list[1999].phys);
    }
}

/// A list that is not of pages alone is read once to look at it, and once to write.
#[test]
fn an_iterator_that_grows_worse_with_time_comes_to_an_end() {
    let mut list = pages(0x1000, 1000);
    list[0].bytes = 0x2000;
    let whole = range(300 << 12, 1001 << 12);
    for (after, bytes) in [(1002, 0x800), (1500, 1), (1900, 0)] {
        let memory = machine::memory();
        let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
        let after = Cell::new(after);
        let other = Some(Segment::new(PhysAddr(0x800), bytes));
        let odd = Odd { list: &list, misbehave: || other, after: &after };
        let _ = table.map(whole, odd, Prot::RW).map(|gather| machine::finish(&table, gather));
        drop(table);
        assert_eq!(memory.live(), 0);
    }
}

#[test]
fn an_iterator_whose_clones_differ_does_no_harm() {
    let list = pages(0x1000, 2000);
    let whole = range(300 << 12, 2000 << 12);
    let others =
        [None, Some(Segment::new(PhysAddr(1), 0)), Some(Segment::new(PhysAddr(0), 1 << 50))];
    for (after, other) in [64, 65, 900, 64 + 2000].into_iter().zip(others.into_iter().cycle()) {
        let memory = machine::memory();
        let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
        prepare(&mut table, (300, 2000), &[0, 700, 1999]);
        let after = Cell::new(after);
        let odd = Odd { list: &list, misbehave: || other, after: &after };
        // Mapped or not, every page leads where the list says, or nowhere.
        let _ = table.map(whole, odd, Prot::RW).map(|gather| machine::finish(&table, gather));
        for (at, page) in list.iter().enumerate() {
            let found = table.translate(Iova(whole.first().0 + 0x1000 * at as u64));
            assert!(found.is_none_or(|found| found.phys == page.phys));
        }
        drop(table);
        assert_eq!(memory.live(), 0);
    }
}
