//! A part of a backing, segment by segment, from its start again where it repeats.

use iopgtable::Segment;

use crate::backing::{Backing, Part};

/// A part of a [`Backing`], segment by segment.
#[derive(Clone, Debug)]
pub struct Runs<'b> {
    backing: &'b Backing,
    /// What is left of this repetition.
    part: Part<'b>,
    /// The bytes that follow in later ones.
    later: u64,
}

impl<'b> Runs<'b> {
    pub(crate) fn new(backing: &'b Backing, offset: u64, bytes: u64) -> Self {
        let offset = backing.offset_above(offset, 0);
        let later = match backing.period() {
            Some(period) => bytes.saturating_sub(period - offset),
            None => 0,
        };
        Self { backing, part: backing.part(offset, bytes), later }
    }

    /// All of a backing, once.
    pub(crate) fn once(backing: &'b Backing) -> Self {
        Self { backing, part: backing.part(0, backing.bytes()), later: 0 }
    }
}

impl Iterator for Runs<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let run = self.part.next();
        if run.is_some() || self.later == 0 {
            return run;
        }
        self.part = self.backing.part(0, self.later);
        self.later = self.later.saturating_sub(self.backing.bytes());
        self.part.next()
    }
}
