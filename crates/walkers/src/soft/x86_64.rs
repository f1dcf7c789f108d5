//! x86-64 paging.

use super::fetch::fetch;
use crate::{
    Access, DirtyState, EntryRead, Fault, FaultKind, MemoryType, Permissions, PhysMemory, Rights,
    Translation, Walker, X86_64Registers,
};

/// Bit 0, `P`: the entry is present.
const PRESENT: u64 = 1;
/// Bit 1, `R/W`: writes, if it is set at all levels.
const WRITE: u64 = 1 << 1;
/// Bit 2, `U/S`: user accesses, if it is set at all levels.
const USER: u64 = 1 << 2;
/// Bit 3, `PWT`: bit 0 of the index into the PAT.
const PWT: u64 = 1 << 3;
/// Bit 4, `PCD`: bit 1 of the index into the PAT.
const PCD: u64 = 1 << 4;
/// Bit 6, `D` of a leaf.
const DIRTY: u64 = 1 << 6;
/// Bit 7 above page tables, `PS`: a leaf.
const LARGE: u64 = 1 << 7;
/// Bit 7 in page tables, `PAT`: bit 2 of the index into the PAT.
const PAGE_PAT: u64 = 1 << 7;
/// Bit 8 of a leaf, `G`.
const GLOBAL: u64 = 1 << 8;
/// Bit 12 of a large leaf, `PAT`.
const LARGE_PAT: u64 = 1 << 12;
/// Bit 63, `XD`: no fetches, if it is set at any level.
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51:12: as much of an address as an entry can hold.
const ADDRESS: u64 = (1 << 52) - (1 << 12);

/// The level of page tables.
const PAGES: i8 = 3;

/// The paging of a processor in 64-bit mode: of Intel's and AMD's CPUs, AMD's IOMMU ("v2" tables)
/// and VT-d's first stage.
///
/// Levels are counted as Arm counts: page tables are level 3, page directories 2, PDPTs 1, the
/// PML4 is level 0 and the PML5 level -1.
///
/// # The machine that is modelled
///
/// - It has pages of 1 GiB.
/// - Bits from `MAXPHYADDR` to 51 of an address are reserved at each level; so are the bits below
///   the address of a large leaf (but for its PAT bit), `PS` in a PML4 and a PML5, and bit 63
///   without `NXE`; and bit 8, which would be `G`, in entries above page directories that lead to
///   tables: AMD's processors reserve it there, and Intel's ignore it. Each is [`FaultKind::Reserved`] at its level: `#PF` with `RSVD`. What is not
///   present may hold anything.
/// - A `CR3` beyond `MAXPHYADDR`, which processors refuse to load, is a reserved fault at level 0
///   for every address.
/// - A non-canonical address (`#GP`) is a translation fault at level 0.
/// - Supervisors may read everything that is mapped, write what is writable or, without `WP`,
///   everything, and fetch from user pages, unless `SMEP`. `SMAP`, protection keys and shadow
///   stacks are off.
/// - The accessed and dirty flags are the processor's: it sets them, and none is a fault. The
///   walker only reads, and says what a writable leaf has as
///   [`Translation::dirty_state`].
/// - The memory type is the PAT's; the memory type ranges are taken to say write-back.
///
/// # References
///
/// AMD64 Architecture Programmer's Manual, volume 2: 5.3.3 (4-Kbyte page translation, long mode:
/// what must be zero). Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A: 4.5 ("4-level paging
/// and 5-level paging", tables 4-14 to 4-20), 4.6 (access rights), 4.7 (page-fault exceptions),
/// 4.9.2 (paging and memory typing with the PAT), 11.12 (PAT).
#[derive(Clone, Copy, Debug)]
pub struct X86_64<M> {
    memory: M,
    registers: X86_64Registers,
}

/// What the entries on the way permit together.
#[derive(Clone, Copy)]
struct Way {
    write: bool,
    user: bool,
    execute: bool,
}

impl Way {
    const fn below(self, entry: u64) -> Self {
        Self {
            write: self.write && entry & WRITE != 0,
            user: self.user && entry & USER != 0,
            execute: self.execute && entry & NO_EXECUTE == 0,
        }
    }
}

impl<M: PhysMemory> X86_64<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    pub const fn new(memory: M, registers: X86_64Registers) -> Self {
        Self { memory, registers }
    }

    /// The root's level.
    const fn top(&self) -> i8 {
        if self.registers.la57 { -1 } else { 0 }
    }

    /// Bits 51:`MAXPHYADDR`.
    const fn beyond_physical(&self) -> u64 {
        match 1u64.checked_shl(self.registers.physical_bits as u32) {
            Some(end) => ADDRESS & !(end - 1),
            None => 0,
        }
    }

    /// Whether `va` is the sign extension of what the tables resolve.
    const fn is_canonical(&self, va: u64) -> bool {
        let sign = span_bits(self.top() - 1) - 1;
        va >> sign == 0 || va >> sign == u64::MAX >> sign
    }

    /// The bits that must be clear in a present `entry` at `level`.
    const fn reserved(&self, entry: u64, level: i8) -> u64 {
        let execute = if self.registers.nxe { 0 } else { NO_EXECUTE };
        let leaf = match level {
            ..=0 => LARGE | GLOBAL,
            1 if entry & LARGE == 0 => GLOBAL,
            1 | 2 if entry & LARGE != 0 => (1 << span_bits(level)) - (LARGE_PAT << 1),
            _ => 0,
        };
        self.beyond_physical() | execute | leaf
    }

    const fn permissions(&self, way: Way) -> Permissions {
        Permissions {
            privileged: Rights {
                read: true,
                write: way.write || !self.registers.wp,
                execute: way.execute && !(self.registers.smep && way.user),
            },
            unprivileged: Rights {
                read: way.user,
                write: way.user && way.write,
                execute: way.user && way.execute,
            },
        }
    }

    const fn memory_type(&self, leaf: u64, level: i8) -> MemoryType {
        let pat = if level == PAGES { PAGE_PAT } else { LARGE_PAT };
        let index = (leaf & PWT != 0) as u32
            | ((leaf & PCD != 0) as u32) << 1
            | ((leaf & pat != 0) as u32) << 2;
        // CAST: a byte; the shift is at most 56.
        match (self.registers.pat >> (8 * index)) as u8 {
            0x00 => MemoryType::Uncached,
            0x01 => MemoryType::WriteCombining,
            0x04 => MemoryType::WriteThrough,
            0x05 => MemoryType::WriteProtect,
            0x06 => MemoryType::WriteBack,
            0x07 => MemoryType::UncachedMinus,
            other => MemoryType::Other(other),
        }
    }

    /// What `leaf` says of `va`.
    fn leaf(&self, va: u64, level: i8, leaf: u64, way: Way) -> Translation {
        let size = 1 << span_bits(level);
        let address = leaf & ADDRESS & !(size - 1) | va & (size - 1);
        Translation {
            memory: self.memory_type(leaf, level),
            dirty_state: way.write.then_some(if leaf & DIRTY == 0 {
                DirtyState::WritableClean
            } else {
                DirtyState::WritableDirty
            }),
            global: leaf & GLOBAL != 0,
            ..Translation::plain((address, size), level, self.permissions(way))
        }
    }
}

/// log2 of the bytes that an entry at `level` spans.
const fn span_bits(level: i8) -> u8 {
    12 + 9 * (PAGES - level).unsigned_abs()
}

impl<M: PhysMemory> Walker for X86_64<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        if !self.is_canonical(va) {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        let mut table = self.registers.cr3 & ADDRESS;
        if table & self.beyond_physical() != 0 {
            return Err(Fault::new(FaultKind::Reserved, 0));
        }
        let mut way = Way { write: true, user: true, execute: true };
        let mut level = self.top();
        loop {
            let span_bits = span_bits(level);
            let address = table + (va >> span_bits & 0x1ff) * 8;
            let entry = fetch(&self.memory, &EntryRead::on_way(address, level, va, span_bits))?;
            if entry & PRESENT == 0 {
                return Err(Fault::new(FaultKind::Translation, level));
            }
            if entry & self.reserved(entry, level) != 0 {
                return Err(Fault::new(FaultKind::Reserved, level));
            }
            way = way.below(entry);
            if level == PAGES || entry & LARGE != 0 {
                return self.leaf(va, level, entry, way).granted(access);
            }
            table = entry & ADDRESS;
            level += 1;
        }
    }
}
