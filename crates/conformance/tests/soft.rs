//! Every format, walked by the models: the whole suite.

use std::sync::Arc;

use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, Lpa2,
    Options,
};
use iopgtable_conformance::histories::Length;
use iopgtable_conformance::{Rig, TableMemory, Walked, cases, histories};
use walkers::Ram;
use walkers::soft::SoftMmu;

const FIRST: u64 = 0x4000_0000;
const BYTES: usize = 64 << 20;

fn walk<F: Walked>(config: Config) {
    let ram = Arc::new(Ram::new(FIRST, BYTES).expect("there is memory"));
    let memory = TableMemory::new(Arc::clone(&ram), 0, BYTES).expect("the numbers are good");
    let rig = || {
        let mut rig = Rig::<F>::new(&memory, config).expect("the configuration is good");
        rig.attach(Box::new(SoftMmu::new(Arc::clone(&ram)))).expect("a model walks every format");
        rig
    };
    let outcomes = [
        cases::every_leaf_in_every_place(&mut rig()),
        cases::every_permission(&mut rig(), config),
        cases::holes(&mut rig()),
        histories::random(&mut rig(), config, 0x10_9a6e, Length { steps: 2000, probes: 8 }),
    ];
    for outcome in outcomes {
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    }
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
}
