//! An emulated GPU with an MMU like Mali's, as its manual would describe it: registers, and what it
//! does with memory.
//!
//! It walks the tables with `walkers`, and caches each translation until it is told to forget it. A
//! driver that forgets to tell it shows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use iopgtable::PhysAddr;
use iopgtable::memory::Region;
use walkers::soft::{Mali, MaliRegisters};
use walkers::{Access, AccessKind, Fault, FaultKind, FnMemory, Translation, Walker};

pub(crate) const SLOTS: usize = 2;
/// Where memory begins that is not for tables, and how many bytes it has.
pub(crate) const RAM: (u64, usize) = (0x4000_0000, 32 << 20);
/// `Status`: a command is being carried out.
pub(crate) const ACTIVE: u64 = 1;

/// The registers of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Register {
    TransTab,
    MemAttr,
    /// The region that commands are for: its base, and log2 of its bytes, less one.
    LockAddr,
    Command,
    FaultStatus,
    FaultAddress,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Use `TransTab` and `MemAttr` from now on.
    Update = 1,
    /// Stall accesses to the region.
    Lock = 2,
    /// Let them go on.
    Unlock = 3,
    /// Forget all translations and walks of the locked region.
    FlushPt = 4,
}

/// What jobs are made of. Addresses are virtual, sizes are in words of eight bytes.
pub(crate) enum Instruction {
    Fill { to: u64, words: u64, value: u64 },
    Add { from: [u64; 2], to: u64, words: u64 },
}

#[derive(Default)]
struct Slot {
    registers: [u64; 7],
    tables: Option<MaliRegisters>,
    locked: Option<(u64, u64)>,
    /// Keeps whatever it was not told to forget.
    tlb: HashMap<u64, Translation>,
}

#[derive(Default)]
struct State {
    slots: [Slot; SLOTS],
    /// A bit for each slot that has met a fault.
    interrupts: u32,
    is_hung: bool,
}

pub(crate) struct Gpu {
    state: Mutex<State>,
    unlocked: Condvar,
    tables: Arc<Region>,
    ram: Vec<AtomicU64>,
}

impl Gpu {
    pub(crate) fn new(tables: Arc<Region>) -> Self {
        let ram = (0..RAM.1 / 8).map(|_| AtomicU64::new(0)).collect();
        Self { state: Mutex::default(), unlocked: Condvar::new(), tables, ram }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self, slot: usize, register: Register) -> u64 {
        self.state().slots[slot].registers[register as usize]
    }

    pub(crate) fn write(&self, slot: usize, register: Register, value: u64) {
        let mut state = self.state();
        let is_hung = state.is_hung;
        let Slot { registers, tables, locked, tlb } = &mut state.slots[slot];
        registers[register as usize] = value;
        if !matches!(register, Register::Command) {
            return;
        }
        if is_hung {
            registers[Register::Status as usize] = ACTIVE;
            return;
        }
        let [transtab, memattr, lock, ..] = *registers;
        match value {
            1 => *tables = (transtab & 3 == 3).then_some(MaliRegisters { transtab, memattr }),
            2 => {
                let rest = u64::MAX >> (63 - (lock & 63));
                *locked = Some((lock & !rest, lock | rest));
            }
            3 => *locked = None,
            4 => {
                let (first, last) = locked.expect("a flush is for a locked region");
                tlb.retain(|page, _| page | 0xfff < first || *page > last);
            }
            _ => panic!("no such command"),
        }
        self.unlocked.notify_all();
    }

    /// What the interrupt lines say; reading clears them.
    pub(crate) fn take_interrupts(&self) -> u32 {
        std::mem::take(&mut self.state().interrupts)
    }

    /// Whether it stops answering commands: for demonstrations.
    pub(crate) fn hang(&self, is_hung: bool) {
        self.state().is_hung = is_hung;
    }

    /// The reset line: whatever it did, it has forgotten it.
    pub(crate) fn reset(&self) {
        *self.state() = State::default();
        self.unlocked.notify_all();
    }

    /// The word at a physical address.
    pub(crate) fn word(&self, phys: u64) -> &AtomicU64 {
        &self.ram[usize::try_from((phys - RAM.0) / 8).expect("an address of memory")]
    }

    /// Runs a job in a slot's address space; whether it came to its end. Where it met a fault,
    /// the slot's registers say which.
    pub(crate) fn run(&self, slot: usize, job: &[Instruction]) -> bool {
        let run = |instruction: &Instruction| match *instruction {
            Instruction::Fill { to, words, value } => {
                (0..words).try_for_each(|n| self.store(slot, to + 8 * n, value))
            }
            Instruction::Add { from: [one, other], to, words } => (0..words).try_for_each(|n| {
                let sum = self.load(slot, one + 8 * n)? + self.load(slot, other + 8 * n)?;
                self.store(slot, to + 8 * n, sum)
            }),
        };
        job.iter().try_for_each(run).is_some()
    }

    fn load(&self, slot: usize, va: u64) -> Option<u64> {
        let phys = self.translate(slot, va, Access::UNPRIVILEGED_READ)?;
        Some(self.word(phys).load(Ordering::Relaxed))
    }

    fn store(&self, slot: usize, va: u64, value: u64) -> Option<()> {
        let phys = self.translate(slot, va, Access::UNPRIVILEGED_WRITE)?;
        self.word(phys).store(value, Ordering::Relaxed);
        Some(())
    }

    fn translate(&self, slot: usize, va: u64, access: Access) -> Option<u64> {
        let is_locked = |state: &mut State| {
            state.slots[slot].locked.is_some_and(|(first, last)| (first..=last).contains(&va))
        };
        let waited = self.unlocked.wait_while(self.state(), is_locked);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let Slot { registers, tables, tlb, .. } = &mut state.slots[slot];
        let found = match (tlb.get(&(va & !0xfff)), *tables) {
            (Some(known), _) => Ok(*known),
            (None, None) => Err(Fault::new(FaultKind::Translation, 0)),
            (None, Some(tables)) => {
                // SAFETY: the region was zeroed when it was made. The address is not locked,
                // so what is on its way to the leaf is not being changed.
                let read = |phys| unsafe { self.tables.read(PhysAddr(phys)) };
                let mmu = Mali::new(FnMemory(read), tables).expect("the mode was checked");
                mmu.translate(va & !0xfff, access)
            }
        };
        let fault = match found {
            Ok(found) if found.permissions.allow(access) => {
                tlb.insert(va & !0xfff, found);
                return Some(found.address | va & 0xfff);
            }
            Ok(found) => Fault::new(FaultKind::Permission, found.level),
            Err(fault) => fault,
        };
        let code = if fault.kind == FaultKind::Permission { 0xc8 } else { 0xc0 };
        let kind = if access.kind == AccessKind::Write { 3 } else { 2 };
        registers[Register::FaultStatus as usize] =
            code | u64::from(fault.level.unsigned_abs()) | kind << 8;
        registers[Register::FaultAddress as usize] = va;
        state.interrupts |= 1 << slot;
        None
    }
}
