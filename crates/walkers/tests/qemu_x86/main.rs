//! QEMU's x86-64 processor against tables written by hand, and against the model.

#![cfg(feature = "machines")]

mod machine;
#[path = "../opinion/mod.rs"]
mod opinion;
mod random;
mod refused;
mod rules;
#[path = "../x86/mod.rs"]
mod x86;
