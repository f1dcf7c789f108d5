//! What is mapped is what a map from pages to memory says: every page of a window, through the
//! table's own face and through an independent MMU, whatever the leaves are.

#![cfg(feature = "alloc")]

mod machine;

use std::collections::BTreeMap;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, Iova, LAST_LEVEL, MediaTek, Options, PhysAddr, Prot, Segment, TableError,
    Unextended, VtdS2, X86_64,
};
use machine::Walked;
use proptest::prelude::*;
use proptest::sample::select;
use walkers::{Access, FaultKind};

/// How many blocks of the smallest size the window has.
const BLOCKS: u64 = 2;

/// An operation in 64ths of a block, so that it suits every granule.
#[derive(Clone, Debug)]
struct Raw {
    map: bool,
    first: u64,
    length: u64,
    phys: u64,
    aligned: bool,
    prot: Prot,
}

fn raw() -> impl Strategy<Value = Raw> {
    let place = select(vec![0u64, 0, 1, 31, 63, 64, 64, 65, 100]);
    let length = select(vec![1u64, 1, 2, 32, 63, 64, 64, 65, 128]);
    let prot = select(vec![Prot::RW, Prot::READ, Prot::READ | Prot::EXECUTE]);
    (prop::bool::weighted(0.6), place, length, 0u64..8, prop::bool::weighted(0.7), prot).prop_map(
        |(map, first, length, phys, aligned, prot)| Raw { map, first, length, phys, aligned, prot },
    )
}

fn compare<F: Walked>(config: Config, raw: &[Raw]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let geometry = *table.geometry();
    let page = geometry.granule();
    let block = 1 << geometry.table_shift(LAST_LEVEL);
    let all = (geometry.last_iova().0 - geometry.first_iova().0).saturating_add(1);
    let (unit, window) = (block / 64, (BLOCKS * block).min(all));
    // At the top of the addresses.
    let base = geometry.last_iova().0 - (window - 1);
    let mut pages: BTreeMap<u64, (u64, Prot)> = BTreeMap::new();
    for raw in raw {
        let first = raw.first * unit % window;
        let bytes = (raw.length * unit).min(window - first);
        let range = machine::range(base + first, bytes);
        let mine = range.first().0..=range.last().0;
        if raw.map {
            let odd = if raw.aligned { 0 } else { page };
            let phys = (raw.phys * 2 * block + first + odd) & geometry.last_phys().0 >> 1;
            let prot = F::granted(raw.prot);
            let done = table.map(range, [Segment::new(PhysAddr(phys), bytes)], prot);
            if let Some((&at, _)) = pages.range(mine.clone()).next() {
                let named = match done.map(|_| ()) {
                    Err(TableError::Overlap { iova, .. }) => iova,
                    other => panic!("{other:?} although {at:#x} is mapped"),
                };
                assert_eq!(named, Iova(at), "the first address that is mapped");
                continue;
            }
            machine::finish(&table, done.expect("nothing is mapped there"));
            pages.extend(
                mine.step_by(page as usize).map(|at| (at, (phys + (at - range.first().0), prot))),
            );
        } else {
            let gather = table.unmap(range, range).expect("it is a good range");
            machine::finish(&table, gather);
            pages.retain(|at, _| !mine.contains(at));
        }
    }
    for at in (base..=geometry.last_iova().0).step_by(page as usize) {
        let within = (at / page % page) & !7;
        let own = table.translate(Iova(at + within));
        let found = machine::walk(&table, at + within, Access::UNPRIVILEGED_READ);
        if let Some(&(phys, prot)) = pages.get(&at) {
            let found = found.unwrap_or_else(|fault| panic!("{at:#x}: {fault}"));
            assert_eq!(found.address, phys + within);
            assert_eq!(found.permissions.unprivileged, F::permissions(prot).unprivileged);
            let own = own.map(|own| (own.phys.0, own.prot, own.leaf_bytes));
            assert_eq!(own, Some((phys + within, prot, found.leaf_size)));
        } else {
            assert_eq!(own, None);
            assert_eq!(found.map_err(|fault| fault.kind), Err(FaultKind::Translation));
        }
    }
}

macro_rules! comparisons {
    ($($name:ident: $format:ty, $input:literal, $output:literal, $cases:literal $(, $options:expr)?;)*) => {
        $(
            proptest! {
                #![proptest_config(ProptestConfig { cases: $cases, ..ProptestConfig::default() })]
                #[test]
                fn $name(raw in prop::collection::vec(raw(), 1..12)) {
                    let config = Config::new($input, $output)$(.with($options))?;
                    compare::<$format>(config, &raw);
                }
            }
        )*
    };
}
comparisons! {
    s1_4k_pages: Arm64S1<Granule4K>, 48, 48, 1024;
    s1_16k_pages: Arm64S1<Granule16K>, 47, 48, 256;
    s1_64k_pages: Arm64S1<Granule64K>, 42, 48, 96;
    s2_4k_pages: Arm64S2<Granule4K>, 40, 40, 1024;
    s2_16k_pages: Arm64S2<Granule16K>, 38, 40, 256;
    s2_64k_pages: Arm64S2<Granule64K>, 42, 42, 96;
    mali_pages: ArmMali, 38, 40, 1024;
    x86_64_pages: X86_64, 48, 48, 1024;
    amd_v1_pages: AmdV1, 64, 48, 256;
    amd_v1_of_one_level_pages: AmdV1, 21, 48, 512;
    arm_v7s_pages: ArmV7s<Unextended>, 32, 32, 512;
    mediatek_v7s_pages: ArmV7s<MediaTek>, 34, 35, 256;
    arm32_s1_pages: Arm32S1, 32, 40, 256;
    arm32_s2_pages: Arm32S2, 40, 40, 256;
    vtd_s2_pages: VtdS2, 39, 39, 256;
    riscv_pages: RiscV<FirstStage>, 57, 56, 256, Options::MEMORY_TYPES;
    riscv_guest_pages: RiscV<GStage>, 41, 56, 256, Options::MEMORY_TYPES;
    dart_pages: Dart<T8020>, 36, 36, 32;
    dart_of_four_roots_pages: Dart<T6000>, 38, 42, 32;
}

#[test]
fn a_scatter_list_is_mapped_in_its_order() {
    let memory = machine::memory();
    let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let segments =
        [Segment::new(PhysAddr(0x9000_0000), 0x1000), Segment::new(PhysAddr(0x8000_0000), 0x3000)];
    let gather = table.map(machine::range(0x7000, 0x4000), segments, Prot::RW).unwrap();
    assert!(gather.is_empty(), "nothing was there before");
    for (iova, phys) in [(0x7000, 0x9000_0000), (0x8000, 0x8000_0000), (0xafff, 0x8000_2fff)] {
        assert_eq!(table.translate(Iova(iova)).unwrap().phys, PhysAddr(phys));
        let found = machine::walk(&table, iova, Access::UNPRIVILEGED_WRITE).unwrap();
        assert_eq!(found.address, phys);
    }
    assert_eq!(table.translate(Iova(0x6fff)), None);
    assert_eq!(table.translate(Iova(0xb000)), None);
}

#[test]
fn a_segment_as_large_as_a_table_is_one_leaf_also_where_the_table_is_left_over() {
    let memory = machine::memory();
    let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let span = machine::range(0x20_0000, 0x20_0000);
    let page = machine::range(0x20_0000, 0x1000);
    let gather = table.map(page, Segment::new(PhysAddr(0), 0x1000), Prot::RW).unwrap();
    machine::finish(&table, gather);
    let gather = table.unmap(page, page).unwrap();
    machine::finish(&table, gather);
    let gather = table.map(span, Segment::new(PhysAddr(0x4000_0000), 0x20_0000), Prot::RW).unwrap();
    assert_eq!(machine::finish(&table, gather), 1, "the table is in the way");
    assert_eq!(table.translate(Iova(0x20_0000)).unwrap().leaf_bytes, 0x20_0000);
}

#[test]
fn what_lies_beyond_the_input_size_is_not_mapped() {
    let memory = machine::memory();
    let mut table = machine::table::<ArmMali>(Config::new(33, 40), &memory);
    let page = Segment::new(PhysAddr(0), 0x1000);
    let _ = table.map(machine::range(0, 0x1000), [page], Prot::RW).unwrap();
    // The root's one entry in use translates 2^39 bytes, and its index of these is zero, too.
    for iova in [1 << 33, 1 << 39, 1 << 48, 1 << 63] {
        assert_eq!(table.translate(Iova(iova)), None);
    }
}
