//! Page sizes and counts, as calls name them, in terms of levels and ranges.

use core::ffi::c_ulong;

use iopgtable::{Iova, IovaRange, PhysAddr, Segment};

use super::abi::Cfg;
use super::format::LinuxFormat;

/// Whether `pgsize` is one page size of `cfg`.
#[inline]
pub(super) fn is_page_size(cfg: &Cfg, pgsize: usize) -> bool {
    pgsize.is_power_of_two() && pgsize as c_ulong & cfg.pgsize_bitmap != 0
}

/// `pgcount` pages from `iova` on, if they lie inside of the input size and are aligned.
#[inline]
pub(super) fn pages_at(iova: c_ulong, pgsize: usize, pgcount: usize) -> Option<IovaRange> {
    let bytes = (pgsize as u64).checked_mul(pgcount as u64)?;
    IovaRange::new(Iova(iova), bytes).ok()
}

/// log2 of the bytes of an entry `levels` levels above pages.
const fn entry_shift<F: LinuxFormat>(levels: u32) -> u32 {
    F::PAGE_SHIFT as u32 + levels * F::TABLE_BITS as u32
}

/// The level of leaves of `bytes` bytes.
#[inline]
pub(super) const fn level_of<F: LinuxFormat>(bytes: u64) -> i8 {
    if bytes < 1 << entry_shift::<F>(1) {
        3
    } else if bytes < 1 << entry_shift::<F>(2) {
        2
    } else {
        1
    }
}

/// How many entries a page of `bytes` bytes at `level` takes.
#[inline]
pub(super) const fn entries_of<F: LinuxFormat>(bytes: usize, level: i8) -> usize {
    if !F::GROUPS.are_pages() {
        return 1;
    }
    let levels = if level == 3 {
        0
    } else if level == 2 {
        1
    } else {
        2
    };
    bytes >> entry_shift::<F>(levels)
}

/// The bytes of an entry above pages of `pgsize` bytes: of the next leaf that takes a table's place.
pub(super) const fn next_size<F: LinuxFormat>(pgsize: u64) -> u64 {
    let levels = match level_of::<F>(pgsize) {
        3 => 1,
        2 => 2,
        _ => 3,
    };
    1 << entry_shift::<F>(levels)
}

/// Addresses and lengths of pieces that meet in the middle of aligned blocks of `next` bytes.
#[derive(Clone)]
pub(super) struct Pieces {
    pub(super) at: u64,
    pub(super) left: u64,
    pub(super) next: u64,
}

impl Iterator for Pieces {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.left == 0 {
            return None;
        }
        let half = self.next / 2;
        let to_middle = self.next - (self.at.wrapping_add(half) & (self.next - 1));
        let bytes = to_middle.min(self.left);
        let segment = Segment::new(PhysAddr(self.at), bytes);
        self.at = self.at.wrapping_add(bytes);
        self.left -= bytes;
        Some(segment)
    }
}
