//! QEMU's test interface: commands on standard input, a line of answer for each on standard output.
//!
//! # Time
//!
//! The virtual clock is to run ahead whenever the processor sleeps (`-icount sleep=off`), so a timer
//! of a device goes off as soon as QEMU's other thread gets its turn, however long it was set for.
//! That thread must wait as long as there are commands to read. So whoever waits for a timer asks,
//! and asks again, a script at a time.
//!
//! # References
//!
//! QEMU, `docs/devel/testing/qtest.rst`: the protocol.

use core::fmt::{Arguments, Write};

use super::child::Child;
use crate::MmuError;

/// Commands that are given at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    text: String,
    commands: usize,
}

/// Which of a script's commands an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked(usize);

/// The answers to a script.
#[derive(Clone, Debug)]
pub(super) struct Answers(Vec<u64>);

impl Script {
    fn command(&mut self, words: Arguments<'_>) -> Asked {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{words}");
        self.commands += 1;
        Asked(self.commands - 1)
    }

    /// Writes 32 bits to a register, or to memory.
    pub(super) fn write_u32(&mut self, address: u64, value: u32) {
        self.command(format_args!("writel {address:#x} {value:#x}"));
    }

    /// Writes 64 bits.
    pub(super) fn write_u64(&mut self, address: u64, value: u64) {
        self.command(format_args!("writeq {address:#x} {value:#x}"));
    }

    /// Writes registers that lie side by side, in the order of their addresses.
    pub(super) fn write_all<const N: usize>(&mut self, address: u64, values: [u64; N]) {
        let bytes = Bytes(values);
        self.command(format_args!("write {address:#x} {} 0x{bytes}", N * 8));
    }

    /// Reads 32 bits.
    pub(super) fn read_u32(&mut self, address: u64) -> Asked {
        self.command(format_args!("readl {address:#x}"))
    }

    /// Reads 64 bits.
    pub(super) fn read_u64(&mut self, address: u64) -> Asked {
        self.command(format_args!("readq {address:#x}"))
    }

    /// Writes 32 bits to an I/O port.
    pub(super) fn output_u32(&mut self, port: u16, value: u32) {
        self.command(format_args!("outl {port:#x} {value:#x}"));
    }

    /// Reads 32 bits from an I/O port.
    pub(super) fn input_u32(&mut self, port: u16) -> Asked {
        self.command(format_args!("inl {port:#x}"))
    }
}

/// Words as their bytes in memory, little-endian, in hexadecimal.
struct Bytes<const N: usize>([u64; N]);

impl<const N: usize> core::fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{:016x}", word.swap_bytes()))
    }
}

impl Answers {
    /// What was read.
    pub(super) fn get(&self, asked: Asked) -> u64 {
        self.0.get(asked.0).copied().unwrap_or(0)
    }
}

/// A QEMU that is started with `-qtest stdio`.
#[derive(Debug)]
pub(super) struct Qtest {
    child: Child,
    /// What was heard and belongs to a line that has not ended.
    heard: Vec<u8>,
}

impl Qtest {
    /// How many commands are said before their answers are heard. Both must fit into their pipes
    /// (64 KiB): commands have at most 100 bytes.
    const AT_ONCE: usize = 256;

    pub(super) const fn new(child: Child) -> Self {
        Self { child, heard: Vec::new() }
    }

    /// The error that says what has happened, and what QEMU said about it.
    pub(super) fn broken(&mut self, what: &str) -> MmuError {
        self.child.broken(what)
    }

    /// Runs a script to its end.
    pub(super) fn run(&mut self, script: &Script) -> Result<Answers, MmuError> {
        let mut answers = Vec::with_capacity(script.commands);
        let mut rest = script.text.as_str();
        while !rest.is_empty() {
            let end = rest.match_indices('\n').nth(Self::AT_ONCE - 1);
            let (some, others) = rest.split_at(end.map_or(rest.len(), |(at, _)| at + 1));
            self.child.say(some.as_bytes())?;
            rest = others;
            let expected = (answers.len() + Self::AT_ONCE).min(script.commands);
            while answers.len() < expected {
                self.hear(&mut answers)?;
            }
        }
        Ok(Answers(answers))
    }

    fn hear(&mut self, answers: &mut Vec<u64>) -> Result<(), MmuError> {
        let mut more = [0; 16 * 1024];
        let count = self.child.hear(&mut more)?;
        for &byte in &more[..count] {
            if byte != b'\n' {
                self.heard.push(byte);
                continue;
            }
            match answer(&self.heard) {
                Some(Ok(value)) => answers.push(value),
                // An interrupt, which nobody waits for.
                None => {}
                Some(Err(line)) => return Err(self.child.broken(&format!("it answered {line:?}"))),
            }
            self.heard.clear();
        }
        Ok(())
    }
}

/// What a line answers, if it does: a number, or zero where there was nothing to say.
fn answer(line: &[u8]) -> Option<Result<u64, String>> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_whitespace();
    match words.next() {
        Some("OK") => {
            let number = words.next().and_then(|word| word.strip_prefix("0x"));
            Some(number.map_or(Ok(0), |digits| {
                u64::from_str_radix(digits, 16).map_err(|_| text.clone().into_owned())
            }))
        }
        Some("IRQ") => None,
        _ => Some(Err(text.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Script, answer};

    #[test]
    fn registers_side_by_side_are_written_as_bytes() {
        let mut script = Script::default();
        script.write_all(0x80, [0x0123_4567_89ab_cdef, 1]);
        assert_eq!(script.text, "write 0x80 16 0xefcdab89674523010100000000000000\n");
    }

    #[test]
    fn lines_are_answers_or_interrupts_or_complaints() {
        assert_eq!(answer(b"OK"), Some(Ok(0)));
        assert_eq!(answer(b"OK 0x00000000000000ff"), Some(Ok(255)));
        assert_eq!(answer(b"IRQ raise 1"), None);
        assert_eq!(answer(b"FAIL Unknown command"), Some(Err("FAIL Unknown command".into())));
    }
}
