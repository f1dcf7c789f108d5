//! Many threads change one table, each in ranges of its own.

#![cfg(feature = "alloc")]

mod alone;
mod bounds;
mod histories;
#[path = "../machine/mod.rs"]
mod machine;
mod races;
#[path = "../slices/mod.rs"]
mod slices;
mod tables;
