//! Short descriptors: the four sizes, both tables, permissions, types, and what `MediaTek` adds.

use proptest::prelude::*;
use walkers::soft::{ConfigError, ShortDescriptors};
use walkers::{
    Access, DeviceType, FnMemory, MemoryType, Shareability, ShortDescriptorRegisters, Walker,
};

use crate::random::noise;
use crate::tables::{
    access_flag_fault, conflict, external_abort, permission_fault, place, translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
/// Index 0 is strongly ordered, 1 Device, the others Normal; shared by S, inner but for index 2.
/// Then: 2 non-cacheable, 3 write-back, 4 write-through, 5 write-back without allocation,
/// 6 outer write-back over inner non-cacheable, 7 with a reserved type.
const PRRR: u32 = 0b11_10_10_10_10_10_01_00 | 0b1010 << 16 | 0xfb << 24;
const NMRR: u32 = 0b00_00_11_10_01_00_00_00 | 0b00_01_11_10_01_00_00_00 << 16;
const REGISTERS: ShortDescriptorRegisters = ShortDescriptorRegisters {
    ttbr0: 0x4000,
    ttbcr: 0,
    prrr: PRRR,
    nmrr: NMRR,
    afe: false,
    mediatek: None,
};

/// Entries of four bytes; anything else cannot be read. Two of them share a word.
fn mmu(
    registers: ShortDescriptorRegisters,
    entries: &[(u64, u32)],
) -> ShortDescriptors<impl walkers::PhysMemory + use<>> {
    let entries: std::collections::BTreeMap<_, _> = entries.iter().copied().collect();
    let memory = FnMemory(move |address: u64| {
        let [low, high] = [address, address + 4].map(|address| entries.get(&address));
        (low.is_some() || high.is_some()).then(|| {
            let half = |half: Option<&u32>| u64::from(*half.unwrap_or(&0));
            half(low) | half(high) << 32
        })
    });
    ShortDescriptors::new(memory, registers).expect("descriptors are short")
}

fn section(descriptor: u32) -> ShortDescriptors<impl walkers::PhysMemory + use<>> {
    mmu(REGISTERS, &[(0x4000, descriptor)])
}

/// The second table at 0x8400.
fn page(descriptor: u32) -> ShortDescriptors<impl walkers::PhysMemory + use<>> {
    mmu(REGISTERS, &[(0x4000, 0x8401), (0x8400, descriptor)])
}

fn large_page(descriptor: u32) -> ShortDescriptors<impl walkers::PhysMemory + use<>> {
    let entries: Vec<_> = (0..16).map(|index| (0x8400 + index * 4, descriptor)).collect();
    mmu(REGISTERS, &[&[(0x4000, 0x8401)], entries.as_slice()].concat())
}

fn supersection(descriptor: u32) -> ShortDescriptors<impl walkers::PhysMemory + use<>> {
    let entries: Vec<_> = (0..16).map(|index| (0x4000 + index * 4, descriptor)).collect();
    mmu(REGISTERS, &entries)
}

// AP 0b011: both privileges read and write.
const SECTION: u32 = 0xc02;
const SMALL: u32 = 0x32;
const LARGE: u32 = 0x31;

#[test]
fn there_are_four_sizes() {
    let found = page(0x1234_5000 | SMALL).translate(0xabc, READ);
    assert_eq!(place(found), Ok((0x1234_5abc, 4 << 10, 3)));
    let found = large_page(0x1234_0000 | LARGE).translate(0xffff, READ);
    assert_eq!(place(found), Ok((0x1234_ffff, 64 << 10, 3)));
    let found = section(0x1230_0000 | SECTION).translate(0xf_ffff, READ);
    assert_eq!(place(found), Ok((0x123f_ffff, 1 << 20, 2)));
    let found = supersection(0x1200_0000 | 1 << 18 | SECTION).translate(0xff_ffff, READ);
    assert_eq!(place(found), Ok((0x12ff_ffff, 16 << 20, 2)));
}

#[test]
fn a_supersection_has_forty_bits() {
    // PA[35:32] in bits 23:20, PA[39:36] in bits 8:5.
    let descriptor = 0x1200_0000 | 0xa << 20 | 0xb << 5 | 1 << 18 | SECTION;
    let found = supersection(descriptor).translate(0, READ);
    assert_eq!(place(found), Ok((0xba_1200_0000, 16 << 20, 2)));
}

#[test]
fn the_first_index_has_twelve_bits_and_the_second_eight() {
    let entries = [(0x4000 + 4095 * 4, 0x8401), (0x8400 + 255 * 4, 0xffff_f000 | SMALL)];
    let found = mmu(REGISTERS, &entries).translate(0xffff_ffff, READ);
    assert_eq!(place(found), Ok((0xffff_ffff, 4 << 10, 3)));
    let entries = [(0x4000 + 5 * 4, 0x8401), (0x8400 + 6 * 4, 0x7000 | SMALL)];
    let found = mmu(REGISTERS, &entries).translate(5 << 20 | 6 << 12, READ);
    assert_eq!(place(found), Ok((0x7000, 4 << 10, 3)));
}

#[test]
fn n_makes_the_first_table_smaller() {
    for n in 0..8 {
        // Bits below the size of the table are not its address.
        let size = 0x4000 >> n;
        let ttbr0 = (0xc000 + size) | (size - 1);
        let registers = ShortDescriptorRegisters { ttbr0, ttbcr: n, ..REGISTERS };
        let last = (1u64 << (32 - n)) - 1;
        let base = u64::from(0xc000 + size) & !u64::from(size - 1);
        let entries = [(base + (last >> 20) * 4, SECTION)];
        let found = mmu(registers, &entries).translate(last, READ);
        assert_eq!(place(found), Ok((0xf_ffff, 1 << 20, 2)), "N {n}");
        for bit in 32 - n..64 {
            let found = mmu(registers, &entries).translate(1 << bit, READ);
            assert_eq!(place(found), translation_fault(2));
        }
    }
}

#[test]
fn disabled_walks_fault_and_long_descriptors_are_refused() {
    let registers = ShortDescriptorRegisters { ttbcr: 1 << 4, ..REGISTERS };
    let found = mmu(registers, &[(0x4000, SECTION)]).translate(0, READ);
    assert_eq!(place(found), translation_fault(2));
    let registers = ShortDescriptorRegisters { ttbcr: 1 << 31, ..REGISTERS };
    let refused = ShortDescriptors::new(FnMemory(|_| None), registers).map(|_| ());
    assert_eq!(refused, Err(ConfigError::LongDescriptors));
}

#[test]
fn invalid_and_unreadable_descriptors_fault_at_their_level() {
    assert_eq!(place(section(!3).translate(0, READ)), translation_fault(2));
    assert_eq!(place(page(!3).translate(0, READ)), translation_fault(3));
    assert_eq!(place(mmu(REGISTERS, &[]).translate(0, READ)), external_abort(2));
    assert_eq!(place(mmu(REGISTERS, &[(0x4000, 0x8401)]).translate(0, READ)), external_abort(3));
}

#[test]
fn sixteen_descriptors_that_disagree_are_a_conflict() {
    for wrong in 0..16 {
        for (good, level, base) in [(LARGE, 3, 0x8400), (1 << 18 | SECTION, 2, 0x4000)] {
            for bit in [2, 16] {
                let member = |index| if index == wrong { good ^ 1 << bit } else { good };
                let mut entries: Vec<_> =
                    (0..16).map(|index| (base + index * 4, member(index))).collect();
                if level == 3 {
                    entries.push((0x4000, 0x8401));
                }
                let span = if level == 3 { 12 } else { 20 };
                for asked in 0..16u64 {
                    let found = mmu(REGISTERS, &entries).translate(asked << span, READ);
                    assert_eq!(place(found), conflict(level));
                }
            }
        }
    }
}

/// Leaves of all kinds with `AP[2:0]` and `XN`.
fn with_permissions(
    registers: ShortDescriptorRegisters,
    ap: u32,
    xn: u32,
) -> [(ShortDescriptors<impl walkers::PhysMemory + use<>>, i8); 2] {
    let (low, high) = (ap & 3, ap >> 2);
    let section = low << 10 | high << 15 | xn << 4 | 2;
    let small = low << 4 | high << 9 | xn | 2;
    [
        (mmu(registers, &[(0x4000, section), (0x8400, 0)]), 2),
        (mmu(registers, &[(0x4000, 0x8401), (0x8400, small)]), 3),
    ]
}

#[test]
fn ap_says_who_reads_and_writes_and_xn_who_fetches() {
    // Privileged read, write; unprivileged read, write (Arm DDI 0487, table G5-10).
    let table = [
        [false, false, false, false],
        [true, true, false, false],
        [true, true, true, false],
        [true, true, true, true],
        [false, false, false, false],
        [true, false, false, false],
        [true, false, true, false],
        [true, false, true, false],
    ];
    for (ap, [p_read, p_write, u_read, u_write]) in (0..).zip(table) {
        for xn in [0, 1] {
            for (mmu, level) in with_permissions(REGISTERS, ap, xn) {
                for (access, permitted) in [
                    (Access::PRIVILEGED_READ, p_read),
                    (Access::PRIVILEGED_WRITE, p_write),
                    (Access::PRIVILEGED_EXECUTE, p_read && xn == 0),
                    (Access::UNPRIVILEGED_READ, u_read),
                    (Access::UNPRIVILEGED_WRITE, u_write),
                    (Access::UNPRIVILEGED_EXECUTE, u_read && xn == 0),
                ] {
                    let found = place(mmu.translate(0, access));
                    if permitted {
                        assert!(found.is_ok(), "{ap:03b} {access:?}");
                    } else {
                        assert_eq!(found, permission_fault(level), "{ap:03b} {access:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn with_afe_ap_0_is_the_access_flag() {
    let registers = ShortDescriptorRegisters { afe: true, ..REGISTERS };
    for ap in 0..8 {
        for (mmu, level) in with_permissions(registers, ap, 0) {
            for (access, permitted) in [
                (Access::PRIVILEGED_READ, true),
                (Access::PRIVILEGED_WRITE, ap & 4 == 0),
                (Access::UNPRIVILEGED_READ, ap & 2 == 2),
                (Access::UNPRIVILEGED_WRITE, ap & 6 == 2),
            ] {
                let found = place(mmu.translate(0, access));
                match (ap & 1, permitted) {
                    (0, _) => assert_eq!(found, access_flag_fault(level)),
                    (_, true) => assert!(found.is_ok()),
                    (_, false) => assert_eq!(found, permission_fault(level)),
                }
            }
        }
    }
}

#[test]
fn xn_of_a_large_page_is_bit_15() {
    assert!(large_page(LARGE).translate(0, Access::PRIVILEGED_EXECUTE).is_ok());
    assert!(large_page(LARGE | 1 << 15).translate(0, Access::PRIVILEGED_EXECUTE).is_err());
    assert!(large_page(LARGE | 1 << 15).translate(0, READ).is_ok());
}

#[test]
fn pxn_is_for_privileged_fetches_alone() {
    let table = |pxn: u32| mmu(REGISTERS, &[(0x4000, 0x8401 | pxn << 2), (0x8400, SMALL)]);
    for pxn in [0, 1] {
        for access in Access::ALL {
            let permitted = pxn == 0 || access != Access::PRIVILEGED_EXECUTE;
            assert_eq!(section(SECTION | pxn).translate(0, access).is_ok(), permitted);
            assert_eq!(table(pxn).translate(0, access).is_ok(), permitted);
        }
    }
}

#[test]
fn tex_c_and_b_select_the_type_and_s_who_shares_it() {
    use Shareability::{Inner, Non, Outer};
    let expected = [
        (MemoryType::Device(DeviceType::NGnRnE), Inner),
        (MemoryType::Device(DeviceType::NGnRE), Inner),
        (MemoryType::NonCacheable, Outer),
        (MemoryType::WriteBack, Inner),
        (MemoryType::WriteThrough, Inner),
        (MemoryType::WriteBack, Inner),
        (MemoryType::Other(0b0100), Inner),
        (MemoryType::Other(0xff), Inner),
    ];
    for (index, (memory, shared)) in (0u32..).zip(expected) {
        let (tex, cb) = (index >> 2, (index & 3) << 2);
        for s in [0, 1] {
            for found in [
                section(SECTION | tex << 12 | cb | s << 16).translate(0, READ),
                page(SMALL | tex << 6 | cb | s << 10).translate(0, READ),
                large_page(LARGE | tex << 12 | cb | s << 10).translate(0, READ),
            ] {
                let found = found.unwrap();
                assert_eq!(found.memory, memory, "index {index}");
                assert_eq!(found.shareability, if s == 1 { shared } else { Non });
            }
        }
    }
    // With the bits for clear S set, memory is shared whatever S says.
    let registers = ShortDescriptorRegisters { prrr: PRRR | 0b0101 << 16, ..REGISTERS };
    let found = mmu(registers, &[(0x4000, SECTION)]).translate(0, READ).unwrap();
    assert_eq!(found.shareability, Inner);
}

#[test]
fn ns_and_ng_are_where_the_manual_has_them() {
    let found = |mmu: &dyn Walker| {
        let found = mmu.translate(0, READ).unwrap();
        (found.non_secure, found.global)
    };
    assert_eq!(found(&section(SECTION)), (false, true));
    assert_eq!(found(&section(SECTION | 1 << 19)), (true, true));
    assert_eq!(found(&section(SECTION | 1 << 17)), (false, false));
    assert_eq!(found(&page(SMALL | 1 << 11)), (false, false));
    assert_eq!(found(&large_page(LARGE | 1 << 11)), (false, false));
    assert_eq!(found(&mmu(REGISTERS, &[(0x4000, 0x8409), (0x8400, SMALL)])), (true, true));
}

#[test]
fn mediatek_addresses_have_three_bits_more_and_no_permissions() {
    // The table of 16 KiB at 0x4_0000_4000, the second one at 0x2_0000_8400.
    let registers = ShortDescriptorRegisters { mediatek: Some(32), ttbr0: 0x4004, ..REGISTERS };
    let high = |bits: u32| (bits & 1) << 9 | (bits >> 1 & 1) << 4 | (bits >> 2) << 5;
    let root = 0x4_0000_4000;
    for bits in 0..8 {
        let top = u64::from(bits) << 32;
        let at = |kind: u32, entries: u64| -> Vec<(u64, u32)> {
            (0..entries).map(|index| (root + index * 4, kind | high(bits))).collect()
        };
        for (entries, size, level) in [(at(2, 1), 1 << 20, 2), (at(1 << 18 | 2, 16), 16 << 20, 2)] {
            for access in Access::ALL {
                let found = mmu(registers, &entries).translate(5, access);
                assert_eq!(place(found), Ok((top | 5, size, level)));
            }
        }
        for (kind, size, count) in [(2, 4 << 10, 1), (1, 64 << 10, 16)] {
            let table = 0x2_0000_8400;
            let mut entries: Vec<_> =
                (0..count).map(|index| (table + index * 4, kind | high(bits))).collect();
            entries.push((root, 0x8401 | high(2)));
            let found = mmu(registers, &entries).translate(5, Access::UNPRIVILEGED_WRITE);
            assert_eq!(place(found), Ok((top | 5, size, 3)));
        }
    }
}

/// A table of 64 KiB at `0x1_0000`, from which the entry 0x3fff leads to a page.
#[test]
fn mediatek_addresses_of_34_bits_go_through_a_larger_table() {
    let entries = [(0x1_0000 + 0x3fff * 4, 0x8401), (0x8400 + 0xff * 4, 0x5002)];
    let found = |input_bits, va| {
        let registers =
            ShortDescriptorRegisters { mediatek: Some(input_bits), ttbr0: 0x1_0000, ..REGISTERS };
        place(mmu(registers, &entries).translate(va, READ))
    };
    assert_eq!(found(34, 0x3_ffff_f123), Ok((0x5123, 4 << 10, 3)));
    for (bits, va) in [(34, 0x4_0000_0000), (33, 0x3_ffff_f123), (32, 0x3_ffff_f123)] {
        assert_eq!(found(bits, va), translation_fault(2), "{bits} bits");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_registers_and_memory_give_a_value(
        seed: u64,
        va in prop_oneof![any::<u64>(), any::<u32>().prop_map(u64::from)],
        (ttbr0, ttbcr, prrr, nmrr) in any::<(u32, u32, u32, u32)>(),
        afe: bool,
        mediatek in prop::option::of(32u8..=34),
        access in prop::sample::select(Access::ALL.to_vec()),
        same: bool,
    ) {
        // All words of 64 bytes the same, so that groups agree.
        let memory = FnMemory(|address: u64| {
            assert_eq!(address % 8, 0);
            let word = noise(seed, if same { address & !0x3f } else { address }, 0, 0);
            Some(if same { word & 0xffff_ffff | word << 32 } else { word })
        });
        let registers = ShortDescriptorRegisters { ttbr0, ttbcr: ttbcr & !(1 << 31), prrr, nmrr, afe, mediatek };
        let mmu = ShortDescriptors::new(memory, registers).unwrap();
        match mmu.translate(va, access) {
            Ok(found) => {
                prop_assert_eq!(found.address & (found.leaf_size - 1), va & (found.leaf_size - 1));
                prop_assert_eq!(found.address >> 40, 0);
                prop_assert!(found.permissions.allow(access));
            }
            Err(fault) => prop_assert!((2..=3).contains(&fault.level)),
        }
    }
}
