//! A table comes loose by an unmap exactly if its span lies in the hole. (The histories check the
//! same at random.)

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K,
    Granule64K, Iova, IovaRange, Lpa2, Options, PhysAddr, Prot, Segment, TableError, Unextended,
    X86_64,
};
use machine::{Memory, Table, Walked, finish, range};

type S1 = Arm64S1<Granule4K>;

const BLOCK: u64 = 2 << 20;
const GIB: u64 = 1 << 30;
const CONFIG: Config = Config::new(48, 48);

/// Pages at `places`, each in a table of its own.
fn with_pages<'m, F: Walked>(config: Config, memory: &'m Memory, places: &[u64]) -> Table<'m, F> {
    let mut table = machine::table::<F>(config, memory);
    let page = table.geometry().granule();
    for &place in places {
        let mapped = table.map(range(place, page), [Segment::new(PhysAddr(0), page)], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
    }
    table
}

/// The tables by level, from the first below the root on.
fn tables(table: &Table<'_, S1>) -> [u64; 3] {
    let count = table.count_tables();
    [count.at(1), count.at(2), count.at(3)]
}

#[test]
fn a_table_goes_if_its_span_lies_in_the_hole() {
    for (hole, left) in [
        // A byte less than the table's span on either side keeps it.
        (range(0, 0x1000), [1, 1, 1]),
        (range(0, BLOCK - 1), [1, 1, 1]),
        (range(0, BLOCK), [1, 1, 0]),
        (range(0, GIB - 1), [1, 1, 0]),
        (range(0, GIB), [1, 0, 0]),
        (range(0, 512 * GIB), [0, 0, 0]),
    ] {
        let memory = machine::memory();
        let mut table = with_pages::<S1>(CONFIG, &memory, &[0]);
        let gather = table.unmap(range(0, 0x1000), hole).unwrap();
        assert_eq!(tables(&table), left, "hole {hole}");
        let gone = 3 - left.iter().sum::<u64>();
        assert_eq!(finish(&table, gather), usize::try_from(gone).unwrap());
        assert_eq!(table.translate(Iova(0)), None);
    }
}

#[test]
fn a_table_with_a_neighbour_in_it_stays() {
    let memory = machine::memory();
    let mut table = with_pages::<S1>(CONFIG, &memory, &[0, 0x5000, BLOCK]);
    // The true hole ends at the neighbour.
    let gather = table.unmap(range(0, 0x1000), range(0, 0x5000)).unwrap();
    assert!(gather.stale().walks.is_none());
    assert_eq!(finish(&table, gather), 0);
    assert_eq!(tables(&table), [1, 1, 2]);
    // Now it reaches to the next table.
    let gather = table.unmap(range(0x5000, 0x1000), range(0, BLOCK)).unwrap();
    assert_eq!(finish(&table, gather), 1);
    assert_eq!(tables(&table), [1, 1, 1]);
    assert!(table.translate(Iova(BLOCK)).is_some());
}

#[test]
fn the_range_as_the_hole_keeps_tables_that_it_covers_in_part() {
    let memory = machine::memory();
    let mut table = with_pages::<S1>(CONFIG, &memory, &[0, BLOCK, 2 * BLOCK]);
    // The middle table lies in the range; of those at its ends a page is left over.
    let most = range(0x1000, 3 * BLOCK - 0x2000);
    let gather = table.unmap(most, most).unwrap();
    assert_eq!(finish(&table, gather), 1);
    assert_eq!(tables(&table), [1, 1, 2]);
    assert!(table.translate(Iova(0)).is_some());
    assert_eq!(table.translate(Iova(2 * BLOCK)), None);
}

#[test]
fn a_block_takes_the_place_of_tables_that_a_narrow_hole_left_empty() {
    let memory = machine::memory();
    let mut table = with_pages::<S1>(CONFIG, &memory, &[0, 7 * BLOCK]);
    for page in [range(0, 0x1000), range(7 * BLOCK, 0x1000)] {
        let gather = table.unmap(page, page).unwrap();
        assert_eq!(finish(&table, gather), 0);
    }
    assert_eq!(tables(&table), [1, 1, 2]);
    let asked = memory.allocations();
    let block = Segment::new(PhysAddr(GIB), GIB);
    let gather = table.map(range(0, GIB), [block], Prot::READ).unwrap();
    assert_eq!(memory.allocations(), asked, "no table was missing");
    assert!(!gather.is_empty());
    assert_eq!(gather.stale().walks, Some(range(0, GIB)), "a walk may be cached");
    assert_eq!(tables(&table), [1, 0, 0]);
    assert_eq!(finish(&table, gather), 3, "with the two that the first one held");
    assert_eq!(table.translate(Iova(7 * BLOCK)).unwrap().leaf_bytes, GIB);
    assert_eq!(memory.live(), 2);
}

#[test]
fn a_page_that_is_mapped_below_an_empty_table_is_in_the_way_of_a_block() {
    let memory = machine::memory();
    let mut table = with_pages::<S1>(CONFIG, &memory, &[0, 7 * BLOCK]);
    let page = range(0, 0x1000);
    let _ = table.unmap(page, page).unwrap();
    let contents = machine::contents(&table);
    let block = Segment::new(PhysAddr(GIB), GIB);
    let refused = table.map(range(0, GIB), [block], Prot::READ).map(|_| ());
    let error = TableError::Overlap { iova: Iova(7 * BLOCK), leaf: 0x1000 };
    assert_eq!(refused, Err(error));
    assert!(machine::contents(&table) == contents);
}

#[test]
fn dropping_a_table_gives_everything_back() {
    let memory = machine::memory();
    let table = with_pages::<S1>(CONFIG, &memory, &[0, BLOCK, GIB, 600 * GIB, (1 << 48) - 0x1000]);
    assert!(memory.live() > 8);
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
}

/// Unmapping all with the whole space as the hole leaves the root, whatever its entries span.
fn unmapping_all_frees_all<F: Walked>(config: Config) {
    let memory = machine::memory();
    let whole = F::geometry(config).expect("a good configuration").whole();
    let bottom = whole.first().0;
    let top = whole.last().0 - ((1 << F::PAGE_SHIFT) - 1);
    let mut table = with_pages::<F>(config, &memory, &[bottom, top]);
    let beyond = IovaRange::inclusive(Iova(0), Iova(u64::MAX)).expect("in order");
    for hole in [whole, beyond] {
        let tables = table.count_tables().total();
        let gather = table.unmap(whole, hole).expect("all is a good range");
        assert_eq!(table.count_tables().total(), 0, "{config:?}");
        assert_eq!(finish(&table, gather) as u64, tables);
        assert_eq!(memory.live(), 1);
        // Again, a page at a time: the last one takes everything with it.
        let page = table.geometry().granule();
        let segment = Segment::new(PhysAddr(0), page);
        for first in [bottom, top] {
            let mapped = table.map(range(first, page), [segment], Prot::RW);
            finish(&table, mapped.expect("nothing is there"));
        }
        for (first, hole) in [(bottom, range(bottom, top - bottom)), (top, hole)] {
            let gather = table.unmap(range(first, page), hole).expect("a good range");
            finish(&table, gather);
        }
        assert_eq!(table.count_tables().total(), 0, "{config:?}");
    }
}

#[test]
fn unmapping_all_frees_all_tables() {
    for input in 32..=48 {
        let config = Config::new(input, 48);
        unmapping_all_frees_all::<ArmMali>(Config::new(input, 40));
        unmapping_all_frees_all::<AmdV1>(Config::new(input, 48));
        unmapping_all_frees_all::<AmdV1>(Config::new(input + 16, 52));
        for config in [config, config.with(Options::UPPER_HALF)] {
            unmapping_all_frees_all::<X86_64>(config);
            unmapping_all_frees_all::<Arm64S1<Granule4K>>(config);
            unmapping_all_frees_all::<Arm64S1<Granule16K>>(config);
            unmapping_all_frees_all::<Arm64S1<Granule64K>>(config);
        }
        for output in [32, 36, 40, 42, 44, 48].into_iter().filter(|&output| output >= input) {
            unmapping_all_frees_all::<Arm64S2<Granule4K>>(Config::new(input, output));
            unmapping_all_frees_all::<Arm64S2<Granule16K>>(Config::new(input, output));
            unmapping_all_frees_all::<Arm64S2<Granule64K>>(Config::new(input, output));
        }
    }
}

#[test]
fn unmapping_all_frees_all_tables_of_52_bits() {
    for input in 47..=52 {
        let config = Config::new(input, 52);
        for config in [config, config.with(Options::UPPER_HALF)] {
            unmapping_all_frees_all::<Arm64S1<Granule64K>>(config);
            unmapping_all_frees_all::<Arm64S1<Lpa2<Granule4K>>>(config);
            unmapping_all_frees_all::<Arm64S1<Lpa2<Granule16K>>>(config);
        }
        unmapping_all_frees_all::<Arm64S2<Granule64K>>(config);
        unmapping_all_frees_all::<Arm64S2<Lpa2<Granule4K>>>(config);
        unmapping_all_frees_all::<Arm64S2<Lpa2<Granule16K>>>(config);
    }
}

#[test]
fn unmapping_all_frees_all_tables_of_32_bits() {
    for input in 25..=31 {
        let config = Config::new(input, 40);
        unmapping_all_frees_all::<Arm32S1>(config);
        unmapping_all_frees_all::<Arm32S1>(config.with(Options::UPPER_HALF));
        unmapping_all_frees_all::<ArmV7s<Unextended>>(Config::new(input, 32));
    }
    for input in 32..=40 {
        unmapping_all_frees_all::<Arm32S2>(Config::new(input, 40));
    }
    unmapping_all_frees_all::<Arm32S1>(Config::new(32, 40));
}
