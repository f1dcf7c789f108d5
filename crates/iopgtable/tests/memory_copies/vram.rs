//! What the device reaches, and an engine that copies to it when it is told to.

use std::cell::RefCell;

use iopgtable::PageTable;
use iopgtable::memory::{Copies, CopyEngine, TableAllocator};
use walkers::{Access, FaultKind};

use crate::machine::{TABLES, Walked};
use crate::model::Model;

pub(crate) const CAPACITY: usize = 8 << 20;

/// One copy: where to, and what.
pub(crate) type Written = (u64, Vec<u64>);

/// An engine that has taken commands and not done anything yet.
#[derive(Debug, Default)]
pub(crate) struct Engine(pub(crate) RefCell<Vec<Written>>);

// SAFETY: the test does the copies in the order of the submissions, when it wants to.
unsafe impl CopyEngine for Engine {
    fn submit(&self, copies: Copies<'_>) {
        self.0.borrow_mut().extend(copies.map(|copy| (copy.phys.0, copy.words.to_vec())));
    }
}

/// What the device reaches.
pub(crate) struct Vram(pub(crate) Vec<u64>);

/// A link to nowhere to every walker, and so is each part of it.
pub(crate) const GARBAGE: u64 = 0x0000_dead_bee0_0003;

impl Vram {
    pub(crate) fn new() -> Self {
        Self(vec![GARBAGE; CAPACITY / 8])
    }

    pub(crate) fn index(phys: u64) -> Option<usize> {
        usize::try_from(phys.checked_sub(TABLES.0)? / 8).ok()
    }

    pub(crate) fn write(&mut self, phys: u64, words: &[u64]) {
        let index = Self::index(phys).expect("in the region");
        self.0[index..index + words.len()].copy_from_slice(words);
    }

    /// Where `address` leads for the device.
    pub(crate) fn walk<F: Walked, A: TableAllocator>(
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
    pub(crate) fn copy<F: Walked, A: TableAllocator>(
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
    pub(crate) fn look<F: Walked, A: TableAllocator>(
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
