//! The SMMU's queues: commands to it, events from it.
//!
//! # References
//!
//! Arm IHI 0070: 3.5 (queues), 4 (commands), 7.3 (event records).

use super::edu_mailbox::Mailbox;
use crate::{FaultKind, MmuError, PhysMemory, Ram};

/// A command of two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command([u64; 2]);

/// Opcodes.
const CFGI_STE: u64 = 0x03;
const TLBI_NH_ASID: u64 = 0x11;
const TLBI_NH_VA: u64 = 0x12;
const TLBI_S12_VMALL: u64 = 0x28;
const TLBI_S2_IPA: u64 = 0x2a;
const TLBI_NSNH_ALL: u64 = 0x30;
const SYNC: u64 = 0x46;

/// Where fields are in the first word.
const NUM: u32 = 12;
const SCALE: u32 = 20;
const STREAM: u32 = 32;
const VMID: u32 = 32;
const ASID: u32 = 48;

/// `Leaf`, in the second word; and `TTL` and `TG`.
const LEAF: u64 = 1;
const TTL: u32 = 8;
const TG: u32 = 10;

/// How `TG` says a granule, which is the number of its bits.
fn tg(granule: u8) -> u64 {
    (u64::from(granule - 10) / 2) << TG
}

impl Command {
    /// Waits for the ones before.
    pub(super) const fn sync() -> Self {
        Self([SYNC, 0])
    }

    /// Forgets what was read of the stream table, and all that it leads to.
    pub(super) const fn configuration(stream: u16) -> Self {
        Self([CFGI_STE | (stream as u64) << STREAM, LEAF])
    }

    /// Forgets all translations.
    pub(super) const fn all() -> Self {
        Self([TLBI_NSNH_ALL, 0])
    }

    /// Forgets an address space of stage 1 alone.
    pub(super) const fn asid(asid: u16) -> Self {
        Self([TLBI_NH_ASID | (asid as u64) << ASID, 0])
    }

    /// Forgets all of a virtual machine.
    pub(super) const fn vmid(vmid: u16) -> Self {
        Self([TLBI_S12_VMALL | (vmid as u64) << VMID, 0])
    }

    /// Forgets addresses of stage 1: see [`range`](Self::range).
    pub(super) const fn stage1(asid: u16, vmid: u16, leaves_only: bool) -> Self {
        let first = TLBI_NH_VA | (asid as u64) << ASID | (vmid as u64) << VMID;
        Self([first, if leaves_only { LEAF } else { 0 }])
    }

    /// Forgets addresses of stage 2.
    pub(super) const fn stage2(vmid: u16, leaves_only: bool) -> Self {
        let first = TLBI_S2_IPA | (vmid as u64) << VMID;
        Self([first, if leaves_only { LEAF } else { 0 }])
    }

    /// This command for the page of `address`, or for a leaf of `level` there.
    pub(super) fn page(self, address: u64, granule: u8, level: Option<i8>) -> Self {
        let Self([word0, word1]) = self;
        // Level 0 has no hint, nor have levels above.
        let ttl = level.and_then(|level| u64::try_from(level).ok()).unwrap_or(0) & 3;
        Self([word0, word1 | ttl << TTL | tg(granule) | address >> granule << granule])
    }

    /// This command for each part of the pages from that of `first` to that of `last`: a number
    /// of pages up to 32, times a power of two.
    pub(super) fn range(
        self,
        first: u64,
        last: u64,
        granule: u8,
    ) -> impl Iterator<Item = Self> + use<> {
        let mut page = first >> granule;
        let mut left = (last >> granule).saturating_sub(page) + 1;
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let scale = left.trailing_zeros().min(31);
            // The lowest five bits that count; or as many as there are, where scales end.
            let number = if scale == 31 { (left >> scale).min(32) } else { left >> scale & 31 };
            let Self([word0, word1]) = self;
            let command = Self([
                word0 | (number - 1) << NUM | u64::from(scale) << SCALE,
                word1 | tg(granule) | page << granule,
            ]);
            page += number << scale;
            left -= number << scale;
            Some(command)
        })
    }
}

/// The command queue.
#[derive(Debug)]
pub(super) struct Queue {
    first: u64,
    /// Counts commands. Its lower bits and the one above them are the register.
    produced: u32,
}

impl Queue {
    const BITS: u32 = 8;
    /// How many commands may be said before the register: a synchronization comes on top, and the
    /// SMMU is done with all when it has the register.
    pub(super) const ROOM: usize = (1 << Self::BITS) - 2;

    pub(super) fn new(mailbox: &mut Mailbox<'_>) -> Result<Self, MmuError> {
        let bytes = 16 << Self::BITS;
        Ok(Self { first: mailbox.take(bytes, bytes)?, produced: 0 })
    }

    /// `CMDQ_BASE`.
    pub(super) fn base(&self) -> u64 {
        self.first | u64::from(Self::BITS)
    }

    pub(super) fn push(&mut self, ram: &Ram, Command(words): Command) {
        let index = u64::from(self.produced) & ((1 << Self::BITS) - 1);
        for (at, word) in (self.first + 16 * index..).step_by(8).zip(words) {
            ram.write_u64(at, word);
        }
        self.produced = self.produced.wrapping_add(1);
    }

    /// `CMDQ_PROD`.
    pub(super) const fn produced(&self) -> u32 {
        self.produced & ((2 << Self::BITS) - 1)
    }
}

/// The event queue.
#[derive(Debug)]
pub(super) struct EventQueue {
    first: u64,
    consumed: u32,
}

/// An event, as far as anybody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A walk came to no good end.
    Fault { address: u64, kind: FaultKind },
    /// Something else, which should not happen.
    Other { number: u8 },
}

impl EventQueue {
    /// More than twice the number of requests of a batch: QEMU makes an access of eight bytes
    /// twice if it is refused.
    const BITS: u32 = 11;
    const MASK: u32 = (1 << Self::BITS) - 1;

    pub(super) fn new(mailbox: &mut Mailbox<'_>) -> Result<Self, MmuError> {
        let bytes = 32 << Self::BITS;
        Ok(Self { first: mailbox.take(bytes, bytes)?, consumed: 0 })
    }

    /// `EVENTQ_BASE`.
    pub(super) fn base(&self) -> u64 {
        self.first | u64::from(Self::BITS)
    }

    /// `EVENTQ_CONS`.
    pub(super) const fn consumed(&self) -> u32 {
        self.consumed
    }

    /// The events up to `EVENTQ_PROD`.
    pub(super) fn until(&mut self, ram: &Ram, produced: u32) -> Vec<Event> {
        let wrapped = 2 * Self::MASK + 1;
        let mut events = Vec::new();
        while (produced ^ self.consumed) & wrapped != 0 {
            let at = self.first + 32 * u64::from(self.consumed & Self::MASK);
            let word = |index: u64| ram.read_u64(at + 8 * index).unwrap_or(0);
            // CAST: the event number is a byte.
            events.push(event(word(0) as u8, word(2)));
            self.consumed = (self.consumed + 1) & wrapped;
        }
        events
    }
}

fn event(number: u8, address: u64) -> Event {
    let kind = match number {
        0x0b => FaultKind::ExternalAbort,
        0x10 => FaultKind::Translation,
        0x11 => FaultKind::AddressSize,
        0x12 => FaultKind::AccessFlag,
        0x13 => FaultKind::Permission,
        _ => return Event::Other { number },
    };
    Event::Fault { address, kind }
}

#[cfg(test)]
mod tests {
    use super::Command;

    /// The pages that commands name, checked to be side by side.
    fn pages(first: u64, last: u64, granule: u8) -> (u64, u64, usize) {
        let commands: Vec<_> = Command::stage1(1, 0, true).range(first, last, granule).collect();
        let mut next = first >> granule;
        for &Command([word0, word1]) in &commands {
            assert_eq!(word1 & !0xfff, next << granule);
            assert_eq!(word1 & 1, 1);
            next += ((word0 >> 12 & 31) + 1) << (word0 >> 20 & 31);
        }
        (first >> granule, next - 1, commands.len())
    }

    #[test]
    fn a_range_is_covered_exactly() {
        for granule in [12, 14, 16] {
            for (first, last) in [
                (0, 0),
                (0x1_2345_6000, 0x1_2345_6fff),
                (0x1_2345_6000, 0x1_2345_7000),
                (0, 0x1f_ffff),
                (0x40_0000, 0x7f_ffff_ffff),
                (0x3000, 0x1234_5678_9abc),
                (u64::MAX << 47, u64::MAX),
            ] {
                let (from, to, count) = pages(first, last, granule);
                assert_eq!((from, to), (first >> granule, last >> granule), "{first:x} {last:x}");
                assert!(count <= 12, "{count} commands for {first:x} to {last:x}");
            }
        }
    }
}
