//! The rows and their contenders.
//!
//! | file | what is in it |
//! |---|---|
//! | `frames` | pages for the limits and the published crates |
//! | `tables` | what a page table must offer to take part |
//! | `ours`, `peers/` | who does |
//! | `bare`, `limits` | the same stores, no page table |
//! | `order` | permutations, scatter lists |
//! | `rows/` | one file a group of rows |

mod bare;
mod frames;
mod limits;
mod order;
mod ours;
mod peers;
mod rows;
mod tables;

pub(crate) use rows::{Scale, rows};

/// Where mappings begin: aligned to every table and leaf that a row uses, and a positive address
/// on every architecture.
const IOVA: u64 = 1 << 44;
/// Where mapped memory begins.
const PHYS: u64 = 1 << 32;
/// The bits of a leaf besides its address, for the limits.
const LEAF: u64 = 0x703;

const PAGE: u64 = 4096;
const GIB: u64 = 1 << 30;
