//! A processor that takes lists of operations from the RAM.

use std::sync::Arc;

use super::child::Child;
use super::locate::Program;
use super::rom::Rom;
use crate::{MmuError, PhysMemory, Ram};

/// Words of an operation. Answers take the place of questions.
pub(super) type Operation = [u64; 4];

/// The operation, of every program, that loads the registers from the settings.
pub(super) const SETUP: u64 = 0;

/// How much RAM, from its first byte on, the processors take for themselves: what the machine
/// writes when it starts, their code, their lists.
pub(super) const RESERVED: u64 = 8 << 20;

/// Where the code is put, from the first byte of the RAM on: behind what a machine may write there
/// when it starts.
pub(super) const CODE: u64 = 2 << 20;

/// From the first byte of the code on: the words that host and code agree on.
const CONTROL: u64 = 0x1_0000;
/// As far into the code: a page for what the host likes.
pub(super) const SPARE: u64 = 0x2_0000;
/// As far into the code: the list.
const LIST: u64 = 0x10_0000;

/// How many operations a list has at most: it ends where the reserved part does.
const LONGEST: usize = ((RESERVED - CODE - LIST) / 32) as usize;

/// Words of the control page.
const COUNT: u64 = 0;
const REPLY: u64 = 1;
const SETTINGS: u64 = 2;
const LOST: u64 = 32;

/// What the processor writes to its console: that the list is done, or that it is lost.
const DONE: u8 = b'd';
const IS_LOST: u8 = b'l';

/// How the processor gets to its code, and how that is told from there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// It begins with the first byte, and has instructions that QEMU takes for calls.
    Semihosting,
    /// It begins in a ROM that ends with these bytes, and has a serial port.
    Rom(&'static [u8]),
}

/// A running processor with its code, which waits for lists.
#[derive(Debug)]
pub(super) struct Processor {
    child: Child,
    ram: Arc<Ram>,
}

impl Processor {
    /// Starts a machine whose first processor comes to `code`. The machine has the RAM at the
    /// address that `ram` says, and a console on its standard input and output.
    pub(super) fn start(
        program: &Program,
        ram: &Arc<Ram>,
        arguments: &[&str],
        (entry, code): (Entry, &[u8]),
    ) -> Result<Self, MmuError> {
        // CAST: a size in memory.
        if (ram.bytes() as u64) < RESERVED {
            return Err(MmuError::Broken(format!("less RAM than {RESERVED:#x} bytes")));
        }
        let place = Self::code(ram);
        for (at, bytes) in (0..).zip(code.chunks(8)) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            ram.write_u64(place + at * 8, u64::from_le_bytes(word));
        }
        let control = place + CONTROL;
        ram.write_u64(control + REPLY * 8, u64::from(DONE) | u64::from(IS_LOST) << 8);
        let mut all = vec![
            // One translation buffer, small: it is touched when the machine starts.
            "-accel",
            "tcg,thread=single,tb-size=16",
            "-chardev",
            "stdio,id=console,signal=off",
        ];
        all.extend(arguments);
        let rom = match entry {
            Entry::Semihosting => None,
            Entry::Rom(end) => Some(
                Rom::new(end)
                    .map_err(|why| MmuError::Broken(format!("there is no memory: {why}")))?,
            ),
        };
        let begin = match &rom {
            None => format!("loader,addr={place:#x},cpu-num=0"),
            Some(rom) => rom.path(),
        };
        match entry {
            Entry::Semihosting => all.extend([
                "-semihosting-config",
                "enable=on,target=native,chardev=console",
                "-device",
                &begin,
            ]),
            Entry::Rom(_) => all.extend(["-serial", "chardev:console", "-bios", &begin]),
        }
        let mut processor = Self { child: Child::start(program, ram, &all)?, ram: Arc::clone(ram) };
        processor.wait()?;
        Ok(processor)
    }

    /// Where the code is.
    pub(super) fn code(ram: &Ram) -> u64 {
        ram.first() + CODE
    }

    /// A table that nobody else uses, of 64 KiB.
    pub(super) fn spare(ram: &Ram) -> u64 {
        Self::code(ram) + SPARE
    }

    /// Writes the words that the code loads its registers from.
    pub(super) fn set(ram: &Ram, settings: &[u64]) {
        let first = Self::code(ram) + CONTROL + SETTINGS * 8;
        for (at, &value) in (0..).zip(settings) {
            ram.write_u64(first + at * 8, value);
        }
    }

    /// Whether these are the words that were set, or that the code has read its registers back to.
    pub(super) fn holds(&self, settings: &[u64]) -> bool {
        let first = Self::code(&self.ram) + CONTROL + SETTINGS * 8;
        let mut words = (0..).zip(settings);
        words.all(|(at, &value)| self.ram.read_u64(first + at * 8) == Some(value))
    }

    /// Has the operations done, in order. Lists that are too long are cut.
    pub(super) fn run(&mut self, operations: &mut [Operation]) -> Result<(), MmuError> {
        let control = Self::code(&self.ram) + CONTROL;
        let list = Self::code(&self.ram) + LIST;
        for part in operations.chunks_mut(LONGEST) {
            for (place, &word) in (list..).step_by(8).zip(part.as_flattened()) {
                self.ram.write_u64(place, word);
            }
            // CAST: at most LONGEST.
            self.ram.write_u64(control + COUNT * 8, part.len() as u64);
            self.child.say(b"g")?;
            self.wait()?;
            for (place, word) in (list..).step_by(8).zip(part.as_flattened_mut()) {
                *word = self.ram.read_u64(place).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), MmuError> {
        let mut reply = [0];
        self.child.hear(&mut reply)?;
        if reply == [DONE] {
            return Ok(());
        }
        let lost = Self::code(&self.ram) + CONTROL + LOST * 8;
        let words = [0, 8, 16].map(|at| self.ram.read_u64(lost + at).unwrap_or_default());
        Err(self.child.broken(&format!("its processor is lost: {words:x?}")))
    }
}
