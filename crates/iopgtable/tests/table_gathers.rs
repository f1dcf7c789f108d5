//! Nothing is reused before the device has forgotten it: a loose table goes back to its allocator
//! after a successful invalidation and not before, and stays walkable until then.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod ops;

use std::collections::BTreeMap;

use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Gather, Granule4K, Granule16K, Invalidation,
    PhysAddr, Prot, Segment, Unextended, Unwalked, X86_64,
};
use machine::{Device, Memory, Table, Walked, finish, range, walk};
use model::Model;
use ops::{Kind, Raw};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

type S1 = Arm64S1<Granule4K>;

const CONFIG: Config = Config::new(48, 48);

/// A table with one page at 2 MiB, and three tables below the root.
fn with_a_page(memory: &Memory) -> Table<'_, S1> {
    let mut table = machine::table::<S1>(CONFIG, memory);
    let page = Segment::new(PhysAddr(0), 0x1000);
    let mapped = table.map(range(0x20_0000, 0x1000), [page], Prot::RW);
    finish(&table, mapped.expect("nothing is there"));
    table
}

fn unmap_all(table: &mut Table<'_, S1>) -> Gather {
    let whole = machine::whole(table);
    table.unmap(range(0x20_0000, 0x1000), whole).expect("a good range")
}

#[test]
fn loose_tables_are_freed_after_the_invalidation() {
    let memory = machine::memory();
    let mut table = with_a_page(&memory);
    let held = memory.live();
    let gather = unmap_all(&mut table);
    assert!(!gather.is_empty());
    assert_eq!(gather.stale().leaves, Some(range(0x20_0000, 0x1000)));
    assert_eq!(gather.stale().walks, Some(range(0, 1 << 39)), "the largest table's span");
    assert_eq!(gather.stale().hull(), Some(range(0, 1 << 39)));
    let stale = *gather.stale();
    assert_eq!(memory.live(), held, "nothing goes before");

    let mut device = Device::default();
    let invalidated = gather.invalidate(&mut device).unwrap();
    assert_eq!(device.asked, [stale], "once, and for all of it");
    assert_eq!(memory.live(), held, "the proof alone frees nothing");
    assert_eq!(table.free(invalidated), 3);
    assert_eq!(memory.live(), 1);
}

#[test]
fn a_failed_invalidation_frees_nothing_until_a_later_one_succeeds() {
    let memory = machine::memory();
    let mut table = with_a_page(&memory);
    let mut gather = unmap_all(&mut table);
    let stale = *gather.stale();
    let mut device = Device { broken: true, ..Device::default() };
    for _ in 0..3 {
        let failed = table.finish(gather, &mut device).unwrap_err();
        assert_eq!(failed.error, "the device does not answer");
        gather = failed.gather;
        assert_eq!(*gather.stale(), stale, "it is still to be forgotten");
        assert_eq!(memory.live(), 4);
    }
    device.broken = false;
    assert_eq!(table.finish(gather, &mut device).unwrap(), 3);
    assert_eq!(device.asked, [stale; 4]);
    assert_eq!(memory.live(), 1);
}

#[test]
fn an_empty_gather_asks_the_device_nothing() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(CONFIG, &memory);
    let page = Segment::new(PhysAddr(0), 0x1000);
    let gather = table.map(range(0, 0x1000), [page], Prot::RW).unwrap();
    assert!(gather.is_empty());
    let mut device = Device::default();
    assert_eq!(table.finish(gather, &mut device).unwrap(), 0);
    assert_eq!(device.asked, []);
}

#[test]
fn a_table_frees_no_other_tables_gather() {
    let memory = machine::memory();
    let (mut one, other) = (with_a_page(&memory), with_a_page(&memory));
    let held = memory.live();
    let gather = unmap_all(&mut one);
    assert_eq!(finish(&other, gather), 0);
    assert_eq!(memory.live(), held, "they are lost, but not reused");
    drop((one, other));
    assert_eq!(memory.live(), 3);
}

#[test]
fn quarantined_tables_stay_out_of_use_until_the_table_is_dropped() {
    let memory = machine::memory();
    let (mut one, mut other) = (with_a_page(&memory), with_a_page(&memory));
    let gather = unmap_all(&mut one);
    other.quarantine(gather);
    drop(other);
    assert_eq!(memory.live(), 4, "a table keeps no other table's");

    let page = Segment::new(PhysAddr(0), 0x1000);
    for _ in 0..2 {
        let _ = one.map(range(0x20_0000, 0x1000), [page], Prot::RW).unwrap();
        let gather = unmap_all(&mut one);
        one.quarantine(gather);
    }
    assert_eq!(memory.live(), 3 + 1 + 2 * 3, "none of them was used again");
    drop(one);
    assert_eq!(memory.live(), 3);
}

#[test]
fn one_invalidation_may_cover_many_gathers() {
    let memory = machine::memory();
    let mut table = with_a_page(&memory);
    let page = Segment::new(PhysAddr(0), 0x1000);
    let far = range(1 << 40, 0x1000);
    let _ = table.map(far, [page], Prot::RW).unwrap();
    let first = unmap_all(&mut table);
    let second = table.unmap(far, machine::whole(&table)).unwrap();
    let both: Invalidation = first.stale().and(second.stale());
    assert_eq!(both.leaves, Some(range(0x20_0000, (1 << 40) + 0x1000 - 0x20_0000)));
    assert_eq!(both.walks, Some(range(0, 3 << 39)));
    // SAFETY: nobody walks the table.
    let freed = unsafe { [first.assume_invalidated(), second.assume_invalidated()] };
    assert_eq!(freed.map(|invalidated| table.free(invalidated)), [3, 3]);
}

/// More tables come loose than one of them has room for the names of, in calls that leave tables of
/// pages, tables of blocks, and tables above both.
#[test]
fn thousands_of_loose_tables_are_freed_and_each_once() {
    const PAGES: u64 = 1300;
    let memory = machine::memory();
    let mut table = machine::table::<S1>(Config::new(48, 48), &memory);
    let mut cursor = table.cursor();
    let page = Segment::new(PhysAddr(0), 0x1000);
    let block = Segment::new(PhysAddr(0x20_0000), 0x20_0000);
    for index in 0..PAGES {
        // Each in a table of its own; three above these, and a fourth above all.
        cursor.map(range(index << 21, 0x1000), [page], Prot::RW).unwrap();
    }
    for index in 0..3 {
        cursor.map(range((600 + index) << 30, 0x20_0000), [block], Prot::RW).unwrap();
    }
    let _ = cursor.finish();
    let tables = usize::try_from(PAGES).unwrap() + 3 + 3 + 2;
    assert_eq!(memory.live(), 1 + tables);

    // By tables, by a table of blocks, and all the rest; one gather for some, one by one for others.
    let mut cursor = table.cursor();
    for index in 0..550 {
        let span = range(index << 21, 1 << 21);
        cursor.unmap(span, span).unwrap();
    }
    let blocks = range(600 << 30, 2 << 30);
    cursor.unmap(blocks, blocks).unwrap();
    for index in 1000..1010 {
        let span = range(index << 21, 1 << 21);
        cursor.unmap(span, span).unwrap();
    }
    let first = cursor.finish();
    let whole = machine::whole(&table);
    let second = table.unmap(range(0, 700 << 30), whole).unwrap();
    assert_eq!(memory.live(), 1 + tables, "not before the device has forgotten them");
    table.quarantine(second);
    let freed = table.finish(first, &mut Unwalked).unwrap();
    // Three came loose with the 512 tables before: they were pushed one by one all the same.
    assert_eq!(freed, 550 + 2 + 10);
    assert_eq!(memory.live(), 1 + tables - freed);
    drop(table);
    assert_eq!(memory.live(), 0);
}

#[test]
fn a_gather_that_is_dropped_loses_its_tables_and_no_more() {
    let memory = machine::memory();
    let mut table = with_a_page(&memory);
    drop(unmap_all(&mut table));
    assert_eq!(memory.live(), 4);
    drop(table);
    assert_eq!(memory.live(), 3, "who knows whether they are still walked");
}

/// Gathers stay open for a while, and are finished out of order. Until one is, a walker that has
/// cached the old links sees the old translations or a fault: never another table's words.
fn outstanding<F: Walked>(config: Config, raw: &[(Raw, bool)]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let mut model = Model::new(*table.geometry());
    let mut open: Vec<(Gather, usize)> = Vec::new();
    for (raw, finish_last) in raw {
        let mut mapping = raw.mapping(model.geometry());
        mapping.prot = F::granted(mapping.prot);
        let range = mapping.range;
        let (before, tables) = (model.clone(), machine::contents(&table));
        let (gather, change) = if raw.kind == Kind::Map {
            if model.first_mapped(range).is_some() {
                continue;
            }
            let change = model.map(range, &mapping.segments, mapping.prot);
            (machine::map(&mut table, range, &mapping.segments, mapping.prot), change)
        } else {
            let hole = raw.hole(&model, range);
            let change = model.unmap(range, hole);
            (table.unmap(range, hole), change)
        };
        open.push((gather.expect("nothing is wrong with it"), change.loose));

        // It has cached every table from before but for those at the end of the walk.
        // SAFETY: the walks end before the table changes.
        let registers = unsafe { table.registers() };
        let upper: Vec<u64> =
            tables.keys().copied().filter(|phys| is_upper(&tables, *phys)).collect();
        let read = |phys: u64| {
            let (first, words) = tables.range(..=phys).next_back()?;
            let cached =
                upper.contains(first).then(|| words.get((phys - first) as usize / 8)).flatten();
            // SAFETY: no operation runs, and the region has memory of its own.
            cached.copied().or_else(|| unsafe { memory.upstream().read(PhysAddr(phys)) })
        };
        for address in before.addresses(range, 20) {
            let found = iopgtable_conformance::walk::<F>(
                registers,
                &read,
                address,
                Access::UNPRIVILEGED_READ,
            );
            let found = found.map(|found| found.address).map_err(|fault| fault.kind);
            let allowed = [&before, &model].map(|model| {
                model.get(address).map(|(phys, _)| phys).ok_or(FaultKind::Translation)
            });
            let fault = Err(FaultKind::Translation);
            assert!(allowed.contains(&found) || found == fault, "{address:#x}: {found:?}");
        }

        let loose: usize = open.iter().map(|(_, loose)| loose).sum();
        let tables = usize::try_from(model.count_tables().total()).expect("not so many");
        assert_eq!(memory.live(), 1 + tables + loose, "what is loose is not free");
        let last = if *finish_last { open.pop() } else { None };
        if let Some((gather, loose)) = last {
            assert_eq!(finish(&table, gather), loose);
        } else if open.len() > 3 {
            let (gather, loose) = open.remove(0);
            assert_eq!(finish(&table, gather), loose);
        }
        assert_eq!(model::seen(model.geometry(), &machine::dump(&table)), model.seen());
    }
    // Of those that are left, the device forgets every other one and the rest never.
    let mut kept = 0;
    for (index, (gather, loose)) in open.into_iter().enumerate() {
        if index % 2 == 0 {
            assert_eq!(finish(&table, gather), loose);
        } else {
            table.quarantine(gather);
            kept += loose;
        }
    }
    let tables = usize::try_from(model.count_tables().total()).expect("not so many");
    assert_eq!(memory.live(), 1 + tables + kept, "quarantined tables stay out of use");
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
}

/// Whether the table at `phys` links others of `tables`.
fn is_upper(tables: &BTreeMap<u64, Vec<u64>>, phys: u64) -> bool {
    let is_table = |word: &u64| {
        tables.contains_key(&(word & 0xffff_ffff_f000)) && word & 0b11 == 0b11 && word & 0xffc == 0
    };
    tables[&phys].iter().any(is_table)
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(raw in prop::collection::vec((ops::maps_and_unmaps(), any::<bool>()), 1..12)) {
                    outstanding::<$format>(Config::new($input, $output), &raw);
                }
            )*
        }
    };
}
histories! {
    gathers_stay_open_s1_4k: S1, 48, 48;
    gathers_stay_open_s1_16k: Arm64S1<Granule16K>, 40, 48;
    gathers_stay_open_s2_4k: Arm64S2<Granule4K>, 40, 40;
    gathers_stay_open_mali: ArmMali, 40, 40;
    gathers_stay_open_x86_64: X86_64, 48, 48;
    gathers_stay_open_amd_v1: AmdV1, 48, 48;
    gathers_stay_open_amd_v1_of_one_level: AmdV1, 21, 48;
    gathers_stay_open_arm_v7s: ArmV7s<Unextended>, 32, 32;
}

#[test]
fn a_walker_with_the_old_links_finds_the_old_page_or_a_fault() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(CONFIG, &memory);
    let pages = Segment::new(PhysAddr(0x8000_1000), 0x4000);
    let _ = table.map(range(0x20_0000, 0x4000), [pages], Prot::RW).unwrap();
    let root = machine::root(&table);
    // SAFETY: no operation runs, and the region has memory of its own.
    let link = unsafe { memory.upstream().read(PhysAddr(root)) };
    let gather = table.unmap(range(0x20_0000, 0x4000), machine::whole(&table)).unwrap();
    assert!(walk(&table, 0x20_1000, Access::UNPRIVILEGED_READ).is_err());

    // SAFETY: the walks end while the table lives and is not changed.
    let registers = unsafe { table.registers() };
    let read = |phys| match phys {
        phys if phys == root => link,
        // SAFETY: as above.
        phys => unsafe { memory.upstream().read(PhysAddr(phys)) },
    };
    for address in (0x20_0000..0x20_4000).step_by(0x1000) {
        let access = Access::UNPRIVILEGED_READ;
        match iopgtable_conformance::walk::<S1>(registers, &read, address, access) {
            Ok(found) => assert_eq!(found.address, address - 0x20_0000 + 0x8000_1000),
            Err(fault) => assert_eq!(fault.kind, FaultKind::Translation),
        }
    }
    assert_eq!(finish(&table, gather), 3);
}
