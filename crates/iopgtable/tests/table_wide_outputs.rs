//! A run of leaves is not counted through the end of the field that holds the output address:
//! memory that lies across such a boundary is mapped right, whatever maps it.
//!
//! With 64 KiB, address bits 51:48 are apart from the others in a descriptor; with LPA2, bits 51:50
//! (Arm DDI 0487, D8.3.1).

#![cfg(feature = "alloc")]

mod machine;

use std::collections::BTreeMap;

use iopgtable::{
    Arm64S1, Arm64S2, Config, Format, Geometry, Granule4K, Granule16K, Granule64K, Iova, IovaRange,
    Lpa2, Options, PhysAddr, Prot, Reservation, Segment, TableCount, Visit,
};
use machine::{Memory, Table, Walked, finish, range};
use walkers::Access;

/// The end of each field, and of what would be one.
const BOUNDARIES: [u64; 4] = [1 << 48, 1 << 49, 1 << 50, 1 << 51];

const PROT: Prot = Prot::RW.with(Prot::CACHED);

/// Leaves of one size on either side of a boundary.
#[derive(Clone, Copy)]
struct Case {
    level: i8,
    /// The bytes of a leaf.
    leaf: u64,
    boundary: u64,
    before: u64,
    after: u64,
    /// Where they are mapped: there is room for one more below, in the same table.
    iova: u64,
}

impl Case {
    const fn phys(&self) -> u64 {
        self.boundary - self.before * self.leaf
    }

    const fn bytes(&self) -> u64 {
        (self.before + self.after) * self.leaf
    }

    fn range(&self) -> IovaRange {
        range(self.iova, self.bytes())
    }

    const fn segment(&self) -> Segment {
        Segment::new(PhysAddr(self.phys()), self.bytes())
    }

    /// The first addresses of all leaves.
    fn leaves(&self) -> impl Iterator<Item = u64> + use<> {
        let (iova, leaf) = (self.iova, self.leaf);
        (0..self.before + self.after).map(move |index| iova + index * leaf)
    }

    fn leads(&self, address: u64) -> u64 {
        self.phys() + (address - self.iova)
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { leaf, boundary, before, after, iova, .. } = self;
        write!(f, "{before} and {after} leaves of {leaf:#x} around {boundary:#x} at {iova:#x}")
    }
}

/// Runs of every leaf size around every boundary, within a table and over several.
fn cases(geometry: &Geometry) -> Vec<Case> {
    let mut cases = Vec::new();
    for level in geometry.leaf_levels() {
        let (leaf, entries) = (1u64 << geometry.entry_shift(level), geometry.entries(level) as u64);
        // Groups are to be aligned in both spaces; larger leaves, or larger groups, are not.
        let aligned = 1u64 << geometry.group_shift(level);
        let table = entries * leaf;
        let second_table = if level > geometry.first_level() { table } else { 0 };
        // Leaves before and after, and where in a table they begin.
        let shapes = [
            (3, 4, entries / 2),
            (1, 1, entries / 2),
            (entries / 8 + 5, entries / 4, entries / 4),
            // The boundary lies in the middle of the third table.
            (entries + 7, entries + 9, entries / 2),
        ];
        for (boundary, (before, after, slot)) in
            BOUNDARIES.iter().flat_map(|&boundary| shapes.map(|shape| (boundary, shape)))
        {
            let Some(phys) = boundary.checked_sub(before * leaf) else { continue };
            let unit = 2 * aligned;
            let iova = second_table + ((slot * leaf) & !(unit - 1)) + (phys + aligned) % unit;
            let case = Case { level, leaf, boundary, before, after, iova };
            let last = (phys + case.bytes() - 1).max(iova + case.bytes() - 1);
            if last <= geometry.last_phys().0 {
                cases.push(case);
            }
        }
    }
    assert!(geometry.leaf_levels().all(|level| cases.iter().any(|case| case.level == level)));
    cases
}

/// Every leaf of the case leads where it should, for the walker, and has the hint if it says so.
fn check<F: Walked>(table: &Table<'_, F>, case: &Case, prot: Prot) {
    let mut contiguous = BTreeMap::new();
    table.visit(case.range(), |seen| {
        if let Visit::Leaf { span, contiguous: hint, .. } = seen {
            contiguous.insert(span.first().0, hint);
        }
    });
    assert_eq!(contiguous.len() as u64, case.before + case.after, "{case}");
    for first in case.leaves() {
        let address = first + case.leaf - 8;
        let found = machine::walk(table, address, Access::UNPRIVILEGED_READ);
        let found = found.unwrap_or_else(|fault| panic!("{case} at {first:#x}: {fault}"));
        let phys = case.leads(address);
        assert_eq!((found.address, found.leaf_size), (phys, case.leaf), "{case} at {first:#x}");
        assert_eq!(Some(&found.contiguous), contiguous.get(&first), "{case} at {first:#x}");
        assert_eq!(found.permissions.unprivileged.write, prot.contains(Prot::WRITE));
        let own = table.translate(Iova(address)).map(|own| (own.phys.0, own.leaf_bytes, own.prot));
        assert_eq!(own, Some((phys, case.leaf, prot)), "{case} at {first:#x}");
    }
}

/// Takes away what the case mapped, and all tables.
fn clean<F: Walked>(table: &mut Table<'_, F>) {
    let whole = machine::whole(table);
    let gather = table.unmap(whole, whole).expect("all can be unmapped");
    finish(table, gather);
    assert_eq!(table.count_tables().total(), 0);
}

/// A leaf next to the first one: its table is there then.
fn map_neighbour<F: Walked>(table: &mut Table<'_, F>, case: &Case) {
    let segment = Segment::new(PhysAddr(0), case.leaf);
    let gather = table.map(range(case.iova - case.leaf, case.leaf), [segment], PROT);
    finish(table, gather.expect("nothing is there"));
}

fn reserve<'m, F: Walked>(table: &Table<'m, F>, case: &Case) -> Reservation<&'m Memory> {
    // Nothing is mapped: these are all tables that the case ever needs.
    let tables = table.exact_tables(case.range(), [case.segment()], PROT);
    let tables = tables.expect("the arguments are good");
    table.reserver().reserve(&tables, case.range().first(), true).expect("there is room")
}

fn maps_right<F: Walked>(options: Options) {
    let config = Config::new(52, 52).with(options);
    let memory = machine::memory_at(machine::highest_tables(config));
    let mut table = machine::table::<F>(config, &memory);
    for case in cases(table.geometry()) {
        let range = case.range();
        // One segment, one up to the boundary and one from there on, one a leaf.
        let piece = |phys, leaves| Segment::new(PhysAddr(phys), leaves * case.leaf);
        let halves = vec![piece(case.phys(), case.before), piece(case.boundary, case.after)];
        let singles: Vec<_> = case.leaves().map(|at| piece(case.leads(at), 1)).collect();
        for segments in [vec![case.segment()], halves, singles] {
            for short in [false, true] {
                if short {
                    map_neighbour(&mut table, &case);
                }
                let gather = table.map(range, segments.clone(), PROT);
                finish(&table, gather.expect("nothing is there"));
                check(&table, &case, PROT);
                if short {
                    let gather = table.protect(range, Prot::READ).expect("no leaf is cut");
                    finish(&table, gather);
                    check(&table, &case, Prot::READ);
                }
                clean(&mut table);
            }
        }
    }
}

fn maps_right_from_a_reservation<F: Walked>(options: Options) {
    let config = Config::new(52, 52).with(options);
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    for case in cases(table.geometry()) {
        let segments = [case.segment()];
        let mut pages = reserve(&table, &case);
        let mut reserved = table.reserved(&mut pages).expect("it is this table's");
        let gather = reserved.map(case.range(), segments, Prot::READ).expect("the pages suffice");
        finish(&table, gather);
        check(&table, &case, Prot::READ);
        // The same again, in place of itself and of other memory.
        let mut none = table.reserver().reserve(&TableCount::ZERO, Iova(0), true).expect("none");
        for phys in [case.phys(), 0] {
            let mut reserved = table.reserved(&mut none).expect("it is this table's");
            let other = [Segment::new(PhysAddr(phys + case.phys() % case.leaf), case.bytes())];
            let gather = reserved.replace(case.range(), other, PROT);
            finish(&table, gather.expect("no table is missing"));
            let mut reserved = table.reserved(&mut pages).expect("it is this table's");
            let gather = reserved.replace(case.range(), segments, PROT);
            finish(&table, gather.expect("the pages suffice"));
            check(&table, &case, PROT);
        }
        clean(&mut table);
    }
}

/// The shortest way may decline, but not what lies on one side of a boundary.
fn maps_named_leaves_right<F: Walked>(options: Options) {
    let config = Config::new(52, 52).with(options);
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let attributes = F::attributes(options, PROT).expect("the format has it");
    for case in cases(table.geometry()) {
        // One table holds them all, and no other boundary lies among them.
        let entries = table.geometry().entries(case.level) as u64;
        let index = case.iova / case.leaf % entries;
        let wide = case.after.max(case.before) * case.leaf > 1 << 48;
        if case.level < 1 || wide || index + case.before + case.after > entries {
            continue;
        }
        let count = |leaves| usize::try_from(leaves).expect("at most a table's");
        map_neighbour(&mut table, &case);
        let contents = machine::contents(&table);
        let (iova, phys) = (case.range().first(), PhysAddr(case.phys()));
        let all = count(case.before + case.after);
        if table.map_leaves(iova, phys, case.level, all, attributes) == Ok(false) {
            assert!(machine::contents(&table) == contents, "{case}");
            let declined = "what lies below the boundary was declined";
            let before = count(case.before);
            let named = table.map_leaves(iova, phys, case.level, before, attributes);
            assert_eq!(named, Ok(true), "{case}: {declined}");
            let (iova, phys) = (Iova(iova.0 + case.before * case.leaf), PhysAddr(case.boundary));
            let named = table.map_leaves(iova, phys, case.level, count(case.after), attributes);
            assert_eq!(named, Ok(true));
        }
        check(&table, &case, PROT);
        clean(&mut table);
    }
}

/// What a format does with blocks whose memory lies high, when they are cut.
fn cuts_right<F: Walked>(options: Options) {
    let config = Config::new(52, 52).with(options);
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let sizes: Vec<u64> = table.geometry().leaf_sizes().collect();
    let page = table.geometry().granule();
    let last_phys = table.geometry().last_phys().0;
    for &block in sizes.iter().filter(|&&size| size > page) {
        let around = BOUNDARIES.iter().flat_map(|&at| [at - block, at]);
        for phys in around.chain([last_phys - (block - 1)]) {
            let whole = range(3 * block, block);
            let cut = range(3 * block + block / 2 + page, 2 * page);
            for protects in [false, true] {
                let gather = table.map(whole, [Segment::new(PhysAddr(phys), block)], PROT);
                finish(&table, gather.expect("nothing is there"));
                let found = table.translate(whole.first()).map(|found| found.leaf_bytes);
                assert_eq!(found, Some(block), "it is one block");
                let gather =
                    if protects { table.protect(cut, Prot::READ) } else { table.unmap(cut, cut) };
                finish(&table, gather.expect("there is memory"));
                table.visit(whole, |seen| {
                    let Visit::Leaf { span, contiguous, .. } = seen else { return };
                    let address = span.last().0 - 7;
                    let found = machine::walk(&table, address, Access::UNPRIVILEGED_READ);
                    let found = found.unwrap_or_else(|fault| panic!("{address:#x}: {fault}"));
                    assert_eq!(found.address, phys + (address - whole.first().0), "{phys:#x}");
                    assert_eq!(found.leaf_size, span.bytes());
                    assert_eq!(found.contiguous, contiguous, "{span}");
                    assert_eq!(found.permissions.unprivileged.write, !cut.covers(span));
                });
                let found = machine::walk(&table, cut.first().0, Access::UNPRIVILEGED_READ);
                assert_eq!(found.is_ok(), protects);
                clean(&mut table);
            }
        }
    }
}

/// A test for each format, with the hint and without.
macro_rules! formats {
    ($($name:ident: $format:ty;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn memory_across_a_boundary_is_mapped_right() {
                maps_right::<$format>(Options::NONE);
                maps_right::<$format>(Options::CONTIGUOUS);
            }

            #[test]
            fn a_reservation_maps_memory_across_a_boundary_right() {
                maps_right_from_a_reservation::<$format>(Options::NONE);
                maps_right_from_a_reservation::<$format>(Options::CONTIGUOUS);
            }

            #[test]
            fn named_leaves_across_a_boundary_are_right_or_declined() {
                maps_named_leaves_right::<$format>(Options::NONE);
                maps_named_leaves_right::<$format>(Options::CONTIGUOUS);
            }

            #[test]
            fn blocks_of_high_memory_are_cut_right() {
                cuts_right::<$format>(Options::NONE);
                cuts_right::<$format>(Options::CONTIGUOUS);
            }
        }
    )*};
}
formats! {
    s1_64k: Arm64S1<Granule64K>;
    s2_64k: Arm64S2<Granule64K>;
    s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>;
    s2_4k_lpa2: Arm64S2<Lpa2<Granule4K>>;
    s1_16k_lpa2: Arm64S1<Lpa2<Granule16K>>;
    s2_16k_lpa2: Arm64S2<Lpa2<Granule16K>>;
}

/// The bits of one entry on either side, by hand.
#[test]
fn the_bits_above_the_field_move_to_where_the_manual_has_them() {
    type S1 = Arm64S1<Granule64K>;
    type Small = Arm64S1<Lpa2<Granule4K>>;
    type Medium = Arm64S2<Lpa2<Granule16K>>;
    // 51:48 at 15:12.
    assert_eq!(S1::output(PhysAddr(0xffff_ffff_0000)), 0xffff_ffff_0000);
    assert_eq!(S1::output(PhysAddr(0xa_0000_0001_0000)), 0x0000_0001_a000);
    // 49:48 in place, 51:50 at 9:8.
    assert_eq!(Small::output(PhysAddr(0x3_ffff_ffff_f000)), 0x3_ffff_ffff_f000);
    assert_eq!(Small::output(PhysAddr(0xd_0000_0000_1000)), 0x1_0000_0000_1300);
    assert_eq!(Medium::output(PhysAddr(0xa_0000_0000_4000)), 0x2_0000_0000_4200);
}
