//! Record, mirror and replay address-space histories through I/O page tables.
//!
//! This is the library behind the command line tool `iopgt`. A [`trace`] is the history of one
//! or more address spaces as text. It comes from a program that runs ([`record`]) or from one
//! that is alive already ([`mirror`]), and goes through a GPU-VM layer in [`replay`].

#![deny(unsafe_code)]

pub mod cli;
pub mod format;
pub mod mirror;
pub mod process;
pub mod record;
pub mod replay;
pub mod trace;
