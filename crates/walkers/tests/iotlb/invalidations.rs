//! What each invalidation drops, and which machines have it.

use walkers::iotlb::Invalidations;
use walkers::{Forget, Mmu};

use crate::memory::{ASID, forget_page, forget_range, path, read};

#[test]
fn a_page_with_a_hint_drops_the_leaf_at_that_level_only() {
    for hint in 0..=3 {
        let (memory, mut mmu) = path(Invalidations::Ranges);
        read(&mut mmu, 0);
        memory.write(0x4000, 0x9007);
        forget_page(&mut mmu, 0, Some(hint), true);
        let expected = if hint == 3 { 0x9000 } else { 0x5000 };
        assert_eq!(read(&mut mmu, 0), Some(expected), "hint {hint}");

        let (memory, mut mmu) = path(Invalidations::Ranges);
        memory.write(0x3000, 0x20_0087);
        read(&mut mmu, 0);
        memory.write(0x3000, 0x40_0087);
        forget_page(&mut mmu, 0x1000, Some(hint), true);
        let expected = if hint == 2 { 0x40_0000 } else { 0x20_0000 };
        assert_eq!(read(&mut mmu, 0), Some(expected), "hint {hint}");
    }
}

#[test]
fn a_page_with_a_hint_drops_the_walks_above_that_level() {
    // The entry of level `changed` leads elsewhere: to tables with a page at 0x9000.
    for (changed, entry) in [(0, 0x1000), (1, 0x2000), (2, 0x3000)] {
        for hint in 0..=3 {
            for leaves_only in [false, true] {
                let (memory, mut mmu) = path(Invalidations::Ranges);
                for (entry, value) in
                    [(0x10_2000, 0x10_3007), (0x10_3000, 0x10_4007), (0x10_4000, 0x9007)]
                {
                    memory.write(entry, value);
                }
                read(&mut mmu, 0);
                memory.write(entry, 0x10_2007 + 0x1000 * changed);
                // Whatever becomes of the walks, the leaf goes.
                forget_page(&mut mmu, 0, Some(hint), leaves_only);
                forget_page(&mut mmu, 0, None, true);
                // The entry at level 2 is above level 3 alone, and nothing above it matters.
                let stale = leaves_only || hint < 3;
                let expected = if stale { 0x5000 } else { 0x9000 };
                let found = read(&mut mmu, 0);
                assert_eq!(found, Some(expected), "{changed} {hint} {leaves_only}");
            }
        }
    }
}

#[test]
fn a_page_without_a_hint_drops_all_around_it() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    read(&mut mmu, 0);
    read(&mut mmu, 0x1000);
    assert_eq!(mmu.remembered(), 5);
    forget_page(&mut mmu, 0, None, false);
    assert_eq!(mmu.remembered(), 1, "the other page");
    memory.write(0x1000, 0);
    assert_eq!(read(&mut mmu, 0x1000), Some(0x6000));
    assert_eq!(read(&mut mmu, 0), None);
}

#[test]
fn a_machine_does_only_what_it_has_commands_for() {
    for (invalidations, by_range, by_page) in [
        (Invalidations::Ranges, true, true),
        (Invalidations::Pages, false, true),
        (Invalidations::Everything, false, false),
    ] {
        let (memory, mut mmu) = path(invalidations);
        let mut check = |change: u64, forget: &mut dyn FnMut(&mut _), obeyed: bool| {
            let before = read(&mut mmu, 0);
            memory.write(0x4000, change | 7);
            forget(&mut mmu);
            let expected = if obeyed { Some(change) } else { before };
            assert_eq!(read(&mut mmu, 0), expected, "{invalidations:?}");
        };
        check(0x9000, &mut |mmu| forget_range(mmu, 0, u64::MAX, false), by_range);
        check(0xa000, &mut |mmu| forget_page(mmu, 0, None, false), by_page);
        check(0xb000, &mut |mmu| mmu.forget(Forget::Space { asid: ASID }).unwrap(), true);
        check(0xc000, &mut |mmu| mmu.forget(Forget::Everything).unwrap(), true);
    }
}

#[test]
fn a_range_with_its_ends_exchanged_is_empty() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    read(&mut mmu, 0x1000);
    memory.write(0x4008, 0);
    forget_range(&mut mmu, 0x3000, 0, false);
    // A range is what lies between its first and its last address.
    assert_eq!(read(&mut mmu, 0x1000), Some(0x6000));
}
