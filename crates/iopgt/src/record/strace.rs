//! Running a program under strace.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGQUIT};
use tempfile::{NamedTempFile, TempPath};

use super::sampler::{Sampled, Sampler};

/// The system calls that change address spaces, or say which task has which. A question mark
/// passes over those that an architecture does not have.
const CALLS: &str = "trace=?mmap,?mmap2,?munmap,?mremap,?mprotect,?pkey_mprotect,?brk,\
                     ?shmget,?shmat,?shmdt,?clone,?clone3,?fork,?vfork,?execve,?execveat";

const NOT_INSTALLED: &str = "strace is not installed, and recording needs it: install the package \
                             `strace` of your distribution (apt install strace, dnf install \
                             strace, pacman -S strace, apk add strace, zypper install strace)";

/// What came of a run.
#[derive(Debug)]
pub struct Recorded {
    /// The file with strace's log; it goes when this is dropped.
    pub log: TempPath,
    /// The physical memory that was seen.
    pub sampled: Sampled,
    /// The program's exit code; 128 and the signal's number when a signal ended it.
    pub exit_code: u8,
}

/// Runs a program to its end, with the standard streams of this process. The end of all the
/// processes that it leaves behind is waited for.
///
/// An interrupt from the keyboard ends the program, not the recording.
///
/// # Errors
///
/// When strace is not there or cannot be run.
pub fn run(command: &[OsString]) -> anyhow::Result<Recorded> {
    let log = NamedTempFile::new().context("cannot make a temporary file for the log of strace")?;
    let log = log.into_temp_path();
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::clone(&ignored))
            .context("cannot keep the recording alive on an interrupt")?;
    }
    let mut strace = Command::new("strace");
    // The lines about ends must stay: no second -q, and signals are not filtered, for that would
    // take `killed by` away too.
    strace.args(["-f", "-q", "-s", "0", "-a", "1", "-e", CALLS, "-o"]);
    strace.arg(&log).arg("--").args(command);
    let mut child = strace.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow::Error::msg(NOT_INSTALLED),
        _ => anyhow::Error::new(error).context("cannot run strace"),
    })?;
    let sampler = Sampler::start(child.id());
    let status = child.wait().context("cannot wait for strace");
    let sampled = sampler.finish();
    Ok(Recorded { log, sampled, exit_code: exit_code(status?) })
}

fn exit_code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    // An exit code has 8 bits, and signals end at 64: nothing is out of range.
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
