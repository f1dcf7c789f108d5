//! The C interface of [`iopgtable`]: page tables for IOMMUs and GPUs whose memory the caller
//! controls.
//!
//! Two faces, in one static or shared library:
//!
//! | face | for whom | header |
//! |---|---|---|
//! | [`table`], [`look`], [`gather`], [`reservation`] | new code in C | `iopgtable.h`, generated from this crate |
//! | [`linux`] | code written against Linux's io-pgtable | Linux's own `linux/io-pgtable.h` |
//!
//! # Panics
//!
//! None crosses the border, and no input is known to cause one.
//!
//! The functions of `iopgtable.h` catch them (module `guard`): the call returns
//! [`Status::Internal`](status::Status::Internal), and the table is never used again. Those of the
//! Linux face, where a call costs a few nanoseconds, do not catch: an `extern "C"` function does
//! not unwind, so a panic would stop the process. What is left in them that could panic are bounds
//! checks of arrays that the engine indexes with levels, which are at most 3.
//!
//! Where the process has no memory for a handle of its own (not for a table: that is an error),
//! Rust's allocation error handler stops it.
//!
//! # Threads
//!
//! One call at a time on each table, gather or reservation; different ones are independent. The
//! callbacks of an allocator that serves several tables may therefore be called from several
//! threads at once.

mod allocator;
mod arguments;
mod config;
mod guard;

// In the order in which the header tells of them.
pub mod status;
pub mod types;

pub mod table;

pub mod look;

pub mod gather;

pub mod reservation;

pub mod linux;
