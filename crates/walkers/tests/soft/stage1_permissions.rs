//! Stage 1: what leaves permit and what tables above them take away.

use walkers::{Access, Permissions, Rights, Walker};

use crate::tables::{IPS_48, lower, permission_fault, place};

/// A leaf with the access flag and `attributes`, under three tables with `tables`' bits.
fn permissions(tcr: u64, leaf: u64, tables: [u64; 3]) -> Permissions {
    let mmu = lower(
        IPS_48 | 16 | tcr,
        0x1000,
        &[
            (0x1000, 0x2003 | tables[0]),
            (0x2000, 0x3003 | tables[1]),
            (0x3000, 0x4003 | tables[2]),
            (0x4000, 0x8703 | leaf),
        ],
    );
    let found = mmu.translate(0, Access::PRIVILEGED_READ).expect("EL1 reads whatever is mapped");
    // What is refused is just what the answer says.
    for access in Access::ALL {
        let tried = mmu.translate(0, access);
        if found.permissions.allow(access) {
            assert_eq!(tried, Ok(found), "{access:?}");
        } else {
            assert_eq!(place(tried), permission_fault(3), "{access:?}");
        }
    }
    found.permissions
}

/// Written as `ls` writes them: privileged, then unprivileged.
fn parse(text: &str) -> Permissions {
    let rights = |text: &str| Rights {
        read: text.contains('r'),
        write: text.contains('w'),
        execute: text.contains('x'),
    };
    let (privileged, unprivileged) = text.split_once(' ').expect("two words");
    Permissions { privileged: rights(privileged), unprivileged: rights(unprivileged) }
}

const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;

/// `AP[2:1]`, bits 7:6.
const fn ap(bits: u64) -> u64 {
    bits << 6
}

/// `APTable[1:0]`, bits 62:61.
const fn ap_table(bits: u64) -> u64 {
    bits << 61
}

/// Table D8-63, and rule `RVWLLR` for the second row: writable at EL0 is not executable at EL1.
#[test]
fn ap_and_the_execute_never_bits_decide_at_a_leaf() {
    for (leaf, expected) in [
        (ap(0b00), "rwx --x"),
        (ap(0b01), "rw- rwx"),
        (ap(0b10), "r-x --x"),
        (ap(0b11), "r-x r-x"),
        (ap(0b00) | UXN, "rwx ---"),
        (ap(0b01) | UXN, "rw- rw-"),
        (ap(0b10) | UXN, "r-x ---"),
        (ap(0b11) | UXN, "r-x r--"),
        (ap(0b00) | PXN, "rw- --x"),
        (ap(0b01) | PXN, "rw- rwx"),
        (ap(0b10) | PXN, "r-- --x"),
        (ap(0b11) | PXN, "r-- r-x"),
        (ap(0b11) | PXN | UXN, "r-- r--"),
    ] {
        assert_eq!(permissions(0, leaf, [0; 3]), parse(expected), "leaf {leaf:#x}");
    }
}

/// Table D8-64, at each of the three levels that have tables.
#[test]
fn ap_table_limits_what_is_below_it() {
    for (table, leaf, expected) in [
        (0b01, ap(0b01), "rwx --x"), // no EL0 write is left, so EL1 may execute
        (0b01, ap(0b11), "r-x --x"),
        (0b10, ap(0b00), "r-x --x"),
        (0b10, ap(0b01), "r-x r-x"),
        (0b11, ap(0b01), "r-x --x"),
        (0b11, ap(0b00), "r-x --x"),
    ] {
        for level in 0..3 {
            let mut tables = [0; 3];
            tables[level] = ap_table(table);
            let found = permissions(0, leaf, tables);
            assert_eq!(found, parse(expected), "APTable {table:#b} at level {level}");
        }
    }
}

#[test]
fn limits_of_several_levels_add_up() {
    let tables = [ap_table(0b01), ap_table(0b10), PXN_TABLE];
    assert_eq!(permissions(0, ap(0b01), tables), parse("r-- --x"));
    let tables = [UXN_TABLE, PXN_TABLE, 0];
    assert_eq!(permissions(0, ap(0b11), tables), parse("r-- r--"));
}

#[test]
fn execute_never_in_a_table_holds_below_it() {
    for level in 0..3 {
        let mut tables = [0; 3];
        tables[level] = UXN_TABLE;
        assert_eq!(permissions(0, ap(0b11), tables), parse("r-x r--"));
        tables[level] = PXN_TABLE;
        assert_eq!(permissions(0, ap(0b11), tables), parse("r-- r-x"));
    }
}

#[test]
fn the_bits_of_a_table_mean_nothing_in_a_leaf() {
    // Bits 62:59 of a leaf belong to others.
    let leaf = ap(0b01) | 0xf << 59;
    assert_eq!(permissions(0, leaf, [0; 3]), parse("rw- rwx"));
}

#[test]
fn hierarchical_permissions_can_be_disabled() {
    let all = ap_table(0b11) | UXN_TABLE | PXN_TABLE;
    // HPD0 is bit 41; HPD1, bit 42, is the other half's.
    assert_eq!(permissions(1 << 41, ap(0b01), [all; 3]), parse("rw- rwx"));
    assert_eq!(permissions(1 << 42, ap(0b01), [all; 3]), parse("r-- ---"));
}
