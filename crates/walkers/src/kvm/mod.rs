//! A processor that walks x86-64 tables: a virtual machine's on `/dev/kvm`. Linux on x86-64 only.
//!
//! The tables under test are the guest's page tables, and every answer is an access that the guest
//! has made, with supervisor's or user's rights: a byte read, a byte read and written as one
//! instruction, an instruction fetched.
//!
//! # What is walked
//!
//! The guest's own code, stack and descriptors must be mapped while it runs, so it walks a *copy*
//! of the root, in which one entry leads to these: below the root, it walks the very bytes under
//! test. The entry is one that no address of the batch needs, so that every address can be asked.
//! Some hosts keep an entry of each root to themselves, and answers there are none of the guest's:
//! those that [`Kvm::open`] finds are asked for through another entry of the copy.
//!
//! Entries of the root that are not present in the copy are copied at each
//! [`translate`](Mmu::translate), as no processor remembers such; the others then, too, unless the
//! machine [remembers](Says::remembers), and else at the next [`install`](Mmu::install) or
//! [`forget`](Mmu::forget).
//!
//! The processor sets accessed and dirty bits in the tables under test, as always; for the root's
//! entries it sets them in the copy. Page tables and the root must lie in the [`Ram`].
//!
//! # What is answered
//!
//! - **The physical address** is that at which the access left the machine: targets must not be
//!   memory. Reads and writes tell it exactly. No instruction can be fetched from there: a fetch
//!   that is let through ends as an undefined instruction at its address, and the answer's address
//!   is that of a read of the same byte, made right before. On x86-64 whatever can be fetched from
//!   can be read. An access that ends in memory instead is an error, and harmless: what is written
//!   is what was there, and nothing is fetched.
//! - **The class of a fault** is the page fault's error code: not present is a
//!   [translation](FaultKind::Translation) fault, `RSVD` is [reserved](FaultKind::Reserved), the
//!   others are [permission](FaultKind::Permission) faults. The bits for write, user and fetch must
//!   be those of the access, and the reported address must be that which was asked for. An address
//!   that is not canonical is a translation fault; the processor raises a general protection fault.
//! - **Not the level**, and nothing about memory types: `IA32_PAT` is not set.
//!
//! The accesses of a batch are grouped by kind and privilege, so they are not made in order.
//!
//! # What is remembered
//!
//! That depends on the host. [`Kvm::open`] tries it out: it changes entries of each level and
//! looks whether the old ones are still used, and what it takes that they no longer are. Where
//! nested paging is in hardware, a page or all is forgotten by the guest's own instructions. Where
//! KVM keeps shadows of the guest's tables, it does not notice that somebody else than the guest
//! changes them, and not even the guest's instructions help: then the memory is taken out of the
//! machine and put in again, so whatever [`forget`](Mmu::forget) is called for, everything is
//! forgotten.
//!
//! # References
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, chapters 4 and 6.
//! Linux, `Documentation/virt/kvm/api.rst`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadline::Deadline;
use image::{BYTES, Image};
use list::Outcome;
use machine::{Machine, broken};
use stub::Loop;

use crate::{
    Absent, Access, AccessKind, Answer, FaultKind, Forget, Mmu, MmuError, Privilege, Ram, Reached,
    Refusal, Regime, Request, Says, Unsupported, X86_64Registers, page_fault, slot,
};

mod deadline;
mod image;
mod list;
mod machine;
mod slots;
mod stub;
mod trial;

#[cfg(test)]
mod tests;

/// The end of the physical address space is the machine's own: the memory that the guest needs,
/// and before that two pages of nothing, for trials.
const OWN: u64 = 1 << 20;
const _: () = assert!(BYTES + 2 * 4096 <= OWN);

/// More pages than these are not forgotten one by one.
const FEW_PAGES: u64 = 64;

/// A virtual machine that walks the tables in a [`Ram`].
#[derive(Debug)]
pub struct Kvm {
    machine: Machine,
    image: Image,
    ram: Arc<Ram>,
    /// What is walked, and for which address space.
    installed: Option<(X86_64Registers, u16)>,
    /// What the processor is set up for.
    privilege: Option<Privilege>,
    remembers: bool,
    forgets: Forgets,
    /// Entries of a root of four levels that the host keeps to itself, and from whom.
    kept: Vec<(u64, Privilege)>,
    /// How long one list of accesses may take.
    limit: Duration,
}

/// How the machine is made to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgets {
    /// By the guest's own instructions.
    Itself,
    /// By taking its memory away.
    WithItsMemory,
}

/// For want of `what`, and why.
fn without(what: &str, why: impl Into<io::Error>) -> Absent {
    Absent::new(format!("{what}: {}", why.into()))
}

impl Kvm {
    /// A machine with `ram` at its physical address, and little else.
    ///
    /// # Errors
    ///
    /// [`Absent`], where there is no `/dev/kvm` or no permission for it, where KVM lacks what is
    /// needed here, where `ram` does not begin and end at pages, or reaches up to where the machine
    /// has its own memory: the last mebibyte of the physical address space.
    pub fn open(ram: &Arc<Ram>) -> Result<Self, Absent> {
        let host = Machine::device()?;
        let end = ram.first().checked_add(ram.bytes() as u64);
        let reach = 1u64 << host.2.reach.min(52);
        let fits = end.is_some_and(|end| end <= reach - OWN);
        if ram.first() % 4096 != 0 || ram.bytes() % 4096 != 0 || !fits {
            let what = format!("room for RAM of {:#x} bytes at {:#x}", ram.bytes(), ram.first());
            return Err(Absent::new(what));
        }
        let image =
            Image::new(reach - BYTES).map_err(|why| without("memory for the guest", why))?;
        let memories = [Arc::clone(ram), Arc::clone(image.memory())];
        let machine = Machine::new(&host, memories, image.processor())?;
        let mut kvm = Self {
            machine,
            image,
            ram: Arc::clone(ram),
            installed: None,
            privilege: None,
            remembers: false,
            forgets: Forgets::Itself,
            kept: Vec::new(),
            limit: Duration::from_secs(10),
        };
        kvm.try_out().map_err(|why| Absent::new(format!("a machine that works: {why}")))?;
        Ok(kvm)
    }

    /// Where physical addresses end that the machine can use.
    fn reach(&self) -> u64 {
        self.image.memory().first()
    }

    /// The first address after the RAM.
    fn end_of_ram(&self) -> u64 {
        self.ram.first() + self.ram.bytes() as u64
    }

    /// The registers of a regime that it walks.
    fn registers(&self, regime: &Regime) -> Result<X86_64Registers, Unsupported> {
        let Regime::X86_64(registers) = regime else {
            return Err(Unsupported::new("tables of another kind than x86-64's"));
        };
        let features = self.machine.features();
        for (wanted, there, what) in [
            (registers.la57, features.la57, "five levels"),
            (registers.nxe, features.nxe, "EFER.NXE"),
            (registers.smep, features.smep, "CR4.SMEP"),
        ] {
            if wanted && !there {
                return Err(Unsupported::new(format!("{what}: the host's processor lacks it")));
            }
        }
        // Where the regime has more of them, its machine has targets that this one has not.
        if registers.physical_bits < features.physical_bits {
            let (few, bits) = (registers.physical_bits, features.physical_bits);
            return Err(Unsupported::new(format!(
                "physical addresses of {few} bits: the host's have {bits}"
            )));
        }
        Ok(*registers)
    }

    /// One list of accesses.
    fn access(
        &mut self,
        deadline: &Deadline,
        what: Loop,
        privilege: Privilege,
        addresses: &[u64],
    ) -> Result<Vec<Outcome>, MmuError> {
        let mut outcomes = Vec::new();
        if addresses.is_empty() {
            return Ok(outcomes);
        }
        let Some((registers, _)) = self.installed else {
            return Err(MmuError::Broken("no root is installed".into()));
        };
        if self.privilege != Some(privilege) {
            self.machine
                .control(&registers, self.image.processor(), privilege)
                .map_err(|why| broken("it takes no control registers", why))?;
        }
        // Users' lists end in a handler: the processor is the supervisor then, in part.
        self.privilege = Some(privilege).filter(|whose| *whose == Privilege::Privileged);
        deadline.set(self.limit);
        let what = (what, privilege);
        list::run(&mut self.machine, &self.image, deadline, what, addresses, &mut outcomes)?;
        Ok(outcomes)
    }

    /// Forgets everything, and copies all of the root.
    fn forget_all(&mut self) -> Result<(), MmuError> {
        self.copy_root(true)?;
        self.flush()
    }

    /// Forgets what the processor or KVM remembers.
    fn flush(&mut self) -> Result<(), MmuError> {
        match self.forgets {
            Forgets::Itself => {
                let deadline = deadline()?;
                self.access(&deadline, Loop::ForgetAll, Privilege::Privileged, &[0]).map(drop)
            }
            Forgets::WithItsMemory => self
                .machine
                .replug()
                .map_err(|why| broken("its memory cannot be put in again", why)),
        }
    }

    /// Answers at most as many requests as there is room for.
    fn answer(
        &mut self,
        deadline: &Deadline,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        let mut all = vec![Err(Refusal::default()); requests.len()];
        for access in Access::ALL {
            let asked = requests.iter().enumerate();
            let asked = asked.filter(|(_, request)| request.access == access);
            let (indices, addresses): (Vec<usize>, Vec<u64>) =
                asked.map(|(index, request)| (index, request.address)).unzip();
            let outcomes = match access.kind {
                AccessKind::Read => {
                    self.access(deadline, Loop::Read, access.privilege, &addresses)?
                }
                AccessKind::Write => {
                    self.access(deadline, Loop::Write, access.privilege, &addresses)?
                }
                AccessKind::Execute => self.fetch(deadline, access, &addresses)?,
            };
            for (index, outcome) in indices.into_iter().zip(outcomes) {
                all[index] = self.judge(requests[index], outcome)?;
            }
        }
        answers.append(&mut all);
        Ok(())
    }

    /// Fetches from `addresses`. What is let through counts as reached, where a read is.
    fn fetch(
        &mut self,
        deadline: &Deadline,
        access: Access,
        addresses: &[u64],
    ) -> Result<Vec<Outcome>, MmuError> {
        let reads = self.access(deadline, Loop::Read, access.privilege, addresses)?;
        // Nothing is fetched from memory: nobody knows what it would do.
        if let Some(at) = reads.iter().position(|read| *read == Outcome::Silent) {
            return Err(reached_memory(Request { address: addresses[at], access }));
        }
        let mut fetches = self.access(deadline, Loop::Fetch, access.privilege, addresses)?;
        for (at, (fetch, read)) in fetches.iter_mut().zip(reads).enumerate() {
            match (*fetch, read) {
                (Outcome::Unfetchable, Outcome::Reached(_)) => *fetch = read,
                (Outcome::Unfetchable, _) => {
                    let address = addresses[at];
                    let why = format!("a fetch at {address:#x} is let through, a read {read:x?}");
                    return Err(MmuError::Broken(why));
                }
                _ => {}
            }
        }
        Ok(fetches)
    }

    /// What an outcome says.
    fn judge(&self, request: Request, outcome: Outcome) -> Result<Answer, MmuError> {
        let registers = self.installed.map(|(registers, _)| registers).unwrap_or_default();
        let kind = match outcome {
            Outcome::Reached(address) => {
                return Ok(Ok(Reached { address, translation: None }));
            }
            Outcome::Silent => return Err(reached_memory(request)),
            Outcome::Page(code, at) if at == request.address => {
                let fetches = registers.nxe || registers.smep;
                page_fault::kind(code, request.access, fetches)
            }
            Outcome::Protection(_)
                if slot::canonical(request.address, registers.la57) != request.address =>
            {
                Some(FaultKind::Translation)
            }
            _ => None,
        };
        match kind {
            Some(kind) => Ok(Err(Refusal { kind: Some(kind), level: None })),
            None => Err(MmuError::Broken(format!("{outcome:x?} is no answer to {request:x?}"))),
        }
    }
}

impl Mmu for Kvm {
    fn name(&self) -> &'static str {
        "kvm"
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        self.registers(regime)?;
        Ok(Says {
            permissions: true,
            execute: true,
            privilege: true,
            kinds: true,
            levels: false,
            remembers: self.remembers,
            largest_leaf: if self.machine.features().huge_leaves { 1 << 30 } else { 1 << 21 },
            targets: (self.end_of_ram(), self.reach() - 1),
        })
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        let registers = self.registers(regime)?;
        let before = self.installed.replace((registers, asid));
        if before.is_none_or(|(before, _)| before.la57 != registers.la57) {
            self.image.place(self.image.slot(), registers.la57);
        }
        self.privilege = None;
        self.forget_all()
    }

    fn translate(
        &mut self,
        mut requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        answers.clear();
        self.copy_root(!self.remembers)?;
        let deadline = deadline()?;
        while !requests.is_empty() {
            let (count, alias) = self.make_way(requests)?;
            let (now, later) = requests.split_at(count);
            requests = later;
            let Some(alias) = alias else {
                self.answer(&deadline, now, answers)?;
                continue;
            };
            let elsewhere = |request: &Request| {
                let kept = self.is_kept(*request, false);
                let address = if kept {
                    slot::within(alias, request.address, false)
                } else {
                    request.address
                };
                Request { address, ..*request }
            };
            let now: Vec<Request> = now.iter().map(elsewhere).collect();
            self.answer(&deadline, &now, answers)?;
            self.forget_all()?;
        }
        Ok(())
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        let Some((_, installed)) = self.installed else { return Ok(()) };
        let (asid, range) = match what {
            Forget::Everything => (installed, None),
            Forget::Space { asid } => (asid, None),
            Forget::Range { asid, first, last, .. } => (asid, Some((first, last))),
            Forget::Page { asid, address, .. } => (asid, Some((address, address))),
        };
        if asid != installed {
            return Ok(()); // Other address spaces were forgotten when this one was installed.
        }
        if let (Forgets::Itself, Some((first, last))) = (self.forgets, range) {
            let first = first & !4095;
            if last.saturating_sub(first) / 4096 < FEW_PAGES {
                self.copy_root(true)?;
                let pages: Vec<u64> = (first..=last).step_by(4096).collect();
                let deadline = deadline()?;
                let privilege = Privilege::Privileged;
                return self.access(&deadline, Loop::ForgetPage, privilege, &pages).map(drop);
            }
        }
        self.forget_all()
    }
}

fn deadline() -> Result<Deadline, MmuError> {
    Deadline::new().map_err(|why| broken("no time limit", why))
}

fn reached_memory(request: Request) -> MmuError {
    let Request { address, access } = request;
    MmuError::Broken(format!("{access:?} at {address:#x} ends in memory, and where is unknown"))
}
