//! Every format, walked by the models: the whole suite.

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, Lpa2,
    Options, VtdS2, X86_64,
};
use iopgtable_conformance::cases::Outcome;
use iopgtable_conformance::histories::Length;
use iopgtable_conformance::machines::{Name, Site};
use iopgtable_conformance::{Rig, Walked, cases, histories};

/// One part of the suite, on a machine of its own.
fn on_a_rig<F: Walked>(config: Config, part: impl FnOnce(&mut Rig<'_, F>) -> Outcome) {
    let Site { mmu, tables } = Site::open(Name::Soft).expect("there is memory");
    let mut rig = Rig::<F>::new(&tables, config).expect("the configuration is good");
    rig.attach(mmu).expect("a model walks every format");
    part(&mut rig).unwrap_or_else(|failure| panic!("{failure}"));
}

fn walk<F: Walked>(config: Config) {
    let length = Length { steps: 2000, probes: 8 };
    on_a_rig::<F>(config, cases::every_leaf_in_every_place);
    on_a_rig::<F>(config, |rig| cases::every_permission(rig, config));
    on_a_rig::<F>(config, cases::holes);
    on_a_rig::<F>(config, |rig| histories::random(rig, config, 0x10_9a6e, length));
}

macro_rules! formats {
    ($($name:ident: $format:ty, $config:expr;)*) => {$(
        #[test]
        fn $name() {
            walk::<$format>($config);
        }
    )*};
}
formats! {
    arm64_s1_4k_48: Arm64S1<Granule4K>, Config::new(48, 48);
    arm64_s1_4k_39: Arm64S1<Granule4K>, Config::new(39, 40);
    arm64_s1_4k_upper: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::UPPER_HALF);
    arm64_s1_4k_contiguous: Arm64S1<Granule4K>, Config::new(48, 48).with(Options::CONTIGUOUS);
    arm64_s1_16k: Arm64S1<Granule16K>, Config::new(47, 48);
    arm64_s1_64k: Arm64S1<Granule64K>, Config::new(52, 52);
    arm64_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52);
    arm64_s1_16k_lpa2: Arm64S1<Lpa2<Granule16K>>, Config::new(52, 52);
    arm64_s2_4k_40: Arm64S2<Granule4K>, Config::new(40, 40);
    arm64_s2_16k: Arm64S2<Granule16K>, Config::new(40, 44);
    arm64_s2_64k: Arm64S2<Granule64K>, Config::new(48, 48);
    arm64_s2_4k_lpa2: Arm64S2<Lpa2<Granule4K>>, Config::new(52, 52);
    arm32_s1: Arm32S1, Config::new(32, 40);
    arm32_s2: Arm32S2, Config::new(40, 40);
    arm_mali: ArmMali, Config::new(48, 40);
    x86_64_4_levels: X86_64, Config::new(48, 48);
    x86_64_5_levels: X86_64, Config::new(57, 52);
    x86_64_upper: X86_64, Config::new(48, 48).with(Options::UPPER_HALF);
    x86_64_without_1g: X86_64, Config::new(48, 48).largest_leaf(2 << 20);
    vtd_s2_3_levels: VtdS2, Config::new(39, 39);
    vtd_s2_4_levels: VtdS2, Config::new(48, 48).with(Options::HARDWARE_DIRTY);
    dart_t8020: Dart<T8020>, Config::new(36, 36);
    dart_t6000_of_four_roots: Dart<T6000>, Config::new(38, 42);
    riscv_sv39: RiscV<FirstStage>, Config::new(39, 56);
    riscv_sv48_upper: RiscV<FirstStage>, Config::new(48, 48).with(Options::UPPER_HALF);
    riscv_sv57: RiscV<FirstStage>, Config::new(57, 56).with(Options::MEMORY_TYPES);
    riscv_sv39x4: RiscV<GStage>, Config::new(41, 56).with(Options::HARDWARE_DIRTY);
    riscv_sv48x4: RiscV<GStage>, Config::new(50, 56).with(Options::MEMORY_TYPES);
    riscv_sv57x4: RiscV<GStage>, Config::new(59, 56);
    vtd_s2_5_levels: VtdS2, Config::new(57, 52).with(Options::FORCE_SNOOP);
}
