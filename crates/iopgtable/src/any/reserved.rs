//! A page table of any format that cannot allocate.

use core::fmt;

use super::AnyPageTable;
use crate::addr::{IovaRange, Segment};
use crate::error::ReservedError;
use crate::gather::Gather;
use crate::memory::{Reservation, TableAllocator};
use crate::prot::Prot;
use crate::table::Reserved;

macro_rules! define {
    ({} $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        /// A page table whose format was chosen at run time, with the pages that its next
        /// operations may take, and no way to others.
        ///
        /// Every method is [`Reserved`]'s of the same name, after one match.
        ///
        /// ```
        /// # #[cfg(feature = "alloc")] {
        /// use iopgtable::{memory::Heap, AnyFormat, AnyPageTable, Config, Iova, IovaRange};
        /// use iopgtable::{PhysAddr, Prot, Segment, Unwalked};
        ///
        /// let mut table = AnyPageTable::new(AnyFormat::Arm64S2_4K, Config::new(48, 48), Heap::new())?;
        /// let range = IovaRange::new(Iova(0x4000_0000), 0x1000)?;
        /// let memory = Segment::new(PhysAddr(0x8000_0000), 0x1000);
        /// let missing = table.exact_tables(range, [memory], Prot::RW)?;
        /// let mut reservation = table.reserver().reserve(&missing, range.first(), true)?;
        ///
        /// let mut reserved = table.reserved(&mut reservation).expect("made for this table");
        /// let gather = reserved.map(range, [memory], Prot::RW)?;
        /// assert_eq!(reserved.remaining(), 0);
        /// table.finish(gather, &mut Unwalked)?;
        /// # }
        /// # Ok::<(), Box<dyn core::error::Error>>(())
        /// ```
        #[non_exhaustive]
        pub enum AnyReserved<'t, A: TableAllocator> {
            $(#[doc = $about] $variant(Reserved<'t, $format, A>),)*
        }
    };
}
list_formats!(define);

/// Does the same with the table inside, whatever its format.
macro_rules! on_reserved {
    ($value:expr, $table:ident => $call:expr) => {
        list_formats!(on_each AnyReserved, $value, $table => $call)
    };
}

impl<A: TableAllocator> AnyPageTable<A> {
    /// [`PageTable::reserved`](crate::PageTable::reserved).
    pub fn reserved<'t>(
        &'t mut self,
        reservation: &'t mut Reservation<A>,
    ) -> Option<AnyReserved<'t, A>> {
        list_formats!(
            on_each_into AnyPageTable => AnyReserved, self, table => table.reserved(reservation)
        )
    }
}

impl<A: TableAllocator> AnyReserved<'_, A> {
    /// [`Reserved::remaining`].
    pub fn remaining(&self) -> usize {
        on_reserved!(self, table => table.remaining())
    }

    /// [`Reserved::map`].
    ///
    /// # Errors
    ///
    /// [`Reserved::map`]'s.
    pub fn map<S>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<Gather, ReservedError>
    where
        S: IntoIterator<Item = Segment>,
        S::IntoIter: Clone,
    {
        on_reserved!(self, table => table.map(range, segments, prot))
    }

    /// [`Reserved::replace`].
    ///
    /// # Errors
    ///
    /// [`Reserved::replace`]'s.
    pub fn replace<S>(
        &mut self,
        range: IovaRange,
        segments: S,
        prot: Prot,
    ) -> Result<Gather, ReservedError>
    where
        S: IntoIterator<Item = Segment>,
        S::IntoIter: Clone,
    {
        on_reserved!(self, table => table.replace(range, segments, prot))
    }

    /// [`Reserved::unmap`].
    ///
    /// # Errors
    ///
    /// [`Reserved::unmap`]'s.
    pub fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<Gather, ReservedError> {
        on_reserved!(self, table => table.unmap(range, hole))
    }

    /// [`Reserved::clear`].
    ///
    /// # Errors
    ///
    /// [`Reserved::clear`]'s.
    pub fn clear(&mut self, range: IovaRange) -> Result<Gather, ReservedError> {
        on_reserved!(self, table => table.clear(range))
    }

    /// [`Reserved::protect`].
    ///
    /// # Errors
    ///
    /// [`Reserved::protect`]'s.
    pub fn protect(&mut self, range: IovaRange, prot: Prot) -> Result<Gather, ReservedError> {
        on_reserved!(self, table => table.protect(range, prot))
    }
}

impl<A: TableAllocator> fmt::Debug for AnyReserved<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_reserved!(self, table => table.fmt(f))
    }
}
