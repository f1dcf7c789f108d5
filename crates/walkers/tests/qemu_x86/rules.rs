//! One rule after the other, with four levels and with five.

use walkers::{Access, AccessKind, FaultKind, Forget, Mmu, X86_64Registers};

use crate::machine::{
    ACCESSED, ALL, DIRTY, LARGE, LAST, NO_EXECUTE, TARGETS, Tables, refused, registers, span_bits,
};
use crate::opinion::{expect, reached};
use crate::x86::rights::Less;

/// The first leaf, the last one, and one amid, of each half.
fn places(tables: &Tables, level: i8) -> Vec<u64> {
    let bits = span_bits(tables.top() - 1);
    let places = [0, 0x12_3456_789a_b000, (1 << (bits - 1)) - 1, 1 << (bits - 1), !0 << 40, !0];
    places
        .iter()
        .map(|place| tables.canonical(*place) >> span_bits(level) << span_bits(level))
        .collect()
}

#[test]
fn leaves_of_every_size_lead_to_their_bytes_in_both_halves() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        for level in 1..=3 {
            tables.clear(five);
            let size = 1u64 << span_bits(level);
            // A gibibyte leads to the beginning of memory.
            let target = TARGETS & !(size - 1);
            let large = if level < 3 { LARGE } else { 0 };
            let mut wanted = Vec::new();
            for (number, place) in (0..).zip(places(&tables, level)) {
                let target = if level == 1 { target } else { target + number * size };
                tables.put(place, level, target | large | ALL);
                let first = TARGETS.max(target) - target;
                let last = LAST.min(target + size - 1) - target;
                for offset in [first, first + 5, first + 0xff8, u64::midpoint(first, last), last] {
                    let answer = reached(target + offset);
                    wanted.extend(Access::ALL.map(|access| (place + offset, access, answer)));
                }
            }
            tables.install(registers(five));
            expect(&mut tables.machine, &wanted);
        }
    }
}

#[test]
fn rights_are_what_all_levels_permit() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        for last in 1..=3 {
            tables.clear(five);
            let large = if last < 3 { LARGE } else { 0 };
            // An entry of the root for each level that lacks something, and each that it lacks.
            let cases: Vec<(i8, Less)> = (tables.top()..=last)
                .flat_map(|level| Less::ALL.map(|less| (level, less)))
                .collect();
            let target = TARGETS & !((1 << span_bits(last)) - 1);
            let address = |number: usize| {
                ((3 * number as u64 + 1) << span_bits(if five { -1 } else { 0 }))
                    + (TARGETS - target)
            };
            for (number, &(level, less)) in cases.iter().enumerate() {
                tables.put(address(number), last, target | large | ALL);
                let place = tables.place(address(number), level);
                tables.write(place, less.of(tables.read(place)));
            }
            for bits in 0..4 {
                let registers =
                    X86_64Registers { wp: bits & 1 != 0, smep: bits & 2 != 0, ..registers(five) };
                tables.install(registers);
                let wanted: Vec<_> = (0..)
                    .zip(&cases)
                    .flat_map(|(number, &(_, less))| {
                        Access::ALL.map(|access| {
                            let answer = if less.permits(registers, access) {
                                reached(TARGETS + 0x778)
                            } else {
                                refused(FaultKind::Permission)
                            };
                            (address(number) + 0x778, access, answer)
                        })
                    })
                    .collect();
                expect(&mut tables.machine, &wanted);
            }
        }
    }
}

#[test]
fn what_is_not_present_is_a_translation_fault_whatever_else_it_holds() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        tables.clear(five);
        for level in tables.top()..=3 {
            for entry in [0, !1, 1 << 51, TARGETS | LARGE | ALL & !1] {
                let address = tables.canonical(0x1ff_9000_0000_0000);
                tables.put(address, tables.top(), 0);
                tables.put(address, level, entry);
                tables.install(registers(five));
                tables.expect_all(address + 1, refused(FaultKind::Translation));
            }
        }
    }
}

#[test]
fn reserved_bits_are_faults_of_their_own_and_come_before_rights() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        let without = X86_64Registers { nxe: false, ..registers(five) };
        // The level, what is added to an entry there, and with which registers.
        let mut cases = vec![(0, LARGE, registers(five))];
        if five {
            cases.push((-1, LARGE, registers(five)));
        }
        for level in if five { -1 } else { 0 }..=3 {
            cases.push((level, NO_EXECUTE, without));
            // Beyond `MAXPHYADDR`.
            cases.extend((46..52).map(|bit| (level, 1 << bit, registers(five))));
        }
        // Below the address of a large leaf, but for PAT.
        cases.extend((13..21).map(|bit| (2, LARGE | 1 << bit, registers(five))));
        cases.extend((13..30).map(|bit| (1, LARGE | 1 << bit, registers(five))));
        for (level, bits, registers) in cases {
            tables.clear(five);
            let address = 0x0000_0100_0000_0000;
            tables.put(address, 3, TARGETS | 1);
            let place = tables.place(address, level);
            let link = tables.read(place);
            let entry = if bits & LARGE == 0 || level < 1 { link } else { ALL };
            tables.write(place, entry | bits);
            tables.install(registers);
            tables.expect_all(address + 0x10, refused(FaultKind::Reserved));
        }
    }
}

#[test]
fn addresses_that_are_not_canonical_are_translation_faults() {
    let Some(mut tables) = Tables::new() else { return };
    for (five, sign) in [(false, 47), (true, 56)] {
        tables.clear(five);
        // Whatever is mapped at what their low bits say.
        let (below, above) = ((1u64 << sign) - 0x1000, !0u64 << sign);
        tables.put(below, 3, TARGETS | ALL);
        tables.put(above, 3, (TARGETS + 0x1000) | ALL);
        tables.install(registers(five));
        for address in
            [1 << sign, above - 8, below | 1 << (sign + 1), above & !(1 << 63), below | 1 << 63]
        {
            tables.expect_all(address, refused(FaultKind::Translation));
        }
        tables.expect_all(below, reached(TARGETS));
        tables.expect_all(above, reached(TARGETS + 0x1000));
    }
}

#[test]
fn what_the_processor_ignores_changes_nothing() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        tables.clear(five);
        let mut wanted = Vec::new();
        // PWT, PCD, PAT, G, and the bits that software may use: 11:9, 62:52.
        for (number, bit) in (0..).zip([3, 4, 7, 8, 9, 10, 11].into_iter().chain(52..63)) {
            let page = number << 30;
            tables.put(page, 3, TARGETS | 1 << bit | ALL);
            let large = page + (1 << 29);
            let pat = if bit == 7 { 1 << 12 } else { 1 << bit };
            tables.put(large, 2, TARGETS | LARGE | pat | ALL);
            for address in [page, large] {
                wanted
                    .extend(Access::ALL.map(|access| (address + 8, access, reached(TARGETS + 8))));
            }
        }
        // In links, bit 8 among them, which the model reserves above page directories.
        for (number, bit) in (64..).zip([3, 4, 6, 8, 9, 10, 11].into_iter().chain(52..63)) {
            let page = number << 30;
            tables.put(page, 3, TARGETS | ALL);
            for level in 1..3 {
                let place = tables.place(page, level);
                tables.write(place, tables.read(place) | 1 << bit);
            }
            wanted.extend(Access::ALL.map(|access| (page + 8, access, reached(TARGETS + 8))));
        }
        tables.install(registers(five));
        expect(&mut tables.machine, &wanted);
    }
}

#[test]
fn flags_are_set_at_all_levels_below_the_root_and_dirty_in_the_leaf() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        for (last, large) in [(1, LARGE), (2, LARGE), (3, 0)] {
            for access in Access::ALL {
                tables.clear(five);
                // A gibibyte leads to the beginning of memory.
                let (target, address) =
                    if last == 1 { (0, TARGETS) } else { (TARGETS, 0x0000_7000_0000_0000) };
                tables.put(address, last, target | large | ALL);
                tables.install(registers(five));
                // What a write is loaded with first sets no more.
                expect(&mut tables.machine, &[(address, access, reached(TARGETS))]);
                for level in tables.top() + 1..=last {
                    let place = tables.place(address, level);
                    let write = access.kind == AccessKind::Write && level == last;
                    let flags = ACCESSED | if write { DIRTY } else { 0 };
                    assert_eq!(
                        tables.read(place) & (ACCESSED | DIRTY),
                        flags,
                        "{access:?} {level}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_walked_is_remembered_until_it_is_forgotten() {
    let Some(mut tables) = Tables::new() else { return };
    let address = 0x0000_6543_2101_2000;
    let (asid, leaves_only) = (7, false);
    let ways = [
        Forget::Everything,
        Forget::Space { asid },
        Forget::Range { asid, first: address, last: address, leaves_only },
        Forget::Range { asid, first: 0, last: u64::MAX, leaves_only },
        Forget::Page { asid, address, level: None, leaves_only },
    ];
    for five in [false, true] {
        for what in ways {
            tables.clear(five);
            let place = tables.put(address, 3, TARGETS | ALL);
            tables.install(registers(five));
            tables.expect_all(address, reached(TARGETS));
            tables.write(place, (LAST - 0xfff) | ALL);
            tables.expect_all(address, reached(TARGETS));
            tables.machine.forget(Forget::Space { asid: 8 }).unwrap();
            tables.expect_all(address, reached(TARGETS));
            tables.machine.forget(what).unwrap();
            tables.expect_all(address, reached(LAST - 0xfff));
        }
    }
}

#[test]
fn what_changed_at_any_level_shows_once_it_is_forgotten() {
    let Some(mut tables) = Tables::new() else { return };
    let address = 0x0000_6543_2101_2000;
    for five in [false, true] {
        tables.clear(five);
        tables.put(address, 3, TARGETS | ALL);
        tables.install(registers(five));
        for level in tables.top()..=3 {
            tables.expect_all(address, reached(TARGETS));
            let place = tables.place(address, level);
            let before = tables.read(place);
            tables.write(place, 0);
            let what = Forget::Range { asid: 7, first: address, last: address, leaves_only: false };
            tables.machine.forget(what).unwrap();
            tables.expect_all(address, refused(FaultKind::Translation));
            tables.write(place, before);
        }
    }
}

#[test]
fn a_batch_may_need_every_entry_of_the_root() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        tables.clear(five);
        let top = span_bits(tables.top());
        let address = |tables: &Tables, slot: u64| tables.canonical(slot << top | 0x1_2345_6000);
        let mut wanted = Vec::new();
        for slot in 0..512 {
            // Some of the slots have nothing.
            let answer = if slot % 16 == 3 {
                refused(FaultKind::Translation)
            } else {
                let target = TARGETS + (slot << 12);
                tables.put(address(&tables, slot), 3, target | ALL);
                reached(target + 8)
            };
            wanted.extend(Access::ALL.map(|access| (address(&tables, slot) + 8, access, answer)));
        }
        tables.install(registers(five));
        expect(&mut tables.machine, &wanted);
        // In the other order: other slots come first.
        wanted.reverse();
        expect(&mut tables.machine, &wanted);
    }
}
