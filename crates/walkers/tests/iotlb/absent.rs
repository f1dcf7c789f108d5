//! Entries that make a walk fault.

use walkers::Mmu;
use walkers::iotlb::{Invalidations, Iotlb};

use crate::memory::{ASID, Memory, PATH, forget_range, path, read, x86_64};

#[test]
fn no_entry_that_makes_a_walk_fault_is_kept() {
    // Absent, and with a reserved bit.
    for bad in [0, 1 << 50 | 7] {
        for (entry, good) in PATH.into_iter().take(4) {
            let (memory, mut mmu) = path(Invalidations::Ranges);
            memory.write(entry, bad);
            assert_eq!(read(&mut mmu, 0), None);
            memory.write(entry, good);
            assert_eq!(read(&mut mmu, 0), Some(0x5000));
        }
    }
}

#[test]
fn the_way_to_such_an_entry_is_kept() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    memory.write(0x4000, 0);
    assert_eq!(read(&mut mmu, 0), None);
    memory.write(0x1000, 0);
    assert_eq!(read(&mut mmu, 0x1000), Some(0x6000), "stale");
}

#[test]
fn absent_entries_are_kept_where_that_is_asked_for() {
    for (index, (entry, good)) in PATH.into_iter().take(4).enumerate() {
        let memory = Memory::new(&PATH);
        memory.write(entry, 0);
        let mut mmu = Iotlb::new(memory.clone(), Invalidations::Ranges).with_absent_entries();
        mmu.install(&x86_64(0x1000), ASID).unwrap();
        assert_eq!(read(&mut mmu, 0), None);
        memory.write(entry, good);
        assert_eq!(read(&mut mmu, 0), None, "stale");
        // All that the entry is for.
        let other = if index == 3 { Some(0x6000) } else { None };
        assert_eq!(read(&mut mmu, 0x1000), other);
        forget_range(&mut mmu, 0, 0, true);
        assert_eq!(read(&mut mmu, 0), Some(0x5000));
        // A reserved bit is not absence.
        forget_range(&mut mmu, 0, 0, false);
        memory.write(entry, 1 << 50 | good);
        assert_eq!(read(&mut mmu, 0), None);
        memory.write(entry, good);
        assert_eq!(read(&mut mmu, 0), Some(0x5000));
    }
}
