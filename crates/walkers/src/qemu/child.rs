//! A QEMU that runs beside the test, and never longer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use super::locate::Program;
use crate::{MmuError, Ram};

/// How long an answer may take: much longer than any does, on a computer that is busy.
const LIMIT: Duration = Duration::from_secs(30);

/// A running QEMU, its standard input and output, and what it says on its standard error. It is
/// killed when this is dropped, and when this process ends in any other way.
#[derive(Debug)]
pub(crate) struct Child {
    program: Program,
    process: process::Child,
    input: ChildStdin,
    output: ChildStdout,
    errors: File,
    limit: Duration,
}

impl Child {
    /// Starts `program` without any device but those in `arguments`, and with `ram` as the memory
    /// backend `walked`, for `-machine …,memory-backend=walked`.
    pub(crate) fn start(
        program: &Program,
        ram: &Ram,
        arguments: &[&str],
    ) -> Result<Self, MmuError> {
        let failed = |why: io::Error| MmuError::Broken(format!("{program} does not start: {why}"));
        let errors = File::from(
            memfd_create("errors", MemfdFlags::CLOEXEC).map_err(|why| failed(why.into()))?,
        );
        let mut command = program.command();
        if let Some(firmware) = program.firmware() {
            command.arg("-L").arg(firmware);
        }
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .arg("-m")
            .arg(format!("size={}B", ram.bytes()))
            .arg("-object")
            .arg(format!(
                "memory-backend-file,id=walked,mem-path={},size={},share=on",
                ram.path(),
                ram.bytes()
            ))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().map_err(failed)?);
        let mut process = spawn(command).map_err(failed)?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self { program: program.clone(), process, input, output, errors, limit: LIMIT })
    }

    /// Writes to its standard input.
    pub(crate) fn say(&mut self, words: &[u8]) -> Result<(), MmuError> {
        self.input
            .write_all(words)
            .map_err(|why| self.broken(&format!("it does not listen ({why})")))
    }

    /// Reads what it has written to its standard output, at least one byte and at most as much as
    /// `into` has room for, and says how many. Waits as long as the time limit allows.
    pub(crate) fn hear(&mut self, into: &mut [u8]) -> Result<usize, MmuError> {
        let end = Instant::now() + self.limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            let mut wait = [PollFd::new(&self.output, PollFlags::IN)];
            match poll(&mut wait, left.as_ref()) {
                Ok(0) => {
                    return Err(self.broken(&format!("it gave no answer in {:?}", self.limit)));
                }
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(self.broken(&format!("it cannot be heard ({why})"))),
            }
        }
        match self.output.read(into) {
            Ok(0) => Err(self.broken("it has ended")),
            Ok(count) => Ok(count),
            Err(why) => Err(self.broken(&format!("it cannot be heard ({why})"))),
        }
    }

    /// The error that says what has happened, and what it said about it.
    pub(crate) fn broken(&mut self, what: &str) -> MmuError {
        let mut text = vec![format!("{}: {what}", self.program)];
        // It may have closed its output just before it ends.
        for _ in 0..20 {
            if let Ok(Some(status)) = self.process.try_wait() {
                text.push(status.to_string());
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let mut said = vec![0; 4096];
        let count = self.errors.read_at(&mut said, 0).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..count]).trim().replace('\n', "; ");
        if !said.is_empty() {
            text.push(format!("it said: {said}"));
        }
        MmuError::Broken(text.join("; "))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only where it has ended and was waited for already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command, and where its process goes.
type Errand = (Command, Sender<io::Result<process::Child>>);

/// Starts a process that the kernel kills when this one ends, however it does.
///
/// The kernel means the thread that started it. So one thread starts all of them, and stays.
fn spawn(mut command: Command) -> io::Result<process::Child> {
    static NURSERY: OnceLock<Sender<Errand>> = OnceLock::new();
    end_with_parent(&mut command);
    let nursery = NURSERY.get_or_init(|| {
        let (sender, errands) = mpsc::channel::<Errand>();
        thread::spawn(move || {
            for (mut command, reply) in errands {
                // Whoever asked waits for the reply.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, process) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    nursery.send((command, reply)).map_err(|_| gone(mpsc::RecvError))?;
    process.recv().map_err(gone)?
}

#[expect(unsafe_code, reason = "code between fork and exec")]
fn end_with_parent(command: &mut Command) {
    let parent = getpid();
    // SAFETY: the closure makes two system calls and touches no memory but its own, so it does
    // not matter that other threads may have held locks when the process was forked.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have ended before that.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{self, Command, Stdio};
    use std::time::{Duration, Instant};
    use std::{env, fs, thread};

    use super::Child;
    use crate::qemu::locate::{Program, Series};
    use crate::{MmuError, Ram, require};

    const MONITOR: [&str; 4] = ["-machine", "none", "-monitor", "stdio"];

    fn program() -> Option<Program> {
        require::machine("qemu", Program::locate("qemu-system-aarch64", Series::Ten))
    }

    fn monitor(program: &Program) -> Child {
        let ram = Ram::new(0, 1 << 20).unwrap();
        Child::start(program, &ram, &MONITOR).unwrap()
    }

    /// Hears until `word` was said.
    fn until(child: &mut Child, word: &str) -> Result<(), MmuError> {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(word) {
            let mut more = [0; 256];
            let count = child.hear(&mut more)?;
            heard.extend_from_slice(&more[..count]);
        }
        Ok(())
    }

    /// Whether there is such a process, and it has not ended.
    fn lives(pid: u32) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/stat"));
        status.is_ok_and(|status| !status.contains(") Z"))
    }

    #[test]
    fn a_child_answers_and_ends_when_it_is_dropped() {
        let Some(program) = program() else { return };
        let mut child = monitor(&program);
        until(&mut child, "(qemu)").unwrap();
        child.say(b"info version\n").unwrap();
        until(&mut child, "10.").unwrap();
        let pid = child.process.id();
        assert!(lives(pid));
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_child_that_ends_says_why() {
        let Some(program) = program() else { return };
        let ram = Ram::new(0, 1 << 20).unwrap();
        let mut child = Child::start(&program, &ram, &["-machine", "abacus"]).unwrap();
        let Err(MmuError::Broken(why)) = child.hear(&mut [0]) else { panic!("it runs") };
        assert!(why.contains("qemu-system-aarch64 10."), "{why}");
        assert!(why.contains("exit status: 1") && why.contains("abacus"), "{why}");
    }

    #[test]
    fn a_child_that_is_silent_is_given_up() {
        let Some(program) = program() else { return };
        let mut child = monitor(&program);
        until(&mut child, "(qemu)").unwrap();
        child.limit = Duration::from_millis(20);
        let mut rest = [0; 64];
        let why = loop {
            match child.hear(&mut rest) {
                Ok(_) => {}
                Err(why) => break why.to_string(),
            }
        };
        assert!(why.contains("no answer in 20ms"), "{why}");
    }

    /// Runs this very test in another process, which starts a child and then aborts.
    #[test]
    fn a_child_does_not_outlive_a_test_that_crashes() {
        const INSIDE: &str = "WALKERS_TEST_CRASH";
        let Some(program) = program() else { return };
        if env::var_os(INSIDE).is_some() {
            // Of a thread that ends: only the end of the process must matter.
            let child = thread::spawn(move || monitor(&program)).join().unwrap();
            thread::sleep(Duration::from_millis(50));
            println!("\npid {} {}", child.process.id(), lives(child.process.id()));
            process::abort();
        }
        let name = "qemu::child::tests::a_child_does_not_outlive_a_test_that_crashes";
        let mut crashing = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(crashing.stdout.take().unwrap()).lines();
        let line = lines.map_while(Result::ok).find(|line| line.starts_with("pid ")).unwrap();
        let pid = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(line.ends_with("true"), "the child ended with the thread that asked for it");
        assert!(!crashing.wait().unwrap().success());
        let end = Instant::now() + Duration::from_secs(10);
        while lives(pid) {
            assert!(Instant::now() < end, "process {pid} lives on");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
