//! An MMU in software for many formats, written from the architecture manuals.
//!
//! - [`Stage1`]: VMSAv8-64 stage 1 of the EL1&0 regime, both halves of the address space.
//! - [`Stage2`]: VMSAv8-64 stage 2, with concatenated root tables.
//! - [`Nested`]: the one on top of the other.
//! - [`Stage1Aarch32`], [`Stage2Aarch32`]: the same in VMSAv8-32, with long descriptors (LPAE).
//! - [`ShortDescriptors`]: those of `VMSAv7` and `VMSAv8-32`, with the extension of `MediaTek`.
//! - [`Mali`]: the table format of Mali's address spaces (Midgard, Bifrost).
//! - [`X86_64`]: 4-level and 5-level paging of x86-64.
//! - [`VtdSecondStage`], [`AmdV1`], [`Dart`]: tables of Intel's, AMD's and Apple's IOMMUs.
//! - [`RiscV`], [`RiscVGuest`]: Sv39 to Sv57, and Sv39x4 to Sv57x4.
//!
//! Each takes raw register values and holds no state: every translation reads the tables again.
//! No register value and no memory contents make a walker panic. What follows is about the Arm
//! formats; the others say at their type what machine they model.
//!
//! In VMSAv8-64, granules of 4, 16 and 64 KiB, input sizes of 25 to 52 bits, output sizes of 32 to
//! 52 bits.
//!
//! # The machine that is modelled
//!
//! Where the architecture leaves a choice, the walkers take the one that exposes a table writer's
//! mistake:
//!
//! - An input size out of range is a level 0 translation fault, never clamped.
//! - `FEAT_LPA`, `FEAT_LVA` and `FEAT_LPA2` are present: addresses of 52 bits with 64 KiB, and with
//!   4 KiB and 16 KiB if `DS` is set. Without `DS`, these two have 48 bits: larger sizes (`IPS`,
//!   `PS`) act as 48 bits, and larger inputs are out of range.
//! - The output size is taken for the implemented physical address size: with 64 KiB, level 1 has
//!   blocks if it is 52 bits.
//! - `FEAT_TTST` is absent: no input below 25 bits. `FEAT_D128` is absent: sizes above 52 bits
//!   act as 52 bits.
//! - `FEAT_HAFDBS` is present: with `HA` a clear access flag is no fault, and with `HD` too a leaf
//!   with `DBM` can be written. Hardware would then update the descriptor; the walkers only read,
//!   and say in [`Translation::dirty_state`](crate::Translation::dirty_state) what they found.
//! - The contiguous hint is checked, which hardware need not do: a leaf that carries it is read
//!   with its whole group, and a group that does not agree is a conflict, as where hardware finds
//!   two TLB entries for one address. Access flags and managed dirty states may differ. A group
//!   that reaches beyond the input range is a translation fault. Hardware may use the hint, and
//!   so mix the members up, or ignore it, and see nothing wrong.
//! - Tables are little-endian, and all in one physical address space.
//! - With 64 KiB, bits 15:12 of a descriptor are address bits 51:48 whatever the output size: an
//!   address size fault below 52 bits, which the manual leaves open for machines without
//!   `FEAT_LPA` but deprecates not to raise (`RWDZFC`).
//! - Other bits that are `RES0` or `IGNORED` in a descriptor are ignored, as hardware does, and
//!   not reported.
//!
//! # Order of faults
//!
//! Translation, external abort on the walk and address size as the walk meets them, level by
//! level; then, for the leaf, the contiguous hint, the access flag and last the permissions.
//!
//! # References
//!
//! Arm DDI 0487 (issues from L on, which number the sections thus): D8.2 "Translation process",
//! D8.3 "Translation table descriptor formats", D8.4 "Memory access control", D8.6 "Memory region
//! attributes", D8.15 "Memory aborts"; chapter G5 for `AArch32`; J1.1 and J1.2, the pseudocode.

mod aarch32;
mod amd_v1;
mod answer;
mod attribute;
mod config;
mod contiguous;
mod dart;
pub mod descriptor;
mod fetch;
mod granule;
mod layout;
mod lookup;
mod mali;
mod managed;
mod mmu;
mod nested;
mod permission;
mod register;
mod riscv;
mod short_descriptors;
mod stage1;
mod stage2;
mod vtd_second_stage;
mod x86_64;

pub use aarch32::{Stage1Aarch32, Stage1Aarch32Registers, Stage2Aarch32, Stage2Aarch32Registers};
pub use amd_v1::AmdV1;
pub use config::ConfigError;
pub use dart::Dart;
pub use mali::{Mali, MaliRegisters};
pub(crate) use mmu::with_walker;
pub use mmu::{SoftMmu, walk};
pub use nested::Nested;
pub use riscv::{RiscV, RiscVGuest};
pub use short_descriptors::ShortDescriptors;
pub use stage1::{Stage1, Stage1Registers};
pub use stage2::{Stage2, Stage2Registers};
pub use vtd_second_stage::VtdSecondStage;
pub use x86_64::X86_64;
