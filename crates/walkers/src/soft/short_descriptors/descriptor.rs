//! The bits of a descriptor, of both tables.
//!
//! # References
//!
//! Arm DDI 0487, G5.4, "The VMSAv8-32 Short-descriptor translation table format": the figures of
//! the first-level and second-level descriptors.

use crate::{Permissions, Rights};

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invalid,
    Table,
    Section,
    Supersection,
    LargePage,
    SmallPage,
}

/// One descriptor, raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor(pub(super) u32);

/// What a leaf says, wherever its kind has the bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// `AP[2:0]`.
    pub(super) access: u8,
    /// `TEX[0]`, `C`, `B`: the index into `PRRR` and `NMRR`.
    pub(super) memory: u8,
    pub(super) shareable: bool,
    pub(super) not_global: bool,
    pub(super) no_execute: bool,
}

impl Kind {
    /// log2 of the bytes that a leaf of this kind maps; of a table, those that it spans.
    pub(super) const fn bits(self) -> u8 {
        match self {
            Self::Supersection => 24,
            Self::LargePage => 16,
            Self::SmallPage => 12,
            Self::Invalid | Self::Table | Self::Section => 20,
        }
    }

    /// Sixteen descriptors that are the same stand for one leaf.
    pub(super) const fn is_repeated(self) -> bool {
        matches!(self, Self::Supersection | Self::LargePage)
    }
}

impl Descriptor {
    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    const fn field(self, low: u32, mask: u32) -> u8 {
        // CAST: fields have four bits at most.
        (self.0 >> low & mask) as u8
    }

    /// What it is in the first table.
    pub(super) const fn first_level(self) -> Kind {
        match (self.0 & 0b11, self.bit(18)) {
            (0b00, _) => Kind::Invalid,
            (0b01, _) => Kind::Table,
            (_, false) => Kind::Section,
            (_, true) => Kind::Supersection,
        }
    }

    /// What it is in a second table.
    pub(super) const fn second_level(self) -> Kind {
        match self.0 & 0b11 {
            0b00 => Kind::Invalid,
            0b01 => Kind::LargePage,
            _ => Kind::SmallPage,
        }
    }

    /// The address that it leads to, aligned to `kind`'s size, or to 1 KiB where that is a table.
    pub(super) const fn address(self, kind: Kind, mediatek: bool) -> u64 {
        let bits = if matches!(kind, Kind::Table) { 10 } else { kind.bits() };
        let low = (self.0 & (u32::MAX << bits)) as u64;
        let high = if mediatek {
            (self.bit(9) as u64) << 32 | (self.bit(4) as u64) << 33 | (self.bit(5) as u64) << 34
        } else if matches!(kind, Kind::Supersection) {
            (self.field(20, 0xf) as u64) << 32 | (self.field(5, 0xf) as u64) << 36
        } else {
            0
        };
        high | low
    }

    /// The fields of a leaf of `kind`. For tables they mean nothing.
    pub(super) const fn fields(self, kind: Kind) -> Fields {
        // Where AP[2], S, nG, XN and TEX[0] are; AP[1:0]; C and B are in the same place everywhere.
        let (high, ap, tex, no_execute) = match kind {
            Kind::SmallPage => (9, 4, 6, 0),
            Kind::LargePage => (9, 4, 12, 15),
            _ => (15, 10, 12, 4),
        };
        Fields {
            access: self.field(high, 1) << 2 | self.field(ap, 0b11),
            memory: self.field(tex, 1) << 2 | self.field(2, 0b11),
            shareable: self.bit(high + 1),
            not_global: self.bit(high + 2),
            no_execute: self.bit(no_execute),
        }
    }

    /// `NS`: of a table, for all of its pages; of a section, for itself.
    pub(super) const fn non_secure(self) -> bool {
        match self.first_level() {
            Kind::Table => self.bit(3),
            _ => self.bit(19),
        }
    }

    /// `PXN`: of a table, for all of its pages; of a section, for itself.
    pub(super) const fn no_privileged_execute(self) -> bool {
        match self.first_level() {
            Kind::Table => self.bit(2),
            _ => self.bit(0),
        }
    }
}

impl Fields {
    /// What the leaf permits, but for `PXN`. A fetch needs read permission, too.
    ///
    /// `AP[2:0]` 0b100 is reserved without `AFE`: nothing.
    pub(super) fn permissions(self, afe: bool) -> Permissions {
        let (read, write) = (true, true);
        let (privileged, unprivileged) = if afe {
            let write = self.access & 0b100 == 0;
            ((read, write), if self.access & 0b010 == 0 { (false, false) } else { (read, write) })
        } else {
            match self.access {
                0b000 | 0b100 => ((false, false), (false, false)),
                0b001 => ((read, write), (false, false)),
                0b010 => ((read, write), (read, false)),
                0b011 => ((read, write), (read, write)),
                0b101 => ((read, false), (false, false)),
                _ => ((read, false), (read, false)),
            }
        };
        let rights = |(read, write)| Rights { read, write, execute: read && !self.no_execute };
        Permissions { privileged: rights(privileged), unprivileged: rights(unprivileged) }
    }
}
