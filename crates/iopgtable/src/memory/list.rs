//! A list of free table pages that takes no memory of its own.

use core::fmt;
use core::ptr::NonNull;

use super::page::{TableLayout, TablePage};
use crate::addr::PhysAddr;
use crate::geometry::MAX_LEVELS;

/// Owned table pages, in no particular order. A few of them are in the list itself; the others are
/// linked through their own first bytes. So pushing, popping and appending allocate nothing and take
/// constant time, and the pages of a small operation are not touched by being in a list.
///
/// A zeroed page stays zeroed: what the link overwrote is zero again after [`pop`](Self::pop).
/// But those [`LINK_BYTES`](Self::LINK_BYTES) are then zero for the CPU only; whoever links the
/// page into a table publishes them.
///
/// # Invariants
///
/// The first `held` of the `few` are pages. `ends` are those of a chain of `len - held` pages, each
/// of which starts with a `Link`. The list owns them all.
#[must_use = "pages in a list that is dropped are lost: give them back to their allocator"]
pub struct PageList {
    few: [Option<TablePage>; FEW],
    held: usize,
    ends: Option<(NonNull<Link>, NonNull<Link>)>,
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
    #[inline]
    pub const fn new() -> Self {
        Self { few: [const { None }; FEW], held: 0, ends: None, len: 0 }
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
            *slot = Some(page);
            self.held += 1;
        } else {
            self.chain(page);
        }
    }

    /// Puts `page`, which is counted, in front of the chain.
    #[expect(clippy::needless_pass_by_value, reason = "the list owns the page from here on")]
    fn chain(&mut self, page: TablePage) {
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
    }

    /// Gives a page out.
    #[inline]
    pub fn pop(&mut self) -> Option<TablePage> {
        if let Some(slot) = self.held.checked_sub(1).and_then(|last| self.few.get_mut(last)) {
            self.held -= 1;
            self.len -= 1;
            return slot.take();
        }
        self.unchain()
    }

    /// Gives the first page of the chain out.
    fn unchain(&mut self) -> Option<TablePage> {
        let (head, tail) = self.ends?;
        // SAFETY: every page of the chain starts with a `Link` that nobody else touches.
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
        let Some((head, other_tail)) = other.ends.take() else {
            return;
        };
        if let Some((next, _)) = self.ends {
            // SAFETY: the tail of a chain is a page of that list and starts with a `Link`.
            unsafe { (*other_tail.as_ptr()).next = Some(next) };
        }
        let tail = self.ends.map_or(other_tail, |(_, tail)| tail);
        self.ends = Some((head, tail));
        self.len += core::mem::take(&mut other.len);
    }

    /// Gives `count` pages out as a list of their own, or all where there are fewer.
    pub fn take_first(&mut self, count: usize) -> Self {
        if count >= self.len {
            return core::mem::take(self);
        }
        let mut taken = Self::new();
        while taken.len < count && self.held > 0 {
            let Some(page) = self.pop() else { break };
            taken.push(page);
        }
        let rest = count - taken.len;
        if let Some((head, tail)) = self.ends.filter(|_| rest > 0) {
            let mut last = head;
            for _ in 1..rest {
                // SAFETY: `last` is a page of this chain, of which more than `rest` follow the
                // head.
                match unsafe { (*last.as_ptr()).next } {
                    Some(next) => last = next,
                    None => break,
                }
            }
            // SAFETY: as above.
            let behind = unsafe { (*last.as_ptr()).next.take() };
            // INVARIANT: `rest` pages end at `last`; `behind` leads through the others.
            self.ends = behind.map(|behind| (behind, tail));
            self.len -= rest;
            taken.ends = Some((head, last));
            taken.len += rest;
        }
        taken
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
