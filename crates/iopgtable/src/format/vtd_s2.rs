//! `VTDSS`: the second stage of Intel's IOMMUs (VT-d).
//!
//! # References
//!
//! Intel VT-d specification: 3.7 (second-stage translation), 3.7.2 (accessed and dirty flags), 3.9
//! (snoop behaviour), 9.3 (context entry), 9.6 (PASID table entry), 9.8 (second-stage paging
//! entries).

use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule4K, Options, Sealed, check,
    check_prot, output_bits_to,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};
use crate::prot::{Prot, ProtError};

/// VT-d's second stage: 4 KiB pages, 2 MiB and 1 GiB leaves, 52 bits of output.
///
/// Up to 39 bits of input take three levels, up to 48 four, up to 57 five, each of which hardware
/// may lack (`SAGAW`): a driver asks for the size of a walk that it has. Hardware without 1 GiB or
/// 2 MiB leaves (`SLLPS`) needs [`Config::largest_leaf`].
///
/// Leaves can be read or written or both. Fetches are not told from reads, so
/// [`Prot::EXECUTE`] is refused, and so is [`Prot::PRIVILEGED`]. There is no memory type: requests
/// snoop caches unless the device says that they need not. With [`Options::FORCE_SNOOP`], leaves
/// of [`Prot::CACHED`] memory have them snoop in any case; otherwise this makes no difference, nor
/// does [`Prot::DEVICE`].
#[derive(Clone, Copy, Debug)]
pub enum VtdS2 {}

/// What a driver programs for [`VtdS2`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VtdS2Registers {
    /// `SSPTPTR`: the root's physical address.
    pub pointer: u64,
    /// `AW`: 1 for three levels, 2 for four, 3 for five.
    pub address_width: u8,
    /// The lower half of a scalable-mode PASID table entry for this stage alone: present, `AW`,
    /// `PGTT`, with [`Options::HARDWARE_DIRTY`] `SSADE`, the pointer, and, for memory whose walks
    /// are coherent, `PWSNP` (which takes `ECAP.SMPWC`). The domain is zero.
    pub pasid_entry: [u64; 2],
    /// A legacy-mode context entry that translates untranslated requests: present, the pointer and
    /// `AW`. The domain is zero.
    pub context_entry: [u64; 2],
}

const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
/// `PS`: a leaf above the last level.
const LARGE: u64 = 1 << 7;
const ACCESSED: u64 = 1 << 8;
const DIRTY: u64 = 1 << 9;
/// `SNP`.
const SNOOP: u64 = 1 << 11;
/// Bits 61:52: software's.
const SOFTWARE: u64 = 0x3ff << 52;

/// Bits 51:12.
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

/// Of a PASID table entry and of a context entry.
const ENTRY_PRESENT: u64 = 1 << 0;
const PASID_AW_SHIFT: u32 = 2;
/// `PGTT`: the second stage alone.
const PASID_SECOND_STAGE: u64 = 0b010 << 6;
const PASID_SSADE: u64 = 1 << 9;
/// Bit 87.
const PASID_PWSNP: u64 = 1 << (87 - 64);

impl Sealed for VtdS2 {}

impl Format for VtdS2 {
    const NAME: &'static str = "VTDSS";
    const GRANULE: &'static str = Granule4K::NAME;
    const PAGE_SHIFT: u8 = Granule4K::SHIFT;
    type Word = u64;
    const MIN_LEVEL: i8 = -1;
    const OPTIONS: Options = Options::HARDWARE_DIRTY.with(Options::FORCE_SNOOP);
    const FIELD_BITS: u32 = u64::BITS;
    const CONTIGUOUS: u64 = 0;
    const LIVE: u64 = READ | WRITE | ACCESSED | DIRTY | SOFTWARE;
    const PUBLISHED: u64 = 1 << 52;
    type Registers = VtdS2Registers;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        check::<Self>(config, (32, 57), output_bits_to(52))?;
        let first_level = match config.input_bits {
            ..=39 => 1,
            40..=48 => 0,
            _ => -1,
        };
        let sizes = Sizes { page_shift: Self::PAGE_SHIFT, first_level, root_bits: 9 };
        Ok(Geometry::new(sizes, config, &[1, 2, LAST_LEVEL]))
    }

    fn registers(
        geometry: &Geometry,
        options: Options,
        root: PhysAddr,
        coherent: bool,
    ) -> VtdS2Registers {
        let address_width = geometry.levels() - 2;
        let width = u64::from(address_width);
        let dirty = options.contains(Options::HARDWARE_DIRTY);
        let managed = if dirty { PASID_SSADE } else { 0 };
        let low = ENTRY_PRESENT | width << PASID_AW_SHIFT | PASID_SECOND_STAGE | managed | root.0;
        VtdS2Registers {
            pointer: root.0,
            address_width,
            pasid_entry: [low, if coherent { PASID_PWSNP } else { 0 }],
            context_entry: [ENTRY_PRESENT | root.0, width],
        }
    }

    #[inline]
    fn attributes(options: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
        if prot.contains(Prot::EXECUTE) {
            return Err(ProtError::NoExecute);
        }
        if prot.contains(Prot::PRIVILEGED) {
            return Err(ProtError::NoPrivilege);
        }
        let managed = options.contains(Options::HARDWARE_DIRTY);
        let mut bits = if managed { ACCESSED } else { 0 };
        if prot.contains(Prot::READ) {
            bits |= READ;
        }
        if prot.contains(Prot::WRITE) {
            bits |= if managed { WRITE | DIRTY } else { WRITE };
        }
        if options.contains(Options::FORCE_SNOOP) && prot.contains(Prot::CACHED) {
            bits |= SNOOP;
        }
        Ok(Attributes { page: bits, block: bits | LARGE })
    }

    #[inline]
    fn output(phys: PhysAddr) -> u64 {
        // Nothing to cut off: addresses were checked against the output size.
        phys.0
    }

    fn table_bits(options: Options) -> u64 {
        // What all the levels allow is allowed, so tables allow everything. Where the accessed
        // flag is managed, they have it, too.
        let managed = options.contains(Options::HARDWARE_DIRTY);
        READ | WRITE | if managed { ACCESSED } else { 0 }
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        if entry & (READ | WRITE) == 0 {
            return Entry::Empty;
        }
        let address = PhysAddr(entry & ADDRESS);
        match level {
            LAST_LEVEL => Entry::Leaf(address),
            1 | 2 if entry & LARGE != 0 => Entry::Leaf(address),
            _ => Entry::Table(address),
        }
    }

    #[inline]
    fn attributes_of(leaf: u64, _: i8) -> Attributes {
        let bits = leaf & !ADDRESS & !LARGE;
        Attributes { page: bits, block: bits | LARGE }
    }

    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        Prot::READ
            .when(leaf & READ != 0)
            .with(Prot::WRITE.when(leaf & WRITE != 0))
            .with(Prot::CACHED.when(leaf & SNOOP != 0))
    }

    #[inline]
    fn group_log2(_: i8) -> u32 {
        0
    }

    #[inline]
    fn cleaned(leaf: u64) -> Option<u64> {
        if leaf & DIRTY != 0 { Some(leaf & !DIRTY) } else { None }
    }
}
