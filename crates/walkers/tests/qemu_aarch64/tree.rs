//! Trees of tables written by hand.

use walkers::{PhysMemory, Ram};

use crate::machine::{TABLES, TARGETS};

/// Bits of a leaf: valid, the access flag, `AP[1]` (unprivileged) and `AP[2]` (read-only).
pub(crate) const PAGE: u64 = 0b11;
pub(crate) const BLOCK: u64 = 0b01;
pub(crate) const AF: u64 = 1 << 10;
pub(crate) const USER: u64 = 1 << 6;
pub(crate) const READ_ONLY: u64 = 1 << 7;
pub(crate) const DBM: u64 = 1 << 51;
pub(crate) const CONTIGUOUS: u64 = 1 << 52;
pub(crate) const PXN: u64 = 1 << 53;
pub(crate) const UXN: u64 = 1 << 54;

/// How tables look: the granule's address bits, and where addresses stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) page_bits: u32,
    /// `DS`.
    pub(crate) wide: bool,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] = [
        Self { page_bits: 12, wide: false },
        Self { page_bits: 14, wide: false },
        Self { page_bits: 16, wide: false },
        Self { page_bits: 12, wide: true },
        Self { page_bits: 14, wide: true },
    ];

    pub(crate) const fn stride(self) -> u32 {
        self.page_bits - 3
    }

    /// Address bits below the index at `level`.
    pub(crate) const fn span_bits(self, level: i8) -> u32 {
        self.page_bits + self.stride() * (3 - level).unsigned_abs() as u32
    }

    /// The widest addresses.
    pub(crate) const fn widest(self) -> u32 {
        if self.wide || self.page_bits == 16 { 52 } else { 48 }
    }

    /// The level at which a walk of `bits` starts, without concatenation.
    pub(crate) const fn start_level(self, bits: u32) -> i8 {
        3 - ((bits - self.page_bits - 1) / self.stride()) as i8
    }

    /// The levels at which a leaf may stand, if the output has as many bits as can be.
    pub(crate) fn leaf_levels(self) -> std::ops::RangeInclusive<i8> {
        match (self.page_bits, self.wide) {
            (12, true) => 0..=3,
            (12, false) | (14, true) | (16, _) => 1..=3,
            _ => 2..=3,
        }
    }

    /// `address` where it stands in a descriptor.
    pub(crate) fn descriptor(self, address: u64) -> u64 {
        let low = address & ((1 << 48) - 1);
        match (self.page_bits, self.wide) {
            (16, _) => low | (address >> 48 & 0xf) << 12,
            (_, true) => address & ((1 << 50) - 1) | (address >> 50 & 0b11) << 8,
            _ => low,
        }
    }

    /// `TG0` (or `VTCR_EL2.TG0`).
    pub(crate) const fn tg0(self) -> u64 {
        match self.page_bits {
            12 => 0b00,
            14 => 0b10,
            _ => 0b01,
        }
    }

    pub(crate) const fn tg1(self) -> u64 {
        match self.page_bits {
            12 => 0b10,
            14 => 0b01,
            _ => 0b11,
        }
    }
}

/// A tree that covers `bits` of input, and room for its tables.
pub(crate) struct Tree<'a> {
    pub(crate) ram: &'a Ram,
    pub(crate) shape: Shape,
    pub(crate) bits: u32,
    pub(crate) start: i8,
    pub(crate) root: u64,
    next: u64,
}

impl<'a> Tree<'a> {
    /// An empty one, whose walks start at `start`, from address `at` on.
    pub(crate) fn at(ram: &'a Ram, shape: Shape, bits: u32, start: i8, at: u64) -> Self {
        let mut tree = Self { ram, shape, bits, start, root: 0, next: at };
        let index_bits = bits - shape.span_bits(start);
        tree.root = tree.allocate((8u64 << index_bits).max(64));
        tree
    }

    pub(crate) fn new(ram: &'a Ram, shape: Shape, bits: u32) -> Self {
        Self::at(ram, shape, bits, shape.start_level(bits), TABLES)
    }

    /// A table of `bytes` zeroes, aligned to its size.
    pub(crate) fn allocate(&mut self, bytes: u64) -> u64 {
        let at = self.next.next_multiple_of(bytes);
        self.next = at + bytes;
        assert!(self.next <= TARGETS, "the tables have too little room");
        for word in (at..self.next).step_by(8) {
            self.ram.write_u64(word, 0);
        }
        at
    }

    /// Where the entry of `address` at `level` is; tables on the way are made, with `table` in
    /// their descriptors.
    pub(crate) fn entry(&mut self, address: u64, level: i8, table: u64) -> u64 {
        let input = address & (u64::MAX >> (64 - self.bits));
        let mut at = self.root;
        for above in self.start..=level {
            let index = input >> self.shape.span_bits(above);
            let mask = (1u64 << self.shape.stride()) - 1;
            let index = if above == self.start { index } else { index & mask };
            let entry = at + 8 * index;
            if above == level {
                return entry;
            }
            let found = self.ram.read_u64(entry).expect("tables are in the RAM");
            at = if found & 1 == 0 {
                let below = self.allocate(1 << self.shape.page_bits);
                self.ram.write_u64(entry, below | 0b11 | table);
                below
            } else {
                found & 0xffff_ffff_f000 & !((1 << self.shape.page_bits) - 1)
            };
        }
        unreachable!("the level is above the start")
    }

    /// Maps the leaf at `address` to `to`, with `bits` in its descriptor besides its type.
    pub(crate) fn map(&mut self, address: u64, level: i8, to: u64, bits: u64) -> u64 {
        let kind = if level == 3 { PAGE } else { BLOCK };
        let entry = self.entry(address, level, 0);
        self.ram.write_u64(entry, self.shape.descriptor(to) | bits | kind);
        entry
    }
}
