//! Formats on the command line: a name, and the granule apart from it.
//!
//! The names are those of [`AnyFormat`], so a format that the library has can be chosen.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use iopgtable::{AnyFormat, Config};

/// A format without its granule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(&'static str);

impl Name {
    /// What is replayed as if nothing is said.
    pub const DEFAULT: &'static str = "arm64-s1";

    /// Every name once, in the library's order.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut seen = Vec::new();
        let names = AnyFormat::ALL.iter().map(|&format| Self::of(format));
        names.filter(move |&name| {
            let new = !seen.contains(&name);
            seen.push(name);
            new
        })
    }

    /// The name of `format`.
    pub fn of(format: AnyFormat) -> Self {
        Self(format.as_str().split('/').next().unwrap_or_default())
    }

    /// What users write.
    pub const fn text(self) -> &'static str {
        self.0
    }

    /// The formats of this name: one for each granule that it has.
    pub fn formats(self) -> impl Iterator<Item = AnyFormat> {
        AnyFormat::ALL.iter().copied().filter(move |&format| Self::of(format) == self)
    }

    /// The format with this granule; with its first, if none is said.
    ///
    /// # Errors
    ///
    /// Where it has no such granule: those that it has.
    pub fn with(self, granule: Option<&str>) -> anyhow::Result<AnyFormat> {
        let has = |format: &AnyFormat| granule.is_none_or(|text| format.granule_name() == text);
        self.formats().find(has).ok_or_else(|| {
            let all: Vec<&str> = self.formats().map(AnyFormat::granule_name).collect();
            let asked = granule.unwrap_or_default();
            anyhow::anyhow!("{} has no granule of {asked}; it has {}", self.0, all.join(", "))
        })
    }
}

/// Reads a name, and lists them. Linux's are understood, too: the first format that it so calls.
pub(crate) fn names() -> impl TypedValueParser<Value = Name> {
    let mut known: Vec<String> = Name::all().map(|name| name.0.to_owned()).collect();
    let values = Name::all().map(|name| {
        let mut value = PossibleValue::new(name.0);
        for format in name.formats() {
            let linux = format.name().to_ascii_lowercase().replace('_', "-");
            if !known.contains(&linux) {
                value = value.alias(linux.clone());
                known.push(linux);
            }
        }
        value
    });
    let values: Vec<PossibleValue> = values.collect();
    let parser = PossibleValuesParser::new(values.clone());
    parser.try_map(move |text| {
        let found = values.iter().position(|value| value.matches(&text, false));
        found.and_then(|at| Name::all().nth(at)).ok_or_else(|| format!("no format {text}"))
    })
}

/// Reads the name of a granule, and lists them.
pub(crate) fn granules() -> PossibleValuesParser {
    let mut all: Vec<&str> = AnyFormat::ALL.iter().map(|format| format.granule_name()).collect();
    all.sort_by_key(|text| text.len());
    all.dedup();
    PossibleValuesParser::new(all)
}

/// More address bits are not used, unless somebody asks for them.
const MOST_BITS: u8 = 48;

/// The largest tables of `format` up to 48 bits on each side, or of `input_bits`. Outputs are those
/// that leaves of every size lead to, for memory may lie in pages.
pub(crate) fn largest(format: AnyFormat, input_bits: Option<u8>) -> Config {
    let is_good = |&config: &Config| {
        format.geometry(config).is_ok_and(|geometry| geometry.wide_leaf().is_none())
    };
    let outputs = (1..=MOST_BITS).rev();
    let mut all = outputs
        .flat_map(|output| (1..=MOST_BITS).rev().map(move |input| Config::new(input, output)));
    // Every format has some.
    let mut config = all.find(is_good).unwrap_or_else(|| Config::new(MOST_BITS, MOST_BITS));
    config.input_bits = input_bits.unwrap_or(config.input_bits);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_named_by_one_name_and_its_granule() {
        for &format in AnyFormat::ALL {
            let name = Name::of(format);
            assert_eq!(name.with(Some(format.granule_name())).ok(), Some(format));
            assert_eq!(Name::all().filter(|&other| other == name).count(), 1, "{format}");
        }
    }

    #[test]
    fn without_a_granule_the_first_is_meant_and_others_are_refused_by_name() {
        assert_eq!(Name("arm64-s2").with(None).ok(), Some(AnyFormat::Arm64S2_4K));
        let refused = Name("dart").with(Some("4K")).map_err(|why| why.to_string());
        assert_eq!(refused, Err("dart has no granule of 4K; it has 16K".to_owned()));
    }

    #[test]
    fn the_largest_tables_are_those_of_the_format() {
        let sizes = |format| {
            let Config { input_bits, output_bits, .. } = largest(format, None);
            (input_bits, output_bits)
        };
        assert_eq!(sizes(AnyFormat::Arm64S1_4K), (48, 48));
        assert_eq!(sizes(AnyFormat::ArmMali), (48, 40));
        assert_eq!(sizes(AnyFormat::Dart), (38, 36));
        assert_eq!(sizes(AnyFormat::ArmV7s), (32, 32));
        for &format in AnyFormat::ALL {
            assert!(format.geometry(largest(format, None)).is_ok(), "{format}");
        }
    }
}
