//! A leaf allows what was asked for, to the walker and when it is read back, in every size and with
//! every set of options; what a format cannot express it refuses.

#![cfg(feature = "alloc")]

#[path = "../machine/mod.rs"]
mod machine;
mod meaning;
mod rights;
mod tables;
mod words;
