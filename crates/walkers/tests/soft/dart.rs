//! DART: four roots, two variants of entries, parts of pages.

use walkers::soft::Dart;
use walkers::{Access, AccessKind, DartRegisters, DartVariant, FnMemory, MemoryType, Walker};

use crate::tables::{Tables, external_abort, permission_fault, place, translation_fault};

const READ: Access = Access::UNPRIVILEGED_READ;
const VALID: u32 = 1 << 31;
/// The last unit of a page.
const WHOLE: u64 = 0xfff << 40;

fn dart(variant: DartVariant, ttbr: [u32; 4], entries: &[(u64, u64)]) -> Dart<Tables> {
    Dart::new(Tables::new(entries), DartRegisters { ttbr, variant })
}

/// One root at 0x4000, a table at 0x8000, and a page at 0xc000 there.
fn t8020(leaf: u64) -> Dart<Tables> {
    dart(DartVariant::T8020, [VALID | 4, 0, 0, 0], &[(0x4000, 0x8001), (0x8000, leaf)])
}

/// The same: addresses are four bits lower.
fn t6000(leaf: u64) -> Dart<Tables> {
    dart(DartVariant::T6000, [VALID | 4, 0, 0, 0], &[(0x4000, 0x801), (0x8000, leaf)])
}

#[test]
fn both_variants_have_pages_of_16k() {
    for mmu in [t8020(WHOLE | 0xc001), t6000(WHOLE | 0xc01)] {
        assert_eq!(place(mmu.translate(0x3abc, READ)), Ok((0xfabc, 16 << 10, 3)));
    }
}

#[test]
fn the_top_bits_select_a_root_and_each_index_has_eleven() {
    for (root, at) in (0..4u64).zip([0x4_0000, 0x5_0000, 0x6_0000, 0x7_0000]) {
        let ttbr = [0x40, 0x50, 0x60, 0x70].map(|page| VALID | page);
        let entries = [(at + 2047 * 8, 0x8001), (0x8000 + 2046 * 8, WHOLE | 0xf_ffff_c001)];
        let mmu = dart(DartVariant::T8020, ttbr, &entries);
        let va = root << 36 | 2047 << 25 | 2046 << 14 | 5;
        assert_eq!(place(mmu.translate(va, READ)), Ok((0xf_ffff_c005, 16 << 10, 3)));
    }
}

#[test]
fn addresses_have_36_or_42_bits() {
    // All bits that are not the address: flags as they permit reads.
    let leaf = WHOLE | 0xf0_0000_0000 | 0x3e7d;
    let found = t8020(leaf | 0xf_ffff_c000).translate(0, READ);
    assert_eq!(place(found), Ok((0xf_ffff_c000, 16 << 10, 3)));
    let leaf = WHOLE | 0xc0_0000_0000 | 0x3f3;
    let found = t6000(leaf | 0x3f_ffff_fc00).translate(0, READ);
    assert_eq!(place(found), Ok((0x3ff_ffff_c000, 16 << 10, 3)));
}

#[test]
fn invalid_and_unreadable_entries_fault_at_their_level() {
    assert_eq!(place(t8020(WHOLE | 0xc000).translate(0, READ)), translation_fault(3));
    assert_eq!(place(t8020(1).translate(1 << 14, READ)), external_abort(3));
    assert_eq!(place(t8020(1).translate(1 << 25, READ)), external_abort(2));
    let absent = dart(DartVariant::T6000, [VALID | 4, 0, 0, 0], &[(0x4000, !1)]);
    assert_eq!(place(absent.translate(0, READ)), translation_fault(2));
}

#[test]
fn an_invalid_root_or_an_address_beyond_the_roots_faults_without_a_lookup() {
    let registers =
        DartRegisters { ttbr: [VALID | 4, VALID, 4, VALID], variant: DartVariant::T8020 };
    let mmu = Dart::new(FnMemory(|_| unreachable!()), registers);
    assert_eq!(place(mmu.translate(2 << 36, READ)), translation_fault(1));
    for bit in 38..64 {
        assert_eq!(place(mmu.translate(1 << bit, READ)), translation_fault(0));
    }
}

#[test]
fn reads_and_writes_have_a_bit_each() {
    for bits in 0..4u64 {
        let (no_write, no_read) = (bits & 1, bits >> 1);
        for mmu in [
            t8020(WHOLE | 0xc001 | no_write << 7 | no_read << 8),
            t6000(WHOLE | 0xc01 | no_write << 2 | no_read << 3),
        ] {
            for access in Access::ALL {
                let refused = if access.kind == AccessKind::Write { no_write } else { no_read };
                let expected =
                    if refused == 0 { Ok((0xc000, 16 << 10, 3)) } else { permission_fault(3) };
                assert_eq!(place(mmu.translate(0, access)), expected);
            }
        }
    }
}

#[test]
fn a_leaf_permits_a_part_of_its_page() {
    // Units 2 to 4: bytes 8 to 19.
    let part = 2 << 52 | 4 << 40;
    for mmu in [t8020(part | 0xc001), t6000(part | 0xc01)] {
        for offset in (0..32).chain([0x3fff]) {
            let found = mmu.translate(offset, READ);
            assert_eq!(found.is_ok(), (8..20).contains(&offset), "{offset}");
        }
        assert_eq!(place(mmu.translate(20, READ)), permission_fault(3));
    }
    // The T8020's switch. In the T6000, the bit means something else.
    assert!(t8020(part | 0xc003).translate(20, READ).is_ok());
    assert!(t6000(part | 0xc03).translate(20, READ).is_err());
}

#[test]
fn the_t6000_can_leave_a_page_uncached() {
    assert_eq!(t6000(WHOLE | 3).translate(0, READ).unwrap().memory, MemoryType::NonCacheable);
    assert_eq!(t6000(WHOLE | 1).translate(0, READ).unwrap().memory, MemoryType::AsPlatform);
    assert_eq!(t8020(WHOLE | 3).translate(0, READ).unwrap().memory, MemoryType::AsPlatform);
}
