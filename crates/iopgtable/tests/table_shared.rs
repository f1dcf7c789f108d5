//! Many threads change one table, each in ranges of its own.

#![cfg(feature = "alloc")]

mod machine;
mod slices;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Barrier};
use std::thread;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::memory::{AllocError, Heap, Pool, Publish, Region};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Format, Granule4K,
    Granule16K, Granule64K, Iova, IovaRange, LAST_LEVEL, MediaTek, Options, PhysAddr, Prot,
    Segment, SharedPageTable, Splits, TableError, Unextended, Unwalked, Visit, VtdS2, X86_64,
};
use machine::{Memory, Walked, range};
use proptest::prelude::*;
use slices::Plan;
use walkers::{Access, FaultKind};

type S1 = Arm64S1<Granule4K>;
type Shared<'m, F> = SharedPageTable<F, &'m Memory>;

const PAGE: u64 = 4 << 10;
const BLOCK: u64 = 2 << 20;
const CONFIG: Config = Config::new(48, 48);
/// Bit 52 of a leaf.
const HINT: u64 = 1 << 52;

fn shared(memory: &Memory) -> Shared<'_, S1> {
    machine::table::<S1>(CONFIG, memory).into_shared()
}

fn map(table: &Shared<'_, S1>, first: u64, bytes: u64) -> Result<(), TableError> {
    table.map(range(first, bytes), [Segment::new(PhysAddr(first), bytes)], Prot::RW)
}

/// Where an address leads for the soft MMU, while operations run. A group may be in pieces then,
/// which the soft MMU reports and a gather tells (`Gather::break_before_make`), so there the table
/// says where the address leads.
fn look<F: Walked>(table: &Shared<'_, F>, address: u64) -> Option<(u64, bool)> {
    // What pieces of a page of several entries look like depends on the format.
    let found = if F::GROUPS.are_pages() { None } else { Some(ask(table, address)) };
    match found {
        Some(Ok(found)) => Some(found),
        None | Some(Err(FaultKind::Conflict)) => {
            let found = table.translate(Iova(address))?;
            Some((found.phys.0, found.prot.contains(Prot::WRITE)))
        }
        Some(Err(_)) => None,
    }
}

/// Where an address leads for the soft MMU.
fn walk<F: Walked>(table: &Shared<'_, F>, address: u64) -> Option<(u64, bool)> {
    ask(table, address).ok()
}

fn ask<F: Walked>(table: &Shared<'_, F>, address: u64) -> Result<(u64, bool), FaultKind> {
    // SAFETY: the walk ends before this function does, and the table stays.
    let registers = unsafe { table.registers() };
    // SAFETY: the walk only reads linked tables, whose entries are written atomically.
    let read = |phys| unsafe { table.allocator().upstream().read(PhysAddr(phys)) };
    iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ)
        .map(|found| (found.address, found.permissions.unprivileged.write))
        .map_err(|fault| fault.kind)
}

/// How many tables lead to no leaf.
fn empty_tables(visits: &[Visit]) -> usize {
    let has_leaf = |span: IovaRange| {
        let inside =
            |visit: &Visit| matches!(visit, Visit::Leaf { span: leaf, .. } if span.covers(*leaf));
        visits.iter().any(inside)
    };
    let empty = |visit: &&Visit| matches!(visit, Visit::Table { span, .. } if !has_leaf(*span));
    visits.iter().filter(empty).count()
}

/// That all leaves of a group have the hint or none, and that groups are what they should be.
fn check_groups<F: Walked>(table: &machine::Table<'_, F>) {
    if F::GROUPS.are_pages() {
        // The soft MMU, which reads all entries of a page, has walked everywhere.
        return;
    }
    let geometry = *table.geometry();
    let contents = machine::contents(table);
    for visit in machine::dump(table) {
        let Visit::Table { level, phys, .. } = visit else { continue };
        let size = 1 << (geometry.group_shift(level) - geometry.entry_shift(level));
        for group in contents[&phys.0].chunks(size) {
            let hints = group.iter().filter(|&&entry| entry & HINT != 0).count();
            assert!(hints == 0 || hints == size, "{group:x?}");
            if hints > 0 {
                let step = 1u64 << geometry.entry_shift(level);
                let ramp = (0u64..).map(|index| group[0] + index * step);
                assert!(group.iter().copied().eq(ramp.take(size)), "{group:x?}");
            }
        }
    }
}

fn history<F: Walked>(config: Config, plan: &Plan) {
    let memory = machine::memory();
    let (mut table, units) = plan.prepare(machine::table::<F>(config, &memory));
    let units = plan.run(&table, &units, |address| look(&table, address));

    let window = plan.window(table.geometry());
    let check = |table: &Shared<'_, F>| {
        for unit in window.units(window.whole()) {
            for at in [unit, unit + window.unit / 2, unit + window.unit - 1] {
                let expected = units.get(&unit).map(|(phys, prot)| (phys + at - unit, *prot));
                let found = table.translate(Iova(at)).map(|at| (at.phys.0, at.prot));
                assert_eq!(found, expected, "{at:#x}");
                let expected = expected.map(|(at, prot)| (at, prot.contains(Prot::WRITE)));
                assert_eq!(walk(table, at), expected, "a walk to {at:#x}");
            }
        }
    };
    check(&table);
    let mut before = Vec::new();
    table.visit(table.geometry().whole(), |seen| before.push(seen));
    let is_table = |visit: &&Visit| matches!(visit, Visit::Table { .. });
    let tables = before.iter().filter(is_table).count();
    assert_eq!(memory.live(), tables + 1, "no page is lost");

    let empty = empty_tables(&before);
    let gather = table.trim();
    assert_eq!(gather.stale().leaves, None);
    assert_eq!(table.finish(gather, &mut Unwalked).expect("nobody walks it"), empty);
    assert_eq!(memory.live(), tables - empty + 1);
    check(&table);

    let table = table.into_exclusive();
    let after = machine::dump(&table);
    assert_eq!(empty_tables(&after), 0);
    let is_leaf = |visit: &&Visit| !is_table(visit);
    assert!(before.iter().filter(is_leaf).eq(after.iter().filter(is_leaf)));
    check_groups(&table);
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
}

macro_rules! histories {
    ($($name:ident: $format:ty, $config:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(plan in slices::plan()) {
                    history::<$format>($config, &plan);
                }
            )*
        }
    };
}
/// Leaves say the memory type, so that what they say is read back.
const NAPOT: Options = Options::CONTIGUOUS.with(Options::MEMORY_TYPES);

histories! {
    threads_s1_4k: S1, CONFIG;
    threads_s1_4k_contiguous: S1, CONFIG.with(Options::CONTIGUOUS);
    threads_s1_16k_contiguous: Arm64S1<Granule16K>, CONFIG.with(Options::CONTIGUOUS);
    threads_s2_64k: Arm64S2<Granule64K>, Config::new(42, 42);
    threads_mali: ArmMali, Config::new(33, 40);
    threads_x86_64: X86_64, Config::new(57, 48);
    threads_dart: Dart<T6000>, Config::new(38, 42);
    threads_riscv_napot: RiscV<FirstStage>, Config::new(39, 56).with(NAPOT);
    threads_amd_v1: AmdV1, Config::new(57, 48);
    threads_amd_v1_of_one_level: AmdV1, Config::new(21, 48);
    threads_arm_v7s: ArmV7s<Unextended>, Config::new(32, 32);
    threads_mediatek_v7s: ArmV7s<MediaTek>, Config::new(34, 35);
    threads_arm32_s1: Arm32S1, Config::new(32, 40);
    threads_arm32_s2: Arm32S2, Config::new(40, 40).with(Options::CONTIGUOUS);
    threads_vtd_s2: VtdS2, Config::new(57, 52).with(Options::FORCE_SNOOP);
    threads_riscv_guest: RiscV<GStage>, Config::new(50, 56).with(Options::MEMORY_TYPES);
    threads_dart_t8020: Dart<T8020>, Config::new(36, 36);
}

const fn send_and_sync<T: Send + Sync>() {}

const _: () = {
    send_and_sync::<SharedPageTable<S1, Heap>>();
    send_and_sync::<SharedPageTable<S1, Arc<Pool<Region>>>>();
    send_and_sync::<SharedPageTable<ArmMali, &Memory>>();
};

/// Two answers for a type that is `Sync`, which is one too many; one for a type that is not.
trait NotSync<Answer> {
    const FOUND: bool = true;
}
impl<T: ?Sized> NotSync<()> for T {}
impl<T: ?Sized + Sync> NotSync<u8> for T {}

struct Here(Cell<()>);

// SAFETY: nothing walks a table.
unsafe impl Publish for Here {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
}

/// An allocator that stays on its thread makes a table that does.
const _: () = assert!(<SharedPageTable<S1, Region<Here>> as NotSync<_>>::FOUND);

/// Runs both at the same time, again and again, each time on a new table.
fn race(
    rounds: usize,
    config: Config,
    prepare: impl Fn(&Shared<'_, S1>),
    one: impl Fn(&Shared<'_, S1>) + Sync,
    other: impl Fn(&Shared<'_, S1>) + Sync,
    check: impl Fn(&Shared<'_, S1>, &Memory),
) {
    for _ in 0..rounds {
        let memory = machine::memory();
        let table = machine::table::<S1>(config, &memory).into_shared();
        prepare(&table);
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                barrier.wait();
                other(&table);
            });
            barrier.wait();
            one(&table);
            other.join().expect("it ends well");
        });
        check(&table, &memory);
        drop(table);
        assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
    }
}

#[test]
fn two_threads_that_need_the_same_tables_make_them_once() {
    race(
        300,
        CONFIG,
        |_| {},
        |table| map(table, 0, PAGE).unwrap(),
        |table| map(table, PAGE, PAGE).unwrap(),
        |table, memory| {
            assert_eq!(memory.live(), 4, "the root and one table a level");
            for page in [0, PAGE] {
                assert_eq!(look(table, page), Some((page, true)));
            }
        },
    );
}

#[test]
fn two_threads_unmap_the_halves_of_one_block() {
    let half = BLOCK / 2;
    race(
        300,
        CONFIG,
        |table| map(table, 0, BLOCK).unwrap(),
        |table| assert!(table.unmap(range(0, half)).is_ok()),
        |table| assert!(table.unmap(range(half, half)).is_ok()),
        |table, memory| {
            assert_eq!(memory.live(), 4, "the block is cut once");
            for page in (0..BLOCK).step_by(PAGE as usize) {
                assert_eq!(look(table, page), None);
            }
        },
    );
}

/// Whoever asks for another leaf of the group meanwhile.
#[test]
fn a_group_leads_where_it_did_while_another_thread_cuts_it() {
    let (group, groups) = (16 * BLOCK, 256);
    race(
        30,
        // Blocks of 1 GiB form no groups here.
        CONFIG.with(Options::CONTIGUOUS).largest_leaf(BLOCK),
        |table| map(table, 0, groups * group).unwrap(),
        |table| {
            for group in (0..groups).map(|index| range(index * group, group)) {
                let gather = table.unmap(range(group.first().0, BLOCK)).unwrap();
                assert_eq!(gather.break_before_make().range, Some(group));
            }
        },
        |table| {
            for _ in 0..4 {
                for last in (1..=groups).map(|index| index * group - BLOCK) {
                    assert_eq!(look(table, last), Some((last, true)));
                }
            }
        },
        |table, _| {
            for at in (0..groups * group).step_by(BLOCK as usize) {
                assert_eq!(walk(table, at), (at % group != 0).then_some((at, true)));
            }
        },
    );
}

#[test]
fn a_table_that_is_there_is_used_until_it_is_trimmed() {
    let memory = machine::memory();
    let mut table = shared(&memory);
    map(&table, 0, PAGE).unwrap();
    let gather = table.unmap(range(0, PAGE)).unwrap();
    assert_eq!(table.finish(gather, &mut Unwalked).unwrap(), 0);
    // Two blocks: where the table is, and where none is.
    let segment = [Segment::new(PhysAddr(0), 2 * BLOCK)];
    let more = table.exact_tables(range(0, 2 * BLOCK), segment, Prot::RW).unwrap();
    assert_eq!(more.total(), 0);
    map(&table, 0, 2 * BLOCK).unwrap();
    assert_eq!(table.translate(Iova(BLOCK - PAGE)).unwrap().leaf_bytes, PAGE);
    assert_eq!(table.translate(Iova(BLOCK)).unwrap().leaf_bytes, BLOCK);

    let gather = table.unmap(range(0, BLOCK)).unwrap();
    table.finish(gather, &mut Unwalked).unwrap();
    let gather = table.trim();
    assert_eq!(gather.stale().walks, Some(range(0, BLOCK)));
    assert_eq!(table.finish(gather, &mut Unwalked).unwrap(), 1);
    map(&table, 0, BLOCK).unwrap();
    assert_eq!(table.translate(Iova(0)).unwrap().leaf_bytes, BLOCK);
    assert!(table.trim().is_empty());
}

#[test]
fn a_cut_of_a_live_block_is_told() {
    let memory = machine::memory();
    let table = shared(&memory);
    map(&table, 0, BLOCK).unwrap();
    let gather = table.unmap(range(0, PAGE)).unwrap();
    assert_eq!(gather.stale().leaves, Some(range(0, BLOCK)));
    let live = gather.break_before_make();
    assert_eq!((live.range, live.resized, live.rewritten), (Some(range(0, BLOCK)), true, false));
    assert_eq!(look(&table, PAGE), Some((PAGE, true)));
}

#[test]
fn a_block_is_not_cut_where_that_is_forbidden() {
    let memory = machine::memory();
    let config = CONFIG.splits(Splits::Forbidden).with(Options::CONTIGUOUS);
    let table = machine::table::<S1>(config, &memory).into_shared();
    map(&table, 0, BLOCK).unwrap();
    let refused = table.unmap(range(0, PAGE)).map(|_| ()).unwrap_err();
    assert_eq!(refused, TableError::Split { block: range(0, BLOCK) });
    map(&table, BLOCK, 16 * PAGE).unwrap();
    let refused = table.protect(range(BLOCK, PAGE), Prot::READ).map(|_| ()).unwrap_err();
    assert_eq!(refused, TableError::Split { block: range(BLOCK, 16 * PAGE) });
    map(&table, 2 * BLOCK, PAGE).unwrap();
    assert!(table.unmap(range(2 * BLOCK, PAGE)).is_ok());
}

#[test]
fn a_shared_operation_without_memory_changes_nothing() {
    type Operation = fn(&Shared<'_, S1>) -> Result<(), TableError>;
    let operations: [(u64, Operation); 3] = [
        (3, |table| map(table, 1 << 39, PAGE)),
        (1, |table| table.unmap(range(BLOCK + PAGE, PAGE)).map(|_| ())),
        (2, |table| table.protect(range((1 << 30) + BLOCK + PAGE, PAGE), Prot::READ).map(|_| ())),
    ];
    for (pages, operation) in operations {
        let memory = machine::memory();
        let mut table = shared(&memory);
        map(&table, BLOCK, BLOCK).unwrap();
        map(&table, 1 << 30, 1 << 30).unwrap();
        for failing in 0..pages {
            let exclusive = table.into_exclusive();
            let before = machine::contents(&exclusive);
            table = exclusive.into_shared();
            let held = (memory.live(), memory.upstream().in_use());
            memory.fail_nth(failing);
            let refused = operation(&table).unwrap_err();
            assert!(matches!(refused, TableError::Alloc(AllocError::OutOfMemory { .. })));
            let exclusive = table.into_exclusive();
            assert!(machine::contents(&exclusive) == before, "not a byte has changed");
            table = exclusive.into_shared();
            assert_eq!((memory.live(), memory.upstream().in_use()), held, "nothing is lost");
        }
        memory.fail_nth(pages);
        operation(&table).expect("it takes no more pages");
    }
}

#[test]
fn a_mapping_is_not_mapped_over() {
    let memory = machine::memory();
    let table = shared(&memory);
    map(&table, BLOCK, BLOCK).unwrap();
    let overlap = |iova| TableError::Overlap { iova: Iova(iova), leaf: BLOCK };
    assert_eq!(map(&table, BLOCK + PAGE, PAGE), Err(overlap(BLOCK + PAGE)));
    assert_eq!(map(&table, 0, 2 * BLOCK), Err(overlap(BLOCK)));
    assert_eq!(table.translate(Iova(0)), None);
}

/// Operations with overlapping ranges, against the contract: nothing is lost, freed twice, or
/// written outside of tables.
fn overlap<F: Format>(config: Config, seed: u64) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory).into_shared();
    let geometry = *table.geometry();
    let page = geometry.granule();
    let block = 1u64 << geometry.table_shift(LAST_LEVEL);
    for round in 0..8 {
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            for thread in 0..3u64 {
                let (table, barrier) = (&table, &barrier);
                scope.spawn(move || {
                    let mut state = seed ^ (round * 3 + thread + 1) << 20;
                    let mut below = |bound: u64| {
                        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e);
                        (state >> 33) % bound
                    };
                    barrier.wait();
                    for _ in 0..150 {
                        let unit = [page, block / 4, block][below(3) as usize];
                        let first = below(6 * block / unit) * unit;
                        let range = range(first, (1 + below(3)) * unit);
                        let off = [0, 0, 0, page][below(4) as usize];
                        let segment = Segment::new(PhysAddr(first + off), range.bytes());
                        // Whatever comes of it.
                        let _ = match below(5) {
                            0 | 1 => table.map(range, [segment], Prot::RW),
                            2 | 3 => table.unmap(range).map(drop),
                            _ => table.protect(range, Prot::READ).map(drop),
                        };
                        table.translate(range.last());
                    }
                });
            }
        });
        let mut tables = BTreeMap::new();
        table.visit(geometry.whole(), |seen| {
            if let Visit::Table { phys, span, .. } = seen {
                assert_eq!(tables.insert(phys.0, span), None, "linked twice");
            }
        });
        assert_eq!(memory.live(), tables.len() + 1, "no page is lost");
        let gather = table.trim();
        table.finish(gather, &mut Unwalked).expect("nobody walks it");
    }
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
}

#[test]
fn overlapping_ranges_lose_nothing() {
    for seed in 0..12 {
        overlap::<S1>(CONFIG, seed);
        overlap::<S1>(CONFIG.with(Options::CONTIGUOUS), seed);
        overlap::<ArmMali>(Config::new(40, 40), seed);
    }
}
