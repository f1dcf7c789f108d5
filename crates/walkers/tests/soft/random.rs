//! What holds for any registers and any memory.

use std::cell::Cell;

use proptest::prelude::*;
use walkers::soft::{
    Mali, MaliRegisters, Stage1, Stage1Aarch32, Stage1Aarch32Registers, Stage1Registers, Stage2,
    Stage2Aarch32, Stage2Aarch32Registers, Stage2Registers,
};
use walkers::{Access, FnMemory, Walker};

/// Memory in which every address holds a descriptor: noise from `seed`, with the bits of `ones`
/// set and those of `zeros` clear, so that walks get past the first lookup.
pub(crate) fn noise(seed: u64, address: u64, ones: u64, zeros: u64) -> u64 {
    // The finalizer of SplitMix64.
    let mut mixed = seed.wrapping_add(address.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31 | ones) & !zeros
}

/// Anything, or anything with a plausible size, granule and level.
fn control() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (any::<u64>(), 12..=39u64, 0..3u64, 12..=39u64, 1..4u64).prop_map(
            |(noise, t0sz, tg0, t1sz, tg1)| {
                let fields = 0x3f | 0b11 << 14 | 0x3f << 16 | 0b11 << 30 | 1 << 7 | 1 << 23;
                noise & !fields | t0sz | tg0 << 14 | t1sz << 16 | tg1 << 30
            }
        ),
        // VTCR_EL2: size, level, granule, 48 or 52 bits out, DS and SL2.
        (12..=39u64, 0..4u64, 0..3u64, 0b101..=0b110u64, 0..4u64)
            .prop_map(|(t0sz, sl0, tg0, ps, ds)| t0sz | sl0 << 6 | tg0 << 14 | ps << 16 | ds << 32),
    ]
}

/// Anything, or an address of each size in both halves.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (any::<u64>(), 8..64u32).prop_map(|(bits, size)| bits >> size),
        (any::<u64>(), 8..64u32).prop_map(|(bits, size)| !(bits >> size)),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(Access::ALL.to_vec())
}

/// Bits to set and to clear in every descriptor: none, or such that walks go deep: valid, with the
/// access flag and the permissions, and addresses that fit any output size.
fn forced() -> impl Strategy<Value = (u64, u64)> {
    const LOW: u64 = 0xffff_ffff_0000_f000;
    prop::sample::select(vec![(0, 0), (0x4c1, 0), (0x4c1, LOW), (0xc1, LOW), (0x401, LOW)])
}

/// Anything, or the base of a table below 4 GiB with Mali's mode set.
fn base() -> impl Strategy<Value = u64> {
    prop_oneof![address(), any::<u32>().prop_map(|base| u64::from(base) | 0b11)]
}

/// Asks `walker` and checks what any answer must satisfy.
fn check(walker: &impl Walker, va: u64, access: Access, output_bits: u32) {
    match walker.translate(va, access) {
        Ok(found) => {
            assert!(found.leaf_size.is_power_of_two());
            let offset = found.leaf_size - 1;
            assert_eq!(found.address & offset, va & offset, "the offset in the leaf is kept");
            assert_eq!(found.address >> output_bits, 0, "the address fits the output size");
            assert!(found.permissions.allow(access));
            assert!((-1..=3).contains(&found.level));
        }
        Err(fault) => assert!((-1..=3).contains(&fault.level)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_registers_and_memory_give_a_value(
        seed: u64,
        (ones, zeros) in forced(),
        (base, other) in (base(), base()),
        control in control(),
        attributes: u64,
        va in address(),
        access in access(),
        force_write_back: bool,
    ) {
        let lookups = Cell::new(0);
        let memory = FnMemory(|address: u64| {
            lookups.set(lookups.get() + 1);
            assert_eq!(address % 8, 0, "lookups are aligned");
            Some(noise(seed, address, ones, zeros))
        });

        let registers = Stage1Registers {
            ttbr0: Some(base),
            ttbr1: Some(other),
            tcr: control,
            mair: attributes,
        };
        if let Ok(mmu) = Stage1::new(&memory as &dyn walkers::PhysMemory, registers) {
            check(&mmu, va, access, 52);
        }
        prop_assert!(lookups.replace(0) <= 5 + 128);

        let registers = Stage2Registers { vttbr: base, vtcr: control, force_write_back };
        if let Ok(mmu) = Stage2::new(&memory as &dyn walkers::PhysMemory, registers) {
            check(&mmu, va, access, 52);
        }
        prop_assert!(lookups.replace(0) <= 5 + 128);

        let registers = MaliRegisters { transtab: base, memattr: attributes };
        if let Ok(mmu) = Mali::new(&memory as &dyn walkers::PhysMemory, registers) {
            check(&mmu, va, access, 40);
        }
        prop_assert!(lookups.replace(0) <= 4);

        let registers = Stage1Aarch32Registers {
            ttbr0: Some(base),
            ttbr1: Some(other),
            ttbcr: control as u32 | 1 << 31,
            mair0: attributes as u32,
            mair1: seed as u32,
        };
        if let Ok(mmu) = Stage1Aarch32::new(&memory as &dyn walkers::PhysMemory, registers) {
            check(&mmu, va, access, 40);
        }
        prop_assert!(lookups.replace(0) <= 3 + 16);

        // With the sign of T0SZ in S.
        let vtcr = control as u32 & !(1 << 4) | (control as u32 >> 3 & 1) << 4;
        let registers = Stage2Aarch32Registers { vttbr: base, vtcr };
        let mmu = Stage2Aarch32::new(&memory as &dyn walkers::PhysMemory, registers);
        check(&mmu, va, access, 40);
        prop_assert!(lookups.get() <= 3 + 16);
    }
}
