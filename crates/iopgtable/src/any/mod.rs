//! One type for tables of all formats, for drivers that learn the format when they boot.
//!
//! | room | what is in it |
//! |---|---|
//! | here | the list of the formats, and the two ways to match on it |
//! | `format` | [`AnyFormat`], with names to read and to write |
//! | `registers` | [`AnyRegisters`] |
//! | `table` | [`AnyPageTable`], and [`AnyDump`] for people |
//! | `reserved` | [`AnyReserved`], which cannot allocate |
//!
//! A format that is listed here is in all of them: the enums, their conversions and every match
//! are made from the list, which others may use, too ([`list_formats!`](crate::list_formats)). Each operation is one match and then the format's own code; nothing is
//! boxed.

/// Hands the list of the formats to a macro, for code that needs the type of a format which was
/// chosen at run time.
///
/// `list_formats!(define given tokens)` becomes `define! { { given tokens } ... }`, with one item
/// for each format: the variant of [`AnyFormat`], the text that users write, the type in brackets,
/// and what it is, ended by a semicolon. So a format that is added to the list is in whatever is
/// made from it.
///
/// ```
/// use iopgtable::{AnyFormat, TableLayout};
///
/// macro_rules! define {
///     ({ $name:ident } $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
///         const $name: &[(AnyFormat, fn() -> TableLayout)] =
///             &[$((AnyFormat::$variant, TableLayout::of::<$format>),)*];
///     };
/// }
/// iopgtable::list_formats!(define LAYOUTS);
///
/// let (_, layout) = LAYOUTS.iter().find(|(format, _)| *format == AnyFormat::Dart).unwrap();
/// assert_eq!(layout().bytes(), 16 << 10);
/// ```
#[macro_export]
macro_rules! list_formats {
    ($to:ident $($given:tt)*) => {
        $to! {
            { $($given)* }
            Arm64S1_4K "arm64-s1/4K"
                [$crate::format::Arm64S1<$crate::format::Granule4K>] "Arm's 64-bit stage 1, 4 KiB";
            Arm64S1_16K "arm64-s1/16K"
                [$crate::format::Arm64S1<$crate::format::Granule16K>]
                "Arm's 64-bit stage 1, 16 KiB";
            Arm64S1_64K "arm64-s1/64K"
                [$crate::format::Arm64S1<$crate::format::Granule64K>]
                "Arm's 64-bit stage 1, 64 KiB";
            Arm64S1_4KLpa2 "arm64-s1/4K-LPA2"
                [$crate::format::Arm64S1<$crate::format::Lpa2<$crate::format::Granule4K>>]
                "Arm's 64-bit stage 1, 4 KiB with the descriptors of `FEAT_LPA2`";
            Arm64S1_16KLpa2 "arm64-s1/16K-LPA2"
                [$crate::format::Arm64S1<$crate::format::Lpa2<$crate::format::Granule16K>>]
                "Arm's 64-bit stage 1, 16 KiB with the descriptors of `FEAT_LPA2`";
            Arm64S2_4K "arm64-s2/4K"
                [$crate::format::Arm64S2<$crate::format::Granule4K>] "Arm's 64-bit stage 2, 4 KiB";
            Arm64S2_16K "arm64-s2/16K"
                [$crate::format::Arm64S2<$crate::format::Granule16K>]
                "Arm's 64-bit stage 2, 16 KiB";
            Arm64S2_64K "arm64-s2/64K"
                [$crate::format::Arm64S2<$crate::format::Granule64K>]
                "Arm's 64-bit stage 2, 64 KiB";
            Arm64S2_4KLpa2 "arm64-s2/4K-LPA2"
                [$crate::format::Arm64S2<$crate::format::Lpa2<$crate::format::Granule4K>>]
                "Arm's 64-bit stage 2, 4 KiB with the descriptors of `FEAT_LPA2`";
            Arm64S2_16KLpa2 "arm64-s2/16K-LPA2"
                [$crate::format::Arm64S2<$crate::format::Lpa2<$crate::format::Granule16K>>]
                "Arm's 64-bit stage 2, 16 KiB with the descriptors of `FEAT_LPA2`";
            Arm32S1 "arm32-s1"
                [$crate::format::Arm32S1] "Arm's 32-bit stage 1 with long descriptors";
            Arm32S2 "arm32-s2"
                [$crate::format::Arm32S2] "Arm's 32-bit stage 2";
            ArmMali "arm-mali"
                [$crate::format::ArmMali] "Mali Midgard and Bifrost";
            ArmV7s "arm-v7s"
                [$crate::format::ArmV7s<$crate::format::Unextended>] "Arm's short descriptors";
            MediaTekV7s "mediatek-v7s"
                [$crate::format::ArmV7s<$crate::format::MediaTek>] "MediaTek's short descriptors";
            AmdV1 "amd-v1"
                [$crate::format::AmdV1] "AMD's host page tables";
            X86_64 "x86-64"
                [$crate::format::X86_64] "x86-64, AMD v2, VT-d's first stage";
            VtdS2 "vtd-s2"
                [$crate::format::VtdS2] "VT-d's second stage";
            RiscV "riscv"
                [$crate::format::RiscV<$crate::format::FirstStage>]
                "RISC-V's first stage: Sv39, Sv48, Sv57";
            Dart "dart"
                [$crate::format::Dart<$crate::format::T8020>] "Apple's DART as in the T8020";
            Dart2 "dart2"
                [$crate::format::Dart<$crate::format::T6000>] "Apple's DART as in the T6000";
            RiscVG "riscv-g"
                [$crate::format::RiscV<$crate::format::GStage>]
                "RISC-V's G-stage: Sv39x4, Sv48x4, Sv57x4";
        }
    };
}

/// `$call` on the `$inner` of whichever variant of `$any` it is that `$value` is.
macro_rules! on_each {
    ({ $any:ident, $value:expr, $inner:ident => $call:expr }
        $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        match $value {
            $($any::$variant($inner) => $call,)*
        }
    };
}

/// The same, with what `$call` returns in the same variant of `$to`.
macro_rules! on_each_into {
    ({ $from:ident => $to:ident, $value:expr, $inner:ident => $call:expr }
        $($variant:ident $text:literal [$format:ty] $about:literal;)*) => {
        match $value {
            $($from::$variant($inner) => $call.map($to::$variant),)*
        }
    };
}

mod format;
mod registers;
mod reserved;
mod table;

pub use format::{AnyFormat, ParseFormatError};
pub use registers::AnyRegisters;
pub use reserved::AnyReserved;
pub use table::{AnyDump, AnyPageTable};
