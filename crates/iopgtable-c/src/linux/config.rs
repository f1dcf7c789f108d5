//! From what a driver asks for to what it gets: page sizes, address sizes, quirks.

use core::ffi::{c_uint, c_ulong};

use iopgtable::Options;

use super::abi::{Cfg, fmt, quirk};

/// The formats that there is an engine for, with the granule that the page sizes select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Stage 1 with a granule of 2^shift bytes.
    Stage1(u32),
    /// Stage 2.
    Stage2(u32),
    /// Stage 1 of 32 bits, 4 KiB.
    Stage1Of32,
    /// Stage 2 of 32 bits, 4 KiB.
    Stage2Of32,
    /// Mali, 4 KiB.
    Mali,
    /// Short descriptors.
    V7s,
    /// MediaTek's short descriptors.
    MediaTekV7s,
    /// AMD v1, 4 KiB.
    AmdV1,
    /// AMD v2, 4 KiB.
    AmdV2,
    /// Apple's DART as in the T8020, 16 KiB.
    Dart,
    /// Apple's DART as in the T6000, 16 KiB.
    Dart2,
}

/// The page size of the CPU that this is built for, which drivers prefer for their tables, too.
const CPU_PAGE: c_ulong = 4 << 10;

const SHIFT_4K: u32 = 12;
const SHIFT_16K: u32 = 14;
const SHIFT_64K: u32 = 16;

/// 4 KiB, 2 MiB, 1 GiB.
const SIZES_4K: c_ulong = 4 << 10 | 2 << 20 | 1 << 30;
/// 16 KiB, 32 MiB.
const SIZES_16K: c_ulong = 16 << 10 | 32 << 20;
/// 16 KiB: all that DARTs have.
const SIZE_16K: c_ulong = 16 << 10;
/// 64 KiB, 512 MiB.
const SIZES_64K: c_ulong = 64 << 10 | 512 << 20;
/// With 64 KiB, where physical addresses have more than 48 bits.
const SIZE_4T: c_ulong = 4 << 40;

/// 4 KiB and 16 KiB granules have no larger addresses.
const MAX_ADDRESS_BITS: c_uint = 48;
/// 64 KiB granules have.
const MAX_ADDRESS_BITS_64K: c_uint = 52;
/// Five levels of AMD v2 have more yet, the sign included; outputs have at most 52.
const MAX_AMD_V2_INPUT: c_uint = 57;
/// The output sizes of Apple's DARTs, as Linux has them.
const DART_OUTPUT: c_uint = 36;
const DART2_OUTPUT: c_uint = 42;
/// Mali outputs no more.
const MAX_MALI_OUTPUT: c_uint = 40;
/// The output sizes of the 32-bit formats, as Linux has them.
const OUTPUTS_32: [c_uint; 3] = [32, 36, 40];

/// The pages of short descriptors.
const SIZES_V7S: c_ulong = 4 << 10 | 64 << 10 | 1 << 20 | 16 << 20;
/// Short descriptors translate 32 bits to as many, MediaTek's 34 to 35.
const MAX_V7S: (c_uint, c_uint) = (32, 32);
const MAX_MEDIATEK: (c_uint, c_uint) = (34, 35);
/// The pages of AMD v1: every power of two up to 256 GiB.
const SIZES_AMD_V1: c_ulong = (1 << 39) - (4 << 10);

/// Of the page sizes `wanted`, those up to the first of `all` that is missing: where a page takes
/// several entries, one that may be larger may have any size in between.
fn leading(wanted: c_ulong, all: c_ulong) -> c_ulong {
    let missing = all & !wanted;
    let below = if missing == 0 { c_ulong::MAX } else { (1 << missing.trailing_zeros()) - 1 };
    wanted & all & below
}

/// Which format of those whose pages take several entries, as [`choose`] says it.
fn choose_pages(format: c_uint, cfg: &mut Cfg) -> Option<Choice> {
    let mediatek = cfg.quirks & quirk::ARM_MTK_EXT != 0;
    let (choice, sizes, (inputs, outputs)) = match format {
        fmt::ARM_V7S if mediatek => (Choice::MediaTekV7s, SIZES_V7S, MAX_MEDIATEK),
        fmt::ARM_V7S => (Choice::V7s, SIZES_V7S, MAX_V7S),
        _ => (Choice::AmdV1, SIZES_AMD_V1, (c_ulong::BITS, MAX_ADDRESS_BITS_64K)),
    };
    // There, permissions are no choice.
    let permissions = mediatek == (cfg.quirks & quirk::NO_PERMS != 0);
    cfg.pgsize_bitmap = leading(cfg.pgsize_bitmap, sizes);
    if format == fmt::AMD_IOMMU_V1 {
        cfg.oas = cfg.oas.min(outputs);
    }
    let fits = cfg.ias <= inputs && cfg.oas <= outputs;
    (fits && permissions && cfg.pgsize_bitmap != 0).then_some(choice)
}

/// The largest leaf that `cfg`, as it was granted, leaves to a choice.
pub(super) fn largest_leaf(format: c_uint, cfg: &Cfg) -> u64 {
    match format {
        fmt::ARM_V7S | fmt::AMD_IOMMU_V1 => 1 << cfg.pgsize_bitmap.ilog2(),
        _ => u64::MAX,
    }
}

/// The log2 of the granule that a set of page sizes means, and the sizes that go with it: the
/// CPU's page size if it is among them, else the largest smaller one, else the smallest larger.
fn granule(sizes: c_ulong) -> Option<(u32, c_ulong)> {
    let smaller = sizes & (CPU_PAGE - 1);
    let shift = if sizes & CPU_PAGE != 0 {
        CPU_PAGE.trailing_zeros()
    } else if smaller != 0 {
        smaller.ilog2()
    } else {
        sizes.trailing_zeros()
    };
    match shift {
        SHIFT_4K => Some((shift, SIZES_4K)),
        SHIFT_16K => Some((shift, SIZES_16K)),
        SHIFT_64K => Some((shift, SIZES_64K)),
        _ => None,
    }
}

/// Which format and granule `format` and `cfg` select, and restricts `cfg` to them. Nothing where
/// there is no such format; `cfg` may be restricted all the same.
pub(super) fn choose(format: c_uint, cfg: &mut Cfg) -> Option<Choice> {
    if matches!(format, fmt::ARM_V7S | fmt::AMD_IOMMU_V1) {
        return choose_pages(format, cfg);
    }
    let sizes = match format {
        fmt::ARM_64_LPAE_S1 | fmt::ARM_64_LPAE_S2 => c_ulong::MAX,
        fmt::ARM_32_LPAE_S1 | fmt::ARM_32_LPAE_S2 if OUTPUTS_32.contains(&cfg.oas) => SIZES_4K,
        fmt::ARM_MALI_LPAE if cfg.ias <= MAX_ADDRESS_BITS && cfg.oas <= MAX_MALI_OUTPUT => SIZES_4K,
        fmt::AMD_IOMMU_V2 if cfg.ias <= MAX_AMD_V2_INPUT => SIZES_4K,
        fmt::APPLE_DART if cfg.oas == DART_OUTPUT => SIZE_16K,
        fmt::APPLE_DART2 if [DART_OUTPUT, DART2_OUTPUT].contains(&cfg.oas) => SIZE_16K,
        _ => return None,
    };
    let (shift, mut of_granule) = granule(cfg.pgsize_bitmap & sizes)?;
    let mut max_bits = MAX_ADDRESS_BITS;
    if shift == SHIFT_64K {
        max_bits = MAX_ADDRESS_BITS_64K;
        if cfg.oas > MAX_ADDRESS_BITS {
            of_granule |= SIZE_4T;
        }
    }
    cfg.pgsize_bitmap &= sizes & of_granule;
    if format == fmt::AMD_IOMMU_V2 {
        cfg.oas = cfg.oas.min(MAX_ADDRESS_BITS_64K);
    } else {
        cfg.ias = cfg.ias.min(max_bits);
        cfg.oas = cfg.oas.min(max_bits);
    }
    Some(match format {
        fmt::ARM_64_LPAE_S1 => Choice::Stage1(shift),
        fmt::ARM_64_LPAE_S2 => Choice::Stage2(shift),
        fmt::ARM_32_LPAE_S1 => Choice::Stage1Of32,
        fmt::ARM_32_LPAE_S2 => Choice::Stage2Of32,
        fmt::AMD_IOMMU_V2 => Choice::AmdV2,
        fmt::APPLE_DART => Choice::Dart,
        fmt::APPLE_DART2 => Choice::Dart2,
        _ => Choice::Mali,
    })
}

const QUIRKS: [(c_ulong, Options); 5] = [
    (quirk::ARM_NS, Options::NON_SECURE),
    (quirk::ARM_TTBR1, Options::UPPER_HALF),
    (quirk::ARM_OUTER_WBWA, Options::OUTER_WRITE_BACK),
    (quirk::ARM_HD, Options::HARDWARE_DIRTY),
    (quirk::ARM_MTK_TTBR_EXT, Options::WIDE_TABLES),
];

/// The options that `quirks` stand for.
pub(super) fn options(quirks: c_ulong) -> Options {
    let wanted = QUIRKS.iter().filter(|&&(quirk, _)| quirks & quirk != 0);
    wanted.fold(Options::NONE, |options, &(_, option)| options | option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_between_are_not_left_out() {
        assert_eq!(leading(!0, SIZES_V7S), SIZES_V7S);
        assert_eq!(leading(4 << 10 | 64 << 10 | 16 << 20, SIZES_V7S), 4 << 10 | 64 << 10);
        assert_eq!(leading(64 << 10, SIZES_V7S), 0);
        assert_eq!(leading(SIZES_4K, SIZES_AMD_V1), 4 << 10);
        assert_eq!(leading(!0xfff, SIZES_AMD_V1), SIZES_AMD_V1);
    }

    #[test]
    fn the_cpus_page_size_wins_then_smaller_ones_then_larger_ones() {
        assert_eq!(granule(SIZES_4K | SIZES_16K | SIZES_64K), Some((SHIFT_4K, SIZES_4K)));
        assert_eq!(granule(SIZES_16K | SIZES_64K), Some((SHIFT_16K, SIZES_16K)));
        assert_eq!(granule(SIZES_64K), Some((SHIFT_64K, SIZES_64K)));
        // 1 KiB pages are smaller than the CPU's and belong to no format here.
        assert_eq!(granule(1 << 10 | SIZES_64K), None);
        assert_eq!(granule(2 << 20), None);
        assert_eq!(granule(0), None);
    }
}
