//! Tables in memory that only the device reaches: whatever a copy engine has brought over so far,
//! each address leads where it led before or where it leads then.

#![cfg(feature = "alloc")]

mod histories;
#[path = "../machine/mod.rs"]
mod machine;
#[path = "../model/mod.rs"]
mod model;
#[path = "../ops/mod.rs"]
mod ops;
mod order;
mod queue;
mod threads;
mod vram;
