//! A walker that sees only what was published sees, at every moment, the old translation or the
//! new one, and the new one after the commit.

#![cfg(feature = "alloc")]

mod machine;
mod mirror;
mod model;
mod ops;

use iopgtable::format::{FirstStage, RiscV};
use iopgtable::memory::{Pool, TableAllocator, TableLayout, Watermarks};
use iopgtable::{
    AmdV1, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, Granule4K, Granule16K, Granule64K, Iova,
    IovaRange, MediaTek, Options, PageTable, PhysAddr, Prot, ReservedError, Segment, SegmentSlice,
    TableCount, Unextended, X86_64,
};
use machine::{Walked, finish, range};
use mirror::{Event, Memory, Mirror, expected};
use model::Model;
use ops::Raw;
use proptest::prelude::*;

/// Replays what was published to the walker, looking at each state.
fn replay<F: Walked, A: TableAllocator>(
    table: &PageTable<F, A>,
    memory: &Memory,
    mirror: &mut Mirror,
    (old, new): (&Model, &Model),
    touched: IovaRange,
) -> usize {
    let mut addresses = old.addresses(touched, 8);
    addresses.extend(new.addresses(touched, 8));
    let mut commits = 0;
    for event in memory.publisher().take() {
        assert_eq!(commits, 0, "{event:x?} after the commit");
        commits += usize::from(event == Event::Commit);
        mirror.apply(&event);
        for &address in &addresses {
            let found = mirror.get(table, address);
            let allowed = [expected::<F>(old, address), expected::<F>(new, address)];
            assert!(allowed.contains(&found), "{address:#x} leads to {found:x?}, not {allowed:x?}");
        }
    }
    commits
}

fn history<F: Walked, A: TableAllocator + Clone>(
    config: Config,
    memory: &Memory,
    allocator: A,
    raw: &[(Raw, bool)],
) {
    let mut mirror = Mirror::new();
    let mut table = PageTable::<F, A>::new(config, allocator).expect("a good configuration");
    let mut model = Model::new(*table.geometry());
    let created = memory.publisher().take();
    assert_eq!(created.iter().filter(|&event| *event == Event::Commit).count(), 1);
    for event in &created {
        mirror.apply(event);
    }
    mirror.check_equal(&table, memory);
    for (raw, reserve) in raw {
        let old = model.clone();
        let Some((gather, range)) = raw.operate(&mut table, &mut model, *reserve) else {
            continue;
        };
        let commits = replay(&table, memory, &mut mirror, (&old, &model), range);
        assert_eq!(commits, 1, "one commit at the end of an operation");
        mirror.check_equal(&table, memory);
        for address in model.addresses(range, 20) {
            assert_eq!(mirror.get(&table, address), expected::<F>(&model, address));
        }
        // What is freed is perhaps zeroed and published, but none of it is seen.
        finish(&table, gather);
        replay(&table, memory, &mut mirror, (&model, &model), range);
    }

    // A last one that stops where a leaf is to be cut: all but the first and the last page.
    let page = table.geometry().granule();
    let most = range(page, table.geometry().last_iova().0 + 1 - 2 * page);
    let mut none =
        table.reserver().reserve(&TableCount::ZERO, most.first(), true).expect("nothing is wanted");
    let mut reserved = table.reserved(&mut none).expect("it is this table's");
    let gather = match reserved.unmap(most, most) {
        Ok(gather) | Err(ReservedError::Exhausted { gather, .. }) => gather,
        Err(other) => panic!("{other}"),
    };
    let old = model.clone();
    model.unmap(most, most);
    assert_eq!(replay(&table, memory, &mut mirror, (&old, &model), most), 1);
    mirror.check_equal(&table, memory);
    finish(&table, gather);
}

/// On memory that has to be zeroed, and on a pool that keeps it zeroed.
fn histories<F: Walked>(config: Config, raw: &[(Raw, bool)]) {
    let memory = mirror::memory();
    history::<F, _>(config, &memory, &memory, raw);
    assert_eq!(memory.in_use(), 0);

    let memory = mirror::memory();
    let layout = TableLayout::of::<F>();
    let watermarks = Watermarks { low: 0, batch: 4, high: 16 };
    let pool = Pool::new(&memory, layout, watermarks);
    history::<F, _>(config, &memory, &pool, raw);
    drop(pool);
    assert_eq!(memory.in_use(), 0);
}

macro_rules! histories {
    ($($name:ident: $format:ty, $input:literal, $output:literal $(, $options:expr)?;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(raw in prop::collection::vec((ops::small(), any::<bool>()), 1..12)) {
                    histories::<$format>(Config::new($input, $output)$(.with($options))?, &raw);
                }
            )*
        }
    };
}
histories! {
    publishing_s1_4k: Arm64S1<Granule4K>, 48, 48;
    publishing_s1_16k: Arm64S1<Granule16K>, 48, 48;
    publishing_s2_4k: Arm64S2<Granule4K>, 40, 40;
    publishing_s2_64k: Arm64S2<Granule64K>, 42, 42;
    publishing_mali: ArmMali, 33, 40;
    publishing_x86_64: X86_64, 57, 48;
    publishing_amd_v1: AmdV1, 48, 48;
    publishing_amd_v1_of_one_level: AmdV1, 21, 48;
    publishing_riscv_napot: RiscV<FirstStage>, 48, 56, Options::CONTIGUOUS;
    publishing_arm_v7s: ArmV7s<Unextended>, 32, 32;
    publishing_mediatek_v7s: ArmV7s<MediaTek>, 34, 35;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn publishing_groups(raw in prop::collection::vec((ops::small(), any::<bool>()), 1..12)) {
        let config = Config::new(48, 48).with(Options::CONTIGUOUS);
        histories::<Arm64S1<Granule4K>>(config, &raw);
        histories::<Arm64S1<Granule16K>>(config, &raw);
    }
}

#[test]
fn a_new_table_is_published_before_its_link() {
    let memory = mirror::memory();
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &memory).unwrap();
    memory.publisher().take();
    let page = Segment::new(PhysAddr(0), 0x1000);
    let _ = table.map(range(0x1000, 0x1000), [page], Prot::RW).unwrap();
    let events = memory.publisher().take();
    let [tables @ .., Event::Publish { phys, halves }, Event::Commit] = &events[..] else {
        panic!("{events:x?}");
    };
    assert_eq!(halves.len(), 2, "one link makes all of it visible");
    let published = |event: &Event| match event {
        Event::Publish { phys, halves } => (*phys, halves.len() / 2),
        Event::Commit => panic!("a commit in between"),
    };
    let published: Vec<_> = tables.iter().map(published).collect();
    assert_eq!(published.len(), 3);
    assert!(published.iter().all(|&(table, words)| words == 512 && table != *phys));
}

/// Walkers see nothing of a list before all of it is known to be good.
#[test]
fn nothing_of_a_bad_list_is_published_and_a_good_one_tables_first() {
    let memory = mirror::memory();
    let mut mirror = Mirror::new();
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &memory).unwrap();
    for first in [300 << 12, 1000 << 12] {
        // Tables that are there, and empty.
        let page = range(first, 0x1000);
        let _ = table.map(page, Segment::new(PhysAddr(0), 0x1000), Prot::RW).unwrap();
        let _ = table.unmap(page, page).unwrap();
    }
    for event in memory.publisher().take() {
        mirror.apply(&event);
    }
    let scattered = |at: u64| Segment::new(PhysAddr((at * 7919 % 0x8000) << 12), 0x1000);
    let mut list: Vec<Segment> = (0..2000).map(scattered).collect();
    let whole = range(300 << 12, 2000 << 12);
    list[1999].phys.0 += 4;
    table.map(whole, SegmentSlice(&list), Prot::RW).expect_err("the last page is not aligned");
    assert_eq!(memory.publisher().take(), []);
    list[1999].phys.0 -= 4;
    let _ = table.map(whole, SegmentSlice(&list), Prot::RW).unwrap();
    let events = memory.publisher().take();
    assert_eq!(events.last(), Some(&Event::Commit));
    for event in events {
        mirror.apply(&event);
        for (at, page) in list.iter().enumerate().step_by(97) {
            let found = mirror.get(&table, whole.first().0 + 0x1000 * at as u64);
            assert!(found.is_none_or(|found| found.0 == page.phys.0), "page {at}");
        }
    }
    mirror.check_equal(&table, &memory);
}

#[test]
fn a_refused_operation_publishes_nothing() {
    let memory = mirror::memory();
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &memory).unwrap();
    let page = Segment::new(PhysAddr(0), 0x1000);
    let _ = table.map(range(0x1000, 0x1000), [page], Prot::RW).unwrap();
    memory.publisher().take();
    assert!(table.map(range(0x1000, 0x1000), [page], Prot::RW).is_err());
    assert!(table.map(range(0x2000, 0x1000), [page], Prot::NONE).is_err());
    assert!(table.unmap(range(0x1000, 0x1000), range(0, 0x1000)).is_err());
    assert_eq!(memory.publisher().take(), []);
}

#[test]
fn what_was_done_before_a_reservation_ran_out_is_published() {
    let memory = mirror::memory();
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &memory).unwrap();
    let block = 2 << 20;
    // A page in a table of its own, and two blocks.
    let page = Segment::new(PhysAddr(0), 0x1000);
    let _ = table.map(range(block, 0x1000), [page], Prot::RW).unwrap();
    let blocks = Segment::new(PhysAddr(2 * block), 2 * block);
    let _ = table.map(range(2 * block, 2 * block), [blocks], Prot::RW).unwrap();
    let mut pages = table.reserver().reserve(&TableCount::ZERO, Iova(0), true).unwrap();
    // The last block is to be cut, and there is no page for it.
    let most = range(block, 2 * block + 0x1000);
    let stopped = table.reserved(&mut pages).unwrap().unmap(most, most).unwrap_err();
    let ReservedError::Exhausted { at, gather } = stopped else { panic!("{stopped}") };
    assert_eq!(at, Iova(3 * block));

    let mut mirror = Mirror::new();
    for event in memory.publisher().take() {
        mirror.apply(&event);
    }
    mirror.check_equal(&table, &memory);
    assert_eq!(mirror.get(&table, block), None);
    assert_eq!(mirror.get(&table, 2 * block), None);
    assert_eq!(mirror.get(&table, 3 * block), Some((3 * block, true, false)));
    assert_eq!(finish(&table, gather), 1);
}

#[test]
fn clean_leaves_are_published() {
    let memory = mirror::memory();
    let config = Config::new(48, 48).with(Options::HARDWARE_DIRTY | Options::CONTIGUOUS);
    let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(config, &memory).unwrap();
    let all = range(0, 0x1_3000);
    let _ = table.map(all, [Segment::new(PhysAddr(0), 0x1_3000)], Prot::RW).unwrap();
    let _ = table.read_and_clear_dirty(all, &mut [0]).unwrap();
    let events = memory.publisher().take();
    assert_eq!(events.last(), Some(&Event::Commit));
    let mut mirror = Mirror::new();
    for event in &events {
        mirror.apply(event);
    }
    mirror.check_equal(&table, &memory);
}

#[test]
fn registers_say_whether_walks_snoop() {
    let snooped = machine::memory();
    let table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &snooped);
    // SAFETY: no walker is given them.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.tcr >> 8 & 0x3f, 0b11_01_01, "inner shareable, write-back");
    let cleaned = mirror::memory();
    let table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &cleaned).unwrap();
    // SAFETY: as above.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.tcr >> 8 & 0x3f, 0b10_00_00, "outer shareable, not cached");
    let table = PageTable::<Arm64S2<Granule4K>, _>::new(Config::new(40, 40), &cleaned).unwrap();
    // SAFETY: as above.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.vtcr >> 8 & 0x3f, 0b10_00_00, "outer shareable, not cached");
    let table = PageTable::<ArmMali, _>::new(Config::new(48, 40), &cleaned).unwrap();
    // SAFETY: as above.
    let registers = unsafe { table.registers() };
    assert_eq!(registers.transtab >> 4 & 1, 0, "not shared");
}
