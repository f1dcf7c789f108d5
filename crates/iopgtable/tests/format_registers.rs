//! Registers hold what the manuals say, field by field.

use iopgtable::format::{MaliRegisters, Stage1Registers, Stage2Registers};
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Format, Granule4K, Granule16K, Granule64K, Options, PhysAddr,
};

const ROOT: PhysAddr = PhysAddr(0x8_8000_0000);

fn registers<F: Format>(input: u8, output: u8, coherent: bool) -> F::Registers {
    let geometry = F::geometry(Config::new(input, output)).expect("good sizes");
    F::registers(&geometry, Options::NONE, ROOT, coherent)
}

/// `TCR_EL1` (Arm DDI 0487, D24.2): T0SZ 5:0 is 64 less the input bits; IRGN0 9:8, ORGN0 11:10 are
/// 0b01 (write-back, write-allocate) for walks that snoop, else 0b00 (non-cacheable); SH0 13:12 is
/// 0b11 (inner) or 0b10 (outer); TG0 15:14 is 0b00, 0b10, 0b01 for 4, 16, 64 KiB; EPD1 23 is set;
/// IPS 34:32 counts 32, 36, 40, 42, 44, 48 bits from 0.
#[test]
fn stage_1_control_is_as_computed_by_hand() {
    let tcr = |registers: Stage1Registers| registers.tcr;
    // 16 | 1 << 8 | 1 << 10 | 3 << 12 | 0 << 14 | 1 << 23 | 5 << 32
    assert_eq!(tcr(registers::<Arm64S1<Granule4K>>(48, 48, true)), 0x5_0080_3510);
    assert_eq!(tcr(registers::<Arm64S1<Granule4K>>(39, 32, true)), 0x0_0080_3519);
    assert_eq!(tcr(registers::<Arm64S1<Granule4K>>(32, 36, true)), 0x1_0080_3520);
    assert_eq!(tcr(registers::<Arm64S1<Granule16K>>(47, 40, true)), 0x2_0080_b511);
    assert_eq!(tcr(registers::<Arm64S1<Granule64K>>(48, 42, true)), 0x3_0080_7510);
    assert_eq!(tcr(registers::<Arm64S1<Granule64K>>(42, 44, true)), 0x4_0080_7516);
    // 16 | 0 << 8 | 0 << 10 | 2 << 12 | 0 << 14 | 1 << 23 | 5 << 32
    assert_eq!(tcr(registers::<Arm64S1<Granule4K>>(48, 48, false)), 0x5_0080_2010);
    assert_eq!(tcr(registers::<Arm64S1<Granule16K>>(47, 40, false)), 0x2_0080_a011);
}

/// `MAIR_EL1`: 0x44 is normal, inner and outer non-cacheable; 0xff normal write-back with read and
/// write allocation; 0x04 Device-nGnRE. `TTBR0_EL1`: BADDR in place, ASID 63:48 and `CnP` zero.
#[test]
fn stage_1_attributes_and_base_are_as_computed_by_hand() {
    for coherent in [true, false] {
        let Stage1Registers { ttbr, mair, .. } = registers::<Arm64S1<Granule4K>>(48, 48, coherent);
        assert_eq!((ttbr, mair), (0x8_8000_0000, 0x04_ff_44));
    }
}

/// `VTCR_EL2`: as above, but PS 18:16 for the output size, and bit 31, which is RES1. SL0 7:6 says
/// where the walk starts: with 4 KiB 0b00, 0b01, 0b10 for levels 2, 1, 0; with others 0b00, 0b01,
/// 0b10 for levels 3, 2, 1.
#[test]
fn stage_2_control_is_as_computed_by_hand() {
    let vtcr = |registers: Stage2Registers| registers.vtcr;
    // 24 | 1 << 6 | 0x3500 | 0 << 14 | 2 << 16 | 1 << 31: two tables at level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Granule4K>>(40, 40, true)), 0x8002_3558);
    // 22 | 1 << 6 | 3 << 16: eight tables at level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Granule4K>>(42, 42, true)), 0x8003_3556);
    // 16 | 2 << 6 | 5 << 16: level 0.
    assert_eq!(vtcr(registers::<Arm64S2<Granule4K>>(48, 48, true)), 0x8005_3590);
    // 32 | 1 << 6 | 0 << 16
    assert_eq!(vtcr(registers::<Arm64S2<Granule4K>>(32, 32, true)), 0x8000_3560);
    // 24 | 1 << 6 | 2 << 14 | 2 << 16: sixteen tables at level 2.
    assert_eq!(vtcr(registers::<Arm64S2<Granule16K>>(40, 40, true)), 0x8002_b558);
    // 16 | 2 << 6 | 2 << 14 | 5 << 16: two tables at level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Granule16K>>(48, 48, true)), 0x8005_b590);
    // 20 | 2 << 6 | 1 << 14 | 4 << 16: level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Granule64K>>(44, 44, true)), 0x8004_7594);
    // 22 | 1 << 6 | 1 << 14 | 3 << 16: level 2.
    assert_eq!(vtcr(registers::<Arm64S2<Granule64K>>(42, 42, true)), 0x8003_7556);
    assert_eq!(vtcr(registers::<Arm64S2<Granule4K>>(40, 40, false)), 0x8002_2058);
    assert_eq!(registers::<Arm64S2<Granule4K>>(40, 40, true).vttbr, 0x8_8000_0000);
}

/// `AS_TRANSTAB`: the root; `ADRMODE` 1:0 is 0b11 (a table), `READ_INNER` bit 2, `SHARE_OUTER`
/// bit 4. `AS_MEMATTR`: 0x88 is implementation defined caching, 0x8d allocates on writes, too.
/// (Linux 6.12, `io-pgtable-arm.c`.)
#[test]
fn mali_registers_are_as_linux_writes_them() {
    let memattr = 0x88_8d_88;
    let expected = MaliRegisters { transtab: 0x8_8000_0017, memattr };
    assert_eq!(registers::<ArmMali>(48, 40, true), expected);
    let expected = MaliRegisters { transtab: 0x8_8000_0007, memattr };
    assert_eq!(registers::<ArmMali>(33, 40, false), expected);
}

#[test]
fn names_are_those_of_linux() {
    assert_eq!(Arm64S1::<Granule4K>::NAME, "ARM_64_LPAE_S1");
    assert_eq!(Arm64S2::<Granule64K>::NAME, "ARM_64_LPAE_S2");
    assert_eq!(ArmMali::NAME, "ARM_MALI_LPAE");
}
