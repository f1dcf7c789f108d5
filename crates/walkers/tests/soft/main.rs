//! The soft MMU against tables built by hand, each descriptor a literal with its reason.

// The manual writes sizes (`T0SZ`) in decimal and the other fields in binary, and so do these.
#![allow(clippy::decimal_bitwise_operands)]

mod amd_v1;
mod contiguous;
mod dart;
mod hardware_updates;
mod mali;
mod nested;
mod non_secure;
mod paths;
mod random;
mod random_formats;
mod riscv;
mod riscv_guest;
mod short_descriptors;
mod stage1;
mod stage1_aarch32;
mod stage1_faults;
mod stage1_halves;
mod stage1_permissions;
mod stage2;
mod stage2_aarch32;
mod stage2_configurations;
mod tables;
mod vtd_second_stage;
mod wide;
mod x86_64;
