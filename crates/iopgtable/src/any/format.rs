//! Which format, as a value.

use core::fmt;
use core::str::FromStr;

use crate::format::{Config, ConfigError, Format, Options};
use crate::geometry::Geometry;

macro_rules! define {
    ({} $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        /// A format with its granule, chosen at run time.
        ///
        /// As text, as in a configuration or on a command line, a format is `arm64-s1/4K` or the
        /// like; where it has one granule only, that is left out. Reading ignores case.
        ///
        /// ```
        /// use iopgtable::{AnyFormat, Config};
        /// let format: AnyFormat = "arm64-s2/16k".parse()?;
        /// assert_eq!(format, AnyFormat::Arm64S2_16K);
        /// assert_eq!(format.to_string(), "arm64-s2/16K");
        /// assert_eq!((format.name(), format.granule()), ("ARM_64_LPAE_S2", 16 << 10));
        /// assert_eq!(format.geometry(Config::new(40, 48))?.first_level(), 1);
        /// # Ok::<(), Box<dyn core::error::Error>>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AnyFormat {
            $(#[doc = $about] $variant,)*
        }

        impl AnyFormat {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What users write, as it is printed and read.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}
list_formats!(define);

/// `$value`, where `$F` is the format's type.
macro_rules! of_type {
    ({ $this:expr, $F:ident => $value:expr }
        $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        match $this {
            $(AnyFormat::$variant => {
                type $F = $format;
                $value
            })*
        }
    };
}

impl AnyFormat {
    /// Linux's name for the format, without the granule.
    pub const fn name(self) -> &'static str {
        list_formats!(of_type self, F => F::NAME)
    }

    /// The size of the smallest page and of tables in bytes.
    pub const fn granule(self) -> u64 {
        list_formats!(of_type self, F => 1 << F::PAGE_SHIFT)
    }

    /// The granule's name: `4K`, `16K`, `64K`, `4K-LPA2` or `16K-LPA2`.
    pub const fn granule_name(self) -> &'static str {
        list_formats!(of_type self, F => F::GRANULE)
    }

    /// What the format may do beyond the plain.
    pub const fn options(self) -> Options {
        list_formats!(of_type self, F => F::OPTIONS)
    }

    /// The shape of a table so configured.
    ///
    /// # Errors
    ///
    /// [`Format::geometry`]'s.
    pub fn geometry(self, config: Config) -> Result<Geometry, ConfigError> {
        list_formats!(of_type self, F => F::geometry(config))
    }
}

impl fmt::Display for AnyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AnyFormat {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, ParseFormatError> {
        let found = Self::ALL.iter().find(|format| format.as_str().eq_ignore_ascii_case(text));
        found.copied().ok_or(ParseFormatError { _private: () })
    }
}

/// A text that names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseFormatError {
    _private: (),
}

impl fmt::Display for ParseFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such format; there are")?;
        for (index, format) in AnyFormat::ALL.iter().enumerate() {
            write!(f, "{} {format}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for ParseFormatError {}
