//! `iopgt replay`: what must hold for every trace that comes with the project, and how the
//! command behaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser as _;
use iopgt::cli::{self, Cli};
use iopgt::format::Name;
use iopgt::replay::{self, Report};
use iopgt::trace::Trace;
use iopgtable::AnyFormat;

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces").join(name).with_extension("trace")
}

fn report(text: &str, options: &[&str]) -> Report {
    let command = ["iopgt", "replay", "a.trace"].iter().chain(options);
    let Some(cli::Command::Replay(args)) = Cli::parse_from(command).command else {
        panic!("replay is a subcommand");
    };
    let trace = Trace::parse("a.trace", text).unwrap();
    replay::replay("a.trace", &trace, &args).unwrap()
}

fn run(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_iopgt")).args(options).output().unwrap()
}

/// Replays a bundled trace in every format and granule, each bind checked.
fn holds_in_every_format(name: &str) {
    let text = std::fs::read_to_string(bundled(name)).unwrap();
    for &format in AnyFormat::ALL {
        let (family, granule) = (Name::of(format).text(), format.granule_name());
        let options = ["--verify", "all", "--format", family, "--granule", granule];
        let report = report(&text, &options);
        let what = format!("{name} {format}");
        assert_eq!(report.tables.reserved, report.tables.installed, "{what}");
        assert_eq!(report.tables.returned, 0, "{what}");
        assert_eq!(report.tables.leaked, 0, "{what}");
        assert_eq!(report.verify.mismatches, 0, "{what}: {:?}", report.verify);
        assert!(report.verify.checked > report.pages, "{what}");
        assert!(report.jobs > 1000 && report.refused == 0, "{what}");
        assert!(report.tables.worst_case > report.tables.reserved, "{what}");
    }
}

#[test]
fn the_compiler_trace_holds_in_every_format() {
    holds_in_every_format("compiler");
}

#[test]
fn the_python_trace_holds_in_every_format() {
    holds_in_every_format("python");
}

#[test]
fn the_database_trace_holds_in_every_format() {
    holds_in_every_format("database");
}

#[test]
fn real_frames_beyond_the_output_size_of_the_format_are_refused_with_their_addresses() {
    let text = "iopgt-trace 1\n\
                map 0 0x1000 0x1000 rw-\n\
                run 0x100000000 0x1000\n";
    let trace = Trace::parse("a.trace", text).unwrap();
    let Some(cli::Command::Replay(args)) =
        Cli::parse_from(["iopgt", "replay", "a.trace", "--format", "arm-v7s"]).command
    else {
        panic!("replay is a subcommand");
    };
    let refused = replay::replay("a.trace", &trace, &args).unwrap_err().to_string();
    assert!(refused.contains("0x100000fff") && refused.contains("0xffffffff"), "{refused}");
}

#[test]
fn a_replay_is_deterministic() {
    let text = std::fs::read_to_string(bundled("python")).unwrap();
    let (one, other) = (report(&text, &[]), report(&text, &["--verify", "none"]));
    assert_eq!(one.tables.reserved, other.tables.reserved);
    assert_eq!(one.tables.worst_case, other.tables.worst_case);
    assert_eq!((one.jobs, one.ops, one.pages), (other.jobs, other.ops, other.pages));
    assert_eq!(other.verify.checked, 0);
    assert!(one.verify.checked > 0);
}

#[test]
fn an_aligned_gib_of_2_mib_blocks_takes_2_tables_where_the_worst_case_says_514() {
    // Physically 2 MiB off the alignment of a 1 GiB block.
    let text = "iopgt-trace 1\n\
                map 0 0x40000000 0x40000000 rw-\n\
                run 0x80200000 0x40000000\n";
    let report = report(text, &["--verify", "all"]);
    assert_eq!(report.tables.reserved, 2);
    assert_eq!(report.tables.installed, 2);
    assert_eq!(report.tables.worst_case, 514);
    assert_eq!(report.verify.checked, 3 << 18);
    assert!(report.is_good());
}

#[test]
fn a_limit_on_leaves_costs_the_tables_of_smaller_ones() {
    let text = "iopgt-trace 1\n\
                map 0 0x40000000 0x40000000 rw-\n\
                run 0x80000000 0x40000000\n";
    for (limit, tables) in [("1G", 1), ("2M", 2), ("1M", 514)] {
        let report = report(text, &["--verify", "all", "--largest-leaf", limit]);
        assert_eq!(report.tables.reserved, tables, "{limit}");
        assert_eq!((report.verify.checked, report.verify.mismatches), (3 << 18, 0));
    }
}

#[test]
fn addresses_beyond_the_input_size_come_back_at_its_start() {
    let text = "iopgt-trace 1\n\
                map 0 0x7ffff7000000 0x3000 rw-\n\
                map 0 0x555555554000 0x2000 r-x\n\
                unmap 0 0x7ffff7001000 0x1000\n\
                map 0 0x7ffffffff000 0x2000 rw-\n";
    for bits in ["32", "40", "48"] {
        let report = report(text, &["--verify", "all", "--format", "x86-64", "--input-bits", bits]);
        assert!(report.is_good(), "{report}");
        // The last one goes beyond the end.
        assert_eq!(
            (report.jobs, report.skipped, report.verify.checked),
            (3, 1, 3 * 5 + 1),
            "{bits}"
        );
    }
}

#[test]
fn every_operation_of_a_trace_reaches_the_tables() {
    let text = "iopgt-trace 1\n\
                runs 4096:1 2097152:1\n\
                map 0 0x10000000 0x600000 rw-\n\
                protect 0 0x10001000 0x1000 r--\n\
                protect 0 0x10200000 0x200000 ---\n\
                remap 0 0x10000000 0x200000 0x20000000 0x300000\n\
                fork 0 1\n\
                protect 1 0x10200000 0x1000 rwx\n\
                unmap 1 0x20000000 0x100000\n\
                clear 0\n\
                map 0 0x30000000 0x1000 r-x\n\
                exit 0\n\
                exit 1\n";
    let report = report(text, &["--verify", "all"]);
    assert!(report.is_good(), "{report}");
    // The lines that follow the header, each of which changes something.
    assert_eq!((report.jobs, report.skipped), (11, 0));
}

#[test]
fn a_bind_over_the_limit_is_reported_and_survived() {
    let text = std::fs::read_to_string(bundled("compiler")).unwrap();
    let report = report(&text, &["--limit", "64K", "--verify", "all"]);
    assert!(report.refused > 0);
    assert!(report.first_refusal.is_some_and(|why| why.contains("65536")));
    assert!(report.jobs > 100, "the rest goes on");
    assert!(report.tables.peak <= 16);
    assert_eq!(report.verify.mismatches, 0);
    assert_eq!(report.tables.leaked, 0);
}

#[test]
fn what_was_in_flight_and_charged_is_reported() {
    let text = std::fs::read_to_string(bundled("compiler")).unwrap();
    let open = report(&text, &["--verify", "none"]);
    assert!(open.account.limit.is_none() && open.in_flight.limit.is_none());
    assert_eq!((open.account.refused, open.in_flight.refused), (0, 0));
    assert_eq!(open.account.charged, 0);
    assert_eq!(open.account.peak, open.tables.peak * 4096);
    assert!((4096..=open.account.peak).contains(&open.in_flight.peak), "{open}");

    // A bind at a time, but for those that need more than that alone.
    let close = report(&text, &["--verify", "none", "--in-flight", "16K"]);
    assert_eq!(close.in_flight.limit, Some(16 << 10));
    assert_eq!((close.jobs, close.refused), (open.jobs, 0), "waiting changes nothing else");
    assert_eq!(close.tables.reserved, open.tables.reserved);

    let poor = report(&text, &["--verify", "none", "--limit", "64K"]);
    assert_eq!(poor.account.limit, Some(64 << 10));
    assert!(poor.account.refused >= poor.refused && poor.refused > 0);
    assert!(poor.account.peak <= 64 << 10);
    let text = poor.to_string();
    for part in ["bytes at the peak of 65536 allowed", "charges refused", "in flight       "] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn json_is_one_object_with_the_documented_fields() {
    let path = bundled("python");
    let output = run(&["replay", path.to_str().unwrap(), "--json"]);
    assert!(output.status.success());
    assert!(output.stderr.is_empty(), "silence in a pipe");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for pointer in [
        "/jobs",
        "/ops",
        "/pages",
        "/tables/reserved",
        "/tables/installed",
        "/tables/returned",
        "/tables/peak",
        "/tables/worst_case",
        "/tables/leaked",
        "/verify/checked",
        "/verify/mismatches",
        "/submit_ns/p50",
        "/submit_ns/p99",
        "/submit_ns/max",
        "/run_ns/p50",
        "/run_ns/p99",
        "/run_ns/max",
        "/map_pages_per_s",
        "/refused",
        "/account/peak",
        "/account/charged",
        "/account/refused",
        "/in_flight/peak",
        "/in_flight/refused",
    ] {
        assert!(json.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer}");
    }
}

#[test]
fn without_arguments_a_bundled_trace_is_verified_and_the_next_steps_are_named() {
    let output = run(&[]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("0 mismatches") && text.contains("iopgt record"), "{text}");
}

#[test]
fn a_malformed_trace_is_refused_with_its_line_and_nothing_is_replayed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "iopgt-trace 1\nmap 0 0x1000 0x1000 rw-\nmap 0 0x3000 0x10 rw-\n";
    std::fs::write(file.path(), text).unwrap();
    let output = run(&["replay", file.path().to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(i32::from(cli::OWN_FAILURE)));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(":3: expected a length"), "{error}");
}

#[test]
fn a_live_process_can_be_mirrored_and_replayed() {
    let mirrored = run(&["mirror", "self", "--made-up-frames"]);
    assert!(mirrored.status.success());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &mirrored.stdout).unwrap();
    let output = run(&["replay", file.path().to_str().unwrap(), "--verify", "all", "--json"]);
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["verify"]["mismatches"], 0);
    assert!(json["pages"].as_u64().is_some_and(|pages| pages > 10));
}
