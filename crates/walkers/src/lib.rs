//! Page-table walkers written from the architecture manuals, to check page tables against.
//!
//! A walker is given what a device is given: the raw values of the translation registers and a
//! way to read physical memory. It answers what the device would: the physical address, the
//! permissions and the memory type, or the fault and the level at which it was taken. A library
//! that writes page tables is right when the walkers agree with what it was asked to map.
//!
//! Nothing here shares code or constants with a library under test. The bits come from the
//! manuals, and each room names the section that it was written from.
//!
//! # Example
//!
//! A table with one entry: a gibibyte at the bottom of a 39-bit address space.
//!
//! ```
//! use walkers::soft::{Stage1, Stage1Registers};
//! use walkers::{Access, Fault, FaultKind, FnMemory, Walker};
//!
//! // The first of 512 entries, at physical address 0x1000: a level 1 block at 2 GiB with the
//! // access flag, inner shareable, for privileged accesses only. The others are invalid.
//! let memory = FnMemory(|address| match address {
//!     0x1000 => Some(0x8000_0701),
//!     0x1008..0x2000 => Some(0),
//!     _ => None,
//! });
//! let mmu = Stage1::new(
//!     memory,
//!     Stage1Registers {
//!         ttbr0: Some(0x1000),
//!         ttbr1: None,
//!         tcr: 25 | 0b101 << 32, // T0SZ: 39 bits in; IPS: 48 bits out
//!         mair: 0xff,            // attribute 0: write-back
//!     },
//! )?;
//!
//! let found = mmu.translate(0x1234_5678, Access::PRIVILEGED_READ)?;
//! assert_eq!(found.address, 0x9234_5678);
//! assert_eq!(found.leaf_size, 1 << 30);
//!
//! let fault = mmu.translate(0x1234_5678, Access::UNPRIVILEGED_READ);
//! assert_eq!(fault, Err(Fault::new(FaultKind::Permission, 1)));
//! let fault = mmu.translate(0x4000_0000, Access::PRIVILEGED_READ);
//! assert_eq!(fault, Err(Fault::new(FaultKind::Translation, 1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rooms
//!
//! - [`PhysMemory`], [`FnMemory`]: what a walker reads tables from; [`EntryRead`]: what it says
//!   of each read.
//! - [`Access`]: what the device wants to do.
//! - [`Translation`], [`Permissions`], [`MemoryType`], [`DirtyState`]: the answer.
//! - [`Fault`]: the refusal, a value like any other.
//! - [`Walker`]: the one question that every model answers.
//! - [`Mmu`]: machines with a state, models among them: [`Regime`] is what they are programmed
//!   with, [`Request`] and [`Answer`] what they are asked and say, [`Says`] what of that to trust.
//! - `Ram` (feature `machines`): memory that machines in other processes walk, too.
//! - `qemu` (feature `machines`): MMUs that QEMU emulates.
//! - `kvm` (feature `machines`, Linux on x86-64): a virtual machine's processor.
//! - `require` (feature `machines`): whether a test may go without a machine.
//! - [`soft`]: an MMU in software: for the Arm formats, x86-64 and those of other IOMMUs.
//! - [`iotlb`]: the same with a TLB that forgets only what it is told to.

#![deny(unsafe_code)]

#[cfg(feature = "machines")]
mod absent;
mod access;
mod fault;
mod memory;
mod mmu;
#[cfg(feature = "machines")]
mod page_fault;
#[cfg(feature = "machines")]
mod ram;
mod regime;
#[cfg(feature = "machines")]
mod slot;
mod translation;
mod walk;

pub mod iotlb;
#[cfg(all(feature = "machines", target_os = "linux", target_arch = "x86_64"))]
pub mod kvm;
#[cfg(feature = "machines")]
pub mod qemu;
#[cfg(feature = "machines")]
pub mod require;
pub mod soft;

#[cfg(feature = "machines")]
pub use absent::Absent;
pub use access::{Access, AccessKind, Privilege};
pub use fault::{Fault, FaultKind, FaultStage};
pub use memory::{EntryRead, EntryRole, EntryWidth, FnMemory, PhysMemory};
pub use mmu::{Answer, Forget, Mmu, MmuError, Reached, Refusal, Request, Says, Unsupported};
#[cfg(feature = "machines")]
pub use ram::Ram;
pub use regime::{
    AmdV1Registers, DartRegisters, DartVariant, Regime, RiscVGuestRegisters, RiscVRegisters,
    ShortDescriptorRegisters, VtdSecondStageRegisters, X86_64Registers,
};
pub use translation::{
    DeviceType, DirtyState, MemoryType, Permissions, Rights, Shareability, Translation,
};
pub use walk::Walker;
