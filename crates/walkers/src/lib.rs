//! Page-table walkers written from the architecture manuals, to check page tables against.
