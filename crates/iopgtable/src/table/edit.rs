//! Edits what a range maps: removes leaves or changes what they allow, cuts those that stick out,
//! and lets tables go whose span lies in the hole.

use super::groups;
use super::loose;
use super::node::Node;
use super::sharing::Sharing;
use super::tree::{Tree, span_of};
use super::write::Stopped;
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::error::TableError;
use crate::format::{Attributes, Entry, Format};
use crate::gather::{Gather, stale};
use crate::geometry::LAST_LEVEL;
use crate::memory::{PageList, TableMemory};
use crate::prot::Prot;

/// What becomes of the leaves in a range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    /// They go, and so do tables whose span lies in the hole.
    Unmap { hole: IovaRange },
    /// They go; their tables stay.
    Clear,
    /// They allow something else.
    Protect(Attributes),
}

impl Edit {
    /// Checks the arguments of an unmap.
    #[inline]
    pub(super) fn unmap<F: Format, S>(
        tree: &Tree<F, S>,
        range: IovaRange,
        hole: IovaRange,
    ) -> Result<Self, TableError> {
        tree.check_range(range)?;
        if !hole.covers(range) {
            return Err(TableError::Hole { range, hole });
        }
        Ok(Self::Unmap { hole })
    }

    /// Checks the argument of a clear.
    pub(super) fn clear<F: Format, S>(
        tree: &Tree<F, S>,
        range: IovaRange,
    ) -> Result<Self, TableError> {
        tree.check_range(range)?;
        Ok(Self::Clear)
    }

    /// Checks the arguments of a protect.
    pub(super) fn protect<F: Format, S>(
        tree: &Tree<F, S>,
        range: IovaRange,
        prot: Prot,
    ) -> Result<Self, TableError> {
        tree.check_range(range)?;
        let attributes = F::attributes(tree.options, prot)
            .map_err(|reason| TableError::Prot { prot, reason })?;
        Ok(Self::Protect(attributes))
    }

    /// What takes the place of `leaf` at `level` for `phys`. It stays in its group, if it is in one:
    /// a group that was not cut changes as a whole.
    fn leaf<F: Format>(self, leaf: u64, level: i8, phys: PhysAddr) -> u64 {
        match self {
            Self::Unmap { .. } | Self::Clear => 0,
            Self::Protect(attributes) => groups::alike::<F>(attributes, leaf, level, phys),
        }
    }

    /// Whether a table with this span goes.
    fn detaches(self, span: IovaRange) -> bool {
        matches!(self, Self::Unmap { hole } if hole.covers(span))
    }
}

/// Edits what a range maps.
pub(super) struct Editor<'a, F: Format, S, M: ?Sized> {
    tree: &'a Tree<F, S>,
    memory: &'a M,
    pages: &'a mut PageList,
    gather: &'a mut Gather,
    edit: Edit,
}

/// A table, and whether a walker may see it.
#[derive(Clone, Copy)]
struct Place<F: Format> {
    node: Node<F>,
    phys: PhysAddr,
    linked: bool,
}

impl<'a, F: Format, S: Sharing, M: TableMemory + ?Sized> Editor<'a, F, S, M> {
    pub(super) fn new(
        tree: &'a Tree<F, S>,
        memory: &'a M,
        pages: &'a mut PageList,
        gather: &'a mut Gather,
        edit: Edit,
    ) -> Self {
        let edit = match edit {
            Edit::Unmap { hole } => Edit::Unmap { hole: tree.widen(hole) },
            other => other,
        };
        Self { tree, memory, pages, gather, edit }
    }

    /// Edits `range`. On an error, everything below the address that it names is done.
    pub(super) fn run(mut self, range: IovaRange) -> Result<(), Stopped> {
        groups::dissolve(self.tree, self.memory, self.gather, range);
        let root = Place { node: self.tree.root(), phys: self.tree.root_phys(), linked: true };
        let outcome = self.edit_table(root, self.tree.geometry.first_level(), range);
        self.memory.commit();
        outcome
    }

    /// Edits what `range` has in a table at `level`. Recurses once per level.
    fn edit_table(&mut self, at: Place<F>, level: i8, range: IovaRange) -> Result<(), Stopped> {
        let shift = Tree::<F>::entry_shift(level);
        let first = at.node.index(range.first().0, shift);
        let last = at.node.index(range.last().0, shift);
        if S::SHARED && self.tree.hint != 0 && at.linked {
            let place = (at.node, at.phys);
            groups::dissolve_on_the_way::<F, M>(self.memory, self.gather, place, level, range);
        }
        if level == LAST_LEVEL {
            self.edit_pages(at, first, last, range);
            return Ok(());
        }
        let mut edited: Option<(usize, usize)> = None;
        let mut outcome = Ok(());
        let mut index = first;
        while index <= last {
            let offset = ((index - first) as u64) << shift;
            let span = span_of::<F>(Iova(range.first().0 + offset), level);
            if matches!(self.edit, Edit::Unmap { .. }) && range.covers(span) {
                // And those up to the last, which may stick out of the range.
                let whole = !range.last().0 & ((1 << shift) - 1) == 0;
                index = self.drop_entries(at, level, (index, last + usize::from(whole)), span);
                continue;
            }
            let entry = self.tree.follow(self.memory, at.node, at.phys, (level, index));
            let here = index;
            index += 1;
            if F::decode(entry, level) == Entry::Empty {
                continue;
            }
            let Some(inside) = span.intersection(range) else {
                continue;
            };
            match self.edit_entry(at, here, (level, entry), span, inside) {
                Ok(true) => edited = Some((edited.map_or(here, |(from, _)| from), here)),
                Ok(false) => {}
                // What is done so far is still to be published.
                Err(stopped) => {
                    outcome = Err(stopped);
                    break;
                }
            }
        }
        if let Some((from, to)) = edited {
            self.changed(at, from, to);
        }
        outcome
    }

    /// Empties entries from `run.0` to before `run.1`, of which the first translates `span`, and
    /// which an unmap covers, so that tables below them come loose. Says where it ended.
    fn drop_entries(
        &mut self,
        at: Place<F>,
        level: i8,
        run: (usize, usize),
        span: IovaRange,
    ) -> usize {
        // Which of them there were: from one to another.
        let (mut leaves, mut tables) = ((run.1, run.0), (run.1, run.0));
        let mut index = run.0;
        let next_table = || {
            while index < run.1 {
                let (entry, here) = (at.node.load(index), index);
                index += 1;
                match F::decode(entry, level) {
                    Entry::Empty => {}
                    Entry::Leaf(_) => {
                        at.node.store(here, 0);
                        leaves = (leaves.0.min(here), here);
                    }
                    Entry::Table(table) => {
                        at.node.store(here, 0);
                        tables = (tables.0.min(here), here);
                        return Some(table);
                    }
                }
            }
            None
        };
        self.gather.loose.push_all::<F, M>(self.memory, level + 1, next_table);
        let dropped = (leaves.0.min(tables.0), leaves.1.max(tables.1));
        let shift = Tree::<F>::entry_shift(level);
        let spans = |(from, to): (usize, usize)| {
            let end = |index: usize, iova: Iova| Iova(iova.0 + (((index - run.0) as u64) << shift));
            IovaRange::between(end(from, span.first()), end(to, span.last()))
        };
        if tables.0 <= tables.1 {
            stale(&mut self.gather.stale.walks, spans(tables));
        }
        if dropped.0 <= dropped.1 {
            stale(&mut self.gather.stale.leaves, spans(dropped));
            self.changed(at, dropped.0, dropped.1);
        }
        run.1
    }

    /// Edits what the range has of an entry, which translates `span`, in `inside`; says whether
    /// the entry is still to be published.
    #[inline]
    fn edit_entry(
        &mut self,
        at: Place<F>,
        index: usize,
        (level, entry): (i8, u64),
        span: IovaRange,
        inside: IovaRange,
    ) -> Result<bool, Stopped> {
        let mut entry = entry;
        loop {
            match F::decode(entry, level) {
                Entry::Leaf(phys) if inside == span => {
                    if self.edit_leaf(at, index, (level, entry), phys, span) {
                        stale(&mut self.gather.stale.leaves, span);
                        return Ok(true);
                    }
                }
                Entry::Table(table) if self.edit.detaches(span) => {
                    at.node.store(index, 0);
                    self.gather.loose.push::<F, M>(self.memory, table, level + 1);
                    stale(&mut self.gather.stale.leaves, inside);
                    stale(&mut self.gather.stale.walks, span);
                    return Ok(true);
                }
                Entry::Table(table) => {
                    let node = Tree::<F>::child(self.memory, table);
                    let below = Place { node, phys: table, linked: true };
                    return self.edit_table(below, level + 1, inside).map(|()| false);
                }
                Entry::Leaf(phys) => {
                    let (below, outcome) = self.cut(level, entry, phys, inside)?;
                    let link = self.tree.table_entry(level, below.phys);
                    if S::link(at.node, index, entry, link) {
                        if at.linked {
                            self.tree.announce(self.memory, at.node, at.phys, index);
                            self.gather.live.resized(span);
                        }
                        stale(&mut self.gather.stale.leaves, span);
                        return outcome.map(|()| false);
                    }
                    // Another thread has cut the leaf, or hardware has set a flag in it.
                    let below = (below.node, below.phys);
                    self.pages.append(loose::discard::<F, M>(self.memory, below, level + 1, false));
                }
                Entry::Empty => return Ok(false),
            }
            entry = self.tree.follow(self.memory, at.node, at.phys, (level, index));
        }
    }

    /// Edits entries of a table of pages.
    fn edit_pages(&mut self, at: Place<F>, first: usize, last: usize, range: IovaRange) {
        match self.edit {
            Edit::Unmap { .. } | Edit::Clear => at.node.clear_live(first, last - first + 1),
            Edit::Protect(_) => {
                for index in first..=last {
                    loop {
                        let leaf = at.node.load(index);
                        let Entry::Leaf(phys) = F::decode(leaf, LAST_LEVEL) else { break };
                        if self.edit_leaf(at, index, (LAST_LEVEL, leaf), phys, range) {
                            break;
                        }
                    }
                }
            }
        }
        self.changed(at, first, last);
        stale(&mut self.gather.stale.leaves, range);
    }

    /// Edits one leaf, in `range`; says whether it was still there.
    fn edit_leaf(
        &mut self,
        at: Place<F>,
        index: usize,
        (level, leaf): (i8, u64),
        phys: PhysAddr,
        range: IovaRange,
    ) -> bool {
        let edited = self.edit.leaf::<F>(leaf, level, phys);
        if !S::replace(at.node, index, leaf, edited) {
            return false;
        }
        if at.linked && edited != 0 && F::rewrites(leaf, edited, level) {
            self.gather.live.rewritten(range);
        }
        true
    }

    /// A table that maps what the leaf at `level` maps, edited in `range`; published, not linked.
    /// Also where the pages do not suffice for all of `range`.
    fn cut(
        &mut self,
        level: i8,
        leaf: u64,
        phys: PhysAddr,
        range: IovaRange,
    ) -> Result<(Place<F>, Result<(), Stopped>), Stopped> {
        let page = self.pages.pop().ok_or(Stopped { at: range.first() })?;
        let node = Tree::<F>::node_of(&page);
        let at = Place { node, phys: page.phys(), linked: false };
        let span = span_of::<F>(range.first(), level);
        let phys = groups::member::<F>(leaf, level, phys, span.first());
        self.tree.fill_in_place_of(node, leaf, level, phys);
        groups::strip::<F>(node, level + 1, span, range, self.tree.hint);
        let outcome = self.edit_table(at, level + 1, range);
        Tree::<F>::publish(self.memory, node, at.phys, 0, node.entries());
        Ok((at, outcome))
    }

    /// Publishes entries that a walker may see.
    fn changed(&self, at: Place<F>, first: usize, last: usize) {
        if at.linked {
            Tree::<F>::publish(self.memory, at.node, at.phys, first, last - first + 1);
        }
    }
}
