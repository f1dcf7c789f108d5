//! A dry run says what the submission then does, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod model;
mod ops;
mod refused;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use gpuvm::{Forecast, Op, SubmitReason, Vm};
use iopgtable::memory::{Account, Accounted};
use iopgtable::{Geometry, LAST_LEVEL, Splits, TableCount, TableError};
use machine::{Ask, Faulty};
use model::{Kind, Memory, Model, Piece, Raw};
use ops::{CONFIG, GIB, MIB, PAGE, S1, map, range, unmap};
use proptest::prelude::*;

static MEMORIES: LazyLock<Vec<Memory>> = LazyLock::new(model::memories);

/// What the model says of mappings and leaves; its tables are compared apart.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    removed: u64,
    split: u64,
    inserted: u64,
    evicted: u64,
    restored: u64,
    leaves: BTreeMap<u64, u64>,
}

impl Expected {
    fn of(forecast: &Forecast) -> Self {
        let Forecast { removed, split, inserted, evicted, restored, .. } = *forecast;
        assert!(forecast.leaves.is_sorted_by(|one, two| one.0 > two.0), "largest first");
        let leaves = forecast.leaves.iter().copied().collect();
        Self { removed, split, inserted, evicted, restored, leaves }
    }

    fn count(&mut self, before: &Model, after: &Model, op: &Raw, geometry: &Geometry) {
        let (first, last) = (op.first, op.first + (op.bytes - 1));
        let is_inside = |one: &Piece| first <= one.first && one.last <= last;
        let overlaps = |one: &Piece| one.first <= last && first <= one.last;
        let at = |model: &Model, address: u64| {
            model.pieces.iter().find(|one| one.first <= address && address <= one.last).cloned()
        };
        let mut is_new: Box<dyn Fn(&Piece) -> bool> = Box::new(|_| false);
        match op.kind {
            Kind::Evict(_) | Kind::Restore { .. } => {
                let mut changed = 0;
                for (old, new) in before.pieces.iter().zip(&after.pieces) {
                    changed += u64::from(old.evicted.is_some() != new.evicted.is_some());
                }
                if matches!(op.kind, Kind::Evict(_)) {
                    self.evicted += changed;
                    return;
                }
                self.restored += changed;
                let was = |one: &Piece| at(before, one.first).unwrap().evicted.is_some();
                is_new = Box::new(was);
            }
            _ => {
                let changes = |old: &&Piece| match op.kind {
                    Kind::Protect(prot) => overlaps(old) && old.prot != prot,
                    Kind::Split => overlaps(old) && !is_inside(old),
                    _ => overlaps(old),
                };
                for old in before.pieces.iter().filter(changes) {
                    if is_inside(old) { self.removed += 1 } else { self.split += 1 }
                }
                match op.kind {
                    Kind::Map { .. } => is_new = Box::new(is_inside),
                    Kind::Protect(_) | Kind::Split => {
                        is_new = Box::new(move |one| {
                            let old = at(before, one.first).unwrap();
                            is_inside(one) && changes(&&old)
                        });
                    }
                    _ => {}
                }
                self.inserted += after.pieces.iter().filter(|one| is_new(one)).count() as u64;
            }
        }
        for one in after.pieces.iter().filter(|one| one.evicted.is_none() && is_new(one)) {
            for leaf in model::leaves(&MEMORIES, geometry, one) {
                *self.leaves.entry(leaf.bytes).or_default() += 1;
            }
        }
    }
}

/// Tables of `all` that are not in `but`, by level.
fn without(geometry: &Geometry, all: &model::Tables, but: &model::Tables) -> TableCount {
    let mut count = TableCount::ZERO;
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        let empty = std::collections::BTreeSet::new();
        let (all, but) = (all.get(&level).unwrap_or(&empty), but.get(&level).unwrap_or(&empty));
        count.increase(level, all.difference(but).count() as u64);
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn a_dry_run_says_what_the_submission_then_does(jobs in model::jobs(&MEMORIES)) {
        let memory = machine::memory();
        let vm = Vm::<S1, _, _>::new(CONFIG, Arc::clone(&memory), Faulty::default()).unwrap();
        let geometry = *vm.geometry();
        let mut model = Model::default();
        for (ops, _) in jobs {
            let list: Vec<Op> = ops.iter().map(|raw| raw.op(&MEMORIES)).collect();
            let (plan, figures) = (vm.with_plan(|plan| format!("{plan:?}")), vm.figures());
            let in_use = memory.in_use();
            let forecast = vm.dry_run(list.clone());
            prop_assert_eq!(vm.with_plan(|plan| format!("{plan:?}")), plan);
            prop_assert_eq!((vm.figures(), memory.in_use()), (figures, in_use));
            vm.with_device(|device| device.asked.clear());
            let forecast = match (forecast, vm.submit(list, [], [])) {
                (Ok(forecast), Ok(_)) => forecast,
                (one, two) => {
                    prop_assert_eq!(one.unwrap_err(), two.unwrap_err());
                    continue;
                }
            };
            vm.run_ready();

            let mut expected = Expected::default();
            let (mut missing, mut freed) = (TableCount::ZERO, TableCount::ZERO);
            for raw in &ops {
                let before = model.clone();
                model.apply(&MEMORIES, &geometry, raw);
                expected.count(&before, &model, raw, &geometry);
                let tables = [&before, &model].map(|model| model.tables(&MEMORIES, &geometry));
                missing += without(&geometry, &tables[1], &tables[0]);
                freed += without(&geometry, &tables[0], &tables[1]);
            }
            prop_assert_eq!(Expected::of(&forecast), expected);
            prop_assert_eq!((forecast.missing, forecast.freed), (missing, freed));
            prop_assert_eq!(forecast.bytes, missing.total() * PAGE);
            let after = vm.figures();
            prop_assert_eq!(after.tables_reserved - figures.tables_reserved, missing.total());
            prop_assert_eq!(after.tables_freed - figures.tables_freed, freed.total());
            let held = vm.with_device(|device| match device.asked.first() {
                Some(Ask::Begin(_, footprint)) => Some(*footprint),
                _ => None,
            });
            prop_assert_eq!(forecast.footprint, held);
        }
    }
}

#[test]
fn a_dry_run_refuses_what_a_submission_refuses() {
    let memory = machine::memory();
    let vm = machine::vm::<S1>(CONFIG.splits(Splits::Forbidden), &memory);
    vm.bind([map(4 * GIB, 2 * MIB, 0)]).unwrap();
    let block = range(4 * GIB, 2 * MIB);
    let cut = SubmitReason::Argument(TableError::Split { block });
    let bad = refused::bad().into_iter().chain([(unmap(4 * GIB, PAGE), cut)]);
    for (op, reason) in bad {
        let list = [map(GIB, MIB, 0), Op::SyncOnly, op];
        let error = vm.dry_run(list.clone()).unwrap_err();
        assert_eq!((error.op, error.reason), (Some(2), reason));
        assert_eq!(vm.submit(list, [], []).unwrap_err(), error);
        assert_eq!(vm.with_plan(gpuvm::Space::len), 1);
    }
}

#[test]
fn the_bytes_are_what_the_account_is_charged_with_then() {
    let account = Arc::new(Account::new("vm", Account::UNLIMITED));
    let allocator = Accounted::new(machine::memory(), Arc::clone(&account));
    let vm = Vm::<S1, _, _>::new(CONFIG, allocator, Faulty::default()).unwrap();
    let before = account.charged();
    let list = [map(GIB, 5 * MIB, PAGE), unmap(GIB, PAGE), map(1 << 40, 1 << 30, 0)];
    let forecast = vm.dry_run(list.clone()).unwrap();
    assert_eq!(account.charged(), before);
    vm.submit(list, [], []).unwrap();
    assert_eq!(account.charged() - before, forecast.bytes);
}

#[test]
fn a_banned_vm_says_so_in_a_dry_run() {
    let memory = machine::memory();
    let vm = Vm::<S1, _, _>::new(CONFIG, memory, Faulty::default()).unwrap();
    vm.with_device(|device| device.broken = Some(|ask| matches!(ask, Ask::Begin(..))));
    vm.submit([map(GIB, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    let banned = vm.submit([], [], []).unwrap_err();
    assert_eq!(vm.dry_run([]), Err(banned));
    assert_eq!((banned.op, banned.reason), (None, SubmitReason::Banned));
}
