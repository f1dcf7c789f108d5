//! Memory that a walker sees only as far as it was published.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;

use iopgtable::memory::{Publish, Region, TableAllocator};
use iopgtable::{PageTable, PhysAddr, Prot, Visit};
use walkers::{Access, FaultKind};

use crate::machine::{TABLES, Walked};
use crate::model::Model;

pub(crate) const CAPACITY: usize = 8 << 20;

/// What was told to a [`Recorder`]: what was published in halves of words, the smallest entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Publish { phys: u64, halves: Vec<u32> },
    Commit,
}

/// Remembers what is published, as it is then.
#[derive(Debug, Default)]
pub(crate) struct Recorder(RefCell<Vec<Event>>);

impl Recorder {
    /// What was told since the last call.
    pub(crate) fn take(&self) -> Vec<Event> {
        self.0.take()
    }
}

// SAFETY: what is recorded is in the order of the calls.
unsafe impl Publish for Recorder {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        assert_eq!((phys.0 % 4, bytes % 4), (0, 0), "whole entries");
        let read = |index| {
            // SAFETY: the caller has just written so many bytes there, on this thread.
            unsafe { cpu.cast::<u32>().add(index).read() }
        };
        let halves = (0..bytes / 4).map(read).collect();
        self.0.borrow_mut().push(Event::Publish { phys: phys.0, halves });
    }

    fn commit(&self) {
        self.0.borrow_mut().push(Event::Commit);
    }
}

pub(crate) type Memory = Region<Recorder>;

pub(crate) fn memory() -> Memory {
    Region::with_capacity_and_publisher(TABLES, CAPACITY, Recorder::default())
        .expect("the numbers make a region")
}

/// The walker's side of a region.
pub(crate) struct Mirror(Vec<u32>);

/// A link to nowhere to every walker of entries of eight bytes, and so is each part of it. Of those of
/// four, one is a link to nowhere, and the other a leaf that leads where nothing is mapped to.
const GARBAGE: [u32; 2] = [0xbee0_0003, 0x0000_dead];

impl Mirror {
    pub(crate) fn new() -> Self {
        Self(GARBAGE.repeat(CAPACITY / 8))
    }

    pub(crate) fn read(&self, phys: u64) -> Option<u64> {
        let index = usize::try_from(phys.checked_sub(TABLES.0)? / 8).ok()?;
        let halves = self.0.get(2 * index..2 * index + 2)?;
        Some(u64::from(halves[0]) | u64::from(halves[1]) << 32)
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        if let Event::Publish { phys, halves } = event {
            let index = usize::try_from((phys - TABLES.0) / 4).expect("in the region");
            self.0[index..index + halves.len()].copy_from_slice(halves);
        }
    }

    /// Where `address` leads for the walker, and whether it may write and execute there.
    pub(crate) fn get<F: Walked, A: TableAllocator>(
        &self,
        table: &PageTable<F, A>,
        address: u64,
    ) -> Option<(u64, bool, bool)> {
        // SAFETY: the walk ends before this function does, and the table stays.
        let registers = unsafe { table.registers() };
        let read = |phys| self.read(phys);
        match iopgtable_conformance::walk::<F>(registers, &read, address, Access::UNPRIVILEGED_READ)
        {
            Ok(found) => {
                let rights = found.permissions.unprivileged;
                Some((found.address, rights.write, rights.execute))
            }
            Err(fault) => {
                assert_eq!(fault.kind, FaultKind::Translation, "garbage at {address:#x}: {fault}");
                None
            }
        }
    }

    /// That the walker sees every table of `table` as the CPU does.
    pub(crate) fn check_equal<F: Walked, A: TableAllocator>(
        &self,
        table: &PageTable<F, A>,
        memory: &Memory,
    ) {
        let geometry = *table.geometry();
        let mut tables = BTreeMap::from([(root(table), geometry.root_bytes())]);
        table.visit(geometry.whole(), |seen| {
            if let Visit::Table { phys, .. } = seen {
                tables.insert(phys.0, geometry.table_bytes());
            }
        });
        for (first, bytes) in tables {
            for phys in (first..first + bytes).step_by(8) {
                // SAFETY: no operation runs, and each entry of a reachable table was written.
                let word = unsafe { memory.read(PhysAddr(phys)) };
                assert_eq!(self.read(phys), word, "what the walker sees at {phys:#x}");
            }
        }
    }
}

fn root<F: Walked, A: TableAllocator>(table: &PageTable<F, A>) -> u64 {
    let first = std::cell::Cell::new(None);
    let read = |phys| {
        first.set(first.get().or(Some(phys)));
        Some(0)
    };
    // SAFETY: this walk does not even read the table.
    let registers = unsafe { table.registers() };
    let first_iova = table.geometry().first_iova().0;
    let fault =
        iopgtable_conformance::walk::<F>(registers, &read, first_iova, Access::UNPRIVILEGED_READ);
    fault.expect_err("nothing is mapped in zeroes");
    first.get().expect("a walk reads the root's first entry")
}

/// What [`Mirror::get`] is to find.
pub(crate) fn expected<F: Walked>(model: &Model, address: u64) -> Option<(u64, bool, bool)> {
    let (phys, prot) = model.get(address)?;
    let prot = F::granted(prot);
    Some((phys, prot.contains(Prot::WRITE), prot.contains(Prot::EXECUTE)))
}
