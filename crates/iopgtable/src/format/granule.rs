//! The sizes of pages and tables.

use core::fmt;
use core::marker::PhantomData;

use super::Sealed;

/// A size of pages and tables, and with it the place of an output address in a descriptor.
pub trait Granule: Copy + fmt::Debug + Send + Sync + Sealed + 'static {
    /// log2 of its bytes.
    const SHIFT: u8;
    /// Whether descriptors are those of `FEAT_LPA2`, which hold 52 bits of output address.
    const LPA2: bool = false;
    /// Its name, as users write it.
    const NAME: &'static str;
}

macro_rules! granules {
    ($($(#[$doc:meta])* $name:ident = $shift:literal, $text:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl Sealed for $name {}
        impl Granule for $name {
            const SHIFT: u8 = $shift;
            const NAME: &'static str = $text;
        }
    )*};
}
granules! {
    /// Pages and tables of 4 KiB.
    Granule4K = 12, "4K";
    /// Pages and tables of 16 KiB.
    Granule16K = 14, "16K";
    /// Pages and tables of 64 KiB. Addresses have up to 52 bits (`FEAT_LVA`, `FEAT_LPA`).
    Granule64K = 16, "64K";
}

/// A granule of 4 or 16 KiB with the descriptors of `FEAT_LPA2`: addresses have up to 52 bits,
/// shareability comes from the control register, and there are larger blocks. Such tables cannot
/// be walked without `TCR_EL1.DS` (`VTCR_EL2.DS`), nor others with it.
///
/// ```
/// use iopgtable::{Arm64S1, Config, Format, Granule4K, Lpa2};
/// let geometry = Arm64S1::<Lpa2<Granule4K>>::geometry(Config::new(52, 52))?;
/// assert_eq!(geometry.first_level(), -1);
/// # Ok::<(), iopgtable::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lpa2<G>(PhantomData<G>);

impl<G> Sealed for Lpa2<G> {}

impl Granule for Lpa2<Granule4K> {
    const SHIFT: u8 = Granule4K::SHIFT;
    const LPA2: bool = true;
    const NAME: &'static str = "4K-LPA2";
}

impl Granule for Lpa2<Granule16K> {
    const SHIFT: u8 = Granule16K::SHIFT;
    const LPA2: bool = true;
    const NAME: &'static str = "16K-LPA2";
}
