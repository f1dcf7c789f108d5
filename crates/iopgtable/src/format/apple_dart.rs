//! `APPLE_DART` and `APPLE_DART2`: the page tables of Apple's IOMMUs.
//!
//! # References
//!
//! Apple publishes no manual. The facts are those of Linux 6.12 (`io-pgtable-dart.c`,
//! `apple-dart.c`) and of the Asahi project's notes and tools.

use core::fmt;
use core::marker::PhantomData;

use super::{
    Attributes, Config, ConfigError, Entry, Format, Granule, Granule16K, Options, Sealed, check,
    check_prot, output_bits_to,
};
use crate::addr::PhysAddr;
use crate::geometry::{Geometry, LAST_LEVEL, Sizes};
use crate::prot::{Prot, ProtError};

/// Apple's DART of variant `V`: two levels of 16 KiB tables, 16 KiB pages and no larger leaves.
///
/// One root translates 36 bits of input; up to 38 bits take two or four, side by side as one root
/// of up to 64 KiB, each with a `TTBR` of its own.
///
/// Leaves can be read or written or both. Fetches are not told from reads, so [`Prot::EXECUTE`] is
/// refused, and so is [`Prot::PRIVILEGED`]. All of each page can be accessed: the part of it that a
/// leaf may allow is not used. What memory is like is the platform's to say in the variant of the
/// T8020, where [`Prot::CACHED`] and [`Prot::DEVICE`] make no difference; in that of the T6000,
/// what is not cached says so.
#[derive(Clone, Copy, Debug)]
pub struct Dart<V: DartVariant>(PhantomData<V>);

/// A variant of the DART: how its entries look.
pub trait DartVariant: Copy + fmt::Debug + Send + Sync + Sealed + 'static {
    /// Linux's name for its tables.
    const NAME: &'static str;
    /// How many bits a physical address has at most.
    const OUTPUT_BITS: u8;
    /// How many bits lower than in an address it stands in an entry.
    const FIELD_SHIFT: u32;
    /// The bit that forbids reading.
    const NO_READ: u64;
    /// The bit that forbids writing.
    const NO_WRITE: u64;
    /// The bit that says that memory is not cached; zero where there is none.
    const NO_CACHE: u64;
    /// What all leaves have, besides being valid and whole.
    const LEAF: u64;
}

/// As in the T8020, and in the T8103 (M1): 36 bits of output.
#[derive(Clone, Copy, Debug)]
pub enum T8020 {}

/// As in the T6000 (M1 Pro): 42 bits of output.
#[derive(Clone, Copy, Debug)]
pub enum T6000 {}

impl Sealed for T8020 {}
impl Sealed for T6000 {}

impl DartVariant for T8020 {
    const NAME: &'static str = "APPLE_DART";
    const OUTPUT_BITS: u8 = 36;
    const FIELD_SHIFT: u32 = 0;
    const NO_READ: u64 = 1 << 8;
    const NO_WRITE: u64 = 1 << 7;
    const NO_CACHE: u64 = 0;
    /// The part of the page is not looked at.
    const LEAF: u64 = 1 << 1;
}

impl DartVariant for T6000 {
    const NAME: &'static str = "APPLE_DART2";
    const OUTPUT_BITS: u8 = 42;
    const FIELD_SHIFT: u32 = 4;
    const NO_READ: u64 = 1 << 3;
    const NO_WRITE: u64 = 1 << 2;
    const NO_CACHE: u64 = 1 << 1;
    const LEAF: u64 = 0;
}

/// What a driver programs for [`Dart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DartRegisters {
    /// The `TTBR`s of a stream: valid, and the page number of a root, in units of 4 KiB; zero for
    /// those that are not in use. The highest two bits of an address select one.
    pub ttbr: [u32; 4],
}

impl DartRegisters {
    /// The physical addresses of the roots.
    pub fn roots(&self) -> impl Iterator<Item = PhysAddr> + use<> {
        let valid = self.ttbr.into_iter().filter(|ttbr| ttbr & TTBR_VALID != 0);
        valid.map(|ttbr| PhysAddr(u64::from(ttbr & !TTBR_VALID) << TTBR_SHIFT))
    }
}

const VALID: u64 = 1 << 0;
/// Bits 51:40, the last part of the page that is allowed; the first one, in bits 63:52, is zero.
const WHOLE: u64 = 0xfff << 40;

const TTBR_VALID: u32 = 1 << 31;
const TTBR_SHIFT: u32 = 12;

/// Bits of input that one root translates.
const ROOT_INPUT_BITS: u8 = 36;
/// log2 of the roots that there are at most.
const ROOTS_LOG2: u8 = 2;

impl<V: DartVariant> Dart<V> {
    /// The bits of an entry that hold an address.
    const FIELD: u64 = (((1 << V::OUTPUT_BITS) - 1) & !0x3fff) >> V::FIELD_SHIFT;
}

impl<V: DartVariant> Sealed for Dart<V> {}

impl<V: DartVariant> Format for Dart<V> {
    const NAME: &'static str = V::NAME;
    const GRANULE: &'static str = Granule16K::NAME;
    const PAGE_SHIFT: u8 = Granule16K::SHIFT;
    type Word = u64;
    const MIN_LEVEL: i8 = 2;
    const OPTIONS: Options = Options::NONE;
    const FIELD_BITS: u32 = u64::BITS;
    const FIELD_SHIFT: u32 = V::FIELD_SHIFT;
    const CONTIGUOUS: u64 = 0;
    const LIVE: u64 = V::NO_READ | V::NO_WRITE;
    /// It is not known which bits of these entries are ignored.
    const PUBLISHED: u64 = 0;
    type Registers = DartRegisters;

    fn geometry(config: Config) -> Result<Geometry, ConfigError> {
        let inputs = (32, ROOT_INPUT_BITS + ROOTS_LOG2);
        check::<Self>(config, inputs, output_bits_to(V::OUTPUT_BITS))?;
        // An entry of the root spans 25 bits.
        let root_bits = config.input_bits - 25;
        let sizes = Sizes { page_shift: Self::PAGE_SHIFT, first_level: 2, root_bits };
        Ok(Geometry::new(sizes, config, &[LAST_LEVEL]))
    }

    fn registers(geometry: &Geometry, _: Options, root: PhysAddr, _: bool) -> DartRegisters {
        let mut ttbr = [0; 4];
        let roots = (0..geometry.root_bytes()).step_by(1 << Self::PAGE_SHIFT);
        for (ttbr, offset) in ttbr.iter_mut().zip(roots) {
            // CAST: an address of up to 42 bits.
            *ttbr = TTBR_VALID | ((root.0 + offset) >> TTBR_SHIFT) as u32;
        }
        DartRegisters { ttbr }
    }

    #[inline]
    fn attributes(_: Options, prot: Prot) -> Result<Attributes, ProtError> {
        check_prot(prot)?;
        if prot.contains(Prot::EXECUTE) {
            return Err(ProtError::NoExecute);
        }
        if prot.contains(Prot::PRIVILEGED) {
            return Err(ProtError::NoPrivilege);
        }
        let mut bits = VALID | WHOLE | V::LEAF;
        if !prot.contains(Prot::READ) {
            bits |= V::NO_READ;
        }
        if !prot.contains(Prot::WRITE) {
            bits |= V::NO_WRITE;
        }
        if !prot.contains(Prot::CACHED) {
            bits |= V::NO_CACHE;
        }
        // There are no leaves above the last level.
        Ok(Attributes { page: bits, block: bits })
    }

    #[inline]
    fn output(phys: PhysAddr) -> u64 {
        // Nothing to cut off: addresses were checked against the output size.
        phys.0 >> V::FIELD_SHIFT
    }

    fn table_bits(_: Options) -> u64 {
        VALID
    }

    #[inline]
    fn decode(entry: u64, level: i8) -> Entry {
        let address = PhysAddr((entry & Self::FIELD) << V::FIELD_SHIFT);
        match (entry & VALID, level) {
            (0, _) => Entry::Empty,
            (_, LAST_LEVEL) => Entry::Leaf(address),
            _ => Entry::Table(address),
        }
    }

    #[inline]
    fn attributes_of(leaf: u64, _: i8) -> Attributes {
        let bits = leaf & !Self::FIELD;
        Attributes { page: bits, block: bits }
    }

    /// A leaf that leaves the type to the platform is read back as cached.
    #[inline]
    fn prot_of(leaf: u64, _: i8) -> Prot {
        Prot::READ
            .when(leaf & V::NO_READ == 0)
            .with(Prot::WRITE.when(leaf & V::NO_WRITE == 0))
            .with(Prot::CACHED.when(leaf & V::NO_CACHE == 0))
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
