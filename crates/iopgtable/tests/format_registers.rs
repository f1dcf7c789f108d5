//! Registers hold what the manuals say, field by field.

use iopgtable::format::{
    MaliRegisters, Stage1Registers, Stage1Registers32, Stage2Registers, Stage2Registers32,
};
use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Format, Granule4K, Granule16K, Granule64K,
    Lpa2, Options, PhysAddr,
};

const ROOT: PhysAddr = PhysAddr(0x8_8000_0000);
/// Bits 51 and 49 are set.
const HIGH_ROOT: PhysAddr = PhysAddr(0xa_0008_8000_0000);

fn configured<F: Format>(config: Config, root: PhysAddr, coherent: bool) -> F::Registers {
    let geometry = F::geometry(config).expect("a good configuration");
    F::registers(&geometry, config.options, root, coherent)
}

fn registers<F: Format>(input: u8, output: u8, coherent: bool) -> F::Registers {
    configured::<F>(Config::new(input, output), ROOT, coherent)
}

fn with<F: Format>(input: u8, output: u8, coherent: bool, options: Options) -> F::Registers {
    configured::<F>(Config::new(input, output).with(options), ROOT, coherent)
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

/// IPS 0b110 is 52 bits. DS 59 says that descriptors are those of `FEAT_LPA2`; with 64 KiB it is
/// RES0.
#[test]
fn stage_1_control_for_52_bits_is_as_computed_by_hand() {
    let tcr = |registers: Stage1Registers| registers.tcr;
    // 12 | 0x3500 | 1 << 14 | 1 << 23 | 6 << 32
    assert_eq!(tcr(registers::<Arm64S1<Granule64K>>(52, 52, true)), 0x6_0080_750c);
    assert_eq!(tcr(registers::<Arm64S1<Granule64K>>(48, 52, true)), 0x6_0080_7510);
    // 12 | 0x3500 | 0 << 14 | 1 << 23 | 6 << 32 | 1 << 59
    assert_eq!(tcr(registers::<Arm64S1<Lpa2<Granule4K>>>(52, 52, true)), 0x0800_0006_0080_350c);
    assert_eq!(tcr(registers::<Arm64S1<Lpa2<Granule4K>>>(48, 48, true)), 0x0800_0005_0080_3510);
    assert_eq!(tcr(registers::<Arm64S1<Lpa2<Granule16K>>>(52, 52, true)), 0x0800_0006_0080_b50c);
    assert_eq!(tcr(registers::<Arm64S1<Lpa2<Granule16K>>>(47, 40, false)), 0x0800_0002_0080_a011);
}

/// For the upper half, T1SZ 21:16, IRGN1 25:24, ORGN1 27:26, SH1 29:28; TG1 31:30 is 0b10, 0b01,
/// 0b11 for 4, 16, 64 KiB; and EPD0 7 is set instead of EPD1.
#[test]
fn stage_1_control_of_the_upper_half_is_as_computed_by_hand() {
    let tcr = |registers: Stage1Registers| registers.tcr;
    let upper = Options::UPPER_HALF;
    // 16 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30 | 1 << 7 | 5 << 32
    assert_eq!(tcr(with::<Arm64S1<Granule4K>>(48, 48, true, upper)), 0x5_b510_0080);
    assert_eq!(tcr(with::<Arm64S1<Granule4K>>(39, 32, true, upper)), 0x0_b519_0080);
    // 17 << 16 | 2 << 28 | 1 << 30 | 1 << 7 | 2 << 32
    assert_eq!(tcr(with::<Arm64S1<Granule16K>>(47, 40, false, upper)), 0x2_6011_0080);
    // 12 << 16 | 5 << 24 | 3 << 28 | 3 << 30 | 1 << 7 | 6 << 32
    assert_eq!(tcr(with::<Arm64S1<Granule64K>>(52, 52, true, upper)), 0x6_f50c_0080);
    assert_eq!(tcr(with::<Arm64S1<Lpa2<Granule4K>>>(52, 52, true, upper)), 0x0800_0006_b50c_0080);
    assert_eq!(tcr(with::<Arm64S1<Lpa2<Granule16K>>>(48, 48, true, upper)), 0x0800_0005_7510_0080);
}

/// ORGN 0b01 without IRGN: cached outside, but not inside; the outer domain.
#[test]
fn walks_with_outer_write_back_are_cached_outside_alone() {
    let tcr = |registers: Stage1Registers| registers.tcr;
    let outer = Options::OUTER_WRITE_BACK;
    let both = outer | Options::UPPER_HALF;
    // 16 | 0 << 8 | 1 << 10 | 2 << 12 | 1 << 23 | 5 << 32
    assert_eq!(tcr(with::<Arm64S1<Granule4K>>(48, 48, false, outer)), 0x5_0080_2410);
    // 16 << 16 | 0 << 24 | 1 << 26 | 2 << 28 | 2 << 30 | 1 << 7 | 5 << 32
    assert_eq!(tcr(with::<Arm64S1<Granule4K>>(48, 48, false, both)), 0x5_a410_0080);
    let ttbcr = |registers: Stage1Registers32| registers.ttbcr;
    assert_eq!(ttbcr(with::<Arm32S1>(32, 40, false, outer)), 0x8080_2400);
    assert_eq!(ttbcr(with::<Arm32S1>(31, 40, false, both)), 0xa401_0080);
}

/// `TCR_EL1`: HA 39, HD 40. `VTCR_EL2`: HA 21, HD 22.
#[test]
fn hardware_manages_the_access_flag_where_it_manages_the_dirty_state() {
    let dirty = Options::HARDWARE_DIRTY;
    let tcr = with::<Arm64S1<Granule4K>>(48, 48, true, dirty).tcr;
    assert_eq!(tcr, 0x180_0000_0000 | 0x5_0080_3510);
    let tcr = with::<Arm64S1<Granule4K>>(48, 48, true, dirty | Options::UPPER_HALF).tcr;
    assert_eq!(tcr, 0x180_0000_0000 | 0x5_b510_0080);
    let vtcr = with::<Arm64S2<Granule4K>>(48, 48, true, dirty).vtcr;
    assert_eq!(vtcr, 0x60_0000 | 0x8005_3590);
    let vtcr = with::<Arm64S2<Lpa2<Granule16K>>>(52, 52, true, dirty).vtcr;
    assert_eq!(vtcr, 0x60_0000 | 0x1_8006_b5cc);
}

/// What leaves and tables alone say is in no register.
#[test]
fn other_options_are_in_no_register() {
    let options = Options::NON_SECURE | Options::NO_PERMISSIONS | Options::CONTIGUOUS;
    assert_eq!(
        with::<Arm64S1<Granule4K>>(48, 48, true, options),
        registers::<Arm64S1<Granule4K>>(48, 48, true)
    );
    assert_eq!(with::<Arm32S1>(32, 40, true, options), registers::<Arm32S1>(32, 40, true));
    let options = Options::NO_PERMISSIONS | Options::CONTIGUOUS;
    assert_eq!(
        with::<Arm64S2<Granule4K>>(48, 48, true, options),
        registers::<Arm64S2<Granule4K>>(48, 48, true)
    );
    assert_eq!(with::<Arm32S2>(40, 40, true, options), registers::<Arm32S2>(40, 40, true));
}

/// Bits 51:48 of a root stand at 5:2 (`TTBR0_EL1`, `TTBR1_EL1`, `VTTBR_EL2`).
#[test]
fn a_high_root_is_folded_into_its_base_register() {
    let expected = 0x8_8000_0028;
    for upper in [Options::NONE, Options::UPPER_HALF] {
        let config = Config::new(52, 52).with(upper);
        let ttbr = configured::<Arm64S1<Granule64K>>(config, HIGH_ROOT, true).ttbr;
        assert_eq!(ttbr, expected);
        let ttbr = configured::<Arm64S1<Lpa2<Granule4K>>>(config, HIGH_ROOT, true).ttbr;
        assert_eq!(ttbr, expected);
        let ttbr = configured::<Arm64S1<Lpa2<Granule16K>>>(config, HIGH_ROOT, true).ttbr;
        assert_eq!(ttbr, expected);
    }
    let config = Config::new(48, 52);
    assert_eq!(configured::<Arm64S2<Granule64K>>(config, HIGH_ROOT, true).vttbr, expected);
    assert_eq!(configured::<Arm64S2<Lpa2<Granule4K>>>(config, HIGH_ROOT, true).vttbr, expected);
    assert_eq!(configured::<Arm64S2<Lpa2<Granule16K>>>(config, HIGH_ROOT, true).vttbr, expected);
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

/// DS 32, SL2 33, and PS 0b110 for 52 bits. With 4 KiB and DS, SL2 and SL0 0b00 are level -1; with
/// 16 KiB and DS, SL0 0b11 is level 0.
#[test]
fn stage_2_control_for_52_bits_is_as_computed_by_hand() {
    let vtcr = |registers: Stage2Registers| registers.vtcr;
    // 12 | 0 << 6 | 0x3500 | 6 << 16 | 1 << 31 | 1 << 32 | 1 << 33: level -1.
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule4K>>>(52, 52, true)), 0x3_8006_350c);
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule4K>>>(49, 52, true)), 0x3_8006_350f);
    // 16 | 2 << 6 | 6 << 16 | 1 << 32: level 0.
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule4K>>>(48, 52, true)), 0x1_8006_3590);
    // 24 | 1 << 6 | 2 << 16 | 1 << 32: two tables at level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule4K>>>(40, 40, true)), 0x1_8002_3558);
    // 12 | 3 << 6 | 2 << 14 | 6 << 16 | 1 << 32: level 0.
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule16K>>>(52, 52, true)), 0x1_8006_b5cc);
    // 16 | 2 << 6 | 2 << 14 | 5 << 16 | 1 << 32: two tables at level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule16K>>>(48, 48, true)), 0x1_8005_b590);
    // 12 | 2 << 6 | 1 << 14 | 6 << 16: level 1.
    assert_eq!(vtcr(registers::<Arm64S2<Granule64K>>(52, 52, true)), 0x8006_758c);
    assert_eq!(vtcr(registers::<Arm64S2<Lpa2<Granule4K>>>(52, 52, false)), 0x3_8006_200c);
}

/// `HCR_EL2.FWB` is no bit of these registers, so it is said apart.
#[test]
fn forced_write_back_is_told_beside_the_registers() {
    let plain = registers::<Arm64S2<Granule4K>>(48, 48, true);
    let forced = with::<Arm64S2<Granule4K>>(48, 48, true, Options::FORCE_WRITE_BACK);
    assert!(!plain.force_write_back && forced.force_write_back);
    assert_eq!(forced, Stage2Registers { force_write_back: true, ..plain });
}

/// `TTBCR` with EAE 31 (Arm DDI 0487, G8.2): T0SZ 2:0 is 32 less the input bits; EPD0 7, IRGN0 9:8,
/// ORGN0 11:10, SH0 13:12; T1SZ 18:16, EPD1 23, IRGN1 25:24, ORGN1 27:26, SH1 29:28. `MAIR0` has
/// attributes 0 to 3.
#[test]
fn stage_1_registers_of_32_bits_are_as_computed_by_hand() {
    let mair = [0x04_ff_44, 0];
    let ttbr = 0x8_8000_0000;
    let all = |ttbcr| Stage1Registers32 { ttbr, ttbcr, mair };
    // 0 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 1 << 31
    assert_eq!(registers::<Arm32S1>(32, 40, true), all(0x8080_3500));
    assert_eq!(registers::<Arm32S1>(25, 40, true), all(0x8080_3507));
    assert_eq!(registers::<Arm32S1>(30, 36, false), all(0x8080_2002));
    // 1 << 16 | 1 << 7 | 1 << 24 | 1 << 26 | 3 << 28 | 1 << 31
    let upper = Options::UPPER_HALF;
    assert_eq!(with::<Arm32S1>(31, 40, true, upper), all(0xb501_0080));
    assert_eq!(with::<Arm32S1>(25, 40, false, upper), all(0xa007_0080));
}

/// `VTCR` (Arm DDI 0487, G8.2): T0SZ 3:0 is 32 less the input bits, a signed number, with its sign
/// in S 4, too; SL0 7:6 is 0b01 for level 1; IRGN0 9:8, ORGN0 11:10, SH0 13:12; bit 31 is RES1.
#[test]
fn stage_2_registers_of_32_bits_are_as_computed_by_hand() {
    let vttbr = 0x8_8000_0000;
    let all = |vtcr| Stage2Registers32 { vttbr, vtcr };
    // 0 | 1 << 6 | 0x3500 | 1 << 31
    assert_eq!(registers::<Arm32S2>(32, 40, true), all(0x8000_3540));
    // -1 is 0b1111, -4 is 0b1100, -8 is 0b1000.
    assert_eq!(registers::<Arm32S2>(33, 40, true), all(0x8000_355f));
    assert_eq!(registers::<Arm32S2>(36, 40, true), all(0x8000_355c));
    assert_eq!(registers::<Arm32S2>(40, 40, true), all(0x8000_3558));
    assert_eq!(registers::<Arm32S2>(40, 40, false), all(0x8000_2058));
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
    assert_eq!(Arm32S1::NAME, "ARM_32_LPAE_S1");
    assert_eq!(Arm32S2::NAME, "ARM_32_LPAE_S2");
    assert_eq!(ArmMali::NAME, "ARM_MALI_LPAE");
    assert_eq!(Arm64S1::<Lpa2<Granule16K>>::GRANULE, "16K-LPA2");
    assert_eq!(Arm64S2::<Lpa2<Granule4K>>::GRANULE, "4K-LPA2");
    assert_eq!((Arm64S2::<Granule64K>::GRANULE, Arm32S2::GRANULE), ("64K", "4K"));
}
