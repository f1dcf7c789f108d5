//! Tables of VMSAv8-64, entry by entry.

use walkers::PhysMemory;

use crate::bed::Bed;
use crate::noise::Noise;

/// Bits of descriptors.
pub(crate) const TABLE: u64 = 0b11;
pub(crate) const PAGE: u64 = 0b11;
pub(crate) const BLOCK: u64 = 0b01;
pub(crate) const ACCESSED: u64 = 1 << 10;
pub(crate) const READ_ONLY: u64 = 1 << 7;
pub(crate) const S2_READ: u64 = 1 << 6;
pub(crate) const S2_WRITE: u64 = 1 << 7;

/// A granule, as the number of its bits, and a tree of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(crate) granule: u32,
    pub(crate) input_bits: u32,
    pub(crate) root: u64,
}

/// The parts of an address that a level does not look at.
fn shift(granule: u32, level: u32) -> u32 {
    granule + (granule - 3) * (3 - level)
}

impl Tree {
    pub(crate) fn new(bed: &mut Bed, granule: u32, input_bits: u32) -> Self {
        let mut this = Self { granule, input_bits, root: 0 };
        let entries = 1 << (input_bits - shift(granule, this.start()));
        this.root = bed.table((8 * entries).max(64));
        this
    }

    /// The level at which walks start.
    pub(crate) fn start(&self) -> u32 {
        4 - (self.input_bits - self.granule).div_ceil(self.granule - 3)
    }

    /// What a leaf of `level` maps.
    pub(crate) fn span(&self, level: u32) -> u64 {
        1 << shift(self.granule, level)
    }

    /// Whether the granule has leaves at `level`.
    pub(crate) fn has_leaves(&self, level: u32) -> bool {
        level == 3 || level == 2 || level == 1 && self.granule == 12
    }

    /// `TG0` of the control registers.
    pub(crate) fn tg0(&self) -> u64 {
        match self.granule {
            12 => 0b00,
            14 => 0b10,
            _ => 0b01,
        }
    }

    /// `TG1`.
    pub(crate) fn tg1(&self) -> u64 {
        match self.granule {
            12 => 0b10,
            14 => 0b01,
            _ => 0b11,
        }
    }

    /// `TCR_EL1` with this tree in the lower half, for 44 bits of output.
    pub(crate) fn tcr(&self) -> u64 {
        u64::from(64 - self.input_bits) | self.tg0() << 14 | 0b100 << 32
    }

    /// `VTCR_EL2` likewise.
    pub(crate) fn vtcr(&self) -> u64 {
        let sl0 = if self.granule == 12 { 2 } else { 3 } - self.start();
        u64::from(64 - self.input_bits) | u64::from(sl0) << 6 | self.tg0() << 14 | 0b100 << 16
    }

    /// Where the entry of `level` for `address` is; the tables on the way are made.
    pub(crate) fn entry(&self, bed: &mut Bed, address: u64, level: u32) -> u64 {
        let mut table = self.root;
        for at in self.start()..=level {
            let index = (address & ((1 << self.input_bits) - 1)) >> shift(self.granule, at);
            let index =
                if at == self.start() { index } else { index & ((1 << (self.granule - 3)) - 1) };
            if at == level {
                return table + 8 * index;
            }
            table = bed.below(
                table + 8 * index,
                1 << self.granule,
                |entry| (entry & 3 == TABLE).then_some(entry & 0xffff_ffff_f000),
                |table| table | TABLE,
            );
        }
        unreachable!("the level lies below the first")
    }

    /// Maps a leaf and says where its entry is.
    pub(crate) fn map(
        &self,
        bed: &mut Bed,
        address: u64,
        output: u64,
        level: u32,
        bits: u64,
    ) -> u64 {
        let entry = self.entry(bed, address, level);
        let kind = if level == 3 { PAGE } else { BLOCK };
        bed.write(entry, output | bits | kind);
        entry
    }

    /// Fills the tree at random, with `leaf` giving the attributes of leaves and `link` those of
    /// tables, and says addresses that are of interest.
    pub(crate) fn grow(
        &self,
        bed: &mut Bed,
        noise: &mut Noise,
        leaf: &dyn Fn(&mut Noise) -> u64,
        link: &dyn Fn(&mut Noise) -> u64,
    ) -> Vec<u64> {
        let mut addresses = Vec::new();
        for _ in 0..150 {
            let address = noise.bits() & ((1 << self.input_bits) - 1);
            // Near others as often as not.
            let address = match addresses.len() as u64 {
                count @ 1.. if !noise.one_in(3) => {
                    let near: u64 = addresses[noise.below(count) as usize];
                    near ^ noise.below(8) << shift(self.granule, 1 + noise.below(3) as u32)
                }
                _ => address,
            } & ((1 << self.input_bits) - 1);
            let mut level = self.start();
            let mut table = self.root;
            loop {
                let entry = self.step(table, address, level);
                let found = bed.ram.read_u64(entry).unwrap();
                if level < 3 && found & 3 == TABLE {
                    table = found & 0xffff_ffff_f000;
                } else if found & 1 == 1 {
                    break;
                } else if noise.one_in(12) {
                    // Not valid, whatever else it says.
                    bed.write(entry, noise.bits() & !1);
                    addresses.push(address);
                    break;
                } else if self.has_leaves(level) && (level == 3 || noise.one_in(4)) {
                    let offset = noise.below(4 << 20);
                    let target = bed.target(offset);
                    let span = self.span(level);
                    let kind = if level == 3 { PAGE } else { BLOCK };
                    bed.write(entry, target & !(span - 1) | leaf(noise) | kind);
                    addresses.push(address & !(span - 1) | target & (span - 1));
                    break;
                } else {
                    table = bed.table(1 << self.granule);
                    bed.write(entry, table | link(noise) | TABLE);
                }
                level += 1;
            }
        }
        addresses
    }

    /// The entry of `table`, a table of `level`, for `address`.
    fn step(&self, table: u64, address: u64, level: u32) -> u64 {
        let index = address >> shift(self.granule, level);
        let all = if level == self.start() { u64::MAX } else { (1 << (self.granule - 3)) - 1 };
        table + 8 * (index & all)
    }
}
