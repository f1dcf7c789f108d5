//! The table format of Mali's address spaces.

use super::answer::Meaning;
use super::config::ConfigError;
use super::descriptor::Descriptor;
use super::granule::Granule;
use super::layout::AddressLayout;
use super::lookup::{Format, Lookup, Shape};
use super::managed::Managed;
use super::register::Transtab;
use crate::{
    Access, Fault, FaultKind, MemoryType, Permissions, PhysMemory, Rights, Translation, Walker,
};

/// Bits of a GPU virtual address.
const INPUT_BITS: u8 = 48;
/// Bits of a physical address.
const OUTPUT_BITS: u8 = 40;
/// Bit 6 of a leaf: reads.
const READ: u64 = 1 << 6;
/// Bit 7 of a leaf: writes.
const WRITE: u64 = 1 << 7;
/// Bit 54 of a leaf: no execution.
const NO_EXECUTE: u64 = 1 << 54;

/// Raw values of the registers that control a Mali address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MaliRegisters {
    /// `AS_TRANSTAB`: the root's address in bits 63:12, `ADRMODE` in bits 1:0. `READ_INNER`
    /// (bit 2) and `SHARE_OUTER` (bit 4) change no answer.
    pub transtab: u64,
    /// `AS_MEMATTR`: eight attributes, one a byte.
    pub memattr: u64,
}

/// The MMU of a Midgard or Bifrost GPU, in its LPAE mode.
///
/// Always four levels of 4 KiB tables, 48 bits in, 40 bits out. What differs from VMSAv8-64:
///
/// - A leaf has type `0b01` at every level that has leaves, 1 to 3; `0b11` is a table at levels
///   0 to 2 and invalid at level 3.
/// - Permissions are bits 6 (read) and 7 (write), as at stage 2, and one bit 54 (no execution);
///   all are independent and the same for both privileges.
/// - `AttrIndx`, bits 4:2, selects a byte of MEMATTR. Its values are the GPU's own: they come
///   back as [`MemoryType::Other`].
/// - There is no access flag and no contiguous hint.
///
/// # References
///
/// Arm publishes no manual for this format. It is known from the kernel drivers: the fields of
/// `AS_TRANSTAB` and `AS_MEMATTR` and the entries of the "AArch64-like LPAE" mode.
#[derive(Clone, Copy, Debug)]
pub struct Mali<M> {
    memory: M,
    lookup: Lookup,
    memattr: u64,
}

impl<M: PhysMemory> Mali<M> {
    /// An MMU with `registers` that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoTable`] if `ADRMODE` is not `0b11`.
    pub fn new(memory: M, registers: MaliRegisters) -> Result<Self, ConfigError> {
        let transtab = Transtab(registers.transtab);
        if transtab.mode() != Transtab::MODE_TABLE {
            return Err(ConfigError::NoTable { mode: transtab.mode() });
        }
        let shape = Shape {
            format: Format::Mali,
            granule: Granule::Size4K,
            layout: AddressLayout::Bits48,
            start_level: 0,
            input_bits: INPUT_BITS,
            output_bits: OUTPUT_BITS,
            managed: Managed::NOTHING,
        };
        let lookup = Lookup { shape, root: transtab.root() };
        Ok(Self { memory, lookup, memattr: registers.memattr })
    }

    fn memory_type(&self, leaf: Descriptor) -> MemoryType {
        // CAST: the lowest byte is the attribute; the shift is at most 56.
        MemoryType::Other((self.memattr >> (8 * leaf.attribute_index())) as u8)
    }
}

impl<M: PhysMemory> Walker for Mali<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        if va >> INPUT_BITS != 0 {
            return Err(Fault::new(FaultKind::Translation, 0));
        }
        let leaf = self.lookup.walk(&self.memory, va, 0)?;
        let descriptor = leaf.descriptor;
        let rights = Rights {
            read: descriptor.has(READ),
            write: descriptor.has(WRITE),
            execute: !descriptor.has(NO_EXECUTE),
        };
        let meaning = Meaning {
            memory: self.memory_type(descriptor),
            shareability: descriptor.shareability(),
            dirty_state: None,
            non_secure: false,
            global: false,
            permissions: Permissions { privileged: rights, unprivileged: rights },
        };
        leaf.answer(access, meaning)
    }
}
