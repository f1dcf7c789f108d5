//! Checks of what C passes, and the way into the engine's vocabulary.

use core::ops::BitOrAssign;

use iopgtable::{FIRST_LEVEL, Iova, IovaRange, MAX_LEVELS, PhysAddr, Prot};

use crate::status::Status;
use crate::types::{self, Segment, TableCount};

/// What `pointer` points to.
///
/// # Safety
///
/// `pointer` is null or, if it is aligned, points to a `T` that nobody writes during `'a`.
pub(crate) unsafe fn read<'a, T>(pointer: *const T) -> Result<&'a T, Status> {
    if !pointer.is_null() && !pointer.is_aligned() {
        return Err(Status::UnalignedArgument);
    }
    // SAFETY: it is aligned; the rest is the caller's promise.
    unsafe { pointer.as_ref() }.ok_or(Status::NullArgument)
}

/// What `pointer` points to, to change it.
///
/// # Safety
///
/// `pointer` is null or, if it is aligned, points to a `T` that nobody else uses during `'a`.
pub(crate) unsafe fn write<'a, T>(pointer: *mut T) -> Result<&'a mut T, Status> {
    if !pointer.is_null() && !pointer.is_aligned() {
        return Err(Status::UnalignedArgument);
    }
    // SAFETY: it is aligned; the rest is the caller's promise.
    unsafe { pointer.as_mut() }.ok_or(Status::NullArgument)
}

/// The same where null is allowed.
///
/// # Safety
///
/// As for [`write`].
pub(crate) unsafe fn write_optional<'a, T>(pointer: *mut T) -> Result<Option<&'a mut T>, Status> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { write(pointer) }.map(Some)
}

/// `count` segments.
///
/// # Safety
///
/// `segments` is null or, if it is aligned, points to `count` segments that nobody writes during
/// `'a`.
pub(crate) unsafe fn segments<'a>(
    segments: *const Segment,
    count: usize,
) -> Result<&'a [Segment], Status> {
    // SAFETY: at least the first one is there, if any is.
    unsafe { read(segments) }?;
    // CAST: the largest positive `isize`.
    if count > isize::MAX as usize / size_of::<Segment>() {
        return Err(Status::Range);
    }
    // SAFETY: not null, aligned, no larger than memory; the rest is the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(segments, count) })
}

/// A bitmap of `words` words.
///
/// # Safety
///
/// `bitmap` is null or, if it is aligned, points to `words` words that nobody else uses during
/// `'a`.
pub(crate) unsafe fn bitmap<'a>(bitmap: *mut u64, words: usize) -> Result<&'a mut [u64], Status> {
    // SAFETY: at least the first one is there, if any is.
    unsafe { write(bitmap) }?;
    // CAST: the largest positive `isize`.
    if words > isize::MAX as usize / size_of::<u64>() {
        return Err(Status::Range);
    }
    // SAFETY: not null, aligned, no larger than memory; the rest is the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts_mut(bitmap, words) })
}

/// The range that `segments` take from `iova` on.
pub(crate) fn range_of(iova: u64, segments: &[Segment]) -> Result<IovaRange, Status> {
    let bytes = segments
        .iter()
        .try_fold(0u64, |sum, segment| sum.checked_add(segment.bytes))
        .ok_or(Status::Range)?;
    range(iova, bytes)
}

pub(crate) fn range(iova: u64, bytes: u64) -> Result<IovaRange, Status> {
    IovaRange::new(Iova(iova), bytes).map_err(|_| Status::Range)
}

/// The engine's segments; a clone is as cheap.
pub(crate) fn engine_segments(
    segments: &[Segment],
) -> impl Iterator<Item = iopgtable::Segment> + Clone + '_ {
    segments.iter().map(|segment| iopgtable::Segment::new(PhysAddr(segment.phys), segment.bytes))
}

const PROTS: [(u32, Prot); 6] = [
    (types::IOPGTABLE_READ, Prot::READ),
    (types::IOPGTABLE_WRITE, Prot::WRITE),
    (types::IOPGTABLE_EXECUTE, Prot::EXECUTE),
    (types::IOPGTABLE_PRIVILEGED, Prot::PRIVILEGED),
    (types::IOPGTABLE_CACHED, Prot::CACHED),
    (types::IOPGTABLE_DEVICE, Prot::DEVICE),
];

/// What the `bits` stand for together; nothing where one of them is not among the `known`.
pub(crate) fn set_of<T: BitOrAssign + Copy + Default>(bits: u32, known: &[(u32, T)]) -> Option<T> {
    let mut unknown = bits;
    let mut set = T::default();
    for &(bit, member) in known {
        if bits & bit != 0 {
            set |= member;
        }
        unknown &= !bit;
    }
    (unknown == 0).then_some(set)
}

pub(crate) fn prot(bits: u32) -> Result<Prot, Status> {
    set_of(bits, &PROTS).ok_or(Status::Prot)
}

pub(crate) fn prot_bits(prot: Prot) -> u32 {
    PROTS.iter().filter(|(_, right)| prot.contains(*right)).map(|(bit, _)| bit).sum()
}

pub(crate) fn c_count(count: &iopgtable::TableCount) -> TableCount {
    let mut at_level = [0; MAX_LEVELS];
    for (level, tables) in (FIRST_LEVEL..).zip(&mut at_level) {
        *tables = count.at(level);
    }
    TableCount { at_level }
}

pub(crate) fn c_range(range: Option<IovaRange>) -> types::Range {
    range.map_or(types::Range::default(), |range| types::Range {
        iova: range.first().0,
        bytes: range.bytes(),
    })
}
