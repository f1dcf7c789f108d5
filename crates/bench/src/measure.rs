//! Runs a row's contenders in turns, and compares their minima.

use std::hint::black_box;
use std::sync::OnceLock;

use crate::row::{Bar, Contender, Role, Round, Row};

/// One contender's times, in nanoseconds per unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Who.
    pub contender: &'static str,
    /// Which part it plays.
    pub role: Role,
    /// The best round's: what the row compares.
    pub minimum: f64,
    /// The middle round's; far above the minimum on a machine that does other things, too.
    pub median: f64,
}

/// What a row's contenders achieved.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The row's name.
    pub row: String,
    /// What the times are per.
    pub unit: &'static str,
    /// What is asked of ours.
    pub bar: Bar,
    /// How many rounds counted.
    pub rounds: usize,
    /// The contenders', in the row's order.
    pub figures: Vec<Figures>,
}

impl Outcome {
    /// The contender of that name, if it takes part.
    pub fn contender(&self, name: &str) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.contender == name)
    }

    /// The first contender in that part.
    pub fn role(&self, role: Role) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.role == role)
    }

    /// A contender's minimum, as a multiple of the limit's.
    pub fn ratio(&self, name: &str) -> Option<f64> {
        let limit = self.role(Role::Limit)?.minimum;
        let minimum = self.contender(name)?.minimum;
        (limit > 0.0).then_some(minimum / limit)
    }

    /// Whether ours meets the bar; `None` where there is none, or nobody to meet it.
    pub fn meets_bar(&self) -> Option<bool> {
        let ours = self.role(Role::Ours)?;
        match self.bar {
            Bar::TimesLimit(times) => Some(self.ratio(ours.contender)? <= times),
            Bar::Nanoseconds(nanoseconds) => Some(ours.minimum <= nanoseconds),
            Bar::None => None,
        }
    }
}

/// What a contender finds in the CPU's caches when its turn begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caches {
    /// What a turn of its own, which does not count, has just left there.
    #[default]
    Warm,
    /// Nothing that it knows.
    Cold,
}

impl Caches {
    /// Sees to it that the contender finds them so.
    fn prepare(self, row: &Row, contender: &mut Contender) {
        match self {
            Self::Warm => {
                turn(row, contender, false);
            }
            Self::Cold => evict(),
        }
    }
}

/// More than caches hold, in bytes.
const MORE_THAN_CACHES: usize = 128 << 20;

/// A cache line, in bytes, or less.
const CACHE_LINE: usize = 32;

/// Fills the caches with what nobody needs.
fn evict() {
    static OTHERS: OnceLock<Vec<u8>> = OnceLock::new();
    // Written once, or else all of it would be one page of zeroes.
    let others = OTHERS.get_or_init(|| vec![1; MORE_THAN_CACHES]);
    let lines = others.iter().step_by(CACHE_LINE);
    black_box(lines.fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
}

/// Runs `row`: one round in which results are checked, then `rounds` (at least one) that count, each
/// with the `caches` as asked for.
///
/// # Panics
///
/// If a contender's result is wrong, or it times or checks nothing.
pub fn measure(row: &Row, rounds: usize, caches: Caches) -> Outcome {
    let rounds = rounds.max(1);
    let mut contenders = (row.contenders)();
    for contender in &mut contenders {
        turn(row, contender, true);
    }
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        // Nobody always comes after the same other one.
        for place in 0..contenders.len() {
            let who = (place + round) % contenders.len();
            caches.prepare(row, &mut contenders[who]);
            times[who].push(turn(row, &mut contenders[who], false));
        }
    }
    let figures = contenders
        .iter()
        .zip(times)
        .map(|(contender, times)| summary(contender.name, contender.role, times))
        .collect();
    Outcome { row: row.name.clone(), unit: row.unit, bar: row.bar, rounds, figures }
}

fn turn(row: &Row, contender: &mut Contender, checks: bool) -> f64 {
    let mut round = Round::new(checks);
    (contender.turn)(&mut round);
    round.nanoseconds_per_unit().unwrap_or_else(|| {
        panic!("{} of \"{}\" times nothing, or checks nothing", contender.name, row.name)
    })
}

fn summary(contender: &'static str, role: Role, mut times: Vec<f64>) -> Figures {
    times.sort_by(f64::total_cmp);
    let minimum = times.first().copied().unwrap_or(f64::NAN);
    let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    Figures { contender, role, minimum, median }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A contender whose turns that count take these times for two units each, if there is one that
    /// does not before each.
    fn scripted(name: &'static str, role: Role, times: &'static [u64]) -> Contender {
        const CHECKED: [u64; 1] = [1];
        const WARM: u64 = 1;
        let mut turns = CHECKED.into_iter().chain(times.iter().flat_map(|&time| [WARM, time]));
        Contender::new(name, role, move |round| {
            let nanoseconds = turns.next().unwrap_or(u64::MAX);
            round.record(2, Duration::from_nanos(nanoseconds));
            round.check(|| true);
        })
    }

    fn row(bar: Bar) -> Row {
        Row::new("scripted", "unit", bar, || {
            vec![
                scripted("limit", Role::Limit, &[300, 200, 400]),
                scripted("ours", Role::Ours, &[900, 280, 500]),
                scripted("peer", Role::Peer, &[800, 900, 800]),
            ]
        })
    }

    #[test]
    fn minima_are_compared_and_turns_that_check_or_warm_up_do_not_count() {
        let outcome = measure(&row(Bar::TimesLimit(1.5)), 3, Caches::Warm);
        let minima: Vec<f64> = outcome.figures.iter().map(|figures| figures.minimum).collect();
        let medians: Vec<f64> = outcome.figures.iter().map(|figures| figures.median).collect();
        assert_eq!(minima, [100.0, 140.0, 400.0]);
        assert_eq!(medians, [150.0, 250.0, 400.0]);
        assert_eq!(outcome.ratio("ours"), Some(1.4));
        assert_eq!(outcome.ratio("peer"), Some(4.0));
        assert_eq!(outcome.ratio("nobody"), None);
    }

    #[test]
    fn in_cold_caches_each_turn_after_the_checked_one_counts() {
        let outcome = measure(&row(Bar::TimesLimit(1.5)), 2, Caches::Cold);
        let medians: Vec<f64> = outcome.figures.iter().map(|figures| figures.median).collect();
        assert_eq!(medians, [150.0, 450.0, 400.0]);
    }

    #[test]
    fn a_bar_is_met_by_ours() {
        let met = |bar| measure(&row(bar), 3, Caches::Warm).meets_bar();
        assert_eq!(met(Bar::TimesLimit(1.4)), Some(true));
        assert_eq!(met(Bar::TimesLimit(1.3)), Some(false));
        assert_eq!(met(Bar::Nanoseconds(140.0)), Some(true));
        assert_eq!(met(Bar::Nanoseconds(139.0)), Some(false));
        assert_eq!(met(Bar::None), None);
    }

    #[test]
    #[should_panic(expected = "times nothing, or checks nothing")]
    fn work_that_is_not_checked_is_refused() {
        let row = Row::new("unchecked", "unit", Bar::None, || {
            vec![Contender::new("ours", Role::Ours, |round| round.time(1, || ()))]
        });
        measure(&row, 1, Caches::Warm);
    }

    #[test]
    #[should_panic(expected = "result is wrong")]
    fn a_wrong_result_is_refused() {
        let row = Row::new("wrong", "unit", Bar::None, || {
            vec![Contender::new("ours", Role::Ours, |round| {
                round.time(1, || ());
                round.check(|| false);
            })]
        });
        measure(&row, 1, Caches::Warm);
    }
}
