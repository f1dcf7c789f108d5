//! Memory that walkers do not snoop, for many threads, any of which can be stopped before what it
//! publishes takes effect.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};

use iopgtable::memory::{PageList, Publish, Region, TableLayout, TablePage};
use iopgtable::{
    AllocContext, AllocError, Format, Iova, PhysAddr, Prot, SharedPageTable, TableAllocator,
    TableCount, TableMemory,
};
use walkers::{Access, Fault, FaultKind};

use crate::machine::{TABLES, Walked};

pub(crate) const CAPACITY: usize = 8 << 20;

/// A link to nowhere to every walker, and so is each part of it.
const GARBAGE: u64 = 0x0000_dead_bee0_0003;

/// What walkers see: what was published, in the order in which it was.
pub(crate) struct Screen {
    words: Vec<AtomicU64>,
    /// The bytes of an entry, as which all is written and read.
    entry_bytes: usize,
    turn: Mutex<()>,
    pause: Mutex<Option<Pause>>,
    /// Whether threads give way before they publish, to meet others in between.
    pub(crate) yields: bool,
}

/// A thread that is to stop at a point.
struct Pause {
    thread: ThreadId,
    points: usize,
    reached: Sender<()>,
    go_on: Receiver<()>,
}

impl Screen {
    /// Stops the thread that it is meant for.
    fn point(&self) {
        let mut pause = self.pause.lock().expect("nobody panics with it");
        if pause.as_ref().is_none_or(|pause| pause.thread != thread::current().id()) {
            return;
        }
        if let Some(Pause { points: points @ 1.., .. }) = pause.as_mut() {
            *points -= 1;
            return;
        }
        let reached = pause.take();
        drop(pause);
        if let Some(Pause { reached, go_on, .. }) = reached {
            reached.send(()).expect("somebody waits for it");
            go_on.recv().expect("somebody lets it go on");
        }
    }
}

// SAFETY: publications take turns, each reading the bytes in its turn.
unsafe impl Publish for Screen {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        let entry = self.entry_bytes;
        assert_eq!((phys.0 % entry as u64, bytes % entry), (0, 0), "whole entries");
        self.point();
        if self.yields {
            thread::yield_now();
        }
        let first = usize::try_from(phys.0 - TABLES.0).expect("in the region");
        let turn = self.turn.lock().expect("nobody panics with it");
        for offset in (0..bytes).step_by(entry) {
            // SAFETY: so many bytes are there.
            let cpu = unsafe { cpu.add(offset) };
            let seen = &self.words[(first + offset) / 8];
            let word = if entry == 4 {
                // SAFETY: whoever else writes the entry does so atomically, as one of four bytes.
                let half = unsafe { AtomicU32::from_ptr(cpu.cast::<u32>().as_ptr()) };
                let shift = 8 * ((first + offset) % 8);
                let half = u64::from(half.load(Ordering::Relaxed)) << shift;
                seen.load(Ordering::Relaxed) & !(0xffff_ffff << shift) | half
            } else {
                // SAFETY: whoever else writes the entry does so atomically, as one of eight bytes.
                let word = unsafe { AtomicU64::from_ptr(cpu.cast::<u64>().as_ptr()) };
                word.load(Ordering::Relaxed)
            };
            seen.store(word, Ordering::Relaxed);
        }
        drop(turn);
    }
}

/// Also stops threads that allocate: between their survey and their first write.
pub(crate) struct Memory(Region<Screen>);

pub(crate) fn memory<F: Format>(yields: bool) -> Memory {
    let words = (0..CAPACITY / 8).map(|_| AtomicU64::new(GARBAGE)).collect();
    let (turn, pause) = (Mutex::new(()), Mutex::new(None));
    let entry_bytes = size_of::<F::Word>();
    let screen = Screen { words, entry_bytes, turn, pause, yields };
    Memory(
        Region::with_capacity_and_publisher(TABLES, CAPACITY, screen)
            .expect("the numbers make a region"),
    )
}

// SAFETY: every call goes to the region.
unsafe impl TableMemory for Memory {
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        self.0.cpu_address(table)
    }
    fn last_phys(&self) -> PhysAddr {
        self.0.last_phys()
    }
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        self.0.publish(cpu, phys, bytes);
    }
    fn is_coherent(&self) -> bool {
        false
    }
}

// SAFETY: as above.
unsafe impl TableAllocator for Memory {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        self.0.alloc(layout, context)
    }
    unsafe fn free(&self, page: TablePage) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.0.free(page) };
    }
    fn alloc_into(
        &self,
        pages: &mut PageList,
        layout: TableLayout,
        tables: &TableCount,
        context: AllocContext,
    ) -> Result<(), AllocError> {
        self.0.publisher().point();
        self.0.alloc_into(pages, layout, tables, context)
    }
}

impl Memory {
    pub(crate) fn in_use(&self) -> usize {
        self.0.in_use()
    }

    /// What walkers read.
    pub(crate) fn read(&self, phys: u64) -> Option<u64> {
        let index = usize::try_from(phys.checked_sub(TABLES.0)? / 8).ok()?;
        self.0.publisher().words.get(index).map(|word| word.load(Ordering::Relaxed))
    }

    /// Where `address` leads for a walker, and whether it may write there.
    pub(crate) fn look<F: Walked, A: TableAllocator>(
        &self,
        table: &SharedPageTable<F, A>,
        address: u64,
    ) -> Option<(u64, bool)> {
        self.ask(table, address).unwrap_or_else(|fault| nothing(address, fault))
    }

    /// The same while other threads write. A group may be in pieces then, which a walker that
    /// checks reports, so there the table says where the address leads.
    pub(crate) fn look_meanwhile<F: Walked, A: TableAllocator>(
        &self,
        table: &SharedPageTable<F, A>,
        address: u64,
    ) -> Option<(u64, bool)> {
        match self.ask(table, address) {
            Err(Fault { kind: FaultKind::Conflict, .. }) => table
                .translate(Iova(address))
                .map(|found| (found.phys.0, found.prot.contains(Prot::WRITE))),
            answer => answer.unwrap_or_else(|fault| nothing(address, fault)),
        }
    }

    fn ask<F: Walked, A: TableAllocator>(
        &self,
        table: &SharedPageTable<F, A>,
        address: u64,
    ) -> Result<Option<(u64, bool)>, Fault> {
        // SAFETY: the walk ends before this function does, and the table stays.
        let registers = unsafe { table.registers() };
        let read = |phys| self.read(phys);
        iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ)
            .map(|found| Some((found.address, found.permissions.unprivileged.write)))
    }

    /// Runs `slow` on a thread that stops at the point after `points` others, runs `meanwhile`
    /// then, and has `slow` go on. Says whether there was such a point.
    pub(crate) fn stop_at(
        &self,
        points: usize,
        slow: impl FnOnce() + Send,
        meanwhile: impl FnOnce(),
    ) -> bool {
        let (reached, when_reached) = channel();
        let (go, go_on) = channel();
        thread::scope(|scope| {
            // Gone when `meanwhile` panics: the thread that waits then does so, too.
            let go = go;
            let slow = scope.spawn(move || {
                let thread = thread::current().id();
                let pause = Pause { thread, points, reached, go_on };
                *self.0.publisher().pause.lock().expect("nobody panics with it") = Some(pause);
                slow();
                *self.0.publisher().pause.lock().expect("nobody panics with it") = None;
            });
            let stopped = when_reached.recv().is_ok();
            if stopped {
                meanwhile();
                go.send(()).expect("it waits");
            }
            slow.join().expect("it does not panic");
            stopped
        })
    }
}

/// What a walker finds at a hole, which no other fault is.
fn nothing(address: u64, fault: Fault) -> Option<(u64, bool)> {
    assert_eq!(fault.kind, FaultKind::Translation, "garbage at {address:#x}: {fault}");
    None
}
