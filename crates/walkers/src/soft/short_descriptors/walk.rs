//! The walk through at most two tables.

use super::descriptor::{Descriptor, Kind};
use super::register::{Remap, Ttbcr};
use crate::soft::config::ConfigError;
use crate::soft::fetch::fetch;
use crate::{
    Access, EntryRead, EntryWidth, Fault, FaultKind, Permissions, PhysMemory, Rights,
    ShortDescriptorRegisters, Translation, Walker,
};

/// The level of second-level tables.
const SECOND: i8 = 3;
/// The level of the first-level table.
const FIRST: i8 = 2;

/// A stage 1 MMU with short descriptors (`VMSAv7`, `VMSAv8-32` with `EAE` clear).
///
/// Pages are at level 3, as everywhere: the manual's first and second level are 2 and 3 here.
///
/// # The machine that is modelled
///
/// - `TTBR0` is for addresses of 32 − `N` bits, from a table of 16 KiB >> `N`. There is no `TTBR1`:
///   any other address is a translation fault at level 2, and so is every one with `PD0`.
/// - `TEX` remap is on (`SCTLR.TRE`), the `PXN` bits are there, supersections have 40 bits.
/// - All sixteen descriptors of a supersection or a large page are read, and must be the same: a
///   conflict otherwise. Hardware may use any of them, and need not notice.
/// - With `AFE`, `AP[0]` is the access flag, and hardware does not set it. A fetch needs read
///   permission. All domains are clients, and their numbers are not looked at.
/// - Bits that should be zero are not looked at.
///
/// With the extension of `MediaTek`'s IOMMUs, addresses have as many bits as the registers say, of
/// which 20 are resolved by pages and sections, and the first-level table has the rest. Bits 9, 4 and 5 of every descriptor (tables' too) and
/// bits 0 to 2 of `TTBR0` are bits 32 to 34 of the address. They take the place of permissions,
/// of which there are none then: everything that is mapped can be read, written and fetched. No
/// public manual has that; it is known from drivers.
///
/// # References
///
/// Arm DDI 0487, G5.4 ("The VMSAv8-32 Short-descriptor translation table format"), G5.6 (access
/// permissions), G5.7 (memory region attributes); section J1.2, function `AArch32.S1WalkSD`.
#[derive(Clone, Copy, Debug)]
pub struct ShortDescriptors<M> {
    memory: M,
    registers: ShortDescriptorRegisters,
}

/// A leaf, and where it was found.
struct Leaf {
    descriptor: Descriptor,
    kind: Kind,
    read: EntryRead,
    /// The first-level descriptor on the way, the leaf itself included.
    first: Descriptor,
}

impl<M: PhysMemory> ShortDescriptors<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LongDescriptors`] if `EAE` is set.
    pub fn new(memory: M, registers: ShortDescriptorRegisters) -> Result<Self, ConfigError> {
        if Ttbcr(registers.ttbcr).long_descriptors() {
            return Err(ConfigError::LongDescriptors);
        }
        Ok(Self { memory, registers })
    }

    fn read(&self, read: &EntryRead) -> Result<Descriptor, Fault> {
        // CAST: an entry of four bytes.
        Ok(Descriptor(fetch(&self.memory, read)? as u32))
    }

    /// Walks to the leaf of `va`, which is in the range of `TTBR0`.
    fn walk(&self, va: u64) -> Result<Leaf, Fault> {
        let ShortDescriptorRegisters { ttbr0, ttbcr, .. } = self.registers;
        let mediatek = self.registers.mediatek.is_some();
        let root = u64::from(ttbr0 & (u32::MAX << (14 - Ttbcr(ttbcr).reduction())));
        let high = if mediatek { u64::from(ttbr0 & 0b111) << 32 } else { 0 };
        let mut read = four_bytes((high | root) + (va >> 20) * 4, FIRST, va, 20);
        let first = self.read(&read)?;
        let mut kind = first.first_level();
        let mut descriptor = first;
        if kind == Kind::Table {
            let table = first.address(kind, mediatek);
            read = four_bytes(table + (va >> 12 & 0xff) * 4, SECOND, va, 12);
            descriptor = self.read(&read)?;
            kind = descriptor.second_level();
        }
        if kind == Kind::Invalid {
            return Err(Fault::new(FaultKind::Translation, read.level));
        }
        Ok(Leaf { descriptor, kind, read, first })
    }

    /// Reads all sixteen descriptors of `leaf`.
    fn check_group(&self, leaf: &Leaf) -> Result<(), Fault> {
        let level = leaf.read.level;
        let span_bits = leaf.kind.bits() - 4;
        for index in 0..16 {
            let address = (leaf.read.address & !0x3f) + index * 4;
            let input = leaf.read.first & !((1 << leaf.kind.bits()) - 1) | index << span_bits;
            let member = four_bytes(address, level, input, span_bits).of_group();
            if self.read(&member)? != leaf.descriptor {
                return Err(Fault::new(FaultKind::Conflict, level));
            }
        }
        Ok(())
    }
}

const fn four_bytes(address: u64, level: i8, input: u64, span_bits: u8) -> EntryRead {
    EntryRead { width: EntryWidth::Four, ..EntryRead::on_way(address, level, input, span_bits) }
}

impl<M: PhysMemory> Walker for ShortDescriptors<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let ShortDescriptorRegisters { ttbcr, prrr, nmrr, afe, mediatek, .. } = self.registers;
        let ttbcr = Ttbcr(ttbcr);
        let input_bits = mediatek.map_or(32 - ttbcr.reduction(), u32::from);
        let mediatek = mediatek.is_some();
        if va.checked_shr(input_bits).unwrap_or(0) != 0 || ttbcr.walks_disabled() {
            return Err(Fault::new(FaultKind::Translation, FIRST));
        }
        let leaf = self.walk(va)?;
        if leaf.kind.is_repeated() {
            self.check_group(&leaf)?;
        }
        let Leaf { descriptor, kind, read, first } = leaf;
        let fields = descriptor.fields(kind);
        if afe && !mediatek && fields.access & 1 == 0 {
            return Err(Fault::new(FaultKind::AccessFlag, read.level));
        }
        let permissions = if mediatek {
            let all = Rights { read: true, write: true, execute: true };
            Permissions { privileged: all, unprivileged: all }
        } else {
            let mut permissions = fields.permissions(afe);
            permissions.privileged.execute &= !first.no_privileged_execute();
            permissions
        };
        let size = 1 << kind.bits();
        let address = descriptor.address(kind, mediatek) | va & (size - 1);
        let remap = Remap { prrr, nmrr };
        Translation {
            memory: remap.memory(fields.memory),
            shareability: remap.shareability(fields.memory, fields.shareable),
            non_secure: first.non_secure(),
            global: !fields.not_global,
            ..Translation::plain((address, size), read.level, permissions)
        }
        .granted(access)
    }
}
