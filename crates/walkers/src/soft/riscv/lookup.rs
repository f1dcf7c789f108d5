//! The walk that both stages share.

use super::entry::{ACCESSED, DIRTY, Entry, Extensions, GLOBAL, Kind, WRITE};
use crate::soft::config::ConfigError;
use crate::soft::fetch::fetch;
use crate::{
    Access, AccessKind, DirtyState, EntryRead, Fault, FaultKind, Permissions, PhysMemory,
    Translation,
};

/// The last level.
const PAGES: i8 = 3;
/// log2 of the entries of a 64 KiB page.
const NAPOT_BITS: u8 = 4;

/// Where walks start, and how entries look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    pub(super) root: u64,
    pub(super) top: i8,
    /// Address bits that the tables resolve.
    pub(super) input_bits: u8,
    pub(super) extensions: Extensions,
}

/// What a walk ends at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) entry: Entry,
    level: i8,
    address: u64,
    size: u64,
    /// It, or a pointer on the way, has `G`.
    pub(super) global: bool,
}

impl Lookup {
    /// From `satp` or `hgatp`, whose fields stand alike; the root's index has `more` bits.
    pub(super) fn new(
        register: u64,
        more: u8,
        extensions: Extensions,
    ) -> Result<Self, ConfigError> {
        // CAST: four bits.
        let mode = (register >> 60) as u8;
        let (top, input_bits) = match mode {
            8 => (1, 39),
            9 => (0, 48),
            10 => (-1, 57),
            _ => return Err(ConfigError::NoTable { mode }),
        };
        let root = (register & ((1 << 44) - 1)) << 12 & (u64::MAX << (12 + more));
        Ok(Self { root, top, input_bits: input_bits + more, extensions })
    }

    /// Walks to the leaf of `input`, of which bits beyond the tables are not looked at.
    pub(super) fn walk<M: PhysMemory>(&self, memory: &M, input: u64) -> Result<Leaf, Fault> {
        let mut table = self.root;
        let mut level = self.top;
        let mut index_mask = (1u64 << (self.input_bits - span_bits(level))) - 1;
        let mut global = false;
        loop {
            let span_bits = span_bits(level);
            let address = table + (input >> span_bits & index_mask) * 8;
            let read = EntryRead::on_way(address, level, input, span_bits);
            let entry = Entry(fetch(memory, &read)?);
            match entry.kind(self.extensions, level < PAGES, span_bits) {
                Kind::Invalid => return Err(Fault::new(FaultKind::Translation, level)),
                Kind::Reserved => return Err(Fault::new(FaultKind::Reserved, level)),
                Kind::Pointer => {
                    global |= entry.has(GLOBAL);
                    table = entry.address();
                    level += 1;
                    index_mask = 0x1ff;
                }
                Kind::Leaf => {
                    let global = global || entry.has(GLOBAL);
                    let mut leaf = Leaf { entry, level, address: 0, size: 1 << span_bits, global };
                    if entry.is_napot() {
                        check_group(memory, &read, entry)?;
                        leaf.size <<= NAPOT_BITS;
                    }
                    leaf.address = entry.address() & !(leaf.size - 1) | input & (leaf.size - 1);
                    return Ok(leaf);
                }
            }
        }
    }
}

/// log2 of the bytes that an entry at `level` spans.
const fn span_bits(level: i8) -> u8 {
    12 + 9 * (PAGES - level).unsigned_abs()
}

/// Reads all entries of the 64 KiB page that has `entry`, which was read as `read`.
fn check_group<M: PhysMemory>(memory: &M, read: &EntryRead, entry: Entry) -> Result<(), Fault> {
    for index in 0..1u64 << NAPOT_BITS {
        let address = (read.address & !0x7f) + index * 8;
        let input = read.first & !0xffff | index << 12;
        let member = EntryRead::on_way(address, read.level, input, 12).of_group();
        if Entry(fetch(memory, &member)?).common() != entry.common() {
            return Err(Fault::new(FaultKind::Conflict, read.level));
        }
    }
    Ok(())
}

impl Leaf {
    /// The answer to `access`, where the leaf has `permissions`.
    pub(super) fn answer(
        &self,
        access: Access,
        permissions: Permissions,
        extensions: Extensions,
    ) -> Result<Translation, Fault> {
        let entry = self.entry;
        let managed = extensions.adue && entry.has(WRITE);
        let found = Translation {
            memory: entry.memory_type(),
            dirty_state: managed.then_some(if entry.has(DIRTY) {
                DirtyState::WritableDirty
            } else {
                DirtyState::WritableClean
            }),
            global: self.global,
            ..Translation::plain((self.address, self.size), self.level, permissions)
        }
        .granted(access)?;
        let needs = if access.kind == AccessKind::Write { ACCESSED | DIRTY } else { ACCESSED };
        if extensions.adue || entry.0 & needs == needs {
            Ok(found)
        } else {
            Err(Fault::new(FaultKind::AccessFlag, self.level))
        }
    }
}
