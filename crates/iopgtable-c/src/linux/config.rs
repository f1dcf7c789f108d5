//! From what a driver asks for to what it gets: page sizes, address sizes, quirks.

use core::ffi::{c_uint, c_ulong};

use super::abi::{Cfg, fmt};

/// The formats that there is an engine for, with the granule that the page sizes select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Stage 1 with a granule of 2^shift bytes.
    Stage1(u32),
    /// Stage 2.
    Stage2(u32),
    /// Mali, 4 KiB.
    Mali,
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
/// 64 KiB, 512 MiB.
const SIZES_64K: c_ulong = 64 << 10 | 512 << 20;

/// No format here has larger addresses.
const MAX_ADDRESS_BITS: c_uint = 48;
/// The 32-bit formats and Mali output no more.
const MAX_SMALL_OUTPUT: c_uint = 40;

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
    let (max_input, max_output, sizes) = match format {
        fmt::ARM_64_LPAE_S1 | fmt::ARM_64_LPAE_S2 => (c_uint::MAX, c_uint::MAX, c_ulong::MAX),
        fmt::ARM_32_LPAE_S1 => (32, MAX_SMALL_OUTPUT, SIZES_4K),
        fmt::ARM_32_LPAE_S2 => (40, MAX_SMALL_OUTPUT, SIZES_4K),
        fmt::ARM_MALI_LPAE => (MAX_ADDRESS_BITS, MAX_SMALL_OUTPUT, SIZES_4K),
        _ => return None,
    };
    if cfg.ias > max_input || cfg.oas > max_output {
        return None;
    }
    let (shift, of_granule) = granule(cfg.pgsize_bitmap & sizes)?;
    cfg.pgsize_bitmap &= sizes & of_granule;
    cfg.ias = cfg.ias.min(MAX_ADDRESS_BITS);
    cfg.oas = cfg.oas.min(MAX_ADDRESS_BITS);
    Some(match format {
        fmt::ARM_32_LPAE_S1 | fmt::ARM_64_LPAE_S1 => Choice::Stage1(shift),
        fmt::ARM_MALI_LPAE => Choice::Mali,
        _ => Choice::Stage2(shift),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
