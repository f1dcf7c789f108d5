//! What the command line asks for.

use std::fmt;

use crate::measure::Caches;

/// How to run, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many rounds count.
    pub rounds: usize,
    /// What a turn that counts finds in the CPU's caches.
    pub caches: Caches,
    /// JSON instead of Markdown.
    pub json: bool,
    /// Names and bars only.
    pub list: bool,
    /// Rows whose names contain one of these; all where there are none.
    pub filters: Vec<String>,
}

/// An argument that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError(String);

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected [--rounds N] [--cold] [--json] [--list] [part of a row's name]...",
            self.0
        )
    }
}

impl std::error::Error for OptionsError {}

impl Options {
    /// How many rounds count unless another number is asked for.
    pub const ROUNDS: usize = 15;

    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    ///
    /// The first argument that means nothing.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, OptionsError> {
        let mut options = Self {
            rounds: Self::ROUNDS,
            caches: Caches::Warm,
            json: false,
            list: false,
            filters: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--rounds" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    options.rounds = number.ok_or(OptionsError(argument))?;
                }
                "--cold" => options.caches = Caches::Cold,
                "--json" => options.json = true,
                "--list" => options.list = true,
                // Cargo's.
                "--bench" => {}
                _ if argument.starts_with('-') => return Err(OptionsError(argument)),
                _ => options.filters.push(argument),
            }
        }
        Ok(options)
    }

    /// Whether a row of that name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn arguments_choose_rounds_form_and_rows() {
        let options = parse("--bench --rounds 3 --json --cold unmap random").unwrap();
        assert_eq!((options.rounds, options.json), (3, true));
        assert_eq!((options.caches, parse("").unwrap().caches), (Caches::Cold, Caches::Warm));
        assert!(options.wants("unmap 1 GiB") && options.wants("translate, random"));
        assert!(!options.wants("map 1 GiB"));
        assert_eq!(parse("").unwrap().rounds, Options::ROUNDS);
        assert!(parse("").unwrap().wants("anything"));
        assert!(parse("--rounds many").is_err() && parse("--fast").is_err());
    }
}
