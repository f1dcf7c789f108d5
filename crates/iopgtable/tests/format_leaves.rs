//! A leaf allows what was asked for, to the walker and when it is read back, in every size and with
//! every set of options; what a format cannot express it refuses.

#![cfg(feature = "alloc")]

mod machine;

use std::ptr::NonNull;

use iopgtable::memory::{Publish, Region};
use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Format, Granule, Granule4K, Granule16K,
    Granule64K, IovaRange, Lpa2, Options, PageTable, PhysAddr, Prot, ProtError, Segment,
};
use machine::{Table, Walked, finish, range, walk};
use walkers::{
    Access, DeviceType, DirtyState, Fault, FaultKind, MemoryType, Shareability, Translation,
};

const FLAGS: [Prot; 6] =
    [Prot::READ, Prot::WRITE, Prot::EXECUTE, Prot::PRIVILEGED, Prot::CACHED, Prot::DEVICE];

/// Every set of flags.
fn all() -> impl Iterator<Item = Prot> {
    (0..1 << FLAGS.len()).map(|bits| {
        let chosen = FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.fold(Prot::NONE, |prot, (_, &flag)| prot | flag)
    })
}

/// What a format makes of permissions, as its manual says.
trait Meaning: Walked {
    const CONFIG: Config;
    fn refusal(options: Options, prot: Prot) -> Option<ProtError>;
    fn memory(options: Options, prot: Prot) -> (MemoryType, Shareability);
}

/// What no format expresses.
fn common_refusal(prot: Prot) -> Option<ProtError> {
    if !prot.intersects(Prot::READ | Prot::WRITE | Prot::EXECUTE) {
        Some(ProtError::NoPermission)
    } else if prot.contains(Prot::CACHED | Prot::DEVICE) {
        Some(ProtError::CachedDevice)
    } else {
        None
    }
}

/// Stage 1 can forbid everything but reading.
fn stage_1_refusal(options: Options, prot: Prot) -> Option<ProtError> {
    let reads = prot.contains(Prot::READ) || options.contains(Options::NO_PERMISSIONS);
    common_refusal(prot).or((!reads).then_some(ProtError::ReadImplied))
}

/// Stage 2 and Mali do not tell who accesses.
fn stage_2_refusal(prot: Prot) -> Option<ProtError> {
    let privileged = prot.contains(Prot::PRIVILEGED);
    common_refusal(prot).or(privileged.then_some(ProtError::NoPrivilege))
}

fn arm_memory(prot: Prot) -> (MemoryType, Shareability) {
    if prot.contains(Prot::CACHED) {
        (MemoryType::WriteBack, Shareability::Inner)
    } else if prot.contains(Prot::DEVICE) {
        (MemoryType::Device(DeviceType::NGnRE), Shareability::Outer)
    } else {
        (MemoryType::NonCacheable, Shareability::Outer)
    }
}

/// With LPA2, all leaves are shared as the tables are, which walkers snoop here.
fn arm64_memory<G: Granule>(prot: Prot) -> (MemoryType, Shareability) {
    let (memory, shareability) = arm_memory(prot);
    (memory, if G::LPA2 { Shareability::Inner } else { shareability })
}

/// The largest sizes.
const fn arm64_config<G: Granule>() -> Config {
    if G::LPA2 || G::SHIFT == 16 { Config::new(52, 52) } else { Config::new(48, 48) }
}

impl<G: Granule> Meaning for Arm64S1<G> {
    const CONFIG: Config = arm64_config::<G>();

    fn refusal(options: Options, prot: Prot) -> Option<ProtError> {
        stage_1_refusal(options, prot)
    }

    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm64_memory::<G>(prot)
    }
}

impl<G: Granule> Meaning for Arm64S2<G> {
    const CONFIG: Config = arm64_config::<G>();

    fn refusal(_: Options, prot: Prot) -> Option<ProtError> {
        stage_2_refusal(prot)
    }

    /// The types are the same under forced write-back: the walker reads them in that encoding.
    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm64_memory::<G>(prot)
    }
}

impl Meaning for Arm32S1 {
    const CONFIG: Config = Config::new(31, 40);

    fn refusal(options: Options, prot: Prot) -> Option<ProtError> {
        stage_1_refusal(options, prot)
    }

    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm_memory(prot)
    }
}

impl Meaning for Arm32S2 {
    const CONFIG: Config = Config::new(40, 40);

    fn refusal(_: Options, prot: Prot) -> Option<ProtError> {
        stage_2_refusal(prot)
    }

    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm_memory(prot)
    }
}

impl Meaning for ArmMali {
    const CONFIG: Config = Config::new(48, 40);

    fn refusal(_: Options, prot: Prot) -> Option<ProtError> {
        stage_2_refusal(prot)
    }

    /// Attributes as Linux writes them; what lies outside the GPU is its outer domain.
    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        let attribute = if prot.contains(Prot::CACHED) { 0x8d } else { 0x88 };
        (MemoryType::Other(attribute), Shareability::Outer)
    }
}

/// Every set of a format's options, but for one that takes memory which walkers do not snoop.
fn all_options<F: Format>() -> Vec<Options> {
    let mut all = vec![Options::NONE];
    for option in [
        Options::UPPER_HALF,
        Options::NON_SECURE,
        Options::NO_PERMISSIONS,
        Options::FORCE_WRITE_BACK,
        Options::HARDWARE_DIRTY,
        Options::CONTIGUOUS,
    ] {
        if F::OPTIONS.contains(option) {
            all.extend(all.clone().into_iter().map(|options| options | option));
        }
    }
    all
}

/// What a leaf allows where `prot` is asked for.
fn granted(options: Options, prot: Prot) -> Prot {
    if options.contains(Options::NO_PERMISSIONS) {
        (prot | Prot::RW | Prot::EXECUTE).without(Prot::PRIVILEGED)
    } else {
        prot
    }
}

/// The highest leaves at a level, as many as carry the hint together, and where they lead: as high
/// as it goes, too.
fn highest<F: Format>(table: &Table<'_, F>, level: i8) -> (IovaRange, Segment) {
    let geometry = table.geometry();
    let group = 1u64 << geometry.group_shift(level);
    // A root may have less than a group.
    let bytes = group.min(1 << geometry.input_bits());
    let range = range(geometry.last_iova().0 - (bytes - 1), bytes);
    (range, Segment::new(PhysAddr(geometry.last_phys().0 - (bytes - 1)), bytes))
}

fn leaves_mean_with<F: Meaning>(options: Options) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(F::CONFIG.with(options), &memory);
    let geometry = *table.geometry();
    for prot in all() {
        assert_eq!(F::attributes(options, prot).err(), F::refusal(options, prot), "{prot:?}");
        if F::refusal(options, prot).is_some() {
            continue;
        }
        let granted = granted(options, prot);
        let permissions = F::permissions(granted);
        let dirty = options.contains(Options::HARDWARE_DIRTY) && granted.contains(Prot::WRITE);
        for level in geometry.leaf_levels() {
            let (at, segment) = highest(&table, level);
            let size = 1u64 << geometry.entry_shift(level);
            let mapped = table.map(at, [segment], prot);
            finish(&table, mapped.expect("it is legal, and nothing is there"));
            let contiguous = at.bytes() == 1 << geometry.group_shift(level) && at.bytes() > size;
            // The first byte and the last word.
            for into in [0, at.bytes() - 8] {
                let (address, leads) = (at.first().0 + into, segment.phys.0 + into);
                let own = table.translate(iopgtable::Iova(address)).expect("it is mapped");
                assert_eq!((own.prot, own.leaf_bytes), (granted, size), "read back");
                for access in Access::ALL {
                    let expected = permissions.allow(access);
                    match walk(&table, address, access) {
                        Ok(found) => {
                            assert!(expected, "{prot:?} allows {access:?}");
                            assert_eq!(found.permissions, permissions, "{prot:?}");
                            let memory = (found.memory, found.shareability);
                            assert_eq!(memory, F::memory(options, prot), "{prot:?}");
                            assert_eq!((found.address, found.leaf_size), (leads, size));
                            assert_eq!(found.contiguous, contiguous, "{options:?} {size:#x}");
                            assert_eq!(
                                found.dirty_state,
                                dirty.then_some(DirtyState::WritableDirty),
                                "{prot:?} with {options:?}"
                            );
                            assert_eq!(found.non_secure, options.contains(Options::NON_SECURE));
                        }
                        Err(fault) => {
                            assert_eq!(fault, Fault::new(FaultKind::Permission, level));
                            assert!(!expected, "{prot:?} with {options:?} forbids {access:?}");
                        }
                    }
                }
            }
            let whole = geometry.whole();
            let gather = table.unmap(whole, whole).expect("all can be unmapped");
            finish(&table, gather);
        }
    }
}

fn leaves_mean<F: Meaning>() {
    for options in all_options::<F>() {
        leaves_mean_with::<F>(options);
    }
}

#[test]
fn stage_1_leaves_allow_what_was_asked_for() {
    leaves_mean::<Arm64S1<Granule4K>>();
    leaves_mean::<Arm64S1<Granule16K>>();
    leaves_mean::<Arm64S1<Granule64K>>();
    leaves_mean::<Arm64S1<Lpa2<Granule4K>>>();
    leaves_mean::<Arm64S1<Lpa2<Granule16K>>>();
}

#[test]
fn stage_2_leaves_allow_what_was_asked_for() {
    leaves_mean::<Arm64S2<Granule4K>>();
    leaves_mean::<Arm64S2<Granule16K>>();
    leaves_mean::<Arm64S2<Granule64K>>();
    leaves_mean::<Arm64S2<Lpa2<Granule4K>>>();
    leaves_mean::<Arm64S2<Lpa2<Granule16K>>>();
}

#[test]
fn leaves_of_32_bits_allow_what_was_asked_for() {
    leaves_mean::<Arm32S1>();
    leaves_mean::<Arm32S2>();
}

#[test]
fn mali_leaves_allow_what_was_asked_for() {
    leaves_mean::<ArmMali>();
}

/// Where the walker leads, if some bits of all descriptors were clear.
fn walk_without<F: Walked>(table: &Table<'_, F>, address: u64, bits: u64) -> Translation {
    // SAFETY: the walk ends before this function does, while the table lives and is not changed.
    let registers = unsafe { table.registers() };
    let read = |phys| {
        // SAFETY: no operation runs during the walk, and the region has memory of its own.
        let word = unsafe { table.allocator().upstream().read(PhysAddr(phys)) };
        word.map(|word| word & !bits)
    };
    iopgtable_conformance::walk::<F>(registers, &read, address, Access::PRIVILEGED_READ)
        .expect("it is mapped")
}

/// `NS` of a leaf (bit 5) and `NSTable` of the tables (bit 63) say it, each alone.
fn tables_and_leaves_are_non_secure<F: Walked>(config: Config) {
    let memory = machine::memory();
    let config = config.with(Options::NON_SECURE);
    let mut table = machine::table::<F>(config, &memory);
    for level in table.geometry().leaf_levels() {
        let (at, segment) = highest(&table, level);
        let mapped = table.map(at, [segment], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
        let non_secure = |bits| walk_without(&table, at.first().0, bits).non_secure;
        let below_the_root = level > table.geometry().first_level();
        assert!(non_secure(0) && non_secure(1 << 63), "NS");
        assert_eq!(non_secure(1 << 5), below_the_root, "NSTable");
        assert!(!non_secure(1 << 63 | 1 << 5));
        // What takes the place of a block is as it was.
        if level < 3 {
            let page = range(at.first().0, table.geometry().granule());
            let gather = table.unmap(page, page).expect("there is memory");
            finish(&table, gather);
            let last = at.last().0 - 7;
            assert!(walk_without(&table, last, 1 << 63).non_secure, "NS");
            assert!(walk_without(&table, last, 1 << 5).non_secure, "NSTable");
        }
        let whole = machine::whole(&table);
        let gather = table.unmap(whole, whole).expect("all can be unmapped");
        finish(&table, gather);
    }
}

#[test]
fn non_secure_tables_and_leaves_say_so_each() {
    tables_and_leaves_are_non_secure::<Arm64S1<Granule4K>>(Config::new(48, 48));
    tables_and_leaves_are_non_secure::<Arm64S1<Granule16K>>(Config::new(48, 48));
    tables_and_leaves_are_non_secure::<Arm64S1<Granule64K>>(Config::new(52, 52));
    tables_and_leaves_are_non_secure::<Arm64S1<Lpa2<Granule4K>>>(Config::new(52, 52));
    tables_and_leaves_are_non_secure::<Arm64S1<Lpa2<Granule16K>>>(Config::new(52, 52));
    tables_and_leaves_are_non_secure::<Arm32S1>(Config::new(32, 40));
}

/// A leaf that was made clean can still be written, and is read back so.
fn clean_leaves_stay_writable<F: Walked>(config: Config) {
    let memory = machine::memory();
    let config = config.with(Options::HARDWARE_DIRTY);
    let mut table = machine::table::<F>(config, &memory);
    for level in table.geometry().leaf_levels() {
        let (at, segment) = highest(&table, level);
        let mapped = table.map(at, [segment], Prot::RW);
        finish(&table, mapped.expect("nothing is there"));
        let pages = at.bytes() / table.geometry().granule();
        let mut bitmap = vec![0; usize::try_from(pages.div_ceil(64)).expect("not so many")];
        let gather = table.read_and_clear_dirty(at, &mut bitmap).expect("hardware notes writes");
        finish(&table, gather);
        let dirty: u64 = bitmap.iter().map(|word| u64::from(word.count_ones())).sum();
        assert_eq!(dirty, pages, "what was just mapped counts as written");
        let found = walk(&table, at.first().0, Access::UNPRIVILEGED_WRITE);
        let found = found.expect("hardware makes it dirty");
        assert_eq!(found.dirty_state, Some(DirtyState::WritableClean));
        assert_eq!(table.translate(at.first()).map(|own| own.prot), Some(Prot::RW));
        let whole = machine::whole(&table);
        let gather = table.unmap(whole, whole).expect("all can be unmapped");
        finish(&table, gather);
    }
}

#[test]
fn a_leaf_that_was_made_clean_can_be_written() {
    // Not too large a bitmap: with small inputs, and so without the largest blocks.
    clean_leaves_stay_writable::<Arm64S1<Granule4K>>(Config::new(39, 48));
    clean_leaves_stay_writable::<Arm64S1<Granule64K>>(Config::new(42, 52));
    clean_leaves_stay_writable::<Arm64S1<Lpa2<Granule4K>>>(Config::new(39, 52));
    clean_leaves_stay_writable::<Arm64S2<Granule4K>>(Config::new(39, 48));
    clean_leaves_stay_writable::<Arm64S2<Granule16K>>(Config::new(36, 48));
    clean_leaves_stay_writable::<Arm64S2<Lpa2<Granule16K>>>(Config::new(36, 52));
}

/// Walkers see what was written, but not through the CPU's caches.
struct Uncached;

// SAFETY: the soft MMU reads what the CPU wrote.
unsafe impl Publish for Uncached {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
}

/// With LPA2, shareability is the control register's, and so that of the tables.
fn leaves_are_shared_as_the_tables_are<F: Walked>() {
    let memory = Region::with_capacity_and_publisher(machine::TABLES, 1 << 20, Uncached);
    let memory = memory.expect("the numbers make a region");
    let mut table = PageTable::<F, _>::new(Config::new(48, 48), &memory).expect("it fits");
    let page = table.geometry().granule();
    let mapped = table.map(range(0, page), [Segment::new(PhysAddr(0), page)], Prot::READ);
    finish(&table, mapped.expect("nothing is there"));
    // SAFETY: the walk ends before this function does, while the table lives and is not changed.
    let registers = unsafe { table.registers() };
    // SAFETY: no operation runs during the walk, and the region has memory of its own.
    let read = |phys| unsafe { memory.read(PhysAddr(phys)) };
    let found = iopgtable_conformance::walk::<F>(registers, &read, 0, Access::UNPRIVILEGED_READ)
        .expect("it is mapped");
    assert_eq!(found.shareability, Shareability::Outer, "walks are not inner shareable");
}

#[test]
fn leaves_of_lpa2_are_shared_as_the_tables_are() {
    leaves_are_shared_as_the_tables_are::<Arm64S1<Lpa2<Granule4K>>>();
    leaves_are_shared_as_the_tables_are::<Arm64S1<Lpa2<Granule16K>>>();
    leaves_are_shared_as_the_tables_are::<Arm64S2<Lpa2<Granule4K>>>();
    leaves_are_shared_as_the_tables_are::<Arm64S2<Lpa2<Granule16K>>>();
}

/// That the first page of a table, which leads to `phys`, has this entry.
fn page_is<F: Walked>(config: Config, phys: u64, prot: Prot, entry: u64) {
    let memory = machine::memory();
    let mut table = machine::table::<F>(config, &memory);
    let page = table.geometry().granule();
    let segment = Segment::new(PhysAddr(phys), page);
    let mapped = table.map(range(0, page), [segment], prot);
    finish(&table, mapped.expect("nothing is there"));
    let tables = machine::contents(&table);
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
