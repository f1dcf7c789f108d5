//! What a leaf has in common with its tables: the address space, the dirty state, shareability.

use iopgtable::memory::Region;
use iopgtable::{
    Arm32S1, Arm64S1, Arm64S2, Config, Granule4K, Granule16K, Granule64K, Lpa2, Options, PageTable,
    PhysAddr, Prot, Segment,
};
use walkers::{Access, DirtyState, Shareability, Translation};

use crate::machine::{Table, Walked, finish, range, walk};
use crate::meaning::{Uncached, highest};

/// Where the walker leads, if some bits of all descriptors were clear.
fn walk_without<F: Walked>(table: &Table<'_, F>, address: u64, bits: u64) -> Translation {
    // SAFETY: the walk ends before this function does, while the table lives and is not changed.
    let registers = unsafe { table.registers() };
    let read = |phys| {
        // SAFETY: no operation runs during the walk, and the region has memory of its own.
        let word = unsafe { table.allocator().upstream().read(PhysAddr(phys)) };
        word.map(|word| word & !bits)
    };
    iopgtable_conformance::walk::<F>(registers, &read, address, Access::PRIVILEGED_READ)
        .expect("it is mapped")
}

/// `NS` of a leaf (bit 5) and `NSTable` of the tables (bit 63) say it, each alone.
fn tables_and_leaves_are_non_secure<F: Walked>(config: Config) {
    let memory = crate::machine::memory();
    let config = config.with(Options::NON_SECURE);
    let mut table = crate::machine::table::<F>(config, &memory);
    for level in table.geometry().leaf_levels() {
        let (at, segment) = highest(&table, level);
        let mapped = table.map(at, [segment], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
        let non_secure = |bits| walk_without(&table, at.first().0, bits).non_secure;
        let below_the_root = level > table.geometry().first_level();
        assert!(non_secure(0) && non_secure(1 << 63), "NS");
        assert_eq!(non_secure(1 << 5), below_the_root, "NSTable");
        assert!(!non_secure(1 << 63 | 1 << 5));
        // What takes the place of a block is as it was.
        if level < 3 {
            let page = range(at.first().0, table.geometry().granule());
            let gather = table.unmap(page, page).expect("there is memory");
            finish(&table, gather);
            let last = at.last().0 - 7;
            assert!(walk_without(&table, last, 1 << 63).non_secure, "NS");
            assert!(walk_without(&table, last, 1 << 5).non_secure, "NSTable");
        }
        let whole = crate::machine::whole(&table);
        let gather = table.unmap(whole, whole).expect("all can be unmapped");
        finish(&table, gather);
    }
}

#[test]
fn non_secure_tables_and_leaves_say_so_each() {
    tables_and_leaves_are_non_secure::<Arm64S1<Granule4K>>(Config::new(48, 48));
    tables_and_leaves_are_non_secure::<Arm64S1<Granule16K>>(Config::new(48, 48));
    tables_and_leaves_are_non_secure::<Arm64S1<Granule64K>>(Config::new(52, 52));
    tables_and_leaves_are_non_secure::<Arm64S1<Lpa2<Granule4K>>>(Config::new(52, 52));
    tables_and_leaves_are_non_secure::<Arm64S1<Lpa2<Granule16K>>>(Config::new(52, 52));
    tables_and_leaves_are_non_secure::<Arm32S1>(Config::new(32, 40));
}

/// A leaf that was made clean can still be written, and is read back so.
fn clean_leaves_stay_writable<F: Walked>(config: Config) {
    let memory = crate::machine::memory();
    let config = config.with(Options::HARDWARE_DIRTY);
    let mut table = crate::machine::table::<F>(config, &memory);
    for level in table.geometry().leaf_levels() {
        let (at, segment) = highest(&table, level);
        let mapped = table.map(at, [segment], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
        let pages = at.bytes() / table.geometry().granule();
        let mut bitmap = vec![0; usize::try_from(pages.div_ceil(64)).expect("not so many")];
        let gather = table.read_and_clear_dirty(at, &mut bitmap).expect("hardware notes writes");
        finish(&table, gather);
        let dirty: u64 = bitmap.iter().map(|word| u64::from(word.count_ones())).sum();
        assert_eq!(dirty, pages, "what was just mapped counts as written");
        let found = walk(&table, at.first().0, Access::UNPRIVILEGED_WRITE);
        let found = found.expect("hardware makes it dirty");
        assert_eq!(found.dirty_state, Some(DirtyState::WritableClean));
        assert_eq!(table.translate(at.first()).map(|own| own.prot), Some(Prot::RW));
        let whole = crate::machine::whole(&table);
        let gather = table.unmap(whole, whole).expect("all can be unmapped");
        finish(&table, gather);
    }
}

#[test]
fn a_leaf_that_was_made_clean_can_be_written() {
    // Not too large a bitmap: with small inputs, and so without the largest blocks.
    clean_leaves_stay_writable::<Arm64S1<Granule4K>>(Config::new(39, 48));
    clean_leaves_stay_writable::<Arm64S1<Granule64K>>(Config::new(42, 52));
    clean_leaves_stay_writable::<Arm64S1<Lpa2<Granule4K>>>(Config::new(39, 52));
    clean_leaves_stay_writable::<Arm64S2<Granule4K>>(Config::new(39, 48));
    clean_leaves_stay_writable::<Arm64S2<Granule16K>>(Config::new(36, 48));
    clean_leaves_stay_writable::<Arm64S2<Lpa2<Granule16K>>>(Config::new(36, 52));
}

/// With LPA2, shareability is the control register's, and so that of the tables.
fn leaves_are_shared_as_the_tables_are<F: Walked>() {
    let memory = Region::with_capacity_and_publisher(crate::machine::TABLES, 1 << 20, Uncached);
    let memory = memory.expect("the numbers make a region");
    let mut table = PageTable::<F, _>::new(Config::new(48, 48), &memory).expect("it fits");
    let page = table.geometry().granule();
    let mapped = table.map(range(0, page), [Segment::new(PhysAddr(0), page)], Prot::READ);
    finish(&table, mapped.expect("nothing is there"));
    // SAFETY: the walk ends before this function does, while the table lives and is not changed.
    let registers = unsafe { table.registers() };
    // SAFETY: no operation runs during the walk, and the region has memory of its own.
    let read = |phys| unsafe { memory.read(PhysAddr(phys)) };
    let found = iopgtable_conformance::walk::<F>(registers, &read, 0, Access::UNPRIVILEGED_READ)
        .expect("it is mapped");
    assert_eq!(found.shareability, Shareability::Outer, "walks are not inner shareable");
}

#[test]
fn leaves_of_lpa2_are_shared_as_the_tables_are() {
    leaves_are_shared_as_the_tables_are::<Arm64S1<Lpa2<Granule4K>>>();
    leaves_are_shared_as_the_tables_are::<Arm64S1<Lpa2<Granule16K>>>();
    leaves_are_shared_as_the_tables_are::<Arm64S2<Lpa2<Granule4K>>>();
    leaves_are_shared_as_the_tables_are::<Arm64S2<Lpa2<Granule16K>>>();
}
