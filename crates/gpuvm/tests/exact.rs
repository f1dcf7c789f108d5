//! The reservation is exact, the tables are those that the mappings need, and an independent MMU
//! finds what the plan says: after every step of random histories, in every format.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod naive;

use std::sync::Arc;

use gpuvm::{Backing, Op, Space, Vm, plan};
use iopgtable::format::{FirstStage, RiscV};
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, Config, Geometry, Granule4K, Granule16K, Granule64K, Iova,
    IovaRange, LAST_LEVEL, Lpa2, Options, PhysAddr, Prot, Segment, Unwalked, X86_64,
};
use machine::{Ask, Faulty, Memory, Walked};
use proptest::prelude::*;
use proptest::sample::select;
use walkers::{Access, FaultKind};

/// An operation in numbers that suit every granule.
#[derive(Clone, Debug)]
struct RawOp {
    map: bool,
    /// At the top of the addresses rather than at the bottom.
    high: bool,
    /// Where it starts, in units of `1 << scale`, and by how many pages it is off.
    start: (u64, i64),
    length: (u64, i64),
    /// 0: pages, 1: small blocks, 2: large ones.
    scale: usize,
    /// Physical runs: their length by scale and count, and whether they keep the alignment.
    run: (usize, u64, bool),
    offset: u64,
    prot: Prot,
}

fn raw_op() -> impl Strategy<Value = RawOp> {
    (
        (prop::bool::weighted(0.7), prop::bool::weighted(0.2)),
        (0u64..10, select(vec![0i64, 0, 0, 1, -1, 3])),
        (1u64..5, select(vec![0i64, 0, 0, 1, -1, 7])),
        select(vec![0usize, 0, 1, 1, 1, 2]),
        (select(vec![0usize, 1, 1, 2]), 1u64..4, prop::bool::weighted(0.8)),
        select(vec![0u64, 0, 1, 5]),
        select(vec![Prot::RW, Prot::READ | Prot::CACHED, Prot::RW | Prot::EXECUTE]),
    )
        .prop_map(|((map, high), start, length, scale, run, offset, prot)| RawOp {
            map,
            high,
            start,
            length,
            scale,
            run,
            offset,
            prot,
        })
}

/// The sizes that scales stand for.
fn scales(geometry: &Geometry) -> [u64; 3] {
    let sizes: Vec<u64> = geometry.leaf_sizes().collect();
    let page = geometry.granule();
    match sizes[..] {
        [.., large, middle, _] => [page, middle, large],
        [large, _] => [page, large, large],
        _ => [page, page, page],
    }
}

fn cook(raw: &RawOp, geometry: &Geometry) -> Op {
    let scales = scales(geometry);
    let page = geometry.granule();
    let unit = scales[raw.scale];
    let near = |(count, off): (u64, i64)| {
        (count * unit).saturating_add_signed(off * i64::try_from(page).unwrap())
    };
    let (lowest, last) = (geometry.first_iova().0, geometry.last_iova().0);
    let start = near(raw.start) & (last - lowest);
    let first = if raw.high { last - start - (page - 1) } else { lowest + start };
    let bytes = near(raw.length).max(page).min(last - first + 1);
    let range = IovaRange::new(Iova(first), bytes).unwrap();
    if !raw.map {
        return Op::Unmap { range };
    }
    let (scale, count, aligned) = raw.run;
    // Not more than a few thousand runs a mapping.
    let run = (scales[scale.min(raw.scale + 1).min(2)] * count).max(bytes / 2048 / page * page);
    let offset = raw.offset * page;
    let mut segments = Vec::new();
    // With 52 bits, memory lies across the end of the address field.
    let memory = if geometry.output_bits() > 48 { (1 << 50) - scales[2] } else { 0x40_0000_0000 };
    let (mut phys, mut left) = (memory & geometry.last_phys().0, offset + bytes);
    // Backings whose memory begins where the addresses do can have the largest leaves.
    phys += (first.wrapping_sub(offset)) % scales[2];
    if !aligned {
        phys += page;
    }
    while left > 0 {
        let bytes = run.min(left);
        segments.push(Segment::new(PhysAddr(phys & geometry.last_phys().0), bytes));
        // A gap keeps the runs apart.
        phys += bytes + if aligned { scales[2] } else { page };
        phys %= geometry.last_phys().0 / 2 + 1;
        left -= bytes;
    }
    Op::Map { range, backing: Backing::new(segments).unwrap(), offset, prot: raw.prot }
}

/// Everything that must hold after a job has run.
fn check<F: Walked>(vm: &Vm<F, Memory, Unwalked>, touched: &[IovaRange]) {
    let geometry = *vm.geometry();
    let space: Space = vm.with_plan(Clone::clone);
    let leaves = naive::leaves(&geometry, &space);
    let tables = naive::tables(&geometry, &leaves);
    let built = vm.with_table(iopgtable::PageTable::count_tables);
    let planned = plan::tables(&geometry, &space);
    for level in geometry.first_level() + 1..=LAST_LEVEL {
        let naive = tables.get(&level).map_or(0, |tables| tables.len() as u64);
        assert_eq!(planned.at(level), naive, "planned tables at level {level}");
        assert_eq!(built.at(level), naive, "tables as built at level {level}");
    }
    let figures = vm.figures();
    assert_eq!(figures.tables_installed, figures.tables_reserved);
    assert_eq!(figures.tables_returned, 0);
    assert_eq!(figures.tables_live(), built.total());

    // Both ends and the middle of every leaf, and around every range that was touched.
    let mut addresses = Vec::new();
    for leaf in leaves.iter().take(400) {
        addresses.extend([
            leaf.first,
            leaf.first + leaf.bytes / 2 + 8,
            leaf.first + (leaf.bytes - 1),
        ]);
    }
    for range in touched {
        let (first, last) = (range.first().0, range.last().0);
        addresses.extend([first, last, first + (last - first) / 2]);
        addresses.extend(first.checked_sub(1));
        addresses.push(last.saturating_add(1).min(geometry.last_iova().0));
    }
    for address in addresses {
        let expected = space.get(Iova(address)).map(|mapping| {
            let into = address - mapping.range.first().0;
            let run = mapping.backing.runs(mapping.offset + into, 1).next().unwrap();
            (run.phys.0, mapping.prot)
        });
        let found = machine::walk(vm, address, Access::UNPRIVILEGED_READ);
        let own = vm.translate(Iova(address));
        if let Some((phys, prot)) = expected {
            let found = found.unwrap_or_else(|fault| panic!("{address:#x}: {fault}"));
            assert_eq!(found.address, phys, "where {address:#x} leads");
            // Where fetches are not told from reads, what can be read can be executed.
            let rights = F::permissions(prot).unprivileged;
            let execute = if rights.execute { Prot::EXECUTE } else { Prot::NONE };
            let told = prot.without(Prot::EXECUTE) | execute;
            let leaf = own.map(|own| (own.phys.0, own.prot, own.leaf_bytes));
            assert_eq!(leaf, Some((phys, told, found.leaf_size)));
            let write = machine::walk(vm, address, Access::UNPRIVILEGED_WRITE);
            assert_eq!(write.is_ok(), rights.write, "writing {address:#x}");
            let fetch = machine::walk(vm, address, Access::UNPRIVILEGED_EXECUTE);
            assert_eq!(fetch.is_ok(), rights.execute, "fetching {address:#x}");
        } else {
            assert_eq!(found.map_err(|fault| fault.kind), Err(FaultKind::Translation));
            assert_eq!(own, None);
        }
    }
}

fn history<F: Walked>(config: Config, raw: &[Vec<RawOp>]) {
    let memory = machine::memory();
    let vm = machine::vm::<F>(config, &memory);
    let geometry = *vm.geometry();
    for job in raw {
        let ops: Vec<Op> = job.iter().map(|raw| cook(raw, &geometry)).collect();
        let touched: Vec<IovaRange> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Map { range, .. } | Op::Unmap { range } => Some(*range),
                _ => None,
            })
            .collect();
        vm.submit(ops, [], []).unwrap();
        assert_eq!(vm.run_ready(), 0);
        check(&vm, &touched);
    }
    drop(vm);
    assert_eq!(memory.in_use(), 0, "every page is back");
}

macro_rules! histories {
    ($cases:literal: $($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: $cases, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(
                    jobs in prop::collection::vec(prop::collection::vec(raw_op(), 1..4), 1..12)
                ) {
                    history::<$format>(Config::new($input, $output)$(.with($options))?, &jobs);
                }
            )*
        }
    };
}
histories! { 24:
    random_histories_are_exact_s1_4k: Arm64S1<Granule4K>, 48, 48;
    random_histories_are_exact_s1_4k_small: Arm64S1<Granule4K>, 34, 40;
    random_histories_are_exact_s1_16k: Arm64S1<Granule16K>, 47, 48;
    random_histories_are_exact_s1_64k: Arm64S1<Granule64K>, 42, 48;
    random_histories_are_exact_s2_4k_concatenated: Arm64S2<Granule4K>, 40, 40;
    random_histories_are_exact_s2_16k_concatenated: Arm64S2<Granule16K>, 48, 48;
    random_histories_are_exact_s2_64k: Arm64S2<Granule64K>, 44, 44;
    random_histories_are_exact_mali: ArmMali, 48, 40;
    random_histories_are_exact_mali_33: ArmMali, 33, 40;
}

const UPPER: Options = Options::UPPER_HALF.with(Options::CONTIGUOUS);

/// Leaves say the memory type, so that what they say is read back.
const NAPOT: Options = Options::CONTIGUOUS.with(Options::MEMORY_TYPES);

histories! { 12:
    random_histories_are_exact_s1_4k_upper_half: Arm64S1<Granule4K>, 48, 48, Options::UPPER_HALF;
    random_histories_are_exact_s1_4k_39_upper_half: Arm64S1<Granule4K>, 39, 48, UPPER;
    random_histories_are_exact_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, 52, 52;
    random_histories_are_exact_s1_4k_lpa2_upper_half: Arm64S1<Lpa2<Granule4K>>, 52, 52, UPPER;
    random_histories_are_exact_x86_64: X86_64, 57, 48;
    random_histories_are_exact_amd_v1: AmdV1, 48, 48;
    random_histories_are_exact_amd_v1_of_one_level: AmdV1, 21, 48;
    random_histories_are_exact_riscv_napot: RiscV<FirstStage>, 39, 56, NAPOT;
    random_histories_are_exact_x86_64_narrow_upper_half: X86_64, 37, 40, Options::UPPER_HALF;
}

/// Root entries span more than such a half; devices are not told of what is not translated.
#[test]
fn a_narrow_upper_half_frees_all_tables_and_names_no_address_below_it() {
    let memory = machine::memory();
    let config = Config::new(37, 40).with(Options::UPPER_HALF);
    let vm = Vm::<X86_64, _, _>::new(config, Arc::clone(&memory), Faulty::default()).unwrap();
    let whole = vm.geometry().whole();
    let range = IovaRange::new(whole.first(), 0x1000).unwrap();
    let (backing, prot) = (Backing::new([Segment::new(PhysAddr(0), 0x1000)]).unwrap(), Prot::RW);
    vm.submit([Op::Map { range, backing, offset: 0, prot }], [], []).unwrap();
    vm.submit([Op::Unmap { range }], [], []).unwrap();
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(vm.figures().tables_freed, 3);
    vm.with_device(|device| {
        let footprints = device.asked.iter().filter_map(|ask| match ask {
            Ask::Begin(_, footprint) => Some(*footprint),
            _ => None,
        });
        let footprints: Vec<_> = footprints.collect();
        assert_eq!(footprints.len(), 2);
        assert!(footprints.iter().all(|footprint| whole.covers(*footprint)), "{footprints:?}");
    });
}

fn gib_of_blocks() -> Arc<Backing> {
    Backing::new([Segment::new(PhysAddr(0x4000_0000 + (2 << 20)), 1 << 30)]).unwrap()
}

#[test]
fn an_aligned_gib_of_2_mib_blocks_takes_two_tables() {
    let memory = machine::memory();
    let vm = machine::vm::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let range = IovaRange::new(Iova(1 << 30), 1 << 30).unwrap();
    assert_eq!(vm.geometry().worst_case_tables(range).total(), 514);
    // Physically 2 MiB off, so that no 1 GiB leaf fits.
    let map = Op::Map { range, backing: gib_of_blocks(), offset: 0, prot: Prot::RW };
    vm.bind([map]).unwrap();
    assert_eq!(vm.figures().tables_reserved, 2);
    assert_eq!(vm.figures().tables_installed, 2);
    check(&vm, &[range]);
}

#[test]
fn an_unmap_in_the_middle_of_a_block_takes_the_tables_that_cut_it() {
    let memory = machine::memory();
    let vm = machine::vm::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let range = IovaRange::new(Iova(1 << 30), 1 << 30).unwrap();
    let backing = Backing::new([Segment::new(PhysAddr(1 << 30), 1 << 30)]).unwrap();
    vm.bind([Op::Map { range, backing, offset: 0, prot: Prot::RW }]).unwrap();
    assert_eq!(vm.figures().tables_reserved, 1, "a 1 GiB leaf stands at level 1");
    let page = IovaRange::new(Iova((1 << 30) + (5 << 20)), 0x1000).unwrap();
    vm.bind([Op::Unmap { range: page }]).unwrap();
    assert_eq!(vm.figures().tables_reserved, 3, "2 MiB leaves, and pages around the hole");
    check(&vm, &[page]);
    vm.bind([Op::Unmap { range }]).unwrap();
    assert_eq!(vm.figures().tables_live(), 0);
    check(&vm, &[range]);
}

/// The hole of an unmap ends with the addresses, on either side.
#[test]
fn unmapping_the_ends_of_an_upper_half_frees_all_tables() {
    let memory = machine::memory();
    let config = Config::new(52, 52).with(Options::UPPER_HALF);
    let vm = machine::vm::<Arm64S1<Lpa2<Granule4K>>>(config, &memory);
    let (lowest, last) = (vm.geometry().first_iova().0, vm.geometry().last_iova().0);
    let ends = [lowest, last - 0xfff].map(|first| IovaRange::new(Iova(first), 0x1000).unwrap());
    for order in [[0, 1], [1, 0]] {
        for range in ends {
            let backing = Backing::new([Segment::new(PhysAddr(1 << 51), 0x1000)]).unwrap();
            vm.bind([Op::Map { range, backing, offset: 0, prot: Prot::RW }]).unwrap();
        }
        assert_eq!(vm.figures().tables_live(), 8, "four on each way");
        for end in order {
            vm.bind([Op::Unmap { range: ends[end] }]).unwrap();
            check(&vm, &ends);
        }
        assert_eq!(vm.figures().tables_live(), 0);
    }
}

#[test]
fn an_unmap_in_the_middle_of_the_last_512_gib_takes_the_tables_that_cut_it() {
    let memory = machine::memory();
    let config = Config::new(52, 52).with(Options::UPPER_HALF);
    let vm = machine::vm::<Arm64S1<Lpa2<Granule4K>>>(config, &memory);
    let block = 512 << 30;
    let last = vm.geometry().last_iova();
    let range = IovaRange::inclusive(Iova(last.0 - (block - 1)), last).unwrap();
    let backing = Backing::new([Segment::new(PhysAddr((1 << 52) - block), block)]).unwrap();
    vm.bind([Op::Map { range, backing, offset: 0, prot: Prot::RW }]).unwrap();
    assert_eq!(vm.figures().tables_reserved, 1, "a leaf of 512 GiB stands at level 0");
    let page = IovaRange::new(Iova(last.0 - (5 << 20) + 1), 0x1000).unwrap();
    vm.bind([Op::Unmap { range: page }]).unwrap();
    assert_eq!(vm.figures().tables_reserved, 4, "leaves of 1 GiB, 2 MiB, and pages");
    check(&vm, &[page]);
    vm.bind([Op::Unmap { range }]).unwrap();
    assert_eq!(vm.figures().tables_live(), 0);
    check(&vm, &[range]);
}
