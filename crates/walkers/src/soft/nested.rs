//! VMSAv8-64 stage 1 on top of stage 2.

use std::cell::Cell;

use super::config::ConfigError;
use super::stage1::{Stage1, Stage1Registers};
use super::stage2::{Stage2, Stage2Registers};
use crate::{
    Access, DirtyState, EntryRead, EntryRole, Fault, FaultKind, FaultStage, MemoryType,
    Permissions, PhysMemory, Rights, Shareability, Translation, Walker,
};

/// Both stages of the EL1&0 regime.
///
/// The addresses in `TTBR0`, `TTBR1` and in the tables of stage 1 are intermediate ones: each entry
/// of stage 1 is found through stage 2, with a privileged read, and so is what stage 1 leads to,
/// with the access that is asked for.
///
/// # The answer
///
/// The level, the contiguous hint, `NS` and `nG` are stage 1's. A leaf is as large as the smaller
/// of the two, and permits what both permit. Of two memory types the weaker one counts: Device
/// before non-cacheable before write-back, of two kinds of Device memory the stricter; under forced
/// write-back it is what stage 2 says, but for stage 1's where that says so
/// ([`MemoryType::AsStage1`]), and non-cacheable does not weaken Device. Of two shareability fields
/// the wider one counts. A leaf is clean where either stage has it so.
///
/// # Faults
///
/// The level of a fault is that of the stage that it belongs to, which is [`Fault::stage`]. What
/// stage 1 refuses is not asked of stage 2.
///
/// # Not modelled
///
/// `HCR_EL2.PTW`, `CD`, `DC`; what the stages do not model on their own.
///
/// # References
///
/// Arm DDI 0487: D8.1 ("Address translation"), D8.6.6 and D8.6.7 (combining memory attributes);
/// section J1.1, functions `AArch64.S1Walk`, `AArch64.FullTranslate`, `S2CombineS1MemAttrs`.
#[derive(Debug)]
pub struct Nested<M> {
    first: Stage1<Through<M>>,
}

/// Intermediate addresses as memory: what stage 1 reads its tables from.
#[derive(Debug)]
struct Through<M> {
    second: Stage2<Below<M>>,
    /// Why the last read failed, if stage 2 is why.
    fault: Cell<Option<Fault>>,
}

/// Physical memory for stage 2's own reads.
#[derive(Debug)]
struct Below<M>(M);

impl<M: PhysMemory> PhysMemory for Below<M> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.0.read_u64(address)
    }

    fn read_entry(&self, entry: &EntryRead) -> Option<u64> {
        self.0.read_entry(&EntryRead { role: EntryRole::Stage2, ..*entry })
    }
}

impl<M: PhysMemory> Through<M> {
    fn physical(&self, address: u64) -> Option<u64> {
        match self.second.translate(address, Access::PRIVILEGED_READ) {
            Ok(found) => Some(found.address),
            Err(fault) => {
                self.fault.set(Some(Fault { stage: FaultStage::SecondOnWalk, ..fault }));
                None
            }
        }
    }
}

impl<M: PhysMemory> PhysMemory for Through<M> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.second.memory().0.read_u64(self.physical(address)?)
    }

    fn read_entry(&self, entry: &EntryRead) -> Option<u64> {
        let address = self.physical(entry.address)?;
        self.second.memory().0.read_entry(&EntryRead { address, ..*entry })
    }
}

impl<M: PhysMemory> Nested<M> {
    /// An MMU with the registers of both stages that reads its tables from `memory`.
    ///
    /// # Errors
    ///
    /// What [`Stage1::new`] and [`Stage2::new`] refuse.
    pub fn new(
        memory: M,
        first: Stage1Registers,
        second: Stage2Registers,
    ) -> Result<Self, ConfigError> {
        let second = Stage2::new(Below(memory), second)?;
        Ok(Self { first: Stage1::new(Through { second, fault: Cell::new(None) }, first)? })
    }
}

impl<M: PhysMemory> Walker for Nested<M> {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        let through = self.first.memory();
        through.fault.set(None);
        let first = self.first.translate(va, access).map_err(|fault| {
            let of_walk = through.fault.get().filter(|_| fault.kind == FaultKind::ExternalAbort);
            of_walk.unwrap_or(fault)
        })?;
        let second = through
            .second
            .translate(first.address, access)
            .map_err(|fault| Fault { stage: FaultStage::Second, ..fault })?;
        Ok(combine(first, second, through.second.forces_write_back()))
    }
}

fn combine(first: Translation, second: Translation, force_write_back: bool) -> Translation {
    Translation {
        address: second.address,
        leaf_size: first.leaf_size.min(second.leaf_size),
        memory: memory_type(first.memory, second.memory, force_write_back),
        shareability: shareability(first.shareability, second.shareability),
        dirty_state: match (first.dirty_state, second.dirty_state) {
            (Some(DirtyState::WritableClean), _) | (_, Some(DirtyState::WritableClean)) => {
                Some(DirtyState::WritableClean)
            }
            (first, second) => first.or(second),
        },
        permissions: Permissions {
            privileged: both(first.permissions.privileged, second.permissions.privileged),
            unprivileged: both(first.permissions.unprivileged, second.permissions.unprivileged),
        },
        ..first
    }
}

const fn both(first: Rights, second: Rights) -> Rights {
    Rights {
        read: first.read && second.read,
        write: first.write && second.write,
        execute: first.execute && second.execute,
    }
}

fn memory_type(first: MemoryType, second: MemoryType, force_write_back: bool) -> MemoryType {
    use MemoryType::{AsStage1, Device, NonCacheable, Other, WriteBack};
    match (first, second) {
        (first, AsStage1) | (first @ Device(_), NonCacheable) => first,
        (_, second) if force_write_back => second,
        (Device(first), Device(second)) => Device(first.min(second)),
        (first @ Device(_), _) | (first @ Other(_), WriteBack) => first,
        (_, second @ Device(_)) => second,
        (NonCacheable, _) | (_, NonCacheable) => NonCacheable,
        (_, second) => second,
    }
}

const fn shareability(first: Shareability, second: Shareability) -> Shareability {
    use Shareability::{Inner, Non, Outer, Reserved};
    match (first, second) {
        (Outer, _) | (_, Outer) => Outer,
        (Inner, _) | (_, Inner) => Inner,
        (Reserved, _) | (_, Reserved) => Reserved,
        (Non, Non) => Non,
    }
}
