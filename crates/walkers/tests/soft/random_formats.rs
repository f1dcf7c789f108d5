//! What holds for any registers and any memory, in the formats that are not Arm's, and in two
//! stages; asked through the MMU that is told which walker to be.

use proptest::prelude::*;
use walkers::soft::{SoftMmu, Stage1Registers, Stage2Registers};
use walkers::{
    Access, AmdV1Registers, DartRegisters, DartVariant, FnMemory, Mmu, Regime, Request,
    RiscVGuestRegisters, RiscVRegisters, VtdSecondStageRegisters, X86_64Registers,
};

use crate::random::noise;

/// Registers that are noise, but for the fields without which there is no table.
fn regimes(words: [u64; 4], [a, b, c, d]: [bool; 4], small: u8) -> Vec<Regime> {
    let [first, second, third, fourth] = words;
    // RISC-V's modes 8 to 10.
    let mode = (8 + first % 3) << 60;
    let modal = mode | second >> 4;
    vec![
        Regime::X86_64(X86_64Registers {
            cr3: first,
            la57: a,
            nxe: b,
            wp: c,
            smep: d,
            pat: second,
            physical_bits: small,
        }),
        Regime::VtdSecondStage(VtdSecondStageRegisters {
            pointer: first & !(0xfff << 52),
            address_width: small % 5,
            host_bits: 52 - (small >> 4),
            access_dirty: a,
        }),
        Regime::AmdV1(AmdV1Registers { device_table_entry: [first | 0b11, second, third, fourth] }),
        Regime::RiscV(RiscVRegisters {
            satp: modal,
            sum: a,
            mxr: b,
            pbmt: c,
            napot: true,
            adue: d,
        }),
        Regime::RiscVGuest(RiscVGuestRegisters { hgatp: modal, pbmt: a, napot: true, adue: b }),
        Regime::Dart(DartRegisters {
            ttbr: words.map(|word| word as u32),
            variant: if a { DartVariant::T6000 } else { DartVariant::T8020 },
        }),
        Regime::Nested(
            // 39 bits each, 4 KiB; the rest is noise.
            Stage1Registers {
                ttbr0: Some(first),
                ttbr1: None,
                tcr: second & !0xffff | 25,
                mair: third,
            },
            Stage2Registers {
                vttbr: fourth,
                vtcr: third & !0xffff & !(0b111 << 16) | 25 | 1 << 6 | 0b101 << 16,
                force_write_back: b,
            },
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_registers_and_memory_give_a_value(
        seed: u64,
        words: [u64; 4],
        flags: [bool; 4],
        small: u8,
        va in prop_oneof![
            any::<u64>(),
            (any::<u64>(), 0..64u32).prop_map(|(bits, size)| bits >> size),
            (any::<u64>(), 0..64u32).prop_map(|(bits, size)| !(bits >> size)),
        ],
        access in prop::sample::select(Access::ALL.to_vec()),
        // Valid in each format, with rights, and without most of what is reserved; noise in groups
        // of sixteen entries that are the same.
        (ones, zeros) in prop::sample::select(vec![
            (0, 0),
            (0x4df, 0xffff_0000_0000_0000),
            (0b11 << 61 | 1, 0x1ff << 52),
            (0x0000_0000_0000_00c3, 0x1fff_0000_0000_0000),
            (1, 0xffff_0000_0000_0dee),
        ]),
        same: bool,
    ) {
        for regime in regimes(words, flags, small) {
            let memory = FnMemory(|address: u64| {
                assert_eq!(address % 8, 0);
                Some(noise(seed, if same { address & !0x7f } else { address }, ones, zeros))
            });
            let mut mmu = SoftMmu::new(memory);
            if mmu.install(&regime, 0).is_err() {
                continue;
            }
            let mut answers = Vec::new();
            mmu.translate(&[Request { address: va, access }], &mut answers).unwrap();
            match answers[0] {
                Ok(reached) => {
                    let found = reached.translation.unwrap();
                    prop_assert!(found.leaf_size.is_power_of_two());
                    let offset = found.leaf_size - 1;
                    prop_assert_eq!(found.address & offset, va & offset, "{:?}", regime);
                    prop_assert_eq!(found.address >> 56, 0);
                    prop_assert!(found.permissions.allow(access));
                    prop_assert!((-2..=3).contains(&found.level));
                }
                Err(refusal) => {
                    prop_assert!((-2..=3).contains(&refusal.level.unwrap()));
                    prop_assert!(refusal.kind.is_some());
                }
            }
        }
    }
}
