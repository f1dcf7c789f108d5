//! The three granules and what follows from each.

use super::layout::AddressLayout;

/// A translation granule: the size of a page and of a full table.
///
/// # References
///
/// Arm DDI 0487, D8.2.8 to D8.2.10, tables "granule translation table properties at each lookup
/// level".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granule {
    Size4K,
    Size16K,
    Size64K,
}

impl Granule {
    /// Address bits inside a page.
    pub(super) const fn page_bits(self) -> u8 {
        match self {
            Self::Size4K => 12,
            Self::Size16K => 14,
            Self::Size64K => 16,
        }
    }

    /// Address bits that a full table resolves: a table fills a page with eight-byte entries.
    pub(super) const fn stride(self) -> u8 {
        self.page_bits() - 3
    }

    /// Address bits below the index at `level`: log2 of the bytes that an entry spans.
    pub(super) const fn span_bits(self, level: i8) -> u8 {
        // OVERFLOW: levels are -1 to 3, and four strides above a page take at most 68 bits.
        self.page_bits() + self.stride() * (3 - level).unsigned_abs()
    }

    /// Whether a block descriptor may stand at `level` (`AArch64.BlockDescSupported`). For the
    /// 4 TiB blocks with 64 KiB the manual asks for 52-bit physical addresses; the output size is
    /// taken for theirs.
    pub(super) const fn has_block_at(
        self,
        level: i8,
        layout: AddressLayout,
        output_bits: u8,
    ) -> bool {
        let lpa2 = matches!(layout, AddressLayout::Lpa2);
        match (self, level) {
            (_, 2) | (Self::Size4K, 1) => true,
            (Self::Size4K, 0) | (Self::Size16K, 1) => lpa2,
            (Self::Size64K, 1) => output_bits == 52,
            _ => false,
        }
    }

    /// The level at which a stage 1 walk of `input_bits` starts: the deepest whose one table
    /// covers them. `input_bits` is more than [`Self::page_bits`].
    pub(super) const fn start_level(self, input_bits: u8) -> i8 {
        let resolved = input_bits.saturating_sub(self.page_bits());
        3i8.saturating_sub_unsigned(resolved.saturating_sub(1) / self.stride())
    }
}
