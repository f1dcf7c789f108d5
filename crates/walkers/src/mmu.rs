//! An MMU with a state: it is given a root, asked in batches, and told what to forget.

use core::fmt;

use crate::{Access, Fault, FaultKind, Regime, Translation};

/// A machine that walks tables: a model, a virtual machine's processor, an emulated IOMMU.
///
/// Unlike a [`Walker`](crate::Walker), it may remember what it has walked until it is told to
/// [`forget`](Self::forget), and it says less: what its hardware reports.
pub trait Mmu {
    /// Its name, as users write it: `soft`, `kvm`, `smmuv3`.
    fn name(&self) -> &'static str;

    /// What its answers say, where it walks `regime`. Tests trust it for that and for nothing else.
    ///
    /// # Errors
    ///
    /// [`Unsupported`], where it does not walk such tables at all.
    fn says(&self, regime: &Regime) -> Result<Says, Unsupported>;

    /// Walks the tables of `regime` from now on, for the address space `asid`. What was walked
    /// for that address space before counts as forgotten; other ones are kept where the machine
    /// has more than one.
    ///
    /// # Errors
    ///
    /// [`MmuError::Unsupported`], and [`MmuError::Broken`] where the machine does not answer.
    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError>;

    /// Translates each of `requests` in the address space that was installed last, in order, and
    /// puts one answer for each into `answers`, which is emptied first.
    ///
    /// # Errors
    ///
    /// [`MmuError::Broken`], where the machine does not answer; `answers` is of no use then.
    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError>;

    /// Forgets what it remembers of walks.
    ///
    /// # Errors
    ///
    /// [`MmuError::Broken`], where the machine does not answer.
    fn forget(&mut self, what: Forget) -> Result<(), MmuError>;
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The device's address.
    pub address: u64,
    /// What is done there.
    pub access: Access,
}

/// One answer.
pub type Answer = Result<Reached, Refusal>;

/// An access that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reached {
    /// The physical address of exactly the byte that was asked for.
    pub address: u64,
    /// All that a model can say about the way there.
    pub translation: Option<Translation>,
}

/// An access that is refused, as far as the machine says why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The class of the fault.
    pub kind: Option<FaultKind>,
    /// The level of the lookup that it belongs to: 3 for pages, as Arm counts, in all formats.
    pub level: Option<i8>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { kind: Some(fault.kind), level: Some(fault.level) }
    }
}

impl From<Translation> for Reached {
    fn from(translation: Translation) -> Self {
        Self { address: translation.address, translation: Some(translation) }
    }
}

/// What an MMU is told to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forget {
    /// Everything of every address space.
    Everything,
    /// Everything of one address space.
    Space {
        /// Which.
        asid: u16,
    },
    /// What was remembered of the addresses from `first` to `last`, both included.
    Range {
        /// Of which address space.
        asid: u16,
        /// The first address.
        first: u64,
        /// The last address.
        last: u64,
        /// Leaves only: tables on the way to them are as they were.
        leaves_only: bool,
    },
    /// What was remembered of one address, with a hint: the leaf there is (or was) one of `level`.
    /// A machine that knows no such hint forgets the range of that one address.
    Page {
        /// Of which address space.
        asid: u16,
        /// An address in the leaf.
        address: u64,
        /// The leaf's level; leaves of other levels may stay. `None` is for all.
        level: Option<i8>,
        /// The leaf only: tables on the way to it are as they were.
        leaves_only: bool,
    },
}

/// What the answers of an MMU say.
#[expect(clippy::struct_excessive_bools, reason = "each is said or not, apart from the others")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Says {
    /// Reads where the mapping forbids reading, and writes where it forbids writing, are refused.
    pub permissions: bool,
    /// It fetches, and refuses to where the mapping forbids it.
    pub execute: bool,
    /// It tells privileged accesses from others.
    pub privilege: bool,
    /// The class of each fault; else only that there was one.
    pub kinds: bool,
    /// The level of each fault.
    pub levels: bool,
    /// It does not walk again for what it has walked, before it is told to forget that.
    pub remembers: bool,
    /// The largest leaf that it walks, in bytes.
    pub largest_leaf: u64,
    /// The first and the last physical address that leaves may lead to for answers to be right.
    pub targets: (u64, u64),
}

/// Why an MMU does not walk some tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// What it does not do, in words.
    pub what: String,
}

impl Unsupported {
    /// Since it does not do `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not supported: {}", self.what)
    }
}

impl core::error::Error for Unsupported {}

/// Why an MMU gives no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MmuError {
    /// It does not walk such tables.
    Unsupported(Unsupported),
    /// The machine has failed, in words: its process has ended, it has stopped somewhere else than
    /// it should, it does not answer in time.
    Broken(String),
}

impl From<Unsupported> for MmuError {
    fn from(why: Unsupported) -> Self {
        Self::Unsupported(why)
    }
}

impl fmt::Display for MmuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(why) => why.fmt(f),
            Self::Broken(why) => write!(f, "the machine has failed: {why}"),
        }
    }
}

impl core::error::Error for MmuError {}

impl<M: Mmu + ?Sized> Mmu for Box<M> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn says(&self, regime: &Regime) -> Result<Says, Unsupported> {
        (**self).says(regime)
    }

    fn install(&mut self, regime: &Regime, asid: u16) -> Result<(), MmuError> {
        (**self).install(regime, asid)
    }

    fn translate(
        &mut self,
        requests: &[Request],
        answers: &mut Vec<Answer>,
    ) -> Result<(), MmuError> {
        (**self).translate(requests, answers)
    }

    fn forget(&mut self, what: Forget) -> Result<(), MmuError> {
        (**self).forget(what)
    }
}
