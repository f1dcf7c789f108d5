//! The shortest way, for callers that name the leaves themselves: some of one size, side by side in
//! one table that is there already.

#![expect(
    clippy::inline_always,
    reason = "each is a part of the two hot calls, which the caller inlines whole"
)]

use core::sync::atomic::Ordering;

use super::PageTable;
use super::fill::{Leaves, in_field};
use super::groups;
use super::node::{Node, Slot};
use super::path::Run;
use super::recent::Recent;
use super::survey;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::error::TableError;
use crate::format::{AtomicWord, Attributes, Entry, Format};
use crate::gather::{Gather, stale};
use crate::geometry::LAST_LEVEL;
use crate::memory::TableAllocator;
use crate::prot::{Prot, ProtError};

impl<F: Format, A: TableAllocator> PageTable<F, A> {
    /// What leaves with `prot` look like in this table, once for many calls of
    /// [`map_leaves`](Self::map_leaves).
    ///
    /// # Errors
    ///
    /// What the format cannot express.
    pub fn attributes(&self, prot: Prot) -> Result<Attributes, ProtError> {
        F::attributes(self.tree.options, prot)
    }

    /// Maps `count` leaves at `level` from `phys` on at `iova`, where one table holds them all, and is
    /// empty in their place or missing. Otherwise, also for arguments that [`map`](Self::map)
    /// refuses, does nothing and says so: [`map`](Self::map) then has the answer.
    ///
    /// The `attributes` are this table's, or those of another table with the same format and
    /// options.
    ///
    /// # Errors
    ///
    /// [`TableError::Alloc`], where a table is missing. The page table is as it was before then.
    #[inline]
    pub fn map_leaves(
        &mut self,
        iova: Iova,
        phys: PhysAddr,
        level: i8,
        count: usize,
        attributes: Attributes,
    ) -> Result<bool, TableError> {
        match level {
            3 => self.map_at::<3>(iova, phys, count, attributes),
            2 => self.map_at::<2>(iova, phys, count, attributes),
            1 => self.map_at::<1>(iova, phys, count, attributes),
            _ => Ok(false),
        }
    }

    /// Removes leaves at `level` from `iova` on, `count` of them or those before the first hole,
    /// where one table holds them all, no table stands among them, and no group is cut that must not
    /// be; says how many. Otherwise does nothing and says that.
    #[inline]
    pub fn unmap_leaves(&mut self, iova: Iova, level: i8, count: usize) -> Option<(usize, Gather)> {
        match level {
            3 => self.unmap_at::<3>(iova, count),
            2 => self.unmap_at::<2>(iova, count),
            1 => self.unmap_at::<1>(iova, count),
            _ => None,
        }
    }

    #[inline(always)]
    fn map_at<const LEVEL: i8>(
        &mut self,
        iova: Iova,
        phys: PhysAddr,
        count: usize,
        attributes: Attributes,
    ) -> Result<bool, TableError> {
        if LEVEL == LAST_LEVEL && count == 1 {
            if self.put_page_near(iova, phys, attributes) {
                return Ok(self.committed());
            }
            return self.map_elsewhere::<LEVEL>(iova, phys, count, attributes);
        }
        let recent = self.recent;
        if recent.is_at::<F>(LEVEL, iova) {
            return Ok(self.map_in::<LEVEL>(recent, iova, phys, count, attributes));
        }
        self.map_elsewhere::<LEVEL>(iova, phys, count, attributes)
    }

    /// Apart, so that what was used last is used as it was found: loads of what was just stored would wait.
    #[inline(never)]
    fn map_elsewhere<const LEVEL: i8>(
        &mut self,
        iova: Iova,
        phys: PhysAddr,
        count: usize,
        attributes: Attributes,
    ) -> Result<bool, TableError> {
        let geometry = &self.tree.geometry;
        let (shift, reach) = (Tree::<F>::entry_shift(LEVEL), geometry.last_narrow_phys().0);
        // A table has at most so many entries, or more if it is the root, which is never missing.
        if !geometry.is_leaf_level(LEVEL) || count == 0 || count > 1 << F::TABLE_BITS {
            return Ok(false);
        }
        let rest = ((count as u64) << shift).wrapping_sub(1);
        let last = iova.0.wrapping_add(rest);
        let fits = phys.0 <= reach
            && rest <= reach - phys.0
            && (iova.0 ^ last) >> Tree::<F>::table_shift(LEVEL) == 0
            && geometry.translates(iova)
            && geometry.translates(Iova(last));
        if (iova.0 | phys.0) & ((1 << shift) - 1) != 0 || !fits {
            return Ok(false);
        }
        let run = Run { iova, phys, level: LEVEL, count };
        if LEVEL == LAST_LEVEL {
            self.map_run::<true>(run, attributes)
        } else {
            self.map_run::<false>(run, attributes)
        }
    }

    #[inline(always)]
    fn map_in<const LEVEL: i8>(
        &self,
        recent: Recent,
        iova: Iova,
        phys: PhysAddr,
        count: usize,
        attributes: Attributes,
    ) -> bool {
        let shift = Tree::<F>::entry_shift(LEVEL);
        let Some((node, index, range)) = self.place::<LEVEL>(recent, iova, count) else {
            return false;
        };
        let reach = self.tree.geometry.last_narrow_phys().0;
        let fits = phys.0 <= reach && range.bytes() - 1 <= reach - phys.0;
        if phys.0 & ((1 << shift) - 1) != 0 || !fits || !self.tree.is_zero(node, index, count) {
            return false;
        }
        if in_field::<F>(phys, LEVEL) < count as u64 {
            return false;
        }
        Leaves::new(&self.tree, attributes).write(node, true, (index, count), LEVEL, phys);
        Tree::<F>::publish(&self.allocator, node, recent.table, index, count);
        self.allocator.commit();
        true
    }

    #[inline(always)]
    fn unmap_at<const LEVEL: i8>(&mut self, iova: Iova, count: usize) -> Option<(usize, Gather)> {
        if LEVEL == LAST_LEVEL && count == 1 {
            if let Some(was_there) = self.take_page_near(iova) {
                let mut gather = Gather::new(self.tree.id);
                if was_there {
                    let last = iova.0 | (Tree::<F>::granule() - 1);
                    gather.stale.leaves = Some(IovaRange::between(iova, Iova(last)));
                }
                return Some((usize::from(was_there), gather));
            }
            return self.unmap_elsewhere::<LEVEL>(iova, count);
        }
        let recent = self.recent;
        if recent.is_at::<F>(LEVEL, iova) {
            return self.unmap_in::<LEVEL>(recent, iova, count);
        }
        self.unmap_elsewhere::<LEVEL>(iova, count)
    }

    /// Apart for the same reason.
    #[inline(never)]
    fn unmap_elsewhere<const LEVEL: i8>(
        &mut self,
        iova: Iova,
        count: usize,
    ) -> Option<(usize, Gather)> {
        let recent = self.find::<LEVEL>(iova)?;
        self.recent = recent;
        self.unmap_in::<LEVEL>(recent, iova, count)
    }

    #[inline(always)]
    fn unmap_in<const LEVEL: i8>(
        &self,
        recent: Recent,
        iova: Iova,
        count: usize,
    ) -> Option<(usize, Gather)> {
        let (node, index, range) = self.place::<LEVEL>(recent, iova, count)?;
        let used = Self::count_leaves::<LEVEL>(node, index, count)?;
        if used > 0 && self.tree.hint != 0 {
            let gather = self.unmap_from_groups(recent.table, node, (index, used), range)?;
            return Some((used, gather));
        }
        let mut gather = Gather::new(self.tree.id);
        if used > 0 {
            node.clear_live(index, used);
            Tree::<F>::publish(&self.allocator, node, recent.table, index, used);
            self.allocator.commit();
            gather.stale.leaves = Some(range);
        }
        Some((used, gather))
    }

    /// How many of `count` entries from `index` on are leaves before the first that is empty;
    /// nothing where one links a table.
    #[inline(always)]
    fn count_leaves<const LEVEL: i8>(node: Node<F>, index: usize, count: usize) -> Option<usize> {
        let slots = node.live(index, count);
        let decode = |slot: &Slot<F>| F::decode(slot.load(Ordering::Relaxed), LEVEL);
        let mut used = 0;
        // By eights, so that there is one branch for each of these.
        let is_leaf = |all: bool, slot| all & matches!(decode(slot), Entry::Leaf(_));
        for line in slots.chunks_exact(8) {
            if !line.iter().fold(true, is_leaf) {
                break;
            }
            used += 8;
        }
        for slot in slots.get(used..).unwrap_or_default() {
            match decode(slot) {
                Entry::Leaf(_) => used += 1,
                Entry::Empty => break,
                Entry::Table(_) => return None,
            }
        }
        Some(used)
    }

    /// Removes leaves that may be in groups, if these may be cut. Apart, so that the gather of others
    /// stays in registers.
    #[cold]
    fn unmap_from_groups(
        &self,
        table: PhysAddr,
        node: Node<F>,
        (index, used): (usize, usize),
        range: IovaRange,
    ) -> Option<Gather> {
        survey::check_cuts(&self.tree, &self.allocator, range).ok()?;
        let mut gather = Gather::new(self.tree.id);
        groups::dissolve(&self.tree, &self.allocator, &mut gather, range);
        node.clear_live(index, used);
        Tree::<F>::publish(&self.allocator, node, table, index, used);
        self.allocator.commit();
        stale(&mut gather.stale.leaves, range);
        Some(gather)
    }

    /// Where `count` leaves at `LEVEL` from `iova` on stand in the table, if they may.
    #[inline(always)]
    fn place<const LEVEL: i8>(
        &self,
        recent: Recent,
        iova: Iova,
        count: usize,
    ) -> Option<(Node<F>, usize, IovaRange)> {
        let shift = Tree::<F>::entry_shift(LEVEL);
        if iova.0 & ((1 << shift) - 1) != 0 {
            return None;
        }
        let geometry = &self.tree.geometry;
        let entries = if LEVEL < LAST_LEVEL && LEVEL == geometry.first_level() {
            geometry.entries(LEVEL)
        } else {
            1 << F::TABLE_BITS
        };
        // SAFETY: the invariant of `Recent`.
        let node = unsafe { Node::new(recent.node, entries) };
        let index = node.index(iova.0, shift);
        if count == 0 || count > entries - index {
            return None;
        }
        let range = IovaRange::new(iova, (count as u64) << shift).ok()?;
        geometry.translates(range.last()).then_some((node, index, range))
    }

    /// Walks to the table at `LEVEL` for `iova`.
    #[inline(always)]
    fn find<const LEVEL: i8>(&self, iova: Iova) -> Option<Recent> {
        let tree = &self.tree;
        let first_level = tree.geometry.first_level();
        if !tree.geometry.is_leaf_level(LEVEL)
            || LEVEL < first_level
            || !tree.geometry.translates(iova)
        {
            return None;
        }
        let (mut node, mut table) = (tree.root(), tree.root_phys());
        // Written out, so that each level's shift is a constant.
        for level in F::MIN_LEVEL..LAST_LEVEL {
            if level >= first_level && level < LEVEL {
                let entry = node.load(node.index(iova.0, Tree::<F>::entry_shift(level)));
                let Entry::Table(phys) = F::decode(entry, level) else { return None };
                (node, table) = (Tree::<F>::child(&self.allocator, phys), phys);
            }
        }
        let mut recent = self.recent;
        // SAFETY: the walk has just led there.
        unsafe { recent.set::<F>(LEVEL, iova, node, table) };
        Some(recent)
    }
}
