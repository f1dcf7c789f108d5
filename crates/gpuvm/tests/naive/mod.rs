//! What mappings mean, worked out the slow way: pages one by one, tables one by one.

use std::collections::{BTreeMap, BTreeSet};

use gpuvm::Space;
use iopgtable::{Geometry, LAST_LEVEL};

/// A canonical leaf: its first address, and its length in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) first: u64,
    pub(crate) bytes: u64,
}

/// The leaves of all mappings: greedily the largest size that is aligned in both address spaces
/// and fits into what is left of mapping and segment.
pub(crate) fn leaves(geometry: &Geometry, space: &Space) -> Vec<Leaf> {
    let sizes: Vec<u64> = geometry.leaf_sizes().collect();
    let mut leaves = Vec::new();
    for mapping in space.iter() {
        let mut first = mapping.range.first().0;
        for run in mapping.runs() {
            let (mut phys, mut left) = (run.phys.0, run.bytes);
            while left > 0 {
                let fits =
                    |size: &&u64| first % **size == 0 && phys % **size == 0 && left >= **size;
                let bytes = *sizes.iter().find(fits).expect("a page always fits");
                leaves.push(Leaf { first, bytes });
                // At the very top, the next address would be 2^64.
                first = first.wrapping_add(bytes);
                phys += bytes;
                left -= bytes;
            }
        }
        assert_eq!(
            first.wrapping_sub(1),
            mapping.range.last().0,
            "runs are as long as their mapping"
        );
    }
    leaves
}

/// The tables at each level: a table is there if a leaf needs it on its way, and not otherwise.
pub(crate) fn tables(geometry: &Geometry, leaves: &[Leaf]) -> BTreeMap<i8, BTreeSet<u64>> {
    let mut tables: BTreeMap<i8, BTreeSet<u64>> = BTreeMap::new();
    for leaf in leaves {
        for level in geometry.first_level() + 1..=LAST_LEVEL {
            // A leaf stands in the smallest table that is larger than it is.
            if 1 << geometry.table_shift(level) > leaf.bytes {
                tables.entry(level).or_default().insert(leaf.first >> geometry.table_shift(level));
            }
        }
    }
    tables
}
