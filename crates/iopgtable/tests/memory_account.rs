//! Accounts say what is out, and no limit is ever exceeded.

use std::sync::atomic::{AtomicBool, Ordering};

use iopgtable::memory::{Account, Charge, LimitExceeded};
use proptest::prelude::*;

#[test]
fn a_charge_is_taken_by_every_account_up_to_the_root() {
    let root = Account::new("root", 100);
    let device = Account::with_parent("device", 100, &root);
    let (one, two) = (
        Account::with_parent("one", Account::UNLIMITED, &device),
        Account::with_parent("two", Account::UNLIMITED, &device),
    );
    one.charge(30).unwrap();
    two.charge(20).unwrap();
    one.uncharge(10);
    let charged = (one.charged(), two.charged(), device.charged(), root.charged());
    assert_eq!(charged, (20, 20, 40, 40));
    let peak = (one.peak(), two.peak(), device.peak(), root.peak());
    assert_eq!(peak, (30, 20, 50, 50));
}

#[test]
fn a_charge_that_an_ancestor_refuses_leaves_no_trace_below_it() {
    let root = Account::new("root", 50);
    let device = Account::with_parent("device", 100, &root);
    let vm = Account::with_parent("vm", 200, &device);
    vm.charge(40).unwrap();
    let refused = LimitExceeded { account: "root", limit: 50, usage: 40, need: 11 };
    assert_eq!(vm.charge(11), Err(refused));
    for (charged, peak) in [
        (vm.charged(), vm.peak()),
        (device.charged(), device.peak()),
        (root.charged(), root.peak()),
    ] {
        assert_eq!((charged, peak), (40, 40));
    }
    assert_eq!((vm.refusals(), device.refusals(), root.refusals()), (0, 0, 1));
    vm.charge(10).unwrap();
}

#[test]
fn the_first_limit_on_the_way_to_the_root_refuses() {
    let root = Account::new("root", 10);
    let vm = Account::with_parent("vm", 5, &root);
    assert_eq!(vm.charge(11).map_err(|refused| refused.account), Err("vm"));
    assert_eq!(root.refusals(), 0);
    assert_eq!(
        vm.charge(11).unwrap_err().to_string(),
        r#"account "vm": 11 more bytes exceed 0 used of 5 allowed"#
    );
}

#[test]
fn a_limit_below_what_is_charged_only_stands_against_more() {
    let account = Account::new("vm", 100);
    account.charge(80).unwrap();
    account.set_limit(50);
    assert_eq!(account.charged(), 80);
    assert!(account.charge(1).is_err());
    account.uncharge(31);
    account.charge(1).unwrap();
    assert_eq!((account.charged(), account.limit(), account.peak()), (50, 50, 80));
}

#[test]
fn no_amount_overflows_an_account() {
    let account = Account::new("vm", Account::UNLIMITED);
    account.charge(u64::MAX).unwrap();
    assert!(account.charge(1).is_err());
    account.charge(0).unwrap();
    account.uncharge(u64::MAX);
    account.uncharge(1);
    assert_eq!(account.charged(), 0);
}

#[test]
fn an_account_behind_any_pointer_is_the_same_account() {
    let account = Account::new("vm", 10);
    let pointer: &dyn Charge = &account;
    Charge::charge(&pointer, 4).unwrap();
    ().charge(u64::MAX).unwrap();
    assert_eq!(account.charged(), 4);
}

#[cfg(feature = "alloc")]
#[test]
fn a_tree_of_shared_accounts_outlives_its_makers() {
    use std::sync::Arc;
    let vm = {
        let device: Arc<dyn Charge + Send + Sync> = Arc::new(Account::new("device", 10));
        Account::with_parent("vm", 20, device)
    };
    vm.charge(10).unwrap();
    assert_eq!(vm.charge(1).map_err(|refused| refused.account), Err("device"));
}

#[test]
fn no_race_exceeds_a_limit_and_none_loses_a_charge() {
    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 20_000 };
    let device = Account::new("device", 100);
    let vms = [
        Account::with_parent("one", 60, &device),
        Account::with_parent("two", 60, &device),
        Account::with_parent("three", 60, &device),
    ];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(device.charged() <= 100);
                assert!(vms.iter().all(|vm| vm.charged() <= 60));
                std::thread::yield_now();
            }
        });
        let chargers: Vec<_> = vms
            .iter()
            .cycle()
            .take(6)
            .enumerate()
            .map(|(thread, vm)| {
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..ROUNDS {
                        let bytes = 1 + (round * 7 + thread as u64 * 13) % 30;
                        if vm.charge(bytes).is_ok() {
                            held.push(bytes);
                        }
                        if held.len() > 2 || round % 3 == 0 {
                            held.drain(..).for_each(|bytes| vm.uncharge(bytes));
                        }
                    }
                    held.drain(..).for_each(|bytes| vm.uncharge(bytes));
                })
            })
            .collect();
        for charger in chargers {
            charger.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    assert_eq!(device.charged(), 0);
    assert!(device.peak() <= 100 && device.peak() > 0);
    assert!(vms.iter().all(|vm| vm.charged() == 0 && vm.peak() <= 60));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_parent_has_what_its_children_have(
        limits in (0u64..100, 0u64..100, 0u64..100),
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..50), 1..60),
    ) {
        let root = Account::new("root", limits.0);
        let children = [
            Account::with_parent("a", limits.1, &root),
            Account::with_parent("b", limits.2, &root),
        ];
        let mut held = [0u64; 2];
        for (second, charge, bytes) in steps {
            let (child, held_by) = (usize::from(second), held);
            if charge {
                let fits = held_by[child] + bytes <= [limits.1, limits.2][child]
                    && held_by.iter().sum::<u64>() + bytes <= limits.0;
                prop_assert_eq!(children[child].charge(bytes).is_ok(), fits);
                held[child] += if fits { bytes } else { 0 };
            } else {
                let bytes = bytes.min(held_by[child]);
                children[child].uncharge(bytes);
                held[child] -= bytes;
            }
            prop_assert_eq!([children[0].charged(), children[1].charged()], held);
            prop_assert_eq!(root.charged(), held.iter().sum::<u64>());
        }
    }
}
