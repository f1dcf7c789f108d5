//! Looks how far a range is taken, for callers that name pages and must hear of holes.

use super::node::Node;
use super::tree::Tree;
use crate::addr::{Iova, IovaRange};
use crate::format::{Entry, Format};
use crate::geometry::LAST_LEVEL;
use crate::memory::TableMemory;

/// How many bytes of `range` lie before its first page at `level` that has no entry.
#[inline]
pub(super) fn occupied<F: Format, M: TableMemory + ?Sized>(
    tree: &Tree<F>,
    memory: &M,
    range: IovaRange,
    level: i8,
) -> u64 {
    // Tables do not tell addresses apart that differ above what they translate.
    if !tree.geometry.translates(range.first()) {
        return 0;
    }
    if level == LAST_LEVEL
        && (range.first().0 ^ range.last().0) >> Tree::<F>::table_shift(level) == 0
    {
        if let Some((node, _)) = tree.leaf_table(memory, range.first()) {
            return run(node, range, Tree::<F>::entry_shift(LAST_LEVEL));
        }
    }
    walk(tree, memory, range, level)
}

/// How many bytes of `range` lie before the first empty entry of a table that translates it.
#[inline]
fn run<F: Format>(node: Node<F>, range: IovaRange, shift: u32) -> u64 {
    let index = node.index(range.first().0, shift);
    let count = node.index(range.last().0, shift) - index + 1;
    (node.count_used(index, count) as u64) << shift
}

#[inline(never)]
fn walk<F: Format, M: TableMemory + ?Sized>(
    tree: &Tree<F>,
    memory: &M,
    range: IovaRange,
    level: i8,
) -> u64 {
    let Some(range) = tree.geometry.whole().intersection(range) else { return 0 };
    let mut at = range.first();
    while let Some(rest) = IovaRange::inclusive(at, range.last()) {
        let mut node = tree.root();
        let mut above = tree.geometry.first_level();
        let end = loop {
            let shift = Tree::<F>::entry_shift(above);
            if above == level {
                // The root's span may be all that there is, or more.
                let low = 1u64
                    .checked_shl(Tree::<F>::table_shift(level))
                    .map_or(u64::MAX, |size| size - 1);
                let table = at.0 | low;
                let Some(here) = IovaRange::inclusive(at, Iova(rest.last().0.min(table))) else {
                    return at.0 - range.first().0;
                };
                let used = run(node, here, shift);
                if used < here.bytes() {
                    return at.0 + used - range.first().0;
                }
                break here.last().0;
            }
            match F::decode(node.load(node.index(at.0, shift)), above) {
                Entry::Empty => return at.0 - range.first().0,
                Entry::Leaf(_) => break at.0 | ((1 << shift) - 1),
                Entry::Table(table) => node = Tree::<F>::child(memory, table),
            }
            above += 1;
        };
        let Some(next) = end.checked_add(1) else { break };
        at = Iova(next);
    }
    range.bytes()
}
