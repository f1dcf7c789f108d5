//! The contiguous hint: a leaf carries it if and only if its whole group was mapped together and
//! has only changed together since. The soft MMU, which compares all leaves of a group whenever it
//! meets one, never finds a group that disagrees.

#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;

use iopgtable::{
    Arm32S1, Arm64S1, Arm64S2, ArmMali, Config, ConfigError, Format, Granule4K, Granule16K,
    Granule64K, Iova, Lpa2, Options, PhysAddr, Prot, Segment, Splits, TableCount, TableError,
    Visit,
};
use machine::{Table, Walked, finish, range};
use proptest::prelude::*;
use walkers::{Access, FaultKind};

/// How many groups the space has.
const GROUPS: usize = 4;

/// What happens to some units: pages, or blocks of one level.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Map them to as many units from `phys` on.
    Map {
        phys: usize,
    },
    Unmap,
    Clear,
    Protect(Prot),
    /// The same through a reservation: in place of what is there.
    Replace {
        phys: usize,
    },
}

#[derive(Clone, Copy, Debug)]
struct Step {
    first: usize,
    count: usize,
    op: Op,
}

/// What a unit is mapped to, and whether with the hint.
type Unit = Option<(usize, Prot, bool)>;

/// The units, as the definition has it.
struct Model {
    units: Vec<Unit>,
    group: usize,
}

impl Model {
    /// Takes the hint from groups that a change from one unit to before another cuts.
    fn dissolve(&mut self, from: usize, to: usize) {
        for start in (0..self.units.len()).step_by(self.group) {
            let end = start + self.group;
            let cut = from < end && start < to && !(from <= start && end <= to);
            if cut {
                for (_, _, hint) in self.units[start..end].iter_mut().flatten() {
                    *hint = false;
                }
            }
        }
    }

    fn map(&mut self, from: usize, to: usize, phys: usize) {
        let (group, aligned) = (self.group, phys % self.group == from % self.group);
        for unit in from..to {
            let start = unit / group * group;
            let hint = aligned && from <= start && start + group <= to;
            self.units[unit] = Some((phys + unit - from, Prot::RW, hint));
        }
    }

    /// Whether the step is one that the table takes.
    fn take(&mut self, Step { first, count, op }: Step) -> bool {
        let (from, to) = (first, first + count);
        match op {
            Op::Map { .. } if self.units[from..to].iter().any(Option::is_some) => return false,
            Op::Map { phys } => self.map(from, to, phys),
            Op::Replace { phys } => {
                self.dissolve(from, to);
                self.map(from, to, phys);
            }
            Op::Unmap | Op::Clear => {
                self.dissolve(from, to);
                self.units[from..to].fill(None);
            }
            Op::Protect(new) => {
                self.dissolve(from, to);
                for (_, prot, _) in self.units[from..to].iter_mut().flatten() {
                    *prot = new;
                }
            }
        }
        true
    }
}

fn apply<F: Walked>(table: &mut Table<'_, F>, unit: u64, Step { first, count, op }: Step) {
    let base = table.geometry().first_iova().0;
    let wanted = range(base + first as u64 * unit, count as u64 * unit);
    let segment = |phys: usize| Segment::new(PhysAddr(phys as u64 * unit), count as u64 * unit);
    let gather = match op {
        Op::Map { phys } => table.map(wanted, [segment(phys)], Prot::RW),
        Op::Unmap => table.unmap(wanted, wanted),
        Op::Clear => table.clear(wanted),
        Op::Protect(prot) => table.protect(wanted, prot),
        Op::Replace { phys } => {
            let missing = table.geometry().worst_case_tables(wanted);
            let mut pages = table.reserver().reserve(&missing, wanted.first(), true).unwrap();
            let mut reserved = table.reserved(&mut pages).unwrap();
            Ok(reserved.replace(wanted, [segment(phys)], Prot::RW).unwrap())
        }
    };
    let gather = gather.expect("the model takes it");
    finish(table, gather);
}

fn check<F: Walked>(table: &Table<'_, F>, unit: u64, model: &Model) {
    let base = table.geometry().first_iova().0;
    for (number, wanted) in model.units.iter().enumerate() {
        let at = base + number as u64 * unit;
        let found = machine::walk(table, at + unit - 8, Access::UNPRIVILEGED_READ);
        match (wanted, found) {
            (None, Err(fault)) => assert_eq!(fault.kind, FaultKind::Translation, "unit {number}"),
            (&Some((phys, _, hint)), Ok(found)) => {
                assert_eq!(found.address, (phys as u64 + 1) * unit - 8, "unit {number}");
                assert_eq!(found.contiguous, hint, "unit {number}");
                assert_eq!(found.leaf_size, unit);
            }
            (wanted, found) => panic!("unit {number}: {wanted:?}, but the MMU found {found:?}"),
        }
    }
}

/// Steps in a space of some units, where a mapping often starts and ends with a group.
fn steps(group: usize) -> impl Strategy<Value = Vec<Step>> {
    let units = GROUPS * group;
    let edge = prop_oneof![0..=units, (0..=GROUPS).prop_map(move |number| number * group)];
    let op = prop_oneof![
        3 => (0usize..3, prop_oneof![Just(0), 0..group])
            .prop_map(move |(far, off)| Op::Map { phys: (8 + far * 8) * group + off }),
        2 => Just(Op::Unmap),
        1 => Just(Op::Clear),
        1 => Just(Op::Protect(Prot::READ)),
        1 => Just(Op::Protect(Prot::RW | Prot::EXECUTE)),
        1 => Just(Op::Replace { phys: 40 * group }),
    ];
    let step = (edge.clone(), edge, op, any::<bool>()).prop_filter_map(
        "something",
        move |(one, other, op, alike)| {
            let (first, count) = (one.min(other), one.abs_diff(other));
            // Half of the mappings are aligned alike in both spaces.
            let op = match op {
                Op::Map { phys } if alike => Op::Map { phys: phys / group * group + first % group },
                Op::Replace { phys } if alike => Op::Replace { phys: phys + first % group },
                other => other,
            };
            (count > 0).then_some(Step { first, count, op })
        },
    );
    prop::collection::vec(step, 1..24)
}

fn history<F: Walked>(config: Config, level: i8, group: usize, steps: &[Step]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config.with(Options::CONTIGUOUS), &memory);
    let unit = 1 << table.geometry().entry_shift(level);
    assert_eq!(table.geometry().group_shift(level), (unit * group as u64).trailing_zeros());
    let mut model = Model { units: vec![None; GROUPS * group], group };
    for &step in steps {
        if model.take(step) {
            apply(&mut table, unit, step);
            check(&table, unit, &model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn sixteen_pages_of_4k(steps in steps(16)) {
        history::<Arm64S1<Granule4K>>(Config::new(48, 48), 3, 16, &steps);
        history::<Arm64S2<Granule4K>>(Config::new(40, 40), 3, 16, &steps);
        history::<Arm64S1<Lpa2<Granule4K>>>(Config::new(52, 52), 3, 16, &steps);
        let upper = Config::new(39, 48).with(Options::UPPER_HALF);
        history::<Arm64S1<Granule4K>>(upper, 3, 16, &steps);
    }

    #[test]
    fn sixteen_blocks_of_2m(steps in steps(16)) {
        history::<Arm64S1<Granule4K>>(Config::new(48, 48), 2, 16, &steps);
        history::<Arm32S1>(Config::new(32, 40), 2, 16, &steps);
    }

    #[test]
    fn pages_and_blocks_of_16k(pages in steps(128), blocks in steps(32)) {
        history::<Arm64S1<Granule16K>>(Config::new(48, 48), 3, 128, &pages);
        history::<Arm64S2<Granule16K>>(Config::new(47, 48), 2, 32, &blocks);
    }

    #[test]
    fn pages_and_blocks_of_64k(steps in steps(32)) {
        history::<Arm64S1<Granule64K>>(Config::new(52, 52), 3, 32, &steps);
        history::<Arm64S1<Granule64K>>(Config::new(48, 48), 2, 32, &steps);
    }
}

/// A table with 16 blocks of 2 MiB in one group.
fn blocks(memory: &machine::Memory) -> Table<'_, Arm64S1<Granule4K>> {
    let config = Config::new(48, 48).with(Options::CONTIGUOUS);
    let mut table = machine::table(config, memory);
    let all = range(0, 32 << 20);
    let mapped = table.map(all, [Segment::new(PhysAddr(1 << 30), 32 << 20)], Prot::RW).unwrap();
    finish(&table, mapped);
    table
}

#[test]
fn what_is_left_of_a_cut_block_has_groups_of_its_own() {
    let memory = machine::memory();
    let mut table = blocks(&memory);
    let page = range(0x20_5000, 0x1000);
    let gather = table.unmap(page, page).unwrap();
    // The whole group of blocks was told to be one.
    assert_eq!(gather.stale().leaves, Some(range(0, 32 << 20)));
    finish(&table, gather);
    let hint = |iova| {
        let found = machine::walk(&table, iova, Access::UNPRIVILEGED_READ).unwrap();
        (found.leaf_size, found.contiguous)
    };
    assert_eq!(hint(0), (2 << 20, false));
    assert_eq!(hint(0x20_4000), (0x1000, false), "the group that the page was in");
    assert_eq!(hint(0x20_f000), (0x1000, false));
    assert_eq!(hint(0x21_0000), (0x1000, true), "the next one");
    assert_eq!(hint(0x3f_f000), (0x1000, true));
    assert_eq!(table.count_tables().at(3), 1);
    let mut contiguous = TableCount::ZERO;
    table.visit(table.geometry().whole(), |seen| {
        if let Visit::Leaf { level, contiguous: true, .. } = seen {
            contiguous.increase(level, 1);
        }
    });
    assert_eq!(contiguous.at(3), 31 * 16);
}

#[test]
fn what_replaces_a_part_of_a_block_leaves_groups_around_it() {
    let memory = machine::memory();
    let mut table = blocks(&memory);
    let page = range(0x20_5000, 0x1000);
    let mut pages = table.reserver().reserve(&TableCount::of(3, 1), page.first(), true).unwrap();
    let segment = Segment::new(PhysAddr(0), 0x1000);
    let replaced = table.reserved(&mut pages).unwrap().replace(page, [segment], Prot::RW);
    finish(&table, replaced.unwrap());
    for (iova, hint) in [(0x20_0000, false), (0x20_5000, false), (0x21_0000, true), (0, false)] {
        let found = machine::walk(&table, iova, Access::UNPRIVILEGED_READ).unwrap();
        assert_eq!(found.contiguous, hint, "{iova:#x}");
    }
}

#[test]
fn leaves_that_are_named_take_part() {
    let memory = machine::memory();
    let config = Config::new(48, 48).with(Options::CONTIGUOUS);
    let mut table = machine::table::<Arm64S1<Granule4K>>(config, &memory);
    // A table of pages that is there.
    let mapped = table.map(range(0x10_0000, 0x1000), [Segment::new(PhysAddr(0), 0x1000)], Prot::RW);
    finish(&table, mapped.unwrap());
    let attributes = Arm64S1::<Granule4K>::attributes(config.options, Prot::RW).unwrap();
    let named = table.map_leaves(Iova(0xf000), PhysAddr(0x8000_f000), 3, 18, attributes);
    assert_eq!(named, Ok(true));
    let hint = |table: &Table<'_, _>, iova| {
        machine::walk(table, iova, Access::UNPRIVILEGED_READ).unwrap().contiguous
    };
    assert!(!hint(&table, 0xf000) && hint(&table, 0x1_0000) && hint(&table, 0x1_f000));
    assert!(!hint(&table, 0x2_0000));
    let (count, gather) = table.unmap_leaves(Iova(0x1_3000), 3, 1).unwrap();
    assert_eq!((count, gather.stale().leaves), (1, Some(range(0x1_0000, 0x1_0000))));
    finish(&table, gather);
    assert!(!hint(&table, 0x1_0000) && !hint(&table, 0x1_f000));
}

#[test]
fn leaves_that_are_named_cut_no_group_where_that_is_forbidden() {
    let memory = machine::memory();
    let config = Config::new(48, 48).with(Options::CONTIGUOUS).splits(Splits::Forbidden);
    let mut table = machine::table::<Arm64S1<Granule4K>>(config, &memory);
    let group = range(0x1_0000, 0x1_0000);
    let mapped = table.map(group, [Segment::new(PhysAddr(0), 0x1_0000)], Prot::RW);
    finish(&table, mapped.unwrap());
    assert!(table.unmap_leaves(Iova(0x1_3000), 3, 1).is_none());
    let page = range(0x1_3000, 0x1000);
    assert_eq!(table.unmap(page, page).unwrap_err(), TableError::Split { block: group });
    let (count, gather) = table.unmap_leaves(group.first(), 3, 16).unwrap();
    assert_eq!(count, 16);
    finish(&table, gather);
}

#[test]
fn blocks_that_only_wide_addresses_have_carry_no_hint() {
    fn group_of_one<F: Format>(level: i8) {
        let geometry = F::geometry(Config::new(52, 52).with(Options::CONTIGUOUS)).unwrap();
        assert!(geometry.is_leaf_level(level));
        assert_eq!(geometry.group_shift(level), geometry.entry_shift(level));
    }
    group_of_one::<Arm64S1<Lpa2<Granule4K>>>(0);
    group_of_one::<Arm64S1<Lpa2<Granule16K>>>(1);
    group_of_one::<Arm64S1<Granule64K>>(1);
}

#[test]
fn mali_has_no_hint() {
    let memory = machine::memory();
    let config = Config::new(48, 40).with(Options::CONTIGUOUS);
    let error = iopgtable::PageTable::<ArmMali, _>::new(config, &memory).map(|_| ());
    let refused = ConfigError::Options { refused: Options::CONTIGUOUS, supported: Options::NONE };
    assert_eq!(error, Err(refused.into()));
}
