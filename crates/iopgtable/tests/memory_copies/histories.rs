//! Operations in any order, with copies in between.

use iopgtable::format::{FirstStage, RiscV};
use iopgtable::memory::{CopyQueue, Pool, Region, TableAllocator, TableLayout, Watermarks};
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K, Granule64K, Iova,
    MediaTek, Options, PageTable, Unextended,
};
use proptest::prelude::*;

use crate::machine::{TABLES, Walked, finish};
use crate::model::Model;
use crate::ops::Raw;
use crate::vram::{CAPACITY, Engine, Vram};

/// Operations, after every `every`-th of which the device gets what was submitted until then.
fn history<F: Walked, A: TableAllocator + Clone>(
    config: Config,
    engine: &Engine,
    allocator: A,
    raw: &[(Raw, bool)],
    every: usize,
) {
    let mut table = PageTable::<F, A>::new(config, allocator).expect("a good configuration");
    let mut vram = Vram::new();
    for (phys, words) in engine.0.take() {
        vram.write(phys, &words);
    }
    let mut models = vec![Model::new(*table.geometry())];
    let mut addresses = Vec::new();
    for (count, (raw, reserve)) in raw.iter().enumerate() {
        let mut model = models.last().expect("there is one").clone();
        if let Some((gather, range)) = raw.operate(&mut table, &mut model, *reserve) {
            addresses.extend(models.last().expect("there is one").addresses(range, 3));
            addresses.extend(model.addresses(range, 3));
            models.push(model);
            // The device is made to forget behind the copies: tables may go.
            finish(&table, gather);
        }
        if (count + 1) % every == 0 {
            for copy in engine.0.take() {
                vram.copy(&table, &copy, &models, &addresses).expect("the old or the new one");
            }
            models = models.split_off(models.len() - 1);
            vram.look(&table, &models, &addresses, false).expect("the new one");
            addresses.clear();
        }
    }
}

fn histories<F: Walked>(config: Config, raw: &[(Raw, bool)], words: usize, every: usize) {
    let engine = Engine::default();
    let (mut one, mut other) = (vec![0; words], vec![0; words]);
    let region = |buffer| {
        let queue = CopyQueue::new(buffer, &engine).expect("room for a copy");
        let queue = if size_of::<F::Word>() == 4 { queue.with_short_entries() } else { queue };
        Region::with_capacity_and_publisher(TABLES, CAPACITY, queue).expect("a good region")
    };
    let memory = region(&mut one);
    history::<F, _>(config, &engine, &memory, raw, every);
    assert_eq!(memory.in_use(), 0);
    let memory = region(&mut other);
    let layout = TableLayout::of::<F>();
    let pool = Pool::new(&memory, layout, Watermarks { low: 0, batch: 4, high: 16 });
    history::<F, _>(config, &engine, &pool, raw, every);
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    raw in prop::collection::vec((crate::ops::small(), any::<bool>()), 1..12),
                    words in prop::sample::select(vec![3usize, 4, 61, 1024, 16384]),
                    every in 1usize..4,
                ) {
                    let config = Config::new($input, $output)$(.with($options))?;
                    histories::<$format>(config, &raw, words, every);
                }
            )*
        }
    };
}

histories! {
    copies_s1_4k: Arm64S1<Granule4K>, 48, 48;
    copies_s1_16k: Arm64S1<Granule16K>, 48, 48;
    copies_s2_4k: Arm64S2<Granule4K>, 40, 40;
    copies_s2_64k: Arm64S2<Granule64K>, 42, 42;
    copies_mali: ArmMali, 33, 40;
    copies_amd_v1: AmdV1, 48, 48;
    copies_riscv_napot: RiscV<FirstStage>, 48, 56, Options::CONTIGUOUS;
    copies_arm_v7s: ArmV7s<Unextended>, 32, 32;
    copies_mediatek_v7s: ArmV7s<MediaTek>, 34, 35;
}

#[test]
fn registers_of_tables_in_device_memory_do_not_ask_to_snoop() {
    let (engine, mut buffer) = (Engine::default(), [0; 64]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    let memory = Region::with_capacity_and_publisher(TABLES, CAPACITY, queue).unwrap();
    let table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &memory).unwrap();
    // SAFETY: no walker is given them.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.tcr >> 8 & 0x3f, 0b10_00_00, "outer shareable, not cached");
    assert_eq!(table.translate(Iova(0)), None);
}
