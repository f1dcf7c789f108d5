//! Both stages: what is walked through what, whose fault it is, and what the answer combines.

use walkers::soft::{Nested, Stage1Registers, Stage2Registers};
use walkers::{
    Access, DeviceType, Fault, FaultKind, FaultStage, MemoryType, Shareability, Translation, Walker,
};

use crate::tables::{IPS_48, MAIR, Tables, permission_fault, place, translation_fault};

const READ: Access = Access::PRIVILEGED_READ;
/// 39 bits, three levels: a root at the intermediate address 0x1000.
const FIRST: Stage1Registers =
    Stage1Registers { ttbr0: Some(0x1000), ttbr1: None, tcr: IPS_48 | 25, mair: MAIR };
/// 39 bits from level 1 (`SL0` 1), 48 bits out: a root at the physical address 512 KiB.
const SECOND: Stage2Registers =
    Stage2Registers { vttbr: 0x8_0000, vtcr: 25 | 1 << 6 | 0b101 << 16, force_write_back: false };

/// Stage 2 of what is below 2 MiB: pages 1 to 3 (the tables of stage 1) at 1 MiB more, page 5 at
/// 5 MiB more. All read and write, write-back, inner shareable.
const BELOW: [(u64, u64); 6] = [
    (0x8_0000, 0x8_1003),
    (0x8_1000, 0x8_2003),
    (0x8_2008, 0x10_17ff),
    (0x8_2010, 0x10_27ff),
    (0x8_2018, 0x10_37ff),
    (0x8_2028, 0x50_57ff),
];
/// Stage 1: page 0 of its input is the intermediate page 5. Write-back, inner shareable, `nG`.
const ABOVE: [(u64, u64); 3] = [(0x10_1000, 0x2003), (0x10_2000, 0x3003), (0x10_3000, 0x5f03)];

fn nested(second: Stage2Registers, changes: &[(u64, u64)]) -> Nested<Tables> {
    let entries = [&BELOW, &ABOVE[..], changes].concat();
    Nested::new(Tables::new(&entries), FIRST, second).expect("the granules are not reserved")
}

fn answer(changes: &[(u64, u64)], access: Access) -> Result<Translation, Fault> {
    nested(SECOND, changes).translate(0xabc, access)
}

fn of(stage: FaultStage, kind: FaultKind, level: i8) -> Fault {
    let mut fault = Fault::new(kind, level);
    fault.stage = stage;
    fault
}

#[test]
fn tables_and_results_of_stage_1_go_through_stage_2() {
    assert_eq!(place(answer(&[], READ)), Ok((0x50_5abc, 4 << 10, 3)));
}

#[test]
fn a_fault_of_stage_1_is_its_own() {
    assert_eq!(place(answer(&[(0x10_3000, 0)], READ)), translation_fault(3));
    assert_eq!(place(answer(&[], Access::UNPRIVILEGED_READ)), permission_fault(3));
    // An entry that lies nowhere.
    let fault = nested(SECOND, &[]).translate(0x1000, READ).unwrap_err();
    assert_eq!(fault, Fault::new(FaultKind::ExternalAbort, 3));
}

#[test]
fn a_fault_of_stage_2_on_the_way_says_so() {
    for entry in [0x8_2008, 0x8_2010, 0x8_2018] {
        // Whatever the level of stage 1, it is stage 2's last.
        let fault = answer(&[(entry, 0)], READ).unwrap_err();
        assert_eq!(fault, of(FaultStage::SecondOnWalk, FaultKind::Translation, 3));
        // Without S2AP[0]: stage 1 cannot read its table.
        let fault = answer(&[(entry, 0x10_17bf)], READ).unwrap_err();
        assert_eq!(fault, of(FaultStage::SecondOnWalk, FaultKind::Permission, 3));
    }
    let fault = answer(&[(0x8_1000, 0)], READ).unwrap_err();
    assert_eq!(fault, of(FaultStage::SecondOnWalk, FaultKind::Translation, 2));
}

#[test]
fn a_fault_of_stage_2_at_the_end_says_so() {
    let fault = answer(&[(0x8_2028, 0)], READ).unwrap_err();
    assert_eq!(fault, of(FaultStage::Second, FaultKind::Translation, 3));
    let fault = answer(&[(0x8_2028, 0x50_577f)], Access::PRIVILEGED_WRITE).unwrap_err();
    assert_eq!(fault, of(FaultStage::Second, FaultKind::Permission, 3));
    assert!(answer(&[(0x8_2028, 0x50_577f)], READ).is_ok());
    assert_eq!(fault.to_string(), "permission fault at level 3 of stage 2");
}

#[test]
fn the_leaf_is_the_smaller_one() {
    // Stage 1: a block of 2 MiB at the intermediate address 0.
    let found = answer(&[(0x10_2000, 0xf01), (0x8_2000, 0)], READ);
    // Page 0 is not mapped at stage 2; page 5 is.
    assert_eq!(found.unwrap_err(), of(FaultStage::Second, FaultKind::Translation, 3));
    let mmu = nested(SECOND, &[(0x10_2000, 0xf01)]);
    assert_eq!(place(mmu.translate(0x5abc, READ)), Ok((0x50_5abc, 4 << 10, 2)));
    // Stage 2: 1 GiB at 2 GiB; stage 1 leads there.
    let changes = [(0x10_3000, 0x4000_5f03), (0x8_0008, 0x8000_07fd)];
    assert_eq!(place(answer(&changes, READ)), Ok((0x8000_5abc, 4 << 10, 3)));
}

#[test]
fn both_must_permit() {
    // Stage 2: execution for nobody.
    let found = answer(&[(0x8_2028, 1 << 54 | 0x50_57ff)], READ).unwrap();
    assert!(!found.permissions.privileged.execute);
    assert!(found.permissions.privileged.write);
    let found = answer(&[(0x8_2028, 0x50_577f)], READ).unwrap();
    assert!(found.permissions.privileged.execute);
    assert!(!found.permissions.privileged.write);
    assert!(!found.permissions.unprivileged.read);
}

#[test]
fn the_weaker_memory_type_counts() {
    let device = |kind| MemoryType::Device(kind);
    // Stage 1: AttrIndx 0 write-back, 1 Device-nGnRE, 2 non-cacheable.
    // Stage 2: MemAttr 0xf write-back, 5 non-cacheable, 0 Device-nGnRnE, 3 Device-GRE.
    for (first, second, expected) in [
        (0, 0xf, MemoryType::WriteBack),
        (0, 0x5, MemoryType::NonCacheable),
        (2, 0xf, MemoryType::NonCacheable),
        (1, 0xf, device(DeviceType::NGnRE)),
        (1, 0x0, device(DeviceType::NGnRnE)),
        (1, 0x3, device(DeviceType::NGnRE)),
        (0, 0x3, device(DeviceType::GRE)),
        (2, 0x3, device(DeviceType::GRE)),
    ] {
        let changes = [(0x10_3000, 0x5f03 | first << 2), (0x8_2028, 0x50_57c3 | second << 2)];
        assert_eq!(answer(&changes, READ).unwrap().memory, expected, "{first} {second:#x}");
    }
}

#[test]
fn forced_write_back_has_its_own_rules() {
    let device = MemoryType::Device(DeviceType::NGnRE);
    let forced = Stage2Registers { force_write_back: true, ..SECOND };
    for (first, second, expected) in [
        (1, 0x6, MemoryType::WriteBack),
        (2, 0x6, MemoryType::WriteBack),
        (1, 0x7, device),
        (2, 0x7, MemoryType::NonCacheable),
        (1, 0x5, device),
        (0, 0x5, MemoryType::NonCacheable),
        (0, 0x1, device),
    ] {
        let changes = [(0x10_3000, 0x5f03 | first << 2), (0x8_2028, 0x50_57c3 | second << 2)];
        let found = nested(forced, &changes).translate(0, READ).unwrap();
        assert_eq!(found.memory, expected, "{first} {second:#x}");
    }
}

#[test]
fn the_wider_shareability_counts() {
    use Shareability::{Inner, Non, Outer};
    for (first, second, expected) in
        [(0, 0, Non), (0, 3, Inner), (3, 0, Inner), (2, 3, Outer), (3, 2, Outer), (0, 2, Outer)]
    {
        let changes = [(0x10_3000, 0x5c03 | first << 8), (0x8_2028, 0x50_54ff | second << 8)];
        assert_eq!(answer(&changes, READ).unwrap().shareability, expected);
    }
}
