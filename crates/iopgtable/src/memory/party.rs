//! Another party that table pages are shared with, for [`Donated`](super::Donated).

use core::fmt;

use super::{AllocError, TableLayout};
use crate::addr::Segment;

/// The other party that walks the tables, as the firmware, hypervisor or monitor has it that the
/// CPU must ask: a secure world, a protected virtual machine, a device that another one owns.
///
/// Pages are shared for reading: the CPU goes on writing the tables, and the party's walker reads
/// them. (So hardware that notes accesses in the tables cannot walk shared ones.)
///
/// A page is named to [`share`](Self::share) once before it is named to
/// [`reclaim`](Self::reclaim) once; a page about which one of them said
/// [`Unknown`](PartyError::Unknown) is never named again. Calls come from any thread, and from
/// several at once, for different pages.
///
/// # Safety
///
/// - From when `share` has returned `Ok` until `reclaim` is called for the same page, the party's
///   walker finds there what the CPU published, then and before; the CPU reads and writes it as
///   ever; and the party does not write. What is in the page stays as it was.
/// - When `reclaim` has returned `Ok`, the party does not reach the page any more, and the CPU may
///   use it for anything. What is in it may have changed.
/// - Where either has returned [`Refused`](PartyError::Refused) or
///   [`WouldBlock`](PartyError::WouldBlock), the page is as it was before the call.
/// - Called with `may_block` false, neither blocks.
/// - The same holds page by page for the bulk forms, as [`BulkError`] divides them, and
///   [`granule`](Self::granule) always answers the same.
pub unsafe trait Party {
    /// The smallest piece of memory that can be shared by itself: smaller tables take so much. The
    /// default is 4 KiB.
    fn granule(&self) -> TableLayout {
        TableLayout::PAGE_4K
    }

    /// Shares `page`, which holds nothing but zeroes, for reading.
    ///
    /// # Errors
    ///
    /// Any [`PartyError`]; `WouldBlock` where it must sleep for that and `may_block` is false.
    fn share(&self, page: Segment, may_block: bool) -> Result<(), PartyError>;

    /// Ends the sharing of `page`.
    ///
    /// # Errors
    ///
    /// Any [`PartyError`]; `WouldBlock` where it must sleep for that and `may_block` is false. The
    /// page is asked for again later then, and after the other errors never again.
    fn reclaim(&self, page: Segment, may_block: bool) -> Result<(), PartyError>;

    /// Shares pages in order: for parties that do better than a loop, which this is.
    ///
    /// # Errors
    ///
    /// [`BulkError`] says which pages are shared and which are not.
    fn share_bulk(&self, pages: &[Segment], may_block: bool) -> Result<(), BulkError> {
        each(pages, |page| self.share(page, may_block))
    }

    /// Ends the sharing of pages in order: for parties that do better than a loop, which this is.
    ///
    /// # Errors
    ///
    /// [`BulkError`] says which pages are reclaimed and which are not. It is called again for
    /// those after the one that the error is about.
    fn reclaim_bulk(&self, pages: &[Segment], may_block: bool) -> Result<(), BulkError> {
        each(pages, |page| self.reclaim(page, may_block))
    }
}

fn each(
    pages: &[Segment],
    mut one: impl FnMut(Segment) -> Result<(), PartyError>,
) -> Result<(), BulkError> {
    pages.iter().enumerate().try_for_each(|(done, &page)| {
        one(page).map_err(|error| {
            let unknown = usize::from(matches!(error, PartyError::Unknown { .. }));
            BulkError { done, unknown, error }
        })
    })
}

// SAFETY: every call goes to the same party, whose contract is its own.
unsafe impl<P: Party + ?Sized> Party for &P {
    fn granule(&self) -> TableLayout {
        (**self).granule()
    }
    fn share(&self, page: Segment, may_block: bool) -> Result<(), PartyError> {
        (**self).share(page, may_block)
    }
    fn reclaim(&self, page: Segment, may_block: bool) -> Result<(), PartyError> {
        (**self).reclaim(page, may_block)
    }
    fn share_bulk(&self, pages: &[Segment], may_block: bool) -> Result<(), BulkError> {
        (**self).share_bulk(pages, may_block)
    }
    fn reclaim_bulk(&self, pages: &[Segment], may_block: bool) -> Result<(), BulkError> {
        (**self).reclaim_bulk(pages, may_block)
    }
}

/// Why a [`Party`] did not do what it was asked. A `code` is its own number for the reason: an
/// error number, a firmware's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartyError {
    /// Not now: it would have to sleep and may not, or is busy. Nothing has changed.
    WouldBlock,
    /// It refuses. Nothing has changed.
    Refused {
        /// The reason.
        code: i64,
    },
    /// It is not known who reaches the page now.
    Unknown {
        /// The reason.
        code: i64,
    },
}

impl fmt::Display for PartyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("the party would have to sleep"),
            Self::Refused { code } => write!(f, "the party refuses ({code})"),
            Self::Unknown { code } => write!(f, "the party may or may not have done it ({code})"),
        }
    }
}

impl core::error::Error for PartyError {}

impl From<PartyError> for AllocError {
    fn from(error: PartyError) -> Self {
        match error {
            PartyError::WouldBlock => Self::WouldBlock,
            PartyError::Refused { code } | PartyError::Unknown { code } => Self::NotShared { code },
        }
    }
}

/// How far a bulk call of a [`Party`] came: the first `done` pages are done, of the `unknown` ones
/// that follow it is not known, and the rest is untouched.
///
/// `error` is about the page after the `done` ones. Where that has been
/// [`Refused`](PartyError::Refused), `unknown` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkError {
    /// How many pages are done.
    pub done: usize,
    /// Of how many pages after those it is not known.
    pub unknown: usize,
    /// Why no more are done.
    pub error: PartyError,
}

impl fmt::Display for BulkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} page(s): {}", self.done, self.error)
    }
}

impl core::error::Error for BulkError {}
