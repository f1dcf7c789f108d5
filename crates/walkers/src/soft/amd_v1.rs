//! AMD's host tables, "v1".

use super::config::ConfigError;
use super::fetch::fetch;
use crate::{
    Access, AmdV1Registers, DirtyState, EntryRead, Fault, FaultKind, Permissions, PhysMemory,
    Rights, Translation, Walker,
};

/// Bit 0 of an entry, `PR`: it is present. Bit 0 of a device table entry, `V`.
const PRESENT: u64 = 1;
/// Bits 5 and 6 of a leaf, `A` and `D`.
const ACCESSED_DIRTY: u64 = 0b11 << 5;
/// Bit 6 of a leaf, `D`.
const DIRTY: u64 = 1 << 6;
/// Bits 58:52, reserved in every entry.
const RESERVED: u64 = 0x7f << 52;
/// Bits 60:52, reserved in entries that lead to tables; 59 is `U` and 60 `FC` of a leaf.
const RESERVED_IN_POINTERS: u64 = 0x1ff << 52;
/// Bit 60 of a leaf, `FC`.
const FORCE_COHERENT: u64 = 1 << 60;
/// Bit 61 of all entries, `IR`.
const READ: u64 = 1 << 61;
/// Bit 62 of all entries, `IW`.
const WRITE: u64 = 1 << 62;
/// Bits 51:12: as much of an address as an entry can hold.
const ADDRESS: u64 = (1 << 52) - (1 << 12);

/// Bit 1 of a device table entry, `TV`.
const TRANSLATION_VALID: u64 = 1 << 1;
/// Bits 8:7 of a device table entry, `HAD`, both set: hardware manages `A` and `D`.
const HOST_ACCESS_DIRTY: u64 = 0b11 << 7;

/// Host translation of AMD's IOMMUs.
///
/// The device table entry says in `Mode` how many levels there are, 1 to 6. The manual counts them
/// from the page table up, 1 to 6; here they are 3 to -2, as Arm counts.
///
/// # The machine that is modelled
///
/// - `NextLevel` of an entry is the level of the table that it leads to, and below its own. It may
///   skip levels: the bits of the address that these would resolve are zero, or the access is a
///   translation fault at the level of the entry.
/// - `NextLevel` 0 makes a leaf of the size that the entry spans. 7 makes one whose size stands in
///   its address: from bit 12 up, as many ones as make bit n the first zero say 2^(n + 1) bytes. Such
///   a leaf is larger than the entry's span and smaller than the table's; as many entries as it
///   covers are the same, and all of them are read: a conflict if one differs in more than `A` and
///   `D`.
/// - Reserved are ([`FaultKind::Reserved`], at the entry's level): bits 58:52, in entries that lead
///   to tables also 60:59; a `NextLevel` not below the entry's own; an encoded size out of range;
///   address bits below the size of a leaf with `NextLevel` 0; a leaf at the manual's level 6, for
///   which addresses have no room. A `Mode` of 7 is a reserved fault at level 0 for every address.
/// - `IR` and `IW` of the device table entry and of all entries on the way must permit an access: a
///   permission fault at the leaf otherwise. There is one privilege, and fetches are reads.
/// - An address beyond the mode's levels is a translation fault at level 0.
/// - `FC` is [`Translation::snooped`]. `U` matters to devices that keep translations, and to no
///   answer here. With `HAD` 3, hardware sets `A` and `D`; the walker only reads.
///
/// # References
///
/// AMD I/O Virtualization Technology (IOMMU) Specification, 48882: 2.2.2.1 (device table entry),
/// 2.2.3 ("I/O Page Tables for Host Translations": the formats of entries, page sizes, skipped
/// levels).
#[derive(Clone, Copy, Debug)]
pub struct AmdV1<M> {
    memory: M,
    /// The first quadword of the device table entry, which holds all that matters.
    device: u64,
}

impl<M: PhysMemory> AmdV1<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoTable`] if the entry lacks `V` or `TV`, or has the mode 0: nothing is
    /// translated.
    pub fn new(memory: M, registers: AmdV1Registers) -> Result<Self, ConfigError> {
        let mmu = Self { memory, device: registers.device_table_entry[0] };
        let valid = PRESENT | TRANSLATION_VALID;
        if mmu.device & valid == valid && mmu.mode() != 0 {
            Ok(mmu)
        } else {
            Err(ConfigError::NoTable { mode: mmu.mode() })
        }
    }

    const fn mode(&self) -> u8 {
        next_level(self.device)
    }

    /// log2 of the size of the leaf `entry` at the manual's `level`. None if it is reserved.
    const fn leaf_bits(entry: u64, level: u8) -> Option<u8> {
        let span_bits = span_bits(level);
        if span_bits >= 52 {
            return None;
        }
        if next_level(entry) == 0 {
            let unaligned = entry & ADDRESS & ((1 << span_bits) - 1) != 0;
            return if unaligned { None } else { Some(span_bits) };
        }
        // CAST: at most 40, since bits from 52 on are masked.
        let bits = 12 + ((entry & ADDRESS) >> 12).trailing_ones() as u8 + 1;
        if bits > span_bits && bits < span_bits + 9 && bits <= 52 { Some(bits) } else { None }
    }
}

/// Bits 11:9: `NextLevel` of an entry, `Mode` of a device table entry.
const fn next_level(entry: u64) -> u8 {
    // CAST: three bits.
    (entry >> 9 & 0b111) as u8
}

/// log2 of the bytes that an entry at the manual's `level` spans.
const fn span_bits(level: u8) -> u8 {
    12 + 9 * (level - 1)
}

/// The manual's `level` as Arm counts.
const fn arm(level: u8) -> i8 {
    4i8.saturating_sub_unsigned(level)
}

/// Reads all entries that stand for the leaf of 2^`leaf_bits` bytes that has `entry`.
fn check_group<M: PhysMemory>(
    memory: &M,
    read: &EntryRead,
    entry: u64,
    (span_bits, leaf_bits): (u8, u8),
) -> Result<(), Fault> {
    let entries = 1u64 << (leaf_bits - span_bits);
    for index in 0..entries {
        let address = (read.address & !(entries * 8 - 1)) + index * 8;
        let input = read.first & !((1 << leaf_bits) - 1) | index << span_bits;
        let member = EntryRead::on_way(address, read.level, input, span_bits).of_group();
        if (fetch(memory, &member)? ^ entry) & !ACCESSED_DIRTY != 0 {
            return Err(Fault::new(FaultKind::Conflict, read.level));
        }
    }
    Ok(())
}

impl<M: PhysMemory> Walker for AmdV1<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let mut level = self.mode();
        if level > 6 {
            return Err(Fault::new(FaultKind::Reserved, 0));
        }
        // Six levels resolve more bits than an address has.
        if level < 6 && va >> span_bits(level + 1) != 0 {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        let mut table = self.device & ADDRESS;
        let mut rights = self.device;
        loop {
            let span_bits = span_bits(level);
            let fault = |kind| Err(Fault::new(kind, arm(level)));
            let address = table + (va >> span_bits & 0x1ff) * 8;
            let read = EntryRead::on_way(address, arm(level), va, span_bits);
            let entry = fetch(&self.memory, &read)?;
            if entry & PRESENT == 0 {
                return fault(FaultKind::Translation);
            }
            rights &= entry;
            let next = next_level(entry);
            if next != 0 && next != 7 {
                if entry & RESERVED_IN_POINTERS != 0 || next >= level {
                    return fault(FaultKind::Reserved);
                }
                if (va & ((1 << span_bits) - 1)) >> self::span_bits(next + 1) != 0 {
                    return fault(FaultKind::Translation);
                }
                table = entry & ADDRESS;
                level = next;
                continue;
            }
            let Some(leaf_bits) = Self::leaf_bits(entry, level).filter(|_| entry & RESERVED == 0)
            else {
                return fault(FaultKind::Reserved);
            };
            if next == 7 {
                check_group(&self.memory, &read, entry, (span_bits, leaf_bits))?;
            }
            let (size, read, write) = (1 << leaf_bits, rights & READ != 0, rights & WRITE != 0);
            let both = Rights { read, write, execute: read };
            let permissions = Permissions { privileged: both, unprivileged: both };
            let managed = self.device & HOST_ACCESS_DIRTY == HOST_ACCESS_DIRTY && write;
            let address = entry & ADDRESS & !(size - 1) | va & (size - 1);
            return Translation {
                dirty_state: managed.then_some(if entry & DIRTY == 0 {
                    DirtyState::WritableClean
                } else {
                    DirtyState::WritableDirty
                }),
                snooped: entry & FORCE_COHERENT != 0,
                ..Translation::plain((address, size), arm(level), permissions)
            }
            .granted(access);
        }
    }
}
