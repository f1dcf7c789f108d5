//! QEMU's Arm processor against tables written by hand, and against the model.

#![cfg(feature = "machines")]

mod machine;
mod nested;
mod random;
mod stage1;
mod stage2;
mod tree;
