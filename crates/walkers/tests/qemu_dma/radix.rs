//! Trees of tables of 4 KiB, entry by entry, whatever the entries look like.

use walkers::PhysMemory;

use crate::bed::Bed;
use crate::noise::Noise;

/// How entries look.
pub(crate) trait Entries {
    /// One that leads to `table`, whose entries map leaves of `level`, 1 for pages.
    fn link(&self, table: u64, level: u32) -> u64;
    /// The table that an entry of a level above 1 leads to, if it does.
    fn table(&self, entry: u64) -> Option<u64>;
    /// The same with anything that it may say besides.
    fn any_link(&self, _: &mut Noise, table: u64, level: u32) -> u64 {
        self.link(table, level)
    }
    /// A leaf of `level` to `output`, with anything that it may permit.
    fn any_leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64;
    /// One that maps nothing.
    fn nothing(&self, noise: &mut Noise) -> u64;
}

/// A tree whose root is of level `levels`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(crate) root: u64,
    pub(crate) levels: u32,
    /// By how many bits the root's index is longer than nine.
    pub(crate) wider: u32,
}

/// The bits of an address below those that `level` looks at.
pub(crate) const fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

impl Tree {
    pub(crate) fn new(bed: &mut Bed, levels: u32, wider: u32) -> Self {
        Self { root: bed.table(4096 << wider), levels, wider }
    }

    /// How many bits an address has.
    pub(crate) const fn input_bits(&self) -> u32 {
        let bits = shift(self.levels) + 9 + self.wider;
        if bits > 64 { 64 } else { bits }
    }

    fn address(&self, bits: u64) -> u64 {
        bits & u64::MAX >> (64 - self.input_bits())
    }

    fn slot(&self, table: u64, address: u64, level: u32) -> u64 {
        let wider = if level == self.levels { self.wider } else { 0 };
        table + 8 * (address >> shift(level) & ((512 << wider) - 1))
    }

    /// Where the entry of `level` for `address` is; the tables on the way are made.
    pub(crate) fn entry(
        &self,
        bed: &mut Bed,
        entries: &(impl Entries + ?Sized),
        address: u64,
        level: u32,
    ) -> u64 {
        let mut table = self.root;
        for at in (level + 1..=self.levels).rev() {
            table = bed.below(
                self.slot(table, address, at),
                4096,
                |entry| entries.table(entry),
                |table| entries.link(table, at - 1),
            );
        }
        self.slot(table, address, level)
    }

    /// Writes the entry of `level` for `address`, and says where it is.
    pub(crate) fn map(
        &self,
        bed: &mut Bed,
        entries: &(impl Entries + ?Sized),
        address: u64,
        level: u32,
        entry: u64,
    ) -> u64 {
        let at = self.entry(bed, entries, address, level);
        bed.write(at, entry);
        at
    }

    /// Fills the tree at random, with leaves of levels up to `highest`, and says addresses that are
    /// of interest.
    pub(crate) fn grow(
        &self,
        bed: &mut Bed,
        noise: &mut Noise,
        entries: &(impl Entries + ?Sized),
        highest: u32,
    ) -> Vec<u64> {
        let mut addresses: Vec<u64> = Vec::new();
        for _ in 0..800 {
            let near = match addresses.len() as u64 {
                count @ 1.. if !noise.one_in(4) => addresses[noise.below(count) as usize],
                _ => noise.bits(),
            };
            let change = noise.below(8) << shift(1 + noise.below(3) as u32);
            let address = self.address(near ^ change);
            let mut table = self.root;
            for level in (1..=self.levels).rev() {
                let at = self.slot(table, address, level);
                let found = bed.ram.read_u64(at).unwrap();
                if level > 1 && entries.table(found).is_some() {
                    table = entries.table(found).unwrap();
                    continue;
                }
                if found != 0 {
                    break;
                }
                if noise.one_in(12) {
                    bed.write(at, entries.nothing(noise));
                    addresses.push(address);
                    break;
                }
                if level == 1 || level <= highest && noise.one_in(4) {
                    let target = bed.target(noise.below(4 << 20));
                    let below = (1 << shift(level)) - 1;
                    bed.write(at, entries.any_leaf(noise, target & !below, level));
                    addresses.push(address & !below | target & below);
                    break;
                }
                table = bed.table(4096);
                bed.write(at, entries.any_link(noise, table, level - 1));
            }
        }
        addresses
    }
}
