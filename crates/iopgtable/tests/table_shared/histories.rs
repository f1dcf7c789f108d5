//! Threads with ranges of their own leave what one thread would have left.

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule16K, Granule64K,
    Iova, IovaRange, MediaTek, Options, Prot, Unextended, Unwalked, Visit, VtdS2, X86_64,
};
use proptest::prelude::*;

use crate::machine::Walked;
use crate::slices::Plan;
use crate::tables::{CONFIG, HINT, S1, Shared, look, walk};

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
fn check_groups<F: Walked>(table: &crate::machine::Table<'_, F>) {
    if F::GROUPS.are_pages() {
        // The soft MMU, which reads all entries of a page, has walked everywhere.
        return;
    }
    let geometry = *table.geometry();
    let contents = crate::machine::contents(table);
    for visit in crate::machine::dump(table) {
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
    let memory = crate::machine::memory();
    let (mut table, units) = plan.prepare(crate::machine::table::<F>(config, &memory));
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
    let after = crate::machine::dump(&table);
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
                fn $name(plan in crate::slices::plan()) {
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
