//! `iopgt record`: the history of a program's address spaces.
//!
//! The program runs under `strace`, whose log ([`log`]) of the system calls that change address
//! spaces ([`call`]) becomes the operations of a trace ([`history`]). While it lives, a thread
//! looks at the physical memory of all its processes ([`sampler`]), for the `runs` header.
//!
//! What the trace does not have, because no system call asked for it: the mappings that `execve`
//! makes by itself (program, interpreter, stack, vDSO), and the growth of stacks. A `protect` or
//! `unmap` may therefore name ranges that were never mapped.

pub mod call;
pub mod history;
pub mod log;
pub mod sampler;
pub mod strace;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    cli::RecordArgs,
    process::page_size,
    record::{history::History, log::Log, sampler::Sampled, strace::Recorded},
    trace::{Header, Trace},
};

/// Does what the command line says. The exit code is the program's; 128 and the signal's number
/// when a signal ended it.
///
/// # Errors
///
/// When strace cannot be run, the program cannot be started, or the trace cannot be written.
pub fn run(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let unwritable = || format!("cannot write the trace to {}", args.output.display());
    // Before the program runs: it may take long.
    let mut output = File::create(&args.output).with_context(unwritable)?;
    let Recorded { log, sampled: Sampled { runs, hidden }, exit_code } =
        strace::run(&args.command)?;
    if hidden {
        eprintln!(
            "iopgt: the kernel shows frame numbers only to processes with CAP_SYS_ADMIN; the \
             trace has no `runs` header (record as root to have it)"
        );
    }
    let page = page_size();
    let history = history(&log, page).context("cannot read the log of strace")?;
    if !history.has_started() {
        bail!("nothing was recorded: strace could not start the program, its message is above");
    }
    let command = Some(command_line(&args.command));
    let trace = Trace { header: Header { page, command, runs }, ops: history.into_ops() };
    output.write_all(trace.to_string().as_bytes()).with_context(unwritable)?;
    Ok(ExitCode::from(exit_code))
}

fn history(log: &Path, page: u64) -> io::Result<History> {
    let mut events = Log::default();
    let mut lines = BufReader::new(File::open(log)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        events.push(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    let mut history = History::new(page);
    for (pid, event) in events.into_events() {
        history.apply(pid, event);
    }
    Ok(history)
}

/// The command as one would type it in a shell.
fn command_line(command: &[OsString]) -> String {
    let quoted = command.iter().map(|word| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%^".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
