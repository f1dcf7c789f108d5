//! Threads that meet: in tables, in blocks, in groups, and where they should not.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use iopgtable::{
    ArmMali, Config, Format, LAST_LEVEL, Options, PhysAddr, Prot, Segment, Unwalked, Visit,
};

use crate::machine::{Memory, range};
use crate::tables::{BLOCK, CONFIG, PAGE, S1, Shared, look, map, walk};

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
        let memory = crate::machine::memory();
        let table = crate::machine::table::<S1>(config, &memory).into_shared();
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

/// Operations with overlapping ranges, against the contract: nothing is lost, freed twice, or
/// written outside of tables.
fn overlap<F: Format>(config: Config, seed: u64) {
    let memory = crate::machine::memory();
    let mut table = crate::machine::table::<F>(config, &memory).into_shared();
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
