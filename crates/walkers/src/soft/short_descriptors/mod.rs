//! Arm's short descriptors: entries of four bytes, in a table of 16 KiB and tables of 1 KiB.

mod descriptor;
mod register;
mod walk;

pub use walk::ShortDescriptors;
