//! One rule after the other, in all six modes.

use walkers::{Access, AccessKind, Answer, Forget, Mmu, PhysMemory, Privilege, Refusal, Request};

use crate::machine::{
    A, D, LAST, Mode, NAPOT, R, Switches, TABLES, TARGETS, Tree, U, V, W, X, entry, machine,
    span_bits,
};
use crate::opinion::{expect, reached};

const REFUSED: Answer = Err(Refusal { kind: None, level: None });

/// What a leaf with `bits` permits.
fn permitted(mode: Mode, switches: Switches, bits: u64, access: Access) -> bool {
    let user = bits & U != 0;
    // At the G-stage, every access is a user's.
    let unprivileged = mode.guest || access.privilege == Privilege::Unprivileged;
    let data = access.kind != AccessKind::Execute;
    let whose = if unprivileged { user } else { !user || data && switches.sum };
    whose
        && match access.kind {
            AccessKind::Read => bits & R != 0 || switches.mxr && bits & X != 0,
            AccessKind::Write => bits & W != 0,
            AccessKind::Execute => bits & X != 0,
        }
}

#[test]
fn every_level_and_permission_is_walked_in_every_mode() {
    let Some((ram, mut machine)) = machine() else { return };
    for mode in Mode::all() {
        for switches in [(false, false), (true, false), (false, true)] {
            if mode.guest && (switches.0 || switches.1) {
                continue;
            }
            let switches = Switches { sum: switches.0, mxr: switches.1, ..Switches::default() };
            let mut tree = Tree::new(&ram, mode);
            let mut wanted = Vec::new();
            for level in mode.top()..=3 {
                for number in 0..8u64 {
                    let leaf = [R, R | W, X, R | X, R | W | X, R | U, R | W | X | U, X | U];
                    let bits = leaf[number as usize] | V | A | D;
                    let span = span_bits(level);
                    // From the second eighth on; half of them in the upper half.
                    let base =
                        (u64::from((3 - level).unsigned_abs()) + 1) << (mode.input_bits() - 4);
                    let index =
                        if level == mode.top() { base >> span } else { base >> span | number };
                    // Each of the top level has an entry of its own.
                    let index = index + if level == mode.top() { number } else { 0 };
                    let low = index << span | u64::from(number % 2 == 1) << (mode.input_bits() - 1);
                    let at = if !mode.guest && number % 2 == 1 {
                        low | u64::MAX << mode.input_bits()
                    } else {
                        low
                    };
                    // A leaf of a gibibyte and more leads to the beginning of memory, or to zero.
                    let inside = 0x1238 + (number << 12);
                    let to = TARGETS & !((1 << span) - 1);
                    let offset = TARGETS - to + if level == 3 { inside & 0xfff } else { inside };
                    tree.map(at, level, to, bits);
                    for access in Access::ALL {
                        let answer = if permitted(mode, switches, bits, access) {
                            reached(to + offset + 3)
                        } else {
                            REFUSED
                        };
                        wanted.push((at + offset + 3, access, answer));
                    }
                }
            }
            // Beside all of that.
            for access in Access::ALL {
                wanted.push((8, access, REFUSED));
                wanted.push((1 << mode.input_bits(), access, REFUSED));
                wanted.push((1 << 63, access, REFUSED));
            }
            let regime = mode.regime(tree.root, switches);
            machine.install(&regime, 3).unwrap();
            expect(&mut machine, &wanted);
        }
    }
}

#[test]
fn flags_are_set_by_hardware_or_faults() {
    let Some((ram, mut machine)) = machine() else { return };
    for mode in Mode::all() {
        for adue in [false, true] {
            let mut tree = Tree::new(&ram, mode);
            let fresh = tree.map(0x1000, 3, TARGETS, V | R | W | X | U);
            let clean = tree.map(0x2000, 3, TARGETS, V | R | W | X | U | A);
            machine
                .install(&mode.regime(tree.root, Switches { adue, ..Switches::default() }), 3)
                .unwrap();
            let answer = if adue { reached(TARGETS) } else { REFUSED };
            expect(
                &mut machine,
                &[
                    (0x1000, Access::UNPRIVILEGED_READ, answer),
                    (0x1000, Access::UNPRIVILEGED_EXECUTE, answer),
                    (0x2000, Access::UNPRIVILEGED_READ, reached(TARGETS)),
                    (0x2000, Access::UNPRIVILEGED_WRITE, answer),
                ],
            );
            let flags = |place| ram.read_u64(place).unwrap() & (A | D);
            assert_eq!((flags(fresh), flags(clean)), if adue { (A, A | D) } else { (0, A) });
        }
    }
}

#[test]
fn groups_and_memory_types_are_there_if_the_registers_say_so() {
    let Some((ram, mut machine)) = machine() else { return };
    let all = V | R | W | X | U | A | D;
    for mode in Mode::all() {
        for (napot, pbmt) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut tree = Tree::new(&ram, mode);
            for page in 0..16 {
                tree.map(0x1_0000 + (page << 12), 3, TARGETS + 0x8000, all | NAPOT);
            }
            let place = tree.place(0x2_0000, 3);
            ram.write_u64(place, entry(TARGETS, all) | 1 << 61);
            ram.write_u64(place + 8, entry(TARGETS, all) | 2 << 61);
            ram.write_u64(place + 16, entry(TARGETS, all) | 3 << 61);
            let switches = Switches { pbmt, napot, ..Switches::default() };
            machine.install(&mode.regime(tree.root, switches), 3).unwrap();
            let if_there = |there, address| if there { reached(address) } else { REFUSED };
            for access in [
                Access::UNPRIVILEGED_READ,
                Access::UNPRIVILEGED_WRITE,
                Access::UNPRIVILEGED_EXECUTE,
            ] {
                expect(
                    &mut machine,
                    &[
                        (0x1_5008, access, if_there(napot, TARGETS + 0x5008)),
                        (0x1_f008, access, if_there(napot, TARGETS + 0xf008)),
                        (0x2_0008, access, if_there(pbmt, TARGETS + 8)),
                        (0x2_1008, access, if_there(pbmt, TARGETS + 8)),
                    ],
                );
                // The reserved type is only refused with all others.
                if !pbmt {
                    expect(&mut machine, &[(0x2_2008, access, REFUSED)]);
                }
            }
        }
    }
}

#[test]
fn reserved_entries_are_faults() {
    let Some((ram, mut machine)) = machine() else { return };
    let all = V | R | W | X | U | A | D;
    for mode in Mode::all() {
        let mut tree = Tree::new(&ram, mode);
        let place = tree.place(0, 3);
        let below = tree.allocate(1 << 12);
        let entries = [
            entry(TARGETS, all & !R),
            entry(TARGETS, all & !V),
            entry(TARGETS, all) | 1 << 54,
            entry(TARGETS, all) | 1 << 60,
            // A pointer at the last level.
            entry(below, V),
        ];
        let mut wanted = Vec::new();
        for (index, entry) in (0..).zip(entries) {
            ram.write_u64(place + 8 * index, entry);
            wanted.extend(Access::ALL.map(|access| (index << 12, access, REFUSED)));
        }
        // A superpage that is not aligned, and a pointer with flags.
        let at = 1 << 30;
        tree.map(at, 2, TARGETS + 0x1000, all);
        tree.map(2 * at, 2, below, V | A | D | U);
        ram.write_u64(below, entry(TARGETS, all));
        for access in Access::ALL {
            wanted.push((at, access, REFUSED));
            wanted.push((2 * at, access, REFUSED));
        }
        machine.install(&mode.regime(tree.root, Switches::default()), 3).unwrap();
        expect(&mut machine, &wanted);
    }
}

#[test]
fn what_was_walked_is_remembered_until_it_is_forgotten() {
    let Some((ram, mut machine)) = machine() else { return };
    let all = V | R | W | X | U | A | D;
    let says = [
        Forget::Everything,
        Forget::Space { asid: 3 },
        Forget::Range { asid: 3, first: 0x5000, last: 0x5fff, leaves_only: true },
        Forget::Page { asid: 3, address: 0x5000, level: Some(3), leaves_only: true },
    ];
    for mode in Mode::all() {
        for what in says {
            let mut tree = Tree::new(&ram, mode);
            let place = tree.map(0x5000, 3, TARGETS, all);
            let regime = mode.regime(tree.root, Switches::default());
            assert_eq!(machine.says(&regime).unwrap().remembers, !mode.guest);
            machine.install(&regime, 3).unwrap();
            let at = |to| {
                // A fetch in a guest makes it forget.
                Access::ALL[3..if mode.guest { 5 } else { 6 }]
                    .iter()
                    .map(|&access| (0x5018, access, reached(to)))
                    .collect::<Vec<_>>()
            };
            expect(&mut machine, &at(TARGETS + 0x18));
            ram.write_u64(place, entry(LAST - 0xfff, all));
            expect(&mut machine, &at(TARGETS + 0x18));
            machine.forget(what).unwrap();
            expect(&mut machine, &at(LAST - 0xfff + 0x18));
        }
    }
}

#[test]
fn leaves_that_lead_elsewhere_are_errors() {
    let Some((ram, mut machine)) = machine() else { return };
    for mode in Mode::all() {
        let mut tree = Tree::new(&ram, mode);
        tree.map(0x5000, 3, TABLES, V | R | W | X | U | A | D);
        machine.install(&mode.regime(tree.root, Switches::default()), 3).unwrap();
        let request = Request { address: 0x5000, access: Access::UNPRIVILEGED_READ };
        let error = machine.translate(&[request], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("no target"), "{error}");
    }
}
