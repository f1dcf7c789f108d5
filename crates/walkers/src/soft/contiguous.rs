//! The contiguous hint: what a group of leaves that carry it must agree on.

use super::descriptor::{
    ACCESS_FLAG, CONTIGUOUS, DBM, Descriptor, GUARDED_PAGE, LOWER_ATTRIBUTES, S2AP_WRITE,
    UPPER_ATTRIBUTES,
};
use super::fetch::fetch;
use super::granule::Granule;
use super::lookup::{Entry, Format, Shape};
use crate::{EntryRead, Fault, FaultKind, PhysMemory};

/// The bits of a leaf that say something, but for its address and its access flag. (Where `DS` is
/// set, bits 9:8 belong to the address, and are the same in a group as well.)
const COMMON: u64 =
    LOWER_ATTRIBUTES & !ACCESS_FLAG | GUARDED_PAGE | DBM | CONTIGUOUS | UPPER_ATTRIBUTES;

/// Where a leaf with the hint was found.
pub(super) struct Member {
    pub(super) leaf: Descriptor,
    /// How it was read.
    pub(super) read: EntryRead,
    /// Output address of the leaf.
    pub(super) base: u64,
}

impl Granule {
    /// log2 of the entries in a group at `level`. None where bit 52 is `RES0`: in blocks at
    /// levels that have them only for large addresses.
    ///
    /// Arm DDI 0487, section J1.1, functions `AArch64.ContiguousBit` and `ContiguousSize`.
    const fn contiguous_bits(self, level: i8) -> Option<u8> {
        match (self, level) {
            (Self::Size4K, 1..=3) => Some(4),
            (Self::Size16K, 2) | (Self::Size64K, 2 | 3) => Some(5),
            (Self::Size16K, 3) => Some(7),
            _ => None,
        }
    }
}

impl Shape {
    /// Whether `leaf` carries the hint, which not every level has.
    pub(super) fn is_contiguous(&self, leaf: Descriptor, level: i8) -> bool {
        matches!(self.format, Format::Vmsa)
            && leaf.has(CONTIGUOUS)
            && self.granule.contiguous_bits(level).is_some()
    }

    /// Checks all members of the group of `member`, a leaf with the hint.
    ///
    /// # Errors
    ///
    /// - A translation fault if the group reaches beyond the input range, as
    ///   `AArch64.ContiguousBitFaults` permits.
    /// - A conflict if a member is not a leaf with the hint, has other attributes, or leads
    ///   elsewhere than one run of addresses, aligned to its size, would.
    /// - An external abort if a member cannot be read.
    pub(super) fn check_group<M: PhysMemory>(
        &self,
        memory: &M,
        member: &Member,
    ) -> Result<(), Fault> {
        let level = member.read.level;
        let Some(group_bits) = self.granule.contiguous_bits(level) else { return Ok(()) };
        let span_bits = self.granule.span_bits(level);
        if span_bits + group_bits > self.input_bits {
            return Err(Fault::new(FaultKind::Translation, level));
        }

        // The table has the whole group, and is aligned to its own size at least.
        let first_entry = member.read.address & (u64::MAX << (group_bits + 3));
        let first_input = member.read.first & (u64::MAX << (span_bits + group_bits));
        let first_base = member.base & (u64::MAX << (span_bits + group_bits));
        for index in 0..1u64 << group_bits {
            let input = first_input + (index << span_bits);
            let read = EntryRead::on_way(first_entry + index * 8, level, input, span_bits);
            let descriptor = Descriptor(fetch(memory, &read.of_group())?);
            let agrees = matches!(self.entry(level, descriptor), Entry::Leaf)
                && self.common(descriptor) == self.common(member.leaf)
                && self.layout.address(descriptor, span_bits) == first_base + (index << span_bits);
            if !agrees {
                return Err(Fault::new(FaultKind::Conflict, level));
            }
        }
        Ok(())
    }

    /// What all members must have in common. Hardware that manages the dirty state changes bit 7
    /// of each leaf on its own, `AP[2]` at stage 1 and `S2AP[1]` at stage 2.
    fn common(&self, leaf: Descriptor) -> u64 {
        let dirty = if self.managed.dirty_state && leaf.has(DBM) { S2AP_WRITE } else { 0 };
        leaf.0 & COMMON & !dirty
    }
}
