//! Donated pages, with a monitor below and for a party.

use iopgtable::memory::{
    AllocContext, AllocError, Donated, PageList, PartyError, TableAllocator, TableLayout, TablePage,
};
use iopgtable::{Iova, TableCount};

use crate::monitor::Monitor;

pub(crate) const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));
pub(crate) const PAGE: TableLayout = TableLayout::PAGE_4K;
pub(crate) const BYTES: usize = 64 * 4096;
pub(crate) const REFUSED: PartyError = PartyError::Refused { code: -22 };
pub(crate) const UNKNOWN: PartyError = PartyError::Unknown { code: -110 };

pub(crate) type Pages<'m> = Donated<&'m Monitor, &'m Monitor>;

pub(crate) fn donated(monitor: &Monitor) -> Pages<'_> {
    Donated::new(monitor, monitor)
}

pub(crate) fn bulk(allocator: &impl TableAllocator, count: u64) -> Result<PageList, AllocError> {
    allocator.alloc_bulk(PAGE, &TableCount::of(3, count), CONTEXT)
}

pub(crate) fn give_back(allocator: &impl TableAllocator, pages: PageList) {
    // SAFETY: the tests give back what they got from there; there is no walker.
    unsafe { allocator.free_bulk(pages) };
}

pub(crate) fn free(allocator: &impl TableAllocator, page: TablePage) {
    // SAFETY: as above.
    unsafe { allocator.free(page) };
}

/// The page, written to.
#[expect(clippy::needless_pass_by_value, reason = "one page becomes another")]
pub(crate) fn scribble(page: TablePage) -> TablePage {
    // SAFETY: the page is ours.
    unsafe { page.cpu().cast::<u8>().write_bytes(0x5a, page.layout().bytes()) };
    // SAFETY: the same page, which is not zeroed any more.
    unsafe { TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false) }
}

/// That the figures agree with the monitor.
pub(crate) fn check(donated: &Pages<'_>) {
    let (figures, monitor) = (donated.figures(), donated.party());
    assert_eq!((figures.shared, figures.quarantined), (monitor.shared(), monitor.lost()));
    assert!(figures.pending <= figures.shared);
    let now = (figures.shared + figures.quarantined) as u64;
    assert_eq!(figures.shares, figures.reclaims + now, "{figures:?}");
}

pub(crate) trait Extend {
    fn extend_with(&mut self, pages: impl Iterator<Item = TablePage>);
}

impl Extend for PageList {
    fn extend_with(&mut self, pages: impl Iterator<Item = TablePage>) {
        pages.for_each(|page| self.push(page));
    }
}
