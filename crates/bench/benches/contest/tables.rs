//! What a page table must offer to take part.

use iopgtable::Segment;
use iopgtable_bench::Role;

/// Which leaves a row asks for. Whoever chooses leaves by alignment gets there by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    Pages,
    /// One level above pages.
    Blocks,
}

/// A page table in a contest. Methods panic where the operation fails: rows ask for nothing that
/// may.
pub(crate) trait Tables: Sized + 'static {
    const NAME: &'static str;
    const ROLE: Role = Role::Peer;

    /// What tables are made of; outlives them.
    type Memory: 'static;

    /// Room for `tables` tables and the root.
    fn memory(tables: usize) -> Self::Memory;

    /// An empty table.
    fn new(memory: &Self::Memory) -> Self;

    /// Maps `bytes` bytes at `phys`: in one call where there is one for it.
    fn map(&mut self, iova: u64, phys: u64, bytes: u64, leaf: Leaf);

    /// Maps a list of segments, in pages: in one call where there is one for it.
    fn map_list(&mut self, iova: u64, segments: &[Segment]);

    /// Unmaps a range around which nothing else is mapped. Tables may come loose, and be kept
    /// until [`settle`](Self::settle).
    fn unmap_all(&mut self, iova: u64, bytes: u64);

    /// Unmaps a range in a table that stays.
    fn unmap_part(&mut self, iova: u64, bytes: u64);

    /// The physical address.
    fn translate(&self, iova: u64) -> Option<u64>;

    /// The physical address and the size of the leaf. For checks.
    fn leaf(&self, iova: u64) -> Option<(u64, u64)>;

    /// Does what is left to do after the timed part.
    fn settle(&mut self) {}
}

/// Whether `count` leaves of `leaf_bytes` bytes lead where `phys` says, and nothing beside them is
/// mapped.
pub(crate) fn leads<T: Tables>(
    table: &T,
    iova: u64,
    count: u64,
    leaf_bytes: u64,
    phys: impl Fn(u64) -> u64,
) -> bool {
    let inside = 42;
    let right = |index| {
        table.leaf(iova + index * leaf_bytes + inside) == Some((phys(index) + inside, leaf_bytes))
    };
    (0..count).all(right) && nothing_at(table, [iova - 1, iova + count * leaf_bytes])
}

/// Whether none of these addresses is mapped.
pub(crate) fn nothing_at<T: Tables>(table: &T, iovas: impl IntoIterator<Item = u64>) -> bool {
    iovas.into_iter().all(|iova| table.translate(iova).is_none() && table.leaf(iova).is_none())
}
