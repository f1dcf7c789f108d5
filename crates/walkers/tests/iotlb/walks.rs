//! What is kept of a walk, and what a stale entry does.

use walkers::iotlb::Invalidations;
use walkers::{Access, Mmu, Regime, Says, VtdSecondStageRegisters};

use crate::memory::{ASID, Memory, PATH, READ, ask, forget_page, forget_range, path, read, x86_64};

#[test]
fn a_leaf_is_kept_until_it_is_forgotten() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    assert_eq!(read(&mut mmu, 0x123), Some(0x5123));
    memory.write(0x4000, 0x9007);
    assert_eq!(read(&mut mmu, 0x456), Some(0x5456), "stale");
    forget_range(&mut mmu, 0x1000, u64::MAX, false);
    assert_eq!(read(&mut mmu, 0x456), Some(0x5456), "another page was forgotten");
    forget_range(&mut mmu, 0xfff, 0xfff, true);
    assert_eq!(read(&mut mmu, 0x456), Some(0x9456));
}

#[test]
fn a_leaf_is_kept_alone() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    assert_eq!(read(&mut mmu, 0), Some(0x5000));
    memory.write(0x4008, 0x9007);
    assert_eq!(read(&mut mmu, 0x1000), Some(0x9000), "it was not walked before");
}

#[test]
fn walks_go_on_from_the_deepest_entry_that_is_kept() {
    for (level, entry) in [(0, 0x1000), (1, 0x2000), (2, 0x3000)] {
        let (memory, mut mmu) = path(Invalidations::Ranges);
        read(&mut mmu, 0);
        memory.write(entry, 0);
        // A page that was not walked before, in a table that was.
        assert_eq!(read(&mut mmu, 0x1000), Some(0x6000), "stale, level {level}");
        forget_range(&mut mmu, 0, 0xfff, true);
        assert_eq!(read(&mut mmu, 0), Some(0x5000), "leaves only, level {level}");
        forget_range(&mut mmu, 0, 0xfff, false);
        assert_eq!(read(&mut mmu, 0), None, "level {level}");
        assert_eq!(read(&mut mmu, 0x1000), Some(0x6000), "its leaf is kept");
    }
}

#[test]
fn entries_above_the_deepest_one_do_not_matter_even_where_they_were_forgotten() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    // A second table of pages, below the same page directory.
    memory.write(0x3008, 0x7007);
    memory.write(0x7000, 0x8007);
    memory.write(0x7008, 0x9007);
    read(&mut mmu, 0);
    read(&mut mmu, 2 << 20);
    // All on the way to page 0 goes: the three upper entries with it.
    forget_range(&mut mmu, 0, 0xfff, false);
    memory.write(0x1000, 0);
    assert_eq!(read(&mut mmu, 0), None);
    assert_eq!(read(&mut mmu, (2 << 20) + 0x1000), Some(0x9000), "by the entry for 2 MiB");
}

#[test]
fn rights_of_the_way_are_kept_with_it() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    let write = Access::UNPRIVILEGED_WRITE;
    assert!(ask(&mut mmu, 0, write).is_some());
    memory.write(0x1000, 0x2005); // No writes below.
    assert!(ask(&mut mmu, 0x1000, write).is_some(), "stale");
    forget_range(&mut mmu, 0x1000, 0x1fff, false);
    assert!(ask(&mut mmu, 0x1000, write).is_none());
    assert!(ask(&mut mmu, 0x1000, READ).is_some());
}

#[test]
fn a_table_in_the_place_of_a_large_leaf_is_not_seen_before_that_is_forgotten() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    memory.write(0x3000, 0x20_0087);
    assert_eq!(read(&mut mmu, 0x1000), Some(0x20_1000));
    memory.write(0x3000, 0x4007);
    assert_eq!(read(&mut mmu, 0), Some(0x20_0000), "stale");
    forget_range(&mut mmu, 0x3000, 0x3fff, true);
    assert_eq!(read(&mut mmu, 0), Some(0x5000), "any address in it will do");
}

#[test]
fn a_leaf_in_the_place_of_a_table_is_not_seen_before_the_walks_are_forgotten() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    read(&mut mmu, 0);
    memory.write(0x3000, 0x20_0087);
    forget_range(&mut mmu, 0, 0x1f_ffff, true);
    assert_eq!(read(&mut mmu, 0), Some(0x5000), "stale: the table is still walked");
    forget_range(&mut mmu, 0, 0x1f_ffff, false);
    assert_eq!(read(&mut mmu, 0), Some(0x20_0000));
}

#[test]
fn a_refused_leaf_is_kept_too() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    memory.write(0x4000, 0x5005);
    assert_eq!(ask(&mut mmu, 0, Access::UNPRIVILEGED_WRITE), None);
    memory.write(0x4000, 0x5007);
    assert_eq!(ask(&mut mmu, 0, Access::UNPRIVILEGED_WRITE), None, "stale");
    forget_page(&mut mmu, 0, None, true);
    assert!(ask(&mut mmu, 0, Access::UNPRIVILEGED_WRITE).is_some());
}

#[test]
fn an_entry_that_is_used_at_two_levels_is_two() {
    // The root is its own child, at the last index.
    let (memory, mut mmu) = path(Invalidations::Ranges);
    memory.write(0x1000 + 511 * 8, 0x1007);
    // Three times the root, then its first entry as a page.
    let first = u64::MAX << 39 | 511 << 30 | 511 << 21;
    assert_eq!(read(&mut mmu, first), Some(0x2000));
    // As a page, the last entry was not walked before.
    memory.write(0x1000 + 511 * 8, 0x9007);
    assert_eq!(read(&mut mmu, first | 511 << 12), Some(0x9000));
}

#[test]
fn a_write_through_a_clean_leaf_walks_again() {
    let tables = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x5003)];
    let memory = Memory::new(&tables);
    let mut mmu = walkers::iotlb::Iotlb::new(memory.clone(), Invalidations::Ranges);
    let regime = |access_dirty| {
        Regime::VtdSecondStage(VtdSecondStageRegisters {
            pointer: 0x1000,
            address_width: 1,
            host_bits: 46,
            access_dirty,
        })
    };
    for (access_dirty, dirty, walks_again) in
        [(true, 0, true), (true, 1 << 9, false), (false, 0, false)]
    {
        memory.write(0x3000, 0x5003 | dirty);
        mmu.install(&regime(access_dirty), ASID).unwrap();
        read(&mut mmu, 0);
        memory.write(0x3000, 0x6003 | dirty);
        assert_eq!(read(&mut mmu, 0), Some(0x5000), "reads do not");
        let expected = if walks_again { 0x6000 } else { 0x5000 };
        assert_eq!(ask(&mut mmu, 0, Access::UNPRIVILEGED_WRITE), Some(expected));
        assert_eq!(read(&mut mmu, 0), Some(expected));
    }
}

#[test]
fn it_says_that_it_remembers_and_has_no_answer_without_tables() {
    let mut mmu = walkers::iotlb::Iotlb::new(crate::memory::nowhere(), Invalidations::Ranges);
    assert_eq!(mmu.name(), "iotlb");
    assert!(matches!(mmu.says(&x86_64(0)), Ok(Says { remembers: true, .. })));
    assert!(mmu.translate(&[], &mut Vec::new()).is_err());
    assert!(mmu.install(&Regime::AmdV1(walkers::AmdV1Registers::default()), 0).is_err());
}

#[test]
fn nothing_is_read_for_what_is_kept() {
    let (memory, mut mmu) = path(Invalidations::Ranges);
    read(&mut mmu, 0);
    for (entry, _) in PATH {
        memory.write(entry, 0);
    }
    assert_eq!(read(&mut mmu, 0xfff), Some(0x5fff));
    assert_eq!(mmu.remembered(), 4);
}

#[test]
fn a_tag_in_the_top_byte_is_no_other_address() {
    // 39 bits, TBI0; a page for both privileges at 0x5000.
    let registers = walkers::soft::Stage1Registers {
        ttbr0: Some(0x1000),
        ttbr1: None,
        tcr: 25 | 0b101 << 32 | 1 << 37,
        mair: 0xff,
    };
    let tagged = 0x5a << 56;
    for (first, second) in [(0, tagged), (tagged, 0)] {
        let memory = Memory::new(&[(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x5743)]);
        let mut mmu = walkers::iotlb::Iotlb::new(memory.clone(), Invalidations::Ranges);
        mmu.install(&Regime::Stage1(registers), ASID).unwrap();
        assert_eq!(read(&mut mmu, first), Some(0x5000));
        memory.write(0x3000, 0x6743);
        assert_eq!(read(&mut mmu, second), Some(0x5000), "stale");
        forget_range(&mut mmu, 0, 0xfff, true);
        assert_eq!(read(&mut mmu, first), Some(0x6000));
        assert_eq!(read(&mut mmu, second), Some(0x6000));
    }
}
