//! An account over a pool over a carve-out: every page is charged while somebody has it, and all
//! are back in the end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod histories;
mod machine;
mod ops;

use std::sync::Arc;

use gpuvm::{Figures, Vm};
use iopgtable::Unwalked;
use iopgtable::memory::{Account, Accounted, Pool, PoolFigures, TableLayout, Watermarks};
use machine::{Memory, memory};
use ops::{CONFIG, GIB, PAGE, S1, map, unmap};
use proptest::prelude::*;

type SharedPool = Arc<Pool<Memory>>;
type SharedAccount = Arc<Account<Arc<Account>>>;
type ChargedVm = Vm<S1, Accounted<SharedPool, SharedAccount>, Unwalked>;

fn pool(memory: &Memory) -> SharedPool {
    let watermarks = Watermarks { low: 4, batch: 16, high: 48 };
    Arc::new(Pool::new(Arc::clone(memory), TableLayout::PAGE_4K, watermarks))
}

fn vm(pool: &SharedPool, account: &SharedAccount) -> ChargedVm {
    let allocator = Accounted::new(Arc::clone(pool), Arc::clone(account));
    Vm::new(CONFIG, allocator, Unwalked).unwrap()
}

/// The tables that a VM has linked, and its root.
fn linked(vm: &ChargedVm) -> u64 {
    vm.with_table(iopgtable::PageTable::count_tables).total() + 1
}

/// What the pool's users have, by its own account.
fn handed_out(figures: &PoolFigures) -> u64 {
    let came = figures.refilled + figures.taken_back;
    let went = figures.hits + figures.misses + figures.returned + figures.free as u64;
    assert_eq!(came, went, "{figures:?}");
    figures.hits + figures.misses - figures.taken_back
}

fn check(memory: &Memory, pool: &SharedPool, device: &Account, held: u64) {
    let figures = pool.figures();
    assert_eq!(device.charged(), held * PAGE);
    assert_eq!(handed_out(&figures), held);
    assert_eq!(memory.in_use() as u64, (held + figures.free as u64) * PAGE);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Two VMs, of which the second one's jobs run one submission late.
    #[test]
    fn charges_are_what_is_linked_and_all_pages_come_back(
        jobs in histories::jobs(24),
        others in histories::jobs(24),
    ) {
        let memory = memory();
        let pool = pool(&memory);
        let device = Arc::new(Account::new("device", Account::UNLIMITED));
        let [mine, theirs] = ["mine", "theirs"]
            .map(|name| Arc::new(Account::with_parent(name, Account::UNLIMITED, Arc::clone(&device))));
        let (vm, late) = (vm(&pool, &mine), vm(&pool, &theirs));
        for (job, other) in jobs.into_iter().zip(others) {
            let before = linked(&vm);
            let reserved = vm.figures().tables_reserved;
            let done = vm.submit(job, [], []).unwrap();
            let reserved = vm.figures().tables_reserved - reserved;
            prop_assert_eq!(mine.charged(), (before + reserved) * PAGE, "before it runs");
            prop_assert_eq!(vm.run_ready(), 0);
            prop_assert_eq!(done.state(), Some(Ok(())));
            prop_assert_eq!(mine.charged(), linked(&vm) * PAGE);
            prop_assert_eq!(vm.figures().tables_live() + 1, linked(&vm));

            late.run_ready();
            prop_assert_eq!(theirs.charged(), linked(&late) * PAGE);
            late.submit(other, [], []).unwrap();
            let Figures { tables_reserved, tables_freed, .. } = late.figures();
            let held = tables_reserved - tables_freed + 1;
            prop_assert_eq!(theirs.charged(), held * PAGE);
            check(&memory, &pool, &device, linked(&vm) + held);
        }
        for (vm, account) in [(&vm, &mine), (&late, &theirs)] {
            prop_assert_eq!(account.peak(), (vm.figures().tables_peak + 1) * PAGE);
        }
        drop(late);
        prop_assert_eq!(theirs.charged(), 0);
        check(&memory, &pool, &device, linked(&vm));
        drop(vm);
        check(&memory, &pool, &device, 0);
        drop(pool);
        prop_assert_eq!(memory.in_use(), 0);
    }
}

#[test]
fn a_page_that_came_loose_serves_the_next_job_from_the_pool() {
    let memory = memory();
    let pool = pool(&memory);
    let device = Arc::new(Account::new("device", Account::UNLIMITED));
    let account = Arc::new(Account::with_parent("vm", 8 * PAGE, device));
    let vm = vm(&pool, &account);
    vm.bind([map(0, PAGE, 0)]).unwrap();
    let refills = pool.figures().refills;
    for n in 1..1000 {
        vm.bind([unmap(0, 4 * GIB)]).unwrap();
        vm.bind([map(n % 4 * GIB, PAGE, 0)]).unwrap();
    }
    assert_eq!(pool.figures().refills, refills, "upstream is not asked again");
    assert_eq!((account.charged(), account.peak()), (4 * PAGE, 4 * PAGE));
}
