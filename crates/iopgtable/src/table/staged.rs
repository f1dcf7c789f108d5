//! Lists of pages that nobody has looked at: they are looked at while they are written (`STAGED`).
//!
//! A list of a page each is as long as the entries that it becomes, and reading it twice, to look
//! and to write, costs more than all the rest. So it is read once. What goes into linked tables is
//! written with the bits off that make it an entry; when the whole list has turned out to be good,
//! a second pass, over the entries, switches them on. Otherwise all is taken back, and whoever
//! called goes the way of two passes, which knows what is wrong.

use core::mem;
use core::sync::atomic::Ordering;

use super::PageTable;
use super::fill::{Leaves, Pages};
use super::loose;
use super::node::Node;
use super::recent::Recent;
use super::sharing::Exclusive;
use super::survey;
use super::tree::Tree;
use super::write::Writer;
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::error::TableError;
use crate::format::{AtomicWord, Attributes, Entry, Format};
use crate::gather::Gather;
use crate::geometry::LAST_LEVEL;
use crate::memory::{PageList, TableAllocator, TableMemory};
use crate::prot::Prot;
use crate::segments::Source;

/// Without these bits an entry is empty, in every format; with them it is none of an empty one.
pub(super) const ON: u64 = 0b111;

/// How many segments are looked at to see whether it is worth a try.
const SAMPLE: usize = 64;

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// Maps a list of pages that takes several tables, if it is one. Otherwise changes nothing, and
    /// says so: also where the list is bad, or something is in its way.
    #[inline(never)]
    pub(super) fn map_staged<S: Source>(
        &mut self,
        range: IovaRange,
        segments: &S,
        prot: Prot,
    ) -> Result<Option<Gather>, TableError> {
        let Ok(attributes) = F::attributes(self.tree.options, prot) else { return Ok(None) };
        let granule = Tree::<F>::granule();
        let is_page = |segment: Segment| segment.bytes == granule;
        // A list that says how long it is, or else a large range would be surveyed for a short one.
        let length = segments.size_hint().1.map(|length| length as u64);
        if segments.facts().is_some()
            || length != Some(range.bytes() >> F::PAGE_SHIFT)
            || self.tree.check_range(range).is_err()
            || !segments.clone().take(SAMPLE).all(is_page)
        {
            return Ok(None);
        }
        let Ok(missing) = survey::missing_for_pages(&self.tree, &self.allocator, range) else {
            return Ok(None);
        };
        let pages = match self.take_pages(&missing, range.first()) {
            Ok(pages) => pages,
            Err(refused) => {
                // What is wrong with the list comes first; another list may need less.
                let (_, shape) = self.check_map(range, segments, prot)?;
                return if shape.are_single::<F>() { Err(refused) } else { Ok(None) };
            }
        };
        self.recent = Recent::NONE;
        let (tree, memory) = (&self.tree, &self.allocator);
        let mut gather = Gather::new(tree.id);
        let mut taken = Taken { allocator: memory, pages };
        let writer = Writer::staging(tree, memory, &mut taken.pages, &mut gather, range);
        let mut attempt = Attempt { writer, attributes, is_good: false };
        let look = Looked { segments: segments.clone(), addresses: 0, odd: 0, count: 0, granule };
        attempt.is_good = attempt.write(look);
        let is_good = attempt.is_good;
        drop(attempt);
        debug_assert!(!is_good || taken.pages.is_empty(), "the survey counts what is missing");
        drop(taken);
        if is_good {
            self.recall(range.first());
        }
        Ok(is_good.then_some(gather))
    }
}

/// Pages that go back to their allocator, whatever happens.
struct Taken<'a, A: TableAllocator> {
    allocator: &'a A,
    pages: PageList,
}

impl<A: TableAllocator> Drop for Taken<'_, A> {
    fn drop(&mut self) {
        if !self.pages.is_empty() {
            // SAFETY: they came from there, and nothing links to them.
            unsafe { self.allocator.free_bulk(mem::take(&mut self.pages)) };
        }
    }
}

/// A list that is being written. Ends with all entries switched on, or none left; also where the
/// caller's iterator panics.
struct Attempt<'a, F: Format, M: TableMemory + ?Sized> {
    writer: Writer<'a, F, Exclusive, M>,
    attributes: Attributes,
    is_good: bool,
}

impl<F: Format, M: TableMemory + ?Sized> Attempt<'_, F, M> {
    /// Writes `segments`, the linked tables' part of them switched off; says whether they are good.
    fn write(&mut self, segments: Looked<impl Source>) -> bool {
        let (tree, range) = (self.writer.tree, self.writer.range);
        // Written page by page, they form no groups, whatever the tree allows.
        let leaves = Leaves::new(tree, self.attributes);
        let reach = tree.geometry.last_narrow_phys().0;
        let mut pages = Pages::new(segments);
        let mut next = Some(range.first());
        while let Some(iova) = next {
            let Ok(last) = self.writer.stage(iova, &mut pages, leaves) else {
                return false;
            };
            if pages.segments.is_bad(reach) {
                return false;
            }
            next = last.0.checked_add(1).map(Iova).filter(|next| *next <= range.last());
        }
        let Looked { mut segments, count, .. } = pages.segments;
        count == range.bytes() >> F::PAGE_SHIFT && segments.next().is_none()
    }

    /// Switches on what is switched off in a linked table at `level`, or takes it back, in `range`.
    /// Recurses once per level.
    fn settle(&mut self, (node, table): (Node<F>, PhysAddr), level: i8, range: IovaRange) {
        let (tree, memory) = (self.writer.tree, self.writer.memory);
        let shift = Tree::<F>::entry_shift(level);
        let (first, last) = (node.index(range.first().0, shift), node.index(range.last().0, shift));
        if level == LAST_LEVEL {
            let on = self.attributes.page & ON;
            for slot in node.live(first, last - first + 1) {
                // What was not reached is still empty.
                let entry = if self.is_good { slot.load(Ordering::Relaxed) | on } else { 0 };
                slot.store(entry, Ordering::Relaxed);
            }
            if self.is_good {
                Tree::<F>::publish(memory, node, table, first, last - first + 1);
            }
            return;
        }
        let on = tree.table_entry(level, PhysAddr(0)) & ON;
        let mut linked = (last + 1, first);
        let mut start = range.first();
        for index in first..=last {
            let end = Iova(start.0 | ((1 << shift) - 1)).min(range.last());
            let entry = node.load(index);
            if let Entry::Table(below) = F::decode(entry, level) {
                let inside = IovaRange::between(start, end);
                self.settle((Tree::<F>::child(memory, below), below), level + 1, inside);
            } else if let (true, Entry::Table(below)) = (entry != 0, F::decode(entry | on, level)) {
                let place = (Tree::<F>::child(memory, below), below);
                if self.is_good {
                    publish_all::<F, M>(memory, place, level + 1);
                    node.link(index, entry | on);
                    linked = (linked.0.min(index), index);
                } else {
                    node.store(index, 0);
                    let pages = loose::discard::<F, M>(memory, place, level + 1, false);
                    self.writer.pages.append(pages);
                }
            }
            start = Iova(end.0.wrapping_add(1));
        }
        if linked.0 <= linked.1 {
            Tree::<F>::publish(memory, node, table, linked.0, linked.1 - linked.0 + 1);
        }
    }
}

/// Publishes a new table at `level` and all below it. Recurses once per level.
fn publish_all<F: Format, M: TableMemory + ?Sized>(
    memory: &M,
    (node, table): (Node<F>, PhysAddr),
    level: i8,
) {
    if level < LAST_LEVEL {
        for index in 0..node.entries() {
            if let Entry::Table(below) = F::decode(node.load(index), level) {
                let place = (Tree::<F>::child(memory, below), below);
                publish_all::<F, M>(memory, place, level + 1);
            }
        }
    }
    Tree::<F>::publish(memory, node, table, 0, node.entries());
}

impl<F: Format, M: TableMemory + ?Sized> Drop for Attempt<'_, F, M> {
    fn drop(&mut self) {
        // New tables on the path are linked, switched off, like those before them. (No other thread
        // is in the way.)
        let _ = self.writer.leave_all();
        let tree = self.writer.tree;
        let root = (tree.root(), tree.root_phys());
        self.settle(root, tree.geometry.first_level(), self.writer.range);
        if self.is_good {
            self.writer.memory.commit();
        }
    }
}

/// Segments of a page each, looked at as they go by.
#[derive(Clone)]
pub(super) struct Looked<S> {
    segments: S,
    /// All addresses or-ed together, and all that lengths differ in from a page.
    addresses: u64,
    odd: u64,
    count: u64,
    granule: u64,
}

impl<S> Looked<S> {
    /// Whether one of them cannot be mapped as a page.
    const fn is_bad(&self, reach: u64) -> bool {
        // Pages that begin within reach and are aligned end there.
        self.addresses & ((self.granule - 1) | !reach) | self.odd != 0
    }
}

impl<S: Source> Iterator for Looked<S> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        self.segments.next()
    }
}

impl<S: Source> Source for Looked<S> {
    #[inline]
    fn put_each<I: ExactSizeIterator>(
        &mut self,
        slots: I,
        shift: u32,
        mut put: impl FnMut(I::Item, Segment),
    ) -> usize {
        let (mut addresses, mut odd, granule) = (self.addresses, self.odd, self.granule);
        let done = self.segments.put_each(slots, shift, |slot, segment| {
            addresses |= segment.phys.0;
            odd |= segment.bytes ^ granule;
            put(slot, segment);
        });
        (self.addresses, self.odd) = (addresses, odd);
        self.count += done as u64;
        done
    }
}
