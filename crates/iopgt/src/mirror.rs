//! `iopgt mirror`: the address space of a live process, as a trace.
//!
//! Every page that is in memory becomes part of a `map`, with the physical runs that it lies in.
//! Left out are mappings that allow no access, pages that are not there or swapped out, pages
//! without a frame number, and addresses from 2^48 on (the kernel's half, where x86-64 has its
//! `[vsyscall]` page), since 48 bits are what the page tables of a replay translate.
//!
//! The process goes on while it is looked at. Stop it first (`kill -STOP`) for a picture of one
//! moment.

use std::{
    fs,
    io::{self, Write as _},
    ops::RangeInclusive,
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    cli::{MirrorArgs, Target},
    process::{Piece, Process, Want, page_size, populated},
    trace::{Frames, Header, Op, Space, Trace},
};

/// Addresses from here on are left out.
const ADDRESS_LIMIT: u64 = 1 << 48;

/// Where made-up physical memory lies.
const MADE_UP: RangeInclusive<u64> = 4 << 30..=(1 << 48) - 1;

/// Does what the command line says.
///
/// # Errors
///
/// When the process cannot be looked at, or hides its frame numbers and none are to be made up.
pub fn run(args: &MirrorArgs) -> anyhow::Result<ExitCode> {
    let pid = match args.process {
        Target::Myself => std::process::id(),
        Target::Pid(pid) => pid,
    };
    let mirrored = mirror(pid, args.made_up_frames)?;
    if mirrored.swapped > 0 {
        eprintln!("iopgt: {} pages are swapped out and were left out", mirrored.swapped);
    }
    if mirrored.frameless > 0 && !args.made_up_frames {
        eprintln!("iopgt: {} pages have no frame number and were left out", mirrored.frameless);
    }
    let text = mirrored.trace.to_string();
    match &args.output {
        Some(path) => fs::write(path, text)
            .with_context(|| format!("cannot write the trace to {}", path.display()))?,
        None => io::stdout().write_all(text.as_bytes()).context("cannot write the trace")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A mirrored process, and what of it is missing in the trace.
#[derive(Debug)]
pub struct Mirrored {
    /// The snapshot.
    pub trace: Trace,
    /// Pages that are swapped out.
    pub swapped: u64,
    /// Pages that are in memory but show no frame number.
    pub frameless: u64,
}

/// Takes a snapshot of the process `pid`, with its real frames or made-up ones.
///
/// # Errors
///
/// When the process cannot be looked at, or hides its frame numbers and none are to be made up.
pub fn mirror(pid: u32, made_up_frames: bool) -> anyhow::Result<Mirrored> {
    let process = Process::new(pid);
    let unreadable =
        || format!("cannot look at process {pid} (does it run, and may you trace it?)");
    let name = process.name().with_context(unreadable)?;
    let mappings = process.mappings().with_context(unreadable)?;
    let pagemap = process.pagemap().with_context(unreadable)?;
    let want = if made_up_frames { Want::Presence } else { Want::Frames };
    let header =
        Header { page: page_size(), command: Some(format!("({name})")), ..Header::default() };
    let mut frames = Frames::new(&header, MADE_UP)?;
    let mut trace = Trace { header, ops: Vec::new() };
    let (mut swapped, mut frameless) = (0, 0);
    for vma in mappings {
        if vma.prot.is_none() || vma.range.end > ADDRESS_LIMIT {
            continue;
        }
        let found = populated(&pagemap, vma.range, want).with_context(unreadable)?;
        swapped += found.swapped;
        frameless += found.frameless;
        for Piece { addr, len, mut runs } in found.pieces {
            if made_up_frames {
                runs = frames.draw(addr, len).collect();
            } else {
                for run in &runs {
                    trace.header.runs.sample(run.len, trace.header.page);
                }
            }
            trace.ops.push(Op::Map { space: Space(0), addr, len, prot: vma.prot, runs });
        }
    }
    if trace.ops.is_empty() && frameless > 0 {
        bail!(
            "the kernel shows frame numbers only to processes with CAP_SYS_ADMIN: run as root, \
             or give --made-up-frames to make physical addresses up"
        );
    }
    Ok(Mirrored { trace, swapped, frameless })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_with_made_up_frames_is_a_trace_of_maps_with_runs() {
        let mirrored = mirror(std::process::id(), true).unwrap();
        let trace = Trace::parse("self", &mirrored.trace.to_string()).unwrap();
        assert_eq!(trace, mirrored.trace);
        assert!(!trace.ops.is_empty());
        for op in &trace.ops {
            let Op::Map { runs, .. } = op else { panic!("{op}") };
            assert!(runs.iter().all(|run| run.len == page_size() && MADE_UP.contains(&run.addr)));
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Process ids end at 2^22.
        let message = format!("{:#}", mirror(u32::MAX, true).unwrap_err());
        assert!(message.starts_with("cannot look at process"), "{message}");
    }
}
