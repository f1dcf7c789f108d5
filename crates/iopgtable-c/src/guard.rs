//! Keeps panics on this side of the border.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::Status;

/// Runs `call`; a panic in it becomes [`Status::Internal`].
pub(crate) fn guard(call: impl FnOnce() -> Result<(), Status>) -> Status {
    // Whoever was unwound through is not used again: tables are marked (`guard_table`), and what
    // else a call was given is behind a table's mark.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => Status::Ok,
        Ok(Err(status)) => status,
        Err(_) => Status::Internal,
    }
}

/// Marks that an operation on a table has begun and not ended, for as long as it unwinds.
///
/// A table on which one was interrupted is unusable for ever.
pub(crate) fn guard_table<T>(
    interrupted: &mut bool,
    call: impl FnOnce() -> Result<T, Status>,
) -> Result<T, Status> {
    if *interrupted {
        return Err(Status::Internal);
    }
    *interrupted = true;
    let result = call();
    *interrupted = false;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_marks_its_table_for_ever() {
        let mut interrupted = false;
        let status = guard(|| guard_table(&mut interrupted, || panic!("a test's")));
        assert_eq!(status, Status::Internal);
        assert_eq!(guard(|| guard_table(&mut interrupted, || Ok(()))), Status::Internal);
    }

    #[test]
    fn a_refusal_does_not_mark_the_table() {
        let mut interrupted = false;
        let refused = guard(|| guard_table(&mut interrupted, || Err::<(), _>(Status::Overlap)));
        assert_eq!(refused, Status::Overlap);
        assert_eq!(guard(|| guard_table(&mut interrupted, || Ok(()))), Status::Ok);
    }
}
