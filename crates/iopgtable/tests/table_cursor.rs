//! Whichever way mappings are asked for (through a cursor, page by page or by ranges; from one
//! segment, a slice, or a list that was looked at before), the outcome is that of the plain calls:
//! the same leaves, the same errors, the same tables, and a gather that covers the same.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Cursor, Gather, Granule4K,
    Granule16K, Granule64K, Invalidation, Iova, IovaRange, LAST_LEVEL, Lpa2, MediaTek, Options,
    PageTable, PhysAddr, Prot, Segment, SegmentList, SegmentSlice, TableAllocator, TableError,
    Unextended, Visit, VtdS2, X86_64,
};
use machine::{Table, Walked};
use proptest::prelude::*;
use proptest::sample::select;

/// How a range is mapped.
#[derive(Clone, Copy, Debug)]
enum Form {
    Iterator,
    One,
    Slice,
    Known,
    /// From within a longer list.
    Part,
}

/// In pages, from the start of a window.
#[derive(Clone, Debug)]
enum Act {
    MapPage {
        at: u64,
        phys: u64,
        prot: Prot,
    },
    UnmapPage {
        at: u64,
    },
    Map {
        at: u64,
        lengths: Vec<u64>,
        phys: u64,
        prot: Prot,
        form: Form,
    },
    Unmap {
        at: u64,
        pages: u64,
        wide: bool,
    },
    /// Between operations, an address that nothing is aligned to, or beyond what there is.
    Odd {
        at: u64,
        which: u8,
    },
    /// The next allocation fails.
    Fail,
    /// The cursor ends; dropped, or finished.
    End {
        finish: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let at = || (0u64..4, select(vec![0u64, 0, 1, 2, 3, 255, 510, 511]));
    let prot = || select(vec![Prot::RW, Prot::RW, Prot::READ, Prot::NONE]);
    let form =
        select(vec![Form::Iterator, Form::One, Form::One, Form::Slice, Form::Known, Form::Part]);
    let length = select(vec![1u64, 1, 1, 2, 16, 511, 512, 600]);
    let place = |(block, page)| block * 512 + page;
    prop_oneof![
        6 => (at(), 0u64..2048, prot())
            .prop_map(move |(at, phys, prot)| Act::MapPage { at: place(at), phys, prot }),
        4 => at().prop_map(move |at| Act::UnmapPage { at: place(at) }),
        6 => (at(), prop::collection::vec(length.clone(), 1..5), 0u64..2048, prot(), form).prop_map(
            move |(at, lengths, phys, prot, form)| Act::Map { at: place(at), lengths, phys, prot, form }
        ),
        3 => (at(), length, any::<bool>())
            .prop_map(move |(at, pages, wide)| Act::Unmap { at: place(at), pages, wide }),
        1 => (at(), 0u8..6).prop_map(move |(at, which)| Act::Odd { at: place(at), which }),
        1 => Just(Act::Fail),
        1 => any::<bool>().prop_map(|finish| Act::End { finish }),
    ]
}

type Mapped = Vec<(IovaRange, i8, PhysAddr, Prot)>;

/// The leaves, and the levels and spans of the tables.
fn shape<F: Walked, A: TableAllocator>(table: &PageTable<F, A>) -> (Mapped, Vec<(IovaRange, i8)>) {
    let (mut leaves, mut tables) = (Vec::new(), Vec::new());
    table.visit(table.geometry().whole(), |seen| match seen {
        Visit::Leaf { span, level, phys, prot, .. } => leaves.push((span, level, phys, prot)),
        Visit::Table { span, level, .. } => tables.push((span, level)),
        _ => {}
    });
    (leaves, tables)
}

/// The plain calls, one gather each.
struct Plain<'m, F: Walked> {
    table: Table<'m, F>,
    /// What they all made stale since the cursor was made.
    stale: Invalidation,
    resized: bool,
    rewritten: bool,
}

impl<F: Walked> Plain<'_, F> {
    fn take(&mut self, outcome: Result<Gather, TableError>) -> Result<(), TableError> {
        let gather = outcome?;
        self.stale = self.stale.and(gather.stale());
        self.resized |= gather.break_before_make().resized;
        self.rewritten |= gather.break_before_make().rewritten;
        machine::finish(&self.table, gather);
        Ok(())
    }

    fn map(
        &mut self,
        range: IovaRange,
        segments: Vec<Segment>,
        prot: Prot,
    ) -> Result<(), TableError> {
        let outcome = self.table.map(range, segments, prot);
        self.take(outcome)
    }

    fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<(), TableError> {
        let outcome = self.table.unmap(range, hole);
        self.take(outcome)
    }
}

fn map<F: Walked, A: TableAllocator>(
    cursor: &mut Cursor<'_, F, A>,
    range: IovaRange,
    segments: &[Segment],
    prot: Prot,
    form: Form,
) -> Result<(), TableError> {
    match form {
        Form::One if segments.len() == 1 => cursor.map(range, segments[0], prot),
        Form::One | Form::Iterator => cursor.map(range, segments.iter().copied(), prot),
        Form::Slice => cursor.map(range, SegmentSlice(segments), prot),
        Form::Known => match SegmentList::new(segments) {
            Ok(list) => cursor.map(range, list.all(), prot),
            Err(_) => cursor.map(range, SegmentSlice(segments), prot),
        },
        Form::Part => {
            // Three pages of the first segment, and some of the last, are left out.
            let page = cursor.table().geometry().granule();
            let mut longer = segments.to_vec();
            let (skipped, rest) = (3 * page, 5 * page);
            let Some(first) = longer.first_mut() else { return Ok(()) };
            if first.phys.0 < skipped {
                return cursor.map(range, SegmentSlice(segments), prot);
            }
            (first.phys.0, first.bytes) = (first.phys.0 - skipped, first.bytes + skipped);
            if let Some(last) = longer.last_mut() {
                last.bytes += rest;
            }
            longer.insert(0, Segment::new(PhysAddr(0), 7 * page));
            let (count, bytes) = (longer.len(), segments.iter().map(|one| one.bytes).sum());
            let offset = 7 * page + skipped;
            let list =
                SegmentList::with_starts(longer.as_slice(), vec![0; count]).expect("as many");
            let same = SegmentList::new(longer.as_slice()).expect("good segments");
            let part = list.part(offset, bytes);
            assert!(part.segments().eq(segments.iter().copied()), "clipped on both sides");
            assert!(same.part(offset, bytes).segments().eq(part.segments()));
            cursor.map(range, part, prot)
        }
    }
}

#[expect(clippy::too_many_lines, reason = "an arm an act")]
fn compare<F: Walked>(config: Config, acts: &[Act]) {
    let (memory, plain_memory) = (machine::memory(), machine::memory());
    let mut table = machine::table::<F>(config, &memory);
    let mut plain = Plain {
        table: machine::table::<F>(config, &plain_memory),
        stale: Invalidation::default(),
        resized: false,
        rewritten: false,
    };
    let geometry = *table.geometry();
    let page = geometry.granule();
    // 512 pages stand for a table, whatever the granule, and the window for four.
    let scale = (1u64 << geometry.table_shift(LAST_LEVEL)) / page / 512;
    let address = |at: u64| geometry.first_iova().0 + (at / 512 * scale * 512 + at % 512) * page;
    let mut acts = acts.iter();
    let mut more = true;
    while more {
        let mut cursor = table.cursor();
        let mut finished = true;
        loop {
            let Some(act) = acts.next() else {
                more = false;
                break;
            };
            match act.clone() {
                Act::MapPage { at, phys, prot } => {
                    let (at, phys) = (address(at), phys * page);
                    let segment = Segment::new(PhysAddr(phys), page);
                    let outcome = cursor.map_page(Iova(at), PhysAddr(phys), prot);
                    assert_eq!(outcome, plain.map(machine::range(at, page), vec![segment], prot));
                }
                Act::UnmapPage { at } => {
                    let range = machine::range(address(at), page);
                    assert_eq!(cursor.unmap_page(range.first()), plain.unmap(range, range));
                }
                Act::Map { at, lengths, phys, prot, form } => {
                    let mut next = phys * page;
                    let segments: Vec<Segment> = lengths
                        .iter()
                        .map(|length| {
                            let segment = Segment::new(PhysAddr(next), length * page);
                            next += (length + 1) * page;
                            segment
                        })
                        .collect();
                    let bytes = segments.iter().map(|one| one.bytes).sum();
                    let range = machine::range(address(at), bytes);
                    let outcome = map(&mut cursor, range, &segments, prot, form);
                    assert_eq!(outcome, plain.map(range, segments, prot));
                }
                Act::Unmap { at, pages, wide } => {
                    let range = machine::range(address(at), pages * page);
                    let hole = if wide { geometry.whole() } else { range };
                    // What the hole holds beside the range is lost with its tables.
                    let outside = |iova| plain.table.translate(iova).is_some();
                    let around = (0..2048).map(|at| Iova(address(at)));
                    let hole = if around.filter(|iova| !range.contains(*iova)).any(outside) {
                        range
                    } else {
                        hole
                    };
                    assert_eq!(cursor.unmap(range, hole), plain.unmap(range, hole));
                }
                Act::Odd { at, which } => {
                    let at = address(at);
                    let (iova, phys, bytes) = match which {
                        0 => (at + 1, 0, page),
                        1 => (at, page / 2, page),
                        2 => (at, 0, page / 2),
                        3 => (at, geometry.last_phys().0 + 1, page),
                        4 => (at, geometry.last_phys().0 + 1 - page, 2 * page),
                        _ => (geometry.last_iova().0.wrapping_add(1), 0, page),
                    };
                    let segment = Segment::new(PhysAddr(phys), bytes);
                    let range = IovaRange::between(Iova(iova), Iova(iova.wrapping_add(bytes - 1)));
                    let expected = plain.map(range, vec![segment], Prot::RW);
                    assert_eq!(cursor.map(range, segment, Prot::RW), expected);
                    if bytes == page {
                        let outcome = cursor.map_page(Iova(iova), PhysAddr(phys), Prot::RW);
                        assert!(outcome.is_err() && expected.is_err());
                        if iova != at {
                            assert!(cursor.unmap_page(Iova(iova)).is_err());
                        }
                    }
                }
                Act::Fail => {
                    memory.fail_nth(0);
                    plain_memory.fail_nth(0);
                }
                Act::End { finish } => {
                    finished = finish;
                    break;
                }
            }
            assert_eq!(shape(cursor.table()), shape(&plain.table));
        }
        let told = std::mem::take(&mut plain.stale);
        if finished {
            let gather = cursor.finish();
            assert_eq!(*gather.stale(), told);
            let live = gather.break_before_make();
            assert_eq!((live.resized, live.rewritten), (plain.resized, plain.rewritten));
            let live_before = memory.live();
            let freed = machine::finish(&table, gather);
            assert_eq!(memory.live(), live_before - freed);
        } else {
            drop(cursor);
        }
        (plain.resized, plain.rewritten) = (false, false);
    }
    drop(table);
    assert_eq!(memory.live(), 0, "quarantined tables go with the table, too");
}

macro_rules! compare_all {
    ($($name:ident: $format:ty, $config:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(#[test]
            fn $name(acts in prop::collection::vec(act(), 1..40)) {
                compare::<$format>($config, &acts);
            })*
        }
    };
}

compare_all! {
    stage_1: Arm64S1<Granule4K>, Config::new(48, 48);
    stage_1_of_two_levels: Arm64S1<Granule4K>, Config::new(32, 40);
    stage_1_upper_half: Arm64S1<Granule4K>, Config::new(39, 48).with(Options::UPPER_HALF);
    stage_1_contiguous: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::CONTIGUOUS);
    stage_1_16k: Arm64S1<Granule16K>, Config::new(47, 48);
    stage_1_lpa2: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52);
    stage_2_64k: Arm64S2<Granule64K>, Config::new(42, 48);
    stage_2_concatenated: Arm64S2<Granule4K>, Config::new(33, 40);
    mali: ArmMali, Config::new(38, 40);
    x86_64_five_levels: X86_64, Config::new(57, 52);
    amd_v1_five_levels: AmdV1, Config::new(57, 52);
    amd_v1_one_level: AmdV1, Config::new(21, 52);
    arm32_stage_1: Arm32S1, Config::new(32, 40);
    arm32_stage_2: Arm32S2, Config::new(40, 40);
    arm_v7s: ArmV7s<Unextended>, Config::new(32, 32);
    mediatek_v7s: ArmV7s<MediaTek>, Config::new(34, 35);
    vtd_s2_three_levels: VtdS2, Config::new(39, 39);
    riscv_upper_half: RiscV<FirstStage>, Config::new(48, 56).with(Options::UPPER_HALF);
    riscv_guest: RiscV<GStage>, Config::new(41, 56);
    dart: Dart<T8020>, Config::new(36, 36);
    dart_of_four_roots: Dart<T6000>, Config::new(38, 42);
    riscv_napot: RiscV<FirstStage>, Config::new(39, 56).with(Options::CONTIGUOUS);
    x86_64_upper_half: X86_64, Config::new(48, 48).with(Options::UPPER_HALF);
}

type S1 = Arm64S1<Granule4K>;

#[test]
fn a_cursor_forgets_a_table_that_came_loose() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(Config::new(48, 48), &memory);
    let whole = machine::whole(&table);
    let mut cursor = table.cursor();
    let map = |cursor: &mut Cursor<'_, S1, _>, page: u64| {
        cursor.map_page(Iova(page << 12), PhysAddr(page << 12), Prot::RW)
    };
    map(&mut cursor, 1).unwrap();
    map(&mut cursor, 2).unwrap();
    cursor.unmap(machine::range(0, 0x4000), whole).unwrap();
    assert_eq!(cursor.table().count_tables().total(), 0);
    map(&mut cursor, 3).unwrap();
    assert_eq!(cursor.table().count_tables().total(), 3, "new ones");
    let gather = cursor.finish();
    assert_eq!(machine::finish(&table, gather), 3);
    assert_eq!(table.translate(Iova(0x3000)).unwrap().phys, PhysAddr(0x3000));
}

/// Eight single pages, as long as the budget of all clones together lasts.
#[derive(Clone, Debug)]
struct Shrinking<'c> {
    next: u64,
    budget: &'c std::cell::Cell<u64>,
}

impl Iterator for Shrinking<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.next == 8 {
            return None;
        }
        self.budget.set(self.budget.get().checked_sub(1)?);
        self.next += 1;
        Some(Segment::new(PhysAddr(self.next << 12), 0x1000))
    }
}

#[test]
fn where_segments_end_too_soon_the_second_time_nothing_is_mapped() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(Config::new(48, 48), &memory);
    let whole = machine::whole(&table);
    let mut seen = std::collections::BTreeSet::new();
    for budget in 0..32 {
        // So that tables are made of pages which are not zeroed any more.
        let range = machine::range(0, 0x10_0000);
        let gather = table.map(range, Segment::new(PhysAddr(0), 0x10_0000), Prot::RW).unwrap();
        machine::finish(&table, gather);
        let gather = table.unmap(range, whole).unwrap();
        assert_eq!(machine::finish(&table, gather), 3);
        let budget = std::cell::Cell::new(budget);
        let segments = Shrinking { next: 0, budget: &budget };
        let Ok(gather) = table.map(machine::range(0, 0x8000), segments, Prot::RW) else { continue };
        machine::finish(&table, gather);
        let page = |page: u64| table.translate(Iova(page << 12)).map(|to| to.phys.0 >> 12);
        let mapped = (0..256).take_while(|&at| page(at) == Some(at + 1)).count() as u64;
        assert!((mapped..256).all(|at| page(at).is_none()), "{mapped} pages, and then others");
        seen.insert(mapped);
        let gather = table.unmap(range, whole).unwrap();
        machine::finish(&table, gather);
    }
    assert!(seen.contains(&3) && seen.last() == Some(&8), "some were short: {seen:?}");
}
