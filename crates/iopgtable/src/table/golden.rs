//! The hot loops as functions with names of their own, to look at what the compiler makes of them.
//!
//! Only in builds with `--cfg iopgtable_golden`; `iopgtable-bench`'s test `golden` makes one.

#![expect(clippy::no_mangle_with_rust_abi, reason = "nobody calls them")]

use core::ptr::NonNull;

use super::fill::{Leaves, Pages};
use super::node::Node;
use super::{Cursor, PageTable};
use crate::addr::{Iova, IovaRange, PhysAddr, Segment};
use crate::format::{Arm64S1, Granule4K};
use crate::gather::Unwalked;
use crate::geometry::LAST_LEVEL;
use crate::memory::Region;
use crate::prot::Prot;
use crate::segments::{SegmentSlice, Segments};

type F = Arm64S1<Granule4K>;
type Table = PageTable<F, &'static Region>;

/// A table of pages.
const ENTRIES: usize = 512;

/// # Safety
///
/// There is a table of pages at `base`, which nobody else uses.
unsafe fn node(base: NonNull<u64>) -> Node<F> {
    // SAFETY: the caller's promise.
    unsafe { Node::new(base, ENTRIES) }
}

/// # Safety
///
/// As for [`node`], and so for all that follow.
#[unsafe(no_mangle)]
unsafe fn golden_fill_fresh(base: NonNull<u64>, leaves: &Leaves<F>, phys: PhysAddr) {
    // SAFETY: the caller's promise.
    let node = unsafe { node(base) };
    leaves.without_hint().write(node, false, (0, ENTRIES), LAST_LEVEL, phys);
}

#[unsafe(no_mangle)]
unsafe fn golden_fill_live(base: NonNull<u64>, leaves: &Leaves<F>, phys: PhysAddr) {
    // SAFETY: the caller's promise.
    let node = unsafe { node(base) };
    leaves.without_hint().write(node, true, (0, ENTRIES), LAST_LEVEL, phys);
}

#[unsafe(no_mangle)]
unsafe fn golden_list_fresh(base: NonNull<u64>, leaves: &Leaves<F>, segments: &[Segment]) {
    // SAFETY: the caller's promise.
    let node = unsafe { node(base) };
    let segments = SegmentSlice(segments).source();
    Pages::new(segments).write(node, false, (0, ENTRIES), true, *leaves);
}

#[unsafe(no_mangle)]
unsafe fn golden_list_live(base: NonNull<u64>, leaves: &Leaves<F>, segments: &[Segment]) {
    // SAFETY: the caller's promise.
    let node = unsafe { node(base) };
    let segments = SegmentSlice(segments).source();
    Pages::new(segments).write(node, true, (0, ENTRIES), true, *leaves);
}

#[unsafe(no_mangle)]
unsafe fn golden_clear(base: NonNull<u64>, index: usize, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { node(base) }.clear_live(index, count);
}

#[unsafe(no_mangle)]
unsafe fn golden_is_zero(base: NonNull<u64>, index: usize, count: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { node(base).is_zero_alone(index, count) }
}

#[unsafe(no_mangle)]
fn golden_translate(table: &Table, iova: Iova) -> u64 {
    table.translate(iova).map_or(0, |to| to.phys.0)
}

#[unsafe(no_mangle)]
fn golden_cursor_map(cursor: &mut Cursor<'_, F, &Region>, iova: Iova, phys: PhysAddr) -> bool {
    cursor.map_page(iova, phys, Prot::RW).is_ok()
}

#[unsafe(no_mangle)]
fn golden_cursor_unmap(cursor: &mut Cursor<'_, F, &Region>, iova: Iova) -> bool {
    cursor.unmap_page(iova).is_ok()
}

#[unsafe(no_mangle)]
fn golden_map_call(table: &mut Table, range: IovaRange, segment: Segment) -> bool {
    let mapped = table.map(range, segment, Prot::RW);
    mapped.is_ok_and(|gather| table.finish(gather, &mut Unwalked).is_ok())
}

#[unsafe(no_mangle)]
fn golden_unmap_call(table: &mut Table, range: IovaRange) -> bool {
    let unmapped = table.unmap(range, range);
    unmapped.is_ok_and(|gather| table.finish(gather, &mut Unwalked).is_ok())
}
