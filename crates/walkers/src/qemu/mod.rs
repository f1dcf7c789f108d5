//! Machines that QEMU emulates.
//!
//! They are found in the folder that the environment variable `IOPGTABLE_QEMU` names, in
//! `target/walkers` of the workspace (where `scripts/walkers` puts them), and in `PATH`.
//!
//! - [`Aarch64`], [`RiscV`], [`X86`]: processors, asked for addresses and made to access them.
//! - [`SmmuV3`], [`Vtd`], [`AmdVi`], [`RiscVIommu`]: IOMMUs, through which devices copy memory.

mod aarch64;
mod accesses;
mod amdvi;
#[cfg(test)]
mod assembled;
mod batch;
mod child;
mod edu;
mod edu_iommu;
mod edu_mailbox;
mod edu_mmu;
mod edu_pc;
mod edu_pci;
mod edu_targets;
mod edu_virt;
mod engine;
mod locate;
mod qtest;
mod riscv;
mod riscv_iommu;
mod riscv_iommu_queue;
mod rom;
mod smmuv3;
mod smmuv3_config;
mod smmuv3_queue;
mod targets;
mod vtd;
mod vtd_scalable;
mod x86;

pub use crate::Absent;
pub use aarch64::Aarch64;
pub use amdvi::AmdVi;
pub use edu_mailbox::Areas;
pub use edu_mmu::Emulator;
pub use riscv::RiscV;
pub use riscv_iommu::RiscVIommu;
pub use smmuv3::SmmuV3;
pub use vtd::Vtd;
pub use x86::X86;
