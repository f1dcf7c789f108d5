//! What holds for one thread, too.

use iopgtable::memory::AllocError;
use iopgtable::{Iova, Options, PhysAddr, Prot, Segment, Splits, TableError, Unwalked};

use crate::machine::range;
use crate::tables::{BLOCK, CONFIG, PAGE, S1, Shared, look, map, shared};

#[test]
fn a_table_that_is_there_is_used_until_it_is_trimmed() {
    let memory = crate::machine::memory();
    let mut table = shared(&memory);
    map(&table, 0, PAGE).unwrap();
    let gather = table.unmap(range(0, PAGE)).unwrap();
    assert_eq!(table.finish(gather, &mut Unwalked).unwrap(), 0);
    // Two blocks: where the table is, and where none is.
    let segment = [Segment::new(PhysAddr(0), 2 * BLOCK)];
    let more = table.exact_tables(range(0, 2 * BLOCK), segment, Prot::RW).unwrap();
    assert_eq!(more.total(), 0);
    map(&table, 0, 2 * BLOCK).unwrap();
    assert_eq!(table.translate(Iova(BLOCK - PAGE)).unwrap().leaf_bytes, PAGE);
    assert_eq!(table.translate(Iova(BLOCK)).unwrap().leaf_bytes, BLOCK);

    let gather = table.unmap(range(0, BLOCK)).unwrap();
    table.finish(gather, &mut Unwalked).unwrap();
    let gather = table.trim();
    assert_eq!(gather.stale().walks, Some(range(0, BLOCK)));
    assert_eq!(table.finish(gather, &mut Unwalked).unwrap(), 1);
    map(&table, 0, BLOCK).unwrap();
    assert_eq!(table.translate(Iova(0)).unwrap().leaf_bytes, BLOCK);
    assert!(table.trim().is_empty());
}

#[test]
fn a_cut_of_a_live_block_is_told() {
    let memory = crate::machine::memory();
    let table = shared(&memory);
    map(&table, 0, BLOCK).unwrap();
    let gather = table.unmap(range(0, PAGE)).unwrap();
    assert_eq!(gather.stale().leaves, Some(range(0, BLOCK)));
    let live = gather.break_before_make();
    assert_eq!((live.range, live.resized, live.rewritten), (Some(range(0, BLOCK)), true, false));
    assert_eq!(look(&table, PAGE), Some((PAGE, true)));
}

#[test]
fn a_block_is_not_cut_where_that_is_forbidden() {
    let memory = crate::machine::memory();
    let config = CONFIG.splits(Splits::Forbidden).with(Options::CONTIGUOUS);
    let table = crate::machine::table::<S1>(config, &memory).into_shared();
    map(&table, 0, BLOCK).unwrap();
    let refused = table.unmap(range(0, PAGE)).map(|_| ()).unwrap_err();
    assert_eq!(refused, TableError::Split { block: range(0, BLOCK) });
    map(&table, BLOCK, 16 * PAGE).unwrap();
    let refused = table.protect(range(BLOCK, PAGE), Prot::READ).map(|_| ()).unwrap_err();
    assert_eq!(refused, TableError::Split { block: range(BLOCK, 16 * PAGE) });
    map(&table, 2 * BLOCK, PAGE).unwrap();
    assert!(table.unmap(range(2 * BLOCK, PAGE)).is_ok());
}

#[test]
fn a_shared_operation_without_memory_changes_nothing() {
    type Operation = fn(&Shared<'_, S1>) -> Result<(), TableError>;
    let operations: [(u64, Operation); 3] = [
        (3, |table| map(table, 1 << 39, PAGE)),
        (1, |table| table.unmap(range(BLOCK + PAGE, PAGE)).map(|_| ())),
        (2, |table| table.protect(range((1 << 30) + BLOCK + PAGE, PAGE), Prot::READ).map(|_| ())),
    ];
    for (pages, operation) in operations {
        let memory = crate::machine::memory();
        let mut table = shared(&memory);
        map(&table, BLOCK, BLOCK).unwrap();
        map(&table, 1 << 30, 1 << 30).unwrap();
        for failing in 0..pages {
            let exclusive = table.into_exclusive();
            let before = crate::machine::contents(&exclusive);
            table = exclusive.into_shared();
            let held = (memory.live(), memory.upstream().in_use());
            memory.fail_nth(failing);
            let refused = operation(&table).unwrap_err();
            assert!(matches!(refused, TableError::Alloc(AllocError::OutOfMemory { .. })));
            let exclusive = table.into_exclusive();
            assert!(crate::machine::contents(&exclusive) == before, "not a byte has changed");
            table = exclusive.into_shared();
            assert_eq!((memory.live(), memory.upstream().in_use()), held, "nothing is lost");
        }
        memory.fail_nth(pages);
        operation(&table).expect("it takes no more pages");
    }
}

#[test]
fn a_mapping_is_not_mapped_over() {
    let memory = crate::machine::memory();
    let table = shared(&memory);
    map(&table, BLOCK, BLOCK).unwrap();
    let overlap = |iova| TableError::Overlap { iova: Iova(iova), leaf: BLOCK };
    assert_eq!(map(&table, BLOCK + PAGE, PAGE), Err(overlap(BLOCK + PAGE)));
    assert_eq!(map(&table, 0, 2 * BLOCK), Err(overlap(BLOCK)));
    assert_eq!(table.translate(Iova(0)), None);
}
