//! Replaying a trace through I/O page tables.
//!
//! Each address space of the trace becomes a GPU VM that mirrors it; each operation becomes a
//! bind job, planned and supplied at submission, run by a worker, and checked by an MMU that
//! shares no code with the tables.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use iopgtable::{AnyFormat, Config};
use iopgtable_conformance::Walked;

use crate::cli::ReplayArgs;
use crate::format;
use crate::trace::Trace;

mod machine;
mod replayer;
mod report;
mod shadow;
mod verify;
mod walk;
mod worst_case;

pub use report::{AccountReport, InFlightReport, Latency, PoolReport, Report, TableReport};
pub use verify::Checks;

use replayer::Replayer;

/// The trace that is replayed when none is named.
const BUNDLED: (&str, &str) = (
    "python.trace (bundled)",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../traces/python.trace")),
);

const NEXT: &str = "
Every bind above was planned and supplied at submission, ran without allocating, and was walked
by an MMU that shares no code with the tables. Try next:

  iopgt replay --format arm-mali --limit 256K   a GPU's format; binds over the limit are refused
  iopgt record -o my.trace -- COMMAND                the history of your own program (needs strace)
  iopgt mirror self | iopgt replay /dev/stdin        this process, with its real physical memory
  iopgt replay my.trace --granule 16K --verify all   replay it; --json for a program to read
";

/// Replays the trace that the command line names, and prints what a driver author wants to know.
///
/// # Errors
///
/// When a trace cannot be read or is malformed, and what a replay does not survive.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let (name, text) = match &args.trace {
        Some(path) => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            (name, text)
        }
        None => (BUNDLED.0.to_owned(), BUNDLED.1.to_owned()),
    };
    let trace = Trace::parse(&name, &text)?;
    let report = replay(&name, &trace, args)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a bare `iopgt` does: replays the bundled trace, then says what to try next.
///
/// # Errors
///
/// As for [`run`].
pub fn demonstrate() -> anyhow::Result<ExitCode> {
    let code = run(&ReplayArgs::bundled())?;
    print!("{NEXT}");
    Ok(code)
}

/// A replay through tables of one format.
type Run = fn(&str, &Trace, &ReplayArgs, Config) -> anyhow::Result<Report>;

macro_rules! runs {
    ({} $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        /// Every format, and the replay through it.
        const RUNS: &[(AnyFormat, Run)] = &[$((AnyFormat::$variant, through::<$format>),)*];
    };
}
iopgtable::list_formats!(runs);

/// Replays `trace` as `args` say.
///
/// # Errors
///
/// For a combination of format and granule that does not exist, and what a replay does not
/// survive.
pub fn replay(name: &str, trace: &Trace, args: &ReplayArgs) -> anyhow::Result<Report> {
    let format = args.format.with(args.granule.as_deref())?;
    let found = RUNS.iter().find(|(its, _)| *its == format);
    let &(_, run) = found.with_context(|| format!("there is no replay through {format}"))?;
    run(name, trace, args, format::largest(format, args.input_bits))
}

fn through<F: Walked>(
    name: &str,
    trace: &Trace,
    args: &ReplayArgs,
    config: Config,
) -> anyhow::Result<Report> {
    let config = config.largest_leaf(args.largest_leaf.unwrap_or(u64::MAX));
    let mut replayer = Replayer::<F>::new(config, trace, args)?;
    // On a terminal only: elsewhere the bar is hidden.
    let bar = ProgressBar::new(trace.ops.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    for op in bar.wrap_iter(trace.ops.iter()) {
        replayer.step(op)?;
    }
    bar.finish_and_clear();
    replayer.finish(name)
}
