//! Translations as devices see them: `edu` copies a word, and an emulated IOMMU says where.
//!
//! # A read
//!
//! A device fetches the word at the address in question into its buffer. The word says where it
//! was read, see [`Targets`]. Buffers cannot be looked at; so when all is asked, the IOMMU is
//! switched off for a moment, and the devices store their buffers in the mailbox.
//!
//! # A write
//!
//! Another device stores a token at the address in question. Each request of a batch has its own
//! word in a page, its slot, in which both its read and its write are made, whatever lower twelve
//! bits were asked for: pages have 4 KiB at least, so IOMMUs do not look at these bits. So a token
//! is in its slot of some page of the window, or nowhere in it, and requests of a batch do not
//! get in each other's way, though they may lead to the same page.
//!
//! # What is not asked
//!
//! An IOMMU of a PC takes some addresses for interrupts. They are refused here, without a class.
//!
//! # Who asks
//!
//! Some devices read, others write, and the IOMMUs are programmed to keep what they remember of
//! the ones apart from what they remember of the others. For QEMU's look at the permissions when
//! they walk, and not all of them look again when they remember; so a read never stands in for
//! the check that a write needs. An address is always asked by the same device, so that an IOMMU
//! that remembers by device remembers it.

mod face;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::Child;
use super::edu::{BUFFER_WORDS, Edu, done};
use super::edu_iommu::{Iommu, Report, Role};
use super::edu_mailbox::Mailbox;
use super::edu_pci::{Configuration, Slots, is_edu};
use super::edu_targets::{PAGE_WORDS, Targets, repair, token};
use super::locate::Program;
use super::qtest::{Qtest, Script};
use crate::{
    AccessKind, Answer, FaultKind, Forget, MmuError, PhysMemory, Ram, Reached, Refusal, Request,
    Unsupported,
};

pub(super) use face::is_mmu;

/// The devices of a machine: half of them read and half of them write.
pub(super) const DEVICES: u8 = 16;

/// How long a copy may take: much longer than any does, on a computer that is busy.
const LIMIT: Duration = Duration::from_secs(30);

/// A QEMU that is on this computer, for one kind of machine.
#[derive(Clone, Debug)]
pub struct Emulator(pub(super) Program);

/// What a machine is started with.
pub(super) struct Machine<'a> {
    pub(super) emulator: &'a Emulator,
    /// Without what all have, and without the devices.
    pub(super) arguments: &'a [&'a str],
    pub(super) configuration: Configuration,
    pub(super) slots: Slots,
    pub(super) targets: (u64, u64),
}

/// An IOMMU and the devices that ask it.
#[derive(Debug)]
pub(super) struct EduMmu<I> {
    qtest: Qtest,
    ram: Arc<Ram>,
    iommu: I,
    devices: Vec<Device>,
    targets: Targets,
    /// A page of tokens, one of zeros.
    tokens: u64,
    zeros: u64,
    installed: bool,
    /// Where pages were last found. Only a place to look first.
    hints: HashMap<u64, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Device {
    edu: Edu,
    role: Role,
    /// Where its buffer goes.
    copy: u64,
}

/// A request, who makes it, and with which word.
#[derive(Clone, Copy, Debug)]
struct Task {
    device: usize,
    slot: u64,
    request: Request,
}

/// Tasks of different devices.
type Round = Vec<Task>;

/// Tells a device to copy.
type Start<'a> = dyn Fn(&mut Script, &Device) + 'a;

/// What became of a request.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    page: Option<u64>,
    kind: Option<FaultKind>,
}

impl<I: Iommu> EduMmu<I> {
    /// Starts the machine, and has `iommu` make its IOMMU ready.
    pub(super) fn start(
        machine: &Machine<'_>,
        ram: Arc<Ram>,
        mailbox: &mut Mailbox<'_>,
        iommu: impl FnOnce(&mut Script, &mut Mailbox<'_>, &[(Edu, Role)]) -> Result<I, MmuError>,
    ) -> Result<Self, MmuError> {
        let targets = Targets::new(&ram, machine.targets).ok_or_else(|| {
            MmuError::Broken(format!("the targets {:x?} are not in RAM", machine.targets))
        })?;
        let devices: Vec<_> = machine.slots.devices().collect();
        let role = |index| if index < devices.len() / 2 { Role::Reader } else { Role::Writer };
        let devices: Vec<_> = (0..).map(role).zip(devices.iter().copied()).collect();

        let (tokens, zeros) = (mailbox.take(4096, 4096)?, mailbox.take(4096, 4096)?);
        for slot in 0..BUFFER_WORDS {
            ram.write_u64(tokens + slot * 8, token(slot));
        }
        let mut script = Script::default();
        let identities: Vec<_> = devices
            .iter()
            .map(|&(_, (slot, edu))| machine.configuration.enable(&mut script, slot, edu.bar))
            .collect();
        let edus: Vec<_> = devices.iter().map(|&(role, (_, edu))| (edu, role)).collect();
        let iommu = iommu(&mut script, mailbox, &edus)?;
        let devices = edus
            .into_iter()
            .map(|(edu, role)| Ok(Device { edu, role, copy: mailbox.take(4096, 4096)? }))
            .collect::<Result<Vec<_>, MmuError>>()?;

        let arguments: Vec<_> = machine.slots.arguments().collect();
        let arguments: Vec<&str> = ["-qtest", "stdio", "-qtest-log", "none"]
            .into_iter()
            .chain(["-accel", "tcg,thread=single,tb-size=8", "-icount", "shift=0,sleep=off"])
            .chain(machine.arguments.iter().copied())
            .chain(arguments.iter().map(String::as_str))
            .collect();
        let mut qtest = Qtest::new(Child::start(&machine.emulator.0, &ram, &arguments)?);
        let answers = qtest.run(&script)?;
        if identities.iter().any(|&asked| !is_edu(answers.get(asked))) {
            return Err(MmuError::Broken("a device is not where it should be".to_owned()));
        }
        let mut this = Self {
            qtest,
            ram,
            iommu,
            devices,
            targets,
            tokens,
            zeros,
            installed: false,
            hints: HashMap::new(),
        };
        this.fill_buffers()?;
        Ok(this)
    }

    /// Its driver.
    pub(super) const fn iommu(&self) -> &I {
        &self.iommu
    }

    /// Runs a script that tells devices to copy, `last` the last of them, and waits until all have:
    /// copies are made in the order in which they were asked for.
    fn copy(&mut self, script: &Script, last: Edu) -> Result<(), MmuError> {
        self.qtest.run(script)?;
        let begun = Instant::now();
        let mut script = Script::default();
        let asked = last.ask(&mut script);
        while !done(self.qtest.run(&script)?.get(asked)) {
            if begun.elapsed() > LIMIT {
                return Err(self.qtest.broken("a device does not make its copies"));
            }
        }
        Ok(())
    }

    /// Has `devices` copy at once, as `start` tells each, past the IOMMU.
    fn copy_around(&mut self, devices: &[Device], starts: &[&Start<'_>]) -> Result<(), MmuError> {
        let Some(last) = devices.last() else { return Ok(()) };
        let mut script = Script::default();
        self.iommu.bypass(&mut script, &self.ram, true);
        for start in starts {
            for device in devices {
                start(&mut script, device);
            }
            self.copy(&script, last.edu)?;
            script = Script::default();
        }
        self.iommu.bypass(&mut script, &self.ram, false);
        self.qtest.run(&script).map(|_| ())
    }

    /// Zeros for those that read, tokens for those that write.
    fn fill_buffers(&mut self) -> Result<(), MmuError> {
        let (zeros, tokens) = (self.zeros, self.tokens);
        self.copy_around(
            &self.devices.clone(),
            &[&|script, device| {
                let page = if device.role == Role::Reader { zeros } else { tokens };
                device.edu.fetch(script, page, 0, BUFFER_WORDS);
            }],
        )
    }

    /// The device that makes accesses of `role` to `address`.
    fn device(&self, role: Role, address: u64) -> usize {
        let half = self.devices.len() / 2;
        // Fibonacci hashing: neighbouring pages go to different devices.
        let mixed = (address >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        // CAST: less than the number of devices.
        let index = (mixed % half as u64) as usize;
        if role == Role::Reader { index } else { half + index }
    }

    fn is_translated(address: u64) -> bool {
        I::INTERRUPTS.is_none_or(|(first, last)| !(first..=last).contains(&address))
    }

    /// Starts an access.
    fn access(&self, script: &mut Script, task: &Task) -> Edu {
        let Device { edu, role, .. } = self.devices[task.device];
        let address = (task.request.address & !0xfff) + task.slot * 8;
        match role {
            Role::Reader => edu.fetch(script, address, task.slot, 1),
            Role::Writer => edu.store(script, task.slot, address, 1),
        }
        edu
    }

    /// What to do at once, one access of each device, and what has to be done alone, each in its
    /// slot.
    fn rounds(&self, requests: &[Request]) -> Result<(Vec<Round>, Vec<Task>), MmuError> {
        let mut rounds: Vec<Round> = Vec::new();
        let mut alone = Vec::new();
        let mut done = vec![0; self.devices.len()];
        for (slot, &request) in (0..).zip(requests) {
            let role = match request.access.kind {
                AccessKind::Read => Role::Reader,
                AccessKind::Write => Role::Writer,
                AccessKind::Execute => return Err(Unsupported::new("fetches").into()),
            };
            if !Self::is_translated(request.address) {
                continue;
            }
            let device = self.device(role, request.address);
            let task = Task { device, slot, request };
            if I::CONFUSED_FROM.is_some_and(|from| request.address >= from) {
                alone.push(task);
                continue;
            }
            let turn = &mut done[device];
            if *turn == rounds.len() {
                rounds.push(Vec::new());
            }
            rounds[*turn].push(task);
            *turn += 1;
        }
        Ok((rounds, alone))
    }

    /// Asks up to as many requests as a page has words.
    fn batch(&mut self, requests: &[Request], answers: &mut Vec<Answer>) -> Result<(), MmuError> {
        let (rounds, alone) = self.rounds(requests)?;
        let mut reports = self.ask_all(&rounds, &alone)?;
        if I::ONE_FAULT {
            reports.clear();
        }
        let mut outcomes = vec![Outcome { page: None, kind: None }; requests.len()];
        for report in reports {
            // CAST: less than the words of a page.
            let slot = (report.address >> 3) as usize % PAGE_WORDS as usize;
            let asked = requests.get(slot).map(|request| request.address >> 12);
            if let (Some(outcome), true) =
                (outcomes.get_mut(slot), asked == Some(report.address >> 12))
            {
                outcome.kind = outcome.kind.or(report.kind);
            }
        }
        self.find(requests, &mut outcomes);
        if I::ONE_FAULT {
            self.ask_again(requests, &mut outcomes)?;
        }
        answers.extend(requests.iter().zip(&outcomes).map(|(request, outcome)| match outcome {
            Outcome { page: Some(page), .. } => {
                Ok(Reached { address: page | request.address & 0xfff, translation: None })
            }
            Outcome { kind, .. } => Err(Refusal { kind: *kind, level: None }),
        }));
        Ok(())
    }

    /// Has all accesses made, then stored what was read.
    fn ask_all(&mut self, rounds: &[Round], alone: &[Task]) -> Result<Vec<Report>, MmuError> {
        for round in rounds {
            let mut script = Script::default();
            let mut last = None;
            for task in round {
                last = Some(self.access(&mut script, task));
            }
            last.map_or(Ok(()), |edu| self.copy(&script, edu))?;
        }
        for task in alone {
            let mut script = Script::default();
            self.iommu.forget(&mut script, &self.ram, Forget::Everything);
            let edu = self.access(&mut script, task);
            self.copy(&script, edu)?;
        }
        let mut script = Script::default();
        if !alone.is_empty() {
            self.iommu.forget(&mut script, &self.ram, Forget::Everything);
        }
        self.qtest.run(&script)?;
        let reports = self.reports()?;

        let tasks = rounds.iter().flatten().chain(alone);
        let mut have_read: Vec<_> = tasks.map(|task| task.device).collect();
        have_read.sort_unstable();
        have_read.dedup();
        let have_read: Vec<_> = have_read
            .into_iter()
            .map(|device| self.devices[device])
            .filter(|device| device.role == Role::Reader)
            .collect();
        let zeros = self.zeros;
        self.copy_around(
            &have_read,
            &[
                &|script, device| device.edu.store(script, 0, device.copy, BUFFER_WORDS),
                // What is refused next time must not leave what was read now.
                &|script, device| device.edu.fetch(script, zeros, 0, BUFFER_WORDS),
            ],
        )?;
        Ok(reports)
    }

    /// The faults since the last time.
    fn reports(&mut self) -> Result<Vec<Report>, MmuError> {
        let mut script = Script::default();
        let asked = self.iommu.ask_faults(&mut script);
        let answers = self.qtest.run(&script)?;
        self.iommu.faults(&self.ram, &answers, &asked).map_err(|why| self.qtest.broken(&why))
    }

    /// Where the accesses that were made arrived.
    fn find(&mut self, requests: &[Request], outcomes: &mut [Outcome]) {
        for ((slot, request), outcome) in (0..).zip(requests).zip(&mut *outcomes) {
            if request.access.kind == AccessKind::Read
                && outcome.kind.is_none()
                && Self::is_translated(request.address)
            {
                let copy = self.devices[self.device(Role::Reader, request.address)].copy;
                let word = self.ram.read_u64(copy + slot * 8);
                outcome.page = word.and_then(|word| self.targets.place(word)).map(|at| at & !0xfff);
                if let Some(page) = outcome.page {
                    self.hints.insert(request.address >> 12, page);
                }
            }
        }
        for ((slot, request), outcome) in (0..).zip(requests).zip(outcomes) {
            if request.access.kind == AccessKind::Write && outcome.kind.is_none() {
                let hint = self.hints.get(&(request.address >> 12)).copied();
                if let Some(at) = self.targets.find(&self.ram, slot, hint) {
                    repair(&self.ram, at);
                    self.hints.insert(request.address >> 12, at & !0xfff);
                    outcome.page = Some(at & !0xfff);
                }
            }
        }
    }

    /// Makes the accesses that were refused again, one by one, to hear why each was.
    fn ask_again(
        &mut self,
        requests: &[Request],
        outcomes: &mut [Outcome],
    ) -> Result<(), MmuError> {
        for ((slot, &request), outcome) in (0..).zip(requests).zip(outcomes) {
            if outcome.page.is_some() || !Self::is_translated(request.address) {
                continue;
            }
            let role = match request.access.kind {
                AccessKind::Write => Role::Writer,
                _ => Role::Reader,
            };
            let device = self.device(role, request.address);
            let mut script = Script::default();
            let edu = self.access(&mut script, &Task { device, slot, request });
            self.copy(&script, edu)?;
            let reports = self.reports()?;
            let report =
                reports.iter().find(|report| report.address >> 12 == request.address >> 12);
            outcome.kind = report.and_then(|report| report.kind);
        }
        Ok(())
    }
}
