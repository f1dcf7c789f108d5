//! Memory in the shape of tables, without a page table's logic.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{IOVA, frames};

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const TABLE: u64 = 0b11;

/// Pages that will be leaf tables, and the links to those that are.
pub(crate) struct Leaves {
    shift: u32,
    pages: Vec<NonNull<u64>>,
    links: Box<[AtomicU64]>,
}

impl Leaves {
    /// `count` tables of `1 << shift` bytes.
    pub(crate) fn new(shift: u32, count: usize) -> Self {
        frames::reserve(shift, count);
        let mut pages: Vec<_> =
            (0..count).map(|_| frames::take(shift).expect("they were reserved")).collect();
        pages.reverse();
        let links = (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { shift, pages, links }
    }

    /// A stack of the pages; those who pop must link.
    pub(crate) fn stack(&self) -> Vec<NonNull<u64>> {
        self.pages.clone()
    }

    pub(crate) fn links(&self) -> &[AtomicU64] {
        &self.links
    }

    /// The entries of a page for whoever popped it, who is the only one until it is linked.
    ///
    /// # Safety
    ///
    /// The page comes from the [`stack`](Self::stack) of leaves with this `shift`, which outlive
    /// what is returned, and no other reference to its entries is in use.
    #[inline]
    pub(crate) unsafe fn fresh<'p>(shift: u32, page: NonNull<u64>) -> &'p mut [u64] {
        // SAFETY: the page has so many words; the caller says that nobody else uses them.
        unsafe { std::slice::from_raw_parts_mut(page.as_ptr(), 1 << (shift - 3)) }
    }

    /// Makes a page visible to a walker, as the table of `link`.
    #[inline]
    pub(crate) fn publish(link: &AtomicU64, page: NonNull<u64>) {
        link.store(page.as_ptr().expose_provenance() as u64 | TABLE, Ordering::Release);
    }

    /// Links every page, as it is.
    pub(crate) fn link_all(&self) {
        for (link, &page) in self.links.iter().zip(self.pages.iter().rev()) {
            Self::publish(link, page);
        }
    }

    /// The entries of a linked table, which a walker may read.
    #[inline]
    pub(crate) fn linked(&self, link: &AtomicU64) -> &[AtomicU64] {
        let table = frames::at((link.load(Ordering::Relaxed) & ADDRESS) as usize);
        // SAFETY: links lead to pages of so many words, which live as long as `self`; nobody
        // writes them but atomically once they are linked.
        unsafe { std::slice::from_raw_parts(table.cast::<AtomicU64>(), 1 << (self.shift - 3)) }
    }

    /// Whether entry after entry of the linked tables is what `expected` says.
    pub(crate) fn hold(&self, count: u64, expected: impl Fn(u64) -> u64) -> bool {
        let entries = self.links.iter().flat_map(|link| self.linked(link));
        let mut seen = 0;
        for (number, entry) in (0..count).zip(entries) {
            if entry.load(Ordering::Relaxed) != expected(number) {
                return false;
            }
            seen += 1;
        }
        seen == count
    }

    /// Zeroes tables and links.
    pub(crate) fn reset(&self) {
        for link in &self.links {
            link.store(0, Ordering::Relaxed);
        }
        for &page in &self.pages {
            // SAFETY: the page has so many bytes, and no reference to them is in use.
            unsafe { page.cast::<u8>().write_bytes(0, 1 << self.shift) };
        }
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        for page in self.pages.drain(..) {
            // SAFETY: it was taken with this shift, and nothing refers to it any more.
            unsafe { frames::give(self.shift, page) };
        }
    }
}

/// A tree of four levels with 4 KiB pages, over leaf tables side by side from [`IOVA`] on.
pub(crate) struct Tree {
    root: NonNull<u64>,
    /// Holds the root and the tables between it and the leaf tables.
    _upper: Leaves,
    pub(crate) leaves: Leaves,
}

impl Tree {
    /// `count` leaf tables, at most 512: all of one level 1 entry.
    pub(crate) fn new(count: usize) -> Self {
        let upper = Leaves::new(12, 3);
        let leaves = Leaves::new(12, count);
        upper.link_all();
        leaves.link_all();
        let [root, first, second] = [0, 1, 2].map(|number| upper.linked(&upper.links[number]));
        let index = |shift: u32| (IOVA >> shift) as usize & 511;
        for (number, link) in leaves.links.iter().enumerate() {
            second[index(21) + number].store(link.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let link = |number: usize| upper.links[number].load(Ordering::Relaxed);
        first[index(30)].store(link(2), Ordering::Release);
        root[index(39)].store(link(1), Ordering::Release);
        let root = upper.pages[2];
        Self { root, _upper: upper, leaves }
    }

    /// The leaf entry that translates `iova`, found as an MMU finds it.
    #[inline]
    pub(crate) fn walk(&self, iova: u64) -> Option<&AtomicU64> {
        let mut table = self.root.as_ptr();
        for shift in [39, 30, 21] {
            let entry = Self::entry(table, iova, shift).load(Ordering::Relaxed);
            if entry & 1 == 0 {
                return None;
            }
            table = frames::at((entry & ADDRESS) as usize);
        }
        Some(Self::entry(table, iova, 12))
    }

    #[inline]
    fn entry<'t>(table: *mut u64, iova: u64, shift: u32) -> &'t AtomicU64 {
        let index = (iova >> shift) as usize & 511;
        // SAFETY: `table` is a page of the tree's, which has 512 entries, lives as long as the
        // tree, and is accessed atomically only (`walk` shortens the lifetime to the tree's).
        unsafe { AtomicU64::from_ptr(table.add(index)) }
    }

    /// The physical address that `iova` leads to.
    #[inline]
    pub(crate) fn translate(&self, iova: u64) -> Option<u64> {
        let entry = self.walk(iova)?.load(Ordering::Relaxed);
        (entry & 1 != 0).then_some(entry & ADDRESS | iova & 0xfff)
    }
}
