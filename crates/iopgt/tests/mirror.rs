//! `iopgt mirror`, on itself and on another process.

// Only functions marked as tests count as such to the lint.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use iopgt::trace::{Op, Trace};

fn mirror(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_iopgt")).arg("mirror").args(arguments).output();
    command.unwrap()
}

fn parsed(output: &Output) -> Trace {
    Trace::parse("mirrored", &String::from_utf8_lossy(&output.stdout)).unwrap()
}

#[test]
fn a_process_sees_its_own_frames_or_is_told_what_it_takes() {
    let output = mirror(&["self"]);
    if output.status.success() {
        let trace = parsed(&output);
        assert_eq!(trace.header.command.as_deref(), Some("(iopgt)"));
        assert!(!trace.header.runs.is_empty());
        let with_runs = |op: &Op| matches!(op, Op::Map { runs, .. } if !runs.is_empty());
        assert!(!trace.ops.is_empty() && trace.ops.iter().all(with_runs), "{trace}");
    } else {
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(message.contains("CAP_SYS_ADMIN"), "{message}");
        assert!(message.contains("--made-up-frames"), "{message}");
    }
}

#[test]
fn made_up_frames_take_no_privilege() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("self.trace");
    let output = mirror(&["self", "--made-up-frames", "-o", path.to_str().unwrap()]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let trace = Trace::parse("self", &std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(trace.ops.len() > 5 && trace.header.runs.is_empty(), "{trace}");
}

#[test]
fn another_process_of_the_same_user_can_be_mirrored() {
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let output = mirror(&[&sleeper.id().to_string(), "--made-up-frames"]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!parsed(&output).ops.is_empty());
}

#[test]
fn a_process_that_is_not_there_is_an_error() {
    let output = mirror(&["4294967295"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.starts_with("iopgt: cannot look at process 4294967295"), "{message}");
    let output = mirror(&["myself"]);
    assert_eq!(output.status.code(), Some(2));
}
