//! The memory that is the guest's own: its stub, what its processor needs, its mailbox, and the
//! copy of the root that is walked.
//!
//! All of it is mapped by one entry of the root, the *slot*, which can be any: the stub is
//! position-independent, and [`Image::place`] writes what is not.
//!
//! # References
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A: 3.4.5 (segment
//! descriptors), 4.5 (4-level and 5-level paging), 6.14 (64-bit interrupt gates), 7.7 (the 64-bit
//! task-state segment).

use std::io;
use std::sync::Arc;

use super::stub::{CODE, Fault, Handler, Loop};
use crate::{PhysMemory, Privilege, Ram, slot};

const PAGE: u64 = 4096;

/// How many addresses fit into the mailbox.
pub(super) const ROOM: usize = 4096;
/// One of its lists, in bytes.
const LIST: u64 = ROOM as u64 * 8;

// Where things lie, in bytes from the beginning. Where they are mapped, they are mapped at the
// same distance from the beginning of the slot.
const STUB: u64 = 0;
const PROCESSOR: u64 = PAGE;
const STACK: u64 = 2 * PAGE;
const ROOT: u64 = 3 * PAGE;
/// The tables that map all this, from the root on. Four levels do without the first one.
const OWN_TABLES: [u64; 4] = [4 * PAGE, 5 * PAGE, 6 * PAGE, 7 * PAGE];
const ADDRESSES: u64 = 8 * PAGE;
const FAULTS: u64 = ADDRESSES + LIST;
const PLACES: u64 = FAULTS + LIST;
/// Tables for trials.
const TRIAL: u64 = PLACES + LIST;
/// How many.
const TRIAL_TABLES: u64 = 8;
/// The size of all.
pub(super) const BYTES: u64 = TRIAL + TRIAL_TABLES * PAGE;
/// Where the stub is mapped for users.
const USER_STUB: u64 = BYTES;

// Within the processor's page.
const GDT: u64 = 0;
const TSS: u64 = 0x100;
const IDT: u64 = 0x400;
/// Exceptions have numbers below this.
const GATES: u64 = 32;

/// `P`, `R/W`, `A` and `D` of an entry: mapped for the supervisor.
const MAPPED: u64 = 1 | 1 << 1 | 1 << 5 | 1 << 6;
/// `U/S` of an entry: mapped for users, too.
const USER: u64 = 1 << 2;

/// The selectors of the segments, with the privilege that may use them.
pub(super) const SUPERVISOR_CODE: u16 = 0x08;
pub(super) const SUPERVISOR_DATA: u16 = 0x10;
pub(super) const USER_DATA: u16 = 0x18 | 3;
pub(super) const USER_CODE: u16 = 0x20 | 3;
pub(super) const TASK: u16 = 0x28;

/// Where the registers of the processor that point to memory point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Processor {
    pub(super) gdt: (u64, u16),
    pub(super) idt: (u64, u16),
    pub(super) tss: (u64, u32),
    pub(super) root: u64,
}

/// What a loop is entered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rip: u64,
    pub(super) rsp: u64,
    pub(super) next: u64,
    pub(super) addresses: u64,
    pub(super) distance: u64,
}

/// The memory, and where it is mapped.
#[derive(Debug)]
pub(super) struct Image {
    memory: Arc<Ram>,
    /// The entry of the root.
    slot: u64,
    /// Five levels.
    five: bool,
}

impl Image {
    /// At the physical address `first`, which is a multiple of the page size. In no slot yet.
    pub(super) fn new(first: u64) -> io::Result<Self> {
        // CAST: less than a mebibyte.
        let memory = Arc::new(Ram::new(first, BYTES as usize)?);
        let image = Self { memory, slot: 0, five: false };
        for (index, word) in CODE.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            image.write(STUB + 8 * index as u64, u64::from_le_bytes(bytes));
        }
        let [_, two, three, pages] = OWN_TABLES;
        image.write(two, (first + three) | MAPPED | USER);
        image.write(three, (first + pages) | MAPPED | USER);
        for at in (0..BYTES).step_by(4096).filter(|at| !(ROOT..ADDRESSES).contains(at)) {
            let user = if (ADDRESSES..FAULTS).contains(&at) { USER } else { 0 };
            image.write(pages + at / PAGE * 8, (first + at) | MAPPED | user);
        }
        image.write(pages + USER_STUB / PAGE * 8, (first + STUB) | MAPPED | USER);
        // Segments in 64-bit mode: what is not a type is ignored, but for `L` of code.
        image.write(PROCESSOR + GDT + u64::from(SUPERVISOR_CODE), 0x00af_9b00_0000_ffff);
        image.write(PROCESSOR + GDT + u64::from(SUPERVISOR_DATA), 0x00cf_9300_0000_ffff);
        image.write(PROCESSOR + GDT + u64::from(USER_DATA & !3), 0x00cf_f300_0000_ffff);
        image.write(PROCESSOR + GDT + u64::from(USER_CODE & !3), 0x00af_fb00_0000_ffff);
        Ok(image)
    }

    /// The memory, for the machine.
    pub(super) fn memory(&self) -> &Arc<Ram> {
        &self.memory
    }

    /// The physical address of a table for trials, all of which are empty at first.
    pub(super) fn trial_table(&self, index: u64) -> u64 {
        self.memory.first() + TRIAL + index % TRIAL_TABLES * PAGE
    }

    /// The slot that it is mapped by.
    pub(super) fn slot(&self) -> u64 {
        self.slot
    }

    /// Maps it by `slot` of a root of five levels, or of four.
    pub(super) fn place(&mut self, slot: u64, five: bool) {
        (self.slot, self.five) = (slot, five);
        let first = self.memory.first();
        let [one, two, ..] = OWN_TABLES;
        self.write(one, (first + two) | MAPPED | USER);
        self.write(ROOT + 8 * slot, (first + if five { one } else { two }) | MAPPED | USER);

        // A task segment that is there, available, and takes two places; its first stack.
        let tss = self.address(PROCESSOR + TSS);
        let low = 0x67 | (tss & 0xff_ffff) << 16 | 0x89 << 40 | (tss >> 24 & 0xff) << 56;
        self.write(PROCESSOR + GDT + u64::from(TASK), low);
        self.write(PROCESSOR + GDT + u64::from(TASK) + 8, tss >> 32);
        let stack = self.address(STACK + PAGE);
        self.write(PROCESSOR + TSS, stack << 32);
        self.write(PROCESSOR + TSS + 8, stack >> 32);
        // There is no I/O map: it begins beyond the limit.
        self.write(PROCESSOR + TSS + 0x60, 0x68 << 48);

        for (handler, exception) in Handler::ALL {
            let at = self.address(STUB) + handler.begin();
            let low = at & 0xffff
                | u64::from(SUPERVISOR_CODE) << 16
                | 0x8e << 40
                | (at >> 16 & 0xffff) << 48;
            self.write(PROCESSOR + IDT + 16 * u64::from(exception), low);
            self.write(PROCESSOR + IDT + 16 * u64::from(exception) + 8, at >> 32);
        }
    }

    /// Copies the entries of a root, of which `read` reads one, but for the slot; of those that
    /// are present in the copy only if `all`.
    pub(super) fn copy_root(&self, all: bool, read: impl Fn(u64) -> Option<u64>) -> Option<()> {
        for index in (0..512).filter(|index| *index != self.slot) {
            let entry = read(index)?;
            let copy = ROOT + 8 * index;
            if all || self.read(copy) & 1 == 0 {
                self.write(copy, entry);
            }
        }
        Some(())
    }

    /// Has entry `alias` of the copy be what `slot` is in the root, of which `read` reads an entry.
    pub(super) fn alias(&self, alias: u64, slot: u64, read: impl Fn(u64) -> Option<u64>) {
        if let Some(entry) = read(slot) {
            self.write(ROOT + 8 * alias, entry);
        }
    }

    /// What the processor's registers point to.
    pub(super) fn processor(&self) -> Processor {
        Processor {
            gdt: (self.address(PROCESSOR + GDT), TASK + 15),
            // CAST: less than a page.
            idt: (self.address(PROCESSOR + IDT), (16 * GATES - 1) as u16),
            tss: (self.address(PROCESSOR + TSS), 0x67),
            root: self.memory.first() + ROOT,
        }
    }

    /// What `what` is entered with.
    pub(super) fn entry(&self, what: Loop, privilege: Privilege) -> Entry {
        let stub = self.address(match privilege {
            Privilege::Privileged => STUB,
            Privilege::Unprivileged => USER_STUB,
        });
        Entry {
            rip: stub + what.begin(),
            rsp: self.address(STACK + PAGE),
            next: stub + what.next(),
            addresses: self.address(ADDRESSES),
            distance: LIST - 8,
        }
    }

    /// Puts a list of at most [`ROOM`] addresses into the mailbox.
    pub(super) fn post(&self, addresses: &[u64]) {
        for (at, address) in (0..ROOM as u64).zip(addresses) {
            self.write(ADDRESSES + 8 * at, *address);
            self.write(FAULTS + 8 * at, 0);
        }
    }

    /// The fault that was recorded for the address `index` of the list, and where it was taken:
    /// the address that a page fault reports, or that of the instruction.
    pub(super) fn fault(&self, index: usize) -> Option<(Fault, u64)> {
        let at = (index % ROOM) as u64 * 8;
        Some((Fault::recorded(self.read(FAULTS + at))?, self.read(PLACES + at)))
    }

    /// Where the guest finds what lies at `at`.
    fn address(&self, at: u64) -> u64 {
        slot::within(self.slot, at, self.five)
    }

    fn read(&self, at: u64) -> u64 {
        self.memory.read_u64(self.memory.first() + at).unwrap_or(0)
    }

    fn write(&self, at: u64, value: u64) {
        // Everything lies within the memory.
        self.memory.write_u64(self.memory.first() + at, value);
    }
}

// One table of pages maps it all.
const _: () = assert!(USER_STUB + PAGE <= 512 * PAGE);
