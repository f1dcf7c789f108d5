//! QEMU's RISC-V processor against tables written by hand, and against the model.

#![cfg(feature = "machines")]

#[path = "../forest/mod.rs"]
mod forest;
mod machine;
#[path = "../noise/mod.rs"]
mod noise;
#[path = "../opinion/mod.rs"]
mod opinion;
mod random;
mod rules;
