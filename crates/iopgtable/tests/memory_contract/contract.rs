//! Each allocator keeps the contract, whatever is asked of it in which order.

use std::sync::Arc;

use iopgtable::memory::{
    Account, Accounted, CopyQueue, Donated, Failing, Heap, PartyError, Pool, Publish, Region,
    TableLayout,
};
use proptest::prelude::*;

use crate::allocators::{BASE, BYTES, WATERMARKS, hooks, region};
use crate::model::{Mirror, conforms, snoops, steps};
use crate::monitor::{Fail, Monitor};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 128 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_heap_keeps_the_contract(steps in steps()) {
        conforms(&Heap::new(), &steps, &snoops);
    }

    #[test]
    fn pointers_to_allocators_keep_the_contract(steps in steps()) {
        conforms(&&Heap::new(), &steps, &snoops);
        conforms(&Arc::new(Heap::new()), &steps, &snoops);
        conforms(&Box::new(Heap::new()), &steps, &snoops);
    }

    #[test]
    fn hooks_keep_the_contract(steps in steps()) {
        conforms(&hooks(), &steps, &snoops);
    }

    #[test]
    fn a_region_keeps_the_contract(steps in steps()) {
        let region = region();
        conforms(&region, &steps, &snoops);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_region_whose_walker_sees_only_what_is_published_keeps_the_contract(steps in steps()) {
        let mirror = Mirror::new(BASE, BYTES);
        let region = Region::with_capacity_and_publisher(BASE, BYTES, &mirror)
            .expect("a good region");
        conforms(&region, &steps, &|phys, bytes| Some(mirror.read(phys, bytes)));
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_region_behind_a_copy_engine_keeps_the_contract(steps in steps(), words in 3usize..2000) {
        let (mirror, mut buffer) = (Mirror::new(BASE, BYTES), vec![0; words]);
        let queue = CopyQueue::new(&mut buffer, &mirror).expect("room for a word");
        let region = Region::with_capacity_and_publisher(BASE, BYTES, queue)
            .expect("a good region");
        let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
        conforms(&pool, &steps, &|phys, bytes| {
            // A link would be published behind what is queued.
            region.publisher().commit();
            Some(mirror.read(phys, bytes))
        });
        drop(pool);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_pool_keeps_the_contract(steps in steps()) {
        let region = region();
        let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
        conforms(&pool, &steps, &snoops);
        prop_assert_eq!(region.in_use(), pool.figures().free * 4096);
        drop(pool);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn a_pool_whose_walker_sees_only_what_is_published_keeps_the_contract(steps in steps()) {
        let mirror = Mirror::new(BASE, BYTES);
        let region = Region::with_capacity_and_publisher(BASE, BYTES, &mirror)
            .expect("a good region");
        let pool = Pool::new(&region, TableLayout::PAGE_4K, WATERMARKS);
        conforms(&pool, &steps, &|phys, bytes| Some(mirror.read(phys, bytes)));
        drop(pool);
        prop_assert_eq!(region.in_use(), 0);
    }

    #[test]
    fn an_accounted_allocator_keeps_the_contract(steps in steps()) {
        let account = Account::new("test", 20 * 4096);
        let pool = Pool::new(Heap::new(), TableLayout::PAGE_4K, WATERMARKS);
        conforms(&Accounted::new(&pool, &account), &steps, &snoops);
        prop_assert_eq!(account.charged(), 0);
        prop_assert!(account.peak() <= account.limit());
    }

    #[test]
    fn a_failing_allocator_keeps_the_contract(steps in steps(), nth in 0u64..40) {
        let failing = Failing::new(Heap::new());
        failing.fail_nth(nth);
        conforms(&failing, &steps, &snoops);
        prop_assert_eq!(failing.live(), 0);
        prop_assert!(failing.failures() <= 1);
    }

    #[test]
    fn donated_pages_keep_the_contract(steps in steps(), sleeps in any::<bool>(), nth in 0u64..60) {
        let monitor = Monitor::new(BYTES);
        monitor.rules().sleeps = sleeps;
        monitor.rules().fail_share = Fail::Nth(nth, PartyError::Refused { code: 1 });
        monitor.rules().fail_reclaim = Fail::Nth(nth, PartyError::Unknown { code: 1 });
        let donated = Donated::new(&monitor, &monitor);
        conforms(&donated, &steps, &|phys, bytes| Some(monitor.read_bytes(phys, bytes)));
        donated.reclaim_pending();
        prop_assert_eq!(donated.figures().quarantined, monitor.lost());
        prop_assert_eq!((monitor.shared(), monitor.in_use()), (0, monitor.lost_bytes()));
    }

    #[test]
    fn a_pool_of_donated_pages_keeps_the_contract(steps in steps(), sleeps in any::<bool>()) {
        let monitor = Monitor::new(BYTES);
        monitor.rules().sleeps = sleeps;
        let donated = Donated::new(&monitor, &monitor);
        let pool = Pool::new(donated, TableLayout::PAGE_4K, WATERMARKS);
        let account = Account::new("test", 20 * 4096);
        let walker = |phys, bytes| Some(monitor.read_bytes(phys, bytes));
        conforms(&Accounted::new(&pool, &account), &steps, &walker);
        drop(pool);
        prop_assert_eq!((monitor.shared(), monitor.in_use(), account.charged()), (0, 0, 0));
    }

    #[test]
    fn all_of_them_on_top_of_each_other_keep_the_contract(steps in steps(), nth in 0u64..40) {
        let (device, region) = (Account::new("device", 24 * 4096), Failing::new(region()));
        let vm = Account::with_parent("vm", 20 * 4096, &device);
        region.fail_nth(nth);
        let pool = Pool::new(Accounted::new(&region, &device), TableLayout::PAGE_4K, WATERMARKS);
        conforms(&Accounted::new(&pool, &vm), &steps, &snoops);
        prop_assert_eq!(region.live(), pool.figures().free);
        prop_assert_eq!(device.charged(), pool.figures().free as u64 * 4096);
        drop(pool);
        prop_assert_eq!((vm.charged(), device.charged(), region.live()), (0, 0, 0));
    }
}
