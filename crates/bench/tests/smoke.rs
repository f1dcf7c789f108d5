//! Every row at a 64th of its size: each contender does its work, and proves it.

#[path = "../benches/contest/mod.rs"]
mod contest;

use contest::Scale;
use iopgtable_bench::{Caches, Role, measure};

#[test]
fn every_contender_of_every_row_does_its_work() {
    for row in contest::rows(Scale::SMOKE) {
        let outcome = measure(&row, 1, Caches::Warm);
        assert!(outcome.role(Role::Ours).is_some(), "{}", row.name());
        for figures in &outcome.figures {
            assert!(figures.minimum > 0.0, "{}: {figures:?}", row.name());
        }
    }
}
