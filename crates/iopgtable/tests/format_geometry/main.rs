//! Levels, root sizes and leaf sizes are the architecture's, for every format and every input and
//! output size; the soft MMU starts its walks there; and what a format does not have is refused.

#![cfg(feature = "alloc")]

mod kinds;
mod levels;
#[path = "../machine/mod.rs"]
mod machine;
mod refusals;
