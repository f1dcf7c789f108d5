//! A page table of any format.

use core::fmt;

use super::{AnyFormat, AnyRegisters};
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::error::{CreateError, TableError};
use crate::format::{Attributes, Config};
use crate::gather::{Gather, Invalidate, InvalidateError, Invalidated};
use crate::geometry::{Geometry, TableCount};
use crate::memory::{Reserver, TableAllocator};
use crate::prot::{Prot, ProtError};
use crate::table::{PageTable, Translation, Visit};

macro_rules! define {
    ({} $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        /// A page table whose format was chosen at run time.
        ///
        /// Every method is [`PageTable`]'s of the same name, after one match. Drivers that know
        /// their format when they are compiled have no use for this; those that name each leaf
        /// themselves, a page a call, save that match with the table that is inside.
        ///
        /// ```
        /// # #[cfg(feature = "alloc")] {
        /// use iopgtable::{memory::Heap, AnyFormat, AnyPageTable, AnyRegisters, Config};
        /// use iopgtable::{Iova, IovaRange, PhysAddr, Prot, Segment, Unwalked};
        ///
        /// // From a register that says what the hardware can, or from a user.
        /// let format: AnyFormat = "arm64-s1/64K".parse()?;
        /// let mut table = AnyPageTable::new(format, Config::new(48, 48), Heap::new())?;
        /// let range = IovaRange::new(Iova(0x4000_0000), 0x2_0000)?;
        /// let gather = table.map(range, [Segment::new(PhysAddr(0), 0x2_0000)], Prot::RW)?;
        /// table.finish(gather, &mut Unwalked)?;
        /// assert_eq!(table.translate(Iova(0x4001_0000)).unwrap().leaf_bytes, 64 << 10);
        /// // SAFETY: no walker is given these values.
        /// let AnyRegisters::Arm64S1(registers) = (unsafe { table.registers() }) else { panic!() };
        /// assert_eq!(registers.tcr >> 14 & 0b11, 0b01, "TG0: 64 KiB");
        /// # }
        /// # Ok::<(), Box<dyn core::error::Error>>(())
        /// ```
        #[non_exhaustive]
        pub enum AnyPageTable<A: TableAllocator> {
            $(#[doc = $about] $variant(PageTable<$format, A>),)*
        }

        impl<A: TableAllocator> AnyPageTable<A> {
            /// An empty table of `format`; see [`PageTable::new`].
            ///
            /// # Errors
            ///
            /// [`PageTable::new`]'s.
            pub fn new(
                format: AnyFormat,
                config: Config,
                allocator: A,
            ) -> Result<Self, CreateError> {
                Ok(match format {
                    $(AnyFormat::$variant => Self::$variant(PageTable::new(config, allocator)?),)*
                })
            }

            /// The format that the table was made with.
            pub const fn format(&self) -> AnyFormat {
                match self {
                    $(Self::$variant(_) => AnyFormat::$variant,)*
                }
            }
        }

        $(impl<A: TableAllocator> From<PageTable<$format, A>> for AnyPageTable<A> {
            fn from(table: PageTable<$format, A>) -> Self {
                Self::$variant(table)
            }
        })*
    };
}
list_formats!(define);

/// Does the same with the table inside, whatever its format.
macro_rules! on_table {
    ($value:expr, $table:ident => $call:expr) => {
        list_formats!(on_each AnyPageTable, $value, $table => $call)
    };
}

impl<A: TableAllocator> AnyPageTable<A> {
    /// [`PageTable::geometry`].
    pub const fn geometry(&self) -> &Geometry {
        on_table!(self, table => table.geometry())
    }

    /// [`PageTable::allocator`].
    pub const fn allocator(&self) -> &A {
        on_table!(self, table => table.allocator())
    }

    /// [`PageTable::registers`].
    ///
    /// # Safety
    ///
    /// As for [`PageTable::registers`].
    pub unsafe fn registers(&self) -> AnyRegisters {
        // SAFETY: the caller's promise is passed on.
        on_table!(self, table => unsafe { table.registers() }.into())
    }

    /// [`PageTable::map`].
    ///
    /// # Errors
    ///
    /// [`PageTable::map`]'s.
    pub fn map<S>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<Gather, TableError>
    where
        S: IntoIterator<Item = Segment>,
        S::IntoIter: Clone,
    {
        on_table!(self, table => table.map(range, segments, prot))
    }

    /// [`PageTable::unmap`].
    ///
    /// # Errors
    ///
    /// [`PageTable::unmap`]'s.
    pub fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<Gather, TableError> {
        on_table!(self, table => table.unmap(range, hole))
    }

    /// [`PageTable::clear`].
    ///
    /// # Errors
    ///
    /// [`PageTable::clear`]'s.
    pub fn clear(&mut self, range: IovaRange) -> Result<Gather, TableError> {
        on_table!(self, table => table.clear(range))
    }

    /// [`PageTable::protect`].
    ///
    /// # Errors
    ///
    /// [`PageTable::protect`]'s.
    pub fn protect(&mut self, range: IovaRange, prot: Prot) -> Result<Gather, TableError> {
        on_table!(self, table => table.protect(range, prot))
    }

    /// [`PageTable::exact_tables`].
    ///
    /// # Errors
    ///
    /// [`PageTable::exact_tables`]'s.
    pub fn exact_tables<S>(
        &self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<TableCount, TableError>
    where
        S: IntoIterator<Item = Segment>,
        S::IntoIter: Clone,
    {
        on_table!(self, table => table.exact_tables(range, segments, prot))
    }

    /// [`PageTable::translate`].
    pub fn translate(&self, iova: Iova) -> Option<Translation> {
        on_table!(self, table => table.translate(iova))
    }

    /// [`PageTable::occupied`].
    pub fn occupied(&self, range: IovaRange, level: i8) -> u64 {
        on_table!(self, table => table.occupied(range, level))
    }

    /// [`PageTable::visit`].
    pub fn visit(&self, range: IovaRange, visitor: impl FnMut(Visit)) {
        on_table!(self, table => table.visit(range, visitor));
    }

    /// [`PageTable::visit_to`].
    pub fn visit_to(&self, range: IovaRange, level: i8, visitor: impl FnMut(Visit)) {
        on_table!(self, table => table.visit_to(range, level, visitor));
    }

    /// [`PageTable::dump`].
    pub const fn dump(&self, range: IovaRange) -> AnyDump<'_, A> {
        AnyDump { table: self, range }
    }

    /// [`PageTable::read_dirty`].
    ///
    /// # Errors
    ///
    /// [`PageTable::read_dirty`]'s.
    pub fn read_dirty(&self, range: IovaRange, bitmap: &mut [u64]) -> Result<(), TableError> {
        on_table!(self, table => table.read_dirty(range, bitmap))
    }

    /// [`PageTable::read_and_clear_dirty`].
    ///
    /// # Errors
    ///
    /// [`PageTable::read_and_clear_dirty`]'s.
    pub fn read_and_clear_dirty(
        &mut self,
        range: IovaRange,
        bitmap: &mut [u64],
    ) -> Result<Gather, TableError> {
        on_table!(self, table => table.read_and_clear_dirty(range, bitmap))
    }

    /// [`PageTable::visit_dirty`].
    ///
    /// # Errors
    ///
    /// [`PageTable::visit_dirty`]'s.
    pub fn visit_dirty(
        &self,
        range: IovaRange,
        visitor: impl FnMut(IovaRange),
    ) -> Result<(), TableError> {
        on_table!(self, table => table.visit_dirty(range, visitor))
    }

    /// [`PageTable::visit_and_clear_dirty`].
    ///
    /// # Errors
    ///
    /// [`PageTable::visit_and_clear_dirty`]'s.
    pub fn visit_and_clear_dirty(
        &mut self,
        range: IovaRange,
        visitor: impl FnMut(IovaRange),
    ) -> Result<Gather, TableError> {
        on_table!(self, table => table.visit_and_clear_dirty(range, visitor))
    }

    /// [`PageTable::count_tables`].
    pub fn count_tables(&self) -> TableCount {
        on_table!(self, table => table.count_tables())
    }

    /// [`PageTable::attributes`].
    ///
    /// # Errors
    ///
    /// [`PageTable::attributes`]'.
    pub fn attributes(&self, prot: Prot) -> Result<Attributes, ProtError> {
        on_table!(self, table => table.attributes(prot))
    }

    /// [`PageTable::map_leaves`], with `attributes` of a table of this format.
    ///
    /// # Errors
    ///
    /// [`PageTable::map_leaves`]'.
    pub fn map_leaves(
        &mut self,
        iova: Iova,
        phys: PhysAddr,
        level: i8,
        count: usize,
        attributes: Attributes,
    ) -> Result<bool, TableError> {
        on_table!(self, table => table.map_leaves(iova, phys, level, count, attributes))
    }

    /// [`PageTable::unmap_leaves`].
    pub fn unmap_leaves(&mut self, iova: Iova, level: i8, count: usize) -> Option<(usize, Gather)> {
        on_table!(self, table => table.unmap_leaves(iova, level, count))
    }

    /// [`PageTable::finish`].
    ///
    /// # Errors
    ///
    /// [`PageTable::finish`]'s.
    pub fn finish<D: Invalidate>(
        &self,
        gather: Gather,
        device: &mut D,
    ) -> Result<usize, InvalidateError<D::Error>> {
        Ok(self.free(gather.invalidate(device)?))
    }

    /// [`PageTable::free`].
    pub fn free(&self, invalidated: Invalidated) -> usize {
        on_table!(self, table => table.free(invalidated))
    }

    /// [`PageTable::quarantine`].
    pub fn quarantine(&mut self, gather: Gather) {
        on_table!(self, table => table.quarantine(gather));
    }

    /// [`PageTable::reserver`].
    pub fn reserver(&self) -> Reserver<A>
    where
        A: Clone,
    {
        on_table!(self, table => table.reserver())
    }
}

/// What a range maps, as text: see [`PageTable::dump`].
pub struct AnyDump<'t, A: TableAllocator> {
    table: &'t AnyPageTable<A>,
    range: IovaRange,
}

impl<A: TableAllocator> fmt::Display for AnyDump<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_table!(self.table, table => table.dump(self.range).fmt(f))
    }
}

impl<A: TableAllocator> fmt::Debug for AnyDump<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: TableAllocator> fmt::Debug for AnyPageTable<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_table!(self, table => table.fmt(f))
    }
}
