//! RISC-V: Sv39, Sv48 and Sv57, and their guest-stage kin with a root of four tables.
//!
//! Both stages have one format of entries and one algorithm; they differ in the root, in what
//! they make of addresses beyond the tables, and in whose accesses there are. Levels are counted
//! as Arm counts: level 0 of the manual is 3 here, its levels 1 to 4 are 2 to -1.
//!
//! # The machine that is modelled
//!
//! - Bits and encodings that are reserved are [`FaultKind::Reserved`](crate::FaultKind::Reserved)
//!   where the walk meets them: bits 60:54; writable but not readable; `A`, `D`, `U`, `PBMT` or `N`
//!   of a pointer; `PBMT` without `PBMTE`, or 3; `N` without Svnapot, above the last level, or with
//!   another size than 64 KiB; an address of a superpage that is not aligned to its size. (The
//!   manual's one exception for all faults is the page fault.)
//! - A pointer at the last level is a translation fault there.
//! - All sixteen entries of a 64 KiB page are read, and must be the same but for `A` and `D`: a
//!   conflict otherwise. Hardware may use any of them, and need not notice.
//! - Then comes what the leaf permits, and last the flags: a clear `A`, or a clear `D` for a write,
//!   is [`FaultKind::AccessFlag`](crate::FaultKind::AccessFlag) without `ADUE`. With it, hardware
//!   would set them; the walkers only read.
//! - Memory is what the platform says ([`MemoryType::AsPlatform`](crate::MemoryType::AsPlatform)),
//!   unless `PBMT` says otherwise.
//!
//! # References
//!
//! The RISC-V Instruction Set Manual, volume II (20240411 and later): "Supervisor-Level ISA", the
//! sections on `satp`, "Sv39" to "Sv57" and "Virtual Address Translation Process"; "Svnapot",
//! "Svpbmt", "Svadu"; "Hypervisor Extension", the sections on `hgatp` and "Guest Physical Address
//! Translation".

mod entry;
mod guest;
mod lookup;
mod single;

pub use guest::RiscVGuest;
pub use single::RiscV;
