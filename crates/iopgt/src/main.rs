//! Record, mirror and replay address-space histories through I/O page tables.
fn main() {}
