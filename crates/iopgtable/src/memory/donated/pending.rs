//! Freed pages that are still shared.

use super::super::{PageList, TableLayout, TablePage};

/// How many layouts waiting pages are found by: 64 bytes to 32 MiB, and all that are larger, which
/// only wait. The largest table of any format is 1 MiB.
const CLASSES: usize = 21;

/// Freed pages that are still shared, by layout.
pub(super) struct Pending([PageList; CLASSES]);

impl Pending {
    pub(super) const fn new() -> Self {
        Self([const { PageList::new() }; CLASSES])
    }

    /// The pages of a list: sorted before a lock is taken, so that they are appended in no time.
    pub(super) fn of(pages: PageList) -> Self {
        let mut pending = Self::new();
        pages.for_each(|page| pending.push(page));
        pending
    }

    fn class(layout: TableLayout) -> usize {
        let shift = layout.bytes().trailing_zeros() - TableLayout::MIN_BYTES.trailing_zeros();
        // CAST: a logarithm.
        (shift as usize).min(CLASSES - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(PageList::len).sum()
    }

    fn push(&mut self, page: TablePage) {
        self.0[Self::class(page.layout())].push(page);
    }

    pub(super) fn append(&mut self, other: Self) {
        for (list, other) in self.0.iter_mut().zip(other.0) {
            list.append(other);
        }
    }

    /// One of `layout`.
    pub(super) fn take(&mut self, layout: TableLayout) -> Option<TablePage> {
        let class = Self::class(layout);
        if class < CLASSES - 1 { self.0[class].pop() } else { None }
    }

    /// Up to `count` of any layout.
    pub(super) fn take_any(&mut self, count: usize) -> PageList {
        let class = (0..CLASSES).find(|&class| !self.0[class].is_empty());
        class.map_or(PageList::new(), |class| self.0[class].take_first(count))
    }
}
