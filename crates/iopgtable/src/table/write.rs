//! Maps: writes leaves, fills new tables before it links them, replaces what was there.

use core::sync::atomic::{AtomicU64, Ordering};

use super::chunks::Chunks;
use super::fill::Pages;
use super::node::Node;
use super::survey::Segments;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::format::{Attributes, Entry, Format};
use crate::gather::{Gather, stale};
use crate::geometry::{LAST_LEVEL, MAX_LEVELS};
use crate::memory::{PageList, TableMemory};

/// What may stand where a mapping is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// No leaf; perhaps tables without any.
    Nothing,
    /// Other mappings, which it replaces.
    Mappings,
}

/// A new table had no page to be made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exhausted {
    pub(super) at: Iova,
}

/// Writes the canonical leaves of one mapping.
///
/// It goes through the leaves in ascending order and keeps the tables on the way to the last one
/// (the path). A table that it makes stays out of sight until the path leaves it: it is filled
/// with plain stores, published, and then linked (`LINK-LAST`).
pub(super) struct Writer<'a, F: Format, M: ?Sized> {
    tree: &'a Tree<F>,
    memory: &'a M,
    pages: &'a mut PageList,
    gather: &'a mut Gather,
    path: [Step; MAX_LEVELS],
    depth: u8,
    /// The address that the path leads to.
    iova: u64,
}

/// A table on the path.
#[derive(Clone, Copy)]
struct Step {
    node: Node,
    phys: PhysAddr,
    fresh: Option<Fresh>,
}

/// A table that is not linked yet.
#[derive(Clone, Copy)]
struct Fresh {
    /// The entries written so far, one run: leaves come in ascending order.
    written: (usize, usize),
    /// Whether the others are zero already.
    zeroed: bool,
}

impl<'a, F: Format, M: TableMemory + ?Sized> Writer<'a, F, M> {
    pub(super) fn new(
        tree: &'a Tree<F>,
        memory: &'a M,
        pages: &'a mut PageList,
        gather: &'a mut Gather,
        first: Iova,
    ) -> Self {
        let depth = tree.geometry.first_level();
        let root = Step { node: tree.root(), phys: tree.root_phys(), fresh: None };
        Self { tree, memory, pages, gather, path: [root; MAX_LEVELS], depth, iova: first.0 }
    }

    /// Maps `segments` at `range`. On an error, all leaves below the address that it names are
    /// written and linked.
    pub(super) fn map(
        mut self,
        range: IovaRange,
        segments: impl Iterator<Item = Segment>,
        shape: Segments,
        attributes: Attributes,
        over: Over,
    ) -> Result<(), Exhausted> {
        let outcome = if shape.are_pages::<F>() {
            self.map_pages(range, segments, shape.are_single::<F>(), attributes)
        } else {
            self.map_leaves(range, segments, attributes)
        };
        while self.depth > self.tree.geometry.first_level() {
            self.leave();
        }
        if over == Over::Mappings {
            self.stale_leaves(range);
        }
        self.memory.commit();
        outcome
    }

    /// Maps leaves of any size.
    fn map_leaves(
        &mut self,
        range: IovaRange,
        segments: impl Iterator<Item = Segment>,
        attributes: Attributes,
    ) -> Result<(), Exhausted> {
        for chunk in Chunks::<F, _>::new(&self.tree.geometry, range, segments) {
            self.seat(chunk.iova, chunk.level)?;
            let leaf = attributes.leaf(chunk.level, chunk.phys);
            self.write(chunk.iova, chunk.level, chunk.count, leaf);
        }
        Ok(())
    }

    /// Maps pages: `single` ones, if each segment is one page.
    fn map_pages(
        &mut self,
        range: IovaRange,
        segments: impl Iterator<Item = Segment>,
        single: bool,
        attributes: Attributes,
    ) -> Result<(), Exhausted> {
        let mut pages = Pages::new(segments);
        let table_low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
        let mut next = Some(range.first());
        while let Some(iova) = next {
            self.seat(iova, LAST_LEVEL)?;
            let last = Iova(iova.0 | table_low).min(range.last());
            self.write_pages(iova, last, &mut pages, single, attributes.page);
            next = last.0.checked_add(1).map(Iova).filter(|next| *next <= range.last());
        }
        Ok(())
    }

    /// Writes pages from `iova` to `last` into the table at the end of the path.
    fn write_pages(
        &mut self,
        iova: Iova,
        last: Iova,
        pages: &mut Pages<impl Iterator<Item = Segment>>,
        single: bool,
        bits: u64,
    ) {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let step = self.top();
        let (node, phys) = (step.node, step.phys);
        let index = node.index(iova.0, shift);
        let count = node.index(last.0, shift) - index + 1;
        if let Some(fresh) = &mut step.fresh {
            fresh.written = extend(fresh.written, index, count);
            let slots = node.fresh(index, count);
            if single {
                pages.fill_single(slots, bits, |slot, leaf| *slot = leaf);
            } else {
                pages.fill(slots, bits, shift, |slot, leaf| *slot = leaf);
            }
            return;
        }
        put_live(node, index, count, pages, single, bits, shift);
        Tree::<F>::publish(self.memory, node, phys, index, count);
    }

    fn top(&mut self) -> &mut Step {
        &mut self.path[usize::from(self.depth)]
    }

    /// Leads the path to the table at `level` that translates `iova`.
    fn seat(&mut self, iova: Iova, level: u8) -> Result<(), Exhausted> {
        let changed = iova.0 ^ self.iova;
        while self.depth > self.tree.geometry.first_level()
            && (self.depth > level || changed >> Tree::<F>::table_shift(self.depth) != 0)
        {
            self.leave();
        }
        self.iova = iova.0;
        while self.depth < level {
            let shift = Tree::<F>::entry_shift(self.depth);
            let level = self.depth;
            let Step { node, fresh, .. } = *self.top();
            let index = node.index(iova.0, shift);
            // A fresh table has nothing where the path has not been.
            let entry = match fresh {
                Some(Fresh { written: (from, to), .. }) if !(from..to).contains(&index) => 0,
                _ => node.load(index),
            };
            let step = match F::decode(entry, level) {
                Entry::Table(phys) => {
                    Step { node: Tree::<F>::child(self.memory, phys), phys, fresh: None }
                }
                Entry::Empty => self.fresh_table(iova)?,
                Entry::Leaf(phys) => self.split(iova, level, entry, phys)?,
            };
            self.depth += 1;
            *self.top() = step;
        }
        Ok(())
    }

    fn fresh_table(&mut self, at: Iova) -> Result<Step, Exhausted> {
        let page = self.pages.pop().ok_or(Exhausted { at })?;
        let fresh = Some(Fresh { written: (0, 0), zeroed: page.is_zeroed() });
        Ok(Step { node: Tree::<F>::node_of(&page), phys: page.phys(), fresh })
    }

    /// A table in place of a leaf at `level`, which maps what the leaf mapped.
    fn split(
        &mut self,
        iova: Iova,
        level: u8,
        leaf: u64,
        phys: PhysAddr,
    ) -> Result<Step, Exhausted> {
        let mut step = self.fresh_table(iova)?;
        Tree::<F>::fill_in_place_of(step.node, leaf, level, phys);
        step.fresh = Some(Fresh { written: (0, step.node.entries()), zeroed: true });
        if let Some(span) = span_of::<F>(iova, level) {
            self.stale_leaves(span);
        }
        Ok(step)
    }

    /// Writes `count` leaves into the table at the end of the path.
    fn write(&mut self, iova: Iova, level: u8, count: usize, leaf: u64) {
        let shift = Tree::<F>::entry_shift(level);
        let step = self.top();
        let (node, phys) = (step.node, step.phys);
        let index = node.index(iova.0, shift);
        if let Some(fresh) = &mut step.fresh {
            fresh.written = extend(fresh.written, index, count);
            node.fill_fresh(index, count, leaf, 1 << shift);
            return;
        }
        if level < LAST_LEVEL {
            for index in index..index + count {
                if let Entry::Table(table) = F::decode(node.load(index), level) {
                    // The leaf takes the table's place before the table's contents change.
                    let offset = (index - node.index(iova.0, shift)) as u64;
                    node.store(index, leaf.wrapping_add(offset << shift));
                    self.gather.loose.push::<F, M>(self.memory, table, level + 1);
                    if let Some(span) = span_of::<F>(Iova(iova.0 + (offset << shift)), level) {
                        stale(&mut self.gather.stale.walks, span);
                        self.stale_leaves(span);
                    }
                }
            }
        }
        node.fill_live(index, count, leaf, 1 << shift);
        Tree::<F>::publish(self.memory, node, phys, index, count);
    }

    /// Leaves the last table of the path, and links it if it is new.
    fn leave(&mut self) {
        let Step { node, phys, fresh } = *self.top();
        self.depth -= 1;
        let Some(Fresh { written: (from, to), zeroed }) = fresh else {
            return;
        };
        if zeroed {
            // What a list's link overwrote is zero again, but only the CPU knows.
            let link_entries = PageList::LINK_BYTES.div_ceil(8);
            if from > link_entries {
                Tree::<F>::publish(self.memory, node, phys, 0, link_entries);
                Tree::<F>::publish(self.memory, node, phys, from, to - from);
            } else {
                Tree::<F>::publish(self.memory, node, phys, 0, to.max(link_entries));
            }
        } else {
            node.fill_fresh(0, from, 0, 0);
            node.fill_fresh(to, node.entries() - to, 0, 0);
            Tree::<F>::publish(self.memory, node, phys, 0, node.entries());
        }
        let iova = self.iova;
        let shift = Tree::<F>::entry_shift(self.depth);
        let parent = self.top();
        let index = parent.node.index(iova, shift);
        if let Some(fresh) = &mut parent.fresh {
            fresh.written = extend(fresh.written, index, 1);
            parent.node.fill_fresh(index, 1, F::table(phys), 0);
        } else {
            let (node, parent_phys) = (parent.node, parent.phys);
            node.link(index, F::table(phys));
            Tree::<F>::publish(self.memory, node, parent_phys, index, 1);
        }
    }

    fn stale_leaves(&mut self, range: IovaRange) {
        stale(&mut self.gather.stale.leaves, range);
    }
}

/// Writes pages into a table that walkers see.
#[inline]
pub(super) fn put_live(
    node: Node,
    index: usize,
    count: usize,
    pages: &mut Pages<impl Iterator<Item = Segment>>,
    single: bool,
    bits: u64,
    shift: u32,
) {
    let slots = node.live(index, count);
    let put = |slot: &mut AtomicU64, leaf| slot.store(leaf, Ordering::Relaxed);
    if single {
        pages.fill_single(slots, bits, put);
    } else {
        pages.fill(slots, bits, shift, put);
    }
}

/// The run that covers `written` and `count` entries from `index` on.
fn extend(written: (usize, usize), index: usize, count: usize) -> (usize, usize) {
    if written.0 == written.1 {
        (index, index + count)
    } else {
        (written.0.min(index), written.1.max(index + count))
    }
}
