//! A trace as text.

use std::fmt;

use super::{Header, Op, Prot, Trace};

/// Lengths on one `runs` line.
const RUNS_PER_LINE: usize = 8;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header.fmt(f)?;
        self.ops.iter().try_for_each(|op| writeln!(f, "{op}"))
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "iopgt-trace 1")?;
        writeln!(f, "page {}", self.page)?;
        if let Some(command) = &self.command {
            writeln!(f, "command {}", command.replace(char::is_control, " "))?;
        }
        for (index, (len, count)) in self.runs.iter().enumerate() {
            let start = match index % RUNS_PER_LINE {
                0 if index == 0 => "runs",
                0 => "\nruns",
                _ => "",
            };
            write!(f, "{start} {len}:{count}")?;
        }
        if self.runs.is_empty() { Ok(()) } else { writeln!(f) }
    }
}

/// One record, and a line more for each of its runs; no line feed at the end.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { space, addr, len, prot, runs } => {
                write!(f, "map {space} {addr:#x} {len:#x} {prot}")?;
                runs.iter().try_for_each(|run| write!(f, "\nrun {:#x} {:#x}", run.addr, run.len))
            }
            Self::Unmap { space, addr, len } => write!(f, "unmap {space} {addr:#x} {len:#x}"),
            Self::Protect { space, addr, len, prot } => {
                write!(f, "protect {space} {addr:#x} {len:#x} {prot}")
            }
            Self::Remap { space, old, old_len, new, new_len } => {
                write!(f, "remap {space} {old:#x} {old_len:#x} {new:#x} {new_len:#x}")
            }
            Self::Fork { space, child } => write!(f, "fork {space} {child}"),
            Self::Clear { space } => write!(f, "clear {space}"),
            Self::Exit { space } => write!(f, "exit {space}"),
        }
    }
}

impl fmt::Display for Prot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |allowed, letter| if allowed { letter } else { '-' };
        let [read, write, exec] =
            [letter(self.read, 'r'), letter(self.write, 'w'), letter(self.exec, 'x')];
        write!(f, "{read}{write}{exec}")
    }
}
