//! Each bit of the entries, flipped: some machine notices, or the reason why none can is in
//! `survivors`.

mod survivors;

use std::collections::BTreeSet;

use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, Lpa2,
    X86_64,
};
use iopgtable_conformance::machines::{Name, Site};
use iopgtable_conformance::mutations::{self, Kind};
use iopgtable_conformance::{Rig, Walked};
use survivors::Survivors;
use walkers::Access;

fn flip<F: Walked>(config: Config, survivors: &[&[Survivors]]) {
    let Site { mmu, tables: memory } = Site::open(Name::Soft).expect("there is memory");
    let mut rig = Rig::<F>::new(&memory, config).expect("the configuration is good");
    rig.attach(mmu).expect("a model walks every format");
    let mutations = mutations::flip_each_bit(&mut rig, &memory, config, &Access::ALL);
    let unnoticed = mutations.iter().filter(|mutation| mutation.noticed_by.is_empty());
    let unnoticed: BTreeSet<(Kind, u32)> = unnoticed.map(|it| (it.kind, it.bit)).collect();
    let explained = survivors.iter().flat_map(|some| some.iter());
    let explained: BTreeSet<(Kind, u32)> = explained
        .flat_map(|&(kind, (first, last), _)| (first..=last).map(move |b| (kind, b)))
        .collect();
    let unexplained: Vec<_> = unnoticed.difference(&explained).collect();
    assert!(unexplained.is_empty(), "nobody notices {unexplained:?}");
    let noticed: Vec<_> = explained.difference(&unnoticed).collect();
    assert!(noticed.is_empty(), "somebody notices {noticed:?}");
    println!(
        "{}: {} mutations, {} noticed",
        F::NAME,
        mutations.len(),
        mutations.len() - unnoticed.len()
    );
}

macro_rules! formats {
    ($($name:ident: $format:ty, $config:expr, $survivors:expr;)*) => {$(
        #[test]
        fn $name() {
            flip::<$format>($config, &$survivors);
        }
    )*};
}
formats! {
    arm64_s1_4k: Arm64S1<Granule4K>, Config::new(48, 48),
        [survivors::STAGE1, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm64_s1_64k: Arm64S1<Granule64K>, Config::new(52, 52),
        [survivors::STAGE1, survivors::BELOW_64K, survivors::TO_48_BITS];
    arm64_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, Config::new(52, 52),
        [survivors::STAGE1, survivors::BELOW_4K_LPA2, survivors::TO_50_BITS];
    arm64_s2_4k: Arm64S2<Granule4K>, Config::new(40, 40),
        [survivors::STAGE2, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm64_s2_16k: Arm64S2<Granule16K>, Config::new(40, 44),
        [survivors::STAGE2, survivors::BELOW_16K, survivors::TO_48_BITS];
    arm32_s1: Arm32S1, Config::new(32, 40),
        [survivors::STAGE1, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm32_s2: Arm32S2, Config::new(40, 40),
        [survivors::STAGE2, survivors::BELOW_4K, survivors::TO_48_BITS];
    arm_mali: ArmMali, Config::new(48, 40),
        [survivors::STAGE2, survivors::BELOW_4K, survivors::TO_48_BITS, survivors::MALI];
    x86_64: X86_64, Config::new(48, 48), [survivors::X86_64];
}
