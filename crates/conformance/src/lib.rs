//! Brings page tables of `iopgtable` together with MMUs that nobody derived from them.
//!
//! `iopgtable` and `walkers` do not know each other, so that neither can copy a mistake of the
//! other. Here is the only place that knows both:
//!
//! - [`Walked`]: what a driver would program for a format, and what a mapping of it permits.
//! - [`machines`]: all machines by their names, each with memory that it shares.
//! - [`Question`]: a request, and what a correct machine answers.
//! - [`Rig`]: a page table in memory that machines share, a naive [`Model`] of what it maps, and
//!   the machines, which are all asked the same questions after every change.
//! - [`cases`], [`histories`]: the suite. A pair of a format and a machine passes it when every
//!   answer is what the model says; a machine is trusted for what it
//!   [says](walkers::Says) and for nothing else.
//! - [`laxity`]: what machines are documented not to do.
//! - [`mutations`]: flips each bit of the entries in turn, and finds out which machine notices.

#![deny(unsafe_code)]

mod bridge;
pub mod cases;
pub mod histories;
pub mod laxity;
pub mod machines;
mod memory;
mod model;
pub mod mutations;
mod question;
mod rig;

pub use bridge::{Walked, walk};
pub use memory::SharedRegion;
pub use model::{Mapped, Model};
pub use question::{Expected, Question};
pub use rig::{Disagreement, Rig, Tally};
