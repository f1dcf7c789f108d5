//! The free pages of a pool.

use core::ptr::NonNull;

use super::{PageList, TableLayout, TablePage};
use crate::addr::PhysAddr;

/// Zeroed pages of one layout. One in many is a *shelf*: it holds the addresses of others, which are
/// so taken out and put in without being touched.
///
/// # Invariants
///
/// The stash owns all its pages; they have `layout`, and are zeroed but for what a shelf holds: a
/// [`Header`], and behind it `used` names (of the top shelf; of the others what their header says),
/// each of a page that is not a shelf.
pub(super) struct Stash {
    layout: TableLayout,
    top: Option<Name>,
    /// How many names are on the top shelf, and how many were at the same time.
    used: usize,
    most: usize,
    len: usize,
}

// SAFETY: the stash owns its pages alone, like `TablePage`.
unsafe impl Send for Stash {}

/// Where a page is: for the CPU and for walkers.
#[derive(Clone, Copy)]
struct Name {
    cpu: NonNull<u64>,
    phys: PhysAddr,
}

/// How a shelf begins: the next shelf, and how many names that one has and had.
#[repr(C)]
struct Header {
    next: Option<Name>,
    used: u32,
    most: u32,
}

/// A page that was a shelf: zeroed, but the walker may not see it so in its first `bytes` bytes.
pub(super) struct Cleared {
    pub(super) page: TablePage,
    pub(super) bytes: usize,
}

impl Stash {
    pub(super) const fn new(layout: TableLayout) -> Self {
        Self { layout, top: None, used: 0, most: 0, len: 0 }
    }

    /// How many pages there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many names a shelf has room for.
    const fn room(&self) -> usize {
        (self.layout.bytes() - size_of::<Header>()) / size_of::<Name>()
    }

    /// Takes in a zeroed page of the layout.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "the stash owns the page from here on")]
    pub(super) fn push(&mut self, page: TablePage) {
        debug_assert!(page.is_zeroed() && page.layout() == self.layout);
        self.len += 1;
        let name = Name { cpu: page.cpu(), phys: page.phys() };
        match self.top {
            Some(top) if self.used < self.room() => {
                // SAFETY: `used` is below the room of the shelf, which nobody else touches.
                unsafe { slot(top, self.used).write(name) };
                // INVARIANT: one more name.
                self.used += 1;
                self.most = self.most.max(self.used);
            }
            next => {
                // CAST: a page has fewer names than bytes, and less than 2^32 of these are used.
                let (used, most) = (self.used as u32, self.most as u32);
                // SAFETY: a page is at least as large as a header, aligned, and ours alone.
                unsafe { header(name).write(Header { next, used, most }) };
                // INVARIANT: a shelf without names, on top of the others.
                (self.top, self.used, self.most) = (Some(name), 0, 0);
            }
        }
    }

    /// Gives `count` pages out to `pages`, or all there are up to the first shelf, which is then
    /// returned as one of them.
    #[inline]
    pub(super) fn take(&mut self, count: usize, pages: &mut PageList) -> Option<Cleared> {
        let top = self.top?;
        let named = count.min(self.used);
        let rest = self.used - named;
        for index in rest..self.used {
            let slot = slot(top, index);
            // SAFETY: the slot is used, and nobody else touches the shelf.
            let name = unsafe { slot.read() };
            // SAFETY: as above. The rest of the shelf was zero before it was one.
            unsafe { slot.cast::<[u64; 2]>().write([0; 2]) };
            pages.push(self.page(name));
        }
        // INVARIANT: so many names are gone, the last ones.
        (self.used, self.len) = (rest, self.len - named);
        (named < count).then(|| self.take_shelf(top))
    }

    /// Gives the top shelf out, which has no name any more.
    fn take_shelf(&mut self, top: Name) -> Cleared {
        let bytes = size_of::<Header>() + self.most * size_of::<Name>();
        // SAFETY: a shelf begins with a header, and nobody else touches it.
        let Header { next, used, most } = unsafe { header(top).read() };
        // SAFETY: as above. The names are zero again, so the page is.
        unsafe { header(top).write_bytes(0, 1) };
        // INVARIANT: the next shelf is the top one, and one page is gone.
        (self.top, self.used, self.most) = (next, used as usize, most as usize);
        self.len -= 1;
        Cleared { page: self.page(top), bytes }
    }

    /// The page of that name, which nothing else names any more.
    fn page(&self, Name { cpu, phys }: Name) -> TablePage {
        // SAFETY: it came in as a zeroed page of this layout with this name (invariant).
        unsafe { TablePage::from_raw_parts(cpu, phys, self.layout, true) }
    }
}

/// Where a shelf's header is.
const fn header(shelf: Name) -> *mut Header {
    shelf.cpu.as_ptr().cast()
}

/// Where a shelf has the name of that index.
const fn slot(shelf: Name, index: usize) -> *mut Name {
    // No dereference: callers keep the index below the shelf's room.
    shelf.cpu.as_ptr().wrapping_byte_add(size_of::<Header>() + index * size_of::<Name>()).cast()
}
