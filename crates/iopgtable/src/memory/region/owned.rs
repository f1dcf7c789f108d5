//! Memory that a region owns.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::NonNull;

use crate::addr::PhysAddr;

/// Tables of up to so many bytes can be aligned in both address spaces.
const ALIGN: usize = 2 << 20;

/// # Invariants
///
/// `start` is a block of the global allocator with `layout`; `offset` lies within.
pub(super) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    offset: usize,
}

impl Block {
    /// At least `bytes` zeroed bytes from a base on that equals `phys` modulo the alignment of
    /// the largest table that fits in.
    pub(super) fn new(phys: PhysAddr, bytes: usize) -> Option<Self> {
        let align = bytes.checked_next_power_of_two()?.clamp(super::BASE_ALIGN as usize, ALIGN);
        // Aligned here rather than by the allocator: those that get zeroed memory from the
        // system for free often do so for ordinary alignments only.
        let layout = Layout::from_size_align(bytes.checked_add(align)?, 8).ok()?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        // CAST: what is cut off is a multiple of `align`.
        let offset = (phys.0 as usize).wrapping_sub(start.addr().get()) & (align - 1);
        // INVARIANT: `offset < align`, and so much more than `bytes` was allocated.
        Some(Self { start, layout, offset })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        // SAFETY: the invariant says that it lies within.
        unsafe { self.start.add(self.offset) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the invariant says that it is such a block.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

// SAFETY: the block is owned alone, like a `Box`.
unsafe impl Send for Block {}
// SAFETY: a shared block gives out an address and nothing else.
unsafe impl Sync for Block {}
