//! Where the `edu` devices are, and how they are woken up.

use super::edu::{BAR_BYTES, Edu, IDENTITY};
use super::qtest::{Asked, Script};

/// How a machine's PCI configuration space is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Configuration {
    /// As memory, 4 KiB a function, from this address on (ECAM).
    Memory(u64),
    /// Through the I/O ports of a PC.
    Ports,
}

/// Ports for the address and the data of the configuration space.
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// Offsets in the header of a function.
const IDENTIFIER: u64 = 0;
const COMMAND: u64 = 4;
const BAR0: u64 = 0x10;

/// Bits of the command register: answers memory accesses, and makes them.
const MEMORY: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;

impl Configuration {
    fn port_address(slot: u8, offset: u64) -> u32 {
        // CAST: offsets in the first 256 bytes.
        1 << 31 | u32::from(slot) << 11 | offset as u32
    }

    pub(super) fn write(self, script: &mut Script, slot: u8, offset: u64, value: u32) {
        match self {
            Self::Memory(base) => {
                script.write_u32(base + (u64::from(slot) << 15) + offset, value);
            }
            Self::Ports => {
                script.output_u32(ADDRESS, Self::port_address(slot, offset));
                script.output_u32(DATA, value);
            }
        }
    }

    pub(super) fn read(self, script: &mut Script, slot: u8, offset: u64) -> Asked {
        match self {
            Self::Memory(base) => script.read_u32(base + (u64::from(slot) << 15) + offset),
            Self::Ports => {
                script.output_u32(ADDRESS, Self::port_address(slot, offset));
                script.input_u32(DATA)
            }
        }
    }

    /// Gives the function in `slot` of the first bus memory from `bar` on, below 4 GiB, and lets it
    /// access memory itself. The answer is its identity.
    pub(super) fn enable(self, script: &mut Script, slot: u8, bar: u64) -> Asked {
        // CAST: below 4 GiB.
        self.write(script, slot, BAR0, bar as u32);
        self.write(script, slot, COMMAND, MEMORY | BUS_MASTER);
        self.read(script, slot, IDENTIFIER)
    }
}

/// `count` devices in neighbouring slots of the first bus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) first: u8,
    pub(super) count: u8,
    /// Where the registers of the first one go; those of the next follow.
    pub(super) bars: u64,
}

impl Slots {
    /// What QEMU is started with to have them.
    pub(super) fn arguments(self) -> impl Iterator<Item = String> {
        (self.first..self.first + self.count).flat_map(|slot| {
            // Without a mask, a device has 28 address bits.
            ["-device".to_owned(), format!("edu,addr={slot:#x},dma_mask=0xffffffffffffffff")]
        })
    }

    /// The devices.
    pub(super) fn devices(self) -> impl Iterator<Item = (u8, Edu)> {
        (0..self.count).map(move |index| {
            let slot = self.first + index;
            let bar = self.bars + u64::from(index) * BAR_BYTES;
            (slot, Edu { bar, requester: u16::from(slot) << 3 })
        })
    }
}

/// Whether the function that answered so is an `edu`.
pub(super) const fn is_edu(identity: u64) -> bool {
    identity == IDENTITY as u64
}
