//! How fast the IOMMUs answer: `cargo test -p walkers --features machines --test qemu_dma -- speed
//! --ignored --nocapture`.

use std::time::Instant;

use walkers::qemu::{AmdVi, RiscVIommu, SmmuV3, Vtd};
use walkers::soft::Stage1Registers;
use walkers::{AmdV1Registers, Mmu, Regime, RiscVRegisters, VtdSecondStageRegisters};

use crate::bed::{Bed, both, machine};

/// Asks for 16,384 reads and writes of 512 pages, whose entries `entry` makes.
fn measure(
    bed: &mut Bed,
    mmu: &mut dyn Mmu,
    root: u64,
    entry: impl Fn(u64) -> u64,
    regime: Regime,
) {
    for index in 0..512 {
        bed.write(root + 8 * index, entry(bed.target(index << 12)));
    }
    mmu.install(&regime, 0).unwrap();
    let requests = both((0..8192).map(|index| (index % 512) << 12 | 0x123));
    let mut answers = Vec::new();
    let begun = Instant::now();
    mmu.translate(&requests, &mut answers).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert!(answers.iter().all(Result::is_ok));
    let asked = f64::from(u32::try_from(requests.len()).unwrap());
    println!("{}: {:.0} translations/s", mmu.name(), asked / seconds);
}

/// Two tables above one of pages.
fn above(bed: &mut Bed, link: impl Fn(u64, u64) -> u64) -> (u64, u64) {
    let [top, middle, pages] = [0, 1, 2].map(|_| bed.table(4096));
    bed.write(top, link(middle, 2));
    bed.write(middle, link(pages, 1));
    (top, pages)
}

#[test]
#[ignore = "measures"]
fn speed_of_smmuv3() {
    let mut bed = Bed::new(SmmuV3::RAM);
    let Some(mut mmu) = machine(SmmuV3::locate(), &bed, SmmuV3::start) else { return };
    let (top, pages) = above(&mut bed, |table, _| table | 0b11);
    let tcr = 25 | 0b100 << 32;
    let registers = Stage1Registers { ttbr0: Some(top), ttbr1: None, tcr, mair: 0xff };
    measure(&mut bed, &mut mmu, pages, |to| to | 0x703, Regime::Stage1(registers));
}

#[test]
#[ignore = "measures"]
fn speed_of_vtd() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let (pointer, pages) = above(&mut bed, |table, _| table | 0b11);
    let registers =
        VtdSecondStageRegisters { pointer, address_width: 1, host_bits: 48, access_dirty: false };
    measure(&mut bed, &mut mmu, pages, |to| to | 0b11, Regime::VtdSecondStage(registers));
}

#[test]
#[ignore = "measures"]
fn speed_of_amdvi() {
    let mut bed = Bed::new(AmdVi::RAM);
    let Some(mut mmu) = machine(AmdVi::locate(), &bed, AmdVi::start) else { return };
    let rights = 0b11 << 61 | 1;
    let (top, pages) = above(&mut bed, |table, level| table | level << 9 | rights);
    let registers = AmdV1Registers { device_table_entry: [top | 3 << 9 | 0b10 | rights, 0, 0, 0] };
    measure(&mut bed, &mut mmu, pages, |to| to | rights, Regime::AmdV1(registers));
}

#[test]
#[ignore = "measures"]
fn speed_of_riscv_iommu() {
    let mut bed = Bed::new(RiscVIommu::RAM);
    let Some(mut mmu) = machine(RiscVIommu::locate(), &bed, RiscVIommu::start) else { return };
    let (top, pages) = above(&mut bed, |table, _| table >> 2 | 1);
    let registers = RiscVRegisters { satp: 8 << 60 | top >> 12, ..RiscVRegisters::default() };
    measure(&mut bed, &mut mmu, pages, |to| to >> 2 | 0xd7, Regime::RiscV(registers));
}
