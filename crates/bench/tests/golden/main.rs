//! What the compiler makes of the hot loops: no more instructions per entry than in the golden
//! files, `golden/<architecture>.s`, which hold the assembly, too.
//!
//! Fewer is fine; the golden files may then be renewed, by running this test with `GOLDEN=renew`
//! in the environment. It compares nothing where there is no golden file for the architecture, its
//! target is not installed, or the compiler is older than the one that made the file.

mod asm;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use asm::{Assembly, Cost};

/// Loops: counted by entry.
const LOOPS: [&str; 6] = [
    "golden_fill_fresh",
    "golden_fill_live",
    "golden_list_fresh",
    "golden_list_live",
    "golden_clear",
    "golden_is_zero",
];
/// One page each: all of the function counts, whatever the way through it.
const STRAIGHT: [&str; 5] = [
    "golden_translate",
    "golden_cursor_map",
    "golden_cursor_unmap",
    "golden_map_call",
    "golden_unmap_call",
];

/// The minor version of the compiler, and how it calls itself.
fn compiler() -> (u32, String) {
    let output = Command::new(rustc()).arg("--version").output().expect("there is a compiler");
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (minor(&version), version)
}

fn rustc() -> String {
    env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned())
}

fn minor(version: &str) -> u32 {
    let number = version.split("rustc 1.").nth(1).and_then(|rest| rest.split('.').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn is_installed(target: &str) -> bool {
    let mut rustc = Command::new(rustc());
    rustc.args(["--print", "target-libdir", "--target", target]);
    let output = rustc.output().expect("there is a compiler");
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
}

/// The library with the golden functions, as assembly.
fn build(architecture: &str, target: Option<&str>) -> Assembly {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    let file = directory.join(format!("{architecture}.s"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["rustc", "--package", "iopgtable", "--lib", "--release", "--quiet"]);
    cargo.arg("--target-dir").arg(&directory);
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    cargo.args(["--", "--cfg", "iopgtable_golden", "-C", "codegen-units=1", "-C", "debuginfo=0"]);
    cargo.arg("--emit").arg(format!("asm={}", file.display()));
    // What this test was built with is no part of what it measures.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    assert!(cargo.status().expect("cargo runs").success(), "the library does not build");
    Assembly::parse(&fs::read_to_string(file).expect("the compiler has written it"))
}

fn costs(assembly: &Assembly) -> Vec<(&'static str, Cost)> {
    let found = |name, cost: Option<Cost>| {
        (name, cost.unwrap_or_else(|| panic!("{name} is not there, or has no loop over entries")))
    };
    let loops = LOOPS.map(|name| found(name, assembly.hottest_loop(name)));
    let straight = STRAIGHT.map(|name| found(name, assembly.straight(name)));
    loops.into_iter().chain(straight).collect()
}

/// A golden file: the compiler, the costs, and the functions for those who read them.
fn render(assembly: &Assembly, version: &str, costs: &[(&str, Cost)]) -> String {
    let mut text = format!("# {version}\n");
    for (name, Cost { instructions, entries }) in costs {
        let _ = writeln!(text, "# {name}: {instructions} instructions / {entries}");
    }
    for (name, _) in costs {
        let _ = writeln!(text, "\n{name}:");
        for line in assembly.function(name).unwrap_or_default() {
            let indent = if line.ends_with(':') { "" } else { "\t" };
            let _ = writeln!(text, "{indent}{}", without_hash(line));
        }
    }
    text
}

/// Symbols end in a hash that changes with everything.
fn without_hash(line: &str) -> &str {
    line.find("17h").filter(|_| line.contains("_ZN")).map_or(line, |at| &line[..at])
}

/// The costs in a golden file.
fn golden_costs(text: &str) -> Vec<(String, Cost)> {
    let lines = text.lines().filter_map(|line| {
        let (name, cost) = line.strip_prefix("# ")?.split_once(": ")?;
        let (instructions, entries) = cost.split_once(" instructions / ")?;
        let cost =
            Cost { instructions: instructions.parse().ok()?, entries: entries.parse().ok()? };
        Some((name.to_owned(), cost))
    });
    lines.collect()
}

/// What is worse than in the golden file, and whether anything is better.
fn compare(golden: &[(String, Cost)], now: &[(&str, Cost)]) -> (Vec<String>, bool) {
    let (mut worse, mut better) = (Vec::new(), false);
    for &(name, now) in now {
        let Some(&(_, then)) = golden.iter().find(|(golden, _)| golden == name) else {
            worse.push(format!("{name} is not in the golden file"));
            continue;
        };
        if now.exceeds(then) {
            worse.push(format!("{name}: {now:?}, was {then:?}"));
        }
        better |= then.exceeds(now);
    }
    (worse, better)
}

fn check(architecture: &str, target: Option<&str>) {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{architecture}.s"));
    let (minor_now, version) = compiler();
    let renew = env::var_os("GOLDEN").is_some_and(|what| what == "renew");
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if !renew && (golden.is_empty() || minor_now < minor(&golden)) {
        eprintln!("skipped: no golden file of {architecture} for {version}");
        return;
    }
    let assembly = build(architecture, target);
    let costs = costs(&assembly);
    if renew {
        fs::write(&path, render(&assembly, &version, &costs)).expect("the file can be written");
        return;
    }
    let (worse, better) = compare(&golden_costs(&golden), &costs);
    assert!(worse.is_empty(), "{version} makes more of the hot loops:\n{}", worse.join("\n"));
    if better {
        eprintln!("{}: fewer instructions now; GOLDEN=renew renews it", path.display());
    }
}

#[test]
fn the_hot_loops_take_no_more_instructions_on_the_host() {
    check(env::consts::ARCH, None);
}

#[test]
fn the_hot_loops_take_no_more_instructions_on_arm() {
    let target = "aarch64-unknown-none";
    if env::consts::ARCH == "aarch64" {
        eprintln!("skipped: this is the host");
    } else if is_installed(target) {
        check("aarch64-none", Some(target));
    } else {
        eprintln!("skipped: {target} is not installed");
    }
}

#[test]
fn a_loop_that_takes_more_is_found() {
    let cost = |instructions, entries| Cost { instructions, entries };
    let golden =
        golden_costs("# rustc 1.95.0\n# f: 8 instructions / 4\n# g: 20 instructions / 1\n");
    assert_eq!(compare(&golden, &[("f", cost(8, 4)), ("g", cost(20, 1))]), (vec![], false));
    assert_eq!(compare(&golden, &[("f", cost(14, 8)), ("g", cost(20, 1))]), (vec![], true));
    assert_eq!(compare(&golden, &[("f", cost(9, 4)), ("g", cost(21, 1))]).0.len(), 2);
    assert_eq!(compare(&golden, &[("h", cost(1, 1))]).0.len(), 1);
}
