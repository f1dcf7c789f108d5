//! One mapping: by itself, and in its place in the plan.

use alloc::sync::Arc;

use iopgtable::{IovaRange, PackedSegment, Prot, SegmentsPart};

use crate::backing::Backing;
use crate::runs::Runs;
use crate::view::View;

/// A range of addresses that shows a part of a backing.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The addresses.
    pub range: IovaRange,
    /// What they lead to.
    pub backing: Arc<Backing>,
    /// Where in the backing the range begins, in bytes.
    pub offset: u64,
    /// What is allowed.
    pub prot: Prot,
}

impl Mapping {
    /// The part of this mapping that lies in `range`.
    pub fn part(&self, range: IovaRange) -> Option<Self> {
        let range = self.range.intersection(range)?;
        let into = range.first().0 - self.range.first().0;
        let offset = self.backing.offset_above(self.offset, into);
        Some(Self { range, offset, ..self.clone() })
    }

    /// Its physical runs, from the first address on.
    pub fn runs(&self) -> Runs<'_> {
        self.backing.runs(self.offset, self.range.bytes())
    }

    /// The same, to be mapped fast, if the backing is one that can be.
    pub(crate) fn segments(&self) -> Option<SegmentsPart<'_, PackedSegment>> {
        self.backing.packed_part(self.offset, self.range.bytes())
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { range: self.range, backing: &self.backing, offset: self.offset }
    }

    /// Whether `other` shows the same memory wherever both map the same address: whoever replaces
    /// one by the other keeps the contents.
    pub fn keeps(&self, other: &Self) -> bool {
        let (one, two) =
            if self.range.first() <= other.range.first() { (self, other) } else { (other, self) };
        let apart = two.range.first().0 - one.range.first().0;
        Arc::ptr_eq(&one.backing, &two.backing)
            && one.backing.offset_above(one.offset, apart)
                == two.backing.offset_above(two.offset, 0)
    }
}

/// A mapping in its place in the plan.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What is mapped.
    pub mapping: Mapping,
    pub(crate) leaves: Leaves,
}

/// Where the leaves of a mapping are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// In the tables.
    Present,
    /// Gone: they were those of a mapping of this range. Their tables are still there.
    Cleared { was: IovaRange },
    /// They were never written, and no table was made for them.
    Never,
}

impl Placed {
    pub(crate) const fn present(mapping: Mapping) -> Self {
        Self { mapping, leaves: Leaves::Present }
    }

    /// Whether it is evicted: part of the plan, but not of what the device sees.
    pub fn is_evicted(&self) -> bool {
        self.leaves != Leaves::Present
    }

    /// The part that lies in `range`.
    pub(crate) fn part(&self, range: IovaRange) -> Option<Self> {
        Some(Self { mapping: self.mapping.part(range)?, leaves: self.leaves })
    }

    pub(crate) fn evicted(&self) -> Self {
        let leaves = match self.leaves {
            Leaves::Present => Leaves::Cleared { was: self.mapping.range },
            other => other,
        };
        Self { mapping: self.mapping.clone(), leaves }
    }

    pub(crate) fn restored(&self, backing: &Arc<Backing>) -> Self {
        Self::present(Mapping { backing: Arc::clone(backing), ..self.mapping.clone() })
    }

    /// What its tables were made for, if it has any: a table that overlaps the mapping is there
    /// unless a leaf of this covers it.
    pub(crate) fn supplied(&self) -> Option<View<'_>> {
        let view = self.mapping.view();
        match self.leaves {
            Leaves::Present => Some(view),
            Leaves::Cleared { was } => {
                let into = view.range.first().0 - was.first().0;
                let offset = view.backing.offset_below(view.offset, into);
                Some(View { range: was, offset, ..view })
            }
            Leaves::Never => None,
        }
    }
}
