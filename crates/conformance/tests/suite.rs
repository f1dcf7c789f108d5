//! Every format before every machine that walks it: the whole suite.
//!
//! A model of the format walks the same tables beside each machine, so that two answers are
//! compared with each other, too.

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, Lpa2, MediaTek, Options, Unextended, VtdS2, X86_64,
};
use iopgtable_conformance::cases::{self, Outcome};
use iopgtable_conformance::histories::{self, Length};
use iopgtable_conformance::machines::{Name, Site};
use iopgtable_conformance::{Rig, Walked};
use walkers::soft::SoftMmu;
use walkers::{Mmu, require};

/// How long the random history is before a machine, by how fast that is.
fn length(name: Name) -> Length {
    match name {
        Name::Soft | Name::Iotlb => Length { steps: 2000, probes: 8 },
        Name::QemuAarch64 | Name::QemuRiscV | Name::QemuX86 => Length { steps: 1000, probes: 8 },
        // Each answer takes some copies.
        _ => Length { steps: 1000, probes: 2 },
    }
}

/// A machine at work: each part of the suite has a table of its own.
struct Bench {
    name: Name,
    site: Site,
    checked: u64,
}

impl Bench {
    fn run<F: Walked>(&mut self, config: Config, part: impl FnOnce(&mut Rig<'_, F>) -> Outcome) {
        let Site { mmu, tables } = &mut self.site;
        let mut rig = Rig::<F>::new(tables, config).expect("the configuration is good");
        let soft = Box::new(SoftMmu::new(tables.ram().clone()));
        rig.attach(soft).expect("a model walks every format");
        let lent: Box<dyn Mmu> =
            std::mem::replace(mmu, Box::new(SoftMmu::new(tables.ram().clone())));
        rig.attach(lent).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let outcome = part(&mut rig);
        let (back, tally) = rig.into_machines().pop().expect("two were attached");
        *mmu = back;
        self.checked += tally.checked;
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

fn walk<F: Walked>(config: Config, name: &str) {
    let name: Name = name.replace('_', "-").parse().expect("a machine has this name");
    let Some(site) = require::machine(name.text(), Site::open(name)) else { return };
    let mut bench = Bench { name, site, checked: 0 };
    bench.run::<F>(config, cases::every_leaf_in_every_place);
    bench.run::<F>(config, |rig| cases::every_permission(rig, config));
    bench.run::<F>(config, cases::holes);
    bench.run::<F>(config, |rig| histories::random(rig, config, 0x10_9a6e, length(name)));
    bench.run::<F>(config, cases::a_dropped_invalidation_shows);
    println!("{name} {} translations checked", bench.checked);
}

macro_rules! formats {
    ($($name:ident: $format:ty, $config:expr, [$($machine:ident),*];)*) => {$(
        mod $name {
            use super::*;
            $(
                #[test]
                fn $machine() {
                    walk::<$format>($config, stringify!($machine));
                }
            )*
        }
    )*};
}
/// Pages of 64 KiB, and leaves that say the memory type.
const NAPOT: Options = Options::CONTIGUOUS.with(Options::MEMORY_TYPES);

formats! {
    arm64_s1_4k_48: Arm64S1<Granule4K>, Config::new(48, 48), [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s1_4k_39: Arm64S1<Granule4K>, Config::new(39, 40), [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s1_4k_upper: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::UPPER_HALF),
        [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s1_4k_contiguous: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::CONTIGUOUS),
        [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s1_16k: Arm64S1<Granule16K>, Config::new(47, 48), [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s1_64k: Arm64S1<Granule64K>, Config::new(52, 52), [soft, iotlb, qemu_aarch64];
    arm64_s1_64k_contiguous: Arm64S1<Granule64K>, Config::new(42, 48).with(Options::CONTIGUOUS),
        [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52), [soft, iotlb, qemu_aarch64];
    arm64_s1_16k_lpa2: Arm64S1<Lpa2<Granule16K>>, Config::new(52, 52), [soft, iotlb, qemu_aarch64];
    arm64_s2_4k_40: Arm64S2<Granule4K>, Config::new(40, 40), [soft, iotlb, qemu_aarch64];
    arm64_s2_4k_48: Arm64S2<Granule4K>, Config::new(48, 48), [soft, iotlb, qemu_aarch64];
    arm64_s2_4k_44: Arm64S2<Granule4K>, Config::new(44, 44), [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s2_64k_42: Arm64S2<Granule64K>, Config::new(42, 42), [soft, iotlb, qemu_aarch64, smmuv3];
    arm64_s2_16k: Arm64S2<Granule16K>, Config::new(40, 44), [soft, iotlb, qemu_aarch64];
    arm64_s2_64k: Arm64S2<Granule64K>, Config::new(48, 48), [soft, iotlb, qemu_aarch64];
    arm64_s2_4k_lpa2: Arm64S2<Lpa2<Granule4K>>, Config::new(52, 52), [soft, iotlb, qemu_aarch64];
    arm32_s1: Arm32S1, Config::new(32, 40), [soft, iotlb, qemu_aarch64];
    arm32_s2: Arm32S2, Config::new(40, 40), [soft, iotlb];
    arm_mali: ArmMali, Config::new(48, 40), [soft, iotlb];
    arm_v7s: ArmV7s<Unextended>, Config::new(32, 32), [soft, iotlb];
    arm_v7s_40: ArmV7s<Unextended>, Config::new(32, 40), [soft, iotlb];
    mediatek_v7s: ArmV7s<MediaTek>, Config::new(32, 35), [soft, iotlb];
    mediatek_v7s_34: ArmV7s<MediaTek>, Config::new(34, 35), [soft, iotlb];
    amd_v1_4_levels: AmdV1, Config::new(48, 48), [soft, iotlb, amdvi];
    amd_v1_1_level: AmdV1, Config::new(21, 48), [soft, iotlb, amdvi];
    amd_v1_2_levels: AmdV1, Config::new(30, 48), [soft, iotlb, amdvi];
    amd_v1_6_levels: AmdV1, Config::new(64, 52), [soft, iotlb];
    x86_64_4_levels: X86_64, Config::new(48, 48), [soft, iotlb, kvm, qemu_x86, vtd];
    x86_64_5_levels: X86_64, Config::new(57, 52), [soft, iotlb, qemu_x86];
    x86_64_upper: X86_64, Config::new(48, 48).with(Options::UPPER_HALF),
        [soft, iotlb, kvm, qemu_x86, vtd];
    x86_64_5_levels_upper: X86_64, Config::new(57, 52).with(Options::UPPER_HALF),
        [soft, iotlb, qemu_x86];
    x86_64_without_1g: X86_64, Config::new(48, 48).largest_leaf(2 << 20),
        [soft, iotlb, kvm, qemu_x86];
    vtd_s2_3_levels: VtdS2, Config::new(39, 39), [soft, iotlb, vtd];
    vtd_s2_4_levels: VtdS2, Config::new(48, 48).with(Options::HARDWARE_DIRTY), [soft, iotlb, vtd];
    vtd_s2_5_levels: VtdS2, Config::new(57, 52).with(Options::FORCE_SNOOP), [soft, iotlb];
    dart_t8020: Dart<T8020>, Config::new(36, 36), [soft, iotlb];
    dart_t6000_of_four_roots: Dart<T6000>, Config::new(38, 42), [soft, iotlb];
    riscv_sv39: RiscV<FirstStage>, Config::new(39, 56), [soft, iotlb, qemu_riscv, riscv_iommu];
    riscv_sv48_upper: RiscV<FirstStage>, Config::new(48, 48).with(Options::UPPER_HALF), [soft, iotlb, qemu_riscv, riscv_iommu];
    riscv_sv57: RiscV<FirstStage>, Config::new(57, 56).with(Options::MEMORY_TYPES), [soft, iotlb, qemu_riscv];
    riscv_sv39_napot: RiscV<FirstStage>, Config::new(39, 56).with(NAPOT), [soft, iotlb, qemu_riscv];
    riscv_sv48_napot_upper: RiscV<FirstStage>,
        Config::new(48, 48).with(Options::CONTIGUOUS.with(Options::UPPER_HALF)), [soft, iotlb, qemu_riscv];
    riscv_sv57_napot: RiscV<FirstStage>, Config::new(57, 56).with(Options::CONTIGUOUS),
        [soft, iotlb, qemu_riscv];
    riscv_sv39x4_napot: RiscV<GStage>, Config::new(41, 56).with(NAPOT), [soft, iotlb, qemu_riscv];
    riscv_sv48x4_napot: RiscV<GStage>, Config::new(50, 56).with(Options::CONTIGUOUS),
        [soft, iotlb, qemu_riscv];
    riscv_sv57x4_napot: RiscV<GStage>,
        Config::new(59, 56).with(Options::CONTIGUOUS.with(Options::HARDWARE_DIRTY)), [soft, iotlb, qemu_riscv];
    riscv_sv57_as_platform: RiscV<FirstStage>, Config::new(57, 56), [soft, riscv_iommu];
    riscv_sv57_upper: RiscV<FirstStage>, Config::new(57, 56).with(Options::UPPER_HALF),
        [soft, iotlb, qemu_riscv, riscv_iommu];
    riscv_sv39x4: RiscV<GStage>, Config::new(41, 56).with(Options::HARDWARE_DIRTY), [soft, iotlb, qemu_riscv, riscv_iommu];
    riscv_sv48x4: RiscV<GStage>, Config::new(50, 56).with(Options::MEMORY_TYPES), [soft, iotlb, qemu_riscv];
    riscv_sv57x4: RiscV<GStage>, Config::new(59, 56), [soft, iotlb, qemu_riscv, riscv_iommu];
}
