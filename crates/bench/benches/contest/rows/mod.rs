//! The rows, one file a group.

mod calls;
mod jobs;
mod map;
mod shared;
mod unmap;

use iopgtable_bench::{Contender, Row};

use super::tables::{Leaf, Tables, leads};
use super::{IOVA, PHYS, frames};

/// How large the rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(u64);

#[allow(dead_code, reason = "the benchmark uses one scale, the test the other")]
impl Scale {
    /// As their names say.
    pub(crate) const FULL: Self = Self(1);
    /// A 64th: enough to see that everybody does the work.
    pub(crate) const SMOKE: Self = Self(64);

    /// A count that is `full` in the full scale.
    const fn of(self, full: u64) -> u64 {
        full.div_ceil(self.0)
    }
}

/// Every row.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = map::rows(scale);
    rows.extend(unmap::rows(scale));
    rows.extend(calls::rows(scale));
    rows.extend(shared::rows(scale));
    rows.extend(map::rows_of_other_formats(scale));
    rows.extend(jobs::rows(scale));
    rows
}

/// A contiguous mapping of equal leaves, from [`IOVA`] on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// log2 of the granule.
    pub(crate) shift: u32,
    pub(crate) leaf: Leaf,
    /// How many leaves.
    pub(crate) entries: u64,
}

impl Range {
    const fn pages(shift: u32, entries: u64) -> Self {
        Self { shift, leaf: Leaf::Pages, entries }
    }

    const fn blocks(shift: u32, entries: u64) -> Self {
        Self { shift, leaf: Leaf::Blocks, entries }
    }

    pub(crate) const fn per_table(self) -> u64 {
        1 << (self.shift - 3)
    }

    pub(crate) const fn leaf_tables(self) -> usize {
        self.entries.div_ceil(self.per_table()) as usize
    }

    /// How many leaves there are but for the last one of each table.
    pub(crate) const fn entries_but_last(self) -> u64 {
        self.entries - self.leaf_tables() as u64
    }

    /// All tables but the root, and a few.
    const fn tables(self) -> usize {
        self.leaf_tables() + 8
    }

    pub(crate) const fn leaf_bytes(self) -> u64 {
        match self.leaf {
            Leaf::Pages => 1 << self.shift,
            Leaf::Blocks => self.per_table() << self.shift,
        }
    }

    const fn bytes(self) -> u64 {
        self.entries * self.leaf_bytes()
    }

    /// Aligned to the leaf and nothing larger.
    pub(crate) const fn phys(self) -> u64 {
        PHYS + self.leaf_bytes()
    }

    fn map<T: Tables>(self, table: &mut T) {
        table.map(IOVA, self.phys(), self.bytes(), self.leaf);
    }

    fn leads<T: Tables>(self, table: &T) -> bool {
        let (phys, bytes) = (self.phys(), self.leaf_bytes());
        leads(table, IOVA, self.entries, bytes, |index| phys + index * bytes)
    }
}

/// A contender with a new table each round, which is settled and dropped outside of the timed part.
fn contender<T: Tables>(
    tables: usize,
    mut turn: impl FnMut(&mut iopgtable_bench::Round, &mut T) + 'static,
) -> Contender {
    let memory = T::memory(tables);
    Contender::new(T::NAME, T::ROLE, move |round| {
        let mut table = T::new(&memory);
        turn(round, &mut table);
        table.settle();
        drop(table);
        frames::launder();
    })
}
