//! Who may change a tree at the same time, on the CPU's side: the engine's one parameter besides
//! the format.
//!
//! What one thread alone may do with a store, many do with a compare-exchange; where the parameter
//! says that there is one, nothing of that is left in the code.

use super::node::Node;
use crate::format::Format;

/// One thread, or many.
pub(crate) trait Sharing {
    /// Whether it is many.
    const SHARED: bool;

    /// An entry of a linked table, to be followed if it links another one.
    fn load<F: Format>(node: Node<F>, index: usize) -> u64;

    /// Whether `count` entries of a linked table from `index` on are all zero.
    fn is_zero<F: Format>(node: Node<F>, index: usize, count: usize) -> bool;

    /// Writes a leaf, or nothing, in place of `old`; says whether that was still there.
    fn replace<F: Format>(node: Node<F>, index: usize, old: u64, new: u64) -> bool;

    /// The same with an entry that links a table.
    fn link<F: Format>(node: Node<F>, index: usize, old: u64, new: u64) -> bool;
}

/// One thread writes, and nobody reads meanwhile; or nobody writes.
///
/// # Invariants
///
/// A [`Tree`](super::tree::Tree) of this kind belongs to a `PageTable`. Methods that borrow that
/// uniquely write, others only read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exclusive {}

impl Sharing for Exclusive {
    const SHARED: bool = false;

    #[inline]
    fn load<F: Format>(node: Node<F>, index: usize) -> u64 {
        node.load(index)
    }

    #[inline]
    fn is_zero<F: Format>(node: Node<F>, index: usize, count: usize) -> bool {
        // SAFETY: the invariant says that nobody else writes.
        unsafe { node.is_zero_alone(index, count) }
    }

    #[inline]
    fn replace<F: Format>(node: Node<F>, index: usize, _: u64, new: u64) -> bool {
        node.store(index, new);
        true
    }

    #[inline]
    fn link<F: Format>(node: Node<F>, index: usize, _: u64, new: u64) -> bool {
        node.link(index, new);
        true
    }
}

/// Many threads write (`SHARED`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shared {}

impl Sharing for Shared {
    const SHARED: bool = true;

    #[inline]
    fn load<F: Format>(node: Node<F>, index: usize) -> u64 {
        node.load_shared(index)
    }

    #[inline]
    fn is_zero<F: Format>(node: Node<F>, index: usize, count: usize) -> bool {
        node.is_zero_shared(index, count)
    }

    #[inline]
    fn replace<F: Format>(node: Node<F>, index: usize, old: u64, new: u64) -> bool {
        node.replace(index, old, new).is_ok()
    }

    #[inline]
    fn link<F: Format>(node: Node<F>, index: usize, old: u64, new: u64) -> bool {
        node.replace(index, old, new).is_ok()
    }
}
