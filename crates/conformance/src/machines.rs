//! All machines by their names, each with the memory that it shares.

use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use walkers::iotlb::{Invalidations, Iotlb};
use walkers::qemu::{Aarch64, Absent, AmdVi, Areas, Emulator, RiscV, RiscVIommu, SmmuV3, Vtd, X86};
use walkers::soft::SoftMmu;
use walkers::{Mmu, MmuError, Ram};

use crate::SharedRegion;
use crate::bridge::PHYSICAL_BITS;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A machine that walks tables.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Name {
            $($(#[$doc])* $name,)*
        }

        impl Name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What users write.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}
names! {
    /// The model of the format, which remembers nothing.
    Soft = "soft";
    /// The same with a TLB that forgets only what it is told to.
    Iotlb = "iotlb";
    /// A virtual machine's processor: x86-64, on `/dev/kvm`.
    Kvm = "kvm";
    /// An Arm processor in QEMU.
    QemuAarch64 = "qemu-aarch64";
    /// A RISC-V processor in QEMU.
    QemuRiscV = "qemu-riscv";
    /// An x86-64 processor in QEMU.
    QemuX86 = "qemu-x86";
    /// Arm's `SMMUv3` in QEMU, through which a device copies memory.
    SmmuV3 = "smmuv3";
    /// Intel's IOMMU in QEMU, likewise.
    Vtd = "vtd";
    /// AMD's IOMMU in QEMU, likewise.
    AmdVi = "amdvi";
    /// The RISC-V IOMMU in QEMU, likewise.
    RiscVIommu = "riscv-iommu";
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

/// How much of it is for tables, where the machine takes some for itself, and leaves may lead to
/// the rest.
const TABLES: usize = 96 << 20;

/// How much leaves may lead to, where a machine fills that.
const TARGETS: u64 = 16 << 20;

impl Site {
    /// Starts a machine.
    ///
    /// # Errors
    ///
    /// What is missing on this computer, in a line.
    pub fn open(name: Name) -> Result<Self, String> {
        match name {
            Name::Soft => Self::soft(0x4000_0000, BYTES),
            Name::Iotlb => Self::shared(0x4000_0000, 0, |ram| {
                let ram = Arc::clone(ram);
                Ok::<_, Infallible>(Iotlb::new(ram, Invalidations::Ranges))
            }),
            Name::Kvm => Self::kvm(),
            Name::QemuAarch64 => Self::shared(Aarch64::RAM, Aarch64::RESERVED, Aarch64::open),
            Name::QemuRiscV => Self::shared(RiscV::RAM, RiscV::RESERVED, |ram| {
                RiscV::open(ram, targets(RiscV::RAM))
            }),
            Name::QemuX86 => Self::shared(X86::RAM, X86::RESERVED, |ram| {
                X86::open(ram, PHYSICAL_BITS, targets(X86::RAM))
            }),
            Name::SmmuV3 => Self::copying(SmmuV3::RAM, SmmuV3::locate(), SmmuV3::start),
            Name::Vtd => Self::copying(Vtd::RAM, Vtd::locate(), Vtd::start),
            Name::AmdVi => Self::copying(AmdVi::RAM, AmdVi::locate(), AmdVi::start),
            Name::RiscVIommu => {
                Self::copying(RiscVIommu::RAM, RiscVIommu::locate(), RiscVIommu::start)
            }
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

    /// A machine whose RAM begins at `first`, of which it takes the first `reserved` bytes.
    fn shared<M: Mmu + 'static, E: fmt::Display>(
        first: u64,
        reserved: u64,
        open: impl FnOnce(&Arc<Ram>) -> Result<M, E>,
    ) -> Result<Self, String> {
        let ram = Arc::new(Ram::new(first, BYTES).map_err(|error| format!("no memory: {error}"))?);
        let mmu = open(&ram).map_err(|missing| missing.to_string())?;
        // CAST: a part of the RAM.
        Self::new(Box::new(mmu), &ram, reserved as usize, TABLES)
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn kvm() -> Result<Self, String> {
        Self::shared(0x4000_0000, 0, walkers::kvm::Kvm::open)
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    fn kvm() -> Result<Self, String> {
        Err("this is not Linux on x86-64".to_owned())
    }

    /// A machine whose device copies memory, with RAM from `first` on.
    fn copying<M: Mmu + 'static>(
        first: u64,
        emulator: Result<Emulator, Absent>,
        start: impl FnOnce(&Emulator, Arc<Ram>, Areas) -> Result<M, MmuError>,
    ) -> Result<Self, String> {
        let emulator = emulator.map_err(|missing| missing.to_string())?;
        // From the first byte on: the machine's own, its driver's, tables, what leaves may lead to,
        // and once more the machine's own.
        let mailbox = first + (4 << 20);
        Self::shared(first, 8 << 20, |ram| {
            start(&emulator, Arc::clone(ram), Areas { mailbox, targets: targets(first) })
        })
    }

    fn new(mmu: Box<dyn Mmu>, ram: &Arc<Ram>, offset: usize, bytes: usize) -> Result<Self, String> {
        let tables = SharedRegion::new(ram, offset, bytes);
        Ok(Self { mmu, tables: tables.map_err(|error| format!("no memory for tables: {error}"))? })
    }
}

/// What leaves may lead to, in RAM from `first` on, where a machine fills that. Behind it there is
/// as much once more for the machine.
const fn targets(first: u64) -> (u64, u64) {
    let end = first + BYTES as u64 - TARGETS;
    (end - TARGETS, end - 1)
}
