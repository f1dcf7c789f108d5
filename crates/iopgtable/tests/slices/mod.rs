//! Random operations of several threads that share tables, blocks and groups at every level, but
//! no address: each has every third of twelve slices.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use iopgtable::{
    Gather, Geometry, Iova, IovaRange, LAST_LEVEL, PageTable, PhysAddr, Prot, Segment,
    SharedPageTable, TableAllocator, TableError, Unwalked,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::machine::{Walked, range};

pub(crate) const THREADS: usize = 3;
const SLICES: u64 = 12;
/// How many units a slice has at most.
const UNITS: u64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Map,
    Unmap,
    Protect,
}

#[derive(Clone, Debug)]
pub(crate) struct Raw {
    kind: Kind,
    slice: u64,
    units: (u64, u64),
    aligned: bool,
    prot: Prot,
}

/// What the threads do: as many operations each.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How large a slice is.
    scale: usize,
    /// Whether all is mapped at first, by leaves as large as possible.
    full: bool,
    operations: Vec<[Raw; THREADS]>,
}

fn raw() -> impl Strategy<Value = Raw> {
    (
        select(vec![Kind::Map, Kind::Map, Kind::Unmap, Kind::Unmap, Kind::Protect]),
        0..SLICES / THREADS as u64,
        (0..UNITS, 1..=UNITS),
        prop::bool::weighted(0.8),
        select(vec![Prot::RW, Prot::READ]),
    )
        .prop_map(|(kind, slice, units, aligned, prot)| Raw {
            kind,
            slice,
            units,
            aligned,
            prot,
        })
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let operations = prop::collection::vec([raw(), raw(), raw()], 1..24);
    (0usize..6, any::<bool>(), operations).prop_map(|(scale, full, operations)| Plan {
        scale,
        full,
        operations,
    })
}

/// What is mapped, by the first address of each unit.
pub(crate) type Units = BTreeMap<u64, (u64, Prot)>;

/// The addresses that a plan is about, for a geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    slice: u64,
    pub(crate) unit: u64,
    /// By how much what is not aligned is off.
    off: u64,
}

impl Plan {
    pub(crate) fn window(&self, geometry: &Geometry) -> Window {
        let sizes: Vec<u64> =
            geometry.leaf_levels().map(|level| 1 << geometry.entry_shift(level)).collect();
        let page = sizes[sizes.len() - 1];
        // Where there are pages only, what a table of them translates.
        let small = 1 << geometry.table_shift(LAST_LEVEL);
        let large = sizes[0].max(small);
        let slice = [page, 4 * page, small / 2, small, 4 * small, large / 2][self.scale];
        let room = (geometry.last_iova().0 - geometry.first_iova().0) / SLICES;
        let slice = slice.min(1 << room.ilog2());
        let off = if slice > small { small } else { page };
        Window { slice, unit: (slice / UNITS).max(page), off }
    }

    /// The table to begin with, and what it maps.
    pub(crate) fn prepare<F: Walked, A: TableAllocator>(
        &self,
        mut table: PageTable<F, A>,
    ) -> (SharedPageTable<F, A>, Units) {
        let window = self.window(table.geometry());
        let mut units = Units::new();
        if self.full {
            let whole = window.whole();
            let segment = Segment::new(PhysAddr(0), whole.bytes());
            let prot = F::granted(Prot::RW);
            let gather = table.map(whole, [segment], prot).expect("nothing is mapped yet");
            table.finish(gather, &mut Unwalked).expect("nobody walks it");
            units.extend(window.units(whole).map(|unit| (unit, (unit, prot))));
        }
        (table.into_shared(), units)
    }

    /// Has the threads do it. Each checks what it did by `look`, which says where an address leads
    /// for a walker and whether that may write there. Says what is mapped then.
    pub(crate) fn run<F: Walked, A: TableAllocator + Sync>(
        &self,
        table: &SharedPageTable<F, A>,
        units: &Units,
        look: impl Fn(u64) -> Option<(u64, bool)> + Sync,
    ) -> Units {
        let window = self.window(table.geometry());
        let meeting = Meeting::default();
        let work = |thread: usize| {
            let mut mine = units.clone();
            mine.retain(|&unit, _| window.owner(unit) == thread);
            let _leaves = Leaves(&meeting);
            for (round, raws) in self.operations.iter().enumerate() {
                meeting.wait(round);
                let range = operate(table, window, thread, &raws[thread], &mut mine);
                for unit in window.units(range) {
                    for at in [unit, unit + window.unit / 2, unit + window.unit - 1] {
                        let expected =
                            mine.get(&unit).map(|(phys, prot)| (phys + at - unit, *prot));
                        let found = table.translate(Iova(at)).map(|at| (at.phys.0, at.prot));
                        assert_eq!(found, expected, "{at:#x} after {raws:?}");
                        let expected = expected.map(|(at, prot)| (at, prot.contains(Prot::WRITE)));
                        assert_eq!(look(at), expected, "a walk to {at:#x} after {raws:?}");
                    }
                }
            }
            mine
        };
        thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> =
                (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("it ends well")).collect()
        })
    }
}

/// Where the threads wait for each other before each round, unless one has failed.
#[derive(Default)]
struct Meeting {
    arrived: AtomicUsize,
    failed: AtomicBool,
}

impl Meeting {
    fn wait(&self, round: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (round + 1) * THREADS;
        while self.arrived.load(Ordering::Acquire) < all && !self.failed.load(Ordering::Relaxed) {
            thread::yield_now();
        }
    }
}

struct Leaves<'m>(&'m Meeting);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

fn operate<F: Walked, A: TableAllocator>(
    table: &SharedPageTable<F, A>,
    window: Window,
    thread: usize,
    raw: &Raw,
    mine: &mut Units,
) -> IovaRange {
    let slice = (raw.slice * THREADS as u64 + thread as u64) * window.slice;
    let most = window.slice / window.unit;
    let first = raw.units.0.min(most - 1);
    let count = raw.units.1.min(most - first);
    let range = range(slice + first * window.unit, count * window.unit);
    let prot = F::granted(raw.prot);
    let forget = |gather: Result<Gather, TableError>| {
        let gather = gather.expect("nothing is wrong with it");
        assert_eq!(table.finish(gather, &mut Unwalked).expect("nobody walks it"), 0);
    };
    match raw.kind {
        Kind::Map => {
            let phys = range.first().0 + if raw.aligned { 0 } else { window.off };
            let mapped = table.map(range, [Segment::new(PhysAddr(phys), range.bytes())], prot);
            if window.units(range).any(|unit| mine.contains_key(&unit)) {
                let error = mapped.expect_err("something is mapped there");
                assert!(matches!(error, TableError::Overlap { .. }), "{error}");
            } else {
                mapped.expect("nothing is mapped there");
                let leads = |unit| (unit, (phys + unit - range.first().0, prot));
                mine.extend(window.units(range).map(leads));
            }
        }
        Kind::Unmap => {
            forget(table.unmap(range));
            mine.retain(|&unit, _| !range.contains(Iova(unit)));
        }
        Kind::Protect => {
            forget(table.protect(range, prot));
            let inside = mine.range_mut(range.first().0..=range.last().0);
            inside.for_each(|(_, (_, own))| *own = prot);
        }
    }
    range
}

impl Window {
    pub(crate) fn whole(&self) -> IovaRange {
        range(0, SLICES * self.slice)
    }

    /// The first addresses of the units in a range.
    pub(crate) fn units(&self, range: IovaRange) -> impl Iterator<Item = u64> + use<> {
        (range.first().0..=range.last().0).step_by(self.unit as usize)
    }

    fn owner(&self, unit: u64) -> usize {
        (unit / self.slice) as usize % THREADS
    }
}
