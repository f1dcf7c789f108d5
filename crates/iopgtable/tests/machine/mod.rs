//! A page table on memory of its own, and an MMU that nobody derived from it.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::collections::BTreeMap;

use iopgtable::memory::{Failing, Region};
use iopgtable::{
    Config, Format, Gather, Invalidate, Invalidation, Iova, IovaRange, LAST_LEVEL, PageTable,
    PhysAddr, Prot, Segment, SegmentSlice, TableAllocator, TableError, Unwalked, Visit,
};
pub(crate) use iopgtable_conformance::Walked;
use walkers::{Access, Fault, Translation};

/// Where the tables lie: within the smallest output size.
pub(crate) const TABLES: PhysAddr = PhysAddr(0xe000_0000);
/// How much memory there is for them.
pub(crate) const CAPACITY: usize = 64 << 20;

/// Memory that fails when it is told to, and counts.
pub(crate) type Memory = Failing<Region>;
pub(crate) type Table<'m, F> = PageTable<F, &'m Memory>;

pub(crate) fn memory() -> Memory {
    memory_at(TABLES)
}

/// The same with the tables elsewhere.
pub(crate) fn memory_at(tables: PhysAddr) -> Memory {
    Failing::new(Region::with_capacity(tables, CAPACITY).expect("the numbers make a region"))
}

/// The last place where memory for tables fits below the output size.
pub(crate) fn highest_tables(config: Config) -> PhysAddr {
    PhysAddr((1 << config.output_bits) - CAPACITY as u64)
}

pub(crate) fn table<F: Format>(config: Config, memory: &Memory) -> Table<'_, F> {
    PageTable::new(config, memory).expect("a good configuration, and memory for the root")
}

pub(crate) fn range(first: u64, bytes: u64) -> IovaRange {
    IovaRange::new(Iova(first), bytes).expect("neither empty nor too long")
}

/// A table with a page, a block (or some pages, where there are none), and a table that a narrow hole
/// has left empty.
pub(crate) fn populated<F: Format>(config: Config, memory: &Memory) -> Table<'_, F> {
    let mut table = table::<F>(config, memory);
    let geometry = *table.geometry();
    let at = |first, bytes| range(geometry.first_iova().0 + first, bytes);
    let page = geometry.granule();
    let block =
        if geometry.levels() == 1 { 32 * page } else { 1 << geometry.table_shift(LAST_LEVEL) };
    for (first, bytes) in [(0, page), (block, block), (3 * block, page)] {
        let segment = Segment::new(PhysAddr(0), bytes);
        let mapped = table.map(at(first, bytes), [segment], Prot::RW);
        finish(&table, mapped.expect("nothing is wrong with it"));
    }
    let left = at(3 * block, page);
    let unmapped = table.unmap(left, left).expect("it is a good range");
    assert_eq!(finish(&table, unmapped), 0, "the hole is narrow");
    table
}

/// Maps a list the way that suits it: each has one of its own in the engine.
pub(crate) fn map<F: Format, A: TableAllocator>(
    table: &mut PageTable<F, A>,
    range: IovaRange,
    segments: &[Segment],
    prot: Prot,
) -> Result<Gather, TableError> {
    match segments {
        [one] => table.map(range, *one, prot),
        many if range.first().0 / table.geometry().granule() % 2 == 0 => {
            table.map(range, SegmentSlice(many), prot)
        }
        many => table.map(range, many.iter().copied(), prot),
    }
}

/// Frees what came loose, where no device walks the table.
pub(crate) fn finish<F: Format, A: TableAllocator>(
    table: &PageTable<F, A>,
    gather: Gather,
) -> usize {
    table.finish(gather, &mut Unwalked).expect("nobody walks it")
}

/// All that a table translates.
pub(crate) fn whole<F: Format>(table: &Table<'_, F>) -> IovaRange {
    table.geometry().whole()
}

/// Has the soft MMU translate `address` by the table as it is now.
pub(crate) fn walk<F: Walked>(
    table: &Table<'_, F>,
    address: u64,
    access: Access,
) -> Result<Translation, Fault> {
    // SAFETY: the walk ends before this function does, while the table lives and is not changed.
    let registers = unsafe { table.registers() };
    // SAFETY: no operation runs during the walk, and the region has memory of its own.
    let read = |phys| unsafe { table.allocator().upstream().read(PhysAddr(phys)) };
    iopgtable_conformance::walk::<F>(registers, &read, address, access)
}

/// Every table and every leaf, in order.
pub(crate) fn dump<F: Format>(table: &Table<'_, F>) -> Vec<Visit> {
    let mut all = Vec::new();
    table.visit(whole(table), |seen| all.push(seen));
    all
}

/// The bytes of all tables that the root leads to, as walkers read them, by address.
pub(crate) fn contents<F: Walked>(table: &Table<'_, F>) -> BTreeMap<u64, Vec<u64>> {
    let geometry = *table.geometry();
    let words = |first: u64, bytes: u64| {
        let read = |phys| {
            // SAFETY: no operation runs, and the region has memory of its own.
            let word = unsafe { table.allocator().upstream().read(PhysAddr(phys)) };
            word.expect("tables lie in the region")
        };
        (first, (first..first + bytes).step_by(8).map(read).collect())
    };
    let tables = dump(table).into_iter().filter_map(|seen| match seen {
        Visit::Table { phys, .. } => Some(words(phys.0, geometry.table_bytes())),
        _ => None,
    });
    let root = words(root::<F>(table), geometry.root_bytes());
    tables.chain([root]).collect()
}

/// Where the root lies: where a walk reads first.
pub(crate) fn root<F: Walked>(table: &Table<'_, F>) -> u64 {
    let first = std::cell::Cell::new(None);
    let read = |phys| {
        first.set(first.get().or(Some(phys)));
        Some(0)
    };
    // SAFETY: this walk does not even read the table.
    let registers = unsafe { table.registers() };
    let address = table.geometry().first_iova().0;
    let access = Access::UNPRIVILEGED_READ;
    let fault = iopgtable_conformance::walk::<F>(registers, &read, address, access);
    fault.expect_err("nothing is mapped in zeroes");
    first.get().expect("a walk reads the root's first entry")
}

/// A device that remembers what it was asked to forget, and can be out of order.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) broken: bool,
    pub(crate) asked: Vec<Invalidation>,
}

// SAFETY: nothing walks the tables but the soft MMU, which remembers nothing.
unsafe impl Invalidate for Device {
    type Error = &'static str;

    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), &'static str> {
        self.asked.push(*stale);
        if self.broken { Err("the device does not answer") } else { Ok(()) }
    }
}
