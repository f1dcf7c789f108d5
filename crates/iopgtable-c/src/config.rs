//! From what C asks a table to be to what the engine makes.

use iopgtable::{AnyFormat, AnyPageTable, Options, Splits};

use crate::allocator::Source;
use crate::arguments::set_of;
use crate::status::Status;
use crate::types::{self, Config};

/// C names a format and, apart from it, the bytes of its granule.
const FORMATS: [(u32, u32, AnyFormat); 22] = [
    (types::IOPGTABLE_ARM64_S1, 0x1000, AnyFormat::Arm64S1_4K),
    (types::IOPGTABLE_ARM64_S1, 0x4000, AnyFormat::Arm64S1_16K),
    (types::IOPGTABLE_ARM64_S1, 0x1_0000, AnyFormat::Arm64S1_64K),
    (types::IOPGTABLE_ARM64_S1_LPA2, 0x1000, AnyFormat::Arm64S1_4KLpa2),
    (types::IOPGTABLE_ARM64_S1_LPA2, 0x4000, AnyFormat::Arm64S1_16KLpa2),
    (types::IOPGTABLE_ARM64_S2, 0x1000, AnyFormat::Arm64S2_4K),
    (types::IOPGTABLE_ARM64_S2, 0x4000, AnyFormat::Arm64S2_16K),
    (types::IOPGTABLE_ARM64_S2, 0x1_0000, AnyFormat::Arm64S2_64K),
    (types::IOPGTABLE_ARM64_S2_LPA2, 0x1000, AnyFormat::Arm64S2_4KLpa2),
    (types::IOPGTABLE_ARM64_S2_LPA2, 0x4000, AnyFormat::Arm64S2_16KLpa2),
    (types::IOPGTABLE_ARM32_S1, 0x1000, AnyFormat::Arm32S1),
    (types::IOPGTABLE_ARM32_S2, 0x1000, AnyFormat::Arm32S2),
    (types::IOPGTABLE_ARM_MALI, 0x1000, AnyFormat::ArmMali),
    (types::IOPGTABLE_X86_64, 0x1000, AnyFormat::X86_64),
    (types::IOPGTABLE_VTD_S2, 0x1000, AnyFormat::VtdS2),
    (types::IOPGTABLE_RISCV, 0x1000, AnyFormat::RiscV),
    (types::IOPGTABLE_RISCV_G, 0x1000, AnyFormat::RiscVG),
    (types::IOPGTABLE_APPLE_DART, 0x4000, AnyFormat::Dart),
    (types::IOPGTABLE_APPLE_DART2, 0x4000, AnyFormat::Dart2),
    (types::IOPGTABLE_ARM_V7S, 0x1000, AnyFormat::ArmV7s),
    (types::IOPGTABLE_MEDIATEK_V7S, 0x1000, AnyFormat::MediaTekV7s),
    (types::IOPGTABLE_AMD_V1, 0x1000, AnyFormat::AmdV1),
];

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
    let found = FORMATS
        .iter()
        .find(|&&(format, granule, _)| (format, granule) == (config.format, config.granule));
    let &(.., format) = found.ok_or(Status::Format)?;
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
    fn every_format_and_every_option_has_a_number() {
        for &format in AnyFormat::ALL {
            let rows: Vec<_> = FORMATS.iter().filter(|row| row.2 == format).collect();
            let [&(_, granule, _)] = rows[..] else { panic!("{format} {} times", rows.len()) };
            assert_eq!(u64::from(granule), format.granule());
            let named = OPTIONS.iter().fold(Options::NONE, |all, &(_, option)| all | option);
            assert!(format.options().without(named).is_empty(), "{format}");
        }
        for (index, (format, granule, _)) in FORMATS.iter().enumerate() {
            let twice = FORMATS[..index].iter().any(|row| (row.0, row.1) == (*format, *granule));
            assert!(!twice, "{format} with {granule:#x}");
        }
    }
}
