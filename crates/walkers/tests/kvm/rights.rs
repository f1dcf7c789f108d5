//! Who may do what, and why not.

use walkers::{Access, FaultKind, X86_64Registers};

use crate::tables::{ALL, LARGE, NO_EXECUTE, RAM, REGISTERS, Tables, reached, refused};
use crate::x86::rights::Less;

const TARGET: u64 = 0x15_c000_0000;

#[test]
fn rights_are_what_all_levels_permit() {
    let Some(mut tables) = Tables::new() else { return };
    for last in [2, 3] {
        for level in 0..=last {
            for less in Less::ALL {
                for bits in 0..4u64 {
                    let registers =
                        X86_64Registers { wp: bits & 1 != 0, smep: bits & 2 != 0, ..REGISTERS };
                    let address = 0x0000_2345_4000_0000;
                    let large = if last < 3 { LARGE } else { 0 };
                    tables.put(address, 0, 0);
                    tables.put(address, last, TARGET | large | ALL);
                    let at = tables.entry(address, level);
                    tables.write(at, less.of(tables.read(at)));
                    tables.install(registers);
                    let answers = tables.ask_each(address + 0x777);
                    for (access, answer) in Access::ALL.into_iter().zip(answers) {
                        let expected = if less.permits(registers, access) {
                            reached(TARGET + 0x777)
                        } else {
                            refused(FaultKind::Permission)
                        };
                        assert_eq!(
                            answer, expected,
                            "{access:?} without {less:?} at level {level}, {registers:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_not_present_is_a_translation_fault_whatever_else_it_holds() {
    let Some(mut tables) = Tables::new() else { return };
    for level in 0..4 {
        for entry in [0, !1, 1 << 51, TARGET | LARGE | ALL & !1] {
            let address = 0xffff_9000_0000_0000;
            tables.put(address, 0, 0);
            tables.put(address, level, entry);
            tables.install(REGISTERS);
            let answers = tables.ask_each(address + 1);
            assert_eq!(answers, vec![refused(FaultKind::Translation); 6], "{entry:#x} {level}");
        }
    }
}

#[test]
fn reserved_bits_are_faults_of_their_own() {
    let Some(mut tables) = Tables::new() else { return };
    let without = X86_64Registers { nxe: false, ..REGISTERS };
    let bits = tables.physical_bits();
    // The level, what is added to an entry there, and with which registers.
    let mut cases = vec![(0, LARGE, REGISTERS)];
    for level in 0..4 {
        cases.push((level, NO_EXECUTE, without));
        // Few processors have 52 bits of physical address; those take it for a target.
        if bits < 52 {
            cases.push((level, 1 << 51, REGISTERS));
            cases.push((level, 1 << bits, REGISTERS));
        }
    }
    // Below the address of a large leaf, but for PAT.
    cases.extend((13..21).map(|bit| (2, LARGE | 1 << bit, REGISTERS)));
    for (level, bits, registers) in cases {
        let address = 0x0000_0100_0000_0000;
        tables.put(address, 0, 0);
        tables.put(address, 3, TARGET | ALL);
        let at = tables.entry(address, level);
        let entry = tables.read(at);
        tables.write(at, if bits & LARGE == 0 { entry } else { TARGET | ALL } | bits);
        tables.install(registers);
        let answers = tables.ask_each(address + 0x10);
        assert_eq!(answers, vec![refused(FaultKind::Reserved); 6], "{bits:#x} at level {level}");
    }
}

#[test]
fn reserved_bits_come_before_rights() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0, 3, TARGET | 1); // Neither writable nor a user's.
    tables.put(0, 0, tables.read(RAM) | LARGE);
    assert_eq!(tables.ask_each(0), vec![refused(FaultKind::Reserved); 6]);
}

#[test]
fn addresses_that_are_not_canonical_are_translation_faults() {
    let Some(mut tables) = Tables::new() else { return };
    // Whatever is mapped at what their low bits say.
    tables.put(0x0000_7fff_ffff_f000, 3, TARGET | ALL);
    tables.put(0xffff_8000_0000_0000, 3, TARGET | ALL);
    for address in [
        0x0000_8000_0000_0000,
        0xffff_7fff_ffff_ffff,
        0x0001_7fff_ffff_f123,
        0x8000_0000_0000_0000,
        0x7fff_ffff_ffff_ffff,
    ] {
        let answers = tables.ask_each(address);
        assert_eq!(answers, vec![refused(FaultKind::Translation); 6], "{address:#x}");
    }
    assert_eq!(tables.ask(0xffff_8000_0000_0000, Access::PRIVILEGED_READ), reached(TARGET));
}

#[test]
fn each_answer_belongs_to_its_request() {
    let Some(mut tables) = Tables::new() else { return };
    let leaves = [ALL, 1, 3, 5, 7 | NO_EXECUTE, 0];
    for (page, rights) in (0..).zip(leaves) {
        tables.put(page << 12, 3, (TARGET + (page << 12)) | rights);
    }
    let requests: Vec<_> = (0..leaves.len() as u64)
        .flat_map(|page| {
            Access::ALL.map(|access| walkers::Request { address: page << 12 | 0x321, access })
        })
        .collect();
    let together = tables.ask_all(&requests).unwrap();
    for (request, answer) in requests.into_iter().zip(together) {
        assert_eq!(tables.ask(request.address, request.access), answer, "{request:?}");
        if let Ok(reached) = answer {
            assert_eq!(reached.address, TARGET + request.address);
        }
    }
}
