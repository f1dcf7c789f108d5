//! Gathers: what a device must forget before tables are used for something else.

use core::sync::atomic::{AtomicU64, Ordering};

use iopgtable::{BreakBeforeMake, Gather, Invalidation};

use crate::arguments::{c_range, read, write, write_optional};
use crate::guard::{guard, guard_table};
use crate::status::Status;
use crate::table::Table;
use crate::types::{IOPGTABLE_RESIZED, IOPGTABLE_REWRITTEN, Stale};

/// A number that no table had before.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What operations on one table have made stale since it was last finished, and the tables that
/// came loose.
pub struct GatherHandle {
    table: u64,
    stale: Invalidation,
    live: BreakBeforeMake,
    /// Those that hold loose tables.
    loose: Vec<Gather>,
}

impl GatherHandle {
    /// Makes sure that `add` will succeed for a gather of `table`.
    pub(crate) fn prepare(&mut self, table: &Table) -> Result<(), Status> {
        if self.table != table.number {
            return Err(Status::WrongTable);
        }
        self.loose.try_reserve(1).map_err(|_| Status::NoMemory)
    }

    /// Takes what an operation returned.
    pub(crate) fn add(&mut self, gather: Gather) {
        let stale = *gather.stale();
        self.stale = self.stale.and(&stale);
        self.live = self.live.and(gather.break_before_make());
        // Tables come loose only where walks are stale.
        if stale.walks.is_some() {
            self.loose.push(gather);
        }
    }

    fn is_empty(&self) -> bool {
        self.stale.is_empty() && self.loose.is_empty()
    }
}

/// Makes an empty gather for `table`, to be used with any number of operations on it. Fails with
/// `NULL_ARGUMENT` or `UNALIGNED_ARGUMENT`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_gather_create(
    table: *const Table,
    gather: *mut *mut GatherHandle,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, out) = unsafe { (read(table)?, write(gather)?) };
        let handle = GatherHandle {
            table: table.number,
            stale: Invalidation::default(),
            live: BreakBeforeMake::default(),
            loose: Vec::new(),
        };
        *out = Box::into_raw(Box::new(handle));
        Ok(())
    })
}

/// Stores what the device must forget, and where break-before-make was needed and not done: ranges
/// that cover everything since the gather was last finished. Fails with `NULL_ARGUMENT` or `UNALIGNED_ARGUMENT`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_gather_stale(
    gather: *const GatherHandle,
    stale: *mut Stale,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (gather, out) = unsafe { (read(gather)?, write(stale)?) };
        let reason = |applies, reason| if applies { reason } else { 0 };
        *out = Stale {
            leaves: c_range(gather.stale.leaves),
            walks: c_range(gather.stale.walks),
            break_before_make: c_range(gather.live.range),
            reasons: reason(gather.live.resized, IOPGTABLE_RESIZED)
                | reason(gather.live.rewritten, IOPGTABLE_REWRITTEN),
        };
        Ok(())
    })
}

/// Says that every device has forgotten what the gather names; frees the tables that came loose,
/// and stores how many these were in `*freed` unless that is null. The gather is then empty and
/// may be used again. Fails with `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, `WRONG_TABLE` or
/// `INTERNAL`; the gather is then unchanged.
///
/// # Safety
///
/// The pointers are null or valid. No walker that was ever given the table's root uses a
/// translation or a walk in the ranges of `iopgtable_gather_stale` from before the operations, nor
/// has an access in flight that does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_gather_finish(
    gather: *mut GatherHandle,
    table: *mut Table,
    freed: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (gather, table, freed) =
            unsafe { (write(gather)?, write(table)?, write_optional(freed)?) };
        let tables = gather.empty_into(table, |table, gather| {
            // SAFETY: the caller says so.
            table.inner.free(unsafe { gather.assume_invalidated() })
        })?;
        if let Some(freed) = freed {
            *freed = tables;
        }
        Ok(())
    })
}

/// Gives up on a device that could not be made to forget: the tables that came loose stay out of
/// use until the table is destroyed. The gather is then empty. Fails as
/// `iopgtable_gather_finish` does.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_gather_abandon(
    gather: *mut GatherHandle,
    table: *mut Table,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (gather, table) = unsafe { (write(gather)?, write(table)?) };
        gather.empty_into(table, |table, gather| {
            table.inner.quarantine(gather);
            0
        })?;
        Ok(())
    })
}

impl GatherHandle {
    /// Gives `take` all that is held, and adds up what it returns.
    fn empty_into(
        &mut self,
        table: &mut Table,
        mut take: impl FnMut(&mut Table, Gather) -> usize,
    ) -> Result<usize, Status> {
        if self.table != table.number {
            return Err(Status::WrongTable);
        }
        let mut interrupted = table.interrupted;
        let taken = guard_table(&mut interrupted, || {
            table.interrupted = true;
            let taken = self.loose.drain(..).map(|gather| take(table, gather)).sum();
            table.interrupted = false;
            Ok(taken)
        })?;
        self.stale = Invalidation::default();
        self.live = BreakBeforeMake::default();
        Ok(taken)
    }
}

/// Destroys a gather. Fails with `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, or `PENDING` where the
/// device has something to forget: finish or abandon it first.
///
/// # Safety
///
/// `gather` is null or came from `iopgtable_gather_create` and is not used any more, unless this
/// fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_gather_destroy(gather: *mut GatherHandle) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        if !unsafe { write(gather)? }.is_empty() {
            return Err(Status::Pending);
        }
        // SAFETY: `iopgtable_gather_create` made it of a box; nobody uses it any more.
        drop(unsafe { Box::from_raw(gather) });
        Ok(())
    })
}
