//! What calls return.

use core::ffi::{CStr, c_char};

use iopgtable::{AllocError, ConfigError, CreateError, TableError};

use crate::types::Detail;

/// What became of a call. Everything but `IOPGTABLE_STATUS_OK` is a failure, after which the table
/// is as it was before unless the function says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Ok = 0,
    /// A pointer that must not be null is.
    NullArgument = 1,
    /// A pointer is not aligned to what it points to.
    UnalignedArgument = 2,
    /// There is no such format, or not with this granule.
    Format = 3,
    /// The format has no such input or output size, no leaf as small as asked for, or the allocator
    /// may place tables beyond the output size.
    AddressSize = 4,
    /// A range is empty, or ends beyond the 64-bit address space.
    Range = 5,
    /// A device address or a length is not a multiple of the granule.
    Unaligned = 6,
    /// A range does not lie among the table's device addresses.
    InputRange = 7,
    /// The hole does not cover the range.
    Hole = 8,
    /// A segment is empty, or its address or length is not a multiple of the granule.
    UnalignedSegment = 9,
    /// A segment ends beyond the last physical address.
    OutputRange = 10,
    /// The permissions have unknown bits, or the format cannot express them.
    Prot = 11,
    /// Something is mapped in the range.
    Overlap = 12,
    /// There is no memory for a table.
    NoMemory = 13,
    /// The address maps nothing.
    NotMapped = 14,
    /// The reservation has no page left where one is needed.
    Exhausted = 15,
    /// The gather or the reservation belongs to another table.
    WrongTable = 16,
    /// The gather still holds what a device must forget.
    Pending = 17,
    /// A fault of this library. The table must not be used any more, and calls refuse to.
    Internal = 18,
    /// The options or the policy for splits have unknown bits, or the format, or a table with
    /// coherent memory, has no such option.
    Options = 19,
    /// The operation would cut a block, and splits are forbidden.
    Split = 20,
    /// The table was made without `IOPGTABLE_HARDWARE_DIRTY`.
    NoDirtyState = 21,
    /// The bitmap is too short for the range.
    Bitmap = 22,
}

impl Status {
    const fn text(self) -> &'static CStr {
        match self {
            Self::Ok => c"done",
            Self::NullArgument => c"a pointer is null",
            Self::UnalignedArgument => c"a pointer is not aligned",
            Self::Format => c"no such format or granule",
            Self::AddressSize => c"no such address size in this format",
            Self::Range => c"the range is empty or ends beyond 2^64",
            Self::Unaligned => c"not a multiple of the granule",
            Self::InputRange => c"not among the table's device addresses",
            Self::Hole => c"the hole does not cover the range",
            Self::UnalignedSegment => c"a segment is empty or not a multiple of the granule",
            Self::OutputRange => c"beyond the last physical address",
            Self::Prot => c"the format cannot express the permissions",
            Self::Overlap => c"something is mapped in the range",
            Self::NoMemory => c"no memory for a table",
            Self::NotMapped => c"nothing is mapped there",
            Self::Exhausted => c"the reservation is used up",
            Self::WrongTable => c"made for another table",
            Self::Pending => c"a device has not forgotten it yet",
            Self::Internal => c"a fault of the library",
            Self::Options => c"no such option in this format",
            Self::Split => c"splitting live blocks is forbidden",
            Self::NoDirtyState => c"the table has no dirty state",
            Self::Bitmap => c"the bitmap is too short",
        }
    }
}

/// What `status` means, in English, for a log. Never null; lives for ever. A number that is no
/// status has a text, too.
#[unsafe(no_mangle)]
pub extern "C" fn iopgtable_status_text(status: i32) -> *const c_char {
    const ALL: [Status; 23] = [
        Status::Ok,
        Status::NullArgument,
        Status::UnalignedArgument,
        Status::Format,
        Status::AddressSize,
        Status::Range,
        Status::Unaligned,
        Status::InputRange,
        Status::Hole,
        Status::UnalignedSegment,
        Status::OutputRange,
        Status::Prot,
        Status::Overlap,
        Status::NoMemory,
        Status::NotMapped,
        Status::Exhausted,
        Status::WrongTable,
        Status::Pending,
        Status::Internal,
        Status::Options,
        Status::Split,
        Status::NoDirtyState,
        Status::Bitmap,
    ];
    let known = ALL.into_iter().find(|known| *known as i32 == status);
    known.map_or(c"no such status", Status::text).as_ptr()
}

impl From<&TableError> for Status {
    fn from(error: &TableError) -> Self {
        match error {
            TableError::UnalignedRange { .. } => Self::Unaligned,
            TableError::InputRange { .. } => Self::InputRange,
            TableError::Hole { .. } => Self::Hole,
            TableError::UnalignedSegment { .. } => Self::UnalignedSegment,
            TableError::OutputRange { .. } => Self::OutputRange,
            TableError::SegmentsLength { .. } => Self::Range,
            TableError::Prot { .. } => Self::Prot,
            TableError::Overlap { .. } => Self::Overlap,
            TableError::Split { .. } => Self::Split,
            TableError::NoDirtyState => Self::NoDirtyState,
            TableError::Bitmap { .. } => Self::Bitmap,
            TableError::Alloc(_) => Self::NoMemory,
            _ => Self::Internal,
        }
    }
}

impl From<AllocError> for Status {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl From<CreateError> for Status {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Config(
                ConfigError::InputBits { .. }
                | ConfigError::OutputBits { .. }
                | ConfigError::LargestLeaf { .. }
                | ConfigError::TablesOutOfReach { .. },
            ) => Self::AddressSize,
            CreateError::Config(
                ConfigError::Options { .. } | ConfigError::CoherentOuterWriteBack,
            ) => Self::Options,
            CreateError::Alloc(_) => Self::NoMemory,
            _ => Self::Format,
        }
    }
}

/// The values that go with a refusal.
pub(crate) fn detail(error: &TableError) -> Detail {
    match *error {
        TableError::UnalignedRange { range, granule } => {
            Detail { iova: range.first().0, value: granule }
        }
        TableError::InputRange { range, whole } => {
            Detail { iova: range.first().0, value: whole.last().0 }
        }
        TableError::Hole { hole, .. } => Detail { iova: hole.first().0, value: hole.bytes() },
        TableError::UnalignedSegment { segment, .. } | TableError::OutputRange { segment, .. } => {
            Detail { iova: 0, value: segment.phys.0 }
        }
        TableError::Split { block } => Detail { iova: block.first().0, value: block.bytes() },
        TableError::Bitmap { needed, .. } => Detail { iova: 0, value: needed },
        TableError::Overlap { iova, leaf } => Detail { iova: iova.0, value: leaf },
        _ => Detail::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_text_and_other_numbers_have_one() {
        let text = |status| {
            // SAFETY: the function returns a C string that lives for ever.
            unsafe { CStr::from_ptr(iopgtable_status_text(status)) }
        };
        let texts: Vec<_> = (0..=Status::Bitmap as i32).map(text).collect();
        for (index, one) in texts.iter().enumerate() {
            assert!(!one.is_empty());
            assert!(!texts[..index].contains(one), "{one:?} twice");
        }
        assert_eq!(text(-1), c"no such status");
        assert_eq!(text(23), c"no such status");
    }
}
