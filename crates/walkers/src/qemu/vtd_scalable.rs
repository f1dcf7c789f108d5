//! What leads to first-stage tables in VT-d's scalable mode.
//!
//! Devices that say no PASID use the first entry of their PASID table, which says what translates:
//! the first stage, or nothing. Devices of a role share one.
//!
//! # References
//!
//! Intel Virtualization Technology for Directed I/O, Architecture Specification, 9.2 (scalable-mode
//! root entry), 9.4 (scalable-mode context entry), 9.5 and 9.6 (PASID directory and table).

use super::edu::Edu;
use super::edu_iommu::{ROLES, Role, identifier};
use super::edu_mailbox::Mailbox;
use crate::{MmuError, Ram, X86_64Registers};

/// All entries: present.
const PRESENT: u64 = 1;

/// `RTADDR`: the root table is one of scalable mode.
const SCALABLE: u64 = 0b01 << 10;

/// A scalable-mode context entry has four words.
const CONTEXT_BYTES: u64 = 32;

/// `PGTT` of a PASID entry: the first stage, and pass-through.
const FIRST_STAGE: u64 = 1 << 6;
const PASS_THROUGH: u64 = 4 << 6;

/// `AW` of a PASID entry: 48 bits. It is the second stage's; QEMU 10.0 goes by it in the first one,
/// too, to tell which addresses are canonical.
const WIDTH: u64 = 2 << 2;

/// The domain of what passes through, which is nobody's.
const NOBODY: u64 = 2;

/// The tables of scalable mode.
#[derive(Debug)]
pub(super) struct Scalable {
    root: u64,
    /// The entry that devices of each role use.
    entries: [(Role, u64); 2],
}

impl Scalable {
    /// With all devices, on the first bus, and entries that say nothing.
    pub(super) fn new(
        mailbox: &mut Mailbox<'_>,
        devices: &[(Edu, Role)],
    ) -> Result<Self, MmuError> {
        let root = mailbox.take(4096, 4096)?;
        // Each half of the devices of a bus has a table of contexts.
        let contexts = [mailbox.take(4096, 4096)?, mailbox.take(4096, 4096)?];
        for (at, table) in (root..).step_by(8).zip(contexts) {
            mailbox.write(at, table | PRESENT);
        }
        let mut entries = ROLES.map(|role| (role, 0));
        for (role, entry) in &mut entries {
            let directory = mailbox.take(4096, 4096)?;
            *entry = mailbox.take(4096, 4096)?;
            mailbox.write(directory, *entry | PRESENT);
            for (edu, _) in devices.iter().filter(|(_, its)| its == role) {
                let table = contexts[usize::from(edu.requester >> 7 & 1)];
                let at = table + CONTEXT_BYTES * u64::from(edu.requester & 0x7f);
                mailbox.write(at, directory | PRESENT);
            }
        }
        Ok(Self { root, entries })
    }

    /// What `RTADDR` is to say.
    pub(super) const fn root(&self) -> u64 {
        self.root | SCALABLE
    }

    /// Has devices translated by the tables of `registers` for `asid`; by none, where there are no
    /// registers.
    pub(super) fn write(&self, ram: &Ram, tables: Option<(&X86_64Registers, u16)>) {
        for &(role, at) in &self.entries {
            let [first, domain, pointer] = match tables {
                Some((registers, asid)) => {
                    let root = registers.cr3 & !0xfff;
                    [FIRST_STAGE | WIDTH | PRESENT, u64::from(identifier(asid, role)), root]
                }
                None => [PASS_THROUGH | PRESENT, NOBODY, 0],
            };
            ram.write_u64(at, 0);
            ram.write_u64(at + 8, domain);
            ram.write_u64(at + 16, pointer);
            ram.write_u64(at, first);
        }
    }
}
