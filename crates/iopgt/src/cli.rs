//! The command line: subcommands, options and their values.

use std::{ffi::OsString, num::NonZeroU64, path::PathBuf, process::ExitCode, str::FromStr};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use iopgtable::AnyFormat;
use iopgtable_conformance::machines::Name;

use crate::{format, mirror, record, replay};

/// Exit status when `iopgt` itself fails, as opposed to a program that it records.
pub const OWN_FAILURE: u8 = 2;

/// `iopgt`: address-space histories of real programs, through I/O page tables.
#[derive(Debug, Parser)]
#[command(name = "iopgt", version, about)]
pub struct Cli {
    /// What to do; without it, a bundled trace is replayed.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program and record the history of its address spaces
    Record(RecordArgs),
    /// Write the address space of a live process, with its physical frames, as a trace
    Mirror(MirrorArgs),
    /// Replay a trace through I/O page tables
    Replay(ReplayArgs),
}

/// Arguments of `iopgt record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// File that the trace goes to
    #[arg(short, long, value_name = "FILE", default_value = "iopgt.trace")]
    pub output: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    #[arg(value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Arguments of `iopgt mirror`.
#[derive(Debug, Args)]
pub struct MirrorArgs {
    /// Process to mirror: a process id, or `self`
    #[arg(value_name = "PID|self")]
    pub process: Target,
    /// File that the trace goes to, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Make physical frames up, for when the real ones may not be seen
    #[arg(long)]
    pub made_up_frames: bool,
}

/// A process named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// This process.
    Myself,
    /// The process with this id.
    Pid(u32),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "self" {
            return Ok(Self::Myself);
        }
        text.parse().map(Self::Pid).map_err(|_| "expected a process id or `self`".to_owned())
    }
}

/// Arguments of `iopgt replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The trace to replay; without one, a bundled trace
    #[arg(value_name = "TRACE")]
    pub trace: Option<PathBuf>,
    /// Page-table format
    #[arg(long, value_name = "FORMAT", default_value = format::Name::DEFAULT)]
    #[arg(value_parser = format::names())]
    pub format: format::Name,
    /// Smallest page size of the table, and how its entries hold addresses [default: the first that
    /// the format has]
    #[arg(long, value_name = "GRANULE", value_parser = format::granules())]
    pub granule: Option<String>,
    /// Bits of a device address, the sign included where the format has one; addresses of the
    /// trace are taken modulo what that leaves [default: 48, or as many as the format has]
    #[arg(long, value_name = "BITS")]
    pub input_bits: Option<u8>,
    /// Most bytes that one leaf may map, for hardware without the larger ones (suffixes K, M, G); no
    /// more than the walker has in any case
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub largest_leaf: Option<u64>,
    /// Most memory that page tables may take, in bytes (suffixes K, M, G)
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub limit: Option<u64>,
    /// Most memory that the tables of queued jobs may take, in bytes (suffixes K, M, G); jobs wait
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub in_flight: Option<u64>,
    /// Check translations after no bind, all binds, or every K-th [default: 16, `all` when the
    /// bundled trace is replayed]
    #[arg(long, value_name = "none|all|K")]
    pub verify: Option<Verify>,
    /// Machine that walks the tables: `soft`, a model of the format, or one that nobody here made.
    /// Where it cannot reach all physical memory, frames are made up in what it reaches
    #[arg(long, value_name = "MACHINE", default_value_t = Name::Soft, value_parser = names())]
    pub walker: Name,
    /// Check at most so many pages of each range [default: all with `soft`, 8 with others]
    #[arg(long, value_name = "PAGES")]
    pub sample: Option<NonZeroU64>,
    /// Write the figures as JSON
    #[arg(long)]
    pub json: bool,
}

impl ReplayArgs {
    /// What a bare `iopgt` does: the defaults, and no trace named.
    pub fn bundled() -> Self {
        Self {
            trace: None,
            format: format::Name::of(AnyFormat::Arm64S1_4K),
            granule: None,
            input_bits: None,
            largest_leaf: None,
            limit: None,
            in_flight: None,
            verify: None,
            walker: Name::Soft,
            sample: None,
            json: false,
        }
    }

    /// How many pages of a range to check at most: what was asked for, or the default.
    pub fn sample(&self) -> u64 {
        let default = if self.walker == Name::Soft { u64::MAX } else { 8 };
        self.sample.map_or(default, NonZeroU64::get)
    }

    /// When to check translations: what was asked for, or the default.
    pub fn verify(&self) -> Verify {
        match self.verify {
            Some(verify) => verify,
            None if self.trace.is_none() => Verify::All,
            None => Verify::DEFAULT,
        }
    }
}

/// Reads the name of a machine, and lists them.
fn names() -> impl TypedValueParser<Value = Name> {
    PossibleValuesParser::new(Name::ALL.iter().map(|name| name.text()))
        .try_map(|text| text.parse::<Name>())
}

/// Which binds are followed by a check of the translations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// No bind.
    None,
    /// All binds.
    All,
    /// Every bind whose ordinal is a multiple of this.
    Every(NonZeroU64),
}

impl Verify {
    /// The default for traces that the user names.
    pub const DEFAULT: Self = match NonZeroU64::new(16) {
        Some(interval) => Self::Every(interval),
        None => Self::All,
    };
}

impl FromStr for Verify {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::Every)
                .map_err(|_| "expected `none`, `all` or a number of binds above 0".to_owned()),
        }
    }
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1_u64),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "expected a number of bytes such as 65536, 64K, 16M or 1G".to_owned())
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    ///
    /// What went wrong, as a sentence for the user.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Some(Command::Record(args)) => record::run(&args),
            Some(Command::Mirror(args)) => mirror::run(&args),
            Some(Command::Replay(args)) => replay::run(&args),
            None => replay::demonstrate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn byte_counts_take_suffixes_and_refuse_overflow() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("64K"), Ok(64 << 10));
        assert_eq!(parse_bytes("2m"), Ok(2 << 20));
        assert_eq!(parse_bytes("1G"), Ok(1 << 30));
        for bad in ["", "K", "1T", "-1", "99999999999999999999", "18446744073709551615K", "1é"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn verify_takes_none_all_or_an_interval() {
        assert_eq!("none".parse(), Ok(Verify::None));
        assert_eq!("all".parse(), Ok(Verify::All));
        assert_eq!("16".parse(), Ok(Verify::DEFAULT));
        assert!("0".parse::<Verify>().is_err());
        assert!("some".parse::<Verify>().is_err());
    }

    #[test]
    fn the_bundled_trace_is_verified_whole_by_default() {
        let mut args = ReplayArgs::bundled();
        assert_eq!(args.verify(), Verify::All);
        args.trace = Some("x.trace".into());
        assert_eq!(args.verify(), Verify::DEFAULT);
    }

    #[test]
    fn what_a_bare_command_replays_is_what_a_bare_replay_does() {
        let Some(Command::Replay(parsed)) = Cli::parse_from(["iopgt", "replay"]).command else {
            panic!("replay is a subcommand");
        };
        assert_eq!(format!("{parsed:?}"), format!("{:?}", ReplayArgs::bundled()));
    }

    #[test]
    fn linux_names_of_formats_are_understood() {
        for (linux, name) in [
            ("arm-64-lpae-s1", "arm64-s1"),
            ("arm-64-lpae-s2", "arm64-s2"),
            ("arm-mali-lpae", "arm-mali"),
            ("arm-v7s", "arm-v7s"),
            ("mediatek-v7s", "mediatek-v7s"),
            ("amd-iommu-v1", "amd-v1"),
            ("riscv-64-g", "riscv-g"),
        ] {
            let cli = Cli::parse_from(["iopgt", "replay", "--format", linux]);
            let Some(Command::Replay(args)) = cli.command else {
                panic!("replay is a subcommand");
            };
            assert_eq!(args.format.text(), name);
        }
        assert!(Cli::try_parse_from(["iopgt", "replay", "--format", "arm"]).is_err());
    }

    #[test]
    fn a_recorded_command_keeps_its_own_options() {
        let cli = Cli::parse_from(["iopgt", "record", "-o", "x", "--", "ls", "-o", "--json"]);
        let Some(Command::Record(args)) = cli.command else {
            panic!("record is a subcommand");
        };
        assert_eq!(args.output, PathBuf::from("x"));
        assert_eq!(args.command, ["ls", "-o", "--json"]);
    }
}
