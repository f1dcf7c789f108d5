//! The emulated IOMMUs, by the copies that devices make through them.
#![cfg(feature = "machines")]
// The manual writes sizes (`T0SZ`) in decimal and the other fields in binary, and so do these.
#![allow(clippy::decimal_bitwise_operands)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod amdvi;
mod bed;
#[path = "../noise/mod.rs"]
mod noise;
#[path = "../opinion/mod.rs"]
mod opinion;
mod radix;
mod remembered;
mod riscv_iommu;
mod smmuv3_halves;
mod smmuv3_leaves;
mod smmuv3_nested;
mod smmuv3_random;
mod smmuv3_stale;
mod stage;
mod vmsa;
mod vtd;
mod vtd_first_stage;
