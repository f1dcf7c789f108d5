//! Which pages were written through: what hardware noted in the leaves.

use core::marker::PhantomData;

use super::groups;
use super::node::Node;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::error::TableError;
use crate::format::{Entry, Format, Options};
use crate::gather::{Gather, stale};
use crate::memory::TableMemory;

/// Checks the arguments of a look at the dirty state.
pub(super) fn check<F: Format>(tree: &Tree<F>, range: IovaRange) -> Result<(), TableError> {
    tree.geometry.check_range(range)?;
    if !tree.options.contains(Options::HARDWARE_DIRTY) {
        return Err(TableError::NoDirtyState);
    }
    Ok(())
}

/// The same where the answer goes into a bitmap.
pub(super) fn check_bitmap<F: Format>(
    tree: &Tree<F>,
    range: IovaRange,
    bitmap: &[u64],
) -> Result<(), TableError> {
    check(tree, range)?;
    let needed = (range.bytes() >> F::PAGE_SHIFT).div_ceil(64);
    if (bitmap.len() as u64) < needed {
        return Err(TableError::Bitmap { needed, given: bitmap.len() });
    }
    Ok(())
}

/// Goes through the leaves of a range.
pub(super) struct Harvest<'a, F, M: ?Sized> {
    memory: &'a M,
    range: IovaRange,
    /// Told of what is dirty, in ascending order.
    visitor: &'a mut dyn FnMut(IovaRange),
    /// Where to say which leaves became clean, if they are to.
    cleaned: Option<&'a mut Gather>,
    format: PhantomData<F>,
}

impl<'a, F: Format, M: TableMemory + ?Sized> Harvest<'a, F, M> {
    pub(super) const fn new(
        memory: &'a M,
        range: IovaRange,
        visitor: &'a mut dyn FnMut(IovaRange),
        cleaned: Option<&'a mut Gather>,
    ) -> Self {
        Self { memory, range, visitor, cleaned, format: PhantomData }
    }

    pub(super) fn run(mut self, tree: &Tree<F>) {
        let first_level = tree.geometry.first_level();
        self.table(tree.root(), tree.root_phys(), first_level, self.range);
        self.memory.commit();
    }

    /// Goes through what `range` has in a table at `level`. Recurses once per level.
    fn table(&mut self, node: Node<F>, table: PhysAddr, level: i8, range: IovaRange) {
        let shift = Tree::<F>::entry_shift(level);
        let first = node.index(range.first().0, shift);
        let last = node.index(range.last().0, shift);
        let mut index = first;
        while index <= last {
            let offset = ((index - first) as u64) << shift;
            let iova = Iova((range.first().0 & !((1 << shift) - 1)) + offset);
            let entry = node.load(index);
            let mut next = index + 1;
            match F::decode(entry, level) {
                Entry::Empty => {}
                Entry::Table(phys) => {
                    if let Some(inside) = span_of::<F>(iova, level).intersection(range) {
                        self.table(Tree::<F>::child(self.memory, phys), phys, level + 1, inside);
                    }
                }
                Entry::Leaf(_) => {
                    // Hardware may note a write to a group in any leaf of it (Arm DDI 0487, D8.7.1).
                    let leaves = groups::span::<F>(iova, level, F::group_of(entry, level));
                    let from = node.index(leaves.first().0, shift);
                    next = node.index(leaves.last().0, shift) + 1;
                    self.leaves(node, table, (from, next), leaves);
                }
            }
            index = next;
        }
    }

    /// Looks at leaves that are dirty together, from one index to before another.
    fn leaves(
        &mut self,
        node: Node<F>,
        table: PhysAddr,
        (from, to): (usize, usize),
        leaves: IovaRange,
    ) {
        let Some(inside) = leaves.intersection(self.range) else { return };
        let mut dirty = false;
        // What sticks out of the range stays dirty, as nobody is told of the rest of it.
        match self.cleaned.as_deref_mut().filter(|_| inside == leaves) {
            Some(gather) => {
                for index in from..to {
                    dirty |= node.update(index, F::cleaned).is_some();
                }
                if dirty {
                    Tree::<F>::publish(self.memory, node, table, from, to - from);
                    stale(&mut gather.stale.leaves, leaves);
                }
            }
            None => dirty = (from..to).any(|index| F::cleaned(node.load(index)).is_some()),
        }
        if dirty {
            (self.visitor)(inside);
        }
    }
}

/// Notes the pages of `dirty`, a part of `range`.
pub(super) fn note<F: Format>(bitmap: &mut [u64], range: IovaRange, dirty: IovaRange) {
    let page = |iova: Iova| (iova.0 - range.first().0) >> F::PAGE_SHIFT;
    set_bits(bitmap, page(dirty.first()), page(dirty.last()));
}

/// Sets the bits from `first` to `last`.
fn set_bits(bitmap: &mut [u64], first: u64, last: u64) {
    for word in first / 64..=last / 64 {
        let number = word * 64;
        let from = u64::MAX << first.saturating_sub(number);
        let to = u64::MAX >> (number + 63).saturating_sub(last);
        // CAST: an index of the bitmap, which was found long enough.
        if let Some(word) = bitmap.get_mut(word as usize) {
            *word |= from & to;
        }
    }
}
