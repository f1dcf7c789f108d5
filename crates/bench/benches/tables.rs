//! Runs the rows and prints what they come to; the crate's documentation says how to ask.

mod contest;

use std::process::ExitCode;

use contest::Scale;
use iopgtable_bench::{Options, json, list, markdown, measure};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut rows = contest::rows(Scale::FULL);
    rows.retain(|row| options.wants(row.name()));
    if options.list {
        print!("{}", list(&rows));
        return ExitCode::SUCCESS;
    }
    let mut outcomes = Vec::new();
    for row in &rows {
        eprintln!("{}", row.name());
        outcomes.push(measure(row, options.rounds, options.caches));
    }
    print!("{}", if options.json { json(&outcomes) } else { markdown(&outcomes) });
    ExitCode::SUCCESS
}
