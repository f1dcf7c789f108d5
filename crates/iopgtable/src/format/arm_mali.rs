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

use super::vmsa::{self, Output};
use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Options, Sealed, check,
    check_prot, output_bits_to, stage1,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL};
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

const MEMATTR: u64 = 0x88 | 0x8d << 8 | 0x88 << 16;

const TRANSTAB_TABLE_MODE: u64 = 0b11;
const TRANSTAB_READ_INNER: u64 = 1 << 2;
const TRANSTAB_SHARE_OUTER: u64 = 1 << 4;

impl Sealed for ArmMali {}

impl Format for ArmMali {
    const NAME: &'static str = "ARM_MALI_LPAE";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    const MIN_LEVEL: i8 = 0;
    const OPTIONS: Options = Options::NONE;
    const FIELD_BITS: u32 = Output::<Granule4K>::FIELD_BITS;
    const CONTIGUOUS: u64 = 0;
    type Word = u64;
    const LIVE: u64 = vmsa::ACCESS_PERMISSIONS | vmsa::XN_HIGH | vmsa::XN_LOW | vmsa::SOFTWARE;
    const PUBLISHED: u64 = vmsa::PUBLISHED;
    type Registers = MaliRegisters;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let inputs = (vmsa::MIN_INPUT_BITS, vmsa::MAX_INPUT_BITS);
        check::<Self>(config, inputs, output_bits_to(40))?;
        // Four levels, also where fewer would do: the root then has one entry in use.
        Ok(Output::<Granule4K>::geometry(0, config.input_bits.saturating_sub(39), config))
    }

    fn registers(_: &Geometry, _: Options, root: PhysAddr, coherent: bool) -> MaliRegisters {
        let sharing = if coherent { TRANSTAB_SHARE_OUTER } else { 0 };
        MaliRegisters {
            transtab: root.0 | TRANSTAB_TABLE_MODE | TRANSTAB_READ_INNER | sharing,
            memattr: MEMATTR,
        }
    }

    #[inline]
    fn attributes(_: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
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
    fn output(phys: PhysAddr) -> u64 {
        Output::<Granule4K>::pack(phys)
    }

    fn table_bits(_: Options) -> u64 {
        vmsa::TABLE_OR_PAGE
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        let address = Output::<Granule4K>::unpack(entry);
        match entry & vmsa::TYPE {
            vmsa::BLOCK if level > 0 => Entry::Leaf(address),
            vmsa::TABLE_OR_PAGE if level < LAST_LEVEL => Entry::Table(address),
            _ => Entry::Empty,
        }
    }

    #[inline]
    fn attributes_of(leaf: u64, _: i8) -> Attributes {
        let bits = leaf & !Output::<Granule4K>::MASK;
        Attributes { page: bits, block: bits }
    }

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        Prot::READ
            .when(leaf & vmsa::S2AP_READ != 0)
            .with(Prot::WRITE.when(leaf & vmsa::S2AP_WRITE != 0))
            .with(Prot::EXECUTE.when(leaf & vmsa::XN_HIGH == 0))
            .with(stage1::memory_type(leaf))
    }

    #[inline]
    fn group_log2(_: i8) -> u32 {
        0
    }

    #[inline]
    fn cleaned(_: u64) -> Option<u64> {
        None
    }
}
