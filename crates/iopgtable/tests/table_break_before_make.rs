//! What changes under a walker's eyes, without having been invalid in between, is said in the
//! gather; where the driver forbids splits, an operation that needs one is refused, names the
//! block, and changes nothing.

#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;

use iopgtable::{
    Arm64S1, Arm64S2, Config, Granule4K, Iova, IovaRange, Options, PhysAddr, Prot, ReservedError,
    Segment, Splits, TableError,
};
use machine::{Memory, Table, finish, range};

type S1 = Arm64S1<Granule4K>;

const BLOCK: u64 = 2 << 20;
const GROUP: u64 = 16 * BLOCK;

fn config() -> Config {
    Config::new(48, 48).with(Options::CONTIGUOUS)
}

/// A group of 16 blocks at 0, a block at 64 MiB, a group of 16 pages at 96 MiB.
fn table(config: Config, memory: &Memory) -> Table<'_, S1> {
    let mut table = machine::table::<S1>(config, memory);
    for (first, bytes) in [(0, GROUP), (2 * GROUP, BLOCK), (3 * GROUP, 0x1_0000)] {
        let segment = Segment::new(PhysAddr((1 << 30) + first), bytes);
        let mapped = table.map(range(first, bytes), [segment], Prot::RW).unwrap();
        assert!(mapped.break_before_make().is_empty(), "nothing was there");
        finish(&table, mapped);
    }
    table
}

/// Ranges that cut something, with what they cut.
fn cuts() -> [(IovaRange, IovaRange); 5] {
    let (block, pages) = (range(2 * GROUP, BLOCK), range(3 * GROUP, 0x1_0000));
    [
        (range(BLOCK, BLOCK), range(0, GROUP)),
        (range(GROUP - 0x1000, 0x1000), range(0, GROUP)),
        (range(2 * GROUP + 0x1000, 0x1000), block),
        (range(2 * GROUP + BLOCK / 2, BLOCK), block),
        (range(3 * GROUP + 0x3000, 0x1000), pages),
    ]
}

/// Ranges that cut nothing.
fn whole() -> [IovaRange; 4] {
    [
        range(0, GROUP),
        range(2 * GROUP, BLOCK),
        range(3 * GROUP, 0x1_0000),
        range(0, 3 * GROUP + 0x1_0000),
    ]
}

#[test]
fn cuts_are_said_to_have_resized() {
    let memory = machine::memory();
    for (wanted, cut) in cuts() {
        for operation in [Table::<S1>::clear, |table: &mut Table<'_, S1>, range| {
            table.protect(range, Prot::READ)
        }] {
            let mut table = table(config(), &memory);
            let gather = operation(&mut table, wanted).unwrap();
            let live = *gather.break_before_make();
            assert_eq!((live.range, live.resized, live.rewritten), (Some(cut), true, false));
            assert!(gather.stale().leaves.unwrap().covers(cut), "cached translations go");
            finish(&table, gather);
        }
    }
}

#[test]
fn whole_leaves_go_and_change_their_permissions_in_one_step() {
    let memory = machine::memory();
    for wanted in whole() {
        let mut table = table(config(), &memory);
        let gather = table.protect(wanted, Prot::READ | Prot::EXECUTE).unwrap();
        assert!(gather.break_before_make().is_empty(), "{wanted}");
        finish(&table, gather);
        let gather = table.unmap(wanted, wanted).unwrap();
        assert!(gather.break_before_make().is_empty(), "{wanted}");
        finish(&table, gather);
    }
}

#[test]
fn another_memory_type_is_said_to_be_a_rewrite() {
    let memory = machine::memory();
    for wanted in whole() {
        let mut table = table(config(), &memory);
        let gather = table.protect(wanted, Prot::RW | Prot::CACHED).unwrap();
        let live = *gather.break_before_make();
        assert!(live.rewritten && !live.resized, "{wanted}");
        assert!(wanted.covers(live.range.unwrap()));
        finish(&table, gather);
    }
    // In stage 2 likewise.
    let mut table = machine::table::<Arm64S2<Granule4K>>(Config::new(40, 40), &memory);
    let page = range(0x1000, 0x1000);
    let mapped = table.map(page, [Segment::new(PhysAddr(0), 0x1000)], Prot::RW).unwrap();
    finish(&table, mapped);
    let gather = table.protect(page, Prot::READ).unwrap();
    assert!(gather.break_before_make().is_empty());
    let gather = table.protect(page, Prot::READ | Prot::DEVICE).unwrap();
    assert!(gather.break_before_make().rewritten);
}

#[test]
fn what_takes_a_mappings_place_is_a_rewrite() {
    let memory = machine::memory();
    let mut table = table(config(), &memory);
    let mut pages =
        table.reserver().reserve(&iopgtable::TableCount::of(3, 1), Iova(0), true).unwrap();
    let page = range(2 * GROUP, 0x1000);
    let mut reserved = table.reserved(&mut pages).unwrap();
    let gather = reserved.replace(page, [Segment::new(PhysAddr(0), 0x1000)], Prot::RW).unwrap();
    let live = *gather.break_before_make();
    assert!(live.rewritten && live.resized, "and the block was cut");
    assert_eq!(live.range, Some(range(2 * GROUP, BLOCK)));
    // A block in the place of a table.
    let block = range(2 * GROUP, BLOCK);
    let segment = Segment::new(PhysAddr(BLOCK), BLOCK);
    let gather = reserved.replace(block, [segment], Prot::RW).unwrap();
    assert!(gather.break_before_make().resized);
    assert_eq!(finish(&table, gather), 1);
}

#[test]
fn a_block_in_the_place_of_an_empty_table_is_said_to_have_resized() {
    let memory = machine::memory();
    let mut table = machine::populated::<S1>(Config::new(48, 48), &memory);
    let empty = range(3 * BLOCK, BLOCK);
    let gather = table.map(empty, [Segment::new(PhysAddr(BLOCK), BLOCK)], Prot::RW).unwrap();
    let live = *gather.break_before_make();
    assert_eq!((live.range, live.resized, live.rewritten), (Some(empty), true, false));
    assert_eq!(finish(&table, gather), 1);
}

#[test]
fn forbidden_splits_are_refused_and_nothing_changes() {
    let memory = machine::memory();
    let mut table = table(config().splits(Splits::Forbidden), &memory);
    let before = machine::contents(&table);
    let missing = iopgtable::TableCount::of(3, 3);
    let mut pages = table.reserver().reserve(&missing, Iova(0), true).unwrap();
    for (wanted, block) in cuts() {
        let refused = TableError::Split { block };
        assert_eq!(table.unmap(wanted, wanted).map(|_| ()), Err(refused));
        assert_eq!(table.clear(wanted).map(|_| ()), Err(refused));
        assert_eq!(table.protect(wanted, Prot::READ).map(|_| ()), Err(refused));
        let mut reserved = table.reserved(&mut pages).unwrap();
        let segment = Segment::new(PhysAddr(0), wanted.bytes());
        for outcome in [
            reserved.unmap(wanted, wanted),
            reserved.clear(wanted),
            reserved.protect(wanted, Prot::READ),
            reserved.replace(wanted, [segment], Prot::RW),
        ] {
            let Err(ReservedError::Refused(error)) = outcome else {
                panic!("{wanted} cuts {block}");
            };
            assert_eq!(error, refused);
        }
        assert!(refused.to_string().contains(&block.to_string()), "the text names the block");
    }
    assert_eq!(machine::contents(&table), before);
    drop(pages);
    for wanted in whole() {
        let gather = table.protect(wanted, Prot::READ).unwrap();
        finish(&table, gather);
        let gather = table.unmap(wanted, wanted).unwrap();
        assert!(gather.break_before_make().is_empty());
        finish(&table, gather);
    }
}
