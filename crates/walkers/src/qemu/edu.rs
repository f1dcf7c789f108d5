//! QEMU's `edu`, a PCI device for teaching: what of it copies memory.
//!
//! It has a buffer of 4 KiB, and copies from memory into it or the other way round. The copy is made
//! when a timer goes off, 100 ms after it was asked for.
//!
//! # References
//!
//! QEMU, `docs/specs/edu.rst`.

use super::qtest::{Asked, Script};

/// Vendor and device, as the configuration space says them.
pub(super) const IDENTITY: u32 = 0x11e8_1234;

/// What its first base address register covers.
pub(super) const BAR_BYTES: u64 = 1 << 20;

/// How many words its buffer has.
pub(super) const BUFFER_WORDS: u64 = 512;

/// Where the device's registers say that its buffer is.
const BUFFER: u64 = 0x4_0000;

/// Source, target, count and command: four registers of 64 bits.
const DMA: u64 = 0x80;
const COMMAND: u64 = 0x98;

/// Bits of the command.
const RUN: u64 = 1;
const TO_MEMORY: u64 = 1 << 1;

/// One device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edu {
    /// Where its registers are.
    pub(super) bar: u64,
    /// Bus, device and function.
    pub(super) requester: u16,
}

impl Edu {
    /// Starts to copy `words` words from memory to the word `slot` of the buffer.
    pub(super) fn fetch(self, script: &mut Script, address: u64, slot: u64, words: u64) {
        script.write_all(self.bar + DMA, [address, BUFFER + slot * 8, words * 8, RUN]);
    }

    /// Starts to copy `words` words from the word `slot` of the buffer to memory.
    pub(super) fn store(self, script: &mut Script, slot: u64, address: u64, words: u64) {
        let command = RUN | TO_MEMORY;
        script.write_all(self.bar + DMA, [BUFFER + slot * 8, address, words * 8, command]);
    }

    /// Asks how far it is: see [`done`].
    pub(super) fn ask(self, script: &mut Script) -> Asked {
        script.read_u64(self.bar + COMMAND)
    }
}

/// Whether a device that answers so has made its copy.
pub(super) const fn done(answer: u64) -> bool {
    answer & RUN == 0
}
