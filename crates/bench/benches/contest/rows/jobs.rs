//! `gpuvm`: a thousand bind jobs, as a GPU driver gets them.
//!
//! Each maps 64 KiB to 16 MiB, log-uniformly, of a buffer that is made of 4 KiB, 64 KiB or 2 MiB
//! pieces; and unmaps it again, in another order. Buffers exist before the job that maps them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvm::{Backing, Device, Op, Vm};
use iopgtable::{
    Arm64S1, Granule4K, Invalidate, Invalidation, Iova, IovaRange, PhysAddr, Prot, Segment,
    TableLayout, Unwalked,
};
use iopgtable_bench::{Bar, Contender, Role, Round, Row};

use super::Scale;
use crate::contest::limits::fill;
use crate::contest::order::{Random, shuffled};
use crate::contest::ours::{CONFIG, Memory, pool, range};
use crate::contest::{GIB, LEAF, PAGE, PHYS};

const BLOCK: u64 = 2 << 20;
const SMALL: u64 = 64 << 10;

type BindVm<D> = Vm<Arm64S1<Granule4K>, Memory, D>;

pub(super) fn rows(scale: Scale) -> Vec<Row> {
    let count = scale.of(1000);
    let pieces = [("4 KiB", PAGE), ("64 KiB", SMALL), ("2 MiB", BLOCK)];
    let rows = pieces.into_iter().flat_map(move |(name, piece)| {
        let row = |name, contenders: fn(u64, u64) -> Vec<Contender>| {
            Row::new(name, "job", Bar::None, move || contenders(count, piece))
        };
        [
            row(format!("gpuvm: submit and run a map of {name} pieces"), |count, piece| {
                vec![stores(count, piece), map(count, piece)]
            }),
            row(format!("gpuvm: the run section of a map of {name} pieces"), |count, piece| {
                vec![stores(count, piece), run_section(count, piece)]
            }),
            row(format!("gpuvm: submit and run an unmap of {name} pieces"), |count, piece| {
                vec![unmap(count, piece)]
            }),
        ]
    });
    rows.collect()
}

/// A mapping that a job makes.
struct Bind {
    range: IovaRange,
    backing: Arc<Backing>,
}

impl Bind {
    fn map(&self) -> Op {
        let Self { range, ref backing } = *self;
        Op::Map { range, backing: Arc::clone(backing), offset: 0, prot: Prot::RW }
    }

    fn segments(&self) -> gpuvm::Runs<'_> {
        self.backing.runs(0, self.backing.bytes())
    }
}

fn binds(count: u64, piece: u64) -> Vec<Bind> {
    let mut random = Random::new(0x0123_4567);
    let mut end = 4 * GIB;
    let bind = |_| {
        let magnitude = SMALL << random.below(8);
        let bytes = (magnitude + random.below(magnitude)).next_multiple_of(PAGE);
        let first = end.next_multiple_of(if bytes >= BLOCK { BLOCK } else { PAGE });
        end = first + bytes;
        let mut segments = Vec::new();
        let mut left = bytes;
        while left > 0 {
            // What is left of a buffer of large pieces is made of small ones.
            let piece = if left >= piece { piece } else { piece.min(SMALL) };
            let phys = PhysAddr(PHYS + random.below(1 << 14) * piece);
            let bytes = piece.min(left);
            segments.push(Segment::new(phys, bytes));
            left -= bytes;
        }
        let backing = Backing::new(segments).expect("segments of memory");
        Bind { range: range(first, bytes), backing }
    };
    (0..count).map(bind).collect()
}

/// Room for the tables of that many jobs.
fn memory(count: u64) -> Memory {
    // CAST: a few thousand.
    pool(TableLayout::PAGE_4K, 4 * count as usize + 64)
}

fn vm<D: Device>(memory: &Memory, device: D) -> BindVm<D> {
    Vm::new(CONFIG, Arc::clone(memory), device).expect("a root")
}

fn bind<D: Device>(vm: &BindVm<D>, op: Op) {
    vm.submit([op], [], []).expect("the pool is large enough");
    let left = vm.run_ready();
    debug_assert_eq!(left, 0, "jobs wait for nothing");
}

fn is_bound<D: Device>(vm: &BindVm<D>, binds: &[Bind]) -> bool {
    let leads =
        |iova: u64, phys: u64| vm.translate(Iova(iova)).is_some_and(|to| to.phys == PhysAddr(phys));
    vm.ban().is_none()
        && binds.iter().all(|bind| {
            let mut iova = bind.range.first().0;
            bind.segments().all(|Segment { phys, bytes }| {
                let ends = leads(iova, phys.0) && leads(iova + bytes - 1, phys.0 + bytes - 1);
                iova += bytes;
                ends
            })
        })
}

/// The leaves of the jobs, stored side by side: no tables, no plan, no queue, no device.
fn stores(count: u64, piece: u64) -> Contender {
    let mut runs: Vec<(u64, usize)> = Vec::new();
    for bind in binds(count, piece) {
        let mut iova = bind.range.first().0;
        for Segment { phys: PhysAddr(mut phys), mut bytes } in bind.segments() {
            while bytes > 0 {
                let is_block = (iova | phys) % BLOCK == 0 && bytes >= BLOCK;
                let taken = if is_block { BLOCK } else { bytes.min(BLOCK - iova % BLOCK) };
                // CAST: at most 512.
                runs.push((phys | LEAF, if is_block { 1 } else { (taken / PAGE) as usize }));
                iova += taken;
                phys += taken;
                bytes -= taken;
            }
        }
    }
    let mut words = vec![0; runs.iter().map(|&(_, entries)| entries).sum()];
    Contender::new("limit", Role::Limit, move |round| {
        round.time(count, || {
            let mut rest = words.as_mut_slice();
            for &(leaf, entries) in &runs {
                let (slots, behind) = rest.split_at_mut(entries);
                fill(slots, leaf, PAGE);
                rest = behind;
            }
        });
        round.check(|| words.iter().all(|&word| word & LEAF == LEAF));
        words.fill(0);
    })
}

fn ours(mut turn: impl FnMut(&mut Round) + 'static) -> Contender {
    Contender::new("ours", Role::Ours, move |round| turn(round))
}

fn map(count: u64, piece: u64) -> Contender {
    let (binds, memory) = (binds(count, piece), memory(count));
    ours(move |round| {
        let vm = vm(&memory, Unwalked);
        round.time(count, || binds.iter().for_each(|job| bind(&vm, job.map())));
        round.check(|| is_bound(&vm, &binds));
    })
}

/// A device that times the section that fences wait for, from its side.
#[derive(Default)]
struct Stopwatch {
    began: Option<Instant>,
    elapsed: Duration,
    jobs: u64,
}

// SAFETY: nothing walks the tables.
unsafe impl Invalidate for Stopwatch {
    type Error = std::convert::Infallible;

    fn invalidate(&mut self, _: &Invalidation) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Device for Stopwatch {
    fn begin(&mut self, _: u64, _: IovaRange) -> Result<(), Self::Error> {
        self.began = Some(Instant::now());
        Ok(())
    }

    fn end(&mut self, _: u64) -> Result<(), Self::Error> {
        self.elapsed += self.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        self.jobs += 1;
        Ok(())
    }
}

fn run_section(count: u64, piece: u64) -> Contender {
    let (binds, memory) = (binds(count, piece), memory(count));
    ours(move |round| {
        let vm = vm(&memory, Stopwatch::default());
        for job in &binds {
            bind(&vm, job.map());
        }
        let (jobs, elapsed) = vm.with_device(|watch| (watch.jobs, watch.elapsed));
        round.record(jobs, elapsed);
        round.check(|| jobs == count && is_bound(&vm, &binds));
    })
}

fn unmap(count: u64, piece: u64) -> Contender {
    let (binds, memory) = (binds(count, piece), memory(count));
    let order = shuffled(count);
    ours(move |round| {
        let vm = vm(&memory, Unwalked);
        for job in &binds {
            bind(&vm, job.map());
        }
        round.time(count, || {
            for &number in &order {
                bind(&vm, Op::Unmap { range: binds[number as usize].range });
            }
        });
        round.check(|| {
            let nothing = |bind: &Bind| vm.translate(bind.range.first()).is_none();
            binds.iter().all(nothing) && vm.figures().tables_live() == 0
        });
    })
}
