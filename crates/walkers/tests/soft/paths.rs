//! Random paths from a root to a leaf, laid out by the manual's tables of index bits.

use proptest::prelude::*;
use proptest::sample::Index;
use walkers::soft::{Mali, MaliRegisters};
use walkers::{Access, Walker};

use crate::stage2_configurations::PERMITTED;
use crate::tables::{IPS_48, Tables, lower, place, stage2};

/// Tables D8-16, D8-26 and D8-35: the lowest index bit at levels 0 to 3.
const fn lowest_index_bits(tg0: u64) -> [u32; 4] {
    match tg0 {
        0b00 => [39, 30, 21, 12],
        0b10 => [47, 36, 25, 14],
        _ => [u32::MAX, 42, 29, 16],
    }
}

/// Where a path of tables lies and leads.
struct Path {
    root: u64,
    entries: Vec<(u64, u64)>,
    expected: (u64, u64, i8),
}

impl Path {
    /// A path for `va` from level `start` to one of the levels that have leaves, as `pick` says.
    /// A leaf has the bits of `attributes`, and of `kind` by its level.
    fn new(
        tg0: u64,
        (start, input_bits): (usize, u32),
        pick: Index,
        (va, output): (u64, u64),
        (attributes, kind): (u64, [u64; 4]),
    ) -> Self {
        let lowest = lowest_index_bits(tg0);
        let levels: Vec<usize> =
            (start..=3).filter(|&level| level >= 2 || level == 1 && tg0 == 0b00).collect();
        let leaf_level = *pick.get(&levels);

        // A mebibyte apart: as much as the largest concatenated root.
        let table = |level: usize| (level as u64 + 1) << 20;
        let mut entries = Vec::new();
        // Address bits that the levels before have left to resolve.
        let mut below = va & ((1 << input_bits) - 1);
        for (level, lowest) in lowest.iter().enumerate().take(leaf_level).skip(start) {
            entries.push((table(level) + (below >> lowest) * 8, table(level + 1) | 0b11));
            below &= (1 << lowest) - 1;
        }
        let size = 1 << lowest[leaf_level];
        let base = output / size * size;
        let leaf = base | attributes | kind[leaf_level];
        entries.push((table(leaf_level) + below / size * 8, leaf));

        let expected = (base + va % size, size, leaf_level as i8);
        Self { root: table(start), entries, expected }
    }
}

/// Leaf types of VMSAv8-64, by level.
const VMSA: [u64; 4] = [0, 0b01, 0b01, 0b11];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn stage_1_follows_any_path(
        tg0 in 0..3u64,
        t0sz in 16..=39u32,
        pick: Index,
        va: u64,
        output in 0..1u64 << 48,
    ) {
        let input_bits = 64 - t0sz;
        let va = va & ((1 << input_bits) - 1);
        // The first level at which a bit is left to resolve.
        let start = lowest_index_bits(tg0).iter().position(|&lowest| lowest < input_bits);
        let start = (start.unwrap(), input_bits);
        let path = Path::new(tg0, start, pick, (va, output), (0x700, VMSA));

        let mmu = lower(IPS_48 | tg0 << 14 | u64::from(t0sz), path.root, &path.entries);
        prop_assert_eq!(place(mmu.translate(va, Access::PRIVILEGED_READ)), Ok(path.expected));
    }

    #[test]
    fn stage_2_follows_any_path_from_any_permitted_root(
        row: Index,
        t0sz: Index,
        pick: Index,
        va: u64,
        output in 0..1u64 << 48,
    ) {
        let (tg0, sl0, start, sizes, _) = row.get(&PERMITTED);
        let t0sz = t0sz.index((sizes.end() - sizes.start() + 1) as usize) as u64 + sizes.start();
        let input_bits = 64 - t0sz as u32;
        let va = va & ((1 << input_bits) - 1);
        let start = (usize::try_from(*start).unwrap(), input_bits);
        let path = Path::new(*tg0, start, pick, (va, output), (0x7fc, VMSA));

        let vtcr = 0b101 << 16 | tg0 << 14 | sl0 << 6 | t0sz;
        let mmu = stage2(vtcr, path.root, &path.entries);
        prop_assert_eq!(place(mmu.translate(va, Access::PRIVILEGED_READ)), Ok(path.expected));
    }

    #[test]
    fn mali_follows_any_path(pick: Index, va in 0..1u64 << 48, output in 0..1u64 << 40) {
        let kind = [0, 0b01, 0b01, 0b01];
        let path = Path::new(0b00, (0, 48), pick, (va, output), (0x2c0, kind));

        let registers = MaliRegisters { transtab: path.root | 0b111, memattr: 0 };
        let mmu = Mali::new(Tables::new(&path.entries), registers).unwrap();
        prop_assert_eq!(place(mmu.translate(va, Access::UNPRIVILEGED_READ)), Ok(path.expected));
    }
}
