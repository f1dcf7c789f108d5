//! Tables in memory that only the device reaches: whatever a copy engine has brought over so far,
//! each address leads where it led before or where it leads then.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod ops;

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use iopgtable::format::{FirstStage, RiscV};
use iopgtable::memory::{
    Copies, CopyEngine, CopyQueue, Pool, Publish, Region, TableAllocator, TableLayout, Watermarks,
};
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K, Granule64K, Iova,
    MediaTek, Options, PageTable, PhysAddr, Prot, Segment, Unextended,
};
use machine::{TABLES, Walked, finish, range};
use model::Model;
use ops::Raw;
use proptest::prelude::*;
use walkers::{Access, FaultKind};

const CAPACITY: usize = 8 << 20;

/// One copy: where to, and what.
type Written = (u64, Vec<u64>);

/// An engine that has taken commands and not done anything yet.
#[derive(Debug, Default)]
struct Engine(RefCell<Vec<Written>>);

// SAFETY: the test does the copies in the order of the submissions, when it wants to.
unsafe impl CopyEngine for Engine {
    fn submit(&self, copies: Copies<'_>) {
        self.0.borrow_mut().extend(copies.map(|copy| (copy.phys.0, copy.words.to_vec())));
    }
}

/// What the device reaches.
struct Vram(Vec<u64>);

/// A link to nowhere to every walker, and so is each part of it.
const GARBAGE: u64 = 0x0000_dead_bee0_0003;

impl Vram {
    fn new() -> Self {
        Self(vec![GARBAGE; CAPACITY / 8])
    }

    fn index(phys: u64) -> Option<usize> {
        usize::try_from(phys.checked_sub(TABLES.0)? / 8).ok()
    }

    fn write(&mut self, phys: u64, words: &[u64]) {
        let index = Self::index(phys).expect("in the region");
        self.0[index..index + words.len()].copy_from_slice(words);
    }

    /// Where `address` leads for the device.
    fn walk<F: Walked, A: TableAllocator>(
        &self,
        table: &PageTable<F, A>,
        address: u64,
    ) -> Result<Option<u64>, FaultKind> {
        // SAFETY: the walk ends before this function does, and the table stays.
        let registers = unsafe { table.registers() };
        let read = |phys| self.0.get(Self::index(phys)?).copied();
        match iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ)
        {
            Ok(found) => Ok(Some(found.address)),
            Err(fault) if fault.kind == FaultKind::Translation => Ok(None),
            Err(fault) => Err(fault.kind),
        }
    }

    /// Does one copy, a few words at a time, from the last to the first: within a copy the order
    /// is free. Looks at `addresses` after each step, where one of `models` must hold.
    fn copy<F: Walked, A: TableAllocator>(
        &mut self,
        table: &PageTable<F, A>,
        (phys, words): &Written,
        models: &[Model],
        addresses: &[u64],
    ) -> Result<(), String> {
        let step = words.len().div_ceil(8);
        for (index, words) in words.chunks(step).enumerate().rev() {
            self.write(phys + 8 * (index * step) as u64, words);
            self.look(table, models, addresses, F::GROUPS.are_pages())?;
        }
        Ok(())
    }

    /// That one of `models` holds at each of `addresses`. Where a page takes several entries, some of
    /// them may have arrived and others not: a walker that looks at all of them says so (`pieces`).
    fn look<F: Walked, A: TableAllocator>(
        &self,
        table: &PageTable<F, A>,
        models: &[Model],
        addresses: &[u64],
        pieces: bool,
    ) -> Result<(), String> {
        for &address in addresses {
            let found = self.walk(table, address);
            let expected = |model: &Model| found == Ok(model.get(address).map(|(phys, _)| phys));
            let in_pieces = pieces && found == Err(FaultKind::Conflict);
            if !in_pieces && !models.iter().any(expected) {
                return Err(format!("{address:#x} leads to {found:x?}"));
            }
        }
        Ok(())
    }
}

/// Operations, after every `every`-th of which the device gets what was submitted until then.
fn history<F: Walked, A: TableAllocator + Clone>(
    config: Config,
    engine: &Engine,
    allocator: A,
    raw: &[(Raw, bool)],
    every: usize,
) {
    let mut table = PageTable::<F, A>::new(config, allocator).expect("a good configuration");
    let mut vram = Vram::new();
    for (phys, words) in engine.0.take() {
        vram.write(phys, &words);
    }
    let mut models = vec![Model::new(*table.geometry())];
    let mut addresses = Vec::new();
    for (count, (raw, reserve)) in raw.iter().enumerate() {
        let mut model = models.last().expect("there is one").clone();
        if let Some((gather, range)) = raw.operate(&mut table, &mut model, *reserve) {
            addresses.extend(models.last().expect("there is one").addresses(range, 3));
            addresses.extend(model.addresses(range, 3));
            models.push(model);
            // The device is made to forget behind the copies: tables may go.
            finish(&table, gather);
        }
        if (count + 1) % every == 0 {
            for copy in engine.0.take() {
                vram.copy(&table, &copy, &models, &addresses).expect("the old or the new one");
            }
            models = models.split_off(models.len() - 1);
            vram.look(&table, &models, &addresses, false).expect("the new one");
            addresses.clear();
        }
    }
}

fn histories<F: Walked>(config: Config, raw: &[(Raw, bool)], words: usize, every: usize) {
    let engine = Engine::default();
    let (mut one, mut other) = (vec![0; words], vec![0; words]);
    let region = |buffer| {
        let queue = CopyQueue::new(buffer, &engine).expect("room for a copy");
        let queue = if size_of::<F::Word>() == 4 { queue.with_short_entries() } else { queue };
        Region::with_capacity_and_publisher(TABLES, CAPACITY, queue).expect("a good region")
    };
    let memory = region(&mut one);
    history::<F, _>(config, &engine, &memory, raw, every);
    assert_eq!(memory.in_use(), 0);
    let memory = region(&mut other);
    let layout = TableLayout::of::<F>();
    let pool = Pool::new(&memory, layout, Watermarks { low: 0, batch: 4, high: 16 });
    history::<F, _>(config, &engine, &pool, raw, every);
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    raw in prop::collection::vec((ops::small(), any::<bool>()), 1..12),
                    words in prop::sample::select(vec![3usize, 4, 61, 1024, 16384]),
                    every in 1usize..4,
                ) {
                    let config = Config::new($input, $output)$(.with($options))?;
                    histories::<$format>(config, &raw, words, every);
                }
            )*
        }
    };
}
histories! {
    copies_s1_4k: Arm64S1<Granule4K>, 48, 48;
    copies_s1_16k: Arm64S1<Granule16K>, 48, 48;
    copies_s2_4k: Arm64S2<Granule4K>, 40, 40;
    copies_s2_64k: Arm64S2<Granule64K>, 42, 42;
    copies_mali: ArmMali, 33, 40;
    copies_amd_v1: AmdV1, 48, 48;
    copies_riscv_napot: RiscV<FirstStage>, 48, 56, Options::CONTIGUOUS;
    copies_arm_v7s: ArmV7s<Unextended>, 32, 32;
    copies_mediatek_v7s: ArmV7s<MediaTek>, 34, 35;
}

type Table<A> = PageTable<Arm64S1<Granule4K>, A>;

const BLOCK: u64 = 2 << 20;

/// A block is mapped, and cut: the model before and after each of these.
fn block_and_cut<A: TableAllocator>(table: &mut Table<A>) -> Vec<Model> {
    let mut models = vec![Model::new(*table.geometry())];
    let segment = Segment::new(PhysAddr(0), BLOCK);
    let gather = table.map(range(BLOCK, BLOCK), [segment], Prot::RW).expect("nothing is there");
    finish(table, gather);
    models.push(models[0].clone());
    models[1].map(range(BLOCK, BLOCK), &[segment], Prot::RW);
    let hole = range(BLOCK + 0x3000, 0x1000);
    let gather = table.unmap(hole, hole).expect("it is mapped");
    finish(table, gather);
    models.push(models[1].clone());
    models[2].unmap(hole, hole);
    models
}

/// Does the copies in this order; after each, one of the models must hold.
fn replay<A: TableAllocator>(
    table: &Table<A>,
    created: &[Written],
    copies: &[&Written],
    models: &[Model],
) -> Result<(), String> {
    let mut vram = Vram::new();
    for (phys, words) in created {
        vram.write(*phys, words);
    }
    let addresses = [0, BLOCK, BLOCK + 0x2000, BLOCK + 0x3000, 2 * BLOCK - 0x1000, 2 * BLOCK];
    copies.iter().try_for_each(|copy| vram.copy(table, copy, models, &addresses))?;
    vram.look(table, &models[models.len() - 1..], &addresses, false)
}

#[test]
fn copies_out_of_order_are_noticed() {
    let (engine, mut buffer) = (Engine::default(), [0; 2048]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    let memory = Region::with_capacity_and_publisher(TABLES, CAPACITY, queue).unwrap();
    let mut table = Table::new(Config::new(48, 48), &memory).unwrap();
    let created = engine.0.take();
    let models = block_and_cut(&mut table);
    let copies = engine.0.take();
    let order: Vec<&Written> = copies.iter().collect();
    assert_eq!(replay(&table, &created, &order, &models), Ok(()));
    // Two tables and the link to them; the table of pages, and its link.
    assert_eq!(order.len(), 5);
    for late in [0, 1, 3] {
        // A table comes behind its link.
        let mut order = order.clone();
        let link = if late < 3 { 2 } else { 4 };
        let table_copy = order.remove(late);
        order.insert(link, table_copy);
        let noticed = replay(&table, &created, &order, &models);
        assert!(noticed.is_err(), "the {late}-th copy behind the {link}-th");
    }
    let backwards: Vec<&Written> = order.iter().rev().copied().collect();
    assert!(replay(&table, &created, &backwards, &models).is_err());
}

/// Remembers addresses, and reads what is there when it is asked to copy: what not to do.
#[derive(Default)]
struct Late(RefCell<Vec<(usize, u64, usize)>>);

// SAFETY: it breaks MEM-ORDER. That leads no soft MMU anywhere but to garbage, which is looked for.
unsafe impl Publish for Late {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        self.0.borrow_mut().push((cpu.as_ptr().expose_provenance(), phys.0, bytes));
    }
}

impl Late {
    fn take(&self) -> Vec<Written> {
        let copy = |(cpu, phys, bytes): (usize, u64, usize)| {
            let cpu: *const u64 = std::ptr::with_exposed_provenance(cpu);
            // SAFETY: the tables are there, and no operation runs.
            (phys, (0..bytes / 8).map(|index| unsafe { cpu.add(index).read() }).collect())
        };
        self.0.take().into_iter().map(copy).collect()
    }
}

#[test]
fn a_queue_of_addresses_would_bring_links_over_ahead_of_their_tables() {
    let memory = Region::with_capacity_and_publisher(TABLES, CAPACITY, Late::default()).unwrap();
    let mut table = Table::new(Config::new(48, 48), &memory).unwrap();
    let mut vram = Vram::new();
    for (phys, words) in memory.publisher().take() {
        vram.write(phys, &words);
    }
    let models = block_and_cut(&mut table);
    let copies = memory.publisher().take();
    let mut copies = copies.iter();
    let noticed = copies.try_for_each(|copy| vram.copy(&table, copy, &models, &[BLOCK]));
    assert!(noticed.is_err());
}

/// Eight tables' worth of numbers from 0 on.
fn numbers() -> Vec<u64> {
    (0..4096).collect()
}

fn publish(queue: &impl Publish, words: &[u64], phys: u64) {
    queue.publish(NonNull::from(words).cast(), PhysAddr(phys), 8 * words.len());
}

#[test]
fn a_commit_submits_all_that_was_published_in_order() {
    let (engine, mut buffer, numbers) = (Engine::default(), [0; 64], numbers());
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    queue.commit();
    publish(&queue, &numbers[3..5], 0x1000);
    publish(&queue, &numbers[7..8], 0x1008);
    assert!(engine.0.borrow().is_empty());
    assert_eq!(queue.figures().queued, 7);
    queue.commit();
    assert_eq!(engine.0.take(), [(0x1000, vec![3, 4]), (0x1008, vec![7])]);
    queue.commit();
    let figures = queue.figures();
    assert_eq!((figures.publications, figures.words, figures.queued), (2, 3, 0));
    assert_eq!((figures.submissions, figures.overflows), (1, 0), "nothing is not submitted");
    assert!(!queue.is_coherent());
}

#[test]
fn what_does_not_fit_is_submitted_at_once_and_what_never_would_in_pieces() {
    let numbers = numbers();
    for words in [3, 4, 10, 514, 515] {
        let (engine, mut buffer) = (Engine::default(), vec![0; words]);
        let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
        let mut expected = Vec::new();
        for (start, count) in [(0, 1), (8, 512), (600, 4), (700, 1), (1000, 600)] {
            publish(&queue, &numbers[start..start + count], 8 * start as u64);
            expected
                .extend((start..start + count).map(|number| (8 * number as u64, number as u64)));
        }
        queue.commit();
        let figures = queue.figures();
        assert_eq!((figures.publications, figures.words), (5, expected.len() as u64));
        assert_eq!(figures.submissions, figures.overflows + 1);
        let copies = engine.0.take();
        assert!(copies.iter().all(|(_, copied)| copied.len() <= words - 2));
        let written: Vec<(u64, u64)> = copies
            .into_iter()
            .flat_map(|(phys, words)| (phys..).step_by(8).zip(words).collect::<Vec<_>>())
            .collect();
        assert_eq!(written, expected);
    }
}

#[test]
fn a_buffer_has_room_for_a_word() {
    let engine = Engine::default();
    assert!(CopyQueue::new(&mut [], &engine).is_none());
    assert!(CopyQueue::new(&mut [0; 2], &engine).is_none());
    assert!(CopyQueue::new(&mut [0; 3], &engine).is_some());
}

#[test]
fn parts_of_words_bring_the_whole_words() {
    let (engine, mut buffer, numbers) = (Engine::default(), [0; 64], numbers());
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    let bytes: NonNull<u8> = NonNull::from(&numbers[..]).cast();
    // SAFETY: it lies in the numbers.
    queue.publish(unsafe { bytes.add(12) }, PhysAddr(0x100c), 5);
    queue.publish(bytes, PhysAddr(0x1000), 0);
    queue.commit();
    assert_eq!(engine.0.take(), [(0x1008, vec![1, 2])]);
}

/// Device memory that asserts that words only ever count up.
struct Counting(Mutex<Vec<u64>>);

// SAFETY: each word is written before this returns.
unsafe impl CopyEngine for Counting {
    fn submit(&self, copies: Copies<'_>) {
        let mut words = self.0.lock().expect("not poisoned");
        for copy in copies {
            let index = usize::try_from(copy.phys.0 / 8).expect("small");
            for (at, &word) in words[index..].iter_mut().zip(copy.words) {
                assert_eq!(word, *at + 1);
                *at = word;
            }
        }
    }
}

#[test]
fn many_threads_publish_each_in_its_order() {
    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 5000 };
    let (engine, mut buffer) = (Counting(Mutex::new(vec![0; 4])), [0; 16]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = &queue;
            scope.spawn(move || {
                let word = AtomicU64::new(0);
                for round in 1..=ROUNDS {
                    word.store(round, Ordering::Relaxed);
                    queue.publish(NonNull::from(&word).cast(), PhysAddr(8 * thread), 8);
                    if round % 7 == 0 {
                        queue.commit();
                    }
                }
            });
        }
    });
    queue.commit();
    assert_eq!(engine.0.into_inner().unwrap(), [ROUNDS; 4]);
}

/// Device memory that asserts that the halves of a word only ever count up.
struct CountingHalves(Mutex<[u32; 2]>);

// SAFETY: each word is written before this returns.
unsafe impl CopyEngine for CountingHalves {
    fn submit(&self, copies: Copies<'_>) {
        let mut halves = self.0.lock().expect("not poisoned");
        for copy in copies {
            assert_eq!((copy.phys.0, copy.words.len()), (0x1000, 1), "the word that both are in");
            let bytes = copy.words[0].to_ne_bytes();
            for (half, bytes) in halves.iter_mut().zip(bytes.chunks_exact(4)) {
                let now = u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
                assert!(now >= *half, "{now} after {half}");
                *half = now;
            }
        }
    }
}

/// Each writes an entry of four bytes and publishes it, and the one beside it comes along.
#[test]
fn two_threads_publish_the_halves_of_a_word() {
    const ROUNDS: u32 = if cfg!(miri) { 20 } else { 5000 };
    #[repr(align(8))]
    struct Word([AtomicU32; 2]);
    let (engine, mut buffer) = (CountingHalves(Mutex::new([0; 2])), [0; 16]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap().with_short_entries();
    let word = Word([AtomicU32::new(0), AtomicU32::new(0)]);
    let base: NonNull<u8> = NonNull::from(&word).cast();
    let base = base.as_ptr().expose_provenance();
    std::thread::scope(|scope| {
        for (half, place) in word.0.iter().zip([0, 4]) {
            let queue = &queue;
            scope.spawn(move || {
                let cpu = std::ptr::with_exposed_provenance_mut::<u8>(base + place);
                let cpu = NonNull::new(cpu).expect("it is somewhere");
                for round in 1..=ROUNDS {
                    half.store(round, Ordering::Relaxed);
                    queue.publish(cpu, PhysAddr(0x1000 + place as u64), 4);
                    if round % 7 == 0 {
                        queue.commit();
                    }
                }
            });
        }
    });
    queue.commit();
    assert_eq!(engine.0.into_inner().unwrap(), [ROUNDS; 2]);
}

#[test]
fn registers_of_tables_in_device_memory_do_not_ask_to_snoop() {
    let (engine, mut buffer) = (Engine::default(), [0; 64]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    let memory = Region::with_capacity_and_publisher(TABLES, CAPACITY, queue).unwrap();
    let table = Table::new(Config::new(48, 48), &memory).unwrap();
    // SAFETY: no walker is given them.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.tcr >> 8 & 0x3f, 0b10_00_00, "outer shareable, not cached");
    assert_eq!(table.translate(Iova(0)), None);
}
