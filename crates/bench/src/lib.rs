//! A benchmark of page tables: each row beside its limit and the published crates.
//!
//! ```text
//! cargo bench -p iopgtable-bench                    # every row, 15 rounds, as a Markdown table
//! cargo bench -p iopgtable-bench -- unmap           # the rows whose names contain "unmap"
//! cargo bench -p iopgtable-bench -- --rounds 41     # more rounds: steadier minima
//! cargo bench -p iopgtable-bench -- --cold           # nobody finds anything in the caches
//! cargo bench -p iopgtable-bench -- --json          # every figure, for programs
//! cargo bench -p iopgtable-bench -- --list          # names and bars
//! ```
//!
//! # How it measures
//!
//! A row has several *contenders*: the limit, which makes the same stores without any page-table
//! logic, what this workspace offers, and the published crates. They run in turns, round after
//! round, in one process and on one thread, so that a slow phase of the machine meets all of them;
//! compared are their minima. Setting up and tearing down is not timed. A round that does not count
//! comes first: there each contender proves that it did its work, leaf by leaf.
//!
//! Before each turn that counts the same contender takes one that does not, so that all find in the
//! CPU's caches what they themselves have left there, and nobody pays for the memory that others
//! went through, or is spared that. With `--cold` nobody finds anything there instead.
//!
//! It measures and does not judge: a bar that is missed is shown, and is not a failure.
//!
//! The limits are in `benches/contest/limits.rs`. They make the stores that the row needs, of the
//! kind that it needs (plain ones to tables that nobody walks yet, atomic ones to those that a
//! walker may be reading, a release store to link), and take pages off a stack where the row takes
//! tables from a pool.
//!
//! # The published crates
//!
//! They are dev-dependencies of this crate, and of no other. Where a crate has no call for what a
//! row does, the row makes the calls that its users would make.
//!
//! | crate | takes part in | what it does otherwise, or leaves out |
//! |---|---|---|
//! | `aarch64-paging` 0.12 | 4 KiB granule, stage 1 and 2 | a `RootTable`, which is not live: no barriers, no look at what is overwritten; a list is a call a segment; translates by a visit of one page |
//! | `page-table-generic` 0.9 | stage 1, all granules; not over empty tables, which it frees | brings no entry format: ours is Arm's; looks for empty tables by scanning them; a list is a closure, in pages |
//! | `page_table_multiarch` 0.6 | 4 KiB granule, stage 1; not where tables come loose | entries of the host's architecture (x86-64, Arm); frees no table before the last; zeroes tables as it takes them; a list is a closure |
//! | `x86_64` 0.15 | as the one before | x86-64 entries; a call a page; frees no table; zeroes tables as it takes them |
//!
//! As used here, none of them orders its stores for a walker, and none can tell a driver of one
//! range to invalidate. None has what `gpuvm` does, so nobody stands beside it. Their tables come
//! from a stack of pages that were touched and zeroed before, with physical addresses equal to
//! virtual ones; ours from a `Pool` over a `Region`, zeroed as well.
//!
//! # Adding a row
//!
//! A [`Row`] has a name, a unit, a [`Bar`], and a function that makes its contenders, which is not
//! called before the row runs. A contender is a closure that is called once a round:
//!
//! ```
//! use iopgtable_bench::{Bar, Caches, Contender, Role, Row, measure};
//!
//! let row = Row::new("fill 4 KiB", "word", Bar::TimesLimit(1.5), || {
//!     let limit = Contender::new("limit", Role::Limit, |round| {
//!         let mut words = vec![0u64; 512]; // not timed
//!         round.time(512, || words.fill(7));
//!         round.check(|| words.iter().all(|&word| word == 7));
//!     });
//!     let ours = Contender::new("ours", Role::Ours, |round| {
//!         let mut words = vec![0u64; 512];
//!         round.time(512, || words.iter_mut().for_each(|word| *word = 7));
//!         round.check(|| words.iter().all(|&word| word == 7));
//!     });
//!     vec![limit, ours]
//! });
//! let outcome = measure(&row, 3, Caches::Warm);
//! assert!(outcome.ratio("ours").is_some());
//! ```

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod measure;
mod options;
mod report;
mod row;

pub use measure::{Caches, Figures, Outcome, measure};
pub use options::{Options, OptionsError};
pub use report::{json, list, markdown};
pub use row::{Bar, Contender, Role, Round, Row};
