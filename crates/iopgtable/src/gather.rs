//! What a device must forget after an operation, the tables that came loose, and the proof that
//! lets them go.
//!
//! An operation that removes or replaces entries returns a [`Gather`]. A device may go on using
//! the old entries, and walking the old tables, until it is told to forget them; only then may
//! the tables' memory serve another purpose. So the way of a loose table leads from the `Gather`
//! through [`Gather::invalidate`], which asks the driver's [`Invalidate`], to an [`Invalidated`],
//! and from there through [`PageTable::free`](crate::PageTable::free) to the allocator.

use core::fmt;

use crate::addr::IovaRange;
use crate::format::Format;
use crate::memory::TableMemory;
use crate::table::{Loose, TableId};

/// What the device must forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidation {
    /// Where cached leaves (translations) are out of date. Also the whole span of each leaf that
    /// was cut.
    pub leaves: Option<IovaRange>,
    /// Where cached walks (links to tables) are out of date: the spans of tables that came loose.
    pub walks: Option<IovaRange>,
}

impl Invalidation {
    /// Whether there is nothing to forget.
    pub const fn is_empty(&self) -> bool {
        self.leaves.is_none() && self.walks.is_none()
    }

    /// The smallest range that covers both, for hardware that has one command for both.
    pub fn hull(&self) -> Option<IovaRange> {
        merge(self.leaves, self.walks)
    }

    /// What covers both invalidations.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { leaves: merge(self.leaves, other.leaves), walks: merge(self.walks, other.walks) }
    }
}

#[inline]
fn merge(one: Option<IovaRange>, other: Option<IovaRange>) -> Option<IovaRange> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.hull(other)),
        (one, other) => one.or(other),
    }
}

/// Adds `range` to what the device must forget.
#[inline]
pub(crate) fn stale(what: &mut Option<IovaRange>, range: IovaRange) {
    *what = merge(*what, Some(range));
}

/// Where an operation changed translations that walkers may see without their having been invalid
/// in between (Arm DDI 0487, D8.17.1): hardware that wants break-before-make may have raised a
/// conflict, or used either translation, there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakBeforeMake {
    /// Where; nothing where nothing of the kind happened.
    pub range: Option<IovaRange>,
    /// Leaves changed their size, or lost the contiguous hint. No concern of hardware with
    /// `FEAT_BBM` level 2.
    pub resized: bool,
    /// Leaves may have changed their output address or their memory type.
    pub rewritten: bool,
}

impl BreakBeforeMake {
    /// Whether nothing of the kind happened.
    pub const fn is_empty(&self) -> bool {
        self.range.is_none()
    }

    /// What covers both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            range: merge(self.range, other.range),
            resized: self.resized || other.resized,
            rewritten: self.rewritten || other.rewritten,
        }
    }

    pub(crate) fn resized(&mut self, range: IovaRange) {
        stale(&mut self.range, range);
        self.resized = true;
    }

    pub(crate) fn rewritten(&mut self, range: IovaRange) {
        stale(&mut self.range, range);
        self.rewritten = true;
    }
}

/// The driver's side: makes the device forget.
///
/// # Safety
///
/// When [`invalidate`](Self::invalidate) returns `Ok`, no walker that was ever given the table's
/// root uses a translation or a walk in the ranges from before the call, nor has an access in
/// flight that does.
pub unsafe trait Invalidate {
    /// Why the device could not be made to forget.
    type Error;

    /// Makes the device forget what `stale` names, and waits until it has.
    ///
    /// # Errors
    ///
    /// The driver's own; nothing may be assumed forgotten then.
    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), Self::Error>;
}

/// The [`Invalidate`] of a table whose root no device was given: there is nobody to forget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwalked;

// SAFETY: whoever gives the root to a walker promises, at `PageTable::registers`, to use an
// `Invalidate` that reaches that walker from then on.
unsafe impl Invalidate for Unwalked {
    type Error = core::convert::Infallible;

    fn invalidate(&mut self, _: &Invalidation) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The outcome of an operation: what to invalidate, and the tables that came loose by it.
///
/// Dropping one that is not empty leaks the loose tables, which is safe, and leaves the device
/// with stale translations, which is not what you want.
#[must_use = "the device still uses what this names: invalidate it, then free the tables"]
pub struct Gather {
    pub(crate) stale: Invalidation,
    pub(crate) live: BreakBeforeMake,
    pub(crate) loose: Loose,
    pub(crate) table: TableId,
}

impl Gather {
    #[inline]
    pub(crate) const fn new(table: TableId) -> Self {
        Self {
            stale: Invalidation { leaves: None, walks: None },
            live: BreakBeforeMake { range: None, resized: false, rewritten: false },
            loose: Loose::new(),
            table,
        }
    }

    /// Takes over what `other`, of the same page table, names.
    pub(crate) fn append<F: Format, M: TableMemory + ?Sized>(&mut self, memory: &M, other: Self) {
        self.stale = self.stale.and(&other.stale);
        self.live = self.live.and(&other.live);
        self.loose.append::<F, M>(memory, other.loose);
    }

    /// What the device must forget.
    pub const fn stale(&self) -> &Invalidation {
        &self.stale
    }

    /// Where break-before-make was needed, and was not done.
    pub const fn break_before_make(&self) -> &BreakBeforeMake {
        &self.live
    }

    /// Whether there is nothing to forget and no table came loose.
    pub const fn is_empty(&self) -> bool {
        self.stale.is_empty() && self.loose.is_empty()
    }

    /// Has `device` forget what this names.
    ///
    /// # Errors
    ///
    /// The device's error, with the gather: the tables stay out of use until a later attempt
    /// succeeds.
    #[inline]
    pub fn invalidate<D: Invalidate>(
        self,
        device: &mut D,
    ) -> Result<Invalidated, InvalidateError<D::Error>> {
        if !self.stale.is_empty() {
            if let Err(error) = device.invalidate(&self.stale) {
                return Err(InvalidateError { gather: self, error });
            }
        }
        Ok(Invalidated { loose: self.loose, table: self.table })
    }

    /// The same, where one call of the device has covered many gathers.
    ///
    /// # Safety
    ///
    /// What [`Invalidate`] promises holds for [`stale`](Self::stale), by an invalidation that
    /// began after the operation had returned this gather.
    pub unsafe fn assume_invalidated(self) -> Invalidated {
        Invalidated { loose: self.loose, table: self.table }
    }
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("leaves", &self.stale.leaves)
            .field("walks", &self.stale.walks)
            .field("break_before_make", &self.live)
            .field("loose_subtrees", &self.loose.subtrees())
            .finish_non_exhaustive()
    }
}

/// An invalidation that failed.
pub struct InvalidateError<E> {
    /// What is still to be invalidated.
    pub gather: Gather,
    /// Why it failed.
    pub error: E,
}

impl<E: fmt::Debug> fmt::Debug for InvalidateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidateError")
            .field("gather", &self.gather)
            .field("error", &self.error)
            .finish()
    }
}

impl<E: fmt::Display> fmt::Display for InvalidateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalidation of {:?} failed: {}", self.gather.stale, self.error)
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for InvalidateError<E> {}

/// The proof that the device has forgotten some loose tables: they may be freed.
#[must_use = "the tables are lost unless they are freed"]
#[derive(Debug)]
pub struct Invalidated {
    pub(crate) loose: Loose,
    pub(crate) table: TableId,
}
