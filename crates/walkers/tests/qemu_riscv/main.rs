//! QEMU's RISC-V processor against tables written by hand, and against the model.

#![cfg(feature = "machines")]

mod machine;
mod random;
mod rules;
