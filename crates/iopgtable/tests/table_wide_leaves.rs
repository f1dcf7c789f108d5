//! Where only the largest leaves lead far (`WIDE`): what lies there is mapped by them or not at all,
//! and none of them is cut, through whichever face. Everything else is as ever, beside them.

#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;

use iopgtable::{
    ArmV7s, Config, ConfigError, Format, Gather, Iova, IovaRange, PhysAddr, Prot, ReservedError,
    Segment, SegmentSlice, Splits, TableError, Unextended, Unwalked,
};
use machine::{Memory, Table, finish, range, walk};
use proptest::prelude::*;
use proptest::sample::select;
use walkers::{Access, FaultKind};

type V7s = ArmV7s<Unextended>;

const CONFIG: Config = Config::new(32, 40);
const SECTION: u64 = 1 << 20;
/// A supersection: sixteen entries.
const WIDE: u64 = 16 << 20;
const FAR: u64 = 1 << 32;
/// The space, in sections.
const UNITS: usize = 6 * 16;

/// Whose methods are called.
#[derive(Clone, Copy, Debug)]
enum Face {
    Table,
    Cursor,
    Reserved,
    Shared,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Map(u64),
    /// With a reservation, over what is there.
    Replace(u64),
    Unmap,
    Protect(Prot),
}

/// What happens to some sections.
#[derive(Clone, Copy, Debug)]
struct Step {
    first: usize,
    count: usize,
    op: Op,
    face: Face,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edge = || prop_oneof![2 => (0..=UNITS / 16).prop_map(|wide| wide * 16), 1 => 0..=UNITS];
    // Near, far, at the very end of both, and from one to the other; rarely aligned to a section only.
    let base = select(vec![WIDE, FAR - 2 * WIDE, FAR, 0xa5_4300_0000, (1 << 40) - 2 * WIDE]);
    let phys = (base, select(vec![0, 0, 0, 1, 2, 3]), select(vec![0, 0, 0, 0, SECTION]))
        .prop_map(|(base, wide, odd)| base + wide * WIDE + odd);
    let op = prop_oneof![
        5 => phys.clone().prop_map(Op::Map),
        2 => phys.prop_map(Op::Replace),
        3 => Just(Op::Unmap),
        2 => select(vec![Prot::READ, Prot::RW | Prot::EXECUTE]).prop_map(Op::Protect),
    ];
    let face = select(vec![Face::Table, Face::Cursor, Face::Reserved, Face::Shared]);
    let step = (edge(), edge(), op, face).prop_filter_map("something", |(one, other, op, face)| {
        let (first, count) = (one.min(other), one.abs_diff(other));
        (count > 0).then_some(Step { first, count, op, face })
    });
    prop::collection::vec(step, 1..24)
}

fn span(first: usize, count: usize) -> IovaRange {
    range(first as u64 * SECTION, count as u64 * SECTION)
}

/// Where each section leads, and what it allows.
type Model = Vec<Option<(u64, Prot)>>;

/// Why a step is refused, as the definition has it.
fn refusal(model: &Model, &Step { first, count, op, .. }: &Step) -> Option<TableError> {
    let bytes = count as u64 * SECTION;
    if let Op::Map(phys) | Op::Replace(phys) = op {
        let segment = Segment::new(PhysAddr(phys), bytes);
        if phys + bytes > 1 << 40 {
            return Some(TableError::OutputRange { segment, output_bits: 40 });
        }
        let aligned = first % 16 == 0 && (phys | bytes) % WIDE == 0;
        if phys + bytes > FAR && !aligned {
            return Some(TableError::OutputRange { segment, output_bits: 32 });
        }
    }
    if let Op::Map(_) = op {
        let mapped = (first..first + count).find(|&unit| model[unit].is_some())?;
        let iova = Iova(mapped as u64 * SECTION);
        // How large the leaf is, the table itself knows.
        return Some(TableError::Overlap { iova, leaf: 0 });
    }
    let is_cut =
        |unit: usize, at: usize| at % 16 != 0 && model[unit].is_some_and(|(phys, _)| phys >= FAR);
    let ends = [(first, first), (first + count - 1, first + count)];
    let (unit, _) = ends.into_iter().find(|&(unit, at)| is_cut(unit, at))?;
    Some(TableError::Split { block: span(unit / 16 * 16, 16) })
}

fn apply(model: &mut Model, &Step { first, count, op, .. }: &Step) {
    for (unit, offset) in model[first..first + count].iter_mut().zip((0..).step_by(1 << 20)) {
        match op {
            Op::Map(phys) | Op::Replace(phys) => *unit = Some((phys + offset, Prot::RW)),
            Op::Unmap => *unit = None,
            Op::Protect(new) => {
                if let Some((_, prot)) = unit {
                    *prot = new;
                }
            }
        }
    }
}

/// Does it with pages enough for anything.
fn reserved(table: &mut Table<'_, V7s>, range: IovaRange, op: Op) -> Result<Gather, TableError> {
    let most = table.geometry().worst_case_tables(range);
    let mut pages = table.reserver().reserve(&most, range.first(), true).unwrap();
    let mut reserved = table.reserved(&mut pages).unwrap();
    let segment = |phys| [Segment::new(PhysAddr(phys), range.bytes())];
    let done = match op {
        Op::Map(phys) => reserved.map(range, segment(phys), Prot::RW),
        Op::Replace(phys) => reserved.replace(range, segment(phys), Prot::RW),
        Op::Unmap => reserved.unmap(range, range),
        Op::Protect(prot) => reserved.protect(range, prot),
    };
    done.map_err(|error| match error {
        ReservedError::Refused(error) => error,
        other => panic!("{other:?}"),
    })
}

/// Takes the step; says why not.
fn take<'m>(table: Table<'m, V7s>, step: &Step) -> (Table<'m, V7s>, Result<(), TableError>) {
    let (range, mut table) = (span(step.first, step.count), table);
    let (half, whole) = ((range.bytes() / 2) & !(WIDE - 1), range.bytes());
    let outcome = match (step.face, step.op) {
        (Face::Reserved, op) | (_, op @ Op::Replace(_)) => reserved(&mut table, range, op),
        (Face::Table, Op::Map(phys)) if half > 0 => {
            // As a list, of pieces that suit wide leaves if the whole does.
            let pieces = [(phys, half), (phys + half, whole - half)];
            let list = pieces.map(|(phys, bytes)| Segment::new(PhysAddr(phys), bytes));
            let one = table.map(range, [Segment::new(PhysAddr(phys), whole)], Prot::RW).err();
            if let Some(error) = one {
                // As a list it would be refused likewise, but for another piece.
                Err(error)
            } else {
                let gather = table.unmap(range, range).expect("no wide leaf is cut");
                finish(&table, gather);
                table.map(range, SegmentSlice(&list), Prot::RW)
            }
        }
        (Face::Table, Op::Map(phys)) => {
            table.map(range, Segment::new(PhysAddr(phys), whole), Prot::RW)
        }
        (Face::Cursor, Op::Map(phys)) => {
            let mut cursor = table.cursor();
            let done = cursor.map(range, Segment::new(PhysAddr(phys), whole), Prot::RW);
            let gather = cursor.finish();
            done.map(|()| gather)
        }
        (Face::Cursor, Op::Unmap) => {
            let mut cursor = table.cursor();
            let done = cursor.unmap(range, range);
            let gather = cursor.finish();
            done.map(|()| gather)
        }
        (Face::Shared, op) => {
            let shared = table.into_shared();
            let segment = |phys| [Segment::new(PhysAddr(phys), whole)];
            let done = match op {
                Op::Map(phys) | Op::Replace(phys) => {
                    shared.map(range, segment(phys), Prot::RW).map(|()| None)
                }
                Op::Unmap => shared.unmap(range).map(Some),
                Op::Protect(prot) => shared.protect(range, prot).map(Some),
            };
            let finish = |gather| _ = shared.finish(gather, &mut Unwalked).unwrap();
            let outcome = done.map(|gather| gather.map_or((), finish));
            return (shared.into_exclusive(), outcome);
        }
        (_, Op::Unmap) => table.unmap(range, range),
        (_, Op::Protect(prot)) => table.protect(range, prot),
    };
    let outcome = outcome.map(|gather| _ = finish(&table, gather));
    (table, outcome)
}

fn check(table: &Table<'_, V7s>, model: &Model) {
    for (unit, wanted) in model.iter().enumerate() {
        for at in [0, SECTION / 2, SECTION - 4] {
            let iova = unit as u64 * SECTION + at;
            let own = table.translate(Iova(iova));
            let found = walk(table, iova, Access::UNPRIVILEGED_READ);
            let Some((phys, prot)) = *wanted else {
                assert_eq!((own, found.unwrap_err().kind), (None, FaultKind::Translation));
                continue;
            };
            let (own, found) = (own.expect("it is mapped"), found.expect("it is mapped"));
            assert_eq!((own.phys.0, own.prot), (phys + at, prot), "{iova:#x}");
            assert_eq!((found.address, found.leaf_size), (phys + at, own.leaf_bytes));
            assert!(phys < FAR || own.leaf_bytes == WIDE);
        }
    }
}

fn history(steps: &[Step]) {
    let memory: Memory = machine::memory();
    let mut table = machine::table::<V7s>(CONFIG, &memory);
    let mut model: Model = vec![None; UNITS];
    for step in steps {
        let (contents, expected) = (machine::contents(&table), refusal(&model, step));
        let outcome;
        (table, outcome) = take(table, step);
        match (expected, outcome) {
            (None, Ok(())) => apply(&mut model, step),
            (
                Some(TableError::Overlap { iova, .. }),
                Err(TableError::Overlap { iova: found, leaf }),
            ) => {
                assert_eq!(iova, found);
                assert_eq!(table.translate(iova).map(|there| there.leaf_bytes), Some(leaf));
            }
            // With a reservation, nobody looks what is there.
            (Some(TableError::Overlap { .. }), Ok(())) => return,
            (Some(expected), Err(found)) => {
                assert_eq!(found, expected, "{step:?}");
                assert!(machine::contents(&table) == contents, "{step:?}");
            }
            other => panic!("{other:?}: {step:?}"),
        }
        check(&table, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn wide_leaves_are_mapped_and_removed_whole_or_not_at_all(steps in steps()) {
        history(&steps);
    }
}

#[test]
fn only_the_largest_leaf_makes_an_output_size_of_40_bits() {
    let geometry = V7s::geometry(CONFIG).unwrap();
    assert_eq!(geometry.wide_leaf(), Some(WIDE));
    assert_eq!((geometry.last_phys().0, geometry.last_narrow_phys().0), ((1 << 40) - 1, FAR - 1));
    assert_eq!(geometry.last_table_phys().0, FAR - 1);
    let narrow = V7s::geometry(Config::new(32, 32)).unwrap();
    assert_eq!((narrow.wide_leaf(), narrow.last_narrow_phys()), (None, narrow.last_phys()));
    let without = V7s::geometry(CONFIG.largest_leaf(SECTION));
    assert_eq!(without, Err(ConfigError::OutputBits { bits: 40, supported: &[32] }));
}

/// A table with sixteen sections beyond 2^32 in one.
fn one_wide_leaf(memory: &Memory) -> Table<'_, V7s> {
    let mut table = machine::table::<V7s>(CONFIG, memory);
    let wide = Segment::new(PhysAddr(0x12_3400_0000), WIDE);
    let gather = table.map(range(WIDE, WIDE), wide, Prot::RW).unwrap();
    finish(&table, gather);
    table
}

#[test]
fn leaves_that_are_named_are_wide_only_together() {
    let memory = machine::memory();
    let mut table = one_wide_leaf(&memory);
    let attributes = table.attributes(Prot::RW).unwrap();
    // Callers are told to ask for that with `map`, also for what could be one wide leaf.
    for count in [1, 16] {
        let far = table.map_leaves(Iova(0), PhysAddr(FAR), 2, count, attributes);
        assert_eq!(far, Ok(false));
    }
    assert_eq!(table.translate(Iova(0)), None);
    assert!(table.unmap_leaves(Iova(WIDE), 2, 15).is_none());
    assert!(table.unmap_leaves(Iova(WIDE + SECTION), 2, 15).is_none());
    assert_eq!(table.translate(Iova(WIDE)).map(|there| there.leaf_bytes), Some(WIDE));
    let (count, gather) = table.unmap_leaves(Iova(WIDE), 2, 16).unwrap();
    assert_eq!(count, 16);
    finish(&table, gather);
    assert_eq!(table.translate(Iova(2 * WIDE - 1)), None);
}

#[test]
fn a_page_of_a_wide_leaf_can_neither_go_nor_change() {
    let memory = machine::memory();
    for splits in [Splits::Live, Splits::Forbidden] {
        let mut table = machine::table::<V7s>(CONFIG.splits(splits), &memory);
        let wide = Segment::new(PhysAddr(FAR), WIDE);
        let gather = table.map(range(0, WIDE), wide, Prot::RW).unwrap();
        finish(&table, gather);
        let (page, split) = (range(0x5000, 0x1000), TableError::Split { block: range(0, WIDE) });
        assert_eq!(table.unmap(page, page).unwrap_err(), split);
        assert_eq!(table.clear(page).unwrap_err(), split);
        assert_eq!(table.protect(page, Prot::READ).unwrap_err(), split);
        assert_eq!(table.cursor().unmap_page(page.first()), Err(split));
        assert_eq!(table.count_tables().total(), 0);
    }
}

/// Threads that share a table use the tables that stand there, whose leaves do not lead so far.
#[test]
fn a_table_that_threads_left_behind_is_in_the_way_of_a_wide_leaf() {
    let memory = machine::memory();
    let mut table = machine::table::<V7s>(CONFIG, &memory).into_shared();
    let page = range(WIDE + 2 * SECTION, 0x1000);
    table.map(page, Segment::new(PhysAddr(0), 0x1000), Prot::RW).unwrap();
    let gather = table.unmap(page).unwrap();
    table.finish(gather, &mut Unwalked).unwrap();
    let (whole, segment) = (range(0, 2 * WIDE), Segment::new(PhysAddr(FAR), 2 * WIDE));
    let refused = TableError::OutputRange { segment, output_bits: 32 };
    assert_eq!(table.map(whole, segment, Prot::RW), Err(refused));
    assert_eq!(table.translate(Iova(0)), None);
    let near = Segment::new(PhysAddr(0), 2 * WIDE);
    table.map(whole, near, Prot::RW).unwrap();
    let gather = table.unmap(whole).unwrap();
    table.finish(gather, &mut Unwalked).unwrap();
    let gather = table.trim();
    table.finish(gather, &mut Unwalked).unwrap();
    assert_eq!(table.map(whole, segment, Prot::RW), Ok(()));
    assert_eq!(table.translate(Iova(WIDE)).map(|there| there.phys.0), Some(FAR + WIDE));
}

/// One thread has the table taken out of the way, which leads elsewhere at no time.
#[test]
fn a_wide_leaf_takes_the_place_of_an_empty_table() {
    let memory = machine::memory();
    let mut table = machine::table::<V7s>(CONFIG, &memory);
    let page = range(2 * SECTION, 0x1000);
    let gather = table.map(page, Segment::new(PhysAddr(0), 0x1000), Prot::RW).unwrap();
    finish(&table, gather);
    let gather = table.unmap(page, page).unwrap();
    finish(&table, gather);
    assert_eq!(table.count_tables().total(), 1);
    let gather = table.map(range(0, WIDE), Segment::new(PhysAddr(FAR), WIDE), Prot::RW).unwrap();
    assert_eq!(finish(&table, gather), 1, "the table came loose");
    for at in (0..WIDE).step_by(SECTION as usize) {
        let found = walk(&table, at, Access::UNPRIVILEGED_READ).unwrap();
        assert_eq!((found.address, found.leaf_size), (FAR + at, WIDE));
    }
}

/// Who has a reservation and maps where something is mapped is not told. What stands around is gone
/// then, or as it was: never is it somewhere else.
#[test]
fn what_is_mapped_over_a_part_of_a_wide_leaf_makes_none_lead_elsewhere() {
    let memory = machine::memory();
    let mut table = one_wide_leaf(&memory);
    let page = range(WIDE + 3 * SECTION + 0x7000, 0x1000);
    let most = table.geometry().worst_case_tables(page);
    let mut pages = table.reserver().reserve(&most, page.first(), true).unwrap();
    let segment = Segment::new(PhysAddr(0x8000_0000), 0x1000);
    let mapped = table.reserved(&mut pages).unwrap().map(page, segment, Prot::RW);
    finish(&table, mapped.unwrap());
    assert_eq!(table.translate(page.first()).unwrap().phys.0, 0x8000_0000);
    for at in (0..WIDE).step_by(0x1000).filter(|at| WIDE + at != page.first().0) {
        let found = table.translate(Iova(WIDE + at)).map(|there| there.phys.0);
        assert!(found.is_none_or(|phys| phys == 0x12_3400_0000 + at), "{at:#x}: {found:x?}");
    }
}
