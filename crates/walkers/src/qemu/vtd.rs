//! QEMU's model of Intel's IOMMU (VT-d), driven as its specification says.

use std::sync::Arc;

use super::edu::Edu;
use super::edu_iommu::{Iommu, ROLES, Report, Role, identifier};
use super::edu_mailbox::{Areas, Mailbox};
use super::edu_mmu::{EduMmu, Emulator, is_mmu};
use super::edu_pc;
use super::qtest::{Answers, Asked, Script};
use super::vtd_scalable::Scalable;
use crate::{
    FaultKind, Forget, MmuError, Ram, Regime, Says, Unsupported, VtdSecondStageRegisters,
    X86_64Registers,
};

/// An IOMMU of Intel's that QEMU 10 emulates: it walks the tables, and `edu` devices make the
/// accesses.
///
/// It walks second-stage tables of three and four levels, for requests without PASID ("legacy
/// mode"), and first-stage tables, which are x86-64's, of four levels ("scalable mode"), with
/// leaves of 4 KiB, 2 MiB and 1 GiB. It remembers leaves, and forgets all, a domain, or aligned
/// powers of two of pages; a range that takes more than 64 of these is a whole domain. It has one
/// address space at a time: what is installed makes it forget the others.
///
/// # What is not enforced
///
/// - `HAW` is 48 bits, whatever the registers say.
/// - `R` and `W` are looked at level by level: the first entry that lacks the one that is asked for
///   refuses the access, before its reserved bits are looked at, and whether it is present or not.
///   So these faults have no class: only reserved bits, addresses beyond the width, and tables
///   that cannot be read have.
/// - Accessed and dirty bits of the second stage are not set.
/// - There is one privilege, a user's in the first stage, and nothing is fetched. So `WP`, `SMEP`
///   and `XD` forbid nothing.
///
/// # What is refused
///
/// - Five levels, and roots beyond 48 bits.
///
/// # References
///
/// Intel Virtualization Technology for Directed I/O, Architecture Specification: 3.6 (first stage),
/// 6.5 (invalidation by registers), 7.1 (fault reasons), 7.3 (fault records), 9.1 and 9.3 (root and
/// context entries), 11.4 (registers).
#[derive(Debug)]
pub struct Vtd(EduMmu<Dmar>);

is_mmu!(
    Vtd,
    "qemu-system-x86_64",
    0,
    "The first MiB is the machine's own, and it has at most 2 GiB.",
    machine
);

fn machine(emulator: &Emulator, ram: Arc<Ram>, areas: Areas) -> Result<EduMmu<Dmar>, MmuError> {
    // Snoop control has bit 11 of leaves obeyed; else it is reserved.
    let device = "intel-iommu,aw-bits=48,snoop-control=on,x-scalable-mode=on,x-flts=on";
    edu_pc::start(emulator, ram, areas, device, Dmar::new)
}

/// Where its registers are, and which there are. The last three lie where `CAP` and `ECAP` say, the
/// same in all of QEMU's versions.
const REGISTERS: u64 = 0xfed9_0000;
const GCMD: u64 = 0x18;
const RTADDR: u64 = 0x20;
const CCMD: u64 = 0x28;
const FSTS: u64 = 0x34;
const IVA: u64 = 0xf0;
const IOTLB: u64 = 0xf8;
const FRCD: u64 = 0x220;

/// `GCMD`: translation, and to obey `RTADDR`.
const TRANSLATION: u32 = 1 << 31;
const SET_ROOT: u32 = 1 << 30;

/// `CCMD`: forget all context entries.
const FORGET_CONTEXTS: u64 = 1 << 63 | 1 << 61;

/// `IOTLB`: forget all, a domain, pages.
const FORGET_ALL: u64 = 1 << 63 | 1 << 60;
const FORGET_DOMAIN: u64 = 1 << 63 | 2 << 60;
const FORGET_PAGES: u64 = 1 << 63 | 3 << 60;
/// `IVA`: leaves only.
const HINT: u64 = 1 << 6;
/// The largest power of two of pages that one command forgets (`MAMV`), and how many commands a
/// range is worth.
const MOST_PAGES_BITS: u32 = 18;
const MOST_COMMANDS: usize = 64;

/// A fault record: there is a fault.
const FAULT: u64 = 1 << 63;

/// A root and a context entry: present. A context entry: pass-through.
const PRESENT: u64 = 1;
const PASS_THROUGH: u64 = 0b10 << 2;

/// The driver of the IOMMU.
#[derive(Debug)]
struct Dmar {
    devices: Vec<(u16, Role)>,
    root: u64,
    /// The context entries of the first bus, 16 bytes apart.
    contexts: u64,
    scalable: Scalable,
    /// What translates, when nothing passes through, and for which address space.
    installed: Option<(Stage, u16)>,
}

/// The tables of one stage.
#[derive(Clone, Copy, Debug)]
enum Stage {
    First(X86_64Registers),
    Second(VtdSecondStageRegisters),
}

impl Dmar {
    fn new(
        script: &mut Script,
        mailbox: &mut Mailbox<'_>,
        devices: &[(Edu, Role)],
    ) -> Result<Self, MmuError> {
        let root = mailbox.take(4096, 4096)?;
        let contexts = mailbox.take(4096, 4096)?;
        mailbox.write(root, contexts | PRESENT);
        let scalable = Scalable::new(mailbox, devices)?;
        let devices = devices.iter().map(|&(edu, role)| (edu.requester, role)).collect();
        let this = Self { devices, root, contexts, scalable, installed: None };
        this.set_root(script);
        Ok(this)
    }

    /// Whether scalable mode is what leads to the installed tables.
    const fn is_scalable(&self) -> bool {
        matches!(self.installed, Some((Stage::First(_), _)))
    }

    /// Has the IOMMU use the root table of the mode, and forget everything.
    fn set_root(&self, script: &mut Script) {
        let root = if self.is_scalable() { self.scalable.root() } else { self.root };
        script.write_u64(REGISTERS + RTADDR, root);
        // The mode changes only while nothing is translated.
        script.write_u32(REGISTERS + GCMD, SET_ROOT);
        script.write_u64(REGISTERS + CCMD, FORGET_CONTEXTS);
        script.write_u64(REGISTERS + IOTLB, FORGET_ALL);
        script.write_u32(REGISTERS + GCMD, TRANSLATION);
    }

    /// Writes what leads to the installed tables, or has devices pass through.
    fn write_entries(&self, script: &mut Script, ram: &Ram, pass_through: bool) {
        if let Some((Stage::First(registers), asid)) = &self.installed {
            self.scalable.write(ram, (!pass_through).then_some((registers, *asid)));
        } else {
            self.write_contexts(ram, pass_through);
        }
        script.write_u64(REGISTERS + CCMD, FORGET_CONTEXTS);
    }

    /// Writes the context entries of legacy mode.
    fn write_contexts(&self, ram: &Ram, pass_through: bool) {
        for &(requester, role) in &self.devices {
            let at = self.contexts + 16 * u64::from(requester);
            let (low, high) = match self.installed {
                Some((Stage::Second(registers), asid)) if !pass_through => (
                    registers.pointer & !0xfff | PRESENT,
                    u64::from(registers.address_width) | u64::from(identifier(asid, role)) << 8,
                ),
                // Of a domain that is nobody's.
                _ => (PASS_THROUGH | PRESENT, 2),
            };
            ram.write_u64(at, 0);
            ram.write_u64(at + 8, high);
            ram.write_u64(at, low);
        }
    }

    /// Forgets the pages from that of `first` to that of `last`.
    fn forget_range(script: &mut Script, domain: u16, first: u64, last: u64, hint: u64) {
        let command = u64::from(domain) << 32;
        let parts: Vec<_> =
            aligned_parts(first >> 12, last >> 12).take(MOST_COMMANDS + 1).collect();
        if parts.len() > MOST_COMMANDS {
            script.write_u64(REGISTERS + IOTLB, FORGET_DOMAIN | command);
            return;
        }
        for (page, bits) in parts {
            script.write_u64(REGISTERS + IVA, page << 12 | hint | u64::from(bits));
            script.write_u64(REGISTERS + IOTLB, FORGET_PAGES | command);
        }
    }
}

/// The pages from `first` to `last` as powers of two, each aligned to its size.
fn aligned_parts(first: u64, last: u64) -> impl Iterator<Item = (u64, u32)> {
    let mut next = first;
    core::iter::from_fn(move || {
        let left = (last + 1).checked_sub(next).filter(|&left| left != 0)?;
        let bits = next.trailing_zeros().min(left.ilog2()).min(MOST_PAGES_BITS);
        let part = (next, bits);
        next += 1 << bits;
        Some(part)
    })
}

impl Iommu for Dmar {
    const NAME: &'static str = "vtd";
    const ONE_FAULT: bool = true;
    const INTERRUPTS: Option<(u64, u64)> = Some(edu_pc::INTERRUPTS);
    const CONFUSED_FROM: Option<u64> = None;

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        let (is_narrow, root) = match regime {
            Regime::VtdSecondStage(second) => {
                (matches!(second.address_width, 1 | 2), second.pointer)
            }
            Regime::X86_64(first) => (!first.la57, first.cr3),
            _ => return Err(Unsupported::new("other tables than VT-d's two stages")),
        };
        if !is_narrow {
            return Err(Unsupported::new("widths other than 39 and 48 bits"));
        }
        if root >> 48 != 0 {
            return Err(Unsupported::new("a root beyond 48 bits"));
        }
        Ok(Says {
            permissions: true,
            execute: false,
            privilege: false,
            kinds: matches!(regime, Regime::X86_64(_)),
            levels: false,
            remembers: true,
            largest_leaf: 1 << 30,
            targets: (0, u64::MAX),
        })
    }

    fn install(&mut self, script: &mut Script, ram: &Ram, regime: &Regime, asid: u16) {
        let was_scalable = self.is_scalable();
        self.installed = match regime {
            Regime::VtdSecondStage(second) => Some((Stage::Second(*second), asid)),
            Regime::X86_64(first) => Some((Stage::First(*first), asid)),
            _ => None,
        };
        self.write_entries(script, ram, false);
        if self.is_scalable() != was_scalable {
            self.set_root(script);
        }
        // It remembers by device, so it would take the leaves of another space for these.
        self.forget(script, ram, Forget::Everything);
    }

    fn forget(&mut self, script: &mut Script, _: &Ram, what: Forget) {
        let (asid, range, leaves_only) = match what {
            Forget::Everything => {
                script.write_u64(REGISTERS + IOTLB, FORGET_ALL);
                return;
            }
            Forget::Space { asid } => (asid, None, false),
            Forget::Range { asid, first, last, leaves_only } => {
                (asid, Some((first, last)), leaves_only)
            }
            Forget::Page { asid, address, leaves_only, .. } => {
                (asid, Some((address, address)), leaves_only)
            }
        };
        for domain in ROLES.map(|role| identifier(asid, role)) {
            if let Some((first, last)) = range {
                let hint = if leaves_only { HINT } else { 0 };
                Self::forget_range(script, domain, first, last, hint);
            } else {
                script.write_u64(REGISTERS + IOTLB, FORGET_DOMAIN | u64::from(domain) << 32);
            }
        }
    }

    fn bypass(&mut self, script: &mut Script, ram: &Ram, on: bool) {
        // To switch translation off would have it forget everything.
        self.write_entries(script, ram, on);
    }

    fn ask_faults(&mut self, script: &mut Script) -> Vec<Asked> {
        let asked = vec![script.read_u64(REGISTERS + FRCD), script.read_u64(REGISTERS + FRCD + 8)];
        // Ones clear: the record, and what else there was.
        script.write_u32(REGISTERS + FRCD + 12, 1 << 31);
        script.write_u32(REGISTERS + FSTS, 0x7f);
        asked
    }

    fn faults(
        &mut self,
        _: &Ram,
        answers: &Answers,
        asked: &[Asked],
    ) -> Result<Vec<Report>, String> {
        let &[low, high] = asked else { return Ok(Vec::new()) };
        let (address, high) = (answers.get(low) & !0xfff, answers.get(high));
        if high & FAULT == 0 {
            return Ok(Vec::new());
        }
        let kind = match high >> 32 & 0xff {
            // No right to write, to read; an address for interrupts.
            0x5 | 0x6 | 0xe | 0x87 => None,
            // A root, another table, that could not be read.
            0x3 | 0x7 | 0x70 | 0x73 => Some(FaultKind::ExternalAbort),
            // Beyond the width; not present, and not canonical.
            0x4 | 0x71 | 0x80 => Some(FaultKind::Translation),
            0xc | 0x72 => Some(FaultKind::Reserved),
            // Not a user's; not to be written.
            0x81 | 0x85 => Some(FaultKind::Permission),
            reason => return Err(format!("its IOMMU reports fault {reason:#x}")),
        };
        Ok(vec![Report { address, kind }])
    }
}

#[cfg(test)]
mod tests {
    use super::aligned_parts;

    #[test]
    fn parts_are_aligned_and_side_by_side() {
        for (first, last) in [(0, 0), (1, 6), (0, (1 << 18) - 1), (5, (1 << 36) / 4096), (7, 7)] {
            let mut next = first;
            for (page, bits) in aligned_parts(first, last) {
                assert_eq!((page, page % (1 << bits)), (next, 0));
                assert!(bits <= 18);
                next += 1 << bits;
            }
            assert_eq!(next, last + 1);
        }
    }
}
