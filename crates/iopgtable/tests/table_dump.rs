//! The dump is for people: one line a table, one line a run of leaves; and visits stop at the level
//! that they are told to.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::{AmdV1, Arm64S1, Config, Granule4K, Lpa2, Options, PhysAddr, Prot, Segment, Visit};
use machine::{Memory, Table, Walked, finish, range};

fn mapped<F: Walked>(config: Config, memory: &Memory) -> Table<'_, F> {
    let mut table = machine::table::<F>(config, memory);
    let first = table.geometry().first_iova().0;
    for (at, phys, bytes, prot) in [
        (0x1000, 0x5000, 0x2000, Prot::RW),
        (0x3000, 0x7000, 0x1000, Prot::READ),
        (0x4000, 0x9000, 0x1000, Prot::READ),
        (0x20_0000, 0x40_0000, 0x60_0000, Prot::RW | Prot::CACHED),
        (0x4000_0000, 0, 0x1000, Prot::READ | Prot::EXECUTE),
    ] {
        let segment = Segment::new(PhysAddr(phys), bytes);
        let gather =
            table.map(range(first + at, bytes), [segment], prot).expect("nothing is there");
        finish(&table, gather);
    }
    table
}

/// The dump without the addresses of tables.
fn text<F: Walked>(table: &Table<'_, F>, from: u64, bytes: u64) -> String {
    let first = table.geometry().first_iova().0;
    let text = table.dump(range(first + from, bytes)).to_string();
    let tables = machine::TABLES.0 >> 28;
    let line = |line: &str| match line.split_once(" at ") {
        Some((what, at)) if at.starts_with(&format!("{tables:#x}")) => what.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn leaves_that_follow_each_other_share_a_line() {
    let memory = machine::memory();
    let table = mapped::<Arm64S1<Granule4K>>(Config::new(39, 48), &memory);
    assert_eq!(
        text(&table, 0, 1 << 39),
        "\
ARM_64_LPAE_S1 4K, 39 bits to 48, root
0x0..=0x3fffffff level 2 table
  0x0..=0x1fffff level 3 table
    0x1000..=0x2fff -> 0x5000 rw--n 2 x 4K
    0x3000..=0x3fff -> 0x7000 r---n 1 x 4K
    0x4000..=0x4fff -> 0x9000 r---n 1 x 4K
  0x200000..=0x7fffff -> 0x400000 rw--c 3 x 2M
0x40000000..=0x7fffffff level 2 table
  0x40000000..=0x401fffff level 3 table
    0x40000000..=0x40000fff -> 0x0 r-x-n 1 x 4K"
    );
    assert_eq!(
        text(&table, 0x40_0000, 0x1000),
        "\
ARM_64_LPAE_S1 4K, 39 bits to 48, root
0x0..=0x3fffffff level 2 table
  0x400000..=0x5fffff -> 0x600000 rw--c 1 x 2M"
    );
}

#[test]
fn a_root_of_pages_shows_no_table() {
    let memory = machine::memory();
    let mut table = machine::table::<AmdV1>(Config::new(21, 48), &memory);
    let segment = Segment::new(PhysAddr(0x1_0000), 0x1_1000);
    let gather = table.map(range(0, 0x1_1000), [segment], Prot::RW).unwrap();
    finish(&table, gather);
    assert_eq!(
        text(&table, 0, 2 << 20),
        "\
AMD_IOMMU_V1 4K, 21 bits to 48, root
0x0..=0xffff -> 0x10000 rwx-n 1 x 64K
0x10000..=0x10fff -> 0x20000 rwx-n 1 x 4K"
    );
}

#[test]
fn options_and_hints_are_shown() {
    let memory = machine::memory();
    let config = Config::new(52, 52).with(Options::CONTIGUOUS | Options::UPPER_HALF);
    let mut table = machine::table::<Arm64S1<Lpa2<Granule4K>>>(config, &memory);
    let first = table.geometry().first_iova().0;
    let segment = Segment::new(PhysAddr(0x1_0000), 0x1_1000);
    let gather = table.map(range(first, 0x1_1000), [segment], Prot::RW).unwrap();
    finish(&table, gather);
    let text = table.dump(range(first, 1 << 21)).to_string();
    assert!(text.starts_with("ARM_64_LPAE_S1 4K-LPA2, 52 bits to 52, root at "), "{text}");
    assert!(text.contains(", {\"upper half\", \"contiguous leaves\"}\n"), "{text}");
    assert!(
        text.ends_with(
            "0xfff0000000000000..=0xfff000000000ffff -> 0x10000 rw--n 16 x 4K, contiguous\n        \
             0xfff0000000010000..=0xfff0000000010fff -> 0x20000 rw--n 1 x 4K\n"
        ),
        "{text}"
    );
}

#[test]
fn a_visit_stops_at_its_level() {
    let memory = machine::memory();
    let table = mapped::<Arm64S1<Granule4K>>(Config::new(39, 48), &memory);
    let seen = |level| {
        let (mut tables, mut leaves) = (0, 0);
        table.visit_to(table.geometry().whole(), level, |seen| match seen {
            Visit::Table { .. } => tables += 1,
            Visit::Leaf { .. } => leaves += 1,
            _ => {}
        });
        (tables, leaves)
    };
    assert_eq!(seen(0), (2, 0), "above the root: as at the root");
    assert_eq!(seen(1), (2, 0));
    assert_eq!(seen(2), (4, 3));
    assert_eq!(seen(3), (4, 8));
}
