//! What the guest runs (`stub.S`), and what the host must know of it.

/// The bytes, as `stub.S` assembles.
pub(super) static CODE: &[u8] = include_bytes!("stub.bin");

/// The port at which the guest says that a list is through.
pub(super) const DONE: u16 = 0x10;

/// Something that the guest does for each address of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loop {
    /// Reads a byte.
    Read,
    /// Reads a byte and writes it back, as one instruction: a write, for the MMU.
    Write,
    /// Jumps there.
    Fetch,
    /// Has the processor forget one page.
    ForgetPage,
    /// Has the processor forget everything, whatever the address.
    ForgetAll,
}

/// A handler of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handler {
    PageFault,
    Protection,
    Undefined,
}

impl Loop {
    /// Where it begins, in bytes from the beginning of the stub.
    pub(super) fn begin(self) -> u64 {
        word(match self {
            Self::Read => 0,
            Self::Write => 2,
            Self::Fetch => 4,
            Self::ForgetPage => 6,
            Self::ForgetAll => 7,
        })
    }

    /// Where it goes on after a fault. The last two take none.
    pub(super) fn next(self) -> u64 {
        word(match self {
            Self::Read => 1,
            Self::Write => 3,
            Self::Fetch => 5,
            Self::ForgetPage => 6,
            Self::ForgetAll => 7,
        })
    }
}

impl Handler {
    /// All, with the numbers of the exceptions that they are for.
    pub(super) const ALL: [(Self, u8); 4] = [
        (Self::Undefined, 6),
        (Self::Protection, 12), // A stack fault, which has an error code as well.
        (Self::Protection, 13),
        (Self::PageFault, 14),
    ];

    /// Where it begins, in bytes from the beginning of the stub.
    pub(super) fn begin(self) -> u64 {
        word(match self {
            Self::PageFault => 8,
            Self::Protection => 9,
            Self::Undefined => 10,
        })
    }
}

/// A fault, as a handler records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A page fault, with its error code.
    Page(u32),
    /// A general protection or stack fault.
    Protection,
    /// An undefined instruction.
    Undefined,
}

impl Fault {
    /// What `word` records: no fault, if it is zero.
    pub(super) fn recorded(word: u64) -> Option<Self> {
        match word >> 32 {
            0 => None,
            // CAST: the error code is in the lower half.
            1 => Some(Self::Page(word as u32)),
            2 => Some(Self::Protection),
            _ => Some(Self::Undefined),
        }
    }
}

/// The word `index` of the stub.
fn word(index: usize) -> u64 {
    let word = CODE.chunks_exact(8).nth(index).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}
