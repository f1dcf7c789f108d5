//! Instructions at the ends of translations, for fetches that are let through.

use std::collections::BTreeMap;

use super::stub::FROM_VECTOR;
use super::syndrome::{
    EXTERNAL_ABORT, HYPERVISOR_CALL, INSTRUCTION_ABORTS, Syndrome, UNDEFINED, refusal,
};
use crate::qemu::batch::Operation;
use crate::{MmuError, PhysMemory, Ram, Refusal};

/// What is put where fetches lead: `HVC #0x5eed`, which EL0 may not execute, and which takes EL1
/// to EL2.
const HERE: u64 = 0xd400_0002 | 0x5eed << 5;
const HERE_NUMBER: u16 = 0x5eed;

/// The words that instructions were put over. They come back when this is dropped.
#[derive(Debug)]
pub(super) struct Planted<'a> {
    ram: &'a Ram,
    words: BTreeMap<u64, u64>,
}

impl<'a> Planted<'a> {
    /// None yet.
    pub(super) const fn new(ram: &'a Ram) -> Self {
        Self { ram, words: BTreeMap::new() }
    }

    /// Puts an instruction at `address`. Outside of the RAM there is nothing: a fetch is an
    /// external abort there.
    pub(super) fn put(&mut self, address: u64) {
        let place = address & !7;
        let Some(word) = self.ram.read_u64(place) else { return };
        self.words.entry(place).or_insert(word);
        let shift = address % 8 / 4 * 32;
        self.ram.write_u64(place, word & !(0xffff_ffff << shift) | HERE << shift);
    }
}

impl Drop for Planted<'_> {
    fn drop(&mut self) {
        for (&place, &word) in &self.words {
            self.ram.write_u64(place, word);
        }
    }
}

/// How a fetch has ended: it was let through, or why not.
pub(super) fn outcome(operation: Operation) -> Result<Result<(), Refusal>, MmuError> {
    let [_, _, syndromes, _] = operation;
    // CAST: ESR_EL2 in the low half, ESR_EL1 in the high one.
    let (second, first) = (Syndrome(syndromes as u32), Syndrome((syndromes >> 32) as u32));
    // It was cleared before, and every syndrome has `IL` or a class.
    let was_at_el1 = first.0 != 0;
    match second.class() {
        HYPERVISOR_CALL if second.immediate() == HERE_NUMBER => return Ok(Ok(())),
        // EL1 has taken an exception; that there is nothing at its vectors does not matter.
        HYPERVISOR_CALL if second.immediate() == FROM_VECTOR => {}
        class if INSTRUCTION_ABORTS.contains(&class) && was_at_el1 => {}
        class if INSTRUCTION_ABORTS.contains(&class) => return Ok(Err(refusal(second.status()))),
        _ => return Err(unexpected(operation)),
    }
    match first.class() {
        UNDEFINED => Ok(Ok(())),
        class if INSTRUCTION_ABORTS.contains(&class) && first.status() == EXTERNAL_ABORT => {
            Ok(Ok(()))
        }
        class if INSTRUCTION_ABORTS.contains(&class) => Ok(Err(refusal(first.status()))),
        _ => Err(unexpected(operation)),
    }
}

/// A fetch that has ended in no way that is known.
pub(super) fn unexpected([address, _, syndromes, from]: Operation) -> MmuError {
    MmuError::Broken(format!(
        "a fetch from {address:#x} ended at {from:#x} with the syndromes {:#x} and {:#x}",
        syndromes as u32,
        syndromes >> 32
    ))
}
