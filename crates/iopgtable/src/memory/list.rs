//! A list of free table pages that takes no memory of its own.

use core::fmt;
use core::ptr::NonNull;

use super::page::{TableLayout, TablePage};
use crate::addr::PhysAddr;

/// Owned table pages, linked through their own first bytes: pushing, popping and appending
/// allocate nothing and take constant time.
///
/// A zeroed page stays zeroed: what the link overwrote is zero again after [`pop`](Self::pop).
/// But those [`LINK_BYTES`](Self::LINK_BYTES) are then zero for the CPU only; whoever links the
/// page into a table publishes them.
///
/// # Invariants
///
/// `head` leads through `len` pages to `tail`; each page's first words are a `Link`, and the
/// list owns them all.
#[must_use = "pages in a list that is dropped are lost: give them back to their allocator"]
#[derive(Default)]
pub struct PageList {
    ends: Option<(NonNull<Link>, NonNull<Link>)>,
    len: usize,
}

// SAFETY: the list owns its pages alone, like `TablePage`.
unsafe impl Send for PageList {}

/// What a page in a list holds in its first bytes.
#[repr(C)]
struct Link {
    next: Option<NonNull<Link>>,
    phys: PhysAddr,
    shift: u8,
    zeroed: bool,
}

impl PageList {
    /// How many bytes of a page, from its start, a list may have overwritten with a link and
    /// zeroed again without publishing them.
    pub const LINK_BYTES: usize = size_of::<Link>();

    /// No pages.
    pub const fn new() -> Self {
        Self { ends: None, len: 0 }
    }

    /// How many pages there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes `page` in, at the front.
    #[expect(clippy::needless_pass_by_value, reason = "the list owns the page from here on")]
    pub fn push(&mut self, page: TablePage) {
        let link = page.cpu().cast::<Link>();
        let next = self.ends.map(|(head, _)| head);
        // SAFETY: the page is at least `TableLayout::MIN_BYTES` large, aligned to its size, and
        // nobody else uses it (invariant of `TablePage`).
        unsafe {
            link.write(Link {
                next,
                phys: page.phys(),
                // CAST: a logarithm of an address-sized number.
                shift: page.layout().bytes().trailing_zeros() as u8,
                zeroed: page.is_zeroed(),
            });
        }
        // INVARIANT: one more page, in front of the others.
        self.ends = Some((link, self.ends.map_or(link, |(_, tail)| tail)));
        self.len += 1;
    }

    /// Gives the first page out.
    pub fn pop(&mut self) -> Option<TablePage> {
        let (head, tail) = self.ends?;
        // SAFETY: every page of the list starts with a `Link` that nobody else touches.
        let link = unsafe { head.read() };
        self.ends = link.next.map(|next| (next, tail));
        self.len -= 1;
        if link.zeroed {
            // SAFETY: as above; the page is larger than a link.
            unsafe { head.cast::<u8>().write_bytes(0, Self::LINK_BYTES) };
        }
        // SAFETY: the list owned the page and gives it away; it came in as a `TablePage` with the
        // same address, size and state, and the link's bytes are zero again where it was zeroed.
        Some(unsafe {
            TablePage::from_raw_parts(
                head.cast(),
                link.phys,
                TableLayout::from_shift(link.shift),
                link.zeroed,
            )
        })
    }

    /// Takes all pages of `other` in, at the front, in their order.
    pub fn append(&mut self, mut other: Self) {
        let Some((head, other_tail)) = other.ends.take() else {
            return;
        };
        if let Some((next, _)) = self.ends {
            // SAFETY: the tail of a list is a page of that list and starts with a `Link`.
            unsafe { (*other_tail.as_ptr()).next = Some(next) };
        }
        let tail = self.ends.map_or(other_tail, |(_, tail)| tail);
        self.ends = Some((head, tail));
        self.len += other.len;
    }

    /// Gives the first `count` pages out as a list of their own, or all where there are fewer.
    pub fn take_first(&mut self, count: usize) -> Self {
        if count >= self.len {
            return core::mem::take(self);
        }
        let Some((head, tail)) = self.ends.filter(|_| count > 0) else {
            return Self::new();
        };
        let mut last = head;
        for _ in 1..count {
            // SAFETY: `last` is a page of this list, of which more than `count` follow the head.
            match unsafe { (*last.as_ptr()).next } {
                Some(next) => last = next,
                None => break,
            }
        }
        // SAFETY: as above.
        let rest = unsafe { (*last.as_ptr()).next.take() };
        // INVARIANT: the first `count` pages end at `last`; `rest` leads through the others.
        self.ends = rest.map(|rest| (rest, tail));
        self.len -= count;
        Self { ends: Some((head, last)), len: count }
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
