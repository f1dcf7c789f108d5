//! The queues of a RISC-V IOMMU: commands to it, faults from it.
//!
//! # References
//!
//! The RISC-V IOMMU Architecture Specification, 1.0: 4.1 (commands), 4.2 (faults).

use super::edu_iommu::Report;
use super::edu_mailbox::Mailbox;
use crate::{FaultKind, MmuError, PhysMemory, Ram};

/// A command of two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command([u64; 2]);

/// `IOTINVAL.VMA`, `IOTINVAL.GVMA`, `IODIR.INVAL_DDT`: opcode and function.
const FIRST: u64 = 1;
const SECOND: u64 = 1 | 1 << 7;
const CONTEXTS: u64 = 3;

/// Which of its operands a command has: an address, a process's space, a guest's.
const ADDRESS_VALID: u64 = 1 << 10;
const PROCESS_VALID: u64 = 1 << 32;
const GUEST_VALID: u64 = 1 << 33;

impl Command {
    /// Forgets the first stage of all.
    pub(super) const fn all_first() -> Self {
        Self([FIRST, 0])
    }

    /// Forgets the second stage of all.
    pub(super) const fn all_second() -> Self {
        Self([SECOND, 0])
    }

    /// Forgets all device contexts.
    pub(super) const fn all_contexts() -> Self {
        Self([CONTEXTS, 0])
    }

    /// Forgets a space of the first stage.
    pub(super) const fn first(process: u16) -> Self {
        Self([FIRST | PROCESS_VALID | (process as u64) << 12, 0])
    }

    /// Forgets a space of the second stage.
    pub(super) const fn second(guest: u16) -> Self {
        Self([SECOND | GUEST_VALID | (guest as u64) << 44, 0])
    }

    /// The same for the page of that number only.
    pub(super) const fn page(self, number: u64) -> Self {
        let Self([word, _]) = self;
        Self([word | ADDRESS_VALID, number << 10])
    }
}

/// The command queue.
#[derive(Debug)]
pub(super) struct CommandQueue {
    first: u64,
    tail: u32,
}

impl CommandQueue {
    const BITS: u32 = 11;
    /// How its base register says its size.
    pub(super) const SIZE: u64 = Self::BITS as u64 - 1;
    /// How many commands may wait for the IOMMU.
    pub(super) const ROOM: usize = (1 << Self::BITS) - 1;

    pub(super) fn new(mailbox: &mut Mailbox<'_>) -> Result<Self, MmuError> {
        let bytes = 16 << Self::BITS;
        Ok(Self { first: mailbox.take(bytes, bytes)?, tail: 0 })
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) const fn tail(&self) -> u32 {
        self.tail
    }

    pub(super) fn push(&mut self, ram: &Ram, Command(words): Command) {
        for (at, word) in (self.first + 16 * u64::from(self.tail)..).step_by(8).zip(words) {
            ram.write_u64(at, word);
        }
        self.tail = (self.tail + 1) & ((1 << Self::BITS) - 1);
    }
}

/// The fault queue.
#[derive(Debug)]
pub(super) struct FaultQueue {
    first: u64,
    head: u32,
}

impl FaultQueue {
    /// More than twice the number of requests of a batch: QEMU makes an access of eight bytes
    /// twice if it is refused.
    const BITS: u32 = 11;
    const MASK: u32 = (1 << Self::BITS) - 1;
    /// How its base register says its size.
    pub(super) const SIZE: u64 = Self::BITS as u64 - 1;

    pub(super) fn new(mailbox: &mut Mailbox<'_>) -> Result<Self, MmuError> {
        let bytes = 32 << Self::BITS;
        Ok(Self { first: mailbox.take(bytes, bytes)?, head: 0 })
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) const fn head(&self) -> u32 {
        self.head
    }

    /// The faults up to `FQT`.
    pub(super) fn until(&mut self, ram: &Ram, tail: u32) -> Result<Vec<Report>, String> {
        let mut reports = Vec::new();
        while (tail ^ self.head) & Self::MASK != 0 {
            let at = self.first + 32 * u64::from(self.head);
            let word = |index: u64| ram.read_u64(at + 8 * index).unwrap_or(0);
            let kind = match word(0) & 0xfff {
                // Access faults of reads and writes: of tables, for data is none of its business.
                5 | 7 => Some(FaultKind::ExternalAbort),
                // Page faults, and guest-page faults.
                13 | 15 | 21 | 23 => None,
                cause => return Err(format!("its IOMMU reports cause {cause}")),
            };
            reports.push(Report { address: word(2), kind });
            self.head = (self.head + 1) & Self::MASK;
        }
        Ok(reports)
    }
}
