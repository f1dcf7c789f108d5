//! Entries, bit by bit.

use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Format, Granule4K, Granule16K, Granule64K,
    Lpa2, Options, PhysAddr, Prot, Segment,
};

use crate::machine::{Walked, finish, range};

/// That the first page of a table, which leads to `phys`, has this entry.
fn page_is<F: Walked>(config: Config, phys: u64, prot: Prot, entry: u64) {
    let memory = crate::machine::memory();
    let mut table = crate::machine::table::<F>(config, &memory);
    let page = table.geometry().granule();
    let segment = Segment::new(PhysAddr(phys), page);
    let mapped = table.map(range(0, page), [segment], prot);
    finish(&table, mapped.expect("nothing is there"));
    let tables = crate::machine::contents(&table);
    assert!(tables.values().any(|words| words[0] == entry), "{entry:#x} in {tables:x?}");
}

/// The access flag is set (a device that does not manage it would fault), mappings are not global.
/// Arm DDI 0487, table D8-52: AF 10, nG 11, SH 9:8, AP 7:6, NS 5, `AttrIndx` 4:2, UXN 54, PXN 53,
/// DBM 51. Address bits 51:48 at 15:12 with 64 KiB; with LPA2, 51:50 at 9:8, and no SH.
#[test]
fn a_page_of_stage_1_is_as_computed_by_hand() {
    let (config, wide) = (Config::new(48, 48), Config::new(52, 52));
    let cached = Prot::RW | Prot::CACHED;
    // nG, AF, inner shareable, AP[1] (unprivileged), attribute 1, a page; no execution.
    page_is::<Arm64S1<Granule4K>>(config, 0x1234_5000, cached, 0x0060_0000_1234_5f47);
    page_is::<Arm32S1>(Config::new(32, 40), 0x1234_5000, cached, 0x0060_0000_1234_5f47);
    page_is::<Arm64S1<Granule64K>>(wide, 0xa_0000_1235_0000, cached, 0x0060_0000_1235_af47);
    page_is::<Arm64S1<Lpa2<Granule4K>>>(wide, 0xd_0000_1234_5000, cached, 0x0061_0000_1234_5f47);
    page_is::<Arm64S1<Lpa2<Granule4K>>>(wide, 0x1234_5000, cached, 0x0060_0000_1234_5c47);
    let config = config.with(Options::NON_SECURE | Options::HARDWARE_DIRTY);
    page_is::<Arm64S1<Granule4K>>(config, 0x1234_5000, cached, 0x0068_0000_1234_5f67);
    // Without WRITE, AP[2], and nothing to be noted.
    let reads = Prot::READ | Prot::CACHED;
    page_is::<Arm64S1<Granule4K>>(config, 0x1234_5000, reads, 0x0060_0000_1234_5fe7);
    let config = config.with(Options::NO_PERMISSIONS);
    page_is::<Arm64S1<Granule4K>>(config, 0x1234_5000, reads, 0x0008_0000_1234_5f67);
}

/// Table D8-53: AF 10, SH 9:8, S2AP 7:6, `MemAttr` 5:2, XN 54:53, DBM 51. `MemAttr` of write-back is
/// 0b1111, or 0b0110 where it is forced (D8.6.6).
#[test]
fn a_page_of_stage_2_is_as_computed_by_hand() {
    let (config, wide) = (Config::new(48, 48), Config::new(52, 52));
    let cached = Prot::RW | Prot::CACHED;
    page_is::<Arm64S2<Granule4K>>(config, 0x1234_5000, cached, 0x0040_0000_1234_57ff);
    page_is::<Arm32S2>(Config::new(40, 40), 0x1234_5000, cached, 0x0040_0000_1234_57ff);
    page_is::<Arm64S2<Granule64K>>(wide, 0xa_0000_1235_0000, cached, 0x0040_0000_1235_a7ff);
    page_is::<Arm64S2<Lpa2<Granule16K>>>(wide, 0xa_0000_1234_4000, cached, 0x0042_0000_1234_46ff);
    let forced = config.with(Options::FORCE_WRITE_BACK);
    page_is::<Arm64S2<Granule4K>>(forced, 0x1234_5000, cached, 0x0040_0000_1234_57db);
    let dirty = config.with(Options::HARDWARE_DIRTY);
    page_is::<Arm64S2<Granule4K>>(dirty, 0x1234_5000, cached, 0x0048_0000_1234_57ff);
}

/// The engine strings loose tables together through words whose low three bits are zero.
fn words_without_low_bits_are_empty<F: Format>() {
    for level in F::MIN_LEVEL..=3 {
        for high in 0..61 {
            let word = (1u64 << high | 1 << (60 - high)) << 3;
            assert_eq!(F::decode(word, level), iopgtable::format::Entry::Empty);
        }
    }
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words_without_low_bits_are_empty::<Arm64S1<Granule4K>>();
    words_without_low_bits_are_empty::<Arm64S1<Granule64K>>();
    words_without_low_bits_are_empty::<Arm64S1<Lpa2<Granule4K>>>();
    words_without_low_bits_are_empty::<Arm64S2<Granule16K>>();
    words_without_low_bits_are_empty::<Arm64S2<Lpa2<Granule16K>>>();
    words_without_low_bits_are_empty::<Arm32S1>();
    words_without_low_bits_are_empty::<Arm32S2>();
    words_without_low_bits_are_empty::<ArmMali>();
}
