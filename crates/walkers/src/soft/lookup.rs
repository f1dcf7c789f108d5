//! The walk itself: from a root to a leaf, level by level.

use super::contiguous::Member;
use super::descriptor::{Descriptor, TABLE_OR_PAGE, VALID};
use super::fetch::fetch;
use super::granule::Granule;
use super::layout::AddressLayout;
use super::managed::Managed;
use crate::{EntryRead, Fault, FaultKind, PhysMemory};

/// How descriptor types are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// VMSA: a leaf at level 3 is a page, type `0b11`.
    Vmsa,
    /// Mali: every leaf is of type `0b01`, at level 3 too.
    Mali,
}

/// What a descriptor is at its level.
pub(super) enum Entry {
    Invalid,
    Table,
    Leaf,
}

/// What the tables look like, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) format: Format,
    pub(super) granule: Granule,
    pub(super) layout: AddressLayout,
    pub(super) start_level: i8,
    pub(super) input_bits: u8,
    pub(super) output_bits: u8,
    pub(super) managed: Managed,
}

impl Shape {
    /// What `descriptor` is at `level` (Arm DDI 0487, table D8-48).
    pub(super) fn entry(&self, level: i8, descriptor: Descriptor) -> Entry {
        if !descriptor.has(VALID) {
            return Entry::Invalid;
        }
        let bit1 = descriptor.has(TABLE_OR_PAGE);
        let block_here = || self.granule.has_block_at(level, self.layout, self.output_bits);
        match (self.format, level < 3) {
            (_, true) if bit1 => Entry::Table,
            (_, true) if block_here() => Entry::Leaf,
            (Format::Vmsa, false) if bit1 => Entry::Leaf,
            (Format::Mali, false) if !bit1 => Entry::Leaf,
            _ => Entry::Invalid,
        }
    }

    /// The address in `descriptor`, if it fits the output size.
    fn output(&self, descriptor: Descriptor, low_bit: u8, level: i8) -> Result<u64, Fault> {
        let address = self.layout.address(descriptor, low_bit);
        self.fits(address, level)?;
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

/// Where a walk starts and what bounds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    pub(super) shape: Shape,
    /// Physical address of the root table, or of the first of several concatenated ones.
    pub(super) root: u64,
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
    /// It carries the contiguous hint, and so does all of its group.
    pub(super) contiguous: bool,
    /// All table descriptors on the way, ored: each hierarchical bit removes permissions, so
    /// this is the sum of what they remove.
    pub(super) tables: Descriptor,
}

impl Lookup {
    /// A walk from the tables that the register `base` names. None if the start level leaves no
    /// bit of the input to the first lookup, or so many that more than 16 tables were
    /// concatenated.
    pub(super) fn new(base: u64, shape: Shape) -> Option<Self> {
        let Shape { granule, layout, start_level, input_bits, output_bits, .. } = shape;
        let index_bits = input_bits.checked_sub(granule.span_bits(start_level))?;
        (1..=granule.stride() + 4)
            .contains(&index_bits)
            .then(|| Self { shape, root: layout.table_address(base, index_bits + 3, output_bits) })
    }

    /// Walks to the leaf of `input`, an address that the caller found to be in range, without the
    /// bits `above` the range.
    pub(super) fn walk<M: PhysMemory>(
        &self,
        memory: &M,
        input: u64,
        above: u64,
    ) -> Result<Leaf, Fault> {
        let shape = &self.shape;
        shape.fits(self.root, 0)?;

        let mut table = self.root;
        let mut tables = Descriptor::default();
        let mut level = shape.start_level;
        // The first lookup takes all bits above its span: fewer than a table's for a reduced
        // root, up to four more for concatenated ones.
        let mut index_mask = u64::MAX;
        loop {
            let span_bits = shape.granule.span_bits(level);
            let index = input >> span_bits & index_mask;
            // OVERFLOW: the table lies below 2^52 as `fits` checked, the index below 2^40.
            let address = table + index * 8;
            let read = EntryRead::on_way(address, level, above | input, span_bits);
            let descriptor = Descriptor(fetch(memory, &read)?);

            match shape.entry(level, descriptor) {
                Entry::Invalid => return Err(Fault::new(FaultKind::Translation, level)),
                Entry::Table => {
                    table = shape.output(descriptor, shape.granule.page_bits(), level)?;
                    tables.0 |= descriptor.0;
                    index_mask = (1 << shape.granule.stride()) - 1;
                    level += 1;
                }
                Entry::Leaf => {
                    let base = shape.output(descriptor, span_bits, level)?;
                    let contiguous = shape.is_contiguous(descriptor, level);
                    if contiguous {
                        let member = Member { leaf: descriptor, read, base };
                        shape.check_group(memory, &member)?;
                    }
                    let size = 1 << span_bits;
                    let address = base | input & (size - 1);
                    return Ok(Leaf { descriptor, level, address, size, contiguous, tables });
                }
            }
        }
    }
}
