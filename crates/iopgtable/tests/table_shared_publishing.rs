//! When an operation on a shared table returns, a walker that sees only what was published finds
//! what the operation did, whatever other threads have not published yet.

#![cfg(feature = "alloc")]

mod machine;
mod slices;
mod staged;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, Iova, MediaTek, Options, PageTable, PhysAddr, Prot, Segment, SharedPageTable,
    Unextended, Unwalked, Visit, VtdS2, X86_64,
};
use machine::{Walked, range};
use proptest::prelude::*;
use slices::Plan;
use staged::Memory;

type S1 = Arm64S1<Granule4K>;
type Shared<'m, F> = SharedPageTable<F, &'m Memory>;

const PAGE: u64 = 4 << 10;
const BLOCK: u64 = 2 << 20;
const LARGE: u64 = 1 << 30;
/// What a group of pages with the contiguous hint has.
const GROUP: u64 = 16 * PAGE;
/// Bit 52 of a leaf.
const HINT: u64 = 1 << 52;

/// One thread's operation.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Map { first: u64, bytes: u64 },
    Unmap { first: u64, bytes: u64 },
    Protect { first: u64, bytes: u64 },
}
use Operation::{Map, Protect, Unmap};

impl Operation {
    fn run(self, table: &Shared<'_, S1>) {
        let gather = match self {
            Map { first, bytes } => {
                let segment = Segment::new(PhysAddr(first), bytes);
                let mapped = table.map(range(first, bytes), [segment], Prot::RW);
                mapped.expect("nothing is mapped there");
                return;
            }
            Unmap { first, bytes } => table.unmap(range(first, bytes)),
            Protect { first, bytes } => table.protect(range(first, bytes), Prot::READ),
        };
        let gather = gather.expect("nothing is wrong with it");
        table.finish(gather, &mut Unwalked).expect("nobody walks it");
    }

    /// That walkers see what it did.
    fn check(self, memory: &Memory, table: &Shared<'_, S1>) {
        let (Map { first, bytes } | Unmap { first, bytes } | Protect { first, bytes }) = self;
        let step = (bytes / 16).max(PAGE) as usize;
        for at in (first..first + bytes).step_by(step).chain([first + bytes - PAGE]) {
            let expected = match self {
                Map { .. } => Some((at, true)),
                Unmap { .. } => None,
                Protect { .. } => Some((at, false)),
            };
            assert_eq!(memory.look(table, at), expected, "{at:#x} after {self:x?}");
        }
    }
}

/// Stops one operation at each point in turn, where it has surveyed or is about to publish, and
/// has the other one run and return then.
fn stop_everywhere(before: &[Operation], slow: Operation, fast: Operation) {
    for points in 0.. {
        let memory = staged::memory::<S1>(false);
        let config = Config::new(48, 48).with(Options::CONTIGUOUS);
        let table = PageTable::<S1, _>::new(config, &memory).expect("a good configuration");
        let mut table = table.into_shared();
        for operation in before {
            operation.run(&table);
        }
        let meanwhile = || {
            fast.run(&table);
            fast.check(&memory, &table);
            no_stale_group(&memory, &table, fast);
        };
        let stopped = memory.stop_at(points, || slow.run(&table), meanwhile);
        if !stopped {
            assert!(points > 0, "it publishes something");
            break;
        }
        slow.check(&memory, &table);
        fast.check(&memory, &table);
        let mut tables = 0;
        table.visit(table.geometry().whole(), |seen| {
            tables += usize::from(matches!(seen, Visit::Table { .. }));
        });
        assert_eq!(memory.in_use(), (tables + 1) << 12, "no page is lost");
        let gather = table.trim();
        table.finish(gather, &mut Unwalked).expect("nobody walks it");
        drop(table);
        assert_eq!(memory.in_use(), 0);
    }
}

/// That no leaf beside those of `operation` has the hint for walkers, if they form a group.
fn no_stale_group(memory: &Memory, table: &Shared<'_, S1>, operation: Operation) {
    let (Map { first, bytes } | Unmap { first, bytes } | Protect { first, bytes }) = operation;
    let whole = first % GROUP == 0 && bytes % GROUP == 0;
    let mut leaf_table = None;
    table.visit(range(first, PAGE), |seen| {
        if let Visit::Table { level: 3, phys, span } = seen {
            leaf_table = Some((phys, span.first().0));
        }
    });
    let Some((PhysAddr(phys), start)) = leaf_table.filter(|_| !whole) else { return };
    let group = (first - start) / GROUP * GROUP / PAGE;
    for index in group..group + GROUP / PAGE {
        let entry = memory.read(phys + index * 8).expect("in the region");
        assert_eq!(entry & HINT, 0, "entry {index} after {operation:x?}");
    }
}

#[test]
fn a_link_that_another_thread_has_not_published_is_published() {
    let (slow, fast) = (Map { first: 0, bytes: PAGE }, Map { first: PAGE, bytes: PAGE });
    stop_everywhere(&[], slow, fast);
    // The same where only the lower tables are missing, and where they are shared in part.
    stop_everywhere(&[Map { first: 1 << 39, bytes: PAGE }], slow, fast);
    stop_everywhere(&[Map { first: LARGE, bytes: PAGE }], slow, fast);
    stop_everywhere(&[Map { first: BLOCK, bytes: PAGE }], slow, fast);
    stop_everywhere(&[], slow, Map { first: BLOCK, bytes: PAGE });
    stop_everywhere(&[], slow, Map { first: LARGE, bytes: PAGE });
}

#[test]
fn what_a_new_table_holds_goes_into_the_one_that_was_linked_first() {
    // Pages, blocks and groups of both in several tables, between those of the other thread.
    let many = Map { first: LARGE - 32 * BLOCK - PAGE, bytes: 48 * BLOCK + 2 * PAGE };
    for first in [LARGE - 33 * BLOCK, LARGE + 17 * BLOCK, LARGE - 64 * BLOCK, 2 * LARGE - BLOCK] {
        for bytes in [PAGE, BLOCK] {
            let bytes = if first == LARGE - 33 * BLOCK { PAGE } else { bytes };
            stop_everywhere(&[], many, Map { first, bytes });
            stop_everywhere(&[], Map { first, bytes }, many);
        }
    }
}

#[test]
fn a_cut_that_another_thread_has_not_published_is_published() {
    let half = BLOCK / 2;
    let lower = [
        Unmap { first: 0, bytes: half },
        Protect { first: 0, bytes: half },
        Unmap { first: PAGE, bytes: PAGE },
    ];
    let upper = [Unmap { first: half, bytes: half }, Protect { first: half, bytes: PAGE }];
    for size in [BLOCK, 32 * BLOCK, LARGE] {
        for slow in lower {
            for fast in upper {
                stop_everywhere(&[Map { first: 0, bytes: size }], slow, fast);
                stop_everywhere(&[Map { first: 0, bytes: size }], fast, slow);
            }
        }
        let (slow, fast) = (lower[0], Unmap { first: size - half, bytes: half });
        stop_everywhere(&[Map { first: 0, bytes: size }], slow, fast);
    }
}

#[test]
fn a_group_that_another_thread_takes_apart_is_taken_apart_before_one_goes_on() {
    let whole = [Map { first: 0, bytes: GROUP }];
    let page = |index| (index * PAGE, PAGE);
    for index in [0, 5, 15] {
        let (first, bytes) = page(index);
        for slow in [Unmap { first, bytes }, Protect { first, bytes }] {
            let (first, bytes) = page(8);
            stop_everywhere(&whole, slow, Unmap { first, bytes });
            stop_everywhere(&whole, slow, Protect { first, bytes });
            stop_everywhere(&whole, Unmap { first, bytes }, slow);
        }
    }
}

fn history<F: Walked>(config: Config, plan: &Plan) {
    let memory = staged::memory::<F>(true);
    let table = PageTable::<F, _>::new(config, &memory).expect("a good configuration");
    let (mut table, units) = plan.prepare(table);
    let units = plan.run(&table, &units, |address| memory.look_meanwhile(&table, address));
    let window = plan.window(table.geometry());
    for unit in window.units(window.whole()) {
        let expected = units.get(&unit).map(|(phys, prot)| (*phys, prot.contains(Prot::WRITE)));
        assert_eq!(memory.look(&table, unit), expected, "{unit:#x}");
        assert_eq!(table.translate(Iova(unit)).is_some(), expected.is_some());
    }
    let gather = table.trim();
    table.finish(gather, &mut Unwalked).expect("nobody walks it");
    drop(table);
    assert_eq!(memory.in_use(), 0);
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
histories! {
    published_s1_4k_contiguous: S1, Config::new(48, 48).with(Options::CONTIGUOUS);
    published_s1_16k: Arm64S1<Granule16K>, Config::new(48, 48);
    published_s2_64k: Arm64S2<Granule64K>, Config::new(42, 42);
    published_mali: ArmMali, Config::new(33, 40);
    published_x86_64: X86_64, Config::new(57, 48);
    published_arm32_s1: Arm32S1, Config::new(32, 40);
    published_arm32_s2: Arm32S2, Config::new(40, 40);
    published_amd_v1: AmdV1, Config::new(48, 48);
    published_vtd_s2: VtdS2, Config::new(48, 48).with(Options::FORCE_SNOOP);
    published_riscv: RiscV<FirstStage>, Config::new(48, 56).with(Options::MEMORY_TYPES);
    published_riscv_guest: RiscV<GStage>, Config::new(41, 56).with(Options::MEMORY_TYPES);
    published_riscv_napot: RiscV<FirstStage>,
        Config::new(48, 56).with(Options::CONTIGUOUS | Options::MEMORY_TYPES);
    published_arm_v7s_without_a_bit_for_it: ArmV7s<Unextended>, Config::new(32, 32);
    published_mediatek_v7s_without_a_bit_for_it: ArmV7s<MediaTek>, Config::new(34, 35);
    published_dart_t8020_without_a_bit_for_it: Dart<T8020>, Config::new(36, 36);
    published_dart_without_a_bit_for_it: Dart<T6000>, Config::new(38, 42);
}
