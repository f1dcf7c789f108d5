//! A list of free table pages that takes no memory of its own.

use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::page::{Contents, TableLayout, TablePage};
use crate::addr::PhysAddr;
use crate::geometry::MAX_LEVELS;

/// Owned table pages, in no particular order. A few of them are in the list itself; of the others
/// one in many, a shelf, holds the rest. So pushing, popping and appending allocate nothing and take
/// constant time, and hardly a page is touched by being in a list.
///
/// A zeroed page stays zeroed, but what was a shelf is so for the CPU only when it is popped, and
/// therefore [does not count as zeroed](TablePage::is_zeroed).
///
/// # Invariants
///
/// The first `held` of the `few` are pages, at most all. `top` and `bottom` are the ends of a chain of
/// shelves, which hold, and are, the other pages, `len` in all. The list owns them all.
#[must_use = "pages in a list that is dropped are lost: give them back to their allocator"]
pub struct PageList {
    few: [MaybeUninit<TablePage>; FEW],
    held: usize,
    top: Option<NonNull<Shelf>>,
    bottom: Option<NonNull<Shelf>>,
    len: usize,
}

/// How many pages are in the list itself: as many as a walk can lack.
const FEW: usize = MAX_LEVELS - 1;

impl Default for PageList {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the list owns its pages alone, like `TablePage`.
unsafe impl Send for PageList {}

/// What a page begins with that is a shelf.
///
/// # Invariants
///
/// Behind it there is room for `room` pages, of which the first `used` are there. If `zeroed`, all
/// else in the page is zero, for the CPU.
#[repr(C)]
struct Shelf {
    next: Option<NonNull<Shelf>>,
    phys: PhysAddr,
    used: u32,
    room: u32,
    layout: TableLayout,
    zeroed: bool,
}

impl Shelf {
    /// How many pages there is room for in a shelf of `layout`: at least one.
    const fn room(layout: TableLayout) -> u32 {
        const { assert!(size_of::<Self>() + size_of::<TablePage>() <= TableLayout::MIN_BYTES) };
        let room = (layout.bytes() - size_of::<Self>()) / size_of::<TablePage>();
        // CAST: what more a huge page has room for is not used.
        if room > u32::MAX as usize { u32::MAX } else { room as u32 }
    }

    /// Where the page of that index is.
    const fn slot(this: NonNull<Self>, index: u32) -> *mut TablePage {
        // No dereference: callers keep the index below the room.
        this.as_ptr().wrapping_add(1).cast::<TablePage>().wrapping_add(index as usize)
    }
}

impl PageList {
    /// No pages.
    #[inline]
    pub const fn new() -> Self {
        Self {
            few: [const { MaybeUninit::uninit() }; FEW],
            held: 0,
            top: None,
            bottom: None,
            len: 0,
        }
    }

    /// How many pages there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes `page` in.
    #[inline]
    pub fn push(&mut self, page: TablePage) {
        self.len += 1;
        if let Some(slot) = self.few.get_mut(self.held) {
            // INVARIANT: one more page.
            slot.write(page);
            self.held += 1;
        } else {
            self.shelve(page.cpu(), page.phys(), page.layout(), page.contents());
        }
    }

    /// Puts a page, which is counted, on the top shelf, or makes it one. Apart, and told of the page's
    /// parts, so that pages for the few need not be in memory before.
    #[inline(never)]
    fn shelve(
        &mut self,
        cpu: NonNull<u64>,
        phys: PhysAddr,
        layout: TableLayout,
        contents: Contents,
    ) {
        // SAFETY: they are those of a page that the list owns.
        let page = unsafe { TablePage::with_contents(cpu, phys, layout, contents) };
        if let Some(mut top) = self.top {
            // SAFETY: the list's shelves are there, and nobody else touches them.
            let shelf = unsafe { top.as_mut() };
            if shelf.used < shelf.room {
                // INVARIANT: one more page.
                shelf.used += 1;
                let slot = Shelf::slot(top, shelf.used - 1);
                // SAFETY: there is room for it in the shelf, which is aligned for it.
                unsafe { slot.write(page) };
                return;
            }
        }
        let shelf = page.cpu().cast::<Shelf>();
        let layout = page.layout();
        let header = Shelf {
            next: self.top,
            phys: page.phys(),
            used: 0,
            room: Shelf::room(layout),
            layout,
            zeroed: page.contents() != Contents::Unknown,
        };
        // SAFETY: the page is at least `TableLayout::MIN_BYTES` large, aligned to its size, and
        // nobody else uses it (invariant of `TablePage`).
        unsafe { shelf.write(header) };
        // INVARIANT: an empty shelf on top of the others.
        self.top = Some(shelf);
        self.bottom = self.bottom.or(self.top);
    }

    /// Gives a page out.
    #[inline]
    pub fn pop(&mut self) -> Option<TablePage> {
        let Some(last) = self.held.checked_sub(1) else { return self.unshelve() };
        // INVARIANT: the last of them is no page any more.
        self.held = last;
        self.len -= 1;
        // SAFETY: it was one (invariant).
        let page = unsafe { self.few.get(last)?.assume_init_ref() };
        let (cpu, phys, layout) = (page.cpu(), page.phys(), page.layout());
        // Part by part, as it came: one wide load would have to wait for several narrow stores.
        // SAFETY: the page is the list's, which does not look at it again.
        Some(unsafe { TablePage::with_contents(cpu, phys, layout, page.contents()) })
    }

    /// Gives out a page of the top shelf, or the shelf. Apart for the same reason.
    #[inline(never)]
    fn unshelve(&mut self) -> Option<TablePage> {
        let mut top = self.top?;
        self.len -= 1;
        // SAFETY: the list's shelves are there, and nobody else touches them.
        let shelf = unsafe { top.as_mut() };
        if let Some(last) = shelf.used.checked_sub(1) {
            shelf.used = last;
            let slot = Shelf::slot(top, last);
            // SAFETY: there is a page (invariant), which is not looked at again.
            let page = unsafe { slot.read() };
            // SAFETY: as above; any bytes will do for what is no page any more.
            unsafe { slot.cast::<u8>().write_bytes(0, size_of::<TablePage>()) };
            return Some(page);
        }
        let &mut Shelf { next, phys, layout, zeroed, .. } = shelf;
        // INVARIANT: the next shelf is the top one.
        self.top = next;
        self.bottom = self.bottom.filter(|_| next.is_some());
        // SAFETY: as above; the page is larger than this.
        unsafe { top.cast::<u8>().write_bytes(0, size_of::<Shelf>()) };
        let contents = if zeroed { Contents::Cleared } else { Contents::Unknown };
        // SAFETY: the list owned the page and gives it away; it came in as a `TablePage` with the
        // same address and size. What was written to it is zero again, for the CPU.
        Some(unsafe { TablePage::with_contents(top.cast(), phys, layout, contents) })
    }

    /// Takes all pages of `other` in.
    pub fn append(&mut self, mut other: Self) {
        self.take_all(&mut other);
    }

    /// Takes all pages of `other` in, which has none then.
    pub(crate) fn take_all(&mut self, other: &mut Self) {
        while other.held > 0 {
            let Some(page) = other.pop() else { break };
            self.push(page);
        }
        let (Some(top), Some(mut bottom)) = (other.top.take(), other.bottom.take()) else {
            return;
        };
        // SAFETY: the shelves are those of a list, and nobody else touches them.
        unsafe { bottom.as_mut() }.next = self.top;
        // INVARIANT: the shelves of `other` lie on those of this list.
        self.top = Some(top);
        self.bottom = self.bottom.or(Some(bottom));
        self.len += core::mem::take(&mut other.len);
    }

    /// Gives `count` pages out as a list of their own, or all where there are fewer.
    pub fn take_first(&mut self, count: usize) -> Self {
        if count >= self.len {
            return core::mem::take(self);
        }
        let mut taken = Self::new();
        while taken.len < count {
            if self.held == 0 && self.take_shelf(&mut taken, count) {
                continue;
            }
            let Some(page) = self.pop() else { break };
            taken.push(page);
        }
        taken
    }

    /// Moves the top shelf with all that is on it, if these are not more than `taken` lacks to have
    /// `count` pages.
    fn take_shelf(&mut self, taken: &mut Self, count: usize) -> bool {
        let Some(mut top) = self.top else { return false };
        // SAFETY: the list's shelves are there, and nobody else touches them.
        let shelf = unsafe { top.as_mut() };
        let pages = shelf.used as usize + 1;
        if pages > count - taken.len {
            return false;
        }
        // INVARIANT: the shelf is the top one of the other list.
        self.top = shelf.next;
        self.bottom = self.bottom.filter(|_| shelf.next.is_some());
        self.len -= pages;
        shelf.next = taken.top;
        taken.top = Some(top);
        taken.bottom = taken.bottom.or(taken.top);
        taken.len += pages;
        true
    }
}

impl Iterator for PageList {
    type Item = TablePage;

    fn next(&mut self) -> Option<TablePage> {
        self.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl ExactSizeIterator for PageList {}

impl fmt::Debug for PageList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageList({} pages)", self.len)
    }
}
