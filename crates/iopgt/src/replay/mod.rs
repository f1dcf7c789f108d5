//! Replaying a trace through I/O page tables.

use std::{fs, process::ExitCode};

use anyhow::Context as _;

use crate::{cli::ReplayArgs, trace::Trace};

/// Replays the traces that the command line names.
///
/// # Errors
///
/// When a trace cannot be read or is malformed.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    for path in &args.traces {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        Trace::parse(&name, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}
