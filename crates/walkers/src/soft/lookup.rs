//! The walk itself: from a root to a leaf, level by level.

use super::descriptor::{Descriptor, TABLE_OR_PAGE, VALID};
use super::granule::Granule;
use crate::{Fault, FaultKind, PhysMemory};

/// How descriptor types are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// VMSAv8-64: a leaf at level 3 is a page, type `0b11`.
    Vmsa,
    /// Mali: every leaf is of type `0b01`, at level 3 too.
    Mali,
}

enum Entry {
    Invalid,
    Table,
    Leaf,
}

impl Format {
    /// What `descriptor` is at `level` (Arm DDI 0487, table D8-48).
    fn entry(self, granule: Granule, level: i8, descriptor: Descriptor) -> Entry {
        if !descriptor.has(VALID) {
            return Entry::Invalid;
        }
        let bit1 = descriptor.has(TABLE_OR_PAGE);
        match (self, level < 3) {
            (_, true) if bit1 => Entry::Table,
            (_, true) if granule.has_block_at(level) => Entry::Leaf,
            (Self::Vmsa, false) if bit1 => Entry::Leaf,
            (Self::Mali, false) if !bit1 => Entry::Leaf,
            _ => Entry::Invalid,
        }
    }
}

/// Where a walk starts and what bounds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    pub(super) format: Format,
    pub(super) granule: Granule,
    /// Physical address of the root table, or of the first of several concatenated ones.
    pub(super) root: u64,
    pub(super) start_level: i8,
    /// Bits of a physical address, at most 48.
    pub(super) output_bits: u8,
}

/// What a walk ends at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) descriptor: Descriptor,
    pub(super) level: i8,
    /// Physical address of the byte that was asked for.
    pub(super) address: u64,
    /// Bytes that the descriptor maps.
    pub(super) size: u64,
    /// All table descriptors on the way, ored: each hierarchical bit removes permissions, so
    /// this is the sum of what they remove.
    pub(super) tables: Descriptor,
}

impl Lookup {
    /// Walks to the leaf of `input`, an address below 2^48 that the caller found to be in range.
    pub(super) fn walk<M: PhysMemory>(&self, memory: &M, input: u64) -> Result<Leaf, Fault> {
        self.fits(self.root, 0)?;

        let mut table = self.root;
        let mut tables = Descriptor::default();
        let mut level = self.start_level;
        // The first lookup takes all bits above its span: fewer than a table's for a reduced
        // root, up to four more for concatenated ones.
        let mut index_mask = u64::MAX;
        loop {
            let span_bits = self.granule.span_bits(level);
            let index = input >> span_bits & index_mask;
            // OVERFLOW: the table lies below 2^48 as `fits` checked, the index below 2^36.
            let entry_address = table + index * 8;
            let descriptor = memory
                .read_u64(entry_address)
                .map(Descriptor)
                .ok_or(Fault::new(FaultKind::ExternalAbort, level))?;

            match self.format.entry(self.granule, level, descriptor) {
                Entry::Invalid => return Err(Fault::new(FaultKind::Translation, level)),
                Entry::Table => {
                    table = self.output(descriptor, self.granule.page_bits(), level)?;
                    tables.0 |= descriptor.0;
                    index_mask = (1 << self.granule.stride()) - 1;
                    level += 1;
                }
                Entry::Leaf => {
                    let base = self.output(descriptor, span_bits, level)?;
                    let size = 1 << span_bits;
                    let address = base | input & (size - 1);
                    return Ok(Leaf { descriptor, level, address, size, tables });
                }
            }
        }
    }

    /// The address in `descriptor`, if it fits the output size.
    fn output(&self, descriptor: Descriptor, low_bit: u8, level: i8) -> Result<u64, Fault> {
        let address = descriptor.address(low_bit);
        self.fits(address, level)?;
        // With 64 KiB, bits 15:12 are address bits 51:48. A machine without 52-bit addresses may
        // ignore them, but that is deprecated (rule `RWDZFC`): they do not fit.
        if matches!(self.granule, Granule::Size64K) && descriptor.0 >> 12 & 0xf != 0 {
            return Err(Fault::new(FaultKind::AddressSize, level));
        }
        Ok(address)
    }

    fn fits(&self, address: u64, level: i8) -> Result<(), Fault> {
        if address >> self.output_bits == 0 {
            Ok(())
        } else {
            Err(Fault::new(FaultKind::AddressSize, level))
        }
    }
}
