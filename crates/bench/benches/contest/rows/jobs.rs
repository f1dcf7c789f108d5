//! `gpuvm`: a thousand bind jobs, as a GPU driver gets them.
//!
//! Each maps 64 KiB to 16 MiB, log-uniformly, of a buffer that is made of 4 KiB, 64 KiB or 2 MiB
//! pieces; and unmaps it again, in another order. Buffers exist before the job that maps them.
//!
//! What panthor does for such jobs (a reservation for the worst case, and a call for each piece, or
//! more) was measured with Linux 6.12's page tables, compiled for user space, on a machine where these
//! rows were measured, too (one core of an AMD EPYC): 13.5 µs, 1.9 µs and 0.53 µs a map, with no plan,
//! queue or lock. What is asked of a map, submitted and run, is a tenth of the first, a third of the
//! second, and the third. Absolute times are no bars for other machines.
//!
//! Then what should not depend on how much there is: where in a long list a mapping begins, and how
//! many mappings a VM has. There the limit is the same with little. And many VMs.

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
        let row = |name, bar, contenders: fn(u64, u64) -> Vec<Contender>| {
            Row::new(name, "job", bar, move || contenders(count, piece))
        };
        let run_bar = if piece == PAGE { Bar::TimesLimit(1.3) } else { Bar::None };
        [
            row(
                format!("gpuvm: submit and run a map of {name} pieces"),
                Bar::None,
                |count, piece| vec![stores(count, piece), map(count, piece)],
            ),
            row(
                format!("gpuvm: the run section of a map of {name} pieces"),
                run_bar,
                |count, piece| vec![stores(count, piece), run_section(count, piece)],
            ),
            row(
                format!("gpuvm: submit and run an unmap of {name} pieces"),
                Bar::None,
                |count, piece| vec![unmap(count, piece)],
            ),
        ]
    });
    let mut rows: Vec<Row> = rows.collect();
    let twice = Bar::TimesLimit(2.0);
    let segments = scale.of(1 << 18).max(64);
    rows.push(Row::new(
        format!("gpuvm: 64 KiB at a random offset of {segments} segments, beside 16"),
        "job",
        twice,
        move || vec![parts(count, 16, Role::Limit), parts(count, segments, Role::Ours)],
    ));
    let (few, many) = (scale.of(1000), scale.of(100_000));
    rows.push(Row::new(
        format!("gpuvm: submit a map beside {many} mappings, beside {few}"),
        "job",
        twice,
        move || vec![beside(count, few, Role::Limit), beside(count, many, Role::Ours)],
    ));
    let vms = scale.of(10_000);
    rows.push(Row::new(
        format!("gpuvm: a map in each of {vms} VMs with a queue each"),
        "job",
        Bar::Nanoseconds(2000.0),
        move || vec![each(vms)],
    ));
    rows
}

/// Jobs that map 64 KiB of a buffer of so many pages, from a random one on.
fn parts(count: u64, pages: u64, role: Role) -> Contender {
    let mut random = Random::new(0x0055_aa55);
    // None follows physically on the one before.
    let segment = |page| Segment::new(PhysAddr(PHYS + 2 * PAGE * page), PAGE);
    let backing = Backing::new((0..pages).map(segment)).expect("segments of memory");
    let offsets: Vec<u64> = (0..count).map(|_| random.below(pages - 15) * PAGE).collect();
    let memory = memory(count);
    Contender::new(name(role), role, move |round| {
        let vm = vm(&memory, Unwalked);
        let jobs = offsets.iter().zip(0u64..);
        round.time(count, || {
            for (&offset, job) in jobs.clone() {
                let range = range(4 * GIB + job * SMALL, SMALL);
                let backing = Arc::clone(&backing);
                bind(&vm, Op::Map { range, backing, offset, prot: Prot::RW });
            }
        });
        round.check(|| {
            let leads = |(&offset, job): (&u64, u64)| {
                let to = |iova| vm.translate(Iova(4 * GIB + iova)).map(|to| to.phys.0);
                to(job * SMALL) == Some(PHYS + 2 * offset)
                    && to(job * SMALL + 15 * PAGE) == Some(PHYS + 2 * (offset + 15 * PAGE))
            };
            jobs.clone().all(leads)
        });
    })
}

const fn name(role: Role) -> &'static str {
    if matches!(role, Role::Limit) { "limit" } else { "ours" }
}

/// Submitting jobs that map a page in a random one of the gaps between so many mappings.
fn beside(count: u64, mappings: u64, role: Role) -> Contender {
    let mut random = Random::new(0x00aa_55aa);
    let page = Backing::new([Segment::new(PhysAddr(PHYS), PAGE)]).expect("a page");
    let map = move |at: u64| {
        let backing = Arc::clone(&page);
        Op::Map { range: range(4 * GIB + at * PAGE, PAGE), backing, offset: 0, prot: Prot::RW }
    };
    let vm = vm(&memory(mappings), Unwalked);
    for first in (0..mappings).step_by(1000) {
        let some = (first..mappings.min(first + 1000)).map(|number| map(2 * number));
        vm.submit(some, [], []).expect("the pool is large enough");
        vm.run_ready();
    }
    // Each gap once.
    let mut gaps: Vec<u64> = (0..mappings).map(|number| 2 * number + 1).collect();
    for place in (1..gaps.len()).rev() {
        // CAST: an index.
        gaps.swap(place, random.below(place as u64 + 1) as usize);
    }
    gaps.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Contender::new(name(role), role, move |round| {
        round.time(gaps.len() as u64, || {
            for &gap in &gaps {
                vm.submit([map(gap)], [], []).expect("the pool is large enough");
            }
        });
        vm.run_ready();
        round.check(|| {
            let leads = |gap: &u64| vm.translate(Iova(4 * GIB + gap * PAGE)).is_some();
            gaps.iter().all(leads) && vm.with_plan(gpuvm::Space::len) >= gaps.len()
        });
        for &gap in &gaps {
            bind(&vm, Op::Unmap { range: range(4 * GIB + gap * PAGE, PAGE) });
        }
    })
}

/// One job in each of so many VMs, all of which are there.
fn each(vms: u64) -> Contender {
    let memory = memory(2 * vms);
    let page = Backing::new([Segment::new(PhysAddr(PHYS), PAGE)]).expect("a page");
    ours(move |round| {
        let all: Vec<_> = (0..vms)
            .map(|_| {
                let vm = vm(&memory, Unwalked);
                let queue = vm.queue();
                (vm, queue)
            })
            .collect();
        round.time(vms, || {
            for (vm, queue) in &all {
                let range = range(4 * GIB, PAGE);
                let op = Op::Map { range, backing: Arc::clone(&page), offset: 0, prot: Prot::RW };
                queue.submit([op], [], []).expect("the pool is large enough");
                vm.run_ready();
            }
        });
        round.check(|| all.iter().all(|(vm, _)| vm.translate(Iova(4 * GIB)).is_some()));
    })
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
        round.check(|| {
            let figures = vm.figures();
            figures.tables_reserved == figures.tables_installed && is_bound(&vm, &binds)
        });
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
