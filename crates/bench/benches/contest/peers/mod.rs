//! The published crates.

mod aarch64_paging;
mod page_table_generic;
mod page_table_multiarch;
mod x86_64;

pub(crate) use aarch64_paging::AArch64Paging;
pub(crate) use page_table_generic::PageTableGeneric;
pub(crate) use page_table_multiarch::PageTableMultiarch;
pub(crate) use x86_64::X86_64;
