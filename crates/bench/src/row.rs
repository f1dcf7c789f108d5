//! What is measured: rows, their contenders, and one contender's turn.

use std::fmt;
use std::time::{Duration, Instant};

/// What a row asks of `ours`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// At most so many times the limit.
    TimesLimit(f64),
    /// At most so many nanoseconds per unit.
    Nanoseconds(f64),
    /// Nothing: the row informs.
    None,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimesLimit(times) => write!(f, "{times} x limit"),
            Self::Nanoseconds(nanoseconds) => write!(f, "{nanoseconds} ns"),
            Self::None => f.write_str("–"),
        }
    }
}

/// Which part a contender plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The same stores without page-table logic.
    Limit,
    /// This workspace.
    Ours,
    /// A published crate.
    Peer,
}

/// One contender's turn in one round.
#[derive(Debug)]
pub struct Round {
    /// Whether results are checked, in the round that does not count.
    checks: bool,
    /// Whether a check was passed.
    checked: bool,
    units: u64,
    elapsed: Duration,
}

impl Round {
    pub(crate) const fn new(checks: bool) -> Self {
        Self { checks, checked: false, units: 0, elapsed: Duration::ZERO }
    }

    /// Times `work`, which does `units` units. What it returns is dropped by the caller, outside of
    /// the timed part. Several timed parts of a turn are added up.
    pub fn time<R>(&mut self, units: u64, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        let elapsed = start.elapsed();
        self.record(units, elapsed);
        result
    }

    /// Adds a time that the contender took itself.
    pub fn record(&mut self, units: u64, elapsed: Duration) {
        self.units += units;
        self.elapsed += elapsed;
    }

    /// Has `proof` look at the result, in the round that does not count.
    ///
    /// # Panics
    ///
    /// Where the result is wrong: figures of such work would mean nothing.
    pub fn check(&mut self, proof: impl FnOnce() -> bool) {
        if self.checks {
            assert!(proof(), "a contender's result is wrong");
            self.checked = true;
        }
    }

    /// The turn's time per unit, in nanoseconds; `None` where nothing was timed, or not checked
    /// when it should have been.
    pub(crate) fn nanoseconds_per_unit(&self) -> Option<f64> {
        if self.units == 0 || self.checks && !self.checked {
            return None;
        }
        // CAST: fewer than 2^52 units.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let units = self.units as f64;
        Some(self.elapsed.as_secs_f64() * 1e9 / units)
    }
}

/// Somebody who does a row's work.
pub struct Contender {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) turn: Box<dyn FnMut(&mut Round)>,
}

impl Contender {
    /// `turn` is called once a round: it sets up, [times](Round::time) the work,
    /// [checks](Round::check) it, and tears down.
    pub fn new(name: &'static str, role: Role, turn: impl FnMut(&mut Round) + 'static) -> Self {
        Self { name, role, turn: Box::new(turn) }
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Work that several contenders do.
pub struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) bar: Bar,
    pub(crate) contenders: Box<dyn Fn() -> Vec<Contender>>,
}

impl Row {
    /// `contenders` is called when the row runs, and what it returns is dropped when it has run:
    /// rows that are left out need no memory.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        bar: Bar,
        contenders: impl Fn() -> Vec<Contender> + 'static,
    ) -> Self {
        Self { name: name.into(), unit, bar, contenders: Box::new(contenders) }
    }

    /// What it is called; filters look for parts of this.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("name", &self.name)
            .field("unit", &self.unit)
            .field("bar", &self.bar)
            .finish_non_exhaustive()
    }
}
