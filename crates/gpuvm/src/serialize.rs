//! How values of `iopgtable`, which knows no `serde`, are serialized.

use alloc::collections::BTreeMap;

use iopgtable::{IovaRange, TableCount};
use serde::{Serialize, Serializer};

/// As `[first, last]`.
#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(crate) fn range<S: Serializer>(
    range: &Option<IovaRange>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    range.map(|range| [range.first().0, range.last().0]).serialize(serializer)
}

/// By level, those without tables left out.
pub(crate) fn tables<S: Serializer>(tables: &TableCount, serializer: S) -> Result<S::Ok, S::Error> {
    let by_level: BTreeMap<i8, u64> = tables.levels().filter(|(_, count)| *count > 0).collect();
    by_level.serialize(serializer)
}
