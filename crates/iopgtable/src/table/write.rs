//! Maps: writes leaves, fills new tables before it links them, replaces what was there.

use super::chunks::{Chunk, Chunks};
use super::fill::{Leaves, Pages};
use super::graft::{self, Linked, Unlinked};
use super::groups;
use super::node::Node;
use super::path;
use super::sharing::Sharing;
use super::staged;
use super::survey::Shape;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::format::{Attributes, Entry, Format, Word};
use crate::gather::{Gather, stale};
use crate::geometry::{LAST_LEVEL, MAX_LEVELS, level_index};
use crate::memory::{Contents, PageList, TableMemory};
use crate::segments::Source;

/// What may stand where a mapping is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// No leaf; perhaps tables without any.
    Nothing,
    /// Other mappings, which it replaces.
    Mappings,
}

/// An operation stopped before its end: a new table had no page to be made of, or another thread
/// changed the range at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    pub(super) at: Iova,
}

/// Writes the canonical leaves of one mapping.
///
/// It goes through the leaves in ascending order and keeps the tables on the way to the last one
/// (the path). A table that it makes stays out of sight until the path leaves it: it is filled
/// with plain stores, published, and then linked (`LINK-LAST`).
///
/// Where many threads share the tree, another one may have linked a table there by then: what the
/// new one holds goes into that (`graft`). No table makes room for a leaf then: it is used.
pub(super) struct Writer<'a, F: Format, S, M: ?Sized> {
    pub(super) tree: &'a Tree<F, S>,
    pub(super) memory: &'a M,
    pub(super) pages: &'a mut PageList,
    gather: &'a mut Gather,
    pub(super) range: IovaRange,
    path: [Step<F>; MAX_LEVELS],
    depth: i8,
    /// The address that the path leads to.
    iova: u64,
    /// Whether what goes into linked tables is to be switched off, and nothing published
    /// (`STAGED`).
    is_staged: bool,
}

/// A table on the path.
#[derive(Clone, Copy)]
struct Step<F: Format> {
    node: Node<F>,
    phys: PhysAddr,
    fresh: Option<Fresh>,
}

/// A table that is not linked yet.
#[derive(Clone, Copy)]
struct Fresh {
    /// The entries written so far, one run: leaves come in ascending order.
    written: (usize, usize),
    /// What is known of the others.
    contents: Contents,
}

impl<'a, F: Format, S: Sharing, M: TableMemory + ?Sized> Writer<'a, F, S, M> {
    pub(super) fn new(
        tree: &'a Tree<F, S>,
        memory: &'a M,
        pages: &'a mut PageList,
        gather: &'a mut Gather,
        range: IovaRange,
    ) -> Self {
        let depth = tree.geometry.first_level();
        let root = Step { node: tree.root(), phys: tree.root_phys(), fresh: None };
        let (path, iova) = ([root; MAX_LEVELS], range.first().0);
        Self { tree, memory, pages, gather, range, path, depth, iova, is_staged: false }
    }

    /// The same, for a list that is looked at while it is written.
    pub(super) fn staging(
        tree: &'a Tree<F, S>,
        memory: &'a M,
        pages: &'a mut PageList,
        gather: &'a mut Gather,
        range: IovaRange,
    ) -> Self {
        Self { is_staged: true, ..Self::new(tree, memory, pages, gather, range) }
    }

    /// Writes single pages from `iova` on into their table, switched off where it is linked; to the
    /// last one in both the table and the range, which is returned.
    pub(super) fn stage(
        &mut self,
        iova: Iova,
        pages: &mut Pages<impl Source>,
        leaves: Leaves<F>,
    ) -> Result<Iova, Stopped> {
        self.seat_beside(iova)?;
        let table_low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
        let last = Iova(iova.0 | table_low).min(self.range.last());
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let step = self.top();
        let node = step.node;
        let index = node.index(iova.0, shift);
        let count = node.index(last.0, shift) - index + 1;
        if let Some(fresh) = &mut step.fresh {
            fresh.written = extend(fresh.written, index, count);
            pages.write(node, false, (index, count), true, leaves);
        } else {
            pages.write_without(staged::ON, node, (index, count), leaves);
        }
        Ok(last)
    }

    /// Leaves all tables of the path.
    pub(super) fn leave_all(&mut self) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        while self.depth > self.tree.geometry.first_level() {
            outcome = outcome.and(self.leave());
        }
        outcome
    }

    /// Maps `segments` at the range. On an error, all leaves below the address that it names are
    /// written and linked.
    pub(super) fn map(
        mut self,
        segments: impl Source,
        shape: Shape,
        attributes: Attributes,
        over: Over,
    ) -> Result<(), Stopped> {
        let leaves = Leaves::new(self.tree, attributes);
        if over == Over::Mappings {
            groups::dissolve_all(self.tree, self.memory, self.gather, self.range);
        }
        let mut outcome = if shape.are_pages::<F>() {
            self.map_pages(segments, shape.are_single::<F>(), leaves)
        } else {
            self.map_leaves(segments, leaves)
        };
        outcome = outcome.and(self.leave_all());
        if over == Over::Mappings {
            self.stale_leaves(self.range);
            self.gather.live.rewritten(self.range);
        }
        self.memory.commit();
        outcome
    }

    /// Maps leaves of any size.
    fn map_leaves(&mut self, segments: impl Source, leaves: Leaves<F>) -> Result<(), Stopped> {
        for chunk in Chunks::<F, _>::new(&self.tree.geometry, self.range, segments) {
            self.seat(chunk.iova, chunk.level)?;
            self.write(chunk, leaves)?;
        }
        Ok(())
    }

    /// Maps pages: `single` ones, if each segment is one page.
    fn map_pages(
        &mut self,
        segments: impl Source,
        single: bool,
        leaves: Leaves<F>,
    ) -> Result<(), Stopped> {
        let mut pages = Pages::new(segments);
        let table_low = (1u64 << Tree::<F>::table_shift(LAST_LEVEL)) - 1;
        let mut next = Some(self.range.first());
        while let Some(iova) = next {
            self.seat_beside(iova)?;
            let last = Iova(iova.0 | table_low).min(self.range.last());
            self.write_pages(iova, last, &mut pages, single, leaves);
            next = last.0.checked_add(1).map(Iova).filter(|next| *next <= self.range.last());
        }
        Ok(())
    }

    /// Writes pages from `iova` to `last` into the table at the end of the path.
    fn write_pages(
        &mut self,
        iova: Iova,
        last: Iova,
        pages: &mut Pages<impl Source>,
        single: bool,
        leaves: Leaves<F>,
    ) {
        let shift = Tree::<F>::entry_shift(LAST_LEVEL);
        let step = self.top();
        let (node, phys) = (step.node, step.phys);
        let index = node.index(iova.0, shift);
        let count = node.index(last.0, shift) - index + 1;
        if let Some(fresh) = &mut step.fresh {
            fresh.written = extend(fresh.written, index, count);
            pages.write(node, false, (index, count), single, leaves);
            return;
        }
        pages.write(node, true, (index, count), single, leaves);
        Tree::<F>::publish(self.memory, node, phys, index, count);
    }

    fn top(&mut self) -> &mut Step<F> {
        &mut self.path[level_index(self.depth)]
    }

    /// Leads the path to the table of pages that translates `iova`, which is likely to be a new one
    /// below the same new one as the last.
    #[inline]
    fn seat_beside(&mut self, iova: Iova) -> Result<(), Stopped> {
        let parent = &self.path[level_index(LAST_LEVEL - 1)];
        let index = parent.node.index(iova.0, Tree::<F>::table_shift(LAST_LEVEL));
        // A fresh table has nothing behind what was written.
        let is_beside = self.depth == LAST_LEVEL
            && (iova.0 ^ self.iova) >> Tree::<F>::table_shift(LAST_LEVEL - 1) == 0
            && (iova.0 ^ self.iova) >> Tree::<F>::table_shift(LAST_LEVEL) != 0
            && parent.fresh.is_some_and(|fresh| fresh.written.1 <= index);
        if !is_beside {
            return self.seat(iova, LAST_LEVEL);
        }
        self.leave()?;
        self.iova = iova.0;
        let step = self.fresh_table(iova)?;
        self.depth = LAST_LEVEL;
        *self.top() = step;
        Ok(())
    }

    /// Leads the path to the table at `level` that translates `iova`.
    #[inline]
    fn seat(&mut self, iova: Iova, level: i8) -> Result<(), Stopped> {
        if self.depth == level && (iova.0 ^ self.iova) >> Tree::<F>::table_shift(level) == 0 {
            self.iova = iova.0;
            return Ok(());
        }
        self.seat_elsewhere(iova, level)
    }

    fn seat_elsewhere(&mut self, iova: Iova, level: i8) -> Result<(), Stopped> {
        let changed = iova.0 ^ self.iova;
        while self.depth > self.tree.geometry.first_level()
            && (self.depth > level || changed >> Tree::<F>::table_shift(self.depth) != 0)
        {
            self.leave()?;
        }
        self.iova = iova.0;
        while self.depth < level {
            let shift = Tree::<F>::entry_shift(self.depth);
            let level = self.depth;
            let Step { node, phys, fresh } = *self.top();
            let index = node.index(iova.0, shift);
            // A fresh table has nothing where the path has not been.
            let entry = match fresh {
                Some(Fresh { written: (from, to), .. }) if !(from..to).contains(&index) => 0,
                Some(_) => node.load(index),
                None => self.tree.follow(self.memory, node, phys, (level, index)),
            };
            let step = match F::decode(entry, level) {
                Entry::Table(phys) => {
                    Step { node: Tree::<F>::child(self.memory, phys), phys, fresh: None }
                }
                Entry::Empty => self.fresh_table(iova)?,
                Entry::Leaf(_) if S::SHARED => return Err(Stopped { at: iova }),
                Entry::Leaf(phys) => self.split(iova, level, entry, phys)?,
            };
            self.depth += 1;
            *self.top() = step;
        }
        Ok(())
    }

    fn fresh_table(&mut self, at: Iova) -> Result<Step<F>, Stopped> {
        let page = self.pages.pop().ok_or(Stopped { at })?;
        let fresh = Some(Fresh { written: (0, 0), contents: page.contents() });
        Ok(Step { node: Tree::<F>::node_of(&page), phys: page.phys(), fresh })
    }

    /// A table in place of a leaf at `level`, which maps what the leaf mapped.
    fn split(
        &mut self,
        iova: Iova,
        level: i8,
        leaf: u64,
        phys: PhysAddr,
    ) -> Result<Step<F>, Stopped> {
        let mut step = self.fresh_table(iova)?;
        let span = span_of::<F>(iova, level);
        let phys = groups::member::<F>(leaf, level, phys, span.first());
        self.tree.fill_in_place_of(step.node, leaf, level, phys);
        groups::strip::<F>(step.node, level + 1, span, self.range, self.tree.hint);
        step.fresh = Some(Fresh { written: (0, step.node.entries()), contents: Contents::Zeroed });
        self.stale_leaves(span);
        if self.top().fresh.is_none() {
            self.gather.live.resized(span);
        }
        Ok(step)
    }

    /// Writes a chunk into the table at the end of the path.
    fn write(&mut self, chunk: Chunk, leaves: Leaves<F>) -> Result<(), Stopped> {
        let Chunk { iova, phys, level, count } = chunk;
        let shift = Tree::<F>::entry_shift(level);
        let step = self.top();
        let (node, table) = (step.node, step.phys);
        let index = node.index(iova.0, shift);
        if let Some(fresh) = &mut step.fresh {
            fresh.written = extend(fresh.written, index, count);
            leaves.write(node, false, (index, count), level, phys);
            return Ok(());
        }
        if level < LAST_LEVEL {
            if S::SHARED {
                let table = Linked { node, phys: table };
                return graft::claim(self.tree, self.memory, table, chunk, leaves);
            }
            self.detach_tables(node, index, chunk, leaves);
        }
        leaves.write(node, true, (index, count), level, phys);
        Tree::<F>::publish(self.memory, node, table, index, count);
        Ok(())
    }

    /// Takes tables out of the way of a chunk, which goes to `first` in `node`: a leaf, or nothing, takes
    /// each table's place before the table's contents change.
    fn detach_tables(&mut self, node: Node<F>, first: usize, chunk: Chunk, leaves: Leaves<F>) {
        let Chunk { iova, phys, level, count } = chunk;
        let shift = Tree::<F>::entry_shift(level);
        for index in first..first + count {
            let Entry::Table(table) = F::decode(node.load(index), level) else { continue };
            let offset = ((index - first) as u64) << shift;
            let phys = PhysAddr(phys.0 + offset);
            if phys > self.tree.geometry.last_narrow_phys() {
                // No leaf by itself leads there (`WIDE`).
                node.store(index, 0);
            } else {
                leaves.write(node, true, (index, 1), level, phys);
            }
            self.gather.loose.push::<F, M>(self.memory, table, level + 1);
            let span = span_of::<F>(Iova(iova.0 + offset), level);
            stale(&mut self.gather.stale.walks, span);
            self.gather.live.resized(span);
            self.stale_leaves(span);
        }
    }

    /// Leaves the last table of the path, and links it if it is new.
    fn leave(&mut self) -> Result<(), Stopped> {
        let Step { node, phys, fresh } = *self.top();
        self.depth -= 1;
        let Some(Fresh { written: (from, to), contents }) = fresh else {
            return Ok(());
        };
        if !self.is_staged {
            path::complete(self.memory, node, phys, (from, to), contents);
        } else if contents == Contents::Unknown {
            path::blank(node, (from, to));
        }
        let iova = self.iova;
        let level = self.depth;
        let shift = Tree::<F>::entry_shift(level);
        let link = self.tree.table_entry(level, phys);
        let published = self.tree.mark();
        let parent = self.top();
        let index = parent.node.index(iova, shift);
        if let Some(fresh) = &mut parent.fresh {
            fresh.written = extend(fresh.written, index, 1);
            // It is published with its table, before that is linked.
            parent.node.fresh(index, 1).fill(F::Word::of(link | published));
            return Ok(());
        }
        let (parent, parent_phys) = (parent.node, parent.phys);
        if self.is_staged {
            parent.store(index, link & !staged::ON);
            return Ok(());
        }
        if S::SHARED {
            let parent = Linked { node: parent, phys: parent_phys };
            let first = Iova(iova & !((1 << shift) - 1));
            let table = Unlinked { node, phys, level: level + 1, iova: first, run: (from, to) };
            return graft::link(self.tree, self.memory, self.pages, (parent, index), table);
        }
        parent.link(index, link);
        Tree::<F>::publish(self.memory, parent, parent_phys, index, 1);
        Ok(())
    }

    fn stale_leaves(&mut self, range: IovaRange) {
        stale(&mut self.gather.stale.leaves, range);
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
