//! The words of tables as they stand in memory, found the way that the test says, and by nothing
//! that the library says but the root in its registers.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use iopgtable::{
    Config, Format, IovaRange, Options, PageTable, PhysAddr, Prot, ProtError, Segment,
};

use crate::machine::{self, Memory, Table, finish, range};

const FLAGS: [Prot; 6] =
    [Prot::READ, Prot::WRITE, Prot::EXECUTE, Prot::PRIVILEGED, Prot::CACHED, Prot::DEVICE];

/// Every set of permissions and memory types.
pub(crate) fn all_prots() -> impl Iterator<Item = Prot> {
    (0..1 << FLAGS.len()).map(|bits| {
        let chosen = FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.fold(Prot::NONE, |prot, (_, &flag)| prot | flag)
    })
}

/// Why no format expresses `prot`.
pub(crate) fn common_refusal(prot: Prot) -> Option<ProtError> {
    if !prot.intersects(Prot::READ | Prot::WRITE | Prot::EXECUTE) {
        Some(ProtError::NoPermission)
    } else if prot.contains(Prot::CACHED | Prot::DEVICE) {
        Some(ProtError::CachedDevice)
    } else {
        None
    }
}

/// The word at a physical address.
pub(crate) fn word(memory: &Memory, phys: u64) -> u64 {
    // SAFETY: no operation runs, and the region has memory of its own.
    let word = unsafe { memory.upstream().read(PhysAddr(phys)) };
    word.expect("tables lie in the region")
}

/// The words on the way from the table at `root` by `indices`; `next` says where a word leads.
pub(crate) fn path(
    memory: &Memory,
    root: u64,
    indices: &[u64],
    next: impl Fn(u64) -> u64,
) -> Vec<u64> {
    path_of(memory, 8, root, indices, next)
}

/// The same for entries of so many bytes.
pub(crate) fn path_of(
    memory: &Memory,
    bytes: u64,
    root: u64,
    indices: &[u64],
    next: impl Fn(u64) -> u64,
) -> Vec<u64> {
    let mut table = root;
    let step = |&index| {
        let at = table + bytes * index;
        let entry = match bytes {
            4 => word(memory, at & !7) >> (8 * (at & 4)) & 0xffff_ffff,
            _ => word(memory, at),
        };
        table = next(entry);
        entry
    };
    indices.iter().map(step).collect()
}

/// The registers of a table that nothing walks.
pub(crate) fn registers<F: Format>(table: &Table<'_, F>) -> F::Registers {
    // SAFETY: no walker is given them.
    unsafe { table.registers() }
}

/// Maps one segment where nothing is.
pub(crate) fn map<F: Format>(
    table: &mut Table<'_, F>,
    iova: u64,
    phys: u64,
    bytes: u64,
    prot: Prot,
) {
    let mapped = table.map(range(iova, bytes), [Segment::new(PhysAddr(phys), bytes)], prot);
    finish(table, mapped.expect("nothing is there"));
}

/// Unmaps everything.
pub(crate) fn empty<F: Format>(table: &mut Table<'_, F>) {
    let whole = machine::whole(table);
    let gather = table.unmap(whole, whole).expect("all can be unmapped");
    finish(table, gather);
}

/// Leaves of every size with every set of permissions hold the bits that `bits` says, besides
/// their address and what says their size, and are read back as `granted` says; what `refusal`
/// refuses is refused. `large` are the bits of leaves above the last level, `place` where an
/// address stands.
pub(crate) struct Leaves<'a> {
    pub(crate) config: Config,
    pub(crate) large: u64,
    pub(crate) place: fn(u64) -> u64,
    pub(crate) refusal: &'a dyn Fn(Prot) -> Option<ProtError>,
    pub(crate) bits: &'a dyn Fn(Prot) -> u64,
    pub(crate) granted: &'a dyn Fn(Prot) -> Prot,
}

impl Leaves<'_> {
    pub(crate) fn check<F: Format>(
        &self,
        root: impl Fn(F::Registers) -> u64,
        next: fn(u64) -> u64,
    ) {
        let memory = machine::memory();
        let mut table = PageTable::<F, _>::new(self.config, &memory).expect("a good configuration");
        let geometry = *table.geometry();
        for prot in all_prots() {
            let refusal = (self.refusal)(prot);
            let found = F::attributes(self.config.options, prot).err();
            assert_eq!(found, refusal, "{prot:?}");
            if refusal.is_some() {
                continue;
            }
            for level in geometry.leaf_levels() {
                let bytes = 1u64 << geometry.entry_shift(level);
                // As high as it goes in both spaces.
                let iova = geometry.last_iova().0 - (bytes - 1);
                let phys = geometry.last_phys().0 - (bytes - 1);
                map(&mut table, iova, phys, bytes, prot);
                let index = |at: i8| {
                    let entries = geometry.entries(at) as u64;
                    iova >> geometry.entry_shift(at) & (entries - 1)
                };
                let indices: Vec<u64> = (geometry.first_level()..=level).map(index).collect();
                let path = path(&memory, root(registers(&table)), &indices, next);
                let large = if level < 3 { self.large } else { 0 };
                let expected = (self.place)(phys) | (self.bits)(prot) | large;
                let leaf = path.last().copied();
                assert_eq!(leaf, Some(expected), "{prot:?} at level {level}: {path:x?}");
                let own = table.translate(iopgtable::Iova(iova + 8)).expect("it is mapped");
                assert_eq!((own.phys.0, own.leaf_bytes), (phys + 8, bytes));
                assert_eq!(own.prot, (self.granted)(prot), "read back");
                empty(&mut table);
            }
        }
    }
}

/// What becomes of a leaf's word when its dirty state is read and cleared, and what is then found.
pub(crate) fn cleaned<F: Format>(
    config: Config,
    root: impl Fn(F::Registers) -> u64,
    next: fn(u64) -> u64,
    indices: &[u64],
) -> (u64, u64) {
    let memory = machine::memory();
    let config = config.with(Options::HARDWARE_DIRTY);
    let mut table = PageTable::<F, _>::new(config, &memory).expect("a good configuration");
    let page = table.geometry().granule();
    let first = table.geometry().first_iova().0;
    map(&mut table, first, page, page, Prot::RW);
    map(&mut table, first + page, 0, page, Prot::READ);
    let leaf = |table: &Table<'_, F>| {
        let path = path(&memory, root(registers(table)), indices, next);
        *path.last().expect("some indices")
    };
    let before = leaf(&table);
    let both: IovaRange = range(first, 2 * page);
    let mut bitmap = [0];
    let gather = table.read_and_clear_dirty(both, &mut bitmap).expect("hardware notes writes");
    assert_eq!(gather.stale().leaves, Some(range(first, page)));
    finish(&table, gather);
    assert_eq!(bitmap, [1], "what was just mapped writable counts as written");
    let own = table.translate(iopgtable::Iova(first)).expect("it is mapped");
    assert!(own.prot.contains(Prot::RW), "it can be written still");
    let mut again = [0];
    table.read_dirty(both, &mut again).expect("hardware notes writes");
    assert_eq!(again, [0], "it is clean");
    (before, leaf(&table))
}

/// The engine strings loose tables together through words whose low three bits are zero.
pub(crate) fn words_without_low_bits_are_empty<F: Format>() {
    for level in F::MIN_LEVEL..=3 {
        for high in 0..61 {
            let word = (1u64 << high | 1 << (60 - high)) << 3;
            assert_eq!(F::decode(word, level), iopgtable::format::Entry::Empty);
        }
    }
}
