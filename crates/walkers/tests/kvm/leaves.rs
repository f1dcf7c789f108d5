//! Where leaves lead.

use walkers::{FaultKind, Mmu, Regime};

use crate::tables::{ALL, LARGE, REGISTERS, Tables, reached, refused};

/// The first and the last page of each half, and one amid.
const PLACES: [u64; 6] = [
    0,
    0x0000_1234_5678_9000,
    0x0000_7fff_ffff_f000,
    0xffff_8000_0000_0000,
    0xffff_8765_4321_0000,
    0xffff_ffff_ffff_f000,
];

fn check(level: u32, size: u64) {
    let Some(mut tables) = Tables::new() else { return };
    let large = if level < 3 { LARGE } else { 0 };
    for (number, place) in (0..).zip(PLACES) {
        let first = place & !(size - 1);
        let target = 0x15_c000_0000 + number * size;
        tables.put(first, level, target | large | ALL);
        for offset in [0, 1, 0xfff, (size / 2 + 0x123) & (size - 1), size - 1] {
            let expected = vec![reached(target + offset); 6];
            assert_eq!(tables.ask_each(first + offset), expected, "{first:#x} + {offset:#x}");
        }
    }
}

#[test]
fn pages_lead_to_each_of_their_bytes() {
    check(3, 1 << 12);
}

#[test]
fn leaves_of_2_mib_lead_to_each_of_their_bytes() {
    check(2, 1 << 21);
}

#[test]
fn leaves_of_1_gib_lead_to_their_bytes_where_there_are_any_and_are_reserved_elsewhere() {
    let Some(mut tables) = Tables::new() else { return };
    let says = tables.kvm.says(&Regime::X86_64(REGISTERS)).unwrap();
    if says.largest_leaf >= 1 << 30 {
        return check(1, 1 << 30);
    }
    tables.put(0, 1, 0x15_c000_0000 | LARGE | ALL);
    assert_eq!(tables.ask_each(0x1234), vec![refused(FaultKind::Reserved); 6]);
}

#[test]
fn targets_are_what_it_says() {
    let Some(mut tables) = Tables::new() else { return };
    let (first, last) = tables.kvm.says(&Regime::X86_64(REGISTERS)).unwrap().targets;
    assert_eq!((first & 0xfff, last & 0xfff), (0, 0xfff));
    tables.put(0, 3, first | ALL);
    tables.put(0x1000, 3, last & !0xfff | ALL);
    // What lies before the RAM is as good, though it does not say so.
    tables.put(0x2000, 3, ALL);
    for (address, target) in [(0, first), (0x1fff, last), (0x2345, 0x345)] {
        assert_eq!(tables.ask_each(address), vec![reached(target); 6]);
    }
}

#[test]
fn what_the_processor_ignores_changes_nothing() {
    let Some(mut tables) = Tables::new() else { return };
    // PWT, PCD, PAT, G, and the bits that software may use: 11:9, 62:52.
    for (bit, level) in
        [3, 4, 7, 8, 9, 10, 11].into_iter().chain(52..63).zip([3, 2].into_iter().cycle())
    {
        // Bit 7 is PAT in a page only; in a large leaf PAT is bit 12.
        let leaf = match (level, bit) {
            (2, 7) => 0x15_c000_0000 | LARGE | 1 << 12 | ALL,
            (2, bit) => 0x15_c000_0000 | LARGE | 1 << bit | ALL,
            (_, bit) => 0x15_c000_0000 | 1 << bit | ALL,
        };
        let address = bit << 30;
        tables.put(address, level, leaf);
        assert_eq!(tables.ask_each(address + 0x10), vec![reached(0x15_c000_0010); 6], "{leaf:#x}");
    }
}
