//! Replaying a trace through I/O page tables.
//!
//! Each address space of the trace becomes a GPU VM that mirrors it; each operation becomes a
//! bind job, planned and supplied at submission, run by a worker, and checked by an MMU that
//! shares no code with the tables.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use iopgtable::format::{Dart, FirstStage, GStage, RiscV, T6000, T8020};
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Granule4K, Granule16K, Granule64K, VtdS2, X86_64,
};
use iopgtable_conformance::Walked;

use crate::cli::{Format, Granule, ReplayArgs};
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

  iopgt replay --format arm-mali-lpae --limit 256K   a GPU's format; binds over the limit are refused
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

/// Replays `trace` as `args` say.
///
/// # Errors
///
/// For a combination of format and granule that does not exist, and what a replay does not
/// survive.
pub fn replay(name: &str, trace: &Trace, args: &ReplayArgs) -> anyhow::Result<Report> {
    let wide = Config::new(48, 48);
    let run = match (args.format, args.granule) {
        (Format::Arm64LpaeS1, None | Some(Granule::Size4K)) => through::<Arm64S1<Granule4K>>,
        (Format::Arm64LpaeS1, Some(Granule::Size16K)) => through::<Arm64S1<Granule16K>>,
        (Format::Arm64LpaeS1, Some(Granule::Size64K)) => through::<Arm64S1<Granule64K>>,
        (Format::Arm64LpaeS2, None | Some(Granule::Size4K)) => through::<Arm64S2<Granule4K>>,
        (Format::Arm64LpaeS2, Some(Granule::Size16K)) => through::<Arm64S2<Granule16K>>,
        (Format::Arm64LpaeS2, Some(Granule::Size64K)) => through::<Arm64S2<Granule64K>>,
        (Format::ArmMaliLpae, None | Some(Granule::Size4K)) => through::<ArmMali>,
        (Format::X86_64, None | Some(Granule::Size4K)) => through::<X86_64>,
        (Format::VtdS2, None | Some(Granule::Size4K)) => through::<VtdS2>,
        (Format::RiscV, None | Some(Granule::Size4K)) => through::<RiscV<FirstStage>>,
        (Format::Dart, None | Some(Granule::Size16K)) => through::<Dart<T8020>>,
        (Format::Dart2, None | Some(Granule::Size16K)) => through::<Dart<T6000>>,
        (Format::Dart | Format::Dart2, Some(_)) => {
            bail!("{} has a granule of 16K only", args.format.name())
        }
        (Format::RiscVG, None | Some(Granule::Size4K)) => through::<RiscV<GStage>>,
        (
            Format::ArmMaliLpae | Format::X86_64 | Format::VtdS2 | Format::RiscV | Format::RiscVG,
            Some(_),
        ) => {
            bail!("{} has a granule of 4K only", args.format.name())
        }
    };
    let mut config = match args.format {
        Format::ArmMaliLpae => Config::new(48, 40),
        Format::Dart => Config::new(38, 36),
        Format::Dart2 => Config::new(38, 42),
        _ => wide,
    };
    config.input_bits = args.input_bits.unwrap_or(config.input_bits);
    run(name, trace, args, config)
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
