//! Apple's DART.

use super::fetch::fetch;
use crate::{
    Access, DartRegisters, DartVariant, EntryRead, Fault, FaultKind, MemoryType, Permissions,
    PhysMemory, Rights, Translation, Walker,
};

/// Bit 31 of a `TTBR`: there is a table.
const TTBR_VALID: u32 = 1 << 31;
/// Bit 0 of an entry: it is valid.
const VALID: u64 = 1;
/// Address bits inside a page of 16 KiB.
const PAGE_BITS: u8 = 14;
/// The level of the tables whose entries are pages.
const PAGES: i8 = 3;
/// The level of the tables that a `TTBR` leads to.
const TOP: i8 = 2;
/// Address bits that two levels of 2048 entries and four `TTBR`s resolve.
const INPUT_BITS: u8 = 38;

/// The DART of Apple's systems on a chip, in the variants of the T8020 (and the T8103, M1) and the
/// T6000 (M1 Pro).
///
/// Pages have 16 KiB. Bits 37:36 of an address select one of four `TTBR`s, 35:25 an entry of the
/// table that it leads to (level 2), 24:14 an entry of the next (level 3). An invalid `TTBR` is a
/// translation fault at level 1, and an address beyond 38 bits one at level 0.
///
/// A leaf has bits against reading and against writing, and permits a part of its page only: from
/// bits 63:52 to bits 51:40, both included, in units of a 4096th of a page, which is four bytes.
/// Other accesses are permission faults. (In the T8020, bit 1 switches that off.) There is one
/// privilege, fetches are reads, and what entries of level 2 say beside the address is not looked
/// at.
///
/// # References
///
/// Apple publishes no manual for it. It is known from drivers, and from the Asahi project's tools
/// and notes on the hardware.
#[derive(Clone, Copy, Debug)]
pub struct Dart<M> {
    memory: M,
    registers: DartRegisters,
}

impl<M: PhysMemory> Dart<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    pub const fn new(memory: M, registers: DartRegisters) -> Self {
        Self { memory, registers }
    }

    /// The address of the page or table that `entry` leads to.
    const fn address(&self, entry: u64) -> u64 {
        match self.registers.variant {
            // Bits 35:14 in place.
            DartVariant::T8020 => entry & ((1 << 36) - (1 << PAGE_BITS)),
            // Bits 41:14 in bits 37:10.
            DartVariant::T6000 => (entry & ((1 << 38) - (1 << (PAGE_BITS - 4)))) << 4,
        }
    }

    /// What `leaf` permits at `offset` bytes into its page.
    const fn rights(&self, leaf: u64, offset: u64) -> Rights {
        let (no_read, no_write, whole) = match self.registers.variant {
            DartVariant::T8020 => (1 << 8, 1 << 7, leaf >> 1 & 1 == 1),
            DartVariant::T6000 => (1 << 3, 1 << 2, false),
        };
        let unit = offset >> 2;
        let inside = whole || leaf >> 52 <= unit && unit <= leaf >> 40 & 0xfff;
        let read = inside && leaf & no_read == 0;
        Rights { read, write: inside && leaf & no_write == 0, execute: read }
    }

    const fn memory_type(&self, leaf: u64) -> MemoryType {
        match self.registers.variant {
            DartVariant::T6000 if leaf >> 1 & 1 == 1 => MemoryType::NonCacheable,
            DartVariant::T6000 | DartVariant::T8020 => MemoryType::AsPlatform,
        }
    }
}

impl<M: PhysMemory> Walker for Dart<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        if va >> INPUT_BITS != 0 {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        // CAST: two bits.
        let ttbr = self.registers.ttbr[(va >> 36) as usize];
        if ttbr & TTBR_VALID == 0 {
            return Err(Fault::new(FaultKind::Translation, TOP - 1));
        }
        let mut table = u64::from(ttbr & !TTBR_VALID) << 12;
        let mut level = TOP;
        loop {
            let span_bits = if level == PAGES { PAGE_BITS } else { PAGE_BITS + 11 };
            let address = table + (va >> span_bits & 0x7ff) * 8;
            let entry = fetch(&self.memory, &EntryRead::on_way(address, level, va, span_bits))?;
            if entry & VALID == 0 {
                return Err(Fault::new(FaultKind::Translation, level));
            }
            if level < PAGES {
                table = self.address(entry);
                level += 1;
                continue;
            }
            let size = 1 << PAGE_BITS;
            let rights = self.rights(entry, va & (size - 1));
            let permissions = Permissions { privileged: rights, unprivileged: rights };
            return Translation {
                memory: self.memory_type(entry),
                ..Translation::plain(
                    (self.address(entry) | va & (size - 1), size),
                    level,
                    permissions,
                )
            }
            .granted(access);
        }
    }
}
