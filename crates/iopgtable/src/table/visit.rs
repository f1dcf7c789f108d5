//! Looks at what a table maps.

use super::groups;
use super::node::Node;
use super::sharing::Sharing;
use super::tree::{Tree, span_of};
use crate::addr::{Iova, IovaRange, PhysAddr};
use crate::format::{Entry, Format};
use crate::memory::TableMemory;
use crate::prot::Prot;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Translation {
    /// The physical address of the very byte that was asked for.
    pub phys: PhysAddr,
    /// What is allowed there.
    pub prot: Prot,
    /// The bytes that the leaf maps, itself included.
    pub leaf_bytes: u64,
}

/// What a visit comes across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visit {
    /// A table other than the root; what it holds follows.
    Table {
        /// The addresses that it translates.
        span: IovaRange,
        /// Its level.
        level: i8,
        /// Where it lies.
        phys: PhysAddr,
    },
    /// A translation: a leaf, or a page that takes several entries.
    Leaf {
        /// The addresses that it translates.
        span: IovaRange,
        /// Its level.
        level: i8,
        /// Where they lead.
        phys: PhysAddr,
        /// What is allowed there.
        prot: Prot,
        /// Whether it carries the contiguous hint.
        contiguous: bool,
    },
}

/// Where `iova` leads, a walk to which ends with `entry` at `level`.
#[inline]
pub(super) fn translation<F: Format>((entry, level): (u64, i8), iova: Iova) -> Option<Translation> {
    let Entry::Leaf(phys) = F::decode(entry, level) else { return None };
    let leaf_bytes = 1 << groups::page_shift::<F>(entry, level);
    let phys = PhysAddr(phys.0 | (iova.0 & (leaf_bytes - 1)));
    Some(Translation { phys, prot: F::prot_of(entry, level), leaf_bytes })
}

pub(super) fn visit<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    tree: &Tree<F, S>,
    memory: &M,
    range: IovaRange,
    down_to: i8,
    visitor: &mut dyn FnMut(Visit),
) {
    let first_level = tree.geometry.first_level();
    if let Some(range) = tree.geometry.whole().intersection(range) {
        visit_table::<F, S, M>(memory, tree.root(), (first_level, down_to), range, visitor);
    }
}

/// Recurses once per level.
fn visit_table<F: Format, S: Sharing, M: TableMemory + ?Sized>(
    memory: &M,
    node: Node<F>,
    (level, down_to): (i8, i8),
    range: IovaRange,
    visitor: &mut dyn FnMut(Visit),
) {
    let shift = Tree::<F>::entry_shift(level);
    let first = node.index(range.first().0, shift);
    let last = node.index(range.last().0, shift);
    let mut next = first;
    while next <= last {
        let index = next;
        next += 1;
        let offset = ((index - first) as u64) << shift;
        let span = span_of::<F>(Iova(range.first().0 + offset), level);
        let entry = S::load(node, index);
        match F::decode(entry, level) {
            Entry::Empty => {}
            Entry::Leaf(phys) => {
                let contiguous = entry & F::CONTIGUOUS != 0;
                let span = groups::page_span::<F>(span.first(), level, entry);
                if F::GROUPS.are_pages() {
                    next = node.index(span.last().0, shift) + 1;
                }
                let prot = F::prot_of(entry, level);
                visitor(Visit::Leaf { span, level, phys, prot, contiguous });
            }
            Entry::Table(phys) => {
                visitor(Visit::Table { span, level: level + 1, phys });
                if let Some(inside) = span.intersection(range).filter(|_| level < down_to) {
                    let child = Tree::<F>::child(memory, phys);
                    visit_table::<F, S, M>(memory, child, (level + 1, down_to), inside, visitor);
                }
            }
        }
    }
}
