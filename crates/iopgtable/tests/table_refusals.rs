//! Bad arguments are refused with the values that are bad, and change nothing.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::memory::Region;
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, ConfigError, CreateError, Granule4K, Granule16K, Iova,
    IovaRange, PageTable, PhysAddr, Prot, ProtError, Segment, TableError,
};
use machine::{Walked, range};

type S1 = Arm64S1<Granule4K>;

const PAGE: Segment = Segment::new(PhysAddr(0x8000_0000), 0x1000);

/// That mapping is refused with `error` and changes nothing.
fn refuses<F: Walked>(
    config: Config,
    range: IovaRange,
    segments: &[Segment],
    prot: Prot,
    error: TableError,
) {
    let memory = machine::memory();
    let mut table = machine::populated::<F>(config, &memory);
    let (contents, asked) = (machine::contents(&table), memory.allocations());
    let outcome = table.map(range, segments.to_vec(), prot);
    assert_eq!(outcome.map(|_| ()), Err(error));
    assert!(machine::contents(&table) == contents);
    assert_eq!(memory.allocations(), asked);
}

#[test]
fn an_unaligned_range_is_refused() {
    for (first, bytes) in [(0x10_0800, 0x1000), (0x10_0000, 0x1001), (0x10_0001, 0xfff)] {
        let range = range(first, bytes);
        let error = TableError::UnalignedRange { range, granule: 0x1000 };
        refuses::<S1>(Config::new(48, 48), range, &[PAGE], Prot::RW, error);
    }
    let range = range(0x1000, 0x1000);
    let error = TableError::UnalignedRange { range, granule: 0x4000 };
    refuses::<Arm64S2<Granule16K>>(Config::new(40, 40), range, &[PAGE], Prot::RW, error);
}

#[test]
fn a_range_beyond_the_input_size_is_refused() {
    let whole = range(0, 1 << 39);
    let all = IovaRange::inclusive(Iova(0), Iova(u64::MAX)).unwrap();
    let top = IovaRange::inclusive(Iova(u64::MAX - 0xfff), Iova(u64::MAX)).unwrap();
    for range in [range(1 << 39, 0x1000), range((1 << 39) - 0x1000, 0x2000), all, top] {
        let error = TableError::InputRange { range, whole };
        refuses::<S1>(Config::new(39, 48), range, &[PAGE], Prot::RW, error);
        let memory = machine::memory();
        let mut table = machine::populated::<S1>(Config::new(39, 48), &memory);
        assert_eq!(table.unmap(range, all).map(|_| ()), Err(error));
    }
}

#[test]
fn an_empty_or_unaligned_segment_is_refused() {
    let good = Segment::new(PhysAddr(0), 0x1000);
    for segment in [
        Segment::new(PhysAddr(0x1000), 0),
        Segment::new(PhysAddr(0x1800), 0x1000),
        Segment::new(PhysAddr(0x1000), 0x800),
        Segment::new(PhysAddr(u64::MAX), 1),
    ] {
        let error = TableError::UnalignedSegment { segment, granule: 0x1000 };
        let range = range(0x10_0000, 0x2000);
        refuses::<S1>(Config::new(48, 48), range, &[good, segment], Prot::RW, error);
    }
}

#[test]
fn a_segment_beyond_the_output_size_is_refused() {
    for segment in [
        Segment::new(PhysAddr(1 << 40), 0x1000),
        Segment::new(PhysAddr((1 << 40) - 0x1000), 0x2000),
        Segment::new(PhysAddr(1 << 63), 0x1000),
        // These wrap around.
        Segment::new(PhysAddr(u64::MAX - 0xfff), 0x2000),
        Segment::new(PhysAddr(0x1000), u64::MAX - 0xfff),
    ] {
        let error = TableError::OutputRange { segment, output_bits: 40 };
        let range = range(0x10_0000, 0x2000);
        refuses::<S1>(Config::new(48, 40), range, &[segment], Prot::RW, error);
        refuses::<ArmMali>(Config::new(48, 40), range, &[segment], Prot::RW, error);
    }
    // The last page below is not.
    let memory = machine::memory();
    let mut table = machine::table::<S1>(Config::new(48, 40), &memory);
    let last = Segment::new(PhysAddr((1 << 40) - 0x1000), 0x1000);
    assert!(table.map(range(0, 0x1000), [last], Prot::RW).is_ok());
}

#[test]
fn segments_of_another_length_than_the_range_are_refused() {
    let range = range(0x10_0000, 0x3000);
    // Of segments that are too long, no more are counted than it takes to see it.
    for (count, seen) in [(0, 0), (1, 0x1000), (2, 0x2000), (4, 0x4000), (100, 0x4000)] {
        let error = TableError::SegmentsLength { range: 0x3000, segments: seen };
        refuses::<S1>(Config::new(48, 48), range, &vec![PAGE; count], Prot::RW, error);
    }
}

#[test]
fn permissions_that_a_format_lacks_are_refused() {
    let case = |prot, reason| TableError::Prot { prot, reason };
    let range = range(0x10_0000, 0x1000);
    let (s1, s2, mali) = (Config::new(48, 48), Config::new(40, 40), Config::new(48, 40));
    for prot in [Prot::NONE, Prot::CACHED, Prot::DEVICE] {
        let error = case(prot, ProtError::NoPermission);
        refuses::<S1>(s1, range, &[PAGE], prot, error);
        refuses::<Arm64S2<Granule4K>>(s2, range, &[PAGE], prot, error);
        refuses::<ArmMali>(mali, range, &[PAGE], prot, error);
    }
    let prot = Prot::RW | Prot::CACHED | Prot::DEVICE;
    let error = case(prot, ProtError::CachedDevice);
    refuses::<S1>(s1, range, &[PAGE], prot, error);
    refuses::<Arm64S2<Granule4K>>(s2, range, &[PAGE], prot, error);
    refuses::<ArmMali>(mali, range, &[PAGE], prot, error);
    for prot in [Prot::WRITE, Prot::EXECUTE, Prot::WRITE | Prot::PRIVILEGED] {
        refuses::<S1>(s1, range, &[PAGE], prot, case(prot, ProtError::ReadImplied));
    }
    let prot = Prot::RW | Prot::PRIVILEGED;
    let error = case(prot, ProtError::NoPrivilege);
    refuses::<Arm64S2<Granule4K>>(s2, range, &[PAGE], prot, error);
    refuses::<ArmMali>(mali, range, &[PAGE], prot, error);
}

#[test]
fn a_hole_that_does_not_cover_the_range_is_refused() {
    let memory = machine::memory();
    let mut table = machine::populated::<S1>(Config::new(48, 48), &memory);
    let contents = machine::contents(&table);
    let wanted = range(0x20_0000, 0x20_0000);
    for hole in [range(0, 0x1000), range(0x20_1000, 0x20_0000), range(0x20_0000, 0x1f_f000)] {
        let error = TableError::Hole { range: wanted, hole };
        assert_eq!(table.unmap(wanted, hole).map(|_| ()), Err(error));
    }
    assert!(machine::contents(&table) == contents);
}

#[test]
fn mapping_over_a_mapping_names_the_first_address_that_is_mapped() {
    let block = 0x20_0000;
    // The page at 0, and the block at 2 MiB; the empty table above is not in the way.
    for (first, bytes, iova, leaf) in [
        (0, 0x1000, 0, 0x1000),
        (0, 4 * block, 0, 0x1000),
        (0x1000, 2 * block, block, block),
        (block + 0x5000, 0x1000, block + 0x5000, block),
        (block + 0x5000, 2 * block, block + 0x5000, block),
    ] {
        let error = TableError::Overlap { iova: Iova(iova), leaf };
        let segment = Segment::new(PhysAddr(first), bytes);
        refuses::<S1>(Config::new(48, 48), range(first, bytes), &[segment], Prot::RW, error);
    }
}

#[test]
fn an_allocator_beyond_the_output_size_is_refused() {
    let reach = PhysAddr((1 << 32) - 1);
    for (phys, fits) in [((1u64 << 32) - 0x10_0000, true), ((1 << 32) - 0xf_f000, false)] {
        let region = Region::with_capacity(PhysAddr(phys), 0x10_0000).unwrap();
        let created = PageTable::<S1, _>::new(Config::new(32, 32), &region).map(|_| ());
        let last_phys = PhysAddr(phys + 0xf_ffff);
        let error = ConfigError::TablesOutOfReach { last_phys, reach };
        assert_eq!(created, if fits { Ok(()) } else { Err(CreateError::Config(error)) });
        assert_eq!(region.in_use(), 0);
    }
}

#[test]
fn a_hole_that_holds_a_mapping_after_all_loses_it_and_nothing_else_happens() {
    let memory = machine::memory();
    let mut table = machine::table::<S1>(Config::new(48, 48), &memory);
    let block = Segment::new(PhysAddr(0), 0x20_0000);
    let _ = table.map(range(0, 0x20_0000), [block], Prot::RW).unwrap();
    // The block sticks out of the range, but the hole says that nothing does.
    let asked = memory.allocations();
    let gather = table.unmap(range(0, 0x1000), machine::whole(&table)).unwrap();
    assert_eq!(memory.allocations(), asked, "no page for a table that goes");
    assert_eq!(machine::finish(&table, gather), 2);
    assert_eq!(table.translate(Iova(0x1000)), None);
    assert_eq!(memory.live(), 1, "the root");
}
