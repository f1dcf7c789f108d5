//! Every allocator keeps the contract: one suite, listed once for each.

#![cfg(feature = "alloc")]

mod allocators;
mod contract;
mod lists;
mod model;
#[path = "../monitor/mod.rs"]
mod monitor;
mod threads;
