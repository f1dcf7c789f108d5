//! What x86-64's tables look like, and what their rights mean, whichever machine walks them.

pub(crate) mod noise;
pub(crate) mod rights;

/// `P`, `R/W`, `U/S`.
pub(crate) const ALL: u64 = 7;
/// `PS`: a leaf above the last level.
pub(crate) const LARGE: u64 = 1 << 7;
/// `XD`.
pub(crate) const NO_EXECUTE: u64 = 1 << 63;
