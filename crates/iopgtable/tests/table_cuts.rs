//! A leaf that sticks out of an unmapped range is cut: what is left of it is mapped as if it had
//! been mapped afresh, and the device is told to forget the whole of it.

#![cfg(feature = "alloc")]

mod machine;
mod model;

use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, Iova, IovaRange,
    PhysAddr, Prot, Segment,
};
use machine::{Walked, finish, range};
use model::{Leaf, Model};
use walkers::Access;

/// Where the block leads.
fn phys(block: u64) -> u64 {
    3 * block
}

/// What is left around `cut` of a block at `first`, mapped into an empty table.
fn afresh(model: &mut Model, block: IovaRange, cut: IovaRange, prot: Prot) {
    let parts = [
        (block.first().0, cut.first().0 - block.first().0),
        (cut.last().0 + 1, block.last().0 - cut.last().0),
    ];
    for (first, bytes) in parts {
        if bytes > 0 {
            let leads = PhysAddr(phys(block.bytes()) + (first - block.first().0));
            model.map(range(first, bytes), &[Segment::new(leads, bytes)], prot);
        }
    }
}

/// Cuts a block of `block` bytes at its start, middle and end.
fn cuts<F: Walked>(config: Config, block: u64) {
    let memory = machine::memory();
    let page = 1 << F::PAGE_SHIFT;
    let prot = Prot::READ | Prot::CACHED | Prot::EXECUTE;
    let whole = range(2 * block, block);
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
        let segment = Segment::new(PhysAddr(phys(block)), block);
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

        let mut model = Model::new(*table.geometry());
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
            let found = machine::walk(&table, first + bytes - 8, Access::UNPRIVILEGED_READ);
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
}

#[test]
fn a_block_of_1g_is_cut() {
    cuts::<Arm64S1<Granule4K>>(Config::new(48, 48), 1 << 30);
    cuts::<Arm64S2<Granule4K>>(Config::new(39, 40), 1 << 30);
    cuts::<ArmMali>(Config::new(48, 40), 1 << 30);
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
