//! One table's memory, as an owned handle.

use core::fmt;
use core::ptr::NonNull;

use crate::addr::PhysAddr;
use crate::format::{Format, Word};

/// The memory that a table takes: a power of two of bytes, aligned to its size.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TableLayout {
    shift: u8,
}

impl TableLayout {
    /// The smallest table that an allocator may be asked for, in bytes.
    pub const MIN_BYTES: usize = 64;

    /// `bytes` bytes, aligned to `bytes`; `None` unless it is a power of two of at least
    /// [`MIN_BYTES`](Self::MIN_BYTES).
    pub const fn new(bytes: usize) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= Self::MIN_BYTES {
            // CAST: a power of two's logarithm is below 64.
            Some(Self { shift: bytes.trailing_zeros() as u8 })
        } else {
            None
        }
    }

    /// A table of one 4 KiB page.
    pub const PAGE_4K: Self = Self { shift: 12 };

    /// What a table of format `F` takes, other than a root.
    pub const fn of<F: Format>() -> Self {
        // CAST: a logarithm.
        Self { shift: F::TABLE_BITS + F::Word::BYTES.trailing_zeros() as u8 }
    }

    pub(crate) const fn from_shift(shift: u8) -> Self {
        Self { shift }
    }

    /// Size and alignment in bytes.
    pub const fn bytes(self) -> usize {
        1 << self.shift
    }
}

impl fmt::Debug for TableLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes())
    }
}

/// One table's memory, owned: it cannot be copied, and whoever holds it gives it back to the
/// allocator that it came from. Dropping the handle leaks the memory (and nothing worse).
///
/// # Invariants
///
/// `cpu` points to `layout` bytes, aligned to their size, that nobody but the holder of this
/// handle reads or writes; `phys` is where a walker finds the same bytes.
#[must_use = "a table page that is dropped is lost: give it back to its allocator"]
pub struct TablePage {
    cpu: NonNull<u64>,
    phys: PhysAddr,
    layout: TableLayout,
    contents: Contents,
}

/// What is known of a page's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Nothing.
    Unknown,
    /// They are zero for the CPU; a walker may see something else.
    Cleared,
    /// They are zero, and a walker would see them so, were the page linked now.
    Zeroed,
}

// SAFETY: the handle owns its memory alone, like a `Box`.
unsafe impl Send for TablePage {}

impl TablePage {
    /// Makes the handle. `zeroed` says that every byte is zero and that the walker would see it
    /// so, were the table linked now.
    ///
    /// # Safety
    ///
    /// The type's invariants must hold from now until the page is given to
    /// [`TableAllocator::free`](super::TableAllocator::free), and what `zeroed` says must be true.
    pub const unsafe fn from_raw_parts(
        cpu: NonNull<u64>,
        phys: PhysAddr,
        layout: TableLayout,
        zeroed: bool,
    ) -> Self {
        let contents = if zeroed { Contents::Zeroed } else { Contents::Unknown };
        Self { cpu, phys, layout, contents }
    }

    /// The same with what is known of the bytes.
    ///
    /// # Safety
    ///
    /// As for [`from_raw_parts`](Self::from_raw_parts).
    pub(crate) const unsafe fn with_contents(
        cpu: NonNull<u64>,
        phys: PhysAddr,
        layout: TableLayout,
        contents: Contents,
    ) -> Self {
        Self { cpu, phys, layout, contents }
    }

    pub(crate) const fn contents(&self) -> Contents {
        self.contents
    }

    /// Where the CPU reaches it.
    pub const fn cpu(&self) -> NonNull<u64> {
        self.cpu
    }

    /// Where a walker finds it.
    pub const fn phys(&self) -> PhysAddr {
        self.phys
    }

    /// Its size and alignment.
    pub const fn layout(&self) -> TableLayout {
        self.layout
    }

    /// Whether it is known to hold only zeroes, for the CPU and for the walker.
    pub const fn is_zeroed(&self) -> bool {
        matches!(self.contents, Contents::Zeroed)
    }

    /// Writes zeroes where that is not known to be needless, and has `memory` publish them.
    pub fn make_zeroed<M: super::TableMemory + ?Sized>(&mut self, memory: &M) {
        if self.contents == Contents::Unknown {
            // SAFETY: the invariant says that the bytes are there, aligned, and ours alone.
            unsafe { self.cpu.cast::<u8>().write_bytes(0, self.layout.bytes()) };
        }
        if self.contents != Contents::Zeroed {
            memory.publish(self.cpu.cast(), self.phys, self.layout.bytes());
            self.contents = Contents::Zeroed;
        }
    }
}

impl fmt::Debug for TablePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zeroed = if self.is_zeroed() { ", zeroed" } else { "" };
        write!(f, "TablePage({}, {:?}{zeroed})", self.phys, self.layout)
    }
}
