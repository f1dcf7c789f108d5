//! An operation that gets no memory changes nothing, whichever allocation fails, and succeeds
//! when it is tried again.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod ops;

use iopgtable::memory::AllocError;
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, CreateError, Gather, Granule4K, Granule16K,
    Granule64K, PageTable, PhysAddr, Prot, Segment, TableError, Unextended, X86_64,
};
use machine::{Memory, Table, Walked, range};
use model::Model;
use ops::{Kind, Raw};
use proptest::prelude::*;

/// Tries `operation` with each of `pages` allocations failing in turn (or some, of many), and
/// then without a failure.
fn fail_each<F: Walked>(
    memory: &Memory,
    table: &mut Table<'_, F>,
    pages: u64,
    operation: impl Fn(&mut Table<'_, F>) -> Result<Gather, TableError>,
) -> Gather {
    let contents = machine::contents(table);
    let held = (memory.live(), memory.upstream().in_use());
    let step = usize::try_from(pages / 6 + 1).expect("not so many");
    for failing in (0..pages).step_by(step).chain(pages.checked_sub(1)) {
        memory.fail_nth(failing);
        let failures = memory.failures();
        match operation(table).map(|_| ()) {
            Err(TableError::Alloc(AllocError::OutOfMemory { .. })) => {}
            other => panic!("{other:?} although allocation {failing} of {pages} fails"),
        }
        assert_eq!(memory.failures(), failures + 1);
        assert!(machine::contents(table) == contents, "not a byte has changed");
        assert_eq!((memory.live(), memory.upstream().in_use()), held, "nothing is lost");
    }
    // One more than it takes: it never comes to that.
    let failures = memory.failures();
    memory.fail_nth(pages);
    let gather = operation(table).expect("it takes no more pages");
    memory.fail_none();
    assert_eq!(memory.failures(), failures);
    gather
}

fn history<F: Walked>(config: Config, raw: &[Raw]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let geometry = *table.geometry();
    let mut model = Model::new(geometry);
    for raw in raw {
        let mut wanted = raw.mapping(&geometry);
        wanted.prot = F::granted(wanted.prot);
        let range = wanted.range;
        let gather = if raw.kind == Kind::Map {
            if model.first_mapped(range).is_some() {
                continue;
            }
            let change = model.map(range, &wanted.segments, wanted.prot);
            fail_each(&memory, &mut table, change.made.total(), |table| {
                machine::map(table, range, &wanted.segments, wanted.prot)
            })
        } else {
            let hole = raw.hole(&model, range);
            let change = model.unmap(range, hole);
            fail_each(&memory, &mut table, change.made.total(), |table| table.unmap(range, hole))
        };
        machine::finish(&table, gather);
        assert_eq!(model::seen(&geometry, &machine::dump(&table)), model.seen());
    }
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(raw in prop::collection::vec(ops::maps_and_unmaps(), 1..10)) {
                    history::<$format>(Config::new($input, $output), &raw);
                }
            )*
        }
    };
}
histories! {
    failures_s1_4k: Arm64S1<Granule4K>, 48, 48;
    failures_s1_16k: Arm64S1<Granule16K>, 48, 48;
    failures_s2_4k: Arm64S2<Granule4K>, 40, 40;
    failures_s2_64k: Arm64S2<Granule64K>, 44, 44;
    failures_mali: ArmMali, 36, 40;
    failures_x86_64: X86_64, 57, 48;
    failures_amd_v1: AmdV1, 64, 48;
    failures_amd_v1_of_one_level: AmdV1, 21, 48;
    failures_arm_v7s: ArmV7s<Unextended>, 32, 32;
}

#[test]
fn a_table_without_a_root_is_none() {
    let memory = machine::memory();
    memory.fail_nth(0);
    let created = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &memory);
    let error = AllocError::OutOfMemory { pages: 1 };
    assert_eq!(created.map(|_| ()).unwrap_err(), CreateError::Alloc(error));
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
    drop(machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory));
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));
}

#[test]
fn cutting_a_gib_in_the_middle_takes_two_pages_or_leaves_it_whole() {
    let memory = machine::memory();
    let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let block = Segment::new(PhysAddr(0), 1 << 30);
    let _ = table.map(range(0, 1 << 30), [block], Prot::RW).unwrap();
    let page = range(5 << 20 | 0x1000, 0x1000);
    for failing in [0, 1] {
        memory.fail_nth(failing);
        let error = table.unmap(page, page).map(|_| ()).unwrap_err();
        assert!(matches!(error, TableError::Alloc(_)), "{error}");
        assert_eq!(table.translate(page.first()).unwrap().leaf_bytes, 1 << 30);
        assert_eq!(memory.live(), 2, "the root and the table with the block");
    }
    memory.fail_nth(2);
    assert!(table.unmap(page, page).is_ok());
    assert_eq!(memory.live(), 4);
}
