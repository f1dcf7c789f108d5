//! What an IOMMU's driver is to those who have devices ask it.

use super::qtest::{Answers, Asked, Script};
use crate::{FaultKind, Forget, Ram, Regime, Says, Unsupported};

/// What a device is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// Both.
pub(super) const ROLES: [Role; 2] = [Role::Reader, Role::Writer];

/// A fault that an IOMMU reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// The address of the access, or of its page where the IOMMU says no more.
    pub(super) address: u64,
    pub(super) kind: Option<FaultKind>,
}

/// An IOMMU, as its driver sees it.
pub(super) trait Iommu {
    /// As [`Mmu::name`](crate::Mmu::name).
    const NAME: &'static str;
    /// It keeps one fault at a time, so each must be asked for before the next.
    const ONE_FAULT: bool;

    /// The first and the last address of those that it does not translate, but takes for
    /// interrupts.
    const INTERRUPTS: Option<(u64, u64)>;

    /// From which address on it may take what it remembers of other addresses, or devices, for
    /// what is asked.
    const CONFUSED_FROM: Option<u64>;

    /// As [`Mmu::says`](crate::Mmu::says); the targets are somebody else's.
    fn says(&self, regime: &Regime) -> Result<Says, Unsupported>;

    /// As [`Mmu::install`](crate::Mmu::install), for a regime that it walks.
    fn install(&mut self, script: &mut Script, ram: &Ram, regime: &Regime, asid: u16);

    /// As [`Mmu::forget`](crate::Mmu::forget).
    fn forget(&mut self, script: &mut Script, ram: &Ram, what: Forget);

    /// Lets all devices access memory as it is, or no longer. What is remembered of walks stays.
    fn bypass(&mut self, script: &mut Script, ram: &Ram, on: bool);

    /// Asks for the faults since the last time, and lets room be made for new ones.
    fn ask_faults(&mut self, script: &mut Script) -> Vec<Asked>;

    /// What it answered to that; or what is wrong with it.
    fn faults(
        &mut self,
        ram: &Ram,
        answers: &Answers,
        asked: &[Asked],
    ) -> Result<Vec<Report>, String>;
}

/// The last address space: each needs two identifiers of 16 bits, and one stays free.
pub(super) const LAST_ASID: u16 = 0x7ffe;

/// The identifier of `asid` for devices of `role`; never zero, and different for each.
pub(super) const fn identifier(asid: u16, role: Role) -> u16 {
    let low = match role {
        Role::Reader => 0,
        Role::Writer => 1,
    };
    (asid + 1) << 1 | low
}
