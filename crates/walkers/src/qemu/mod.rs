//! Machines that QEMU emulates.
//!
//! They are found in the folder that the environment variable `IOPGTABLE_QEMU` names, in
//! `target/walkers` of the workspace (where `scripts/walkers` puts them), and in `PATH`.

// The machines are on their way.
#![allow(dead_code)]

mod aarch64;
#[cfg(test)]
mod assembled;
mod batch;
mod child;
mod locate;

pub use aarch64::Aarch64;
pub use locate::Absent;
