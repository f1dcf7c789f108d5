//! Every table that the party's device walks is shared with it.

use iopgtable::memory::{Pool, TableAllocator, TableLayout, Watermarks};
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, PageTable, PhysAddr,
    Prot, Segment,
};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

use crate::machine::{Walked, finish, range};
use crate::model::Model;
use crate::monitor::Monitor;
use crate::ops::Raw;
use crate::pages::{BYTES, PAGE, check, donated};

#[test]
fn with_a_pool_on_top_reservations_do_not_sleep() {
    let monitor = Monitor::sleeping(BYTES);
    let watermarks = Watermarks { low: 4, batch: 8, high: 32 };
    let pool = Pool::new(donated(&monitor), PAGE, watermarks);
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &pool).unwrap();
    pool.fill(16).unwrap();
    assert_eq!(monitor.shared(), pool.figures().free + 1);

    monitor.rules().atomic = true;
    let asked = monitor.rules().asked;
    let all = range(0x1000, 0x2000);
    let page = Segment::new(PhysAddr(0x1000), 0x2000);
    let count = table.exact_tables(all, [page], Prot::RW).unwrap();
    let mut pages = table.reserver().reserve(&count, all.first(), false).unwrap();
    let mut reserved = table.reserved(&mut pages).unwrap();
    let gather = reserved.map(all, [page], Prot::RW).unwrap();
    finish(&table, gather);
    assert_eq!(walk(&monitor, &table, 0x1000), Some(0x1000));
    let gather = table.unmap(all, table.geometry().whole()).unwrap();
    assert_eq!(finish(&table, gather), 3);
    assert_eq!(monitor.rules().asked, asked, "all came from the pool, and went there");

    monitor.rules().atomic = false;
    drop((pages, table));
    drop(pool);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
}

/// Where `address` leads for the party's device, which may only read what is shared.
fn walk<F: Walked, A: TableAllocator>(
    monitor: &Monitor,
    table: &PageTable<F, A>,
    address: u64,
) -> Option<u64> {
    // SAFETY: the walk ends before this function does, and the table stays.
    let registers = unsafe { table.registers() };
    let read = |phys| monitor.read(phys);
    match iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ) {
        Ok(found) => Some(found.address),
        Err(fault) => {
            assert_eq!(fault.kind, FaultKind::Translation, "garbage at {address:#x}: {fault}");
            None
        }
    }
}

fn history<F: Walked, A: TableAllocator + Clone>(
    config: Config,
    monitor: &Monitor,
    allocator: A,
    raw: &[(Raw, bool)],
    mut between: impl FnMut(),
) {
    let mut table = PageTable::<F, A>::new(config, allocator).expect("a good configuration");
    let mut model = Model::new(*table.geometry());
    for (raw, reserve) in raw {
        let Some((gather, range)) = raw.operate(&mut table, &mut model, *reserve) else {
            continue;
        };
        let look = |table: &PageTable<F, A>| {
            for address in model.addresses(range, 12) {
                let expected = model.get(address).map(|(phys, _)| phys);
                assert_eq!(walk(monitor, table, address), expected, "at {address:#x}");
            }
        };
        look(&table);
        finish(&table, gather);
        look(&table);
        between();
        look(&table);
    }
}

fn histories<F: Walked>(config: Config, raw: &[(Raw, bool)], sleeps: bool) {
    let monitor = Monitor::new(8 << 20);
    monitor.rules().sleeps = sleeps;
    let donated = donated(&monitor);
    let mut count = 0;
    history::<F, _>(config, &monitor, &donated, raw, || {
        count += 1;
        if count % 3 == 0 {
            donated.reclaim_pending();
        }
    });
    check(&donated);
    donated.reclaim_pending();
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));

    let layout = TableLayout::of::<F>();
    let pool = Pool::new(donated, layout, Watermarks { low: 2, batch: 5, high: 9 });
    history::<F, _>(config, &monitor, &pool, raw, || {
        pool.shrink(3);
    });
    drop(pool);
    assert_eq!((monitor.shared(), monitor.in_use()), (0, 0));
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    raw in prop::collection::vec((crate::ops::all(), any::<bool>()), 1..12),
                    sleeps in any::<bool>(),
                ) {
                    histories::<$format>(Config::new($input, $output), &raw, sleeps);
                }
            )*
        }
    };
}

histories! {
    every_table_that_is_walked_is_shared_s1_4k: Arm64S1<Granule4K>, 48, 48;
    every_table_that_is_walked_is_shared_s1_16k: Arm64S1<Granule16K>, 47, 48;
    every_table_that_is_walked_is_shared_s2_4k: Arm64S2<Granule4K>, 40, 40;
    every_table_that_is_walked_is_shared_s2_64k: Arm64S2<Granule64K>, 42, 42;
    every_table_that_is_walked_is_shared_mali: ArmMali, 33, 40;
}
