//! What changes in tables, and when it shows.

use walkers::{Access, FaultKind, Forget, Mmu};

use crate::tables::{ALL, RAM, Tables, reached, refused};

const TARGET: u64 = 0x15_c000_0000;
const READS: [Access; 2] = [Access::PRIVILEGED_READ, Access::UNPRIVILEGED_READ];

/// The ways to say that everything at `address` is stale.
fn ways(address: u64) -> [Forget; 6] {
    let (asid, leaves_only) = (7, false);
    [
        Forget::Everything,
        Forget::Space { asid },
        Forget::Range { asid, first: address, last: address, leaves_only },
        Forget::Range { asid, first: address & !0xfff, last: address | 0xfff, leaves_only },
        Forget::Range { asid, first: 0, last: u64::MAX, leaves_only },
        Forget::Page { asid, address, level: None, leaves_only },
    ]
}

#[test]
fn what_changed_at_any_level_shows_once_it_is_forgotten() {
    let Some(mut tables) = Tables::new() else { return };
    let address = 0x0000_6543_2101_2345;
    tables.put(address, 3, TARGET | ALL);
    for way in ways(address) {
        for level in 0..4 {
            for access in READS {
                assert_eq!(tables.ask(address, access), reached(TARGET | 0x345));
                let at = tables.entry(address, level);
                let before = tables.read(at);
                tables.write(at, 0);
                tables.kvm.forget(way).unwrap();
                assert_eq!(tables.ask(address, access), refused(FaultKind::Translation));
                tables.write(at, before);
            }
        }
    }
}

#[test]
fn what_was_not_present_shows_at_once() {
    let Some(mut tables) = Tables::new() else { return };
    let address = 0xffff_abcd_e000_0000;
    tables.put(address, 3, TARGET | ALL);
    let entries: Vec<(u64, u64)> = (0..4)
        .map(|level| {
            let at = tables.entry(address, level);
            (at, tables.read(at))
        })
        .collect();
    for access in READS {
        for &(at, _) in &entries {
            tables.write(at, 0);
        }
        tables.kvm.forget(Forget::Everything).unwrap();
        for &(at, entry) in &entries {
            assert_eq!(tables.ask(address, access), refused(FaultKind::Translation));
            tables.write(at, entry);
        }
        assert_eq!(tables.ask(address, access), reached(TARGET));
    }
}

#[test]
fn rights_that_are_taken_away_are_gone_once_it_is_forgotten() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0x3000, 3, TARGET | ALL);
    assert_eq!(tables.ask(0x3000, Access::UNPRIVILEGED_WRITE), reached(TARGET));
    tables.put(0x3000, 3, TARGET | 1);
    let way = Forget::Range { asid: 7, first: 0x3000, last: 0x3fff, leaves_only: true };
    tables.kvm.forget(way).unwrap();
    let access = Access::UNPRIVILEGED_WRITE;
    assert_eq!(tables.ask(0x3000, access), refused(FaultKind::Permission));
}

#[test]
fn another_address_space_has_nothing_to_forget() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0x3000, 3, TARGET | ALL);
    tables.kvm.forget(Forget::Space { asid: 8 }).unwrap();
    assert_eq!(tables.ask(0x3000, Access::PRIVILEGED_READ), reached(TARGET));
}

#[test]
fn another_root_is_walked_once_it_is_installed() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0x3000, 3, TARGET | ALL);
    assert_eq!(tables.ask(0x3000, Access::PRIVILEGED_READ), reached(TARGET));
    let other = tables.table();
    tables.install(walkers::X86_64Registers { cr3: other, ..crate::tables::REGISTERS });
    let access = Access::PRIVILEGED_READ;
    assert_eq!(tables.ask(0x3000, access), refused(FaultKind::Translation));
    // A process-context identifier, and the bits for caches, do not matter.
    tables.install(walkers::X86_64Registers { cr3: RAM | 0x1f, ..crate::tables::REGISTERS });
    assert_eq!(tables.ask(0x3000, access), reached(TARGET));
}
