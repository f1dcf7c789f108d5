//! Text as a trace: whole, or an error that says where.

use std::{collections::HashSet, error::Error, fmt};

use super::{
    Op, Run, Space, Trace,
    fields::{Fault, Fields, decimal},
};

/// Why a text is not a trace, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// Name of the file, as given to [`Trace::parse`].
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What would have been right.
    pub expected: String,
    /// What stands there (its start, when long); empty when the line or the text ends too early.
    pub found: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: expected {}, found ", self.file, self.line, self.expected)?;
        if self.found.is_empty() { f.write_str("nothing") } else { write!(f, "{:?}", self.found) }
    }
}

impl Error for ParseError {}

impl Trace {
    /// Reads a trace. `name` is the file's, for error messages.
    ///
    /// # Errors
    ///
    /// The first line that breaks a rule of the format (see the [module](super)).
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::default();
        for (index, line) in text.lines().enumerate() {
            parser.line(index + 1, line).map_err(|fault| fault.at(name, index + 1))?;
        }
        let last_line = text.lines().count().max(1);
        parser.finish().map_err(|fault| fault.at(name, last_line))
    }
}

#[derive(Default)]
struct Parser {
    trace: Trace,
    has_version: bool,
    has_page: bool,
    named: HashSet<Space>,
    gone: HashSet<Space>,
    /// The runs of the last `map`, once there are any.
    runs: Option<OpenRuns>,
}

/// The `run` records of a mapping, as far as they were read.
struct OpenRuns {
    /// How many bytes of the mapping they do not cover yet.
    missing: u64,
    /// Line of the last one.
    line: usize,
}

impl Parser {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Fault> {
        let line = line.trim();
        let mut fields = Fields::new(line, self.trace.header.page);
        let Some(word) = fields.next() else {
            return Ok(());
        };
        if !self.has_version {
            return self.version(word, fields);
        }
        match word {
            "page" | "command" | "runs" if !self.trace.ops.is_empty() => Err(Fault::new(
                "an operation, since header records come before the first one",
                word,
            )),
            "page" => self.page(fields),
            "command" => self.command(line[word.len()..].trim()),
            "runs" => self.runs(fields),
            "run" => self.run(number, fields),
            _ => {
                self.end_of_runs()?;
                let op = self.op(word, fields)?;
                self.trace.ops.push(op);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Trace, Fault> {
        if !self.has_version {
            return Err(Fault::new("the version line `iopgt-trace 1`", ""));
        }
        self.end_of_runs()?;
        Ok(self.trace)
    }

    fn version(&mut self, word: &str, mut fields: Fields<'_>) -> Result<(), Fault> {
        if word != "iopgt-trace" {
            return Err(Fault::new("the version line `iopgt-trace 1`", word));
        }
        let version = fields.take("the version 1")?;
        if version != "1" {
            return Err(Fault::new("the version 1", version));
        }
        self.has_version = true;
        fields.end()
    }

    fn page(&mut self, mut fields: Fields<'_>) -> Result<(), Fault> {
        if self.has_page || !self.trace.header.runs.is_empty() {
            return Err(Fault::new("`page` only once and before any `runs`", "page"));
        }
        let expected = "a page size, a power of two from 4096 to 65536";
        let text = fields.take(expected)?;
        let page = decimal(text).filter(|page| page.is_power_of_two());
        let page = page.filter(|page| (4096..=65536).contains(page));
        self.trace.header.page = page.ok_or_else(|| Fault::new(expected, text))?;
        self.has_page = true;
        fields.end()
    }

    fn command(&mut self, text: &str) -> Result<(), Fault> {
        if self.trace.header.command.is_some() {
            return Err(Fault::new("`command` only once", "command"));
        }
        self.trace.header.command = Some(text.to_owned());
        Ok(())
    }

    fn runs(&mut self, mut fields: Fields<'_>) -> Result<(), Fault> {
        let expected = "a run length in bytes (a multiple of the page size) and a count above 0, \
                        such as 8192:3";
        let mut text = fields.take(expected)?;
        loop {
            let fault = || Fault::new(expected, text);
            let (len, count) = text.split_once(':').ok_or_else(fault)?;
            let (len, count) = (decimal(len).ok_or_else(fault)?, decimal(count).ok_or_else(fault)?);
            if len == 0 || len % fields.page != 0 || count == 0 {
                return Err(fault());
            }
            let added = self.trace.header.runs.add(len, count);
            added.ok_or_else(|| Fault::new("counts that sum to less than 2^64", text))?;
            match fields.next() {
                Some(next) => text = next,
                None => return Ok(()),
            }
        }
    }

    fn run(&mut self, line: usize, mut fields: Fields<'_>) -> Result<(), Fault> {
        let Some(Op::Map { len: mapped, runs, .. }) = self.trace.ops.last_mut() else {
            return Err(Fault::new("`run` only after `map` or another `run`", "run"));
        };
        let missing = self.runs.as_ref().map_or(*mapped, |runs| runs.missing);
        let (addr, len) = fields.range()?;
        let Some(missing) = missing.checked_sub(len) else {
            return Err(wrong_sum(*mapped, (*mapped - missing).saturating_add(len)));
        };
        self.runs = Some(OpenRuns { missing, line });
        runs.push(Run { addr, len });
        fields.end()
    }

    /// The record that follows is no `run`: those so far cover the mapping, or there are none.
    fn end_of_runs(&self) -> Result<(), Fault> {
        match (&self.runs, self.trace.ops.last()) {
            (Some(runs), Some(Op::Map { len, .. })) if runs.missing > 0 => {
                Err(Fault { line: Some(runs.line), ..wrong_sum(*len, len - runs.missing) })
            }
            _ => Ok(()),
        }
    }

    fn op(&mut self, word: &str, mut fields: Fields<'_>) -> Result<Op, Fault> {
        self.runs = None;
        let expected = "an operation (map, run, unmap, protect, remap, fork, clear or exit)";
        if !["map", "unmap", "protect", "remap", "fork", "clear", "exit"].contains(&word) {
            return Err(Fault::new(expected, word));
        }
        let space = self.live_space(&mut fields)?;
        let op = match word {
            "map" => {
                let (addr, len) = fields.range()?;
                Op::Map { space, addr, len, prot: fields.prot()?, runs: Vec::new() }
            }
            "unmap" => {
                let (addr, len) = fields.range()?;
                Op::Unmap { space, addr, len }
            }
            "protect" => {
                let (addr, len) = fields.range()?;
                Op::Protect { space, addr, len, prot: fields.prot()? }
            }
            "remap" => {
                let (old, old_len) = fields.range()?;
                let (new, new_len) = fields.range()?;
                Op::Remap { space, old, old_len, new, new_len }
            }
            "fork" => Op::Fork { space, child: self.new_space(&mut fields)? },
            "clear" => Op::Clear { space },
            _ => {
                self.gone.insert(space);
                Op::Exit { space }
            }
        };
        fields.end()?;
        Ok(op)
    }

    fn live_space(&mut self, fields: &mut Fields<'_>) -> Result<Space, Fault> {
        let (space, text) = fields.space()?;
        if self.gone.contains(&space) {
            return Err(Fault::new("a space that has not exited", text));
        }
        self.named.insert(space);
        Ok(space)
    }

    fn new_space(&mut self, fields: &mut Fields<'_>) -> Result<Space, Fault> {
        let (space, text) = fields.space()?;
        if self.named.insert(space) {
            Ok(space)
        } else {
            Err(Fault::new("a child space that was not named before", text))
        }
    }
}

fn wrong_sum(mapped: u64, sum: u64) -> Fault {
    let expected = format!("runs that sum to the mapping's {mapped:#x} bytes");
    Fault::new(expected, &format!("{sum:#x}"))
}
