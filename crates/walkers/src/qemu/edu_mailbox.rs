//! The part of RAM that a machine's driver uses: queues, configuration, buffers.

use crate::{MmuError, Ram};

/// What of the RAM a machine may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// The first of [`MAILBOX_BYTES`](Self::MAILBOX_BYTES), a multiple of 64 KiB, for what the
    /// machine is programmed with. Only one machine at a time may use it, and no table may lie
    /// there.
    pub mailbox: u64,
    /// The first and the last byte, both included, of a window of whole pages of 4 KiB to which
    /// leaves lead. The machine fills it with a pattern. Every address that is asked for and does
    /// not lead there is answered as a refusal without a class.
    pub targets: (u64, u64),
}

impl Areas {
    /// How large the mailbox is.
    pub const MAILBOX_BYTES: u64 = 512 << 10;
}

/// The mailbox, as far as it is given out.
#[derive(Debug)]
pub(super) struct Mailbox<'a> {
    ram: &'a Ram,
    next: u64,
    end: u64,
}

impl<'a> Mailbox<'a> {
    pub(super) const fn new(ram: &'a Ram, first: u64) -> Self {
        Self { ram, next: first, end: first.saturating_add(Areas::MAILBOX_BYTES) }
    }

    /// Writes a word of what was taken.
    pub(super) fn write(&self, address: u64, word: u64) {
        self.ram.write_u64(address, word);
    }

    /// Zeroed memory of `bytes` bytes, aligned to `align`, a power of two.
    pub(super) fn take(&mut self, bytes: u64, align: u64) -> Result<u64, MmuError> {
        let first = self.next.next_multiple_of(align);
        let end = first + bytes;
        if end > self.end || !(first..end).step_by(8).all(|at| self.ram.write_u64(at, 0)) {
            return Err(MmuError::Broken("there is no RAM for the mailbox".to_owned()));
        }
        self.next = end;
        Ok(first)
    }
}
