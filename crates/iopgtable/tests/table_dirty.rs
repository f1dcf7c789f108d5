//! The dirty state: what was mapped writable counts as written until it is made clean; then the
//! leaf is one that hardware marks, and only what hardware has marked is reported.

#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;

use std::collections::BTreeMap;

use iopgtable::format::{FirstStage, RiscV};
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, Config, Granule4K, Granule64K, IovaRange, Lpa2, Options, PageTable,
    PhysAddr, Prot, Segment, TableError, TableMemory,
};
use machine::{Memory, Table, Walked, finish, range};
use proptest::prelude::*;
use walkers::{Access, DirtyState};

type S1 = Arm64S1<Granule4K>;

const PAGE: u64 = 0x1000;
const BLOCK: u64 = 2 << 20;

fn config() -> Config {
    Config::new(48, 48).with(Options::HARDWARE_DIRTY)
}

fn state<F: Walked>(table: &Table<'_, F>, iova: u64) -> Option<DirtyState> {
    machine::walk(table, iova, Access::UNPRIVILEGED_READ).unwrap().dirty_state
}

/// Writes through the mapping of `iova`, as hardware with `FEAT_HAFDBS` does: finds the leaf,
/// which has to be writable, and marks it. Only bit 7 differs between clean and dirty leaves; it
/// is clear in dirty ones of stage 1 and set in those of stage 2.
fn write<F: Walked>(table: &Table<'_, F>, memory: &Memory, iova: u64) {
    machine::walk(table, iova, Access::UNPRIVILEGED_WRITE).expect("a write is permitted");
    // SAFETY: the registers go to this walk only.
    let registers = unsafe { table.registers() };
    let last = std::cell::Cell::new(0);
    let read = |phys| {
        last.set(phys);
        // SAFETY: nobody changes the tables meanwhile.
        unsafe { memory.upstream().read(PhysAddr(phys)) }
    };
    // The leaf is what the walk reads last, as there is no hint to look at.
    iopgtable_conformance::walk::<F>(registers, &read, iova, Access::UNPRIVILEGED_READ).unwrap();
    let leaf = read(last.get()).unwrap();
    let stage_2 = F::NAME.ends_with("S2");
    let written = if stage_2 { leaf | 1 << 7 } else { leaf & !(1 << 7) };
    let granule = table.geometry().granule();
    let page = memory.cpu_address(PhysAddr(last.get() & !(granule - 1)));
    // SAFETY: the table lies there, and nobody else uses it; the entry is one of its own.
    unsafe { page.byte_add((last.get() & (granule - 1)) as usize).write(written) };
}

/// The pages of `range` that are reported, by number.
fn pages(bitmap: &[u64]) -> Vec<u64> {
    (0..bitmap.len() as u64 * 64)
        .filter(|page| bitmap[*page as usize / 64] >> (page % 64) & 1 == 1)
        .collect()
}

/// A page, a block and another page, writable; then a page that is not.
fn populated<F: Walked>(memory: &Memory) -> Table<'_, F> {
    let mut table = machine::table::<F>(config(), memory);
    for (first, bytes, prot) in [
        (0, PAGE, Prot::RW),
        (BLOCK, BLOCK, Prot::RW),
        (3 * BLOCK, PAGE, Prot::RW),
        (3 * BLOCK + PAGE, PAGE, Prot::READ),
    ] {
        let mapped = table.map(range(first, bytes), [Segment::new(PhysAddr(0), bytes)], prot);
        finish(&table, mapped.unwrap());
    }
    table
}

fn marks_and_cleans<F: Walked>() {
    let memory = machine::memory();
    let mut table = populated::<F>(&memory);
    let all = range(0, 4 * BLOCK);
    let mut bitmap = [0; 32];
    assert_eq!(state(&table, 0), Some(DirtyState::WritableDirty));
    table.read_dirty(all, &mut bitmap).unwrap();
    let block = 512..1024;
    let everything: Vec<u64> = [0].into_iter().chain(block.clone()).chain([1536]).collect();
    assert_eq!(pages(&bitmap), everything, "what was just mapped counts as written");

    let mut bitmap = [0; 32];
    let gather = table.read_and_clear_dirty(all, &mut bitmap).unwrap();
    assert_eq!(pages(&bitmap), everything);
    assert_eq!(gather.stale().leaves, Some(range(0, 3 * BLOCK + PAGE)));
    assert!(gather.break_before_make().is_empty());
    finish(&table, gather);
    for iova in [0, BLOCK, 3 * BLOCK] {
        assert_eq!(state(&table, iova), Some(DirtyState::WritableClean));
        assert_eq!(table.translate(iopgtable::Iova(iova)).unwrap().prot, Prot::RW);
    }

    let mut bitmap = [0; 32];
    let gather = table.read_and_clear_dirty(all, &mut bitmap).unwrap();
    assert!(gather.is_empty() && pages(&bitmap).is_empty(), "nothing was written");
    write(&table, &memory, BLOCK + 5 * PAGE);
    let gather = table.read_and_clear_dirty(all, &mut bitmap).unwrap();
    assert_eq!(gather.stale().leaves, Some(range(BLOCK, BLOCK)));
    assert_eq!(pages(&bitmap), block.collect::<Vec<_>>(), "a block is written as one");
}

#[test]
fn stage_1_and_stage_2_mark_and_clean() {
    marks_and_cleans::<S1>();
    marks_and_cleans::<Arm64S2<Granule4K>>();
}

#[test]
fn what_sticks_out_of_the_range_is_told_but_stays_dirty() {
    let memory = machine::memory();
    let mut table = populated::<S1>(&memory);
    let mut bitmap = [0; 1];
    let gather = table.read_and_clear_dirty(range(BLOCK + PAGE, 3 * PAGE), &mut bitmap).unwrap();
    assert!(gather.is_empty());
    assert_eq!(pages(&bitmap), [0, 1, 2]);
    assert_eq!(state(&table, BLOCK), Some(DirtyState::WritableDirty));
}

#[test]
fn a_cut_block_keeps_its_state() {
    let memory = machine::memory();
    let mut table = populated::<S1>(&memory);
    let block = range(BLOCK, BLOCK);
    let mut bitmap = [0; 8];
    let gather = table.read_and_clear_dirty(block, &mut bitmap).unwrap();
    finish(&table, gather);
    let first = range(BLOCK, PAGE);
    let gather = table.unmap(first, first).unwrap();
    finish(&table, gather);
    assert_eq!(state(&table, BLOCK + PAGE), Some(DirtyState::WritableClean));
    write(&table, &memory, BLOCK + PAGE);
    let mut bitmap = [0; 8];
    table.read_dirty(block, &mut bitmap).unwrap();
    assert_eq!(pages(&bitmap), [1]);
}

#[test]
fn a_group_with_the_hint_is_written_as_one() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(config().with(Options::CONTIGUOUS), &memory);
    let group = range(0x1_0000, 0x1_0000);
    let mapped = table.map(group, [Segment::new(PhysAddr(0x1_0000), 0x1_0000)], Prot::RW);
    finish(&table, mapped.unwrap());
    let mut bitmap = [0; 1];
    let part = range(0x1_3000, 0x2000);
    let gather = table.read_and_clear_dirty(part, &mut bitmap).unwrap();
    assert!(gather.is_empty(), "the group sticks out of the range");
    assert_eq!(pages(&bitmap), [0, 1]);
    let gather = table.read_and_clear_dirty(group, &mut bitmap).unwrap();
    assert_eq!(gather.stale().leaves, Some(group));
    finish(&table, gather);
    assert_eq!(state(&table, 0x1_0000), Some(DirtyState::WritableClean));
    assert!(machine::walk(&table, 0x1_0000, Access::UNPRIVILEGED_WRITE).unwrap().contiguous);
}

/// Hardware notes a write to a group in any one of its leaves, which may be another one than what
/// was written to. `flip` is the bit by which a written leaf differs from a clean one.
fn what_is_left_of_a_written_group_is_written<F: Walked>(config: Config, flip: u64, shared: bool) {
    let memory = machine::memory();
    let options = Options::HARDWARE_DIRTY | Options::CONTIGUOUS;
    let mut table = machine::table::<F>(
        config.with(options.without(Options::CONTIGUOUS.without(F::OPTIONS))),
        &memory,
    );
    let group = range(0x1_0000, 0x1_0000);
    let mapped = table.map(group, [Segment::new(PhysAddr(0x1_0000), 0x1_0000)], Prot::RW);
    finish(&table, mapped.unwrap());
    let gather = table.read_and_clear_dirty(group, &mut [0]).unwrap();
    finish(&table, gather);
    let mut pages_table = None;
    table.visit(group, |seen| {
        if let iopgtable::Visit::Table { level: 3, phys, .. } = seen {
            pages_table = Some(phys);
        }
    });
    let entries = memory.cpu_address(pages_table.unwrap());
    // SAFETY: the table lies there, and nobody else uses it; entry 19 is the group's fourth.
    unsafe { *entries.as_ptr().add(19) ^= flip };
    let page = range(0x1_5000, PAGE);
    if shared {
        let other = table.into_shared();
        let gather = other.unmap(page).unwrap();
        table = other.into_exclusive();
        finish(&table, gather);
    } else {
        let gather = table.unmap(page, page).unwrap();
        finish(&table, gather);
    }
    let mut bitmap = [0; 1];
    table.read_dirty(group, &mut bitmap).unwrap();
    let left: Vec<u64> = (0..16).filter(|&page| page != 5).collect();
    assert_eq!(pages(&bitmap), left, "{} {shared}", F::NAME);
}

#[test]
fn what_is_left_of_a_group_that_was_written_anywhere_is_written() {
    for shared in [false, true] {
        what_is_left_of_a_written_group_is_written::<S1>(Config::new(48, 48), 1 << 7, shared);
        let wide = Config::new(52, 52);
        what_is_left_of_a_written_group_is_written::<Arm64S1<Lpa2<Granule4K>>>(
            wide,
            1 << 7,
            shared,
        );
        let stage_2 = Config::new(40, 40);
        what_is_left_of_a_written_group_is_written::<Arm64S2<Granule4K>>(stage_2, 1 << 7, shared);
        let riscv = Config::new(39, 56);
        what_is_left_of_a_written_group_is_written::<RiscV<FirstStage>>(riscv, 1 << 7, shared);
        what_is_left_of_a_written_group_is_written::<AmdV1>(Config::new(48, 48), 1 << 6, shared);
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let memory = machine::memory();
    let table = populated::<S1>(&memory);
    let long = range(0, 65 * PAGE);
    let refused = TableError::Bitmap { needed: 2, given: 1 };
    assert_eq!(table.read_dirty(long, &mut [0]), Err(refused));
    assert_eq!(table.read_dirty(long, &mut [0; 2]), Ok(()));
    let unaligned = range(1, PAGE);
    let refused = TableError::UnalignedRange { range: unaligned, granule: PAGE };
    assert_eq!(table.read_dirty(unaligned, &mut [0]), Err(refused));
    let mut table: PageTable<S1, _> = machine::table(Config::new(48, 48), &memory);
    let outcome = table.read_and_clear_dirty(long, &mut [0; 2]).map(|_| ());
    assert_eq!(outcome, Err(TableError::NoDirtyState));
}

/// Random leaves, writes and looks.
fn history<F: Walked>(page: u64, steps: &[(u8, u64, u64)]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config(), &memory);
    // By page: where the leaf begins, its pages, and whether it was written.
    let mut leaves: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
    let covered = |leaves: &BTreeMap<u64, (u64, bool)>, page: u64| {
        leaves
            .range(..=page)
            .next_back()
            .map(|(&first, &(count, _))| (first, count))
            .filter(|(first, count)| page < first + count)
    };
    for &(kind, at, count) in steps {
        let wanted: IovaRange = range(at * page, count * page);
        match kind {
            0 => {
                if (at..at + count).all(|page| covered(&leaves, page).is_none()) {
                    let segment = Segment::new(PhysAddr(page), count * page);
                    let mapped = table.map(wanted, [segment], Prot::RW).unwrap();
                    finish(&table, mapped);
                    leaves.extend((at..at + count).map(|page| (page, (1, true))));
                }
            }
            1 => {
                if covered(&leaves, at).is_some() {
                    write(&table, &memory, at * page);
                    leaves.insert(at, (1, true));
                }
            }
            _ => {
                let mut bitmap = vec![0; (count as usize).div_ceil(64)];
                let gather = table.read_and_clear_dirty(wanted, &mut bitmap).unwrap();
                finish(&table, gather);
                let written = |page: &u64| leaves.get(page).is_some_and(|(_, written)| *written);
                let expected: Vec<u64> =
                    (at..at + count).filter(written).map(|page| page - at).collect();
                assert_eq!(pages(&bitmap), expected);
                for (_, (_, written)) in leaves.range_mut(at..at + count) {
                    *written = false;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn what_is_told_is_what_was_written(
        steps in prop::collection::vec((0u8..3, 0u64..300, 1u64..200), 1..40)
    ) {
        history::<S1>(PAGE, &steps);
        history::<Arm64S2<Granule64K>>(0x1_0000, &steps);
    }
}
