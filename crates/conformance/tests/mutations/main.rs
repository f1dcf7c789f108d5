//! Each bit of the entries, flipped: some machine notices, or the reason why none can is in
//! `survivors`.

mod survivors;

use std::collections::BTreeSet;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, Lpa2, MediaTek, Options, Unextended, VtdS2, X86_64,
};
use iopgtable_conformance::machines::{Name, Site};
use iopgtable_conformance::mutations::{self, Kind};
use iopgtable_conformance::{Rig, Walked};
use survivors::Survivors;
use walkers::require;
use walkers::soft::SoftMmu;

fn flip<F: Walked>(config: Config, name: &str, survivors: &[&[Survivors]]) {
    let name: Name = name.replace('_', "-").parse().expect("a machine has this name");
    let Some(site) = require::machine(name.text(), Site::open(name)) else { return };
    let Site { mmu, tables: memory } = site;
    let mut rig = Rig::<F>::new(&memory, config).expect("the configuration is good");
    if name != Name::Soft {
        let soft = Box::new(SoftMmu::new(memory.ram().clone()));
        rig.attach(soft).expect("a model walks every format");
    }
    rig.attach(mmu).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mutations = mutations::flip_each_bit(&mut rig, &memory, config);
    let unnoticed = mutations.iter().filter(|mutation| mutation.noticed_by.is_empty());
    let unnoticed: BTreeSet<(Kind, u32)> = unnoticed.map(|it| (it.kind, it.bit)).collect();
    let explained = survivors.iter().flat_map(|some| some.iter());
    let explained: BTreeSet<(Kind, u32)> = explained
        .flat_map(|&(kinds, (first, last), _)| {
            kinds.iter().flat_map(move |&kind| (first..=last).map(move |bit| (kind, bit)))
        })
        .collect();
    let unexplained: Vec<_> = unnoticed.difference(&explained).collect();
    assert!(unexplained.is_empty(), "nobody notices {unexplained:?}");
    let noticed: Vec<_> = explained.difference(&unnoticed).collect();
    assert!(noticed.is_empty(), "somebody notices {noticed:?}");
    let by_this = mutations.iter().filter(|it| it.noticed_by.contains(&name.text())).count();
    assert!(by_this > 0, "{name} notices something");
    println!(
        "{} of {} bits: {} mutations, {} noticed, {by_this} by {name}",
        F::NAME,
        config.input_bits,
        mutations.len(),
        mutations.len() - unnoticed.len()
    );
}

macro_rules! formats {
    ($($name:ident: $format:ty, $config:expr, [$($machine:ident),*], $survivors:expr;)*) => {$(
        mod $name {
            use super::*;
            $(
                #[test]
                fn $machine() {
                    flip::<$format>($config, stringify!($machine), &$survivors);
                }
            )*
        }
    )*};
}
formats! {
    arm64_s1_4k: Arm64S1<Granule4K>, Config::new(48, 48), [soft],
        [survivors::STAGE1, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm64_s1_64k: Arm64S1<Granule64K>, Config::new(52, 52), [soft],
        [survivors::STAGE1, survivors::BELOW_64K, survivors::TO_48_BITS];
    arm64_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52), [soft],
        [survivors::STAGE1, survivors::BELOW_4K_LPA2, survivors::TO_50_BITS];
    arm64_s2_4k: Arm64S2<Granule4K>, Config::new(40, 40), [soft],
        [survivors::STAGE2, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm64_s2_16k: Arm64S2<Granule16K>, Config::new(40, 44), [soft],
        [survivors::STAGE2, survivors::BELOW_16K, survivors::TO_48_BITS];
    arm32_s1: Arm32S1, Config::new(32, 40), [soft],
        [survivors::STAGE1, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm32_s2: Arm32S2, Config::new(40, 40), [soft],
        [survivors::STAGE2, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm_mali: ArmMali, Config::new(48, 40), [soft],
        [survivors::STAGE2, survivors::BELOW_4K, survivors::TO_48_BITS, survivors::MALI];
    x86_64: X86_64, Config::new(48, 48), [soft, qemu_x86, vtd], [survivors::X86_64];
    x86_64_5_levels: X86_64, Config::new(57, 52), [soft, qemu_x86], [survivors::X86_64];
    x86_64_without_1g: X86_64, Config::new(48, 48).largest_leaf(2 << 20), [kvm],
        [survivors::X86_64];
    vtd_s2: VtdS2, Config::new(48, 48).with(Options::HARDWARE_DIRTY), [soft, vtd],
        [survivors::VTD_S2];
    riscv: RiscV<FirstStage>, Config::new(39, 56), [soft, qemu_riscv, riscv_iommu],
        [survivors::RISCV];
    riscv_memory_types: RiscV<FirstStage>, Config::new(57, 56).with(Options::MEMORY_TYPES),
        [soft, qemu_riscv], [survivors::RISCV];
    riscv_g: RiscV<GStage>, Config::new(50, 56), [soft, qemu_riscv, riscv_iommu],
        [survivors::RISCV, survivors::RISCV_G];
    amd_v1: AmdV1, Config::new(48, 48).largest_leaf(1 << 30), [soft, amdvi],
        [survivors::AMD_V1, survivors::AMD_V1_WITHOUT_DIRTY];
    amd_v1_dirty: AmdV1, Config::new(64, 52).largest_leaf(4 << 20).with(Options::HARDWARE_DIRTY),
        [soft], [survivors::AMD_V1];
    arm_v7s: ArmV7s<Unextended>, Config::new(32, 32), [soft],
        [survivors::SHORT, survivors::ARM_V7S];
    mediatek_v7s: ArmV7s<MediaTek>, Config::new(34, 35), [soft],
        [survivors::SHORT, survivors::MEDIATEK];
    dart_t8020: Dart<T8020>, Config::new(36, 36), [soft], [survivors::DART_T8020];
    dart_t6000: Dart<T6000>, Config::new(36, 42), [soft], [survivors::DART_T6000];
}
