//! What the physical memory of the recorded processes looks like while they live.

use std::{
    fs, io,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    process::{Process, Want, page_size, populated},
    trace::Histogram,
};

/// Rest between two looks at all processes.
const INTERVAL: Duration = Duration::from_millis(25);

/// Longer mappings are address space set aside, mostly empty, and take too long to look through.
const LONGEST_MAPPING: u64 = 16 << 30;

/// A thread that looks at the processes that a tracer has.
#[derive(Debug)]
pub struct Sampler {
    /// Dropping it ends the thread.
    stop: Sender<()>,
    thread: JoinHandle<Sampled>,
}

/// What was seen. A run counts once for each look at it, so that what lives long weighs more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sampled {
    /// Lengths of the physical runs of consecutive pages.
    pub runs: Histogram,
    /// Pages were seen, but no frame number.
    pub hidden: bool,
}

impl Sampler {
    /// Looks at the processes traced by the process `tracer` until [`finish`](Self::finish).
    pub fn start(tracer: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut sampled = Sampled::default();
            let mut frameless = false;
            while !sampled.hidden {
                for pid in tracees(tracer) {
                    // A process may be gone at any moment, or be another user's.
                    frameless |= sample(pid, &mut sampled.runs).unwrap_or(false);
                }
                sampled.hidden = frameless && sampled.runs.is_empty();
                match stopped.recv_timeout(INTERVAL) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            sampled
        });
        Self { stop, thread }
    }

    /// Ends the thread and says what it saw.
    pub fn finish(self) -> Sampled {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

/// The processes that `tracer` traces, each once however many threads it has.
fn tracees(tracer: u32) -> Vec<u32> {
    let tracer = tracer.to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| {
                let mut lines = status.lines();
                lines.find_map(|line| line.strip_prefix("TracerPid:")).map(str::trim)
                    == Some(&tracer)
            })
        })
        .collect()
}

/// Counts the runs of a process; whether it has pages without a frame number.
fn sample(pid: u32, runs: &mut Histogram) -> io::Result<bool> {
    let process = Process::new(pid);
    let mut mappings = process.mappings()?;
    mappings
        .retain(|vma| !vma.prot.is_none() && vma.range.end - vma.range.start <= LONGEST_MAPPING);
    let pagemap = process.pagemap()?;
    let mut frameless = false;
    for vma in mappings {
        let found = populated(&pagemap, vma.range, Want::Frames)?;
        frameless |= found.frameless > 0;
        for run in found.pieces.iter().flat_map(|piece| &piece.runs) {
            runs.sample(run.len, page_size());
        }
    }
    Ok(frameless)
}
