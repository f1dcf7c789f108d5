//! Outcomes as a Markdown table for readers, and as JSON for programs.

use std::fmt::Write;

use crate::measure::{Figures, Outcome};
use crate::row::{Bar, Role, Row};

/// An aligned Markdown table: a line a row, a column a contender, minima in nanoseconds per unit;
/// and below it, how noisy the machine was.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut peers: Vec<&str> = Vec::new();
    for figures in outcomes.iter().flat_map(|outcome| &outcome.figures) {
        if figures.role == Role::Peer && !peers.contains(&figures.contender) {
            peers.push(figures.contender);
        }
    }
    let fixed = ["ns per unit, minimum", "unit", "bar", "limit", "ours", "ours / limit", "met"];
    let mut lines = vec![fixed.iter().chain(&peers).map(|&head| head.to_owned()).collect()];
    lines.extend(outcomes.iter().map(|outcome| line(outcome, &peers)));
    aligned(&lines) + &noise(outcomes)
}

/// How far medians lie above minima.
fn noise(outcomes: &[Outcome]) -> String {
    let figures = outcomes.iter().flat_map(|outcome| &outcome.figures);
    let mut ratios: Vec<f64> = figures.map(|figures| figures.median / figures.minimum).collect();
    ratios.sort_by(f64::total_cmp);
    let (Some(middle), Some(worst), Some(outcome)) =
        (ratios.get(ratios.len() / 2), ratios.last(), outcomes.first())
    else {
        return String::new();
    };
    let rounds = outcome.rounds;
    format!("\n{rounds} rounds; medians are {middle:.2} times the minima, {worst:.2} at worst.\n")
}

fn line(outcome: &Outcome, peers: &[&str]) -> Vec<String> {
    let ours = outcome.role(Role::Ours);
    let ratio = ours.and_then(|ours| outcome.ratio(ours.contender));
    let mut cells = vec![
        outcome.row.clone(),
        outcome.unit.to_owned(),
        outcome.bar.to_string(),
        minimum(outcome.role(Role::Limit)),
        minimum(ours),
        ratio.map_or_else(none, |ratio| format!("{ratio:.2}")),
        match outcome.meets_bar() {
            Some(true) => "yes".to_owned(),
            Some(false) => "**no**".to_owned(),
            None => none(),
        },
    ];
    cells.extend(peers.iter().map(|peer| minimum(outcome.contender(peer))));
    cells
}

fn none() -> String {
    "–".to_owned()
}

/// Three digits that matter, or so.
fn minimum(figures: Option<&Figures>) -> String {
    match figures.map(|figures| figures.minimum) {
        None => none(),
        Some(nanoseconds) if nanoseconds >= 100.0 => format!("{nanoseconds:.0}"),
        Some(nanoseconds) if nanoseconds >= 10.0 => format!("{nanoseconds:.1}"),
        Some(nanoseconds) if nanoseconds >= 0.1 => format!("{nanoseconds:.2}"),
        Some(nanoseconds) => format!("{nanoseconds:.4}"),
    }
}

/// The first line is the head; the first three columns are text.
fn aligned(lines: &[Vec<String>]) -> String {
    const TEXT: usize = 3;
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let rule = widths.iter().enumerate().map(|(column, width)| {
        let dashes = "-".repeat(width + 1);
        if column < TEXT { format!("|{dashes}-") } else { format!("|{dashes}:") }
    });
    let rule = rule.collect::<String>() + "|\n";
    let line = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < TEXT { format!("| {cell:width$} ") } else { format!("| {cell:>width$} ") }
        });
        cells.collect::<String>() + "|\n"
    };
    let mut table: Vec<String> = lines.iter().map(line).collect();
    table.insert(table.len().min(1), rule);
    table.concat()
}

/// A JSON array: an object a row, with every figure.
pub fn json(outcomes: &[Outcome]) -> String {
    let rows: Vec<String> = outcomes.iter().map(json_row).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

fn json_row(outcome: &Outcome) -> String {
    let (times, nanoseconds) = match outcome.bar {
        Bar::TimesLimit(times) => (times.to_string(), "null".to_owned()),
        Bar::Nanoseconds(nanoseconds) => ("null".to_owned(), nanoseconds.to_string()),
        Bar::None => ("null".to_owned(), "null".to_owned()),
    };
    let met = outcome.meets_bar().map_or_else(|| "null".to_owned(), |met| met.to_string());
    let contenders: Vec<String> = outcome
        .figures
        .iter()
        .map(|figures| {
            let ratio = outcome.ratio(figures.contender);
            let ratio = ratio.map_or_else(|| "null".to_owned(), |ratio| format!("{ratio:.4}"));
            format!(
                "{{\"name\": {:?}, \"role\": {:?}, \"min_ns\": {:.5}, \"median_ns\": {:.5}, \
                 \"times_limit\": {ratio}}}",
                figures.contender,
                format!("{:?}", figures.role).to_lowercase(),
                figures.minimum,
                figures.median,
            )
        })
        .collect();
    format!(
        "  {{\"row\": {:?}, \"unit\": {:?}, \"rounds\": {}, \"bar_times_limit\": {times}, \
         \"bar_ns\": {nanoseconds}, \"met\": {met}, \"contenders\": [\n    {}\n  ]}}",
        outcome.row,
        outcome.unit,
        outcome.rounds,
        contenders.join(",\n    "),
    )
}

/// Names and bars, a line a row.
pub fn list(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut list, row| {
        // Writing to a string does not fail.
        let _ = writeln!(list, "{} ({}, per {})", row.name, row.bar, row.unit);
        list
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let figures =
            |contender, role, minimum| Figures { contender, role, minimum, median: minimum * 2.0 };
        Outcome {
            row: "map".to_owned(),
            unit: "page",
            bar: Bar::TimesLimit(1.5),
            rounds: 15,
            figures: vec![
                figures("limit", Role::Limit, 0.125),
                figures("ours", Role::Ours, 0.25),
                figures("peer", Role::Peer, 1234.5),
            ],
        }
    }

    #[test]
    fn the_table_is_aligned() {
        let table = markdown(&[outcome(), Outcome { figures: Vec::new(), ..outcome() }]);
        let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        let widths = &widths[..4];
        assert_eq!(table.lines().nth(4), Some(""), "{table}");
        assert!(widths.iter().all(|&width| width == widths[0]), "{table}");
        assert!(
            table.ends_with("\n15 rounds; medians are 2.00 times the minima, 2.00 at worst.\n")
        );
        assert!(table.contains("| map "), "{table}");
        assert!(table.contains(" 2.00 | **no** |"), "{table}");
        assert!(table.contains(" 1234 |") || table.contains(" 1235 |"), "{table}");
    }

    #[test]
    fn the_json_has_every_figure() {
        let json = json(&[outcome()]);
        for part in [
            "\"row\": \"map\"",
            "\"bar_times_limit\": 1.5, \"bar_ns\": null, \"met\": false",
            "\"name\": \"ours\", \"role\": \"ours\", \"min_ns\": 0.25000, \"median_ns\": 0.50000, \
             \"times_limit\": 2.0000",
        ] {
            assert!(json.contains(part), "{part} is not in {json}");
        }
    }
}
