//! The bits of an entry.

use crate::MemoryType;

const VALID: u64 = 1;
pub(super) const READ: u64 = 1 << 1;
pub(super) const WRITE: u64 = 1 << 2;
pub(super) const EXECUTE: u64 = 1 << 3;
pub(super) const USER: u64 = 1 << 4;
pub(super) const GLOBAL: u64 = 1 << 5;
pub(super) const ACCESSED: u64 = 1 << 6;
pub(super) const DIRTY: u64 = 1 << 7;
/// Bits 60:54.
const RESERVED: u64 = 0x7f << 54;
/// Bits 62:61, `PBMT`.
const MEMORY_TYPE: u64 = 0b11 << 61;
/// Bit 63, `N`.
const NAPOT: u64 = 1 << 63;
/// `PPN[3:0]` of a 64 KiB page.
const NAPOT_64K: u64 = 0b1000 << 12;

/// What an entry is.
pub(super) enum Kind {
    Invalid,
    Reserved,
    Pointer,
    Leaf,
}

/// Which of the optional bits there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extensions {
    pub(super) pbmt: bool,
    pub(super) napot: bool,
    pub(super) adue: bool,
}

/// One entry, raw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(pub(super) u64);

impl Entry {
    pub(super) const fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// The address that its `PPN` says.
    pub(super) const fn address(self) -> u64 {
        (self.0 >> 10 & ((1 << 44) - 1)) << 12
    }

    /// What it is at the last level, or `above` it, where a leaf spans 2^`span_bits` bytes.
    pub(super) const fn kind(self, extensions: Extensions, above: bool, span_bits: u8) -> Kind {
        if !self.has(VALID) {
            return Kind::Invalid;
        }
        let pointer = !self.has(READ) && !self.has(EXECUTE);
        let attributes = self.0 & MEMORY_TYPE;
        let reserved = self.has(RESERVED)
            || self.has(WRITE) && !self.has(READ)
            || pointer && self.has(ACCESSED | DIRTY | USER | MEMORY_TYPE | NAPOT)
            || attributes != 0 && !extensions.pbmt
            || attributes == MEMORY_TYPE
            || self.has(NAPOT) && (!extensions.napot || above || !self.names_64k())
            || !pointer && self.address() & ((1 << span_bits) - 1) != 0;
        match (reserved, pointer) {
            (true, _) => Kind::Reserved,
            (false, true) if above => Kind::Pointer,
            (false, true) => Kind::Invalid,
            (false, false) => Kind::Leaf,
        }
    }

    const fn names_64k(self) -> bool {
        self.address() & 0xf000 == NAPOT_64K
    }

    /// It is one of the entries of a 64 KiB page.
    pub(super) const fn is_napot(self) -> bool {
        self.has(NAPOT)
    }

    /// What all entries of such a page have in common.
    pub(super) const fn common(self) -> u64 {
        self.0 & !(ACCESSED | DIRTY)
    }

    /// Of a leaf that is not reserved.
    pub(super) const fn memory_type(self) -> MemoryType {
        match (self.0 & MEMORY_TYPE) >> 61 {
            0 => MemoryType::AsPlatform,
            1 => MemoryType::NonCacheable,
            _ => MemoryType::Uncached,
        }
    }
}
