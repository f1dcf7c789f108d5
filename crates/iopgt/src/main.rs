//! Record, mirror and replay address-space histories through I/O page tables.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use iopgt::cli::{Cli, OWN_FAILURE};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("iopgt: {error:#}");
            ExitCode::from(OWN_FAILURE)
        }
    }
}
