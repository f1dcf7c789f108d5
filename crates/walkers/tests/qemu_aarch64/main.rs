//! QEMU's Arm processor against tables written by hand, and against the model.

#![cfg(feature = "machines")]

mod machine;
mod nested;
#[path = "../opinion/mod.rs"]
mod opinion;
mod random;
mod stage1;
mod stage2;
mod tree;
