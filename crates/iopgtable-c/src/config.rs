//! From what C asks a table to be to what the engine makes.

use iopgtable::format::{FirstStage, GStage, T6000, T8020};
use iopgtable::{
    AmdV1, AnyFormat, AnyPageTable, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Dart,
    Format, Granule, MediaTek, Options, RiscV, Splits, Unextended, VtdS2, X86_64,
};

use crate::allocator::Source;
use crate::arguments::set_of;
use crate::status::Status;
use crate::types::{self, Config};

/// What C calls a format, apart from its granule.
trait Numbered: Format {
    const NUMBER: u32;
}

impl<G: Granule> Numbered for Arm64S1<G> {
    const NUMBER: u32 =
        if G::LPA2 { types::IOPGTABLE_ARM64_S1_LPA2 } else { types::IOPGTABLE_ARM64_S1 };
}

impl<G: Granule> Numbered for Arm64S2<G> {
    const NUMBER: u32 =
        if G::LPA2 { types::IOPGTABLE_ARM64_S2_LPA2 } else { types::IOPGTABLE_ARM64_S2 };
}

macro_rules! numbers {
    ($($format:ty = $number:ident;)*) => {
        $(impl Numbered for $format {
            const NUMBER: u32 = types::$number;
        })*
    };
}
numbers! {
    Arm32S1 = IOPGTABLE_ARM32_S1;
    Arm32S2 = IOPGTABLE_ARM32_S2;
    ArmMali = IOPGTABLE_ARM_MALI;
    ArmV7s<Unextended> = IOPGTABLE_ARM_V7S;
    ArmV7s<MediaTek> = IOPGTABLE_MEDIATEK_V7S;
    AmdV1 = IOPGTABLE_AMD_V1;
    X86_64 = IOPGTABLE_X86_64;
    VtdS2 = IOPGTABLE_VTD_S2;
    RiscV<FirstStage> = IOPGTABLE_RISCV;
    RiscV<GStage> = IOPGTABLE_RISCV_G;
    Dart<T8020> = IOPGTABLE_APPLE_DART;
    Dart<T6000> = IOPGTABLE_APPLE_DART2;
}

macro_rules! rows {
    ({} $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        /// All that the library lists, with its number: a format without one does not compile.
        const FORMATS: &[(u32, AnyFormat)] =
            &[$((<$format as Numbered>::NUMBER, AnyFormat::$variant),)*];
    };
}
iopgtable::list_formats!(rows);

const OPTIONS: [(u32, Options); 10] = [
    (types::IOPGTABLE_UPPER_HALF, Options::UPPER_HALF),
    (types::IOPGTABLE_NON_SECURE, Options::NON_SECURE),
    (types::IOPGTABLE_OUTER_WRITE_BACK, Options::OUTER_WRITE_BACK),
    (types::IOPGTABLE_NO_PERMISSIONS, Options::NO_PERMISSIONS),
    (types::IOPGTABLE_FORCE_WRITE_BACK, Options::FORCE_WRITE_BACK),
    (types::IOPGTABLE_HARDWARE_DIRTY, Options::HARDWARE_DIRTY),
    (types::IOPGTABLE_CONTIGUOUS, Options::CONTIGUOUS),
    (types::IOPGTABLE_FORCE_SNOOP, Options::FORCE_SNOOP),
    (types::IOPGTABLE_MEMORY_TYPES, Options::MEMORY_TYPES),
    (types::IOPGTABLE_WIDE_TABLES, Options::WIDE_TABLES),
];

/// An empty table as `config` says.
pub(crate) fn create(config: &Config, source: Source) -> Result<AnyPageTable<Source>, Status> {
    let wanted = (config.format, u64::from(config.granule));
    let found = FORMATS.iter().find(|&&(number, format)| (number, format.granule()) == wanted);
    let &(_, format) = found.ok_or(Status::Format)?;
    let options = set_of(config.options, &OPTIONS).ok_or(Status::Options)?;
    let splits = match config.splits {
        types::IOPGTABLE_SPLITS_LIVE => Splits::Live,
        types::IOPGTABLE_SPLITS_FORBIDDEN => Splits::Forbidden,
        _ => return Err(Status::Options),
    };
    let bits = |bits| u8::try_from(bits).map_err(|_| Status::AddressSize);
    let sizes = iopgtable::Config::new(bits(config.input_bits)?, bits(config.output_bits)?);
    let largest_leaf = if config.largest_leaf == 0 { u64::MAX } else { config.largest_leaf };
    let config = sizes.with(options).splits(splits).largest_leaf(largest_leaf);
    Ok(AnyPageTable::new(format, config, source)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_formats_have_the_same_number_and_granule() {
        for (index, (number, format)) in FORMATS.iter().enumerate() {
            let twice = |(other, its): &&(u32, AnyFormat)| {
                (other, its.granule()) == (number, format.granule())
            };
            assert_eq!(FORMATS[..index].iter().find(twice), None, "{format}");
        }
    }

    #[test]
    fn every_option_has_a_number() {
        let named = OPTIONS.iter().fold(Options::NONE, |all, &(_, option)| all | option);
        for &format in AnyFormat::ALL {
            assert!(format.options().without(named).is_empty(), "{format}");
        }
    }
}
