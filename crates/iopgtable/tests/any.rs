//! A table whose format was chosen at run time is the one that its type would have made.

#![cfg(feature = "alloc")]

mod machine;

use std::collections::HashSet;

use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    AmdV1, AnyFormat, AnyPageTable, AnyRegisters, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali,
    ArmV7s, Config, ConfigError, CreateError, Format, Gather, Geometry, Granule4K, Granule16K,
    Granule64K, IovaRange, Lpa2, MediaTek, Options, PageTable, ParseFormatError, PhysAddr, Prot,
    Reserver, Segment, Splits, TableError, Unextended, Unwalked, Visit, VtdS2, X86_64,
};
use machine::{Memory, finish, memory, range};

/// Sizes that every format has.
const CONFIG: Config = Config::new(32, 40);

/// What is done with each format's type.
trait ForType {
    fn run<F: Format<Registers: Into<AnyRegisters>>>(&self, format: AnyFormat);
}

/// Calls `check` with the type that each format stands for.
fn every_format(check: &impl ForType) {
    for &format in AnyFormat::ALL {
        match format {
            AnyFormat::Arm64S1_4K => check.run::<Arm64S1<Granule4K>>(format),
            AnyFormat::Arm64S1_16K => check.run::<Arm64S1<Granule16K>>(format),
            AnyFormat::Arm64S1_64K => check.run::<Arm64S1<Granule64K>>(format),
            AnyFormat::Arm64S1_4KLpa2 => check.run::<Arm64S1<Lpa2<Granule4K>>>(format),
            AnyFormat::Arm64S1_16KLpa2 => check.run::<Arm64S1<Lpa2<Granule16K>>>(format),
            AnyFormat::Arm64S2_4K => check.run::<Arm64S2<Granule4K>>(format),
            AnyFormat::Arm64S2_16K => check.run::<Arm64S2<Granule16K>>(format),
            AnyFormat::Arm64S2_64K => check.run::<Arm64S2<Granule64K>>(format),
            AnyFormat::Arm64S2_4KLpa2 => check.run::<Arm64S2<Lpa2<Granule4K>>>(format),
            AnyFormat::Arm64S2_16KLpa2 => check.run::<Arm64S2<Lpa2<Granule16K>>>(format),
            AnyFormat::Arm32S1 => check.run::<Arm32S1>(format),
            AnyFormat::Arm32S2 => check.run::<Arm32S2>(format),
            AnyFormat::ArmMali => check.run::<ArmMali>(format),
            AnyFormat::ArmV7s => check.run::<ArmV7s<Unextended>>(format),
            AnyFormat::MediaTekV7s => check.run::<ArmV7s<MediaTek>>(format),
            AnyFormat::AmdV1 => check.run::<AmdV1>(format),
            AnyFormat::X86_64 => check.run::<X86_64>(format),
            AnyFormat::VtdS2 => check.run::<VtdS2>(format),
            AnyFormat::RiscV => check.run::<RiscV<FirstStage>>(format),
            AnyFormat::Dart => check.run::<Dart<T8020>>(format),
            AnyFormat::Dart2 => check.run::<Dart<T6000>>(format),
            AnyFormat::RiscVG => check.run::<RiscV<GStage>>(format),
            other => panic!("{other} is not compared with its type"),
        }
    }
}

#[test]
fn names_are_the_types_and_read_as_they_are_written() {
    struct Names;
    impl ForType for Names {
        fn run<F: Format<Registers: Into<AnyRegisters>>>(&self, format: AnyFormat) {
            assert_eq!(format.name(), F::NAME);
            assert_eq!(format.granule_name(), F::GRANULE);
            assert_eq!(format.granule(), 1 << F::PAGE_SHIFT);
            assert_eq!(format.options(), F::OPTIONS);
        }
    }
    every_format(&Names);
    let mut texts = HashSet::new();
    for &format in AnyFormat::ALL {
        let text = format.to_string();
        assert_eq!(text.parse(), Ok(format));
        assert_eq!(text.to_lowercase().parse(), Ok(format));
        assert!(text.split_once('/').is_none_or(|(_, granule)| granule == format.granule_name()));
        assert!(texts.insert(text), "{format} twice");
    }
    let refused: Result<AnyFormat, ParseFormatError> = "arm64-s1".parse();
    let message = refused.unwrap_err().to_string();
    assert!(texts.iter().all(|text| message.contains(text.as_str())), "{message}");
    assert_eq!(format!("{:>10}", AnyFormat::Arm32S1), "  arm32-s1");
}

#[test]
fn sizes_and_options_are_granted_and_refused_as_by_the_type() {
    struct Sizes;
    impl ForType for Sizes {
        fn run<F: Format<Registers: Into<AnyRegisters>>>(&self, format: AnyFormat) {
            let all = Options::UPPER_HALF
                | Options::NON_SECURE
                | Options::OUTER_WRITE_BACK
                | Options::NO_PERMISSIONS
                | Options::FORCE_WRITE_BACK
                | Options::HARDWARE_DIRTY
                | Options::CONTIGUOUS;
            for options in [Options::NONE, F::OPTIONS, all] {
                for (input, output) in [(32, 40), (31, 40), (40, 32), (48, 48), (52, 52), (0, 0)] {
                    let config = Config::new(input, output).with(options);
                    let geometry: Result<Geometry, ConfigError> = F::geometry(config);
                    assert_eq!(format.geometry(config), geometry, "{format} {config:?}");
                }
            }
            let refused = AnyPageTable::new(format, Config::new(0, 0), memory());
            assert!(matches!(refused.unwrap_err(), CreateError::Config(_)));
        }
    }
    every_format(&Sizes);
}

/// A table and its twin, on memory that hands out the same addresses.
struct Pair<'m, F: Format> {
    any: AnyPageTable<&'m Memory>,
    twin: PageTable<F, &'m Memory>,
}

impl<F: Format<Registers: Into<AnyRegisters>>> Pair<'_, F> {
    fn check(&self, label: &str) {
        let label = format!("{} after {label}", self.any.format());
        let whole = self.twin.geometry().whole();
        let (mut seen, mut expected) = (Vec::new(), Vec::new());
        self.any.visit(whole, |visit| seen.push(visit));
        self.twin.visit(whole, |visit| expected.push(visit));
        assert_eq!(seen, expected, "{label}");
        assert_eq!(self.any.dump(whole).to_string(), self.twin.dump(whole).to_string());
        let (mut tables, mut twins) = (0, 0);
        self.any.visit_to(whole, 1, |_| tables += 1);
        self.twin.visit_to(whole, 1, |_| twins += 1);
        assert_eq!(tables, twins, "{label}");
        assert_eq!(self.any.count_tables(), self.twin.count_tables(), "{label}");
        for visit in expected {
            if let Visit::Leaf { span, .. } = visit {
                let found = self.any.translate(span.first());
                assert!(found.is_some(), "{label}");
                assert_eq!(found, self.twin.translate(span.first()), "{label}");
                let occupied = |level| self.any.occupied(span, level);
                assert_eq!(occupied(3), self.twin.occupied(span, 3), "{label}");
            }
        }
    }

    /// The outcome of an operation on both; frees what came loose.
    fn both(
        &mut self,
        label: &str,
        any: impl FnOnce(&mut AnyPageTable<&Memory>) -> Result<Gather, TableError>,
        twin: impl FnOnce(&mut PageTable<F, &Memory>) -> Result<Gather, TableError>,
    ) {
        match (any(&mut self.any), twin(&mut self.twin)) {
            (Ok(any), Ok(twin)) => {
                assert_eq!(any.stale(), twin.stale(), "{label}");
                assert_eq!(any.break_before_make(), twin.break_before_make(), "{label}");
                let freed = self.any.finish(any, &mut Unwalked).expect("nobody walks it");
                assert_eq!(freed, finish(&self.twin, twin), "{label}");
            }
            (Err(any), Err(twin)) => assert_eq!(any, twin, "{label}"),
            outcomes => panic!("{label}: {outcomes:?}"),
        }
        self.check(label);
    }
}

/// Runs one history on a table and on its twin.
struct Histories(Options, Splits);

impl ForType for Histories {
    fn run<F: Format<Registers: Into<AnyRegisters>>>(&self, format: AnyFormat) {
        let input_bits = if self.0.contains(Options::UPPER_HALF) { 31 } else { 32 };
        let input_bits = if format == AnyFormat::Arm32S1 { input_bits } else { 32 };
        let known = self.0.without(self.0.without(F::OPTIONS));
        let outputs = [36, 35, 32];
        let fits = |&bits: &u8| F::geometry(Config::new(input_bits, bits)).is_ok();
        let output_bits = outputs.into_iter().find(fits).expect("it has one of these");
        let config = Config::new(input_bits, output_bits).with(known).splits(self.1);
        let (one, other) = (memory(), memory());
        let any = AnyPageTable::new(format, config, &one).expect("good sizes");
        let twin = PageTable::<F, _>::new(config, &other).expect("good sizes");
        assert_eq!(any.format(), format);
        assert_eq!(any.geometry(), twin.geometry());
        // SAFETY: nothing walks either.
        assert_eq!(unsafe { any.registers() }, unsafe { twin.registers() }.into());
        let mut pair = Pair { any, twin };
        let first = pair.twin.geometry().first_iova().0;
        let (page, block) = (format.granule(), 1 << pair.twin.geometry().table_shift(3));
        let at = |offset: u64, bytes: u64| range(first + offset, bytes);
        let list = [Segment::new(PhysAddr(block), block), Segment::new(PhysAddr(page), 17 * page)];
        let mapped = at(block, block + 17 * page);
        let exact = pair.any.exact_tables(mapped, list, Prot::RW);
        assert_eq!(exact, pair.twin.exact_tables(mapped, list, Prot::RW));

        let rw = Prot::RW | Prot::CACHED;
        pair.both("map", |t| t.map(mapped, list, rw), |t| t.map(mapped, list, rw));
        pair.both("overlap", |t| t.map(mapped, list, rw), |t| t.map(mapped, list, rw));
        let cut = at(block + page, page);
        pair.both("protect", |t| t.protect(cut, Prot::READ), |t| t.protect(cut, Prot::READ));
        let pages = at(2 * block + 3 * page, 2 * page);
        pair.both("clear", |t| t.clear(pages), |t| t.clear(pages));
        pair.dirty(at(2 * block, 64 * page));
        pair.leaves(pages);
        pair.reserved(at(5 * block, block + page));
        let whole = pair.twin.geometry().whole();
        pair.both("unmap", |t| t.unmap(mapped, whole), |t| t.unmap(mapped, whole));
        let gather = pair.any.unmap(whole, whole).expect("it is a good range");
        pair.any.quarantine(gather);
        assert_eq!(pair.any.count_tables().total(), 0);
        drop(pair);
        assert_eq!((one.live(), other.live()), (0, 0), "every table went back");
    }
}

/// The calls that take more than a range.
impl<F: Format<Registers: Into<AnyRegisters>>> Pair<'_, F> {
    /// Names the leaves, two that are empty.
    fn leaves(&mut self, pages: IovaRange) {
        let bits = self.any.attributes(Prot::RW);
        assert_eq!(bits, self.twin.attributes(Prot::RW));
        let (at, bits) = (pages.first(), bits.expect("every format reads and writes"));
        assert_eq!(self.any.map_leaves(at, PhysAddr(0), 3, 2, bits), Ok(true));
        assert_eq!(self.twin.map_leaves(at, PhysAddr(0), 3, 2, bits), Ok(true));
        self.check("map_leaves");
        let (count, gather) = self.any.unmap_leaves(at, 3, 2).expect("they are there");
        let (count_2, gather_2) = self.twin.unmap_leaves(at, 3, 2).expect("they are there");
        assert_eq!((count, gather.stale()), (count_2, gather_2.stale()));
        self.check("unmap_leaves");
    }

    /// Reads the dirty state, and clears it in one of the two ways.
    fn dirty(&mut self, range: IovaRange) {
        let (mut seen, mut expected) = ([0], [0]);
        let any = self.any.read_dirty(range, &mut seen);
        assert_eq!(any, self.twin.read_dirty(range, &mut expected));
        assert_eq!(seen, expected);
        let (mut parts, mut bytes) = (0, 0);
        let visited = self.any.visit_dirty(range, |dirty| bytes += dirty.bytes());
        assert_eq!(visited, any);
        let any = self.any.visit_and_clear_dirty(range, |_| parts += 1);
        let twin = self.twin.read_and_clear_dirty(range, &mut expected);
        assert_eq!(any.is_ok(), twin.is_ok());
        let granule = self.twin.geometry().granule();
        assert_eq!(bytes, u64::from(expected[0].count_ones()) * granule);
        for gather in any.into_iter().chain(twin) {
            assert!(parts > 0, "what was just mapped counts as written");
            assert!(gather.stale().leaves.is_some());
        }
        assert_eq!(
            self.any.read_and_clear_dirty(range, &mut seen).is_ok(),
            self.twin.visit_and_clear_dirty(range, |_| panic!("all is clean")).is_ok(),
        );
    }

    /// Maps, replaces, protects, clears and unmaps with the pages of a reservation.
    fn reserved(&mut self, range: IovaRange) {
        let hole = self.twin.geometry().whole();
        let list = [Segment::new(PhysAddr(0), range.bytes())];
        let count = self.twin.geometry().worst_case_tables(range);
        let take = |reserver: Reserver<_>| reserver.reserve(&count, range.first(), true);
        let mut pages = take(self.any.reserver()).expect("there is memory");
        let mut twins = take(self.twin.reserver()).expect("there is memory");
        assert!(self.any.reserved(&mut twins).is_none(), "another table's");
        let mut any = self.any.reserved(&mut pages).expect("its own");
        let mut twin = self.twin.reserved(&mut twins).expect("its own");
        let outcomes = [
            (any.map(range, list, Prot::RW), twin.map(range, list, Prot::RW)),
            (any.replace(range, list, Prot::READ), twin.replace(range, list, Prot::READ)),
            (any.protect(range, Prot::RW), twin.protect(range, Prot::RW)),
            (any.clear(range), twin.clear(range)),
            (any.unmap(range, hole), twin.unmap(range, hole)),
        ];
        assert_eq!(any.remaining(), twin.remaining());
        assert_eq!(format!("{any:?}"), format!("{twin:?}"));
        for (any, twin) in outcomes {
            let (any, twin) = (any.expect("nothing is cut"), twin.expect("nothing is cut"));
            assert_eq!(any.stale(), twin.stale());
            assert_eq!(any.break_before_make(), twin.break_before_make());
            let freed = self.any.finish(any, &mut Unwalked).expect("nobody walks it");
            assert_eq!(freed, finish(&self.twin, twin));
        }
        self.check("a reservation");
    }
}

#[test]
fn every_operation_does_what_it_does_for_the_type() {
    every_format(&Histories(Options::NONE, Splits::Live));
    every_format(&Histories(Options::UPPER_HALF | Options::CONTIGUOUS, Splits::Live));
    every_format(&Histories(Options::HARDWARE_DIRTY | Options::NON_SECURE, Splits::Forbidden));
}

#[test]
fn a_table_that_is_there_becomes_one_of_any_format() {
    let memory = memory();
    let table = PageTable::<Arm32S2, _>::new(CONFIG, &memory).expect("good sizes");
    let any = AnyPageTable::from(table);
    assert_eq!(any.format(), AnyFormat::Arm32S2);
    assert!(format!("{any:?}").contains("ARM_32_LPAE_S2"));
}
