//! QEMU's Arm processor against tables written by hand, and against the model.

#![cfg(feature = "machines")]

#[path = "../forest/mod.rs"]
mod forest;
mod machine;
mod nested;
#[path = "../noise/mod.rs"]
mod noise;
#[path = "../opinion/mod.rs"]
mod opinion;
mod random;
mod stage1;
mod stage2;
mod tree;
