//! The face that cannot allocate takes exactly the pages that were missing, and says precisely
//! how far it got where it had too few.

#![cfg(feature = "alloc")]

mod machine;
mod model;
mod ops;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Gather, Granule4K,
    Granule16K, Granule64K, Iova, IovaRange, Lpa2, MediaTek, Options, PhysAddr, Prot, Reserved,
    ReservedError, Segment, TableCount, TableError, Unextended, VtdS2, X86_64,
};
use machine::{Memory, Table, Walked, finish, range};
use model::{Change, Model};
use ops::{Kind, Mapping, Raw};
use proptest::prelude::*;

type S1 = Arm64S1<Granule4K>;

const CONFIG: Config = Config::new(48, 48);

/// An operation that can be run more than once.
struct Operation {
    kind: Kind,
    mapping: Mapping,
    hole: IovaRange,
}

impl Operation {
    /// Where `raw` makes sense: a map needs room.
    fn new(raw: &Raw, model: &Model) -> Option<Self> {
        let mapping = raw.mapping(model.geometry());
        if raw.kind == Kind::Map && model.first_mapped(mapping.range).is_some() {
            return None;
        }
        let hole = raw.hole(model, mapping.range);
        Some(Self { kind: raw.kind, mapping, hole })
    }

    fn plan(&self, model: &mut Model) -> Change {
        let Mapping { range, segments, prot } = &self.mapping;
        match self.kind {
            Kind::Unmap(_) => model.unmap(*range, self.hole),
            Kind::Clear => model.zap(*range),
            Kind::Protect => model.protect(*range, *prot),
            Kind::Map | Kind::Replace => model.replace(*range, segments, *prot),
        }
    }

    fn run<F: Walked>(
        &self,
        reserved: &mut Reserved<'_, F, &Memory>,
    ) -> Result<Gather, ReservedError> {
        let Mapping { range, segments, prot } = self.mapping.clone();
        match self.kind {
            Kind::Map => reserved.map(range, segments, prot),
            Kind::Replace => reserved.replace(range, segments, prot),
            Kind::Unmap(_) => reserved.unmap(range, self.hole),
            Kind::Clear => reserved.clear(range),
            Kind::Protect => reserved.protect(range, prot),
        }
    }
}

fn count(pages: u64) -> TableCount {
    let mut count = TableCount::ZERO;
    count.increase(3, pages);
    count
}

/// Runs `operation` with `pages` pages.
fn run<F: Walked>(
    table: &mut Table<'_, F>,
    operation: &Operation,
    pages: u64,
) -> (Result<Gather, ReservedError>, usize) {
    let reserver = table.reserver();
    let at = operation.mapping.range.first();
    let mut pages = reserver.reserve(&count(pages), at, true).expect("there is room");
    let mut reserved = table.reserved(&mut pages).expect("it is this table's");
    let done = operation.run(&mut reserved);
    (done, pages.remaining())
}

/// With as many pages as are missing, nothing is left over.
fn exact<F: Walked>(
    memory: &Memory,
    table: &mut Table<'_, F>,
    model: &mut Model,
    operation: &Operation,
) {
    let range = operation.mapping.range;
    let change = operation.plan(model);
    let (done, left) = run(table, operation, change.made.total());
    let gather = done.expect("the reservation is exact");
    assert_eq!(left, 0);
    if let Some(gone) = change.leaves.filter(|_| operation.kind != Kind::Map) {
        let told = gather.stale().leaves.expect("leaves are gone");
        assert!(told.covers(gone), "{told} does not cover {gone}");
    }
    assert_eq!(gather.stale().walks, change.walks);
    assert_eq!(finish(table, gather), change.loose);
    assert_eq!(model::seen(model.geometry(), &machine::dump(table)), model.seen());
    for address in model.addresses(range, 20) {
        let found = table.translate(Iova(address)).map(|found| (found.phys.0, found.prot));
        assert_eq!(found, model.get(address), "at {address:#x}");
    }
    let tables = usize::try_from(model.count_tables().total()).expect("not so many");
    assert_eq!(memory.live(), 1 + tables);
}

/// With one page or more too few: below the address where it stopped, the new state; the old one
/// from there on. Then with enough.
fn too_few<F: Walked>(table: &mut Table<'_, F>, old: &Model, operation: &Operation, pages: u64) {
    let mut new = old.clone();
    let range = operation.mapping.range;
    let needed = operation.plan(&mut new).made.total();
    let (done, left) = run(table, operation, pages);
    let (at, gather) = match done {
        Err(ReservedError::Exhausted { at, gather }) => (at, gather),
        other => panic!("{other:?} with {pages} pages instead of {needed}"),
    };
    assert_eq!(left, 0, "it has used what it had");
    assert!(range.contains(at));
    let mut addresses = old.addresses(range, 20);
    addresses.extend(new.addresses(range, 20));
    addresses.extend([at.0, at.0.saturating_sub(1)]);
    for address in addresses {
        let model = if address < at.0 { &new } else { old };
        let found = table.translate(Iova(address)).map(|found| (found.phys.0, found.prot));
        assert_eq!(found, model.get(address), "at {address:#x}, stopped at {at}");
    }
    if let Some(told) = gather.stale().leaves {
        for (&first, leaf) in &old.leaves {
            let gone = leaf.span(first).intersection(range).filter(|span| span.first() < at);
            let gone = gone.filter(|_| operation.kind != Kind::Map);
            assert!(gone.is_none_or(|span| told.contains(span.first())), "{told} at {first:#x}");
        }
    }
    finish(table, gather);

    let most = table.geometry().worst_case_tables(range).total() + 8;
    let (done, _) = run(table, operation, most.min(needed + 16));
    finish(table, done.expect("it has enough pages now"));
    let leaves = |seen: Vec<model::Seen>| {
        seen.into_iter().filter(|(.., leaf)| leaf.is_some()).collect::<Vec<_>>()
    };
    let built = leaves(model::seen(new.geometry(), &machine::dump(table)));
    assert_eq!(built, leaves(new.seen()));
}

fn history<F: Walked>(config: Config, raw: &[Raw]) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let mut model = Model::new(*table.geometry());
    let mut last = None;
    for (index, raw) in raw.iter().enumerate() {
        let Some(mut operation) = Operation::new(raw, &model) else {
            continue;
        };
        operation.mapping.prot = F::granted(operation.mapping.prot);
        let before = model.clone();
        exact(&memory, &mut table, &mut model, &operation);
        last = Some((index, before, operation));
    }
    drop(table);
    assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0));

    // The last one again, with too few pages.
    let Some((index, before, operation)) = last else {
        return;
    };
    let needed = operation.plan(&mut before.clone()).made.total();
    for pages in (0..needed).step_by(usize::try_from(needed / 3 + 1).expect("not so many")) {
        let mut table = machine::table::<F>(config, &memory);
        let mut model = Model::new(*table.geometry());
        for raw in &raw[..index] {
            if let Some(mut operation) = Operation::new(raw, &model) {
                operation.mapping.prot = F::granted(operation.mapping.prot);
                exact(&memory, &mut table, &mut model, &operation);
            }
        }
        too_few(&mut table, &before, &operation, pages);
        drop(table);
        assert_eq!((memory.live(), memory.upstream().in_use()), (0, 0), "no page is lost");
    }
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(raw in prop::collection::vec(ops::all(), 1..10)) {
                    history::<$format>(Config::new($input, $output)$(.with($options))?, &raw);
                }
            )*
        }
    };
}
histories! {
    reserved_s1_4k: S1, 48, 48;
    reserved_s1_16k: Arm64S1<Granule16K>, 48, 48;
    reserved_s1_64k: Arm64S1<Granule64K>, 48, 48;
    reserved_s2_4k: Arm64S2<Granule4K>, 40, 40;
    reserved_s2_16k: Arm64S2<Granule16K>, 40, 40;
    reserved_mali: ArmMali, 33, 40;
    reserved_x86_64: X86_64, 48, 48;
    reserved_amd_v1: AmdV1, 64, 52;
    reserved_amd_v1_of_one_level: AmdV1, 21, 48;
    reserved_arm_v7s: ArmV7s<Unextended>, 32, 32;
    reserved_mediatek_v7s: ArmV7s<MediaTek>, 34, 35;
    reserved_vtd_s2: VtdS2, 48, 52, Options::FORCE_SNOOP;
    reserved_dart: Dart<T8020>, 36, 36;
    reserved_dart_of_four_roots: Dart<T6000>, 38, 42;
    reserved_riscv_napot: RiscV<FirstStage>, 48, 56, Options::CONTIGUOUS.with(Options::MEMORY_TYPES);
    reserved_riscv_guest_napot: RiscV<GStage>, 41, 56, Options::CONTIGUOUS.with(Options::MEMORY_TYPES);
    reserved_x86_64_five_levels_upper_half: X86_64, 57, 52, Options::UPPER_HALF;
    reserved_s1_4k_contiguous: S1, 48, 48, Options::CONTIGUOUS;
    reserved_s1_4k_upper_half: S1, 39, 48, Options::UPPER_HALF | Options::CONTIGUOUS;
    reserved_s1_4k_lpa2: Arm64S1<Lpa2<Granule4K>>, 52, 52;
    reserved_s2_4k_lpa2_contiguous: Arm64S2<Lpa2<Granule4K>>, 52, 52, Options::CONTIGUOUS;
    reserved_arm32_s1_upper_half: Arm32S1, 31, 40, Options::UPPER_HALF;
    reserved_arm32_s2: Arm32S2, 40, 40;
}

#[test]
fn replacing_pages_by_a_block_frees_their_table() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(CONFIG, &memory);
    let block = range(0x20_0000, 0x20_0000);
    let pages = Segment::new(PhysAddr(0x1000), 0x20_0000);
    let _ = table.map(block, [pages], Prot::READ).unwrap();
    assert_eq!(memory.live(), 4);
    let mut none = table.reserver().reserve(&TableCount::ZERO, Iova(0), false).unwrap();
    let aligned = Segment::new(PhysAddr(0x60_0000), 0x20_0000);
    let mut reserved = table.reserved(&mut none).unwrap();
    let gather = reserved.replace(block, [aligned], Prot::RW).unwrap();
    assert_eq!(gather.stale().leaves, Some(block));
    assert_eq!(gather.stale().walks, Some(block));
    assert_eq!(finish(&table, gather), 1);
    assert_eq!(table.translate(Iova(0x20_1234)).unwrap().phys, PhysAddr(0x60_1234));
    assert_eq!(memory.live(), 3);
}

#[test]
fn replacing_a_part_of_a_block_takes_the_tables_that_cut_it() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(CONFIG, &memory);
    let _ = table.map(range(0, 1 << 30), [Segment::new(PhysAddr(0), 1 << 30)], Prot::READ).unwrap();
    let mut two = table.reserver().reserve(&count(2), Iova(0), true).unwrap();
    let mut reserved = table.reserved(&mut two).unwrap();
    let page = Segment::new(PhysAddr(0x8000_0000), 0x1000);
    let gather = reserved.replace(range(0x5000, 0x1000), [page], Prot::RW).unwrap();
    assert_eq!(reserved.remaining(), 0);
    assert_eq!(gather.stale().leaves, Some(range(0, 1 << 30)), "the whole of what was cut");
    assert_eq!(finish(&table, gather), 0);
    let leads = |iova| table.translate(Iova(iova)).map(|found| (found.phys.0, found.leaf_bytes));
    assert_eq!(leads(0x5000), Some((0x8000_0000, 0x1000)));
    assert_eq!(leads(0x6000), Some((0x6000, 0x1000)));
    assert_eq!(leads(0x20_0000), Some((0x20_0000, 0x20_0000)));
}

#[test]
fn a_reservation_is_good_for_its_table_only() {
    let memory = machine::memory();
    let mut one = machine::table::<S1>(CONFIG, &memory);
    let other = machine::table::<S1>(CONFIG, &memory);
    let mut pages = other.reserver().reserve(&count(3), Iova(0), true).unwrap();
    assert!(one.reserved(&mut pages).is_none());
    assert_eq!(pages.remaining(), 3);
    let mut mine = one.reserver().reserve(&count(1), Iova(0), true).unwrap();
    let pages = mine.merge(pages).unwrap_err();
    assert_eq!((mine.remaining(), pages.remaining()), (1, 3));
    drop((mine, pages));
    assert_eq!(memory.live(), 2, "the roots");
}

#[test]
fn a_refused_operation_takes_no_page_and_changes_nothing() {
    let memory = machine::memory();
    let mut table = machine::populated::<S1>(CONFIG, &memory);
    let contents = machine::contents(&table);
    let mut pages = table.reserver().reserve(&count(3), Iova(0), true).unwrap();
    let mut reserved = table.reserved(&mut pages).unwrap();
    let (good, page) = (range(0x10_0000, 0x1000), Segment::new(PhysAddr(0), 0x1000));
    let odd = range(0x10_0000, 0x800);
    let refused = |done: Result<Gather, ReservedError>| match done {
        Err(ReservedError::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    let error = TableError::UnalignedRange { range: odd, granule: 0x1000 };
    assert_eq!(refused(reserved.map(odd, [page], Prot::RW)), error);
    assert_eq!(refused(reserved.replace(odd, [page], Prot::RW)), error);
    assert_eq!(refused(reserved.unmap(odd, odd)), error);
    let error = TableError::SegmentsLength { range: 0x1000, segments: 0x2000 };
    assert_eq!(refused(reserved.map(good, [page, page], Prot::RW)), error);
    let error = TableError::Hole { range: good, hole: range(0, 0x1000) };
    assert_eq!(refused(reserved.unmap(good, range(0, 0x1000))), error);
    assert_eq!(reserved.remaining(), 3);
    drop(pages);
    assert!(machine::contents(&table) == contents);
}
