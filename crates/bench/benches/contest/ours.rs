//! `iopgtable`, over a pool that is full enough.

use std::rc::Rc;
use std::sync::Arc;

use iopgtable::memory::{Pool, Region, TableLayout, Watermarks};
use iopgtable::{
    Config, Format, Gather, Iova, IovaRange, Options, PageTable, PhysAddr, Prot, Segment,
    SegmentList, SegmentSlice, Segments, Unwalked,
};
use iopgtable_bench::Role;

use super::tables::{Leaf, Tables};

pub(crate) const CONFIG: Config = Config::new(48, 48);
/// Where tables lie: above everything that is mapped.
const TABLES: PhysAddr = PhysAddr(1 << 46);

pub(crate) type Memory = Arc<Pool<Region>>;

/// A pool of `tables` zeroed tables of `layout`, which keeps what comes back.
pub(crate) fn pool(layout: TableLayout, tables: usize) -> Memory {
    // The root may be larger than the other tables, and then comes from the region itself.
    let bytes = (tables + 33) * layout.bytes();
    let region = Region::with_capacity(TABLES, bytes).expect("the memory is there");
    let pool = Pool::new(region, layout, Watermarks { low: 0, batch: 1, high: usize::MAX });
    pool.fill(tables + 1).expect("the region is as large");
    Arc::new(pool)
}

pub(crate) fn range(iova: u64, bytes: u64) -> IovaRange {
    IovaRange::new(Iova(iova), bytes).expect("rows stay within the address space")
}

/// With the contiguous hint where `HINT` says so.
pub(crate) struct Ours<F: Format, const HINT: bool = false> {
    table: PageTable<F, Memory>,
    pending: Option<Gather>,
}

impl<F: Format, const HINT: bool> Ours<F, HINT> {
    pub(crate) const fn table(&mut self) -> &mut PageTable<F, Memory> {
        &mut self.table
    }

    /// Has nobody forget, and frees: what a row that makes many calls does after each.
    pub(crate) fn finish(&self, gather: Gather) {
        let Ok(_freed) = self.table.finish(gather, &mut Unwalked);
    }

    /// Maps a list that was looked at before.
    pub(crate) fn map_known(&mut self, iova: u64, list: &SegmentList<Rc<[Segment]>>) {
        self.map_segments(iova, list.bytes(), list.all());
    }

    fn map_segments(&mut self, iova: u64, bytes: u64, segments: impl Segments) {
        let gather =
            self.table.map(range(iova, bytes), segments, Prot::RW).expect("room and pages");
        self.finish(gather);
    }
}

impl<F: Format, const HINT: bool> Tables for Ours<F, HINT> {
    const NAME: &'static str = "ours";
    const ROLE: Role = Role::Ours;
    type Memory = Memory;

    fn memory(tables: usize) -> Memory {
        pool(TableLayout::of::<F>(), tables)
    }

    fn new(memory: &Memory) -> Self {
        let config = if HINT { CONFIG.with(Options::CONTIGUOUS) } else { CONFIG };
        let table = PageTable::new(config, Arc::clone(memory)).expect("a root");
        Self { table, pending: None }
    }

    fn map(&mut self, iova: u64, phys: u64, bytes: u64, _: Leaf) {
        self.map_segments(iova, bytes, Segment::new(PhysAddr(phys), bytes));
    }

    fn map_list(&mut self, iova: u64, segments: &[Segment]) {
        // Scatter lists come with their length.
        let bytes = segments.first().map_or(0, |first| first.bytes) * segments.len() as u64;
        self.map_segments(iova, bytes, SegmentSlice(segments));
    }

    fn unmap_all(&mut self, iova: u64, bytes: u64) {
        let hole = IovaRange::inclusive(Iova(0), self.table.geometry().last_iova());
        let hole = hole.expect("the whole space");
        self.pending = Some(self.table.unmap(range(iova, bytes), hole).expect("no leaf is cut"));
    }

    fn unmap_part(&mut self, iova: u64, bytes: u64) {
        let range = range(iova, bytes);
        let gather = self.table.unmap(range, range).expect("no leaf is cut");
        self.finish(gather);
    }

    fn translate(&self, iova: u64) -> Option<u64> {
        self.table.translate(Iova(iova)).map(|to| to.phys.0)
    }

    fn leaf(&self, iova: u64) -> Option<(u64, u64)> {
        self.table.translate(Iova(iova)).map(|to| (to.phys.0, to.leaf_bytes))
    }

    fn settle(&mut self) {
        if let Some(gather) = self.pending.take() {
            self.finish(gather);
        }
    }
}
