//! `NS` and `NSTable`.

use walkers::{Access, Walker};

use crate::tables::{IPS_48, lower, stage2};

const NS: u64 = 1 << 5;
const NS_TABLE: u64 = 1 << 63;

fn non_secure(tcr: u64, tables: [u64; 3], leaf: u64) -> bool {
    let entries = [
        (0x1000, 0x2003 | tables[0]),
        (0x2000, 0x3003 | tables[1]),
        (0x3000, 0x4003 | tables[2]),
        (0x4000, 0x8703 | leaf),
    ];
    let mmu = lower(tcr | IPS_48 | 16, 0x1000, &entries);
    mmu.translate(0, Access::PRIVILEGED_READ).expect("it is mapped").non_secure
}

#[test]
fn the_output_is_non_secure_if_the_leaf_or_any_table_says_so() {
    assert!(!non_secure(0, [0; 3], 0));
    assert!(non_secure(0, [0; 3], NS));
    for level in 0..3 {
        let mut tables = [0; 3];
        tables[level] = NS_TABLE;
        assert!(non_secure(0, tables, 0));
        // HPD0 switches permissions off, not this.
        assert!(non_secure(1 << 41, tables, 0));
    }
}

#[test]
fn the_bits_mean_something_else_elsewhere() {
    // A table's bit 5 and a leaf's bit 63 are ignored.
    assert!(!non_secure(0, [NS; 3], NS_TABLE));
    // Stage 2: bit 5 is MemAttr[3].
    let mmu = stage2(0b101 << 16 | 0b01 << 6 | 25, 0x1000, &[(0x1000, 0x7fd)]);
    assert!(!mmu.translate(0, Access::PRIVILEGED_READ).unwrap().non_secure);
}
