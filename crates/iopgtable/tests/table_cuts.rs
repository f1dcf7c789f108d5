//! A leaf that sticks out of an unmapped range is cut: what is left of it is mapped as if it had
//! been mapped afresh, and the device is told to forget the whole of it.

#![cfg(feature = "alloc")]

mod machine;
mod model;

use iopgtable::format::{FirstStage, GStage, RiscV};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, Iova, IovaRange, Lpa2, MediaTek, Options, PhysAddr, Prot, Segment, Unextended,
    VtdS2, X86_64,
};
use machine::{Walked, finish, range};
use model::{Leaf, Model};
use walkers::Access;

/// Where the block leads: to the end of memory.
fn phys(model: &Model, block: IovaRange) -> u64 {
    model.geometry().last_phys().0 - (block.bytes() - 1)
}

/// What is left around `cut` of a block at `first`, mapped into an empty table.
fn afresh(model: &mut Model, block: IovaRange, cut: IovaRange, prot: Prot) {
    let parts = [
        (block.first().0, cut.first().0 - block.first().0),
        (cut.last().0.wrapping_add(1), block.last().0 - cut.last().0),
    ];
    for (first, bytes) in parts {
        if bytes > 0 {
            let leads = PhysAddr(phys(model, block) + (first - block.first().0));
            model.map(range(first, bytes), &[Segment::new(leads, bytes)], prot);
        }
    }
}

/// Cuts a block of `block` bytes, the last of all addresses, at its start, middle and end.
fn cuts<F: Walked>(config: Config, block: u64) {
    let memory = machine::memory();
    let page = 1 << F::PAGE_SHIFT;
    let prot = F::granted(Prot::READ | Prot::CACHED | Prot::EXECUTE);
    let geometry = F::geometry(config).expect("a good configuration");
    let whole = range(geometry.last_iova().0 - (block - 1), block);
    let cut = |first: u64, bytes: u64| range(whole.first().0 + first, bytes);
    for cut in [
        cut(0, page),
        cut(block / 2, page),
        cut(block / 2 + 3 * page, 2 * page),
        cut(block - page, page),
        cut(0, block / 2),
        cut(block / 2, block / 2),
        cut(block / 4, block / 2),
        cut(page, block - 2 * page),
        cut(0, block - page),
        cut(page, block - page),
    ] {
        let mut table = machine::table::<F>(config, &memory);
        let mut model = Model::new(geometry);
        let segment = Segment::new(PhysAddr(phys(&model, whole)), block);
        let mapped = table.map(whole, [segment], prot).expect("nothing is there");
        finish(&table, mapped);
        let leaf = table.translate(whole.first()).expect("it is mapped");
        assert_eq!(leaf.leaf_bytes, block, "it is one leaf");
        let memory_type = |address| {
            machine::walk(&table, address, Access::UNPRIVILEGED_READ)
                .map(|found| (found.memory, found.shareability, found.permissions))
        };
        let before = memory_type(whole.first().0).expect("it is mapped");

        let gather = table.unmap(cut, cut).expect("a good range");
        let stale = gather.stale().leaves.expect("a leaf is gone");
        assert!(stale.covers(whole), "{stale} does not cover the cut leaf {whole}");
        assert_eq!(gather.stale().walks, None);
        assert_eq!(finish(&table, gather), 0);

        afresh(&mut model, whole, cut, prot);
        let visits = machine::dump(&table);
        let leaves = |seen: Vec<model::Seen>| {
            seen.into_iter().filter(|(.., leaf)| leaf.is_some()).collect::<Vec<_>>()
        };
        let built = leaves(model::seen(table.geometry(), &visits));
        assert_eq!(built, leaves(model.seen()), "{cut} cut out of {whole}");
        assert_eq!(table.count_tables(), model.count_tables());
        let step = model.leaves.len() / 64 + 1;
        for (&first, Leaf { bytes, .. }) in model.leaves.iter().step_by(step) {
            let found = machine::walk(&table, first + (bytes - 8), Access::UNPRIVILEGED_READ);
            let found = found.expect("it is mapped");
            assert_eq!((found.memory, found.shareability, found.permissions), before);
            assert_eq!(found.leaf_size, *bytes);
        }
        assert_eq!(table.translate(cut.first()), None);
        assert_eq!(table.translate(cut.last()), None);
    }
}

#[test]
fn a_block_of_2m_is_cut() {
    cuts::<Arm64S1<Granule4K>>(Config::new(48, 48), 2 << 20);
    cuts::<Arm64S2<Granule4K>>(Config::new(40, 40), 2 << 20);
    cuts::<ArmMali>(Config::new(33, 40), 2 << 20);
    cuts::<X86_64>(Config::new(48, 48), 2 << 20);
    cuts::<AmdV1>(Config::new(48, 48), 2 << 20);
    cuts::<VtdS2>(Config::new(39, 39).with(Options::FORCE_SNOOP), 2 << 20);
    cuts::<RiscV<FirstStage>>(Config::new(39, 56).with(Options::MEMORY_TYPES), 2 << 20);
    cuts::<RiscV<GStage>>(Config::new(41, 56), 2 << 20);
}

#[test]
fn a_block_of_1g_is_cut() {
    cuts::<Arm64S1<Granule4K>>(Config::new(48, 48), 1 << 30);
    cuts::<Arm64S2<Granule4K>>(Config::new(39, 40), 1 << 30);
    cuts::<ArmMali>(Config::new(48, 40), 1 << 30);
    cuts::<X86_64>(Config::new(57, 52), 1 << 30);
    cuts::<AmdV1>(Config::new(57, 52), 1 << 30);
    cuts::<VtdS2>(
        Config::new(48, 48).with(Options::FORCE_SNOOP | Options::HARDWARE_DIRTY),
        1 << 30,
    );
    cuts::<RiscV<FirstStage>>(Config::new(57, 56).with(Options::UPPER_HALF), 1 << 30);
    cuts::<RiscV<GStage>>(Config::new(50, 56).with(Options::HARDWARE_DIRTY), 1 << 30);
}

#[test]
fn a_page_of_several_entries_is_cut() {
    for log2 in [16, 20, 22, 29, 31, 33] {
        cuts::<AmdV1>(Config::new(64, 52), 1 << log2);
    }
    let napot = Options::CONTIGUOUS | Options::MEMORY_TYPES;
    for bytes in [64 << 10, 2 << 20, 1 << 30] {
        cuts::<RiscV<FirstStage>>(Config::new(39, 56).with(napot), bytes);
        cuts::<RiscV<GStage>>(Config::new(50, 48).with(napot), bytes);
    }
    for bytes in [64 << 10, 1 << 20, 16 << 20] {
        cuts::<ArmV7s<Unextended>>(Config::new(32, 32), bytes);
        cuts::<ArmV7s<MediaTek>>(Config::new(32, 35), bytes);
    }
}

#[test]
fn a_block_of_32m_is_cut() {
    cuts::<Arm64S1<Granule16K>>(Config::new(48, 48), 32 << 20);
    cuts::<Arm64S2<Granule16K>>(Config::new(36, 40), 32 << 20);
}

#[test]
fn a_block_of_512m_is_cut() {
    cuts::<Arm64S1<Granule64K>>(Config::new(48, 48), 512 << 20);
    cuts::<Arm64S2<Granule64K>>(Config::new(42, 42), 512 << 20);
}

/// The blocks that 52 bits of output add.
#[test]
fn the_largest_blocks_are_cut() {
    cuts::<Arm64S1<Lpa2<Granule4K>>>(Config::new(52, 52), 512 << 30);
    cuts::<Arm64S2<Lpa2<Granule4K>>>(Config::new(48, 48), 512 << 30);
    cuts::<Arm64S1<Lpa2<Granule16K>>>(Config::new(52, 52), 64 << 30);
    cuts::<Arm64S2<Lpa2<Granule16K>>>(Config::new(42, 42), 64 << 30);
    cuts::<Arm64S1<Granule64K>>(Config::new(52, 52), 4 << 40);
    cuts::<Arm64S2<Granule64K>>(Config::new(43, 52), 4 << 40);
}

#[test]
fn a_block_of_a_32_bit_table_is_cut() {
    cuts::<Arm32S1>(Config::new(32, 40), 1 << 30);
    cuts::<Arm32S1>(Config::new(27, 40), 2 << 20);
    cuts::<Arm32S2>(Config::new(40, 40), 1 << 30);
    cuts::<Arm32S2>(Config::new(40, 40), 2 << 20);
}

#[test]
fn the_last_block_of_an_upper_half_is_cut() {
    let upper = |input, output| Config::new(input, output).with(Options::UPPER_HALF);
    cuts::<Arm64S1<Granule4K>>(upper(48, 48), 2 << 20);
    cuts::<Arm64S1<Granule4K>>(upper(39, 48), 1 << 30);
    cuts::<Arm64S1<Granule16K>>(upper(36, 40), 32 << 20);
    cuts::<Arm64S1<Lpa2<Granule4K>>>(upper(52, 52), 512 << 30);
    cuts::<Arm32S1>(upper(31, 40), 1 << 30);
    cuts::<Arm32S1>(upper(25, 32), 2 << 20);
}

#[test]
fn one_unmap_cuts_a_leaf_at_either_end() {
    let memory = machine::memory();
    let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let block = 2 << 20;
    for first in [0, block, 2 * block] {
        let segment = Segment::new(PhysAddr(first), block);
        let _ = table.map(range(first, block), [segment], Prot::RW).unwrap();
    }
    let most = range(0x1000, 3 * block - 0x2000);
    let gather = table.unmap(most, most).unwrap();
    assert_eq!(gather.stale().leaves, Some(range(0, 3 * block)));
    finish(&table, gather);
    let left = |iova| table.translate(Iova(iova)).map(|there| (there.phys.0, there.leaf_bytes));
    assert_eq!(left(0), Some((0, 0x1000)));
    assert_eq!(left(0x1000), None);
    assert_eq!(left(block), None);
    assert_eq!(left(3 * block - 0x1001), None);
    assert_eq!(left(3 * block - 1), Some((3 * block - 1, 0x1000)));
    assert_eq!(table.count_tables().at(3), 2);
}
