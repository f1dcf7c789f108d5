//! Random paths from a root to a leaf, laid out by the manual's tables of index bits.

use proptest::prelude::*;
use proptest::sample::Index;
use walkers::soft::{Mali, MaliRegisters};
use walkers::{Access, Walker};

use crate::stage2_configurations::PERMITTED;
use crate::tables::{Tables, lower, place, stage2};

/// `IPS` for 52 bits.
const IPS_52: u64 = 0b110 << 32;
const LEVELS: [i8; 5] = [-1, 0, 1, 2, 3];

/// Tables D8-16, D8-26 and D8-35: the lowest index bit at levels -1 to 3.
const fn lowest_index_bits(tg0: u64) -> [u32; 5] {
    match tg0 {
        0b00 => [48, 39, 30, 21, 12],
        0b10 => [u32::MAX, 47, 36, 25, 14],
        _ => [u32::MAX, u32::MAX, 42, 29, 16],
    }
}

/// The highest level that has leaves.
const fn first_leaf_level(tg0: u64, ds: u64) -> i8 {
    match (tg0, ds) {
        (0b00, 1) => 0,
        (0b00 | 0b01, _) | (0b10, 1) => 1,
        _ => 2,
    }
}

/// Where a descriptor holds the bits of an address.
const fn in_descriptor(tg0: u64, ds: u64, address: u64) -> u64 {
    let low = address & ((1 << 48) - 1);
    match (tg0, ds) {
        (0b01, _) => low | address >> 48 << 12,
        (_, 1) => address & ((1 << 50) - 1) | address >> 50 << 8,
        _ => low,
    }
}

/// Bits of an output address when `IPS` or `PS` says 52.
const fn output_bits(tg0: u64, ds: u64) -> u32 {
    if tg0 == 0b01 || ds == 1 { 52 } else { 48 }
}

/// Where a path of tables lies and leads.
struct Path {
    root: u64,
    entries: Vec<(u64, u64)>,
    expected: (u64, u64, i8),
}

impl Path {
    /// A path for `va` from level `start` to one of the levels that have leaves, as `pick` says.
    /// A leaf has the bits of `attributes`, and below level 3 of `block`.
    fn new(
        (tg0, ds): (u64, u64),
        (start, input_bits): (i8, u32),
        pick: Index,
        (va, output): (u64, u64),
        (attributes, block): (u64, u64),
    ) -> Self {
        let lowest = |level: i8| lowest_index_bits(tg0)[usize::from((level + 1).unsigned_abs())];
        let first = start.max(first_leaf_level(tg0, ds));
        let leaf_level = *pick.get(&(first..=3).collect::<Vec<_>>());

        // A mebibyte apart: as much as the largest concatenated root. At the top of memory, so
        // that all bits of an address count.
        let top = (1 << output_bits(tg0, ds)) - (1 << 24);
        let table = |level: i8| top + (u64::from((level + 1).unsigned_abs()) << 20);
        let mut entries = Vec::new();
        // Address bits that the levels before have left to resolve.
        let mut below = va & ((1 << input_bits) - 1);
        for level in start..leaf_level {
            let next = in_descriptor(tg0, ds, table(level + 1));
            entries.push((table(level) + (below >> lowest(level)) * 8, next | 0b11));
            below &= (1 << lowest(level)) - 1;
        }
        let size = 1 << lowest(leaf_level);
        let base = output % (1 << output_bits(tg0, ds)) / size * size;
        let kind = if leaf_level == 3 { 0b11 } else { block };
        let leaf = in_descriptor(tg0, ds, base) | attributes | kind;
        entries.push((table(leaf_level) + below / size * 8, leaf));

        let expected = (base + va % size, size, leaf_level);
        Self { root: table(start), entries, expected }
    }

    /// The root as a base register holds it.
    fn base_register(&self) -> u64 {
        self.root & ((1 << 48) - 1) | self.root >> 48 << 2
    }
}

/// The 40 bits of an address that Mali has.
const LOW: u64 = (1 << 40) - 1;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn stage_1_follows_any_path(
        tg0 in 0..3u64,
        ds in 0..2u64,
        t0sz in 12..=39u32,
        pick: Index,
        va: u64,
        output: u64,
    ) {
        let t0sz = t0sz.max(64 - output_bits(tg0, ds));
        let input_bits = 64 - t0sz;
        let va = va & ((1 << input_bits) - 1);
        // The first level at which a bit is left to resolve.
        let start = lowest_index_bits(tg0).iter().position(|&lowest| lowest < input_bits);
        let start = (LEVELS[start.unwrap()], input_bits);
        let path = Path::new((tg0, ds), start, pick, (va, output), (0x400, 0b01));

        let tcr = ds << 59 | IPS_52 | tg0 << 14 | u64::from(t0sz);
        let mmu = lower(tcr, path.base_register(), &path.entries);
        prop_assert_eq!(place(mmu.translate(va, Access::PRIVILEGED_READ)), Ok(path.expected));
    }

    #[test]
    fn stage_2_follows_any_path_from_any_permitted_root(
        row: Index,
        t0sz: Index,
        pick: Index,
        va: u64,
        output: u64,
    ) {
        let row = row.get(&PERMITTED);
        let (first, last) = (row.t0sz.start(), row.t0sz.end());
        let t0sz = t0sz.index((last - first + 1) as usize) as u64 + first;
        let (ds, sl2) = (row.ds.unwrap_or(1), row.sl2.unwrap_or(1));
        let input_bits = 64 - t0sz as u32;
        let va = va & ((1 << input_bits) - 1);
        let start = (row.level, input_bits);
        let path = Path::new((row.tg0, ds), start, pick, (va, output), (0x4fc, 0b01));

        let vtcr = sl2 << 33 | ds << 32 | 0b110 << 16 | row.tg0 << 14 | row.sl0 << 6 | t0sz;
        let mmu = stage2(vtcr, path.base_register(), &path.entries);
        prop_assert_eq!(place(mmu.translate(va, Access::PRIVILEGED_READ)), Ok(path.expected));
    }

    #[test]
    fn mali_follows_any_path(pick: Index, va in 0..1u64 << 48, output in 0..1u64 << 40) {
        let mut path = Path::new((0b00, 0), (0, 48), pick, (va, output), (0x2c0, 0b01));
        // Addresses have 40 bits, and the type of a page is that of a block.
        for (address, descriptor) in &mut path.entries {
            *address &= LOW;
            *descriptor &= LOW;
        }
        let last = path.entries.last_mut().unwrap();
        last.1 &= !0b10;

        let registers = MaliRegisters { transtab: path.root & LOW | 0b111, memattr: 0 };
        let mmu = Mali::new(Tables::new(&path.entries), registers).unwrap();
        prop_assert_eq!(place(mmu.translate(va, Access::UNPRIVILEGED_READ)), Ok(path.expected));
    }
}
