//! The flags that the processor sets in tables.

use walkers::Access;

use crate::tables::{ALL, LARGE, Tables};

const TARGET: u64 = 0x15_c000_0000;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

#[test]
fn reads_set_accessed_at_all_levels_below_the_root_and_writes_dirty_in_the_leaf() {
    let Some(mut tables) = Tables::new() else { return };
    for (number, access) in (0..).zip(Access::ALL) {
        for (last, large) in [(2, LARGE), (3, 0)] {
            let address = (number << 40) | u64::from(last) << 32;
            tables.put(address, last, TARGET | large | ALL);
            tables.ask(address, access).unwrap();
            let write = access.kind == walkers::AccessKind::Write;
            for level in 1..=last {
                let at = tables.entry(address, level);
                let dirty = if write && level == last { DIRTY } else { 0 };
                let flags = tables.read(at) & (ACCESSED | DIRTY);
                assert_eq!(flags, ACCESSED | dirty, "{access:?} at level {level}");
            }
        }
    }
}

#[test]
fn a_page_becomes_dirty_when_it_is_written_after_it_was_read() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0x5000, 3, TARGET | ALL);
    tables.ask(0x5000, Access::UNPRIVILEGED_READ).unwrap();
    let at = tables.entry(0x5000, 3);
    assert_eq!(tables.read(at) & (ACCESSED | DIRTY), ACCESSED);
    tables.ask(0x5000, Access::UNPRIVILEGED_WRITE).unwrap();
    assert_eq!(tables.read(at) & (ACCESSED | DIRTY), ACCESSED | DIRTY);
}

#[test]
fn a_refused_write_sets_nothing_dirty() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0, 3, TARGET | ALL & !2);
    tables.ask(0, Access::PRIVILEGED_WRITE).unwrap_err();
    let at = tables.entry(0, 3);
    assert_eq!(tables.read(at) & DIRTY, 0);
}
