//! The answer of a walk that succeeds.

use crate::{Access, AccessKind, Privilege};

/// Where an address leads, and on which terms.
#[expect(clippy::struct_excessive_bools, reason = "each is so or not, apart from the others")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Translation {
    /// The physical address of exactly the byte that was asked for.
    pub address: u64,
    /// Bytes that the leaf descriptor maps, a power of two. The contiguous hint does not widen
    /// it. Where a format writes one leaf several times because it has no other way to (Svnapot,
    /// AMD's sizes, large pages and supersections of short descriptors), it is the size of the one.
    pub leaf_size: u64,
    /// The level at which the leaf was found, as Arm counts: 3 for pages, 0 or less at the root side.
    pub level: i8,
    /// The memory type of the leaf.
    pub memory: MemoryType,
    /// The leaf's shareability field, as written. For Device and Normal non-cacheable memory the
    /// architecture then treats the location as outer shareable whatever the field says. `Non` in
    /// formats without such a field.
    pub shareability: Shareability,
    /// The leaf carries the contiguous hint, and all of its group agrees.
    pub contiguous: bool,
    /// The leaf's dirty state where hardware manages it: `DBM` is set, and so are `HA` and `HD`.
    pub dirty_state: Option<DirtyState>,
    /// The output address is Non-secure if the walk is made from Secure state: `NS` of the leaf,
    /// or `NSTable` of a table on the way. A walk from Non-secure state has Non-secure addresses
    /// only, and hardware ignores both bits then. False where a format has neither.
    pub non_secure: bool,
    /// The leaf is for every address space: `nG` is clear, `G` is set. False in formats without
    /// address spaces, and where no leaf of theirs says so.
    pub global: bool,
    /// The access is made to snoop caches, whatever the device asks for: `SNP` of VT-d, `FC` of
    /// AMD's tables. False in other formats.
    pub snooped: bool,
    /// Everything that the mapping permits, not just the access that was asked for.
    pub permissions: Permissions,
}

/// The dirty state of a leaf that hardware manages. Writes are permitted in both, as far as tables
/// on the way permit them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirtyState {
    /// Not written: the descriptor is read-only. The first write makes it writable-dirty.
    WritableClean,
    /// Written, or made so by software: the descriptor is writable.
    WritableDirty,
}

/// What one privilege may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Data reads.
    pub read: bool,
    /// Data writes.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

/// What a mapping permits.
///
/// ```
/// use walkers::{Access, Permissions, Rights};
///
/// let read_only = Rights { read: true, ..Rights::default() };
/// let permissions = Permissions { privileged: read_only, unprivileged: Rights::default() };
/// assert!(permissions.allow(Access::PRIVILEGED_READ));
/// assert!(!permissions.allow(Access::UNPRIVILEGED_READ));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// For privileged accesses.
    pub privileged: Rights,
    /// For unprivileged accesses.
    pub unprivileged: Rights,
}

impl Permissions {
    /// Whether `access` is permitted.
    pub const fn allow(self, access: Access) -> bool {
        let rights = match access.privilege {
            Privilege::Privileged => self.privileged,
            Privilege::Unprivileged => self.unprivileged,
        };
        match access.kind {
            AccessKind::Read => rights.read,
            AccessKind::Write => rights.write,
            AccessKind::Execute => rights.execute,
        }
    }
}

/// A memory type, as far as table writers choose between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryType {
    /// Device memory.
    Device(DeviceType),
    /// Normal memory, inner and outer non-cacheable.
    NonCacheable,
    /// Normal memory, inner and outer write-back, not transient, with any allocation hint.
    WriteBack,
    /// What stage 1 says, in tables of stage 2 under forced write-back.
    AsStage1,
    /// Write-through: inner and outer, in short descriptors. (In MAIR and `MemAttr` it is
    /// undecoded.)
    WriteThrough,
    /// x86-64's write-protect: reads are cached, writes are not.
    WriteProtect,
    /// x86-64's write-combining.
    WriteCombining,
    /// Uncached and in order: x86-64's UC, Svpbmt's IO.
    Uncached,
    /// x86-64's UC-: uncached, unless the memory type ranges say write-combining.
    UncachedMinus,
    /// What the platform has for the address: the format has no types, or the leaf says that.
    AsPlatform,
    /// Any other attribute, undecoded: the byte of MAIR, MEMATTR or PAT, or the four bits of a
    /// stage 2 `MemAttr`; in short descriptors, the outer attribute above the inner one, two bits
    /// each, and 0xff for a reserved type.
    Other(u8),
}

/// The four kinds of Device memory: gathering, reordering, early acknowledgement. Their order is
/// from the strictest to the weakest.
///
/// # References
///
/// Arm DDI 0487, section B2.10, "Device memory".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceType {
    /// No gathering, no reordering, no early write acknowledgement.
    NGnRnE,
    /// No gathering, no reordering, early write acknowledgement.
    NGnRE,
    /// No gathering, reordering, early write acknowledgement.
    NGRE,
    /// Gathering, reordering, early write acknowledgement.
    GRE,
}

/// Who must see the writes of a cacheable location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shareability {
    /// Non-shareable, `0b00`.
    Non,
    /// The reserved encoding `0b01`.
    Reserved,
    /// Outer shareable, `0b10`.
    Outer,
    /// Inner shareable, `0b11`.
    Inner,
}
