//! Threads that share one table.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use iopgtable::{
    Arm64S1, Granule4K, Iova, PageTable, PhysAddr, Prot, Segment, SharedPageTable, TableLayout,
};
use iopgtable_bench::{Bar, Contender, Role, Row};

use super::{Range, Scale};
use crate::contest::IOVA;
use crate::contest::ours::{CONFIG, Memory, pool, range};

type Table = SharedPageTable<Arm64S1<Granule4K>, Memory>;

/// How often a turn maps and unmaps everything.
const PASSES: u64 = 64;

pub(super) fn rows(scale: Scale) -> Vec<Row> {
    let slab = Range::pages(12, scale.of(1 << 16));
    vec![Row::new(
        "shared: map and unmap 256 MiB of 4 KiB pages, 2 threads (limit: 1 thread)",
        "page",
        // 1.8 times as fast.
        Bar::TimesLimit(0.55),
        move || {
            vec![threads(slab, 1, "1 thread", Role::Limit), threads(slab, 2, "ours", Role::Ours)]
        },
    )]
}

/// As many threads, each with a slab of its own, in one call for all of it.
fn threads(slab: Range, count: u64, name: &'static str, role: Role) -> Contender {
    let memory = pool(TableLayout::PAGE_4K, count as usize * slab.tables());
    Contender::new(name, role, move |round| {
        let table = PageTable::new(CONFIG, Arc::clone(&memory)).expect("a root");
        let table: Table = table.into_shared();
        let elapsed = together(count, |number| {
            let range = range(IOVA + number * slab.bytes(), slab.bytes());
            let segment = Segment::new(PhysAddr(slab.phys()), slab.bytes());
            for _ in 0..PASSES {
                table.map(range, [segment], Prot::RW).expect("room and pages");
                let _forgotten = table.unmap(range).expect("no leaf is cut");
            }
            table.map(range, [segment], Prot::RW).expect("room and pages");
        });
        round.record(count * (2 * PASSES + 1) * slab.entries, elapsed);
        round.check(|| {
            (0..count * slab.entries).all(|page| {
                let leads = table.translate(Iova(IOVA + page * slab.leaf_bytes()));
                let phys = slab.phys() + page % slab.entries * slab.leaf_bytes();
                leads.is_some_and(|to| to.phys == PhysAddr(phys))
            })
        });
    })
}

/// Has `count` threads do their work at the same time; says how long it takes, from the first that
/// begins to the last that ends.
fn together(count: u64, work: impl Fn(u64) + Sync) -> Duration {
    let start = Barrier::new(count as usize);
    let (start, work) = (&start, &work);
    let turn = move |number| {
        start.wait();
        let began = Instant::now();
        work(number);
        (began, Instant::now())
    };
    let times: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || turn(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does its work")).collect()
    });
    let began = times.iter().map(|(began, _)| *began).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    began.zip(ended).map_or(Duration::ZERO, |(began, ended)| ended - began)
}
