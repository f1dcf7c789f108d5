//! Jobs of different queues overtake each other where they do not meet, and nowhere else; and
//! whoever overtakes whom, the reservations are exact.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod any_order;
#[path = "../deadline/mod.rs"]
mod deadline;
mod ends;
#[path = "../histories/mod.rs"]
mod histories;
#[path = "../machine/mod.rs"]
mod machine;
#[path = "../naive/mod.rs"]
mod naive;
#[path = "../ops/mod.rs"]
mod ops;
mod overtaking;
mod vms;
