//! All machines by their names, each with the memory that it shares.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use walkers::{Mmu, Ram, soft::SoftMmu};

use crate::SharedRegion;

/// A machine that walks tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Name {
    /// The model of the format, which remembers nothing.
    Soft,
}

impl Name {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Soft];

    /// What users write.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Soft => "soft",
        }
    }

    /// Whether it is a model of ours, rather than a machine that nobody here made.
    pub const fn is_model(self) -> bool {
        match self {
            Self::Soft => true,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|name| name.text() == text);
        found.copied().ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|name| name.text()).collect();
            format!("no such machine; there are {}", all.join(", "))
        })
    }
}

/// A machine, and memory for tables that it finds.
pub struct Site {
    /// The machine.
    pub mmu: Box<dyn Mmu>,
    /// Where tables come from.
    pub tables: SharedRegion,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("mmu", &self.mmu.name()).finish_non_exhaustive()
    }
}

/// How much RAM a site has; memory only as far as it is used.
const BYTES: usize = 256 << 20;

impl Site {
    /// Starts a machine.
    ///
    /// # Errors
    ///
    /// What is missing on this computer, in a line.
    pub fn open(name: Name) -> Result<Self, String> {
        match name {
            Name::Soft => Self::soft(0x4000_0000, BYTES),
        }
    }

    /// The model of the format, with `bytes` bytes for tables from the physical address `first` on.
    ///
    /// # Errors
    ///
    /// When there is no memory for them, in a line.
    pub fn soft(first: u64, bytes: usize) -> Result<Self, String> {
        let ram = Arc::new(Ram::new(first, bytes).map_err(|error| format!("no memory: {error}"))?);
        let mmu = Box::new(SoftMmu::new(Arc::clone(&ram)));
        Self::new(mmu, &ram, 0, bytes)
    }

    fn new(mmu: Box<dyn Mmu>, ram: &Arc<Ram>, offset: usize, bytes: usize) -> Result<Self, String> {
        let tables = SharedRegion::new(ram, offset, bytes);
        Ok(Self { mmu, tables: tables.map_err(|error| format!("no memory for tables: {error}"))? })
    }
}
