//! GPU address spaces: a planned VA map, exact page-table reservation, asynchronous `VM_BIND`.
//!
//! A GPU driver's bind jobs run in a section that fences wait for, where no memory may be
//! allocated. So everything that a job can need is taken when it is submitted. Drivers reserve
//! for the worst case, because they do not know the tables that the job will find: 514 tables for
//! an aligned GiB that ends up as 2 MiB blocks and takes two.
//!
//! Here the plan knows. Jobs of one [`Vm`] that touch the same addresses run in the order of their
//! submission, so the state that a job will find there is the plan as it stands at submission, and
//! the tables of a state are a function of its mappings (see [`plan`]). A job reserves exactly the
//! tables that will be missing; nothing is left over when all have run.
//!
//! What drivers and their documentation ask for, what this crate does about it, and the tests that
//! show it, are in [`rules`]. How a driver is written on it is in [`guide`].
//!
//! | module | what it holds |
//! |---|---|
//! | `vm`, `options` | [`Vm`]: the face |
//! | `queue`, `lanes`, `reach`, `latest` | [`Queue`]: further queues, and what keeps jobs in order |
//! | `submit`, `draft`, `desk`, `refusal` | a [`Submission`] on its way, and why it may be refused |
//! | `flight`, `spare`, `relief` | [`InFlight`], a limit on what queued jobs hold; pages for unmaps without memory; who waits for some |
//! | `run`, `ban`, `teardown` | jobs run in order, what ends that, and what can be done then |
//! | `figures`, `state`, `record` | [`State`]: what a VM tells about itself |
//! | [`space`], `mapping` | the planned VA map: how mappings split |
//! | [`plan`] | from state to state: which tables are missing, which come loose |
//! | `evict` | memory that goes away for a while: [`Vm::evict`], [`Vm::restore`] |
//! | `forecast` | [`Vm::dry_run`]: what a submission would do |
//! | `steps`, `view` | what carries a transition out; the leaves of a range |
//! | `job` | what runs in the section that fences wait for |
//! | `timeline`, `doorbell` | [`Timeline`], [`Point`]: the fences; whom they wake |
//! | `backing`, `runs` | [`Backing`]: what mappings lead to |
//! | `device` | [`Device`]: the driver's side |
//! | `worker` | [`Worker`]: threads that run jobs (feature `std`) |
//! | [`rules`], [`guide`] | what drivers ask for; how one is written |
//!
//! # Running without allocating, by type
//!
//! A job's steps see the page table as [`iopgtable::Reserved`]: the table and the job's own
//! reservation, and no way to the allocator. This does not compile:
//!
//! ```compile_fail,E0599
//! use iopgtable::{Format, Iova, Reserved, TableAllocator, TableCount};
//! fn run_section<F: Format, A: TableAllocator + Clone>(table: &mut Reserved<'_, F, A>) {
//!     let more = table.reserver().reserve(&TableCount::ZERO, Iova(0), true);
//! }
//! ```
//!
//! while the same function without the allocation does:
//!
//! ```
//! use iopgtable::{Format, Gather, IovaRange, Reserved, ReservedError, TableAllocator};
//! fn run_section<F: Format, A: TableAllocator + Clone>(
//!     table: &mut Reserved<'_, F, A>,
//!     range: IovaRange,
//! ) -> Result<Gather, ReservedError> {
//!     table.unmap(range, range)
//! }
//! ```

#![no_std]
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backing;
mod ban;
mod desk;
mod device;
mod doorbell;
mod draft;
mod events;
mod evict;
mod figures;
mod flight;
mod forecast;
pub mod guide;
mod job;
mod lanes;
mod latest;
mod mapping;
mod options;
pub mod plan;
mod queue;
mod reach;
mod record;
mod refusal;
#[cfg(feature = "std")]
mod relief;
pub mod rules;
mod run;
mod runs;
#[cfg(feature = "serde")]
mod serialize;
pub mod space;
mod spare;
mod state;
mod steps;
mod submit;
mod sync;
mod teardown;
mod timeline;
mod transition;
mod view;
mod vm;
#[cfg(feature = "std")]
mod wait;
#[cfg(feature = "std")]
mod worker;

pub use backing::{Backing, BackingError};
pub use ban::{Ban, BanReason};
pub use device::Device;
pub use figures::Figures;
pub use flight::InFlight;
pub use forecast::Forecast;
pub use lanes::QueueId;
pub use options::VmOptions;
pub use queue::Queue;
pub use record::{Entry, Outcome, What};
#[cfg(feature = "std")]
pub use refusal::BindError;
pub use refusal::{SubmitError, SubmitReason};
pub use runs::Runs;
pub use space::{Mapping, Space};
pub use state::{QueueState, State};
pub use submit::Submission;
pub use teardown::{Teardown, TeardownError};
pub use timeline::{FenceError, Point, Timeline};
pub use vm::{Op, Vm};
#[cfg(feature = "std")]
pub use worker::Worker;

/// The README's examples, as tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
