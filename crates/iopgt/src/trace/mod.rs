//! The trace format: the history of address spaces, as text.
//!
//! One record a line, fields separated by blanks. A line whose first field starts with `#` is a
//! comment, and so is the rest of a line from a field that starts with `#` on (not in `command`,
//! whose text is free). Lines end with a line feed, with or without a carriage return before it.
//! Blank lines count for nothing.
//!
//! ```text
//! iopgt-trace 1
//! page 4096
//! command python3 churn.py
//! runs 4096:5120 8192:310 2097152:3
//! map 0 0x7f8ecf30c000 0x3000 rw-
//! protect 0 0x7f8ecf30c000 0x1000 r--
//! fork 0 1
//! unmap 1 0x7f8ecf30c000 0x3000
//! exit 1
//! ```
//!
//! The first record is the version. Header records come before the first operation:
//!
//! | record | meaning |
//! |---|---|
//! | `page BYTES` | page size, a power of two from 4096 to 65536; 4096 when absent; at most once, before `runs` |
//! | `command TEXT` | what was run, to the end of the line; at most once |
//! | `runs BYTES:COUNT ...` | how often physical runs of that length were seen; may repeat, counts add up |
//!
//! Addresses and lengths of operations are hexadecimal with `0x`, in bytes, multiples of the page
//! size; lengths are not zero and a range does not pass 2^64. A space is the decimal index of an
//! address space. It comes to be, empty, when it is first named, or by `fork`; after its `exit`
//! its index is not used again. Protections are `rwx` with a dash for what is missing.
//!
//! | operation | meaning |
//! |---|---|
//! | `map SPACE ADDR LEN PROT` | map the range, replacing what is mapped there |
//! | `run ADDR LEN` | straight after a `map` or another `run`: the physical runs of that mapping in order; the lengths sum to the mapping's |
//! | `unmap SPACE ADDR LEN` | unmap the range; parts of it may be unmapped already |
//! | `protect SPACE ADDR LEN PROT` | change the protection of what is mapped in the range |
//! | `remap SPACE OLD OLDLEN NEW NEWLEN` | move or resize (`mremap`); in place when OLD equals NEW; what was mapped in the new range is replaced |
//! | `fork SPACE CHILD` | CHILD, not named before, starts as a copy of SPACE |
//! | `clear SPACE` | unmap everything; the space goes on (`execve`) |
//! | `exit SPACE` | unmap everything; the space is gone |
//!
//! Recorded traces have no `run` records: replay draws physical memory for their mappings from the
//! `runs` header, see [`Frames`]. Mirrored ones have the frames of the live process.

mod fields;
mod frames;
mod histogram;
mod model;
mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use frames::{Draw, Frames, NoRoom};
pub use histogram::Histogram;
pub use model::{DEFAULT_PAGE, Header, Op, Prot, Run, Space, Trace};
pub use parse::ParseError;
