//! The error code of an x86-64 page fault.
//!
//! # References
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, 4.7.

use crate::{Access, AccessKind, FaultKind, Privilege};

/// `P`: there was a translation, and it forbids the access.
pub(crate) const PRESENT: u32 = 1 << 0;
/// `W/R`: the access was a write.
const WRITE: u32 = 1 << 1;
/// `U/S`: the access was a user's.
const USER: u32 = 1 << 2;
/// `RSVD`: a reserved bit was set in an entry.
pub(crate) const RESERVED: u32 = 1 << 3;
/// `I/D`: the access was a fetch.
const FETCH: u32 = 1 << 4;

/// What `code` says of why `access` was refused, or nothing if it is not a code that such an access
/// can have. `fetches`: fetches are told from reads, since `EFER.NXE` or `CR4.SMEP` is set.
pub(crate) fn kind(code: u32, access: Access, fetches: bool) -> Option<FaultKind> {
    let mut expected = 0;
    if access.kind == AccessKind::Write {
        expected |= WRITE;
    }
    if access.privilege == Privilege::Unprivileged {
        expected |= USER;
    }
    if access.kind == AccessKind::Execute && fetches {
        expected |= FETCH;
    }
    match code ^ expected {
        0 => Some(FaultKind::Translation),
        PRESENT => Some(FaultKind::Permission),
        // A reserved bit is only looked at where the entry is present.
        rest if rest == PRESENT | RESERVED => Some(FaultKind::Reserved),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::kind;
    use crate::{Access, FaultKind};

    #[test]
    fn a_code_is_of_one_access() {
        for (code, access, found) in [
            (0x00, Access::PRIVILEGED_READ, FaultKind::Translation),
            (0x02, Access::PRIVILEGED_WRITE, FaultKind::Translation),
            (0x14, Access::UNPRIVILEGED_EXECUTE, FaultKind::Translation),
            (0x07, Access::UNPRIVILEGED_WRITE, FaultKind::Permission),
            (0x11, Access::PRIVILEGED_EXECUTE, FaultKind::Permission),
            (0x0d, Access::UNPRIVILEGED_READ, FaultKind::Reserved),
        ] {
            for asked in Access::ALL {
                let expected = (asked == access).then_some(found);
                assert_eq!(kind(code, asked, true), expected, "{code:#x} for {asked:?}");
            }
        }
    }

    #[test]
    fn fetches_look_like_reads_where_nothing_tells_them_apart() {
        let fetch = Access::PRIVILEGED_EXECUTE;
        assert_eq!(kind(0x00, fetch, false), Some(FaultKind::Translation));
        assert_eq!(kind(0x10, fetch, false), None);
    }

    #[test]
    fn other_bits_are_no_answer() {
        // RSVD without P, PK, SS, SGX.
        for code in [0x08, 0x20, 0x40, 0x8000] {
            assert_eq!(kind(code, Access::PRIVILEGED_READ, true), None);
        }
    }
}
