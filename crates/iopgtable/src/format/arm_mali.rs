//! `ARM_MALI_LPAE`: the page tables of Arm's Midgard and Bifrost GPUs.
//!
//! They look like stage 1 with the permissions of stage 2, always have four levels of 4 KiB
//! tables, and mark a leaf as a block at every level, the last one included. There is no access
//! flag.
//!
//! # References
//!
//! Linux 6.12, `io-pgtable-arm.c` and `panfrost_mmu.c` (the hardware's documentation is not
//! public).

use super::{Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Sealed, vmsa};
use crate::addr::PhysAddr;
use crate::geometry::Geometry;
use crate::prot::{Prot, ProtError};

/// The page tables of Mali GPUs before command-stream frontends.
#[derive(Clone, Copy, Debug)]
pub enum ArmMali {}

/// What a driver programs for [`ArmMali`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaliRegisters {
    /// `AS_TRANSTAB`: the root's physical address, table mode, inner reads, and, for a coherent
    /// walker, outer shareability.
    pub transtab: u64,
    /// `AS_MEMATTR`: index 0 implementation defined, 1 write-allocate, 2 implementation defined.
    pub memattr: u64,
}

const OUTPUT_BITS: &[u8] = &[32, 33, 34, 35, 36, 37, 38, 39, 40];
const MEMATTR: u64 = 0x88 | 0x8d << 8 | 0x88 << 16;

const TRANSTAB_TABLE_MODE: u64 = 0b11;
const TRANSTAB_READ_INNER: u64 = 1 << 2;
const TRANSTAB_SHARE_OUTER: u64 = 1 << 4;

impl Sealed for ArmMali {}

impl Format for ArmMali {
    const NAME: &'static str = "ARM_MALI_LPAE";
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    type Registers = MaliRegisters;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        vmsa::check_sizes(config, vmsa::MAX_INPUT_BITS, OUTPUT_BITS)?;
        // Four levels, also where fewer would do: the root then has one entry in use.
        Ok(vmsa::geometry(Self::PAGE_SHIFT, 0, config.input_bits.saturating_sub(39), config))
    }

    fn registers(_: &Geometry, root: PhysAddr, coherent: bool) -> MaliRegisters {
        let sharing = if coherent { TRANSTAB_SHARE_OUTER } else { 0 };
        MaliRegisters {
            transtab: root.0 | TRANSTAB_TABLE_MODE | TRANSTAB_READ_INNER | sharing,
            memattr: MEMATTR,
        }
    }

    #[inline]
    fn attributes(prot: Prot) -> Result<Attributes, ProtError> {
        vmsa::check_prot(prot)?;
        if prot.contains(Prot::PRIVILEGED) {
            return Err(ProtError::NoPrivilege);
        }
        // The outer domain is what lies outside the GPU.
        let mut bits = vmsa::BLOCK | vmsa::SH_OUTER;
        if prot.contains(Prot::READ) {
            bits |= vmsa::S2AP_READ;
        }
        if prot.contains(Prot::WRITE) {
            bits |= vmsa::S2AP_WRITE;
        }
        if !prot.contains(Prot::EXECUTE) {
            bits |= vmsa::XN_HIGH | vmsa::XN_LOW;
        }
        let index = if prot.contains(Prot::CACHED) {
            vmsa::ATTR_CACHED
        } else if prot.contains(Prot::DEVICE) {
            vmsa::ATTR_DEVICE
        } else {
            vmsa::ATTR_NON_CACHED
        };
        bits |= index << vmsa::ATTR_INDEX_SHIFT;
        Ok(Attributes { page: bits, block: bits })
    }

    #[inline]
    fn table(table: PhysAddr) -> u64 {
        table.0 | vmsa::TABLE_OR_PAGE
    }

    #[inline]
    fn decode(entry: u64, level: u8) -> Entry {
        match entry & vmsa::TYPE {
            vmsa::BLOCK if level > 0 => Entry::Leaf(vmsa::address(entry)),
            vmsa::TABLE_OR_PAGE if level < crate::geometry::LAST_LEVEL => {
                Entry::Table(vmsa::address(entry))
            }
            _ => Entry::Empty,
        }
    }

    #[inline]
    fn attributes_of(leaf: u64) -> Attributes {
        let bits = leaf & !vmsa::ADDRESS;
        Attributes { page: bits, block: bits }
    }

    #[inline]
    fn prot_of(leaf: u64) -> Prot {
        Prot::READ.when(leaf & vmsa::S2AP_READ != 0)
            | Prot::WRITE.when(leaf & vmsa::S2AP_WRITE != 0)
            | Prot::EXECUTE.when(leaf & vmsa::XN_HIGH == 0)
            | match (leaf & vmsa::ATTR_INDEX) >> vmsa::ATTR_INDEX_SHIFT {
                vmsa::ATTR_CACHED => Prot::CACHED,
                vmsa::ATTR_DEVICE => Prot::DEVICE,
                _ => Prot::NONE,
            }
    }
}
