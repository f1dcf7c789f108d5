//! `iopgt record`, on real programs.

// Only functions marked as tests count as such to the lint.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use iopgt::{
    process::parse_maps,
    trace::{Op, Prot, Trace},
};
use tempfile::TempDir;

/// Whether strace is there and may trace; says so when not.
fn may_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let may = traced.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: strace is not installed or may not trace");
    }
    may
}

fn record(directory: &TempDir, command: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_iopgt"))
        .args(["record", "-o", "out.trace", "--"])
        .args(command)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn recorded(directory: &TempDir) -> Trace {
    let text = std::fs::read_to_string(directory.path().join("out.trace")).unwrap();
    Trace::parse("out.trace", &text).unwrap()
}

#[test]
fn a_recording_has_the_calls_of_the_program_and_its_children() {
    if !may_trace() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let command = ["sh", "-c", "cat; (sleep 0.2); exit 7"];
    let output = record(&directory, &command, "standard input");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(output.stdout, b"standard input");
    let trace = recorded(&directory);
    assert_eq!(trace.header.command.as_deref(), Some("sh -c 'cat; (sleep 0.2); exit 7'"));
    let count = |wanted: fn(&Op) -> bool| trace.ops.iter().filter(|op| wanted(op)).count();
    assert!(count(|op| matches!(op, Op::Map { .. })) > 3, "{trace}");
    let spaces = trace.ops.iter().map(|op| op.space().0).max().unwrap() + 1;
    assert!(spaces >= 3, "sh, cat and sleep have a space each");
    assert_eq!(count(|op| matches!(op, Op::Exit { .. })), spaces as usize, "{trace}");
    let hidden = String::from_utf8_lossy(&output.stderr).contains("CAP_SYS_ADMIN");
    assert_ne!(hidden, !trace.header.runs.is_empty(), "frames are hidden, or seen for 0.2 s");
}

#[test]
fn the_end_by_a_signal_is_passed_on_and_recorded() {
    if !may_trace() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let output = record(&directory, &["sh", "-c", "kill -TERM $$"], "");
    assert_eq!(output.status.code(), Some(128 + 15), "{output:?}");
    assert!(matches!(recorded(&directory).ops.last(), Some(Op::Exit { .. })));
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    if !may_trace() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let output = record(&directory, &["/nonexistent"], "");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("iopgt: nothing was recorded"), "{message}");
}

#[test]
fn without_strace_the_message_says_how_to_get_it() {
    let directory = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_iopgt"))
        .args(["record", "--", "true"])
        .current_dir(&directory)
        .env("PATH", directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.starts_with("iopgt: strace is not installed"), "{message}");
    assert!(message.contains("apt install strace"), "{message}");
}

/// What the last space of a trace has mapped before it exits, page by page.
fn last_space(trace: &Trace) -> BTreeMap<u64, Prot> {
    let page = trace.header.page;
    let numbers = |addr: u64, len: u64| (addr / page)..((addr + len) / page);
    let mut pages = BTreeMap::new();
    for op in &trace.ops {
        match *op {
            Op::Map { addr, len, prot, .. } => {
                pages.extend(numbers(addr, len).map(|number| (number, prot)));
            }
            Op::Unmap { addr, len, .. } => numbers(addr, len).for_each(|number| {
                pages.remove(&number);
            }),
            Op::Protect { addr, len, prot, .. } => {
                pages.range_mut(numbers(addr, len)).for_each(|(_, old)| *old = prot);
            }
            Op::Clear { .. } => pages.clear(),
            Op::Exit { .. } => {}
            Op::Remap { .. } | Op::Fork { .. } => panic!("one process that moves nothing: {op}"),
        }
    }
    pages
}

#[test]
fn what_a_recording_has_mapped_is_what_the_kernel_shows() {
    if !may_trace() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let output = record(&directory, &["cat", "/proc/self/maps"], "");
    let mut shown = BTreeMap::new();
    let trace = recorded(&directory);
    for vma in parse_maps(&String::from_utf8(output.stdout).unwrap()) {
        let numbers = vma.range.start / trace.header.page..vma.range.end / trace.header.page;
        shown.extend(numbers.map(|number| (number, vma.prot)));
    }
    let mapped = last_space(&trace);
    assert!(mapped.len() > 100, "the C library at least");
    for (number, prot) in mapped {
        assert_eq!(shown.get(&number), Some(&prot), "page {number:#x}");
    }
}
