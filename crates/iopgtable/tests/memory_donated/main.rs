//! Donated pages are shared before they are handed out and private before they go back; what the
//! party keeps is never used again.

#![cfg(feature = "alloc")]

mod failures;
#[path = "../machine/mod.rs"]
mod machine;
#[path = "../model/mod.rs"]
mod model;
#[path = "../monitor/mod.rs"]
mod monitor;
#[path = "../ops/mod.rs"]
mod ops;
mod pages;
mod party;
mod shared;
mod waiting;
mod walks;
