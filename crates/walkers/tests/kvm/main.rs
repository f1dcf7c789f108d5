//! A real processor's answers for tables built by hand, each entry a literal with its reason.
//!
//! Without `/dev/kvm`, each test says so on one line (see `walkers::require`).

#![cfg(all(feature = "machines", target_os = "linux", target_arch = "x86_64"))]

mod flags;
mod forget;
mod leaves;
mod noise;
mod refused;
mod rights;
mod slots;
mod stub;
mod tables;
#[path = "../x86/mod.rs"]
mod x86;
