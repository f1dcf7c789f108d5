//! The MMU that remembers: what it keeps, what makes it forget, and that it shows each
//! invalidation that is missing.

#![allow(clippy::decimal_bitwise_operands)]

mod absent;
mod groups;
mod histories;
mod invalidations;
mod memory;
mod spaces;
mod two_stages;
mod walks;
