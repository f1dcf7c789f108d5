//! The face that cannot allocate: what runs where allocating is forbidden.

use core::fmt;

use super::edit::{Edit, Editor};
use super::fill::Leaves;
use super::recent::Recent;
use super::write::{Over, Stopped, Writer};
use super::{PageTable, short, survey};
use crate::addr::IovaRange;
use crate::error::ReservedError;
use crate::format::Format;
use crate::gather::{Gather, stale};
use crate::memory::{Reservation, TableAllocator};
use crate::prot::Prot;
use crate::segments::{Segments, Source};

/// A page table together with the pages that its next operations may take, and no way to others.
///
/// This is what a bind job gets in the section that its fence waits for, where allocating could
/// wait for that very fence. The allocator is out of reach:
///
/// ```compile_fail,E0599
/// use iopgtable::{memory::TableAllocator, Format, Reserved};
/// fn run<F: Format, A: TableAllocator>(table: &mut Reserved<'_, F, A>) {
///     table.allocator(); // no such method
/// }
/// ```
///
/// and the table itself is lent out, so that its allocating operations are, too:
///
/// ```compile_fail,E0499
/// use iopgtable::{memory::TableAllocator, Format, IovaRange, PageTable, Reservation};
/// fn run<F: Format, A: TableAllocator + Clone>(
///     table: &mut PageTable<F, A>,
///     reservation: &mut Reservation<A>,
///     range: IovaRange,
/// ) {
///     let reserved = table.reserved(reservation).unwrap();
///     table.unmap(range, range); // may allocate
///     drop(reserved);
/// }
/// ```
///
/// The reservation must have been made for the state that the table is in; then there is always a
/// page where one is needed. Who plans states ahead knows what is mapped where, so nothing is
/// surveyed here.
pub struct Reserved<'t, F: Format, A: TableAllocator> {
    table: &'t mut PageTable<F, A>,
    reservation: &'t mut Reservation<A>,
}

impl<F: Format, A: TableAllocator> fmt::Debug for Reserved<'_, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reserved({:?}, {} pages left)", self.table, self.remaining())
    }
}

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// This table with `reservation` as the only source of pages; nothing if it was made for
    /// another table.
    pub fn reserved<'t>(
        &'t mut self,
        reservation: &'t mut Reservation<A>,
    ) -> Option<Reserved<'t, F, A>> {
        self.recent = Recent::NONE;
        (reservation.table() == self.tree.id).then_some(Reserved { table: self, reservation })
    }
}

impl<F: Format, A: TableAllocator> Reserved<'_, F, A> {
    /// How many pages are left.
    pub fn remaining(&self) -> usize {
        self.reservation.remaining()
    }

    /// Maps `segments` at `range`, where nothing is mapped.
    ///
    /// # Errors
    ///
    /// [`ReservedError::Refused`] for arguments that [`PageTable::map`] refuses (but what is
    /// mapped in the range is not looked at: it is overwritten, without an invalidation);
    /// [`ReservedError::Exhausted`] where the reservation is too small: what lies below the
    /// address in the error is mapped.
    pub fn map<S>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<Gather, ReservedError>
    where
        S: Segments,
    {
        self.write(range, segments.source(), prot, Over::Nothing)
    }

    /// Maps `segments` at `range` in place of what is mapped there. Tables that both states need
    /// stay; leaves that stick out of the range are cut; tables in the place of new large leaves
    /// come loose.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    pub fn replace<S>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<Gather, ReservedError>
    where
        S: Segments,
    {
        self.write(range, segments.source(), prot, Over::Mappings)
    }

    /// Removes what `range` maps, as [`PageTable::unmap`] does.
    ///
    /// # Errors
    ///
    /// [`ReservedError::Refused`] for arguments that [`PageTable::unmap`] refuses;
    /// [`ReservedError::Exhausted`] where the reservation is too small: what lies below the
    /// address in the error is unmapped.
    pub fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<Gather, ReservedError> {
        self.edit(range, Edit::unmap(&self.table.tree, range, hole)?)
    }

    /// Removes what `range` maps but keeps all tables, as [`PageTable::clear`] does.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap).
    pub fn clear(&mut self, range: IovaRange) -> Result<Gather, ReservedError> {
        self.edit(range, Edit::clear(&self.table.tree, range)?)
    }

    /// Changes what `range` allows, as [`PageTable::protect`] does.
    ///
    /// # Errors
    ///
    /// As for [`unmap`](Self::unmap), and [`TableError::Prot`](crate::TableError::Prot).
    pub fn protect(&mut self, range: IovaRange, prot: Prot) -> Result<Gather, ReservedError> {
        self.edit(range, Edit::protect(&self.table.tree, range, prot)?)
    }

    fn edit(&mut self, range: IovaRange, edit: Edit) -> Result<Gather, ReservedError> {
        let (tree, memory) = (&self.table.tree, &self.table.allocator);
        survey::check_cuts(tree, memory, range)?;
        let mut gather = Gather::new(tree.id);
        if short::edit(tree, memory, range, edit, |iova| tree.leaf_table(memory, iova)) {
            gather.stale.leaves = Some(range);
            return Ok(gather);
        }
        let pages = self.reservation.pages();
        let edited = Editor::new(tree, memory, pages, &mut gather, edit).run(range);
        finish(edited, gather)
    }

    fn write<S: Source>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
        over: Over,
    ) -> Result<Gather, ReservedError> {
        let table = &mut *self.table;
        let (attributes, shape) = table.check_map(range, &segments, prot)?;
        let mut gather = Gather::new(table.tree.id);
        let (tree, memory) = (&table.tree, &table.allocator);
        let replace = over == Over::Mappings;
        if replace {
            survey::check_cuts(tree, memory, range)?;
        }
        let leaves = Leaves::new(tree, attributes);
        let find = |iova| tree.leaf_table(memory, iova);
        if short::map(tree, memory, range, &segments, (shape, leaves), replace, find) {
            if replace {
                stale(&mut gather.stale.leaves, range);
                gather.live.rewritten(range);
            }
            return Ok(gather);
        }
        let pages = self.reservation.pages();
        let writer = Writer::new(tree, memory, pages, &mut gather, range);
        let written = writer.map(segments, shape, attributes, over);
        finish(written, gather)
    }
}

fn finish(outcome: Result<(), Stopped>, gather: Gather) -> Result<Gather, ReservedError> {
    match outcome {
        Ok(()) => Ok(gather),
        Err(Stopped { at }) => Err(ReservedError::Exhausted { at, gather }),
    }
}
