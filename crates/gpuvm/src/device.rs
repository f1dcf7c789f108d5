//! The driver's side of a VM.

use core::fmt::{Debug, Display};

use iopgtable::{Invalidate, IovaRange, Unwalked};

/// What a VM asks of the device that walks its tables.
///
/// Its methods run in the section that a job's fences wait for: they must not allocate, must
/// return in bounded time, and must not panic.
pub trait Device: Invalidate<Error: Clone + Debug + Display + Send> + Send {
    /// A job begins; whatever it changes lies in `footprint`: its operations' ranges, the leaves
    /// that they cut, and the spans of the tables that come loose. A device that can
    /// hold accesses back (a GPU that locks a region of its address space) does so from here to
    /// [`end`](Self::end), so that nobody sees half of a job.
    ///
    /// # Errors
    ///
    /// The driver's own. The VM is banned.
    fn begin(&mut self, job: u64, footprint: IovaRange) -> Result<(), Self::Error> {
        let _ = (job, footprint);
        Ok(())
    }

    /// The job is done: its entries are written, and what they made stale is forgotten.
    ///
    /// # Errors
    ///
    /// The driver's own. The VM is banned.
    fn end(&mut self, job: u64) -> Result<(), Self::Error> {
        let _ = job;
        Ok(())
    }
}

impl Device for Unwalked {}
