//! After every step of random histories, in every format, the table holds the leaves and the
//! tables that the naive model says, and no others; an independent MMU finds what is mapped; and
//! exactly the missing tables were allocated.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod ops;

use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Gather, Granule4K, Granule16K, Granule64K, Iova, IovaRange,
    Prot, TableCount, TableError, Visit,
};
use machine::{Memory, Table, Walked};
use model::{Change, Model, Seen};
use ops::{Kind, Mapping, Raw};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

/// The soft MMU and the table's own face find what the model has at `address`.
fn check_address<F: Walked>(table: &Table<'_, F>, model: &Model, address: u64) {
    let found = machine::walk(table, address, Access::UNPRIVILEGED_READ);
    let own = table.translate(Iova(address));
    let Some((first, leaf)) = model.leaf_at(address) else {
        assert_eq!(found.map_err(|fault| fault.kind), Err(FaultKind::Translation));
        assert_eq!(own, None, "{address:#x} is not mapped");
        return;
    };
    let phys = leaf.phys + (address - first);
    let found = found.unwrap_or_else(|fault| panic!("{address:#x}: {fault}"));
    assert_eq!((found.address, found.leaf_size), (phys, leaf.bytes), "at {address:#x}");
    let own = own.map(|own| (own.phys.0, own.leaf_bytes, own.prot));
    assert_eq!(own, Some((phys, leaf.bytes, leaf.prot)), "at {address:#x}");
    for (access, right) in
        [(Access::UNPRIVILEGED_WRITE, Prot::WRITE), (Access::UNPRIVILEGED_EXECUTE, Prot::EXECUTE)]
    {
        let allowed = machine::walk(table, address, access).is_ok();
        assert_eq!(allowed, leaf.prot.contains(right), "{access:?} at {address:#x}");
    }
}

fn check<F: Walked>(table: &Table<'_, F>, model: &Model, touched: IovaRange) {
    let geometry = *table.geometry();
    let visits = machine::dump(table);
    let seen = model::seen(&geometry, &visits);
    assert_eq!(seen, model.seen(), "tables and leaves");
    assert_eq!(table.count_tables(), model.count_tables());

    // A visit of a part shows what translates a part of it.
    let meets = |visit: &&Visit| match visit {
        Visit::Table { span, .. } | Visit::Leaf { span, .. } => {
            span.intersection(touched).is_some()
        }
        _ => false,
    };
    let expected: Vec<Visit> = visits.iter().filter(meets).copied().collect();
    let mut part = Vec::new();
    table.visit(touched, |visit| part.push(visit));
    assert_eq!(part, expected);

    for address in model.addresses(touched, 50) {
        check_address(table, model, address);
    }
}

/// The gather names all that is gone, and little more.
fn check_stale(gather: &Gather, change: &Change, range: IovaRange) {
    let stale = gather.stale();
    if let Some(gone) = change.leaves {
        let told = stale.leaves.expect("leaves are gone");
        assert!(told.covers(gone), "{told} does not cover {gone}");
    }
    let most = [change.leaves, change.walks].into_iter().flatten().fold(range, IovaRange::hull);
    assert!(stale.leaves.is_none_or(|told| most.covers(told)), "{stale:?} is more than {most}");
    assert_eq!(stale.walks, change.walks);
}

fn pages(count: TableCount) -> usize {
    usize::try_from(count.total()).expect("not so many")
}

fn step<F: Walked>(memory: &Memory, table: &mut Table<'_, F>, model: &mut Model, raw: &Raw) {
    let Mapping { range, segments, prot } = raw.mapping(model.geometry());
    let before = (memory.allocations(), memory.live());
    let (outcome, change) = match raw.kind {
        Kind::Map | Kind::Replace => {
            if let Some((iova, leaf)) = model.first_mapped(range) {
                let contents = machine::contents(table);
                let refused = table.map(range, segments, prot).map(|_| ());
                assert_eq!(refused, Err(TableError::Overlap { iova, leaf }));
                assert!(machine::contents(table) == contents, "not a byte has changed");
                assert_eq!((memory.allocations(), memory.live()), before);
                return;
            }
            let change = model.map(range, &segments, prot);
            let exact = table.exact_tables(range, segments.iter().copied(), prot);
            assert_eq!(exact, Ok(change.made));
            (table.map(range, segments, prot), change)
        }
        Kind::Unmap(_) => {
            let hole = raw.hole(model, range);
            let change = model.unmap(range, hole);
            (table.unmap(range, hole), change)
        }
        Kind::Clear => (table.clear(range), model.zap(range)),
        Kind::Protect => (table.protect(range, prot), model.protect(range, prot)),
    };
    let gather = outcome.expect("nothing is wrong with it");
    check_stale(&gather, &change, range);
    assert_eq!(memory.allocations() - before.0, change.made.total(), "the missing tables only");
    assert_eq!(memory.live() - before.1, pages(change.made));
    assert_eq!(machine::finish(table, gather), change.loose);
    check(table, model, range);
    let tables = pages(model.count_tables());
    assert_eq!(memory.live(), tables + 1, "the tables and the root");
}

fn history<F: Walked>(config: Config, raw: &[Raw]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let mut model = Model::new(*table.geometry());
    for raw in raw {
        step(&memory, &mut table, &mut model, raw);
    }
    let whole = machine::whole(&table);
    let mapped: Vec<Seen> = model.seen();
    let gather = table.unmap(whole, whole).expect("the whole space can be unmapped");
    let tables = mapped.iter().filter(|(.., leaf)| leaf.is_none()).count();
    assert_eq!(machine::finish(&table, gather), tables);
    assert_eq!(table.count_tables().total(), 0);
    assert_eq!(machine::dump(&table), []);
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0), "every page is back");
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(raw in prop::collection::vec(ops::plain(), 1..16)) {
                    history::<$format>(Config::new($input, $output), &raw);
                }
            )*
        }
    };
}
histories! {
    s1_4k_48: Arm64S1<Granule4K>, 48, 48;
    s1_4k_39: Arm64S1<Granule4K>, 39, 40;
    s1_4k_32: Arm64S1<Granule4K>, 32, 32;
    s1_16k_48_has_a_root_of_two_entries: Arm64S1<Granule16K>, 48, 48;
    s1_16k_36: Arm64S1<Granule16K>, 36, 42;
    s1_64k_48: Arm64S1<Granule64K>, 48, 48;
    s1_64k_40: Arm64S1<Granule64K>, 40, 36;
    s2_4k_48: Arm64S2<Granule4K>, 48, 48;
    s2_4k_40_concatenates_2: Arm64S2<Granule4K>, 40, 40;
    s2_4k_42_concatenates_8: Arm64S2<Granule4K>, 42, 42;
    s2_16k_40_concatenates_16: Arm64S2<Granule16K>, 40, 40;
    s2_16k_48_concatenates_2: Arm64S2<Granule16K>, 48, 48;
    s2_64k_44: Arm64S2<Granule64K>, 44, 44;
    s2_64k_42: Arm64S2<Granule64K>, 42, 42;
    mali_48: ArmMali, 48, 40;
    mali_40: ArmMali, 40, 32;
    mali_33_uses_one_entry_of_the_root: ArmMali, 33, 40;
}
