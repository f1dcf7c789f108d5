//! Machines that a computer does not have.

use core::fmt;

/// A machine that is not there: what is missing, and why, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    what: String,
}

impl Absent {
    /// For want of `what`.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl core::error::Error for Absent {}
