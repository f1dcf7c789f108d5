//! [`PageTable`]'s looks at what it maps, and at what was written through.

use super::dirty::{self, Harvest};
use super::tree::Tree;
use super::{Dump, PageTable, Translation, Visit, occupied, visit};
use crate::addr::{Iova, IovaRange};
use crate::error::TableError;
use crate::format::Format;
use crate::gather::Gather;
use crate::geometry::{LAST_LEVEL, TableCount};
use crate::memory::TableAllocator;

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Where `iova` leads, if anywhere.
    #[inline]
    pub fn translate(&self, iova: Iova) -> Option<Translation> {
        let Self { tree, allocator: memory, recent, .. } = self;
        let end = if recent.has_parent::<F>(iova) {
            let parent = recent.parent::<F>();
            Tree::<F>::walk_from(memory, parent, LAST_LEVEL - 1, iova)
        } else {
            tree.walk(memory, iova)
        };
        visit::translation::<F>(end, iova)
    }

    /// How many bytes of `range` lie before its first hole, in pages as large as leaves at
    /// `level`: for callers that name the pages that they unmap, and must hear of those that are
    /// not there. A page is no hole where a leaf translates it, or where a table does, whatever
    /// that table holds. What lies beyond the last input address counts as no part of the range, and
    /// what lies below the first one as a hole.
    ///
    /// The range starts on a multiple of such a page; a level that has no table counts as the
    /// last one.
    #[inline]
    pub fn occupied(&self, range: IovaRange, level: i8) -> u64 {
        let level = level.clamp(self.tree.geometry.first_level(), crate::geometry::LAST_LEVEL);
        occupied::occupied(&self.tree, &self.allocator, range, level)
    }

    /// Shows `visitor` every table and every leaf that translates a part of `range`, in ascending
    /// order, a table before what it holds. The root is not shown.
    pub fn visit(&self, range: IovaRange, visitor: impl FnMut(Visit)) {
        self.visit_to(range, LAST_LEVEL, visitor);
    }

    /// The same, but not below the entries of tables at `level`: what a table at the next level
    /// holds is not shown.
    pub fn visit_to(&self, range: IovaRange, level: i8, mut visitor: impl FnMut(Visit)) {
        visit::visit(&self.tree, &self.allocator, range, level, &mut visitor);
    }

    /// What `range` maps, to be displayed for people: tables and leaves, one line each, where
    /// leaves that follow each other in both address spaces share one.
    ///
    /// ```
    /// # #[cfg(feature = "alloc")] {
    /// # use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable};
    /// # use iopgtable::{PhysAddr, Prot, Segment, Unwalked};
    /// let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(39, 48), Heap::new())?;
    /// let range = IovaRange::new(Iova(0x4000_0000), 0x3000)?;
    /// let gather = table.map(range, [Segment::new(PhysAddr(0x8000_0000), 0x3000)], Prot::RW)?;
    /// table.finish(gather, &mut Unwalked)?;
    /// let text = table.dump(table.geometry().whole()).to_string();
    /// assert!(text.starts_with("ARM_64_LPAE_S1 4K, 39 bits to 48, root at "));
    /// assert!(text.contains("0x40000000..=0x40002fff -> 0x80000000 rw--n 3 x 4K"));
    /// # }
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub const fn dump(&self, range: IovaRange) -> Dump<'_, F, A> {
        Dump::new(self, range)
    }

    /// Notes in `bitmap` which pages of `range` were written through since they were mapped or
    /// last cleaned: bit `i % 64` of word `i / 64` stands for the `i`-th granule of the range. No
    /// bit is cleared. A leaf larger than a granule counts as written all over, and so does a
    /// group of leaves; what was just mapped writable counts as written.
    ///
    /// # Errors
    ///
    /// [`TableError::UnalignedRange`], [`TableError::InputRange`], [`TableError::NoDirtyState`]
    /// without [`Options::HARDWARE_DIRTY`](crate::Options::HARDWARE_DIRTY), and [`TableError::Bitmap`].
    pub fn read_dirty(&self, range: IovaRange, bitmap: &mut [u64]) -> Result<(), TableError> {
        dirty::check_bitmap(&self.tree, range, bitmap)?;
        self.visit_dirty(range, |dirty| dirty::note::<F>(bitmap, range, dirty))
    }

    /// The same, and makes clean what lies in `range` whole, so that hardware notes the next
    /// write. A device that has a leaf cached goes on writing unnoticed until it has forgotten it:
    /// what the gather names is to be invalidated before the writes of interest begin.
    ///
    /// # Errors
    ///
    /// As for [`read_dirty`](Self::read_dirty); nothing was made clean then.
    pub fn read_and_clear_dirty(
        &mut self,
        range: IovaRange,
        bitmap: &mut [u64],
    ) -> Result<Gather, TableError> {
        dirty::check_bitmap(&self.tree, range, bitmap)?;
        self.visit_and_clear_dirty(range, |dirty| dirty::note::<F>(bitmap, range, dirty))
    }

    /// As [`read_dirty`](Self::read_dirty), for callers with a record of their own: shows `visitor`
    /// each leaf of `range`, as far as it lies there, or each group of leaves, that
    /// was written through, in ascending order.
    ///
    /// # Errors
    ///
    /// As for `read_dirty`, without a bitmap.
    pub fn visit_dirty(
        &self,
        range: IovaRange,
        mut visitor: impl FnMut(IovaRange),
    ) -> Result<(), TableError> {
        dirty::check(&self.tree, range)?;
        Harvest::new(&self.allocator, range, &mut visitor, None).run(&self.tree);
        Ok(())
    }

    /// The same as [`read_and_clear_dirty`](Self::read_and_clear_dirty) is to `read_dirty`.
    ///
    /// # Errors
    ///
    /// As for [`visit_dirty`](Self::visit_dirty); nothing was made clean then.
    pub fn visit_and_clear_dirty(
        &mut self,
        range: IovaRange,
        mut visitor: impl FnMut(IovaRange),
    ) -> Result<Gather, TableError> {
        dirty::check(&self.tree, range)?;
        let mut gather = Gather::new(self.tree.id);
        Harvest::new(&self.allocator, range, &mut visitor, Some(&mut gather)).run(&self.tree);
        Ok(gather)
    }

    /// How many tables there are below the root. Walks them all.
    pub fn count_tables(&self) -> TableCount {
        let mut count = TableCount::ZERO;
        self.visit(self.tree.geometry.whole(), |seen| {
            if let Visit::Table { level, .. } = seen {
                count.increase(level, 1);
            }
        });
        count
    }
}
