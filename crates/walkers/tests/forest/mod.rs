//! Trees of noise, for processors to walk.

use core::ops::Range;

use walkers::Ram;

use crate::noise::Noise;

/// How tables and their entries look.
pub(crate) trait Entries {
    /// How many bits the index of a table below the root has.
    fn index_bits(&self) -> u32;

    /// How many bits an address has below those that index a table of `level`.
    fn span_bits(&self, level: i8) -> u32;

    /// An entry that leads to `table`, with anything that it may say besides.
    fn link(&self, noise: &mut Noise, table: u64) -> u64;

    /// A leaf of `level`, or what is none.
    fn leaf(&self, noise: &mut Noise, level: i8) -> u64;

    /// To how many entries, from a multiple of it on, one of `level` must be the same.
    fn group(&self, _entry: u64, _level: i8) -> u64 {
        1
    }
}

/// What has grown.
pub(crate) struct Grown {
    pub(crate) root: u64,
    /// Where something is mapped, or might be: input addresses, and how many bits there are below.
    pub(crate) paths: Vec<(u64, u32)>,
}

/// A tree in `room` for addresses of `input_bits`, whose root is of `level`.
pub(crate) fn grow<E: Entries>(
    ram: &Ram,
    noise: &mut Noise,
    entries: &E,
    room: Range<u64>,
    (level, input_bits): (i8, u32),
) -> Grown {
    let mut forest = Forest { ram, noise, entries, room, paths: Vec::new() };
    let root = forest.table(level, input_bits - entries.span_bits(level), 0);
    let root = root.expect("a root has room");
    Grown { root, paths: forest.paths }
}

struct Forest<'f, E> {
    ram: &'f Ram,
    noise: &'f mut Noise,
    entries: &'f E,
    room: Range<u64>,
    paths: Vec<(u64, u32)>,
}

impl<E: Entries> Forest<'_, E> {
    /// A table of `level` for the input from `base` on, if there is room.
    fn table(&mut self, level: i8, index_bits: u32, base: u64) -> Option<u64> {
        let bytes = (8u64 << index_bits).max(64);
        let table = self.room.start.next_multiple_of(bytes);
        if table + bytes > self.room.end {
            return None;
        }
        self.room.start = table + bytes;
        for word in (table..table + bytes).step_by(8) {
            self.ram.write_u64(word, 0);
        }
        let (last, span_bits) = ((1 << index_bits) - 1, self.entries.span_bits(level));
        for _ in 0..if level == 3 { 24 } else { 5 } {
            let index = match self.noise.below(4) {
                0 => last,
                1 => self.noise.below(4).min(last),
                _ => self.noise.below(last + 1),
            };
            let at = base | index << span_bits;
            let entry = if level < 3 && !self.noise.one_in(5) {
                let below = self.table(level + 1, self.entries.index_bits(), at);
                let Some(below) = below else { continue };
                self.entries.link(self.noise, below)
            } else {
                self.entries.leaf(self.noise, level)
            };
            let group = self.entries.group(entry, level);
            for member in 0..group {
                self.ram.write_u64(table + 8 * (index & !(group - 1) | member), entry);
            }
            self.paths.push((at, span_bits));
        }
        Some(table)
    }
}
